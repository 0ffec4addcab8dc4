/*
 * The login of clients that cannot do what vtgate asks for. libmysqlclient 9 and later has no
 * mysql_native_password. Over a safe link (TLS, unix socket) the shim takes the server's part of
 * caching_sha2_password's full authentication, in which the client sends its password, answers
 * vtgate's challenge with it, and wipes it: it lives as long as the login and is stored nowhere.
 */
#ifndef VTSHIM_PROXY_BRIDGE_H
#define VTSHIM_PROXY_BRIDGE_H

#include <stdbool.h>

#include "protocol/handshake.h"

struct bridge;

/* Whether that client needs it: libmysqlclient of version 9 or later that prefers
   caching_sha2_password, at a server whose greeting has named another plug-in (plugin). Everybody
   else keeps the plain relay. */
bool bridge_needed(const struct handshake_response *hr, const char *plugin);

/*
 * Whether that client is MariaDB Connector/C, which at COM_CHANGE_USER answers every later
 * challenge of mysql_native_password with the first greeting's salt
 * (libmariadb/plugins/auth/my_auth.c, run_plugin_auth: it never takes over the salt of an
 * AuthSwitchRequest there). On a new connection to vtgate, which has a salt of its own, such an
 * answer is always wrong: the bridge has to ask for the password, or vtgate's refusal of
 * COM_CHANGE_USER (1047) stands.
 */
bool bridge_keeps_first_salt(const struct handshake_response *hr);

/* salt: vtgate's. Appends to *say the payload to send to the client. Copies what it needs. */
struct bridge *bridge_create(const struct handshake_response *hr, const uint8_t salt[SALT_LENGTH],
                             struct buffer *say);
/* The same for a session of the shim's own, whose password is known; copied. */
struct bridge *bridge_create_inner(const struct handshake_response *hr,
                                   const uint8_t salt[SALT_LENGTH], const char *password);

void bridge_destroy(struct bridge *b); /* wipes the password; NULL is fine */

/* A payload of the client. True: the password is known. Else *say goes to the client. */
bool bridge_feed(struct bridge *b, const uint8_t *payload, size_t len, struct buffer *say);

/* Appends the payload of the HandshakeResponse41 for vtgate. */
void bridge_response(const struct bridge *b, struct buffer *out);

/* Appends the answer to an AuthSwitchRequest of vtgate; false for a plugin it does not know. The
   caller has made sure that a cleartext password may cross the link. */
bool bridge_answer(const struct bridge *b, struct bytes plugin, struct bytes salt,
                   struct buffer *out);

#endif
