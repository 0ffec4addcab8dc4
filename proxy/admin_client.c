/*
 * One connection to the admin port: its packets, TLS, its end. What the login says is in
 * admin_login.c, what the commands do elsewhere. These few connections use bufferevents; nothing
 * here is on the path of applications.
 */
#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/command.h"
#include "protocol/reply.h"
#include "proxy/admin_internal.h"
#include "proxy/holds.h"
#include "proxy/memory.h"
#include "proxy/server.h"
#include "proxy/sockets.h"

#define TLS_BUFFER (64u << 10) /* between the TLS filter and the socket, each way */

/* --- what it is sent, and its end ------------------------------------------------------------ */

/* Its holds end with it if it vanished: not if it said COM_QUIT, or the process ends, too. */
static void end_holds(const struct admin_client *c)
{
    const struct server *server = c->admin->server;

    if (!server->stopped && c->id && !c->quit)
        holds_connection_gone(server->holds, c->id);
}

void admin_client_free(struct admin_client *c)
{
    end_holds(c);
    TAILQ_REMOVE(&c->admin->clients, c, link);
    c->admin->client_count--;
    if (c->bev)
        bufferevent_free(c->bev);
    admin_prepared_forget_all(c);
    free(c);
}

void admin_client_close(struct admin_client *c)
{
    if (c->state != ADMIN_BUSY) {
        admin_client_free(c);
        return;
    }
    c->gone = true;
    bufferevent_free(c->bev);
    c->bev = NULL;
    end_holds(c);
    if (c->waits) /* which frees it */
        c->interrupt(c->interrupt_arg, 1317, "70100", "Query execution was interrupted");
}

size_t admin_client_backlog(const struct admin_client *c)
{
    return evbuffer_get_length(bufferevent_get_output(c->bev)) +
           (c->inner ? evbuffer_get_length(bufferevent_get_output(c->inner)) : 0);
}

void admin_client_read_on(struct admin_client *c)
{
    if (c->admin->stopping || admin_client_backlog(c) > ADMIN_BACKLOG_MAX)
        return;
    bufferevent_enable(c->bev, EV_READ);
    if (evbuffer_get_length(bufferevent_get_input(c->bev)) > 0)
        bufferevent_trigger(c->bev, EV_READ, BEV_OPT_DEFER_CALLBACKS | BEV_TRIG_IGNORE_WATERMARKS);
}

void admin_client_write(struct admin_client *c, struct buffer *out)
{
    if (c->bev && !out->failed)
        bufferevent_write(c->bev, out->data, out->len);
    buffer_release(out);
}

void admin_client_send_error(struct admin_client *c, enum shim_error error)
{
    const struct shim_error_row *row = shim_error_row(error);
    struct buffer out;

    buffer_init(&out, 4096);
    reply_error(&out, c->sequence, row->code, row->state, row->text);
    admin_client_write(c, &out);
}

void admin_client_end(struct admin_client *c)
{
    c->state = ADMIN_CLOSING;
    bufferevent_disable(c->bev, EV_READ);
}

/* --- what libevent tells ---------------------------------------------------------------------- */

/* Answers have been taken: as many as needed to read on, or all before the end. With TLS, it was
   the socket's buffer that took them, so that the end is left to admin.c's look at all clients. */
static void on_taken(struct bufferevent *bev, void *arg)
{
    struct admin_client *c = arg;

    (void)bev;
    if (c->state == ADMIN_CLOSING && admin_client_backlog(c) == 0)
        admin_client_close(c);
    else if (c->state != ADMIN_CLOSING && c->state != ADMIN_BUSY)
        admin_client_read_on(c);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
    struct admin_client *c = arg;

    (void)bev;
    if (what & BEV_EVENT_CONNECTED)
        return; /* TLS is up */
    admin_client_close(c);
}

static void on_read(struct bufferevent *bev, void *arg);

static void set_callbacks(struct admin_client *c)
{
    bufferevent_setcb(c->bev, on_read, on_taken, on_event, c);
    bufferevent_setwatermark(c->bev, EV_READ, 0, PACKET_HEADER + ADMIN_PACKET_MAX);
    bufferevent_enable(c->bev, EV_READ | EV_WRITE);
}

static void start_tls(struct admin_client *c)
{
    SSL *ssl = tls_new_server(c->admin->server->tls);
    struct bufferevent *bev =
        ssl ? bufferevent_openssl_filter_new(c->admin->server->base, c->bev, ssl,
                                             BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE)
            : NULL;

    if (!bev) {
        admin_client_close(c);
        return;
    }
    c->inner = c->bev;
    c->bev = bev;
    /* The filter goes on reading from the socket, and writing to it, when nobody takes it over. */
    bufferevent_setwatermark(c->inner, EV_READ, 0, TLS_BUFFER);
    bufferevent_setwatermark(c->inner, EV_WRITE, 0, TLS_BUFFER);
    set_callbacks(c);
}

/* --- packets --------------------------------------------------------------------------------- */

/* COM_QUIT, perhaps right behind commands whose answers are still on their way. */
static void leave(struct admin_client *c)
{
    c->quit = true;
    admin_client_end(c);
    if (admin_client_backlog(c) == 0)
        admin_client_close(c);
}

static void on_command(struct admin_client *c, const uint8_t *payload, size_t len)
{
    struct admin_request *rq = memory_zalloc(sizeof(*rq));
    uint8_t command = len ? payload[0] : COM_SLEEP;

    rq->server = c->admin->server;
    rq->sink = &ADMIN_PACKETS;
    rq->sink_arg = c;
    rq->connection = c->id;
    rq->user = c->user;
    rq->peer = c->peer;
    rq->role = c->role;
    c->state = ADMIN_BUSY;
    bufferevent_disable(c->bev, EV_READ);
    switch (command) {
    case COM_QUIT:
        free(rq);
        leave(c);
        break;
    case COM_QUERY:
        admin_command(rq, (const char *)payload + 1, len - 1);
        break;
    case COM_STMT_PREPARE:
    case COM_STMT_EXECUTE:
    case COM_STMT_SEND_LONG_DATA:
    case COM_STMT_CLOSE:
    case COM_STMT_RESET:
        admin_prepared_command(rq, payload, len);
        break;
    case COM_RESET_CONNECTION:
        admin_prepared_forget_all(c);
        admin_reply_ok(rq, 0, NULL);
        break;
    case COM_PING:
    case COM_INIT_DB:
        admin_reply_ok(rq, 0, NULL);
        break;
    case COM_SET_OPTION:
        admin_reply_eof(rq);
        break;
    default:
        admin_reply_error(rq, 1047, "08S01", "vtshim: the admin port does not know this command");
    }
}

/* The next whole packet's payload, or NULL. It is to be drained by the caller. */
static const uint8_t *peek_packet(struct admin_client *c, size_t *len)
{
    struct evbuffer *in = bufferevent_get_input(c->bev);
    uint8_t header[PACKET_HEADER];

    if (evbuffer_copyout(in, header, sizeof(header)) != (ssize_t)sizeof(header))
        return NULL;
    *len = load_u24(header);
    if (*len > ADMIN_PACKET_MAX) {
        c->sequence = (uint8_t)(header[3] + 1);
        admin_client_send_error(c, SHIM_ERROR_PACKET_TOO_LARGE);
        admin_client_end(c);
        return NULL;
    }
    if (evbuffer_get_length(in) < PACKET_HEADER + *len)
        return NULL;
    c->sequence = (uint8_t)(header[3] + 1);
    return evbuffer_pullup(in, (ssize_t)(PACKET_HEADER + *len)) + PACKET_HEADER;
}

static void on_packet(struct admin_client *c, const uint8_t *payload, size_t len)
{
    uint32_t capabilities;

    if (c->state == ADMIN_LOGIN && !c->inner && c->admin->server->tls->client &&
        ssl_request_parse(payload, len, &capabilities))
        start_tls(c);
    else if (c->state == ADMIN_LOGIN)
        admin_login_response(c, payload, len);
    else if (c->state == ADMIN_SWITCHED)
        admin_login_switched(c, payload, len);
    else
        on_command(c, payload, len);
}

/* One packet a call: after a reply, admin_client_read_on triggers the next, so that a client may go
   away in between without leaving this function with a stale pointer. */
static void on_read(struct bufferevent *bev, void *arg)
{
    struct admin_client *c = arg;
    size_t len;
    bool deaf = c->state == ADMIN_BUSY || c->state == ADMIN_CLOSING || c->admin->stopping;
    const uint8_t *payload = deaf ? NULL : peek_packet(c, &len);

    (void)bev;
    if (!payload)
        return;
    uint8_t *copy = (uint8_t *)memory_copy((const char *)payload, len);

    evbuffer_drain(bufferevent_get_input(c->bev), PACKET_HEADER + len);
    on_packet(c, copy, len);
    explicit_bzero(copy, len);
    free(copy);
}

/* --- its beginning --------------------------------------------------------------------------- */

static void format_host(char *dst, size_t size, const struct sockaddr *sa)
{
    dst[0] = '\0';
    if (sa->sa_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)sa)->sin_addr, dst,
                  (socklen_t)size);
    else if (sa->sa_family == AF_INET6)
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr, dst,
                  (socklen_t)size);
    if (!*dst)
        snprintf(dst, size, "localhost");
}

struct admin_client *admin_client_create(struct admin *admin, int fd, const struct sockaddr *sa)
{
    struct admin_client *c = memory_zalloc(sizeof(*c));

    c->admin = admin;
    c->accepted_ms = clock_ms();
    TAILQ_INSERT_TAIL(&admin->clients, c, link);
    admin->client_count++;
    c->bev = bufferevent_socket_new(admin->server->base, fd, BEV_OPT_CLOSE_ON_FREE);
    if (!c->bev) {
        evutil_closesocket(fd);
        admin_client_free(c);
        return NULL;
    }
    format_host(c->peer, sizeof(c->peer), sa);
    socket_tune(fd);
    set_callbacks(c);
    return c;
}
