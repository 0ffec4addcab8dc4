/*
 * The login on the admin port: greeting, the client's answer by either of the two schemes, switch
 * of the scheme. Without admin_users everybody who was let in so far is welcome.
 */
#include <event2/bufferevent_ssl.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/admin_internal.h"
#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/server.h"

#define NATIVE "mysql_native_password"
#define SHA2   "caching_sha2_password"

#define FAILURES_ALLOWED 10
#define BLOCK_MS         60000 /* of quiet, after that many failures */

const struct admin_user *admin_find_user(const struct admin *admin, const char *name)
{
    for (size_t i = 0; i < admin->user_count; i++) {
        if (strcmp(admin->users[i].name, name) == 0)
            return &admin->users[i];
    }
    return NULL;
}

void admin_login_greet(struct admin_client *c)
{
    static const char VERSION[] = "8.4.0-vtshim-" VTSHIM_VERSION;
    struct greeting g = {
        .version = {(const uint8_t *)VERSION, sizeof(VERSION) - 1},
        .connection_id = c->id = ++c->admin->last_id,
        .capabilities = CAP_LONG_PASSWORD | CAP_FOUND_ROWS | CAP_LONG_FLAG | CAP_CONNECT_WITH_DB |
                        CAP_PROTOCOL_41 | CAP_TRANSACTIONS | CAP_SECURE_CONNECTION |
                        CAP_MULTI_RESULTS | CAP_PLUGIN_AUTH | CAP_CONNECT_ATTRS |
                        CAP_PLUGIN_AUTH_LENENC | CAP_DEPRECATE_EOF,
        .charset = 45,
        .status = STATUS_AUTOCOMMIT,
        .plugin = {(const uint8_t *)SHA2, sizeof(SHA2) - 1},
    };
    struct buffer out;

    if (c->admin->server->tls->client)
        g.capabilities |= CAP_SSL;
    if (RAND_bytes(c->salt, sizeof(c->salt)) != 1)
        memory_exhausted(); /* the generator fails for nothing else once seeded by the kernel */
    for (size_t i = 0; i < sizeof(c->salt); i++)
        c->salt[i] = (uint8_t)(c->salt[i] % 94 + 33); /* clients read it as a string */
    memcpy(g.salt, c->salt, sizeof(g.salt));
    buffer_init(&out, 4096);
    size_t mark = packet_begin(&out);

    greeting_append(&out, &g);
    packet_end(&out, mark, 0);
    admin_client_write(c, &out);
}

/* The place of that address among those that failed lately; of one that did not, if `make`, the one
   that was quiet for longest. */
static struct admin_failures *find_failures(struct admin *admin, const char *peer, bool make)
{
    struct admin_failures *oldest = &admin->failures[0];

    for (size_t i = 0; i < ADMIN_FAILURES_MAX; i++) {
        struct admin_failures *f = &admin->failures[i];

        if (strcmp(f->peer, peer) == 0)
            return f;
        if (f->last_ms < oldest->last_ms)
            oldest = f;
    }
    if (!make)
        return NULL;
    *oldest = (struct admin_failures){.count = 0};
    snprintf(oldest->peer, sizeof(oldest->peer), "%s", peer);
    return oldest;
}

static void count_failure(struct admin_client *c)
{
    struct admin_failures *f = find_failures(c->admin, c->peer, true);
    int64_t now = clock_ms();

    if (now - f->last_ms > BLOCK_MS)
        f->count = 0;
    f->last_ms = now;
    if (++f->count == FAILURES_ALLOWED)
        log_warn("admin_blocked", "peer:s seconds:d", c->peer, (int64_t)(BLOCK_MS / 1000));
}

/* Whoever guesses gets a few guesses a minute. Refused without a look at the password. */
static bool is_blocked(struct admin_client *c)
{
    const struct admin_failures *f = find_failures(c->admin, c->peer, false);
    struct buffer out;
    char text[256];

    if (!f || f->count < FAILURES_ALLOWED || clock_ms() - f->last_ms > BLOCK_MS)
        return false;
    snprintf(text, sizeof(text),
             "Host '%s' is blocked because of many failed logins; try again in a minute", c->peer);
    buffer_init(&out, 4096);
    reply_error(&out, c->sequence, 1129, "HY000", text);
    admin_client_write(c, &out);
    admin_client_end(c);
    return true;
}

static void deny(struct admin_client *c, bool with_password)
{
    struct buffer out;
    char text[256];

    count_failure(c);

    snprintf(text, sizeof(text), "Access denied for user '%s'@'%s' (using password: %s)", c->user,
             c->peer, with_password ? "YES" : "NO");
    log_warn("admin_login_failed", "user:s peer:s", c->user, c->peer);
    buffer_init(&out, 4096);
    reply_error(&out, c->sequence, 1045, "28000", text);
    admin_client_write(c, &out);
    admin_client_end(c);
}

/* Whether the client has shown a certificate with that common name; that it was signed by one of
   tls.ca the handshake has checked, which asks for none without that setting. */
static bool has_certificate(const struct admin_client *c, const char *name)
{
    SSL *ssl = c->inner ? bufferevent_openssl_get_ssl(c->bev) : NULL;
    X509 *shown = ssl ? SSL_get1_peer_certificate(ssl) : NULL;
    char found[260] = ""; /* longer than any name that is asked for */

    if (!shown)
        return false;
    /* A name with a NUL inside would compare as what stands before it. */
    int length = X509_NAME_get_text_by_NID(X509_get_subject_name(shown), NID_commonName, found,
                                           (int)sizeof(found));
    bool ok = length > 0 && (size_t)length == strlen(found) && strcmp(found, name) == 0;

    X509_free(shown);
    return ok && SSL_get_verify_result(ssl) == X509_V_OK;
}

static void welcome(struct admin_client *c, bool fast_auth)
{
    const struct admin_user *user = admin_find_user(c->admin, c->user);
    struct buffer out;

    if (user && user->certificate && !has_certificate(c, user->certificate)) {
        deny(c, true);
        return;
    }

    buffer_init(&out, 4096);
    if (fast_auth) { /* caching_sha2_password: AuthMoreData "fast_auth_success" */
        static const uint8_t SUCCESS[] = {0x01, 0x03};

        c->sequence = packet_append(&out, c->sequence, SUCCESS, sizeof(SUCCESS));
    }
    reply_ok(&out, c->sequence, c->capabilities, STATUS_AUTOCOMMIT, 0, 0, NULL);
    admin_client_write(c, &out);
    c->role = user ? user->role : CONFIG_ROLE_ADMIN;
    c->state = ADMIN_READY;
    admin_client_read_on(c);
    log_info("admin_login", "user:s peer:s role:s", c->user, c->peer, config_role_name(c->role));
}

static const struct admin_secret *find_secret(const struct admin *admin, const char *name)
{
    static const struct admin_secret NOBODY = {.has_sha2 = true, .has_native = true};

    const struct admin_user *user = admin_find_user(admin, name);

    return user ? &user->secret
                : &NOBODY; /* nobody can prove to know a password whose double digest is zero */
}

static void switch_plugin(struct admin_client *c, bool to_sha2)
{
    struct buffer out;

    buffer_init(&out, 4096);
    size_t mark = packet_begin(&out);

    auth_switch_append(&out, to_sha2 ? SHA2 : NATIVE, c->salt);
    packet_end(&out, mark, c->sequence);
    admin_client_write(c, &out);
    c->switched_to_sha2 = to_sha2;
    c->state = ADMIN_SWITCHED;
    admin_client_read_on(c);
}

static bool is_plugin(struct bytes plugin, const char *name)
{
    return plugin.len == strlen(name) && memcmp(plugin.p, name, plugin.len) == 0;
}

void admin_login_response(struct admin_client *c, const uint8_t *payload, size_t len)
{
    const struct admin *admin = c->admin;
    struct handshake_response hr;

    if (!handshake_response_parse(payload, len, &hr)) {
        admin_client_send_error(c, SHIM_ERROR_HANDSHAKE);
        admin_client_end(c);
        return;
    }
    c->capabilities = hr.capabilities;
    snprintf(c->user, sizeof(c->user), "%.*s", (int)(hr.user.len < 63 ? hr.user.len : 63),
             (const char *)hr.user.p);
    bool client_sha2 = is_plugin(hr.plugin, SHA2);

    if (admin->user_count == 0) { /* but who has a password, or none, expects an answer to it */
        welcome(c, client_sha2 && hr.auth.len > 1);
        return;
    }
    if (is_blocked(c))
        return;
    const struct admin_secret *secret = find_secret(admin, c->user);

    if (client_sha2 && secret->has_sha2) {
        if (admin_auth_sha2(secret, c->salt, hr.auth))
            welcome(c, true);
        else
            deny(c, hr.auth.len > 0);
        return;
    }
    /* A stored hash of one kind only decides the plugin; with both, the client's own wins. */
    switch_plugin(c, !secret->has_native);
}

void admin_login_switched(struct admin_client *c, const uint8_t *payload, size_t len)
{
    const struct admin_secret *secret = find_secret(c->admin, c->user);
    struct bytes answer = {payload, len};
    bool ok = c->switched_to_sha2 ? admin_auth_sha2(secret, c->salt, answer)
                                  : admin_auth_native(secret, c->salt, answer);

    if (ok)
        welcome(c, c->switched_to_sha2);
    else
        deny(c, len > 0);
}
