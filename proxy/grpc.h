/*
 * A client for unary gRPC calls over HTTP/2 (nghttp2), on one loop: nothing blocks, calls run
 * beside each other on one connection, each has a deadline. All functions are of the loop's thread.
 *
 * The connection is made when a call needs it and kept. Several servers are tried in turn; when
 * none can be reached the calls that wait fail, and the next try comes after a pause. A server that
 * says GOAWAY finishes what it has begun while new calls go over a new connection. What a server
 * has provably not looked at (a refused stream) is sent again; nothing else is.
 */
#ifndef VTSHIM_PROXY_GRPC_H
#define VTSHIM_PROXY_GRPC_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/options.h"
#include "protocol/grpc.h"
#include "proxy/loop.h"

struct grpc_client;

/* All of it is borrowed for the client's life. */
struct grpc_settings {
    const char *what; /* "vtctld": for error texts and logs */
    const struct endpoints *servers;
    /* NULL: no TLS. A connection object for the server at `host`, taken over by the client. */
    SSL *(*new_tls)(void *context, const char *host);
    void *tls_context;
    const char *user, *password; /* metadata "username" and "password"; user "": none */
    /* Metadata "token", asked for with each call; NULL, or NULL from it: none. */
    const char *(*token)(void *context);
    void *token_context;
    int64_t connect_ms; /* for connecting, TLS and the server's first frame */
    size_t message_max; /* bytes of an answer */
};

struct grpc_result {
    enum grpc_status status;
    const char *text;     /* of a failure, for people: one line; may hold what the call sent */
    bool maybe_done;      /* of a failure: the server may have carried it out all the same */
    struct bytes message; /* with OK */
};

/* The result is borrowed until the callback returns. Never called from inside of grpc_call. */
typedef void grpc_done(void *arg, const struct grpc_result *result);

struct grpc_client *grpc_create(struct loop *loop, const struct grpc_settings *settings);

/* path is "/package.Service/Method"; path and message are copied. done is called exactly once. */
void grpc_call(struct grpc_client *client, const char *path, const void *message, size_t len,
               int64_t timeout_ms, grpc_done *done, void *arg);

/* Calls under way are answered first, with CANCELLED. */
void grpc_destroy(struct grpc_client *client);

#endif
