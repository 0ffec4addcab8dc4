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
            return;
        }
    }
    if (scan->n < SCAN_FOUND_MAX && *f->context && !strchr(f->context, '\''))
        scan->found[scan->n++] = *f;
}

static void ask_next(struct session *s);

static void on_migrations(struct session *s, const struct answer *a)
{
    static const char *const NAMES[] = {"migration_context", "migration_uuid", "mysql_table",
                                        "ddl_action", "ready_to_complete"};
    enum { CONTEXT, UUID, TABLE, ACTION, READY, USED };
    struct scan *scan = scan_of(s);
    struct bytes row[EXECUTOR_COLUMNS_MAX];
    int column[USED];

    for (int i = 0; a && !a->failed && a->columns && i < USED; i++) {
        column[i] = answer_column(a, NAMES[i]);
        if (column[i] < 0 || column[i] >= EXECUTOR_COLUMNS_MAX)
            a = NULL;
    }
    if (a && !a->failed && a->columns) {
        for (const uint8_t *at = a->rows_at; answer_row(a, &at, row, EXECUTOR_COLUMNS_MAX);) {
            struct scan_found f = {.ready =
                                       row[column[READY]].len == 1 && *row[column[READY]].p == '1'};

            bytes_to_name(f.context, sizeof(f.context), row[column[CONTEXT]]);
            bytes_to_name(f.uuid, sizeof(f.uuid), row[column[UUID]]);
            bytes_to_name(f.table, sizeof(f.table), row[column[TABLE]]);
            bytes_to_name(f.verb, sizeof(f.verb), row[column[ACTION]]);
            memcpy(f.keyspace, scan->keyspaces[scan->next_keyspace - 1], sizeof(f.keyspace));
            note(scan, &f);
        }
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
    int n =
        snprintf(sql, sizeof(sql),
                 "SHOW VITESS_MIGRATIONS FROM `%s` WHERE migration_context LIKE "
                 "'" DDL_CONTEXT_PREFIX "%%' AND postpone_completion = 1 AND migration_status IN "
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
    struct inner inner = {on_ready, on_ended, arg};

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
