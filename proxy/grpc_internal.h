/*
 * What grpc.c (calls: waiting, deadlines, answers; which server) and grpc_connection.c (one
 * connection: socket, TLS, HTTP/2) share. For them only.
 */
#ifndef VTSHIM_PROXY_GRPC_INTERNAL_H
#define VTSHIM_PROXY_GRPC_INTERNAL_H

#include <nghttp2/nghttp2.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "proxy/grpc.h"
#include "proxy/stream.h"

#define GRPC_TEXT_MAX 65536 /* as long as nghttp2 lets a header block be */

struct grpc_call {
    TAILQ_ENTRY(grpc_call) link; /* of the client's waiting or finished, or of its connection's */
    struct grpc_client *client;
    struct grpc_connection *connection; /* NULL: waiting, or finished */
    char *path;
    struct buffer request; /* framed */
    size_t sent;           /* bytes of it that HTTP/2 has taken */
    int32_t stream;
    unsigned refusals;
    int64_t deadline_ms;
    struct loop_timer timer;
    grpc_done *done;
    void *arg;
    /* The answer as it comes. */
    struct grpc_collector body;
    unsigned http;
    bool is_grpc, has_status;
    enum grpc_status status;
    char *text; /* owned, or NULL */
    bool maybe_done;
};

TAILQ_HEAD(grpc_calls, grpc_call);

enum grpc_stage { GRPC_CONNECTING, GRPC_SHAKING_HANDS, GRPC_SETTLING, GRPC_READY };

struct grpc_connection {
    LIST_ENTRY(grpc_connection) link; /* of client->connections */
    struct grpc_client *client;
    const struct endpoint *server;
    enum grpc_stage stage;
    bool leaving; /* GOAWAY: no new calls */
    struct stream stream;
    nghttp2_session *http2;
    struct grpc_calls calls;
    struct loop_timer timer; /* until READY: the limit; then: of a ping */
};

struct grpc_client {
    struct loop *loop;
    struct grpc_settings settings;
    LIST_HEAD(, grpc_connection) connections;
    struct grpc_connection *current; /* for new calls; NULL: none, or connecting */
    struct grpc_connection *coming;  /* connecting */
    struct grpc_calls waiting, finished;
    struct loop_timer deliver_event, kick_event;
    struct loop_timer pause_timer; /* pending: no server could be reached a moment ago */
    size_t server;                 /* index of the one in use, or to be tried next */
    size_t failures;               /* servers that failed in this round */
    struct addrinfo *list; /* of the server that is being tried, and which of them is next */
    struct addrinfo *next;
    int64_t pause_ms; /* before the next round */
    char last_error[512];
};

/* grpc.c, for connections */
void grpc_client_ready(struct grpc_client *client, struct grpc_connection *c);
/* It could not be made, or is lost; its calls have been taken from it. c is gone afterwards. */
void grpc_client_lost(struct grpc_client *client, struct grpc_connection *c, const char *why);
void grpc_call_finish(struct grpc_call *call); /* status and text are set: to be delivered */
void grpc_call_fail(struct grpc_call *call, enum grpc_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void grpc_call_again(struct grpc_call *call); /* refused unseen: waits for a connection */

/* grpc_connection.c */
/* Starts connecting; NULL with *error when not even that is possible. */
struct grpc_connection *grpc_connection_open(struct grpc_client *client,
                                             const struct endpoint *server,
                                             const struct sockaddr *sa, socklen_t len,
                                             const char **error);
/* Takes the call from those that wait and sends it. The connection may be lost over it. */
void grpc_connection_send(struct grpc_connection *c, struct grpc_call *call);
/* The call's deadline has passed: it fails, the server is told, and asked whether it is still
   there. The connection may be lost over it. */
void grpc_connection_expire(struct grpc_connection *c, struct grpc_call *call);
void grpc_connection_free(struct grpc_connection *c);

#endif
