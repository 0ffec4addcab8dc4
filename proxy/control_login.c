/*
 * control.user's login, with either client library: what each of them does about TLS, and what its
 * errors mean. Nothing here is kept but for the fingerprints.
 */
#include "proxy/control_login.h"

#include <errmsg.h>
#include <stddef.h>

#include "proxy/server.h"

#define SERVER_ERROR_MIN 1000

/* MariaDB's library has client errors of its own from 5000 on, Oracle's has none. */
#ifndef CER_MIN_ERROR
#define CER_MIN_ERROR 1
#define CER_MAX_ERROR 0
#endif

/* The files; the authority only where sessions use it, too. */
static void set_tls_files(MYSQL *m, const struct config *c)
{
    if (*c->vtgate_tls_cert)
        mysql_options(m, MYSQL_OPT_SSL_CERT, c->vtgate_tls_cert);
    if (*c->vtgate_tls_key)
        mysql_options(m, MYSQL_OPT_SSL_KEY, c->vtgate_tls_key);
    if (*c->vtgate_tls_ca && c->vtgate_tls_mode >= CONFIG_TLS_VERIFY_CA)
        mysql_options(m, MYSQL_OPT_SSL_CA, c->vtgate_tls_ca);
}

#ifdef MARIADB_PACKAGE_VERSION_ID

/*
 * This library compares the certificate's name with the host that it connects to, and insists on
 * TLS only if it may do that (or is given a fingerprint). It knows no other name.
 */
static bool library_verifies(const struct config *c)
{
    return c->vtgate_tls_mode == CONFIG_TLS_VERIFY_IDENTITY && !*c->vtgate_tls_server_name;
}

/* Whether the password may be sent only to one who has a certificate that the shim has looked at
   itself. (Who logs in without a password has nothing to lose.) */
static bool needs_pin(const struct config *c)
{
    return *c->control_user && c->vtgate_tls_mode >= CONFIG_TLS_REQUIRED && !library_verifies(c);
}

static void apply_tls(MYSQL *m, const struct config *c, const struct control_pin *pin)
{
    my_bool use = c->vtgate_tls_mode != CONFIG_TLS_OFF ? 1 : 0;
    my_bool verify = library_verifies(c) ? 1 : 0;

    if (use)
        set_tls_files(m, c);
    mysql_options(m, MYSQL_OPT_SSL_ENFORCE, &use); /* means: if the server has it */
    mysql_options(m, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verify);
    if (pin)
        mysql_options(m, MARIADB_OPT_TLS_PEER_FP, pin->fingerprint);
}

/* Before 3.4 it knew but one kind of fingerprint. */
static const EVP_MD *pin_digest(void)
{
    return mysql_get_client_version() < 30400 ? EVP_sha1() : EVP_sha256();
}

#else

/*
 * Oracle's has the same modes as vtgate_tls.mode and keeps to them. It does not know of
 * vtgate_tls.server_name: with that and verify-identity, the login fails where the names differ.
 */
static void apply_tls(MYSQL *m, const struct config *c, const struct control_pin *pin)
{
    static const unsigned MODES[] = {
        [CONFIG_TLS_OFF] = SSL_MODE_DISABLED,
        [CONFIG_TLS_PREFERRED] = SSL_MODE_PREFERRED,
        [CONFIG_TLS_REQUIRED] = SSL_MODE_REQUIRED,
        [CONFIG_TLS_VERIFY_CA] = SSL_MODE_VERIFY_CA,
        [CONFIG_TLS_VERIFY_IDENTITY] = SSL_MODE_VERIFY_IDENTITY,
    };

    (void)pin;
    set_tls_files(m, c);
    mysql_options(m, MYSQL_OPT_SSL_MODE, &MODES[c->vtgate_tls_mode]);
}

static bool needs_pin(const struct config *c)
{
    (void)c;
    return false;
}

static const EVP_MD *pin_digest(void)
{
    return EVP_sha256();
}

#endif

/* NULL with *code when it failed. */
static MYSQL *try_login(const struct config *c, const struct vtgate *v,
                        const struct control_pin *pin, unsigned *code)
{
    const struct endpoint *e = vtgate_endpoint(v);
    unsigned timeout = (unsigned)((c->timeouts_connect_ms + 999) / 1000);
    unsigned protocol = e->is_unix ? MYSQL_PROTOCOL_SOCKET : MYSQL_PROTOCOL_TCP;
    MYSQL *m = mysql_init(NULL);

    *code = CR_OUT_OF_MEMORY;
    if (!m)
        return NULL;
    mysql_options(m, MYSQL_OPT_CONNECT_TIMEOUT, &timeout);
    mysql_options(m, MYSQL_OPT_READ_TIMEOUT, &timeout);
    mysql_options(m, MYSQL_OPT_WRITE_TIMEOUT, &timeout);
    mysql_options(m, MYSQL_OPT_PROTOCOL, &protocol); /* "localhost" would be a unix socket */
    apply_tls(m, c, pin);
    if (mysql_real_connect(m, e->is_unix ? NULL : e->host,
                           *c->control_user ? c->control_user : NULL, c->control_password, NULL,
                           e->port, e->is_unix ? e->host : NULL, 0)) {
        *code = 0;
        return m;
    }
    *code = mysql_errno(m);
    mysql_close(m);
    return NULL;
}

static struct control_pin *find_pin(struct control_login *l, const struct vtgate *v)
{
    size_t i = 0;

    while (vtgates_at(l->server->vtgates, i) != v)
        i++;
    return &l->pins[i];
}

MYSQL *control_login(struct control_login *l, struct vtgate *v, unsigned *code)
{
    const struct config *c = l->server->config;

    if (!needs_pin(c))
        return try_login(c, v, NULL, code);
    struct control_pin *pin = find_pin(l, v);
    bool fresh;

    do {
        fresh = !*pin->fingerprint;
        if (fresh && !vtgate_probe(l->server, v, pin_digest(), pin->fingerprint)) {
            *pin->fingerprint = '\0';
            *code = CR_CONNECTION_ERROR;
            return NULL;
        }
        MYSQL *m = try_login(c, v, pin, code);

        if (m || *code != CR_SSL_CONNECTION_ERROR)
            return m;
        *pin->fingerprint = '\0';
    } while (!fresh);
    return NULL;
}

/* --- errors ---------------------------------------------------------------------------------- */

bool control_login_tells_alive(const struct config *c, unsigned code)
{
    switch (code) {
    case CR_ALREADY_CONNECTED:
    case CR_AUTH_PLUGIN_CANNOT_LOAD:
    case CR_AUTH_PLUGIN_ERR:
        return true;
    case CR_SSL_CONNECTION_ERROR:
        return needs_pin(c);
    default:
        return code >= SERVER_ERROR_MIN && !(code >= CR_MIN_ERROR && code <= CR_MAX_ERROR) &&
               !(code >= CER_MIN_ERROR && code <= CER_MAX_ERROR);
    }
}
