/*
 * The SHOW commands of the admin port. What belongs to the workers is collected on their threads.
 */
#include <event2/event.h>
#include <inttypes.h>
#include <jansson.h>
#include <nghttp2/nghttp2.h>
#include <openssl/crypto.h>
#include <protobuf-c/protobuf-c.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/admin_commands.h"
#include "proxy/admin_values.h"
#include "proxy/memory.h"
#include "proxy/server.h"
#include "proxy/session.h"
#include "proxy/vtgate_control.h"
#include "proxy/vtgates.h"
#include "proxy/worker.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* --- what the workers know ------------------------------------------------------------------- */

/* A question to all workers. */
struct collect {
    struct admin_request *rq;
    pthread_mutex_t lock; /* of what is below */
    struct admin_table *table;
};

static struct collect *collect_create(struct admin_request *rq, const char *const *names, size_t n)
{
    struct collect *c = memory_zalloc(sizeof(*c));

    c->rq = rq;
    pthread_mutex_init(&c->lock, NULL);
    c->table = admin_table_create(names, n);
    return c;
}

static void collect_reply(struct collect *c)
{
    admin_reply_table(c->rq, c->table);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

static void session_row(struct admin_table *t, const struct session *s, int64_t now)
{
    struct admin_values ns = {.n = 0};
    char held_by[32] = "";

    if (s->state == SESSION_PARKED)
        snprintf(held_by, sizeof(held_by), "hold %" PRIu64, s->parked_by);
    else if (s->migration)
        snprintf(held_by, sizeof(held_by), "migration");
    admin_table_row(t, (const char *const[]){
                           admin_number(&ns, (int64_t)s->id),
                           admin_number(&ns, (int64_t)s->connection_id),
                           s->user,
                           s->peer,
                           s->database,
                           s->vtgate ? vtgate_name(s->vtgate) : NULL,
                           admin_number(&ns, (int64_t)s->worker->index),
                           session_state_name(s->state),
                           s->status & STATUS_IN_TRANSACTION ? "yes" : "no",
                           *held_by ? held_by : NULL,
                           s->client.ssl ? SSL_get_version(s->client.ssl) : "off",
                           admin_number(&ns, (int64_t)s->commands),
                           admin_seconds(&ns, now - s->connected_ms),
                       });
}

static void collect_sessions(void *context, void *arg)
{
    struct worker *w = context;
    struct collect *c = arg;
    const struct session *s;
    int64_t now = clock_ms();

    pthread_mutex_lock(&c->lock);
    TAILQ_FOREACH(s, &w->sessions, link)
    session_row(c->table, s, now);
    pthread_mutex_unlock(&c->lock);
}

static void sessions_collected(void *context, void *arg)
{
    (void)context;
    collect_reply(arg);
}

void admin_show_sessions(struct admin_request *rq, struct lexer *lx)
{
    static const char *const NAMES[] = {
        "Id",    "Vtgate_id",      "User",      "Client", "Target",   "Vtgate", "Worker",
        "State", "In_transaction", "Waits_for", "Tls",    "Commands", "Age_s"};

    if (!admin_expect_end(rq, lx))
        return;
    server_broadcast(rq->server, collect_sessions, sessions_collected,
                     collect_create(rq, NAMES, COUNT(NAMES)));
}

/* --- what the server knows ------------------------------------------------------------------- */

void admin_show_stats(struct admin_request *rq, struct lexer *lx)
{
    static const char *const NAMES[] = {"Name", "Value", "Kind", "Help"};
    size_t n;

    if (!admin_expect_end(rq, lx))
        return;
    const struct metric_row *rows = metrics_table(&n);
    struct admin_table *t = admin_table_create(NAMES, COUNT(NAMES));

    for (size_t i = 0; i < n; i++) {
        char value[40];

        metric_format(value, sizeof(value), rows[i].kind, server_metric(rq->server, &rows[i]));
        admin_table_row(t, (const char *const[]){rows[i].name, value,
                                                 metric_kind_name(rows[i].kind), rows[i].help});
    }
    admin_reply_table(rq, t);
}

void admin_show_config(struct admin_request *rq, struct lexer *lx)
{
    static const char *const NAMES[] = {"Name", "Value", "Default", "Type", "Bounds", "Help"};
    size_t n;

    if (!admin_expect_end(rq, lx))
        return;
    const struct option_row *rows = options_table(&n);
    struct admin_table *t = admin_table_create(NAMES, COUNT(NAMES));

    for (size_t i = 0; i < n; i++) {
        char value[4200], bounds[256];

        option_format(rq->server->config, &rows[i], value, sizeof(value));
        option_format_bounds(&rows[i], bounds, sizeof(bounds));
        admin_table_row(t, (const char *const[]){rows[i].key, value, rows[i].fallback,
                                                 option_type_name(&rows[i]),
                                                 *bounds ? bounds : NULL, rows[i].doc});
    }
    admin_reply_table(rq, t);
}

void admin_show_version(struct admin_request *rq, struct lexer *lx)
{
    static const char *const NAMES[] = {"Name", "Version"};
    const struct {
        const char *name, *version;
    } rows[] = {
        {"vtshim", VTSHIM_VERSION},
        {"libevent", event_get_version()},
        {"openssl", OpenSSL_version(OPENSSL_VERSION)},
        {"jansson", JANSSON_VERSION},
        {"libmysqlclient", vtgate_control_library()},
        {"nghttp2", nghttp2_version(0)->version_str},
        {"protobuf-c", protobuf_c_version()},
    };

    if (!admin_expect_end(rq, lx))
        return;
    struct admin_table *t = admin_table_create(NAMES, COUNT(NAMES));

    for (size_t i = 0; i < COUNT(rows); i++)
        admin_table_row(t, (const char *const[]){rows[i].name, rows[i].version});
    admin_reply_table(rq, t);
}

void admin_show_warnings(struct admin_request *rq, struct lexer *lx)
{
    static const char *const NAMES[] = {"Level", "Code", "Message"};

    (void)lx;
    admin_reply_table(rq, admin_table_create(NAMES, COUNT(NAMES)));
}
