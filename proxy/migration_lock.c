/*
 * Before a migration is submitted, what is in flight in Vitess is looked at.
 *
 * Between the look and the submission no other shim may submit: vtgate hands a migration to one
 * shard after the other, so that of two at the same time each could be the first on one shard, and
 * with --postpone-completion both would wait for ever. So a user-level lock of the keyspace is held
 * meanwhile, which vtgate takes on one and the same shard for all sessions of a cluster
 * (go/vt/vtgate/planbuilder/select.go, buildLockingPrimitive). Who takes no lock (vtctldclient, a
 * session with a strategy of its own) may still come in between: then the order is Vitess's.
 */
#include "proxy/migration_lock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/ddl_tables.h"
#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/migration_internal.h"
#include "proxy/server.h"
#include "proxy/worker.h"

#define LOCK_S      5  /* how long another shim's submission is waited for at a time */
#define RELATED_MAX 64 /* tables; what is beyond is left to Vitess */

/* MySQL takes names of at most 64 characters; keyspaces that share 50 wait for each other. */
#define LOCK_NAME "'vtshim:%.50s'"

/* --- the look -------------------------------------------------------------------------------- */

enum { UUID, CONTEXT, TABLE, STATEMENT, COLUMNS };

static bool find_columns(const struct answer *a, int column[COLUMNS])
{
    static const char *const NAMES[COLUMNS] = {"migration_uuid", "migration_context", "mysql_table",
                                               "migration_statement"};

    for (int i = 0; i < COLUMNS; i++) {
        column[i] = answer_column(a, NAMES[i]);
        if (column[i] < 0 || column[i] >= EXECUTOR_COLUMNS_MAX)
            return false;
    }
    return true;
}

/* What a view's query or a foreign key in that statement names. */
static bool collect_mentions(struct names *names, struct bytes sql)
{
    struct statement st;

    if (!sql.p)
        return false;
    classify_next((const char *)sql.p, sql.len, &st);
    if (!ddl_names_more(&st))
        return false;
    names_collect(names, st.text, st.len, true);
    return true;
}

/* Whether that row of Vitess's is in the way of s->migration. */
static bool is_in_the_way(const struct session *s, const struct bytes *value, const int *column)
{
    const struct migration *m = s->migration;
    struct names mentions;
    char table[MIGRATION_NAME_MAX];

    if (bytes_are(value[column[CONTEXT]], m->context))
        return false;
    bool mentioning = collect_mentions(&mentions, value[column[STATEMENT]]);

    bytes_to_name(table, sizeof(table), value[column[TABLE]]);
    return migrations_conflicts(s->worker->server->migrations, m->record.id, table,
                                mentioning ? &mentions : NULL);
}

/* The uuid of the first one that is in the way, or an empty text. */
static void find_first(const struct session *s, const struct answer *a, char uuid[UUID_MAX])
{
    struct bytes value[EXECUTOR_COLUMNS_MAX];
    int column[COLUMNS];

    *uuid = '\0';
    if (!a || a->failed || !a->columns || !find_columns(a, column))
        return; /* what cannot be had is Vitess's to order */
    for (const uint8_t *at = a->rows_at;
         !*uuid && answer_row(a, &at, value, EXECUTOR_COLUMNS_MAX);) {
        if (is_in_the_way(s, value, column))
            bytes_to_name(uuid, UUID_MAX, value[column[UUID]]);
    }
}

/* --- the lock -------------------------------------------------------------------------------- */

static void on_released(struct session *s, const struct answer *a)
{
    if (!a || a->failed)
        log_warn("ddl_unlock_failed", "session:u code:u", s->id, (uint64_t)(a ? a->code : 0));
}

static void on_released_to_wait(struct session *s, const struct answer *a)
{
    on_released(s, a);
    migration_queue_behind(s);
}

static void release(struct session *s, ask_callback *done)
{
    s->migration->locked = false;
    ask_format(s, done, "SELECT RELEASE_LOCK(" LOCK_NAME ")", s->migration->record.keyspace);
}

static void on_looked(struct session *s, const struct answer *a)
{
    struct migration *m = s->migration;

    find_first(s, a, m->behind);
    if (!*m->behind && !m->interrupted)
        migration_queue_over(s);
    else if (m->locked)
        release(s, on_released_to_wait);
    else
        migration_queue_behind(s);
}

static void on_locked(struct session *s, const struct answer *a)
{
    struct migration *m = s->migration;
    const uint8_t *at = a ? a->rows_at : NULL;
    struct bytes row[1];
    bool answered = a && !a->failed && a->columns && answer_row(a, &at, row, 1);

    m->locked = answered && bytes_are(row[0], "1");
    if (!answered)
        log_debug("ddl_lock_failed", "session:u code:u", s->id, (uint64_t)(a ? a->code : 0));
    if (answered && !m->locked) { /* another is submitting for that long */
        *m->behind = '\0';
        migration_queue_behind(s);
        return;
    }
    ask_format(s, on_looked,
               "SHOW VITESS_MIGRATIONS FROM `%s` WHERE migration_status IN ('requested', "
               "'queued', 'ready', 'running')",
               m->record.keyspace);
}

void migration_lock(struct session *s)
{
    const struct migration *m = s->migration;

    if (!*m->record.keyspace || s->status & STATUS_IN_TRANSACTION)
        migration_queue_over(s);
    else
        ask_format(s, on_locked, "SELECT GET_LOCK(" LOCK_NAME ", %d)", m->record.keyspace, LOCK_S);
}

static void on_released_at_last(struct session *s, const struct answer *a)
{
    on_released(s, a);
    migration_submitted(s);
}

bool migration_unlock(struct session *s)
{
    if (!s->migration->locked)
        return false;
    release(s, on_released_at_last);
    return true;
}

/* --- what belongs together ------------------------------------------------------------------- */

struct related {
    char names[RELATED_MAX][MIGRATION_NAME_MAX];
    size_t n;
};

static void add(struct related *r, struct bytes name)
{
    char text[MIGRATION_NAME_MAX];

    bytes_to_name(text, sizeof(text), name);
    for (size_t i = 0; i < r->n; i++) {
        if (strcmp(r->names[i], text) == 0)
            return;
    }
    if (r->n < RELATED_MAX && *text)
        memcpy(r->names[r->n++], text, sizeof(text));
}

/* Pairs of names, of which one side may be a table of ours. */
static void note_pairs(struct session *s, const struct answer *a)
{
    struct migrations *ms = s->worker->server->migrations;
    uint64_t id = s->migration->record.id;
    struct related *r = memory_zalloc(sizeof(*r));
    struct bytes pair[2];

    if (a && !a->failed && a->columns == 2) {
        for (const uint8_t *at = a->rows_at; answer_row(a, &at, pair, 2);) {
            for (int i = 0; i < 2; i++) {
                char name[MIGRATION_NAME_MAX];

                bytes_to_name(name, sizeof(name), pair[i]);
                if (migrations_touches(ms, id, name))
                    add(r, pair[1 - i]);
            }
        }
    } else {
        log_debug("ddl_relations_unknown", "session:u code:u", s->id, (uint64_t)(a ? a->code : 0));
    }
    migrations_relate(ms, id, r->names, r->n);
    free(r);
}

static void on_views(struct session *s, const struct answer *a)
{
    note_pairs(s, a);
    migration_queue(s);
}

static void on_foreign_keys(struct session *s, const struct answer *a)
{
    note_pairs(s, a);
    ask_format(s, on_views,
               "SELECT table_name, view_name FROM information_schema.view_table_usage WHERE "
               "table_schema = '%s'",
               s->migration->record.keyspace);
}

void migration_relate(struct session *s)
{
    const struct migration *m = s->migration;

    if (!strstr(m->strategy, "allow-concurrent") || !*m->record.keyspace ||
        s->worker->server->config->ddl_queue == CONFIG_QUEUE_OFF)
        migration_queue(s);
    else
        ask_format(s, on_foreign_keys,
                   "SELECT table_name, referenced_table_name FROM "
                   "information_schema.referential_constraints WHERE constraint_schema = '%s'",
                   m->record.keyspace);
}
