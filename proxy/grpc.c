/*
 * gRPC calls: waiting for a connection, deadlines, answers, and which server is spoken to.
 */
#include "proxy/grpc.h"

#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "proxy/grpc_internal.h"
#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/server.h"

#define PAUSE_MIN_MS 100 /* after no server could be reached; doubled each time */
#define PAUSE_MAX_MS 2000
#define REFUSALS_MAX 5 /* of one call; then it is the server's last word */

static void connect_next(struct grpc_client *client);

/* on_kick, at the next turn of the loop. */
static void kick(struct grpc_client *client)
{
    loop_timer_set(&client->kick_event, 0);
}

/* --- answers --------------------------------------------------------------------------------- */

static void call_free(struct grpc_call *call)
{
    loop_timer_stop(&call->timer);
    grpc_collector_release(&call->body);
    buffer_release(&call->request);
    free(call->text);
    free(call->path);
    free(call);
}

/* Answers what has ended. The callbacks may make new calls. */
static void on_deliver(void *arg)
{
    struct grpc_client *client = arg;

    while (!TAILQ_EMPTY(&client->finished)) {
        struct grpc_call *call = TAILQ_FIRST(&client->finished);
        bool ok = call->status == GRPC_OK;
        struct grpc_result result = {
            .status = call->status,
            .text = ok           ? ""
                    : call->text ? call->text
                                 : grpc_status_name(call->status),
            .maybe_done = call->maybe_done,
        };

        TAILQ_REMOVE(&client->finished, call, link);
        if (ok)
            result.message = (struct bytes){call->body.message.data, call->body.message.len};
        call->done(call->arg, &result);
        call_free(call);
    }
}

static void unlink_call(struct grpc_call *call)
{
    if (call->connection)
        TAILQ_REMOVE(&call->connection->calls, call, link);
    else
        TAILQ_REMOVE(&call->client->waiting, call, link);
    call->connection = NULL;
}

void grpc_call_finish(struct grpc_call *call)
{
    struct grpc_client *client = call->client;

    unlink_call(call);
    loop_timer_stop(&call->timer);
    TAILQ_INSERT_TAIL(&client->finished, call, link);
    loop_timer_set(&client->deliver_event, 0);
}

void grpc_call_fail(struct grpc_call *call, enum grpc_status status, const char *format, ...)
{
    char text[768];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    free(call->text);
    call->text = memory_copy(text, strlen(text));
    call->status = status;
    grpc_call_finish(call);
}

void grpc_call_again(struct grpc_call *call)
{
    struct grpc_client *client = call->client;

    if (++call->refusals > REFUSALS_MAX) {
        grpc_call_fail(call, GRPC_UNAVAILABLE, "%s refuses the call", client->settings.what);
        return;
    }
    unlink_call(call);
    call->sent = 0;
    TAILQ_INSERT_TAIL(&client->waiting, call, link);
    kick(client);
}

static void on_deadline(void *arg)
{
    struct grpc_call *call = arg;
    struct grpc_client *client = call->client;

    if (call->connection)
        grpc_connection_expire(call->connection, call);
    else
        grpc_call_fail(call, GRPC_UNAVAILABLE, "%s",
                       *client->last_error ? client->last_error : "no connection in time");
}

/* --- servers --------------------------------------------------------------------------------- */

static void make_a_pause(struct grpc_client *client)
{
    client->pause_ms = client->pause_ms ? 2 * client->pause_ms : PAUSE_MIN_MS;
    if (client->pause_ms > PAUSE_MAX_MS)
        client->pause_ms = PAUSE_MAX_MS;
    client->failures = 0;
    loop_timer_set(&client->pause_timer, client->pause_ms);
}

/* One address failed. */
static void try_failed(struct grpc_client *client, const struct endpoint *server, const char *why)
{
    snprintf(client->last_error, sizeof(client->last_error), "cannot connect to %s %s: %s",
             client->settings.what, server->text, why);
    log_warn("grpc_connect_failed", "server:s address:s error:s", client->settings.what,
             server->text, why);
    if (client->next) {
        connect_next(client);
        return;
    }
    client->server = (client->server + 1) % client->settings.servers->n;
    if (++client->failures < client->settings.servers->n) {
        connect_next(client);
        return;
    }
    while (!TAILQ_EMPTY(&client->waiting))
        grpc_call_fail(TAILQ_FIRST(&client->waiting), GRPC_UNAVAILABLE, "%s", client->last_error);
    make_a_pause(client);
}

static bool resolve(struct grpc_client *client, const struct endpoint *server)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    char port[8];

    snprintf(port, sizeof(port), "%u", (unsigned)server->port);
    if (client->list)
        freeaddrinfo(client->list);
    client->list = NULL;
    return getaddrinfo(server->host, port, &hints, &client->list) == 0;
}

static struct grpc_connection *open_unix(struct grpc_client *client, const struct endpoint *server,
                                         const char **error)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};

    *error = "its path is too long";
    if (strlen(server->host) >= sizeof(un.sun_path))
        return NULL;
    memcpy(un.sun_path, server->host, strlen(server->host) + 1);
    return grpc_connection_open(client, server, (const struct sockaddr *)&un, sizeof(un), error);
}

/* The next address of the server being tried, or its first. */
static void connect_next(struct grpc_client *client)
{
    const struct endpoint *server = &client->settings.servers->items[client->server];
    const char *error = "its name has no address";
    struct grpc_connection *c = NULL;

    if (server->is_unix) {
        c = open_unix(client, server, &error);
    } else {
        if (!client->next && resolve(client, server))
            client->next = client->list;
        if (client->next) {
            const struct addrinfo *ai = client->next;

            client->next = ai->ai_next;
            c = grpc_connection_open(client, server, ai->ai_addr, ai->ai_addrlen, &error);
        }
    }
    if (!c) {
        try_failed(client, server, error);
        return;
    }
    LIST_INSERT_HEAD(&client->connections, c, link);
    client->coming = c;
}

void grpc_client_ready(struct grpc_client *client, struct grpc_connection *c)
{
    log_info("grpc_connected", "server:s address:s tls:s", client->settings.what, c->server->text,
             c->stream.ssl ? SSL_get_version(c->stream.ssl) : "off");
    client->coming = NULL;
    client->current = c;
    client->next = NULL;
    client->failures = 0;
    client->pause_ms = 0;
    kick(client);
}

void grpc_client_lost(struct grpc_client *client, struct grpc_connection *c, const char *why)
{
    const struct endpoint *server = c->server;
    bool was_coming = client->coming == c;

    LIST_REMOVE(c, link);
    if (client->current == c)
        client->current = NULL;
    if (was_coming) {
        client->coming = NULL;
        try_failed(client, server, why);
    } else {
        log_info("grpc_connection_ended", "server:s address:s reason:s", client->settings.what,
                 server->text, why);
        kick(client);
    }
    grpc_connection_free(c);
}

/* Gives the waiting calls to the connection, or sees to it that there is one. */
static void on_kick(void *arg)
{
    struct grpc_client *client = arg;

    while (client->current && !TAILQ_EMPTY(&client->waiting))
        grpc_connection_send(client->current, TAILQ_FIRST(&client->waiting));
    if (!TAILQ_EMPTY(&client->waiting) && !client->coming &&
        !loop_timer_is_set(&client->pause_timer))
        connect_next(client);
}

/* --- calls ----------------------------------------------------------------------------------- */

struct grpc_client *grpc_create(struct loop *loop, const struct grpc_settings *settings)
{
    struct grpc_client *client = memory_zalloc(sizeof(*client));

    client->loop = loop;
    client->settings = *settings;
    LIST_INIT(&client->connections);
    TAILQ_INIT(&client->waiting);
    TAILQ_INIT(&client->finished);
    loop_timer_init(&client->deliver_event, loop, on_deliver, client);
    loop_timer_init(&client->kick_event, loop, on_kick, client);
    loop_timer_init(&client->pause_timer, loop, on_kick, client);
    return client;
}

void grpc_call(struct grpc_client *client, const char *path, const void *message, size_t len,
               int64_t timeout_ms, grpc_done *done, void *arg)
{
    struct grpc_call *call = memory_zalloc(sizeof(*call));

    call->client = client;
    call->path = memory_copy(path, strlen(path));
    call->done = done;
    call->arg = arg;
    call->deadline_ms = clock_ms() + timeout_ms;
    buffer_init(&call->request, len + 5);
    grpc_frame(&call->request, message, len);
    grpc_collector_init(&call->body, client->settings.message_max);
    loop_timer_init(&call->timer, client->loop, on_deadline, call);
    loop_timer_set(&call->timer, timeout_ms);
    TAILQ_INSERT_TAIL(&client->waiting, call, link);
    kick(client);
}

void grpc_destroy(struct grpc_client *client)
{
    struct grpc_connection *c;

    LIST_FOREACH(c, &client->connections, link)
    {
        while (!TAILQ_EMPTY(&c->calls)) {
            TAILQ_FIRST(&c->calls)->maybe_done = true;
            grpc_call_fail(TAILQ_FIRST(&c->calls), GRPC_CANCELLED, "the shim is ending");
        }
    }
    while (!TAILQ_EMPTY(&client->waiting))
        grpc_call_fail(TAILQ_FIRST(&client->waiting), GRPC_CANCELLED, "the shim is ending");
    on_deliver(client);
    while ((c = LIST_FIRST(&client->connections))) {
        LIST_REMOVE(c, link);
        grpc_connection_free(c);
    }
    loop_timer_stop(&client->deliver_event);
    loop_timer_stop(&client->kick_event);
    loop_timer_stop(&client->pause_timer);
    if (client->list)
        freeaddrinfo(client->list);
    free(client);
}
