/*
 * Accepting clients on the control loop: who is let in at all, and which worker gets him. What a
 * listening socket is, and errors of accept itself, are listener.c's.
 */
#include "proxy/accept.h"

#include <event2/listener.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "protocol/reply.h"
#include "proxy/listener.h"
#include "proxy/memory.h"
#include "proxy/memory_limit.h"
#include "proxy/server.h"
#include "proxy/worker.h"

static void refuse_connection(evutil_socket_t fd, enum shim_error error, ...)
{
    const struct shim_error_row *row = shim_error_row(error);
    struct buffer out;
    char text[256];
    va_list args;

    va_start(args, error);
    shim_error_vformat(text, sizeof(text), error, args);
    va_end(args);
    buffer_init(&out, 512);
    reply_error(&out, 0, row->code, row->state, text);
    ssize_t ignored = send(fd, out.data, out.len, MSG_NOSIGNAL | MSG_DONTWAIT);

    (void)ignored;
    buffer_release(&out);
    close(fd);
}

static void on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *sa, int len,
                      void *arg)
{
    struct server *server = arg;
    struct new_connection *c;

    (void)l;
    if (memory_limit_refuses(server->memory_limit)) {
        refuse_connection(fd, SHIM_ERROR_OUT_OF_MEMORY, "no new connections are taken; try again");
        return;
    }
    if (atomic_fetch_add(&server->sessions, 1) >=
        (uint64_t)server->config->limits_max_connections) {
        atomic_fetch_sub(&server->sessions, 1);
        refuse_connection(fd, SHIM_ERROR_TOO_MANY_CONNECTIONS);
        metrics_add(&server->refused, 1);
        return;
    }
    c = memory_zalloc(sizeof(*c));
    c->fd = fd;
    c->peer_len = (socklen_t)len;
    memcpy(&c->peer, sa, (size_t)len < sizeof(c->peer) ? (size_t)len : sizeof(c->peer));
    struct worker *w = &server->workers[server->next_worker++ % server->worker_count];

    mailbox_post(&w->mailbox, worker_take_connection, w, c);
}

bool accept_open(struct server *server)
{
    const struct endpoints *es = &server->config->listen;

    server->listeners = memory_zalloc(es->n * sizeof(*server->listeners));
    for (size_t i = 0; i < es->n; i++) {
        server->listeners[i] = listener_open(server->base, &es->items[i], on_accept, server);
        if (!server->listeners[i])
            return false;
        server->listener_count++;
    }
    return true;
}

void accept_close(struct server *server)
{
    for (size_t i = 0; i < server->listener_count; i++)
        listener_close(server->listeners[i]);
    server->listener_count = 0;
    free(server->listeners);
    server->listeners = NULL;
}

void accept_hand_over(struct server *server)
{
    for (size_t i = 0; i < server->listener_count; i++)
        listener_give_away(server->listeners[i]);
}
