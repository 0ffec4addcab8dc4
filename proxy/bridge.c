/*
 * caching_sha2_password towards the client, mysql_native_password towards vtgate. ("Caching_sha2_
 * password information" in the MySQL Source Code Documentation; the client's side is
 * sql-common/client_authentication.cc, caching_sha2_password_auth_client.)
 */
#include "proxy/bridge.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/auth.h"
#include "proxy/memory.h"

#define SHA2          "caching_sha2_password"
#define NATIVE        "mysql_native_password"
#define CLEAR         "mysql_clear_password"
#define SCRAMBLE_SIZE 32u
#define RESPONSE_MAX  (256u << 10)

struct bridge {
    struct buffer original; /* the client's response, whose answer is replaced */
    uint8_t salt[SALT_LENGTH];
    bool asked;     /* the scramble has come, the password is awaited */
    char *password; /* NULL: not known yet */
};

bool bridge_needed(const struct handshake_response *hr, const char *plugin)
{
    struct bytes version = handshake_attribute(hr, "_client_version");
    unsigned major = 0;

    if (strcmp(plugin, SHA2) == 0)
        return false; /* the client's scramble is what the server wants */
    if (!bytes_are(hr->plugin, SHA2) ||
        !bytes_are(handshake_attribute(hr, "_client_name"), "libmysql"))
        return false;
    for (size_t i = 0; i < version.len && version.p[i] >= '0' && version.p[i] <= '9' && i < 4; i++)
        major = major * 10 + (version.p[i] - '0');
    return major >= 9;
}

bool bridge_keeps_first_salt(const struct handshake_response *hr)
{
    return bytes_are(handshake_attribute(hr, "_client_name"), "libmariadb");
}

struct bridge *bridge_create(const struct handshake_response *hr, const uint8_t salt[SALT_LENGTH],
                             struct buffer *say)
{
    struct bridge *b = memory_zalloc(sizeof(*b));
    uint8_t own_salt[SALT_LENGTH];

    buffer_init(&b->original, RESPONSE_MAX);
    handshake_response_append(&b->original, hr);
    memcpy(b->salt, salt, SALT_LENGTH);
    if (RAND_bytes(own_salt, sizeof(own_salt)) != 1)
        memory_exhausted(); /* the generator fails for nothing else once seeded by the kernel */
    for (size_t i = 0; i < sizeof(own_salt); i++)
        own_salt[i] = (uint8_t)(own_salt[i] % 94 + 33); /* no NUL: clients read a string */
    auth_switch_append(say, SHA2, own_salt);
    return b;
}

struct bridge *bridge_create_inner(const struct handshake_response *hr,
                                   const uint8_t salt[SALT_LENGTH], const char *password)
{
    struct bridge *b = memory_zalloc(sizeof(*b));

    buffer_init(&b->original, RESPONSE_MAX);
    handshake_response_append(&b->original, hr);
    memcpy(b->salt, salt, SALT_LENGTH);
    b->password = memory_copy(password, strlen(password));
    return b;
}

void bridge_destroy(struct bridge *b)
{
    if (!b)
        return;
    if (b->password)
        OPENSSL_cleanse(b->password, strlen(b->password));
    free(b->password);
    buffer_wipe(&b->original);
    free(b);
}

bool bridge_feed(struct bridge *b, const uint8_t *payload, size_t len, struct buffer *say)
{
    static const uint8_t FULL_AUTHENTICATION[] = {0x01, 0x04};

    if (!b->asked && len == SCRAMBLE_SIZE) {
        b->asked = true;
        buffer_bytes(say, FULL_AUTHENTICATION, sizeof(FULL_AUTHENTICATION));
        return false;
    }
    /* Behind the scramble: the password and a NUL. In its place: an empty password. */
    size_t n = b->asked ? strnlen((const char *)payload, len) : 0;

    b->password = memory_copy((const char *)payload, n);
    return true;
}

void bridge_response(const struct bridge *b, struct buffer *out)
{
    uint8_t answer[AUTH_NATIVE_SIZE];
    struct handshake_response hr;

    if (!handshake_response_parse(b->original.data, b->original.len, &hr))
        abort(); /* it was parsed before */
    auth_native_answer(b->password, b->salt, answer);
    hr.auth = (struct bytes){answer, *b->password ? sizeof(answer) : 0};
    hr.plugin = (struct bytes){(const uint8_t *)NATIVE, sizeof(NATIVE) - 1};
    handshake_response_append(out, &hr);
}

bool bridge_answer(const struct bridge *b, struct bytes plugin, struct bytes salt,
                   struct buffer *out)
{
    uint8_t answer[AUTH_NATIVE_SIZE];

    if (bytes_are(plugin, CLEAR)) {
        buffer_bytes(out, b->password, strlen(b->password) + 1);
        return true;
    }
    if (!bytes_are(plugin, NATIVE) || salt.len < SALT_LENGTH)
        return false;
    auth_native_answer(b->password, salt.p, answer);
    buffer_bytes(out, answer, *b->password ? sizeof(answer) : 0);
    return true;
}
