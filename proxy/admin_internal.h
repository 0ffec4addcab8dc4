/*
 * What the files of the admin port's connections share: admin.c (the port, and the look at all
 * clients), admin_client.c (one connection: packets, TLS, its end), admin_login.c, admin_reply.c
 * (the answers of commands). For them only.
 *
 * What a client can make the shim keep is bounded: it is read up to ADMIN_PACKET_MAX and not at all
 * while a command is under way or more than ADMIN_BACKLOG_MAX of answers wait for it.
 */
#ifndef VTSHIM_PROXY_ADMIN_INTERNAL_H
#define VTSHIM_PROXY_ADMIN_INTERNAL_H

#include <event2/bufferevent.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "protocol/handshake.h"
#include "protocol/reply.h"
#include "proxy/admin.h"
#include "proxy/auth.h"
#include "proxy/sockets.h"

#define ADMIN_PACKET_MAX  (1u << 20)
#define ADMIN_BACKLOG_MAX (1u << 20)

enum admin_state { ADMIN_LOGIN, ADMIN_SWITCHED, ADMIN_READY, ADMIN_BUSY, ADMIN_CLOSING };

struct admin_user {
    char *name;
    char *certificate; /* the common name that its TLS certificate must have, or NULL */
    struct admin_secret secret;
    enum config_role role;
};

#define ADMIN_FAILURES_MAX 64

/* Failed logins from one address. */
struct admin_failures {
    char peer[64];
    unsigned count;
    int64_t last_ms;
};

struct admin {
    struct server *server;
    struct listener *listener;
    struct event *sweep;
    bool stopping;
    struct admin_user *users;
    size_t user_count;
    TAILQ_HEAD(admin_clients, admin_client) clients;
    size_t client_count;
    uint32_t last_id;
    struct admin_failures failures[ADMIN_FAILURES_MAX]; /* since the start, or the last quiet */
};

struct admin_client {
    TAILQ_ENTRY(admin_client) link;
    struct admin *admin;
    struct bufferevent *bev, *inner; /* with TLS inner is the one of the socket, else NULL */
    enum admin_state state;
    bool gone; /* closed while BUSY: freed by the reply */
    bool quit; /* it has taken its leave, by COM_QUIT */
    bool switched_to_sha2;
    uint32_t id;
    admin_interrupt *interrupt; /* of a stream under way, or NULL */
    void *interrupt_arg;
    bool waits; /* BUSY: nothing has been sent yet, and it is interrupted when the client leaves */
    uint8_t sequence; /* of the next packet to the client */
    uint32_t capabilities;
    uint8_t salt[SALT_LENGTH];
    char user[64], peer[64];
    enum config_role role;                   /* of the user, once logged in */
    LIST_HEAD(, admin_statement) statements; /* prepared ones */
    size_t statement_count;
    uint32_t last_statement;
    int64_t accepted_ms;
    struct socket_stall stall;
};

/* admin_client.c */

/* A client on that socket, which it owns. NULL, and the socket closed, without memory for it. */
struct admin_client *admin_client_create(struct admin *admin, int fd, const struct sockaddr *sa);
/* Closes now, or as soon as the command under way has its answer. */
void admin_client_close(struct admin_client *c);
void admin_client_free(struct admin_client *c);
/* Sends what is in the buffer, if the client is still there, and releases it. */
void admin_client_write(struct admin_client *c, struct buffer *out);
/* One of the shim's own errors. */
void admin_client_send_error(struct admin_client *c, enum shim_error error);
/* Nothing more is read; the connection ends when the client has taken what waits for it. */
void admin_client_end(struct admin_client *c);
/* The next packet, which may have come already, unless the client has yet to take what it asked
   for: it is read when it has. */
void admin_client_read_on(struct admin_client *c);
/* Bytes of answers that the system has not taken over yet. */
size_t admin_client_backlog(const struct admin_client *c);

/* admin_login.c */
/* The user of that name, or NULL. */
const struct admin_user *admin_find_user(const struct admin *admin, const char *name);
void admin_login_greet(struct admin_client *c);
/* The client's HandshakeResponse41, and its answer to an AuthSwitchRequest. */
void admin_login_response(struct admin_client *c, const uint8_t *payload, size_t len);
void admin_login_switched(struct admin_client *c, const uint8_t *payload, size_t len);

/* admin_packets.c: where answers go; an EOF packet for COM_SET_OPTION; no answer at all; the
   answer to COM_STMT_PREPARE. They free rq. */
extern const struct admin_sink ADMIN_PACKETS;
void admin_reply_eof(struct admin_request *rq);
void admin_reply_nothing(struct admin_request *rq);
void admin_reply_prepared(struct admin_request *rq, uint32_t id, unsigned params);

/* admin_prepared.c: the COM_STMT commands. Takes over rq. */
void admin_prepared_command(struct admin_request *rq, const uint8_t *payload, size_t len);
void admin_prepared_forget_all(struct admin_client *c);

#endif
