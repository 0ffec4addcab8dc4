/*
 * SHOW KEYSPACES, then SHOW VITESS_MIGRATIONS for each.
 */
#include "proxy/keeper_scan.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/ddl.h"
#include "proxy/ask.h"
#include "proxy/executor.h"
#include "proxy/inner.h"
#include "proxy/memory.h"
#include "proxy/server.h"
#include "proxy/session.h"
#include "proxy/topology.h"
#include "proxy/worker.h"

void scan_free(struct scan *scan)
{
    free(scan->keyspaces);
    free(scan);
}

static struct scan *scan_of(struct session *s)
{
    return s->inner->arg;
}

static void note(struct scan *scan, const struct scan_found *f)
{
    for (size_t i = 0; i < scan->n; i++) {
        if (strcmp(scan->found[i].context, f->context) == 0) {
            scan->found[i].ready = scan->found[i].ready && f->ready;
            scan->found[i].postponed = scan->found[i].postponed || f->postponed;
            return;
        }
    }
    if (scan->n < SCAN_FOUND_MAX && *f->context && !strchr(f->context, '\''))
        scan->found[scan->n++] = *f;
}

static void ask_next(struct session *s);

/* The columns that are read; the last ones may be missing. */
static const char *const NAMES[] = {"migration_context",
                                    "migration_uuid",
                                    "mysql_table",
                                    "ddl_action",
                                    "ready_to_complete",
                                    "options",
                                    "cutover_threshold_seconds"};
enum { CONTEXT, UUID, TABLE, ACTION, READY, OPTIONS, NEEDED, THRESHOLD = NEEDED, USED };

static uint32_t seconds_of(struct bytes b)
{
    char text[16];

    bytes_to_name(text, sizeof(text), b);
    return (uint32_t)strtoul(text, NULL, 10);
}

/* Whose it is, how it is to be followed, and whether it is postponed. False: nobody knows. */
static bool read_mark(struct scan_found *f, const struct bytes *row, const int *column)
{
    static const size_t PREFIX = sizeof(DDL_CONTEXT_PREFIX) - 1;
    struct bytes options = row[column[OPTIONS]], context = row[column[CONTEXT]];
    const char *text = (const char *)options.p;
    size_t len = text ? options.len : 0;
    bool marked = ddl_mark_parse(text, len, f->instance, &f->postponed);
    bool own = context.p && context.len >= PREFIX + 8 &&
               memcmp(context.p, DDL_CONTEXT_PREFIX, PREFIX) == 0;

    if (!own && !marked)
        return false;
    if (own)
        memcpy(f->instance, context.p + PREFIX, 8);
    bytes_to_name(f->context, sizeof(f->context), own ? context : row[column[UUID]]);
    f->threshold_s = ddl_threshold_s(text, len);
    if (column[THRESHOLD] >= 0 &&
        seconds_of(row[column[THRESHOLD]]) == ddl_threshold_postponed_s(f->threshold_s))
        f->postponed = true;
    return true;
}

static void read_row(struct scan *scan, const struct bytes *row, const int *column)
{
    struct scan_found f = {.ready = bytes_are(row[column[READY]], "1")};

    if (!read_mark(&f, row, column))
        return;
    bytes_to_name(f.uuid, sizeof(f.uuid), row[column[UUID]]);
    bytes_to_name(f.table, sizeof(f.table), row[column[TABLE]]);
    bytes_to_name(f.verb, sizeof(f.verb), row[column[ACTION]]);
    memcpy(f.keyspace, scan->keyspaces[scan->next_keyspace - 1], sizeof(f.keyspace));
    if (*f.table) /* a revert's is known a moment later */
        note(scan, &f);
}

static void on_migrations(struct session *s, const struct answer *a)
{
    struct scan *scan = scan_of(s);
    struct bytes row[EXECUTOR_COLUMNS_MAX];
    int column[USED];

    for (int i = 0; a && !a->failed && a->columns && i < USED; i++) {
        column[i] = answer_column(a, NAMES[i]);
        if (column[i] >= EXECUTOR_COLUMNS_MAX)
            column[i] = -1;
        if (column[i] < 0 && i < NEEDED)
            a = NULL;
    }
    if (a && !a->failed && a->columns) {
        for (const uint8_t *at = a->rows_at; answer_row(a, &at, row, EXECUTOR_COLUMNS_MAX);)
            read_row(scan, row, column);
    }
    ask_next(s);
}

static void ask_next(struct session *s)
{
    struct scan *scan = scan_of(s);
    char sql[400];

    if (scan->next_keyspace == scan->keyspace_count) {
        session_close(s, CLOSE_INNER_DONE);
        return;
    }
    int n = snprintf(sql, sizeof(sql),
                     "SHOW VITESS_MIGRATIONS FROM `%s` WHERE (migration_context LIKE "
                     "'" DDL_CONTEXT_PREFIX "%%' OR options LIKE '%%" DDL_MARK_PREFIX
                     "%%') AND postpone_completion = 1 AND migration_status IN "
                     "('queued', 'ready', 'running')",
                     scan->keyspaces[scan->next_keyspace++]);

    ask_start(s, sql, (size_t)n, on_migrations);
}

static void on_keyspaces(struct session *s, const struct answer *a)
{
    struct scan *scan = scan_of(s);

    scan->keyspace_count = topology_keyspaces(a, &scan->keyspaces);
    ask_next(s);
}

static void on_ready(struct session *s, void *arg)
{
    (void)arg;
    ask_start(s, TOPOLOGY_KEYSPACES, sizeof(TOPOLOGY_KEYSPACES) - 1, on_keyspaces);
}

static void on_ended(struct session *s, void *arg)
{
    struct scan *scan = arg;

    (void)s;
    mailbox_post(scan->mailbox, scan->done, scan->context, scan);
}

static void start(void *context, void *arg)
{
    struct inner inner = {.ready = on_ready, .ended = on_ended, .arg = arg};

    inner_start(context, &inner);
}

struct scan *scan_start(struct worker *w, struct mailbox *mailbox, mailbox_fn *done, void *context)
{
    struct scan *scan = memory_zalloc(sizeof(*scan));

    scan->mailbox = mailbox;
    scan->done = done;
    scan->context = context;
    mailbox_post(&w->mailbox, start, w, scan);
    return scan;
}
