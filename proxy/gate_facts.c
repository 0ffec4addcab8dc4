/*
 * The facts, by questions over the client's own connection: what it may not see is not judged. Each
 * step either has nothing to ask or asks one question; its answer is taken, and the next step
 * comes.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/ddl.h"
#include "proxy/gate_internal.h"
#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/migration.h"
#include "proxy/migrations.h"
#include "proxy/server.h"
#include "proxy/worker.h"

#define COLUMNS_MAX 128

void gate_ask(struct session *s, ask_callback *done, const char *format, ...)
{
    va_list args;
    char *sql;

    va_start(args, format);
    int len = vasprintf(&sql, format, args);
    va_end(args);
    if (len < 0)
        abort();
    ask_start(s, sql, (size_t)len, done);
    free(sql);
}

static bool has_action(const struct gate *g, enum ddl_action_kind kind)
{
    for (size_t i = 0; i < g->ddl->n; i++) {
        if (g->ddl->actions[i].kind == kind)
            return true;
    }
    return false;
}

bool gate_is_alter(const struct gate *g)
{
    return g->ddl->verb == DDL_ALTER || g->ddl->object == DDL_OBJECT_INDEX;
}

/* Of an existing column: not adding one. */
static bool touches_columns(const struct gate *g)
{
    return has_action(g, DDL_DROP_COLUMN) || has_action(g, DDL_CHANGE_COLUMN) ||
           has_action(g, DDL_MODIFY_COLUMN) || has_action(g, DDL_RENAME_COLUMN);
}

void gate_copy(char *dst, size_t size, struct bytes b)
{
    size_t n = b.p && b.len < size ? b.len : 0; /* rather nothing than a part of a name */

    if (n)
        memcpy(dst, b.p, n);
    dst[n] = '\0';
}

static void skip(struct session *s, const struct answer *a);

/* --- the steps ------------------------------------------------------------------------------- */

/* The session's own strategy: only direct DDL is looked at, everything else is vtgate's. */
static bool ask_strategy(struct session *s)
{
    if (!s->strategy_own)
        return false;
    gate_ask(s, gate_on_answer, "SELECT @@ddl_strategy");
    return true;
}

static bool take_strategy(struct session *s, const struct answer *a)
{
    const uint8_t *at = a->rows_at;
    struct bytes row[1];

    if (answer_row(a, &at, row, 1))
        gate_copy(s->gate->strategy, sizeof(s->gate->strategy), row[0]);
    s->gate->facts.online = *s->gate->strategy && !ddl_strategy_is_direct(s->gate->strategy);
    return false;
}

/* As MySQL does before every DDL, even one that fails. EXPLAIN leaves the transaction open. */
static bool ask_commit(struct session *s)
{
    if (s->gate->explain || s->gate->passed || !(s->status & STATUS_IN_TRANSACTION))
        return false;
    gate_ask(s, gate_on_answer, "COMMIT");
    return true;
}

static bool take_nothing(struct session *s, const struct answer *a)
{
    (void)s;
    (void)a;
    return false;
}

/* A tool that sends its statement again gets what that has begun: nothing about it is judged. */
static bool ask_same(struct session *s)
{
    const struct gate *g = s->gate;

    return !g->explain && !g->passed && g->facts.online && !g->hints.context.text &&
           migration_ask_same(s, g->keyspace, g->st.text, g->st.len, gate_on_answer);
}

static bool take_same(struct session *s, const struct answer *a)
{
    if (!migration_same_found(a, s->gate->same))
        *s->gate->same = '\0';
    return false;
}

/* Migrations of the table come first (ddl.queue): it will be another when its turn comes, and what
   is wrong with the statement then is Vitess's to say. */
static bool is_behind_others(const struct session *s)
{
    const struct server *server = s->worker->server;
    const struct gate *g = s->gate;

    return !g->explain && !g->passed && g->facts.online &&
           server->config->ddl_queue != CONFIG_QUEUE_OFF &&
           migrations_touching(server->migrations, g->keyspace, g->table);
}

static bool ask_table(struct session *s)
{
    if (!*s->gate->reference || s->gate->st.object == DDL_OBJECT_VIEW)
        return false;
    if (is_behind_others(s)) {
        skip(s, NULL);
        return false;
    }
    gate_ask(s, gate_on_answer, "SHOW CREATE TABLE %s", s->gate->reference);
    return true;
}

static bool take_table(struct session *s, const struct answer *a)
{
    struct gate *g = s->gate;
    const uint8_t *at = a->rows_at;
    struct bytes row[2];

    if (answer_column(a, "Create View") >= 0) {
        g->facts.is_view = true;
    } else if (a->columns >= 2 && answer_row(a, &at, row, 2) && row[1].p) {
        g->table_text = memory_copy((const char *)row[1].p, row[1].len);
        g->table_ddl = ddl_parse(g->table_text, row[1].len);
        g->facts.table = g->table_ddl;
    }
    return false;
}

/* vtgate may not know (yet) what is there: MySQL's own dictionary decides. */
static bool ask_exists(struct session *s)
{
    const struct gate *g = s->gate;

    if (!g->not_found || !*g->keyspace || g->targeted)
        return false;
    gate_ask(s, gate_on_answer,
             "SELECT table_type FROM information_schema.tables WHERE table_schema = '%s' AND "
             "table_name = %s",
             g->keyspace, g->literal);
    return true;
}

static bool take_exists(struct session *s, const struct answer *a)
{
    const uint8_t *at = a->rows_at;
    struct bytes row[1];

    if (!answer_row(a, &at, row, 1))
        s->gate->facts.table_missing = true;
    else if (row[0].len == 4 && memcmp(row[0].p, "VIEW", 4) == 0)
        s->gate->facts.is_view = true;
    return false;
}

static bool ask_keyspaces(struct session *s)
{
    const struct gate *g = s->gate;
    bool wanted = g->explain;

    for (size_t i = 0; i < g->ddl->n; i++)
        wanted = wanted || g->ddl->actions[i].column.auto_increment;
    if (!wanted || !*g->keyspace)
        return false;
    gate_ask(s, gate_on_answer, "SHOW VSCHEMA KEYSPACES");
    return true;
}

static bool take_keyspaces(struct session *s, const struct answer *a)
{
    int name = answer_column(a, "Keyspace"), sharded = answer_column(a, "Sharded");
    struct bytes row[COLUMNS_MAX];

    if (name < 0 || sharded < 0 || name >= COLUMNS_MAX || sharded >= COLUMNS_MAX)
        return false;
    for (const uint8_t *at = a->rows_at; answer_row(a, &at, row, COLUMNS_MAX);) {
        char text[65];

        gate_copy(text, sizeof(text), row[name]);
        if (strcmp(text, s->gate->keyspace) == 0)
            s->gate->facts.sharded = row[sharded].len == 4; /* "true" */
    }
    return false;
}

static bool ask_vindexes(struct session *s)
{
    if (!gate_is_alter(s->gate) || !touches_columns(s->gate) || !*s->gate->reference)
        return false;
    gate_ask(s, gate_on_answer, "SHOW VSCHEMA VINDEXES ON %s", s->gate->reference);
    return true;
}

/* One vindex on several columns: "a, b". */
static void add_vindex(struct gate *g, struct bytes columns, struct bytes name)
{
    const uint8_t *p = columns.p, *end = columns.p ? columns.p + columns.len : NULL;

    while (p < end && g->facts.vindex_count < GATE_VINDEXES_MAX) {
        const uint8_t *comma = memchr(p, ',', (size_t)(end - p));
        const uint8_t *stop = comma ? comma : end;
        struct vindex_use *use = &g->vindexes[g->facts.vindex_count++];

        gate_copy(use->column, sizeof(use->column), (struct bytes){p, (size_t)(stop - p)});
        gate_copy(use->vindex, sizeof(use->vindex), name);
        for (p = comma ? comma + 1 : end; p < end && *p == ' ';)
            p++;
    }
}

static bool take_vindexes(struct session *s, const struct answer *a)
{
    int columns = answer_column(a, "Columns"), name = answer_column(a, "Name");
    struct bytes row[COLUMNS_MAX];

    if (columns < 0 || name < 0 || columns >= COLUMNS_MAX || name >= COLUMNS_MAX)
        return false;
    for (const uint8_t *at = a->rows_at; answer_row(a, &at, row, COLUMNS_MAX);)
        add_vindex(s->gate, row[columns], row[name]);
    return false;
}

/* No statement shows which column has a sequence, but the plan of an INSERT does. */
static bool ask_sequence(struct session *s)
{
    if (!gate_is_alter(s->gate) || !touches_columns(s->gate) || !*s->gate->reference)
        return false;
    gate_ask(s, gate_on_answer, "VEXPLAIN PLAN INSERT INTO %s() VALUES ()", s->gate->reference);
    return true;
}

static bool take_sequence(struct session *s, const struct answer *a)
{
    struct preflight_facts *f = &s->gate->facts;
    const uint8_t *at = a->rows_at;
    struct bytes row[1];

    if (answer_row(a, &at, row, 1) && row[0].p)
        preflight_sequence((const char *)row[0].p, row[0].len, f->vindexes, f->vindex_count,
                           &f->sequence);
    return false;
}

static bool ask_references(struct session *s)
{
    const struct gate *g = s->gate;

    if (!gate_is_alter(g) || !g->facts.online || !*g->keyspace || g->facts.foreign_keys_allowed)
        return false;
    gate_ask(s, gate_on_answer,
             "SELECT constraint_name FROM information_schema.referential_constraints WHERE "
             "constraint_schema = '%s' AND referenced_table_name = %s LIMIT 1",
             g->keyspace, g->literal);
    return true;
}

static bool take_references(struct session *s, const struct answer *a)
{
    const uint8_t *at = a->rows_at;
    struct bytes row[1];

    s->gate->facts.referenced = answer_row(a, &at, row, 1);
    return false;
}

static bool ask_running(struct session *s)
{
    const struct gate *g = s->gate;

    if (!g->facts.online || !*g->keyspace || !*g->literal)
        return false;
    gate_ask(s, gate_on_answer,
             "SHOW VITESS_MIGRATIONS FROM `%s` WHERE mysql_table = %s AND migration_status IN "
             "('requested', 'queued', 'ready', 'running')",
             g->keyspace, g->literal);
    return true;
}

static bool is_known(const struct gate *g, const char *uuid)
{
    for (size_t i = 0; i < g->facts.running_count; i++) {
        if (strcmp(g->running[i].uuid, uuid) == 0)
            return true;
    }
    return false;
}

/* A row for each shard: one of each migration will do. Those that ddl.queue orders are not told,
   but by EXPLAIN. */
static bool take_running(struct session *s, const struct answer *a)
{
    int uuid = answer_column(a, "migration_uuid"), status = answer_column(a, "migration_status");
    int context = answer_column(a, "migration_context");
    struct bytes row[COLUMNS_MAX];
    struct gate *g = s->gate;

    if (uuid < 0 || status < 0 || context < 0 || uuid >= COLUMNS_MAX || status >= COLUMNS_MAX ||
        context >= COLUMNS_MAX)
        return false;
    for (const uint8_t *at = a->rows_at;
         g->facts.running_count < GATE_RUNNING_MAX && answer_row(a, &at, row, COLUMNS_MAX);) {
        struct running_migration *r = &g->running[g->facts.running_count];
        char tag[64];

        gate_copy(tag, sizeof(tag), row[context]);
        if (!g->explain && migrations_follows(s->worker->server->migrations, tag))
            continue;
        gate_copy(r->uuid, sizeof(r->uuid), row[uuid]);
        gate_copy(r->status, sizeof(r->status), row[status]);
        g->facts.running_count += !is_known(g, r->uuid);
    }
    return false;
}

/* --- the chain ------------------------------------------------------------------------------- */

enum { STEP_COMMIT = 1, STEP_SAME, STEP_TABLE, STEP_USE = 11, STEP_BYTES, STEP_ROWS, STEP_RETURN };

static const struct step {
    const char *fact;
    bool (*ask)(struct session *s);                          /* false: nothing to ask */
    bool (*take)(struct session *s, const struct answer *a); /* true: once more from STEP_USE */
} STEPS[] = {
    {"strategy", ask_strategy, take_strategy},
    [STEP_COMMIT] = {"commit", ask_commit, take_nothing},
    [STEP_SAME] = {"the same statement", ask_same, take_same},
    [STEP_TABLE] = {"table", ask_table, take_table},
    {"existence", ask_exists, take_exists},
    {"keyspaces", ask_keyspaces, take_keyspaces},
    {"vindexes", ask_vindexes, take_vindexes},
    {"sequence", ask_sequence, take_sequence},
    {"references", ask_references, take_references},
    {"running migrations", ask_running, take_running},
    {"shards", gate_ask_shards, gate_take_shards},
    [STEP_USE] = {"shard", gate_ask_use, take_nothing},
    [STEP_BYTES] = {"size", gate_ask_bytes, gate_take_bytes},
    [STEP_ROWS] = {"rows", gate_ask_rows, gate_take_rows},
    [STEP_RETURN] = {"target", gate_ask_return, gate_take_return},
};
#define STEP_COUNT (sizeof(STEPS) / sizeof(*STEPS))

bool gate_says_not_found(const struct answer *a)
{
    return a->code == 1146 || a->code == 1109 ||
           (a->code == 1105 && memmem(a->message.p, a->message.len, "not found", 9));
}

/* Another strategy than direct, chosen by the user: none of our business (DECISIONS, 5). */
static bool is_users_own(const struct gate *g)
{
    return !g->explain && g->passed && strcmp(g->passed, "strategy") == 0 && g->facts.online;
}

static void next_step(struct session *s)
{
    struct gate *g = s->gate;

    while (g->step < STEP_COUNT) {
        if (STEPS[g->step].ask(s))
            return;
        g->step++;
    }
    gate_decide(s);
}

/* What could not be had is not judged; it is said in the log, and by EXPLAIN. */
static void skip(struct session *s, const struct answer *a)
{
    struct gate *g = s->gate;

    if (g->step == STEP_TABLE && a && gate_says_not_found(a)) {
        g->not_found = true;
        return;
    }
    if (g->skipped_count < GATE_SKIPPED_MAX)
        g->skipped[g->skipped_count++] = STEPS[g->step].fact;
    log_debug("ddl_fact_skipped", "session:u fact:s code:u", s->id, STEPS[g->step].fact,
              (uint64_t)(a ? a->code : 0));
}

/* The session must not stay where it is not known to be. */
static void lost_target(struct session *s)
{
    log_warn("ddl_target_lost", "session:u", s->id);
    session_send_error(s, s->gate->sequence, SHIM_ERROR_MIGRATION_UNKNOWN,
                       "the session's target could not be restored; nothing was submitted");
    session_finish(s, CLOSE_VTGATE_ERROR);
}

void gate_on_answer(struct session *s, const struct answer *a)
{
    struct gate *g = s->gate;
    bool failed = !a || a->failed, again = false;

    if (failed && g->step == STEP_RETURN) {
        lost_target(s);
        return;
    }
    if (failed && g->step == STEP_COMMIT) {
        char text[PREFLIGHT_TEXT];

        snprintf(text, sizeof(text), "%.*s", a ? (int)a->message.len : 0,
                 a ? (const char *)a->message.p : "");
        gate_answer_error(s, a ? a->code : 1105, a ? a->state : "HY000", text);
        return;
    }
    if (failed) {
        skip(s, a);
        if (g->step >= STEP_USE && g->step <= STEP_ROWS) {
            g->facts.shard_count = g->next_shard; /* the ones before it are known */
            g->step = STEP_ROWS;                  /* and then back */
        }
    } else {
        again = STEPS[g->step].take(s, a);
    }
    if (*g->same) {
        gate_migrate(s);
        return;
    }
    g->step = again ? (size_t)STEP_USE : g->step + 1;
    if (is_users_own(g))
        g->step = STEP_COUNT;
    next_step(s);
}

void gate_gather(struct session *s)
{
    next_step(s);
}
