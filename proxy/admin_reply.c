/*
 * The answers of the admin commands: OK, error, result set. Each ends the request, notes it in the
 * audit log if it is one for it, and frees it. How an answer is written is its sink's business.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/admin_filter.h"
#include "proxy/admin_sink.h"
#include "proxy/audit.h"
#include "proxy/memory.h"
#include "proxy/server.h"

static void audit(const struct admin_request *rq, unsigned code)
{
    struct audit_entry e = {
        .event = rq->connection ? "admin" : "api",
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

/* The command has its answer, which may be that error. */
static void request_end(struct admin_request *rq, unsigned code)
{
    if (rq->audited)
        audit(rq, code);
    free(rq->filter);
    free(rq->audited);
    rq->sink->end(rq); /* what user and peer point to may be gone with it */
    free(rq);
}

void admin_reply_ok(struct admin_request *rq, uint64_t affected, const char *info)
{
    rq->sink->ok(rq, affected, info);
    request_end(rq, 0);
}

void admin_reply_error(struct admin_request *rq, uint16_t code, const char *state,
                       const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    rq->sink->error(rq, code, state, text);
    request_end(rq, code);
}

/* --- result sets ------------------------------------------------------------------------------ */

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

/* Takes out the rows that the filter does not let pass. */
static void filter_rows(const struct admin_filter *filter, struct admin_table *t)
{
    size_t kept = 0;

    for (size_t r = 0; r < t->rows; r++) {
        char **row = t->values + r * t->columns;

        if (admin_filter_passes(filter, (const char *const *)t->names, (const char *const *)row,
                                t->columns)) {
            memmove(t->values + kept++ * t->columns, row, t->columns * sizeof(*row));
            continue;
        }
        for (size_t i = 0; i < t->columns; i++)
            free(row[i]);
    }
    t->rows = kept;
}

void admin_reply_table(struct admin_request *rq, struct admin_table *t)
{
    if (!filter_fits(rq, t))
        return;
    if (rq->filter)
        filter_rows(rq->filter, t);
    bool sent = rq->sink->table(rq, t);

    admin_table_destroy(t);
    if (sent)
        request_end(rq, 0);
    else
        admin_reply_error(rq, 1105, "HY000", "vtshim: the answer is larger than 64 MiB");
}

/* --- what takes its time ---------------------------------------------------------------------- */

void admin_wait_begin(struct admin_request *rq, admin_interrupt *interrupt, void *arg)
{
    rq->sink->wait(rq, interrupt, arg);
}

bool admin_can_stream(const struct admin_request *rq)
{
    return rq->sink->stream_begin;
}

void admin_stream_begin(struct admin_request *rq, const char *const *names, size_t columns,
                        admin_interrupt *interrupt, void *arg)
{
    rq->sink->stream_begin(rq, names, columns, interrupt, arg);
}

void admin_stream_row(struct admin_request *rq, const char *const *values, size_t columns)
{
    rq->sink->stream_row(rq, values, columns);
}

void admin_stream_end(struct admin_request *rq)
{
    rq->sink->stream_end(rq);
    request_end(rq, 0);
}

bool admin_stream_is_gone(const struct admin_request *rq)
{
    return rq->sink->stream_is_gone(rq);
}

bool admin_stream_is_slow(const struct admin_request *rq)
{
    return rq->sink->stream_is_slow(rq);
}
