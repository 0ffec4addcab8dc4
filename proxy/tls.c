/*
 * OpenSSL contexts. TLS 1.2 and later only.
 */
#include "proxy/tls.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proxy/memory.h"

const char *tls_last_error(char *buf, size_t size)
{
    unsigned long code = ERR_peek_last_error();

    if (code == 0)
        snprintf(buf, size, "connection closed");
    else
        ERR_error_string_n(code, buf, size);
    return buf;
}

static bool tls_complain(char *error, size_t size, const char *key, const char *file)
{
    char reason[256];

    snprintf(error, size, "%s: cannot use %s: %s", key, file,
             tls_last_error(reason, sizeof(reason)));
    return false;
}

struct tls_files {
    const char *prefix; /* of the keys, for error texts */
    const char *cert, *key, *ca;
};

static bool context_load(SSL_CTX *ctx, const struct tls_files *f, char *error, size_t size)
{
    char name[64];

    if (*f->cert && SSL_CTX_use_certificate_chain_file(ctx, f->cert) != 1) {
        snprintf(name, sizeof(name), "%s.cert", f->prefix);
        return tls_complain(error, size, name, f->cert);
    }
    if (*f->key && (SSL_CTX_use_PrivateKey_file(ctx, f->key, SSL_FILETYPE_PEM) != 1 ||
                    SSL_CTX_check_private_key(ctx) != 1)) {
        snprintf(name, sizeof(name), "%s.key", f->prefix);
        return tls_complain(error, size, name, f->key);
    }
    if (*f->ca && SSL_CTX_load_verify_locations(ctx, f->ca, NULL) != 1) {
        snprintf(name, sizeof(name), "%s.ca", f->prefix);
        return tls_complain(error, size, name, f->ca);
    }
    return true;
}

static SSL_CTX *context_create(const SSL_METHOD *method, const struct tls_files *files, char *error,
                               size_t size)
{
    SSL_CTX *ctx = SSL_CTX_new(method);

    if (!ctx) {
        snprintf(error, size, "TLS: out of memory");
        return NULL;
    }
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    /* The stream keeps unsent bytes in a buffer that may move, and idle sessions need no buffers.
     */
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION);
    /* Passwords come this way: OpenSSL would keep a copy until more comes. */
    SSL_CTX_set_options(ctx, SSL_OP_CLEANSE_PLAINTEXT);
    if (!context_load(ctx, files, error, size)) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    return ctx;
}

static bool create_for_vtctld(struct tls_contexts *tls, char *error, size_t size)
{
    const struct config *c = tls->config;
    struct tls_files files = {"vtctld_tls", c->vtctld_tls_cert, c->vtctld_tls_key,
                              c->vtctld_tls_ca};

    if (c->vtctld_tls_mode == CONFIG_VTCTLD_TLS_OFF)
        return true;
    tls->vtctld = context_create(TLS_client_method(), &files, error, size);
    if (tls->vtctld && c->vtctld_tls_mode >= CONFIG_VTCTLD_TLS_VERIFY_CA)
        SSL_CTX_set_verify(tls->vtctld, SSL_VERIFY_PEER, NULL);
    return tls->vtctld;
}

static bool create_for_etcd(struct tls_contexts *tls, char *error, size_t size)
{
    const struct config *c = tls->config;
    struct tls_files files = {"etcd_tls", c->etcd_tls_cert, c->etcd_tls_key, c->etcd_tls_ca};

    if (c->etcd_tls_mode == CONFIG_ETCD_TLS_OFF)
        return true;
    tls->etcd = context_create(TLS_client_method(), &files, error, size);
    if (tls->etcd && c->etcd_tls_mode >= CONFIG_ETCD_TLS_VERIFY_CA)
        SSL_CTX_set_verify(tls->etcd, SSL_VERIFY_PEER, NULL);
    return tls->etcd;
}

static bool create_for_clients(struct tls_contexts *tls, char *error, size_t size)
{
    const struct config *c = tls->config;
    struct tls_files files = {"tls", c->tls_cert, c->tls_key, c->tls_ca};

    if (!*c->tls_cert)
        return true;
    tls->client = context_create(TLS_server_method(), &files, error, size);
    if (!tls->client)
        return false;
    if (*c->tls_ca)
        SSL_CTX_set_verify(tls->client, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_session_id_context(tls->client, (const unsigned char *)"vtshim", 6);
    return true;
}

static bool create_for_vtgate(struct tls_contexts *tls, char *error, size_t size)
{
    const struct config *c = tls->config;
    struct tls_files files = {"vtgate_tls", c->vtgate_tls_cert, c->vtgate_tls_key,
                              c->vtgate_tls_ca};

    if (c->vtgate_tls_mode == CONFIG_TLS_OFF)
        return true;
    tls->backend = context_create(TLS_client_method(), &files, error, size);
    if (!tls->backend)
        return false;
    if (c->vtgate_tls_mode >= CONFIG_TLS_VERIFY_CA)
        SSL_CTX_set_verify(tls->backend, SSL_VERIFY_PEER, NULL);
    return true;
}

struct tls_contexts *tls_contexts_create(const struct config *c, char *error, size_t size)
{
    struct tls_contexts *tls = memory_zalloc(sizeof(*tls));

    tls->config = c;
    if (create_for_clients(tls, error, size) && create_for_vtgate(tls, error, size) &&
        create_for_vtctld(tls, error, size) && create_for_etcd(tls, error, size))
        return tls;
    tls_contexts_destroy(tls);
    return NULL;
}

void tls_contexts_destroy(struct tls_contexts *tls)
{
    if (!tls)
        return;
    SSL_CTX_free(tls->client);
    SSL_CTX_free(tls->backend);
    SSL_CTX_free(tls->vtctld);
    SSL_CTX_free(tls->etcd);
    free(tls);
}

bool tls_describe(const struct tls_contexts *tls, char *expires, size_t expires_size,
                  char *fingerprint, size_t fingerprint_size)
{
    X509 *certificate = tls->client ? SSL_CTX_get0_certificate(tls->client) : NULL;
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    struct tm end;

    if (!certificate || ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end) != 1 ||
        X509_digest(certificate, EVP_sha256(), digest, &n) != 1)
        return false;
    strftime(expires, expires_size, "%Y-%m-%dT%H:%M:%SZ", &end);
    for (size_t i = 0; i < 8 && 2 * i + 2 < fingerprint_size; i++)
        snprintf(fingerprint + 2 * i, 3, "%02x", digest[i]);
    return true;
}

SSL *tls_new_server(const struct tls_contexts *tls)
{
    return SSL_new(tls->client);
}

/* Neither a literal address nor the path of a unix socket. */
static bool is_name(const char *host)
{
    struct in6_addr unused;

    return *host && *host != '/' && inet_pton(AF_INET, host, &unused) != 1 &&
           inet_pton(AF_INET6, host, &unused) != 1;
}

/* The name to ask for (SNI, RFC 6066, which allows no addresses) and the one to insist on. */
static bool expect_name(SSL *ssl, const char *name, bool verify)
{
    if (is_name(name) && SSL_set_tlsext_host_name(ssl, name) != 1)
        return false;
    /* A literal address is compared with the certificate's addresses, not with its names. */
    return !verify || X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1 ||
           SSL_set1_host(ssl, name) == 1;
}

static SSL *new_checked(SSL_CTX *context, const char *name, bool verify)
{
    SSL *ssl = SSL_new(context);

    if (ssl && !expect_name(ssl, name, verify)) {
        SSL_free(ssl); /* never go on without the check that was asked for */
        return NULL;
    }
    return ssl;
}

SSL *tls_new_client(const struct tls_contexts *tls, const char *host)
{
    const struct config *c = tls->config;

    return new_checked(tls->backend, *c->vtgate_tls_server_name ? c->vtgate_tls_server_name : host,
                       c->vtgate_tls_mode == CONFIG_TLS_VERIFY_IDENTITY);
}

SSL *tls_new_vtctld(const struct tls_contexts *tls, const char *host)
{
    const struct config *c = tls->config;

    return new_checked(tls->vtctld, *c->vtctld_tls_server_name ? c->vtctld_tls_server_name : host,
                       c->vtctld_tls_mode == CONFIG_VTCTLD_TLS_VERIFY_IDENTITY);
}

SSL *tls_new_etcd(const struct tls_contexts *tls, const char *host)
{
    const struct config *c = tls->config;

    return new_checked(tls->etcd, *c->etcd_tls_server_name ? c->etcd_tls_server_name : host,
                       c->etcd_tls_mode == CONFIG_ETCD_TLS_VERIFY_IDENTITY);
}
