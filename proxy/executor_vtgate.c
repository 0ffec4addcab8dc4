/*
 * The vtgate executor, as chains of questions over the client's own connection:
 *
 *   submit: read the session's strategy -> set ours -> the DDL -> restore
 *   locate: the keyspace that shows the context -> its shards
 *
 * Each step is a callback of ask.c that starts the next. A step that fails after ours was set goes
 * through "restore" all the same, so that the session is as it was.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/ddl_tables.h"
#include "planner/target.h"
#include "proxy/executor.h"
#include "proxy/executor_rows.h"
#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/migration.h"
#include "proxy/migration_internal.h"
#include "proxy/topology.h"

#define QUALIFIED_MAX 8192 /* of a DROP VIEW; what is longer goes as it came */

struct vtgate_own {
    char *old_strategy, *old_context;     /* quoted, to be put back */
    char (*keyspaces)[TOPOLOGY_NAME_MAX]; /* where it may be, while it is looked for */
    size_t keyspace_count, next_keyspace;
};

static struct vtgate_own *own_of(struct session *s)
{
    if (!s->migration->own)
        s->migration->own = memory_zalloc(sizeof(struct vtgate_own));
    return s->migration->own;
}

static void forget(struct session *s)
{
    struct vtgate_own *own = s->migration->own;

    if (!own)
        return;
    free(own->old_strategy);
    free(own->old_context);
    free(own->keyspaces);
    free(own);
    s->migration->own = NULL;
}

static char *quoted(struct bytes value)
{
    size_t size = value.len * 2 + 3;
    char *text = memory_zalloc(size);

    if (!ddl_quote(text, size, (const char *)value.p, value.len))
        abort(); /* the size is what ddl_quote needs at most */
    return text;
}

/* --- submitting ------------------------------------------------------------------------------ */

static void keep_error(struct migration *m, const struct answer *a)
{
    if (a)
        migration_keep_error(m, a->code, a->state, a->message);
    else
        migration_keep_malformed(m);
}

static void on_restored(struct session *s, const struct answer *a)
{
    if (!a || a->failed)
        log_warn("ddl_restore_failed", "session:u code:u", s->id, (uint64_t)(a ? a->code : 0));
    migration_submitted(s);
}

static void restore(struct session *s)
{
    ask_format(s, on_restored, "SET @@ddl_strategy = %s, @@migration_context = %s",
               own_of(s)->old_strategy, own_of(s)->old_context);
}

static void on_submitted(struct session *s, const struct answer *a)
{
    struct migration *m = s->migration;
    struct bytes row[1];

    m->submitting = false;
    if (!a || a->failed) {
        keep_error(m, a);
    } else if (a->columns) {
        for (const uint8_t *at = a->rows_at; answer_row(a, &at, row, 1);)
            migration_add_uuid(m, row[0]);
        migration_queued(s);
    }
    restore(s);
}

static void ask_ddl(struct session *s)
{
    struct migration *m = s->migration;
    char qualified[QUALIFIED_MAX];
    struct statement st;
    size_t n = 0;

    if (classify_next(m->ddl, m->len, &st) == m->len)
        n = ddl_qualify_views(qualified, sizeof(qualified), &st, target_keyspace(s->database));
    if (n > 0)
        ask_start(s, qualified, n, on_submitted);
    else
        ask_start(s, m->ddl, m->len, on_submitted);
}

static void on_set(struct session *s, const struct answer *a)
{
    struct migration *m = s->migration;

    if (!a || a->failed) {
        keep_error(m, a); /* for instance a ddl.strategy in the config that vtgate does not know */
        restore(s);
        return;
    }
    m->submitted = m->submitting = true;
    ask_ddl(s);
}

static void on_read(struct session *s, const struct answer *a)
{
    struct migration *m = s->migration;
    struct bytes row[2];
    const uint8_t *at = a ? a->rows_at : NULL;

    if (!a || a->failed || a->columns != 2 || !answer_row(a, &at, row, 2)) {
        keep_error(m, a && a->failed ? a : NULL);
        migration_submitted(s);
        return;
    }
    own_of(s)->old_strategy = quoted(row[0]);
    own_of(s)->old_context = quoted(row[1]);
    char *strategy = quoted((struct bytes){(const uint8_t *)m->strategy, strlen(m->strategy)});

    ask_format(s, on_set, "SET @@ddl_strategy = %s, @@migration_context = '%s'", strategy,
               m->context);
    free(strategy);
}

static void submit(struct session *s)
{
    ask_format(s, on_read, "SELECT @@ddl_strategy, @@migration_context");
}

/* --- looking --------------------------------------------------------------------------------- */

static void on_rows(struct session *s, const struct answer *a)
{
    executor_rows *seen = s->migration->seen;
    size_t n;
    struct executor_row *rows = executor_rows_read(a, &n);

    seen(s, rows, n);
    free(rows);
}

static void ask_migrations(struct session *s, const char *keyspace, ask_callback *done)
{
    ask_format(s, done, "SHOW VITESS_MIGRATIONS FROM `%s` LIKE '%s'", keyspace,
               s->migration->context);
}

static void look(struct session *s, executor_rows *seen)
{
    s->migration->seen = seen;
    ask_migrations(s, s->migration->record.keyspace, on_rows);
}

static void look_running(struct session *s, executor_rows *seen)
{
    s->migration->seen = seen;
    ask_format(s, on_rows, "SHOW VITESS_MIGRATIONS FROM `%s` LIKE 'running'",
               s->migration->record.keyspace);
}

static uint16_t code_of(const struct answer *a)
{
    return !a ? 1105 : a->failed ? a->code : 0;
}

/* --- statements at another target ------------------------------------------------------------ */

static void on_back(struct session *s, const struct answer *a)
{
    if (!a || a->failed) {
        log_warn("ddl_target_lost", "session:u", s->id);
        migration_vtgate_lost(s);
        session_finish(s, CLOSE_VTGATE_ERROR);
        return;
    }
    s->migration->done(s, s->migration->there_code);
}

static void go_back(struct session *s, const struct answer *a)
{
    s->migration->there_code = code_of(a);
    ask_use(s, s->database, on_back);
}

static void on_there(struct session *s, const struct answer *a)
{
    if (!a || a->failed)
        go_back(s, a);
    else
        ask_format(s, go_back, "%s", s->migration->there);
}

/* The statement in m->there is asked at a target that need not be the session's, which the session
   is at again before DONE is told of the outcome. */
static void ask_there(struct session *s, const char *target, executor_done *done)
{
    s->migration->done = done;
    ask_use(s, target, on_there);
}

/* --- control --------------------------------------------------------------------------------- */

static void on_controlled(struct session *s, const struct answer *a)
{
    s->migration->done(s, code_of(a));
}

/* ALTER VITESS_MIGRATION reaches the shards of the session's keyspace alone (vtgate guesses it
   where there is one only, else 1046): from another, or none, it goes there and back. */
__attribute__((format(printf, 3, 4))) static void control(struct session *s, executor_done *done,
                                                          const char *format, ...)
{
    struct migration *m = s->migration;
    bool here = !*m->record.keyspace || target_is_of(s->database, m->record.keyspace);
    va_list args;

    va_start(args, format);
    vsnprintf(m->there, sizeof(m->there), format, args);
    va_end(args);
    if (!here) {
        ask_there(s, m->record.keyspace, done);
        return;
    }
    m->done = done;
    ask_format(s, on_controlled, "%s", m->there);
}

static void cancel(struct session *s, const char *uuid, executor_done *done)
{
    control(s, done, "ALTER VITESS_MIGRATION '%s' CANCEL", uuid);
}

static void complete(struct session *s, const char *uuid, const char *shard, executor_done *done)
{
    if (shard && !strpbrk(shard, "'\\"))
        control(s, done, "ALTER VITESS_MIGRATION '%s' COMPLETE VITESS_SHARDS '%s'", uuid, shard);
    else
        control(s, done, "ALTER VITESS_MIGRATION '%s' COMPLETE", uuid);
}

static void postpone(struct session *s, const char *uuid, executor_done *done)
{
    control(s, done, "ALTER VITESS_MIGRATION '%s' POSTPONE COMPLETE", uuid);
}

static void threshold(struct session *s, const char *uuid, uint32_t seconds, executor_done *done)
{
    control(s, done, "ALTER VITESS_MIGRATION '%s' CUTOVER_THRESHOLD '%us'", uuid,
            (unsigned)seconds);
}

static void retry(struct session *s, const char *uuid, executor_done *done)
{
    control(s, done, "ALTER VITESS_MIGRATION '%s' RETRY", uuid);
}

/* --- locating -------------------------------------------------------------------------------- */

/* Its keyspace is known: how many shards has it? */
static void on_shards(struct session *s, const struct answer *a)
{
    struct migration *m = s->migration;

    m->shards = topology_shards(a, m->record.keyspace, NULL, 0);
    migration_located(s, m->shards ? NULL : "the keyspace's shards cannot be counted");
}

static void forget_keyspaces(struct vtgate_own *own)
{
    free(own->keyspaces);
    own->keyspaces = NULL;
}

static void try_next_keyspace(struct session *s);

/* Also of one that is being cancelled: where it is not, that would change nothing. */
static void on_found(struct session *s, const struct answer *a)
{
    struct vtgate_own *own = own_of(s);
    const uint8_t *at = a ? a->rows_at : NULL;
    char *keyspace = s->migration->record.keyspace;
    struct bytes row[1];

    if (!a || a->failed || !a->columns || !answer_row(a, &at, row, 1)) {
        try_next_keyspace(s);
        return;
    }
    if (own->keyspaces)
        memcpy(keyspace, own->keyspaces[own->next_keyspace - 1], TOPOLOGY_NAME_MAX);
    forget_keyspaces(own);
    ask_format(s, on_shards, TOPOLOGY_SHARDS);
}

static void on_keyspaces(struct session *s, const struct answer *a)
{
    struct vtgate_own *own = own_of(s);

    own->keyspace_count = topology_keyspaces(a, &own->keyspaces);
    own->next_keyspace = 0;
    try_next_keyspace(s);
}

/* What is only tried is not noted: who takes it over, or cancels it, goes by the record. */
static void try_next_keyspace(struct session *s)
{
    struct vtgate_own *own = own_of(s);

    if (!own->keyspaces) {
        ask_format(s, on_keyspaces, TOPOLOGY_KEYSPACES);
    } else if (own->next_keyspace < own->keyspace_count) {
        ask_migrations(s, own->keyspaces[own->next_keyspace++], on_found);
    } else {
        forget_keyspaces(own); /* the next round looks everywhere again */
        migration_located(s, "no keyspace shows it");
    }
}

/*
 * The statement does not always tell the keyspace: the session may have none (vtgate finds the
 * table by its name), and routing rules may lead elsewhere. The context tells.
 */
static void locate(struct session *s)
{
    if (*s->migration->record.keyspace)
        ask_migrations(s, s->migration->record.keyspace, on_found);
    else
        try_next_keyspace(s);
}

/* A question to vtgate is answered or its connection is lost: there is nothing to give up. */
static bool let_go(struct session *s)
{
    (void)s;
    return false;
}

/* --- a mark in a shard's binary log ---------------------------------------------------------- */

/* MySQL logs the statement though there is no such table (Sql_cmd_analyze_table::execute in
   sql/sql_admin.cc), and vstreamer tells of it as of any event that means nothing to it. */
static void mark(struct session *s, const char *shard, executor_done *done)
{
    struct migration *m = s->migration;
    char target[320];

    snprintf(m->there, sizeof(m->there), "ANALYZE TABLE `_vtshim_mark`");
    snprintf(target, sizeof(target), "%s/%s", m->record.keyspace, shard);
    ask_there(s, target, done);
}

const struct executor executor_vtgate = {
    .name = "vtgate",
    .submit = submit,
    .locate = locate,
    .look = look,
    .look_running = look_running,
    .cancel = cancel,
    .complete = complete,
    .postpone = postpone,
    .threshold = threshold,
    .mark = mark,
    .retry = retry,
    .let_go = let_go,
    .forget = forget,
};
