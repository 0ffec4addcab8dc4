/*
 * The answers of the admin port's commands: OK, error, result set. Each ends the request, frees it
 * and lets the client send its next; a client that has gone away meanwhile is freed here.
 */
#include <event2/event.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/reply.h"
#include "proxy/admin_filter.h"
#include "proxy/admin_internal.h"
#include "proxy/audit.h"
#include "proxy/memory.h"
#include "proxy/server.h"

#define ADMIN_REPLY_MAX   (64u << 20)
#define STREAM_SLOW_BYTES (64u << 10)

struct admin_table {
    size_t columns;
    char **names;
    size_t rows, cap;
    char **values; /* rows * columns; NULL: SQL NULL */
};

static void audit(const struct admin_request *rq, unsigned code)
{
    struct audit_entry e = {
        .event = "admin",
        .user = rq->user,
        .peer = rq->peer,
        .keyspace = rq->keyspace,
        .uuid = rq->uuid,
        .outcome = code ? "error" : "ok",
        .code = code,
        .duration_ms = -1,
        .statement = rq->audited,
    };

    audit_write(rq->server->audit, &e);
}

/* The command has its answer, which may be that error: the client may send the next. */
static void request_end(struct admin_request *rq, struct buffer *out, unsigned code)
{
    struct admin_client *c = rq->client;

    if (rq->audited)
        audit(rq, code);
    admin_client_write(c, out);
    free(rq->filter);
    free(rq->audited);
    free(rq);
    c->interrupt = NULL;
    c->waits = false;
    c->state = ADMIN_READY;
    if (c->gone)
        admin_client_free(c);
    else
        admin_client_read_on(c);
}

void admin_reply_ok(struct admin_request *rq, uint64_t affected, const char *info)
{
    struct buffer out;

    buffer_init(&out, ADMIN_REPLY_MAX);
    reply_ok(&out, rq->client->sequence, rq->client->capabilities, STATUS_AUTOCOMMIT, affected, 0,
             info);
    request_end(rq, &out, 0);
}

void admin_reply_error(struct admin_request *rq, uint16_t code, const char *state,
                       const char *format, ...)
{
    char text[512];
    struct buffer out;
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    buffer_init(&out, ADMIN_REPLY_MAX);
    reply_error(&out, rq->client->sequence, code, state, text);
    request_end(rq, &out, code);
}

void admin_reply_eof(struct admin_request *rq)
{
    struct buffer out;

    buffer_init(&out, 64);
    reply_eof(&out, rq->client->sequence, STATUS_AUTOCOMMIT);
    request_end(rq, &out, 0);
}

void admin_reply_nothing(struct admin_request *rq)
{
    struct buffer out;

    buffer_init(&out, 64);
    request_end(rq, &out, 0);
}

void admin_reply_prepared(struct admin_request *rq, uint32_t id, unsigned params)
{
    struct admin_client *c = rq->client;
    struct buffer out;

    buffer_init(&out, ADMIN_REPLY_MAX);
    reply_prepared(&out, &c->sequence, c->capabilities, STATUS_AUTOCOMMIT, id, params);
    request_end(rq, &out, 0);
}

struct admin_table *admin_table_create(const char *const *names, size_t columns)
{
    struct admin_table *t = memory_zalloc(sizeof(*t));

    t->columns = columns;
    t->names = memory_zalloc(columns * sizeof(*t->names));
    for (size_t i = 0; i < columns; i++)
        t->names[i] = memory_copy(names[i], strlen(names[i]));
    return t;
}

void admin_table_row(struct admin_table *t, const char *const *values)
{
    if (t->rows == t->cap) {
        t->cap = t->cap ? 2 * t->cap : 16;
        t->values = memory_resize(t->values, t->cap * t->columns * sizeof(*t->values));
    }
    char **row = t->values + t->rows++ * t->columns;

    for (size_t i = 0; i < t->columns; i++)
        row[i] = values[i] ? memory_copy(values[i], strlen(values[i])) : NULL;
}

void admin_table_destroy(struct admin_table *t)
{
    for (size_t i = 0; i < t->rows * t->columns; i++)
        free(t->values[i]);
    for (size_t i = 0; i < t->columns; i++)
        free(t->names[i]);
    free(t->values);
    free(t->names);
    free(t);
}

static void add_row(struct admin_request *rq, struct buffer *out, const char *const *values,
                    size_t columns)
{
    if (rq->binary)
        reply_binary_row(out, &rq->client->sequence, values, columns);
    else
        reply_row(out, &rq->client->sequence, values, columns);
}

/* Answers with an error if the filter names a column that is not there. */
static bool filter_fits(struct admin_request *rq, struct admin_table *t)
{
    const char *unknown =
        rq->filter ? admin_filter_unknown(rq->filter, (const char *const *)t->names, t->columns)
                   : NULL;
    char name[64];

    if (!unknown)
        return true;
    snprintf(name, sizeof(name), "%s", unknown);
    admin_table_destroy(t);
    admin_reply_error(rq, 1054, "42S22", "Unknown column '%s' in 'where clause'", name);
    return false;
}

void admin_reply_table(struct admin_request *rq, struct admin_table *t)
{
    struct admin_client *c = rq->client;
    uint8_t first = c->sequence;
    struct buffer out;

    if (!filter_fits(rq, t))
        return;
    buffer_init(&out, ADMIN_REPLY_MAX);
    reply_columns(&out, &c->sequence, c->capabilities, STATUS_AUTOCOMMIT,
                  (const char *const *)t->names, t->columns);
    for (size_t i = 0; i < t->rows; i++) {
        const char *const *row = (const char *const *)t->values + i * t->columns;

        if (!rq->filter ||
            admin_filter_passes(rq->filter, (const char *const *)t->names, row, t->columns))
            add_row(rq, &out, row, t->columns);
    }
    reply_rows_end(&out, &c->sequence, c->capabilities, STATUS_AUTOCOMMIT);
    admin_table_destroy(t);
    if (out.failed) {
        buffer_release(&out);
        c->sequence = first;
        admin_reply_error(rq, 1105, "HY000", "vtshim: the answer is larger than %u bytes",
                          ADMIN_REPLY_MAX);
        return;
    }
    request_end(rq, &out, 0);
}

/* --- row by row ------------------------------------------------------------------------------ */

static void set_interrupt(struct admin_client *c, admin_interrupt *interrupt, void *arg)
{
    c->interrupt = interrupt;
    c->interrupt_arg = arg;
    /* Nothing more is acted upon, but a client that leaves is to be noticed. */
    if (c->bev)
        bufferevent_enable(c->bev, EV_READ);
}

void admin_wait_begin(struct admin_request *rq, admin_interrupt *interrupt, void *arg)
{
    rq->client->waits = true;
    set_interrupt(rq->client, interrupt, arg);
}

void admin_stream_begin(struct admin_request *rq, const char *const *names, size_t columns,
                        admin_interrupt *interrupt, void *arg)
{
    struct admin_client *c = rq->client;
    struct buffer out;

    buffer_init(&out, ADMIN_REPLY_MAX);
    reply_columns(&out, &c->sequence, c->capabilities, STATUS_AUTOCOMMIT, names, columns);
    admin_client_write(c, &out);
    set_interrupt(c, interrupt, arg);
}

void admin_stream_row(struct admin_request *rq, const char *const *values, size_t columns)
{
    struct buffer out;

    buffer_init(&out, ADMIN_REPLY_MAX);
    add_row(rq, &out, values, columns);
    admin_client_write(rq->client, &out);
}

void admin_stream_end(struct admin_request *rq)
{
    struct admin_client *c = rq->client;
    struct buffer out;

    buffer_init(&out, 64);
    reply_rows_end(&out, &c->sequence, c->capabilities, STATUS_AUTOCOMMIT);
    request_end(rq, &out, 0);
}

bool admin_stream_is_gone(const struct admin_request *rq)
{
    return rq->client->gone;
}

bool admin_stream_is_slow(const struct admin_request *rq)
{
    return !rq->client->gone && admin_client_backlog(rq->client) > STREAM_SLOW_BYTES;
}
