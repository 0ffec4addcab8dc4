/*
 * TLS contexts made from the configuration: for clients, for vtgate, for vtctld. Contexts are
 * shared by all threads and never change; a reload makes new ones.
 */
#ifndef VTSHIM_PROXY_TLS_H
#define VTSHIM_PROXY_TLS_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>

#include "config/options.h"

struct tls_contexts {
    SSL_CTX *client;  /* NULL: clients cannot use TLS */
    SSL_CTX *backend; /* NULL: vtgate_tls.mode is off */
    SSL_CTX *vtctld;  /* NULL: vtctld_tls.mode is off */
};

/* False when a file cannot be read or does not fit: *error then says which setting and why. */
bool tls_contexts_create(struct tls_contexts *tls, const struct config *config, char *error,
                         size_t error_size);
void tls_contexts_destroy(struct tls_contexts *tls);

/* A connection object for one client; NULL when out of memory. The stream takes it over. */
SSL *tls_new_server(const struct tls_contexts *tls);

/* One towards the vtgate at `host`, checked as vtgate_tls.mode demands. */
SSL *tls_new_client(const struct tls_contexts *tls, const struct config *config, const char *host);

/* One towards the vtctld at `host`, checked as vtctld_tls.mode demands. */
SSL *tls_new_vtctld(const struct tls_contexts *tls, const struct config *config, const char *host);

/* The reason of the last TLS failure of this thread, for the log; never NULL. */
const char *tls_last_error(char *buf, size_t size);

#endif
