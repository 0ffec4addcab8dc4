/*
 * TLS contexts made from the configuration: for clients, for vtgate, for vtctld, for etcd. Contexts
 * are shared by all threads and never change; a reload makes new ones, and connections keep those
 * that they began with.
 */
#ifndef VTSHIM_PROXY_TLS_H
#define VTSHIM_PROXY_TLS_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>

#include "config/options.h"

struct tls_contexts {
    SSL_CTX *client;             /* NULL: clients cannot use TLS */
    SSL_CTX *backend;            /* NULL: vtgate_tls.mode is off */
    SSL_CTX *vtctld;             /* NULL: vtctld_tls.mode is off */
    SSL_CTX *etcd;               /* NULL: etcd_tls.mode is off */
    const struct config *config; /* what they were made from; outlives them */
};

/* NULL when a file cannot be read or does not fit: *error then says which setting and why. */
struct tls_contexts *tls_contexts_create(const struct config *config, char *error,
                                         size_t error_size);
void tls_contexts_destroy(struct tls_contexts *tls); /* NULL is allowed */

/* A connection object for one client; NULL when out of memory. The stream takes it over. */
SSL *tls_new_server(const struct tls_contexts *tls);

/* One towards the vtgate at `host`, checked as vtgate_tls.mode demands. */
SSL *tls_new_client(const struct tls_contexts *tls, const char *host);

/*
 * What clients are shown, for the log: until when the certificate is valid, and the first 16
 * hexadecimal digits of its SHA-256. False without tls.cert.
 */
bool tls_describe(const struct tls_contexts *tls, char *expires, size_t expires_size,
                  char *fingerprint, size_t fingerprint_size);

/* One towards the vtctld at `host`, checked as vtctld_tls.mode demands. */
SSL *tls_new_vtctld(const struct tls_contexts *tls, const char *host);

/* One towards the etcd at `host`, checked as etcd_tls.mode demands. */
SSL *tls_new_etcd(const struct tls_contexts *tls, const char *host);

/* The reason of the last TLS failure of this thread, for the log; never NULL. */
const char *tls_last_error(char *buf, size_t size);

#endif
