/*
 * The two challenge-response schemes that clients have, from the server's side (checking an admin's
 * password by its hashes alone) and from the client's (answering vtgate). ("Authentication
 * Methods": "Native Authentication" and "Caching_sha2_password" in the MySQL Source Code
 * Documentation.)
 */
#ifndef VTSHIM_PROXY_AUTH_H
#define VTSHIM_PROXY_AUTH_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/bytes.h"
#include "protocol/handshake.h"

struct admin_secret {
    bool has_native, has_sha2;
    uint8_t native[20]; /* SHA1(SHA1(password)) */
    uint8_t sha2[32];   /* SHA256(SHA256(password)) */
};

/* What stands for the password in admin_users: "$sha2$" and 64 hexadecimal digits. */
#define AUTH_HASH_SIZE 71
void admin_secret_hash(char text[AUTH_HASH_SIZE], const char *password);

/* From admin_users' form: '*' and 40 hex digits, "$sha2$" and 64, or the password itself. */
void admin_secret_parse(struct admin_secret *secret, const char *text);

/* Whether the client's answer to the salt proves that it knows the password. */
bool admin_auth_native(const struct admin_secret *secret, const uint8_t salt[SALT_LENGTH],
                       struct bytes answer);
bool admin_auth_sha2(const struct admin_secret *secret, const uint8_t salt[SALT_LENGTH],
                     struct bytes answer);

/* Whether that is the password. Takes the same time whatever it is. */
bool admin_secret_is(const struct admin_secret *secret, const char *password);

/* What a client that knows the password answers to mysql_native_password's salt. */
#define AUTH_NATIVE_SIZE 20
void auth_native_answer(const char *password, const uint8_t salt[SALT_LENGTH],
                        uint8_t answer[AUTH_NATIVE_SIZE]);

#endif
