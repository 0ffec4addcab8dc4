/*
 * What is in force, what is to be, what differs, whether schema changes are in the way, and the
 * checks.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/vschema_alter.h"
#include "proxy/flights.h"
#include "proxy/log.h"
#include "proxy/migrations.h"
#include "proxy/retry.h"
#include "proxy/server.h"
#include "proxy/transition_internal.h"
#include "proxy/vschema_json.h"
#include "vtctldata.pb-c.h"

#define CHANGES_SHOWN   400
#define RESUME_AGAIN_MS 1000

/* --- read ------------------------------------------------------------------------------------ */

/* Vitess 24 has no status of its own for it: the topology server's words come through. */
static bool is_missing(const struct vtctld_answer *answer)
{
    return answer->status == GRPC_NOT_FOUND ||
           (answer->status == GRPC_UNKNOWN && strstr(answer->text, "node doesn't exist"));
}

static void on_read(struct transition *t, const struct vtctld_answer *answer)
{
    if (answer->status == GRPC_OK)
        subject_take(t, answer, &t->before);
    else if (is_missing(answer) && t->order.what == TRANSITION_VSCHEMA)
        t->before.vschema = vschema_create(); /* a keyspace that has none yet */
    else {
        transition_fail_vtctld(t, answer);
        return;
    }
    t->before_json = subject_json(&t->before);
    transition_facts_read(t, transition_next);
}

void transition_read(struct transition *t)
{
    subject_ask(t, on_read);
}

/* --- target ---------------------------------------------------------------------------------- */

bool transition_read_json(struct transition *t, const char *source, struct subject *to,
                          const char *what)
{
    char error[VSCHEMA_JSON_ERROR_SIZE] = "";

    if (t->order.what == TRANSITION_VSCHEMA)
        to->vschema = vschema_read(source, strlen(source), error);
    else
        to->rules = routing_read(source, strlen(source), error);
    if (to->vschema || to->rules)
        return true;
    transition_fail(t, 1105, "HY000", "%s%s", what, error);
    return false;
}

/* The statements one after the other, on a copy of what is in force. */
static bool run_statements(struct transition *t)
{
    char error[VSCHEMA_ALTER_ERROR_SIZE];

    t->after.vschema = vschema_clone(t->before.vschema);
    for (size_t i = 0; i < t->order.statement_count; i++) {
        const char *sql = t->order.statements[i];

        if (vschema_alter(t->after.vschema, t->order.keyspace, sql, strlen(sql), error))
            continue;
        if (t->order.statement_count > 1)
            transition_fail(t, 1105, "HY000", "statement %zu: %s", i + 1, error);
        else
            transition_fail(t, 1105, "HY000", "%s", error);
        return false;
    }
    return true;
}

static void say_changes(struct transition *t)
{
    for (size_t i = 0; i < t->diff->n && i < CHANGES_SHOWN; i++) {
        const struct vschema_change *c = &t->diff->changes[i];

        transition_say(t, vschema_change_name(c->kind), c->path, "%.900s%s%.900s", c->before,
                       *c->before && *c->after ? " -> " : "", c->after);
    }
    if (t->diff->n > CHANGES_SHOWN)
        transition_say(t, "change", "", "and %zu more", t->diff->n - CHANGES_SHOWN);
}

/* A rollback is only for what it takes back. */
static bool is_base(struct transition *t)
{
    struct subject base = {NULL, NULL, NULL, 0};

    if (!t->order.base)
        return true;
    if (!transition_read_json(t, t->order.base, &base, "the base: "))
        return false;
    bool same = subject_equal(&base, &t->before);

    subject_free(&base);
    if (!same)
        transition_fail(t, 1105, "HY000",
                        "what transition %" PRIu64
                        " put in force is not in force any more: somebody changed it since",
                        t->order.undoes);
    return same;
}

void transition_target(struct transition *t)
{
    bool ok = t->order.source ? transition_read_json(t, t->order.source, &t->after, "")
                              : run_statements(t);

    if (!ok || !is_base(t))
        return;
    t->after_json = subject_json(&t->after);
    t->diff = t->after.vschema ? vschema_diff(t->before.vschema, t->after.vschema)
                               : routing_diff(t->before.rules, t->after.rules);
    t->changes = t->diff->n;
    say_changes(t);
    if (t->diff->n > 0) {
        transition_next(t);
        return;
    }
    transition_say(t, "result", "", "nothing differs from what is in force");
    transition_go(t, STEP_END);
}

/* --- schema changes -------------------------------------------------------------------------- */

static const int STATUSES[] = {
    VTCTLDATA__SCHEMA_MIGRATION__STATUS__REQUESTED, VTCTLDATA__SCHEMA_MIGRATION__STATUS__QUEUED,
    VTCTLDATA__SCHEMA_MIGRATION__STATUS__READY, VTCTLDATA__SCHEMA_MIGRATION__STATUS__RUNNING};

void transition_touched(const struct transition *t, size_t i, char keyspace[65], char table[65])
{
    const char *name = t->diff->tables[i];
    const char *dot = t->order.what == TRANSITION_ROUTING ? strchr(name, '.') : NULL;

    if (dot) {
        snprintf(keyspace, 65, "%.*s", (int)(dot - name), name);
        snprintf(table, 65, "%s", dot + 1);
    } else {
        snprintf(keyspace, 65, "%s", t->order.keyspace);
        snprintf(table, 65, "%s", name);
    }
}

/* Whether the change touches a table of that name; a keyspace "" is any. */
static bool touches(const struct transition *t, const char *keyspace, const char *table)
{
    char its_keyspace[65], its_table[65];

    if (t->order.what == TRANSITION_VSCHEMA)
        return strcmp(keyspace, t->order.keyspace) == 0 && vschema_diff_touches(t->diff, table);
    for (size_t i = 0; i < t->diff->table_count; i++) {
        transition_touched(t, i, its_keyspace, its_table);
        if (strcmp(its_table, table) == 0 &&
            (!*its_keyspace || strcmp(its_keyspace, keyspace) == 0))
            return true;
    }
    return false;
}

/* The keyspaces concerned, the nth; NULL: there are no more. */
static const char *touched_keyspace(const struct transition *t, size_t n, char keyspace[65])
{
    char table[65], earlier[65];

    if (t->order.what == TRANSITION_VSCHEMA)
        return n == 0 ? t->order.keyspace : NULL;
    for (size_t i = 0; i < t->diff->table_count; i++) {
        bool first = true;

        transition_touched(t, i, keyspace, table);
        for (size_t k = 0; k < i && first; k++) {
            transition_touched(t, k, earlier, table);
            first = strcmp(earlier, keyspace) != 0;
        }
        if (first && *keyspace && n-- == 0)
            return keyspace;
    }
    return NULL;
}

static void ask_migrations(struct transition *t);

static void on_migrations(struct transition *t, const struct vtctld_answer *answer)
{
    const Vtctldata__GetSchemaMigrationsResponse *r =
        (const Vtctldata__GetSchemaMigrationsResponse *)answer->message;

    if (answer->status != GRPC_OK) {
        transition_fail_vtctld(t, answer);
        return;
    }
    for (size_t i = 0; i < r->n_migrations; i++) {
        const Vtctldata__SchemaMigration *m = r->migrations[i];

        if (!touches(t, m->keyspace, m->table))
            continue;
        transition_fail(t, 1105, "HY000",
                        "migration %s of table %s.%s is under way: wait for it, or cancel it",
                        m->uuid, m->keyspace, m->table);
        return;
    }
    t->attempt++;
    ask_migrations(t);
}

/* One question for each keyspace and status. */
static void ask_migrations(struct transition *t)
{
    Vtctldata__GetSchemaMigrationsRequest request = VTCTLDATA__GET_SCHEMA_MIGRATIONS_REQUEST__INIT;
    const size_t statuses = sizeof(STATUSES) / sizeof(STATUSES[0]);
    char keyspace[65];
    const char *name = touched_keyspace(t, t->attempt / statuses, keyspace);

    if (!name) {
        transition_next(t);
        return;
    }
    request.keyspace = (char *)(uintptr_t)name;
    request.status = (Vtctldata__SchemaMigration__Status)STATUSES[t->attempt % statuses];
    transition_call(t, "GetSchemaMigrations", &request.base, on_migrations);
}

/* Those that this shim is about to submit wait for the flights, which begin first: so that none can
   slip in between the look and the change. */
void transition_migrations(struct transition *t)
{
    char keyspace[65], table[65];

    for (size_t i = 0; i < t->diff->table_count && i < TRANSITION_FLIGHTS_MAX && !t->order.dry_run;
         i++) {
        transition_touched(t, i, keyspace, table);
        flights_begin(t->server->flights, table, strlen(table));
        retry_suspect(t->server);
        t->flying = true;
    }
    for (size_t i = 0; i < t->diff->table_count; i++) {
        transition_touched(t, i, keyspace, table);
        if (!migrations_touching(t->server->migrations, keyspace, table))
            continue;
        transition_fail(t, 1105, "HY000",
                        "a migration of table %s is under way through this shim (SHOW MIGRATIONS): "
                        "wait for it, or cancel it",
                        table);
        return;
    }
    ask_migrations(t);
}

/* --- checks ---------------------------------------------------------------------------------- */

static void refuse(struct transition *t)
{
    const struct vschema_findings *f = &t->findings;
    const struct vschema_finding *first = f->items;
    char more[80] = "";

    while (!first->refuse)
        first++;
    if (f->refused > 1)
        snprintf(more, sizeof(more), " (and %zu more: SHOW TRANSITION %" PRIu64 ")", f->refused - 1,
                 t->id);
    transition_fail(t, 1105, "HY000", "%.160s: %.200s [%s]%s", first->path, first->text,
                    vschema_rule_name(first->rule), more);
}

void transition_judge(struct transition *t)
{
    const struct vschema_facts *facts = transition_facts_get(t);
    struct vschema_findings *f = &t->findings;
    const char *unknown;
    size_t len;

    if (!vschema_allow(f, t->order.allow, &unknown, &len)) {
        transition_fail(t, 1105, "HY000", "ALLOW '%.*s': there is no rule of that name", (int)len,
                        unknown);
        return;
    }
    if (t->after.vschema)
        vschema_check(facts, t->before.vschema, t->after.vschema, t->diff, f);
    else
        routing_check(facts, t->after.rules, f);
    for (size_t i = 0; i < f->n; i++) {
        transition_say(t, f->items[i].refuse ? "refuse" : "warn",
                       vschema_rule_name(f->items[i].rule), "%s%s%s", f->items[i].path,
                       *f->items[i].path ? ": " : "", f->items[i].text);
    }
    if (f->refused) {
        refuse(t);
    } else if (t->order.dry_run) {
        t->outcome = "dry run";
        transition_say(t, "result", "", "dry run: nothing is changed");
        transition_go(t, STEP_END);
    } else {
        transition_next(t);
    }
}

/* --- after a restart ------------------------------------------------------------------------- */

static void ask_resumed(struct transition *t);

static void ask_facts(struct transition *t)
{
    transition_facts_read(t, ask_resumed);
}

void transition_resume_later(struct transition *t, const struct vtctld_answer *answer)
{
    if (t->attempt++ == 0) {
        log_warn("transition_resume_waits", "transition:u keyspace:s status:s", t->id,
                 t->order.keyspace, grpc_status_name(answer->status));
        transition_say(t, "resume", "", "vtctld: %s (%s); it is asked until it answers",
                       answer->text, grpc_status_name(answer->status));
    }
    transition_wait(t, RESUME_AGAIN_MS, ask_facts);
}

static void on_resumed(struct transition *t, const struct vtctld_answer *answer)
{
    if (answer->status == GRPC_OK) {
        subject_take(t, answer, &t->now);
    } else if (is_missing(answer) && t->order.what == TRANSITION_VSCHEMA) {
        t->now.vschema = vschema_create(); /* as transition_read takes it */
    } else {
        transition_resume_later(t, answer);
        return;
    }
    bool is_after = subject_equal(&t->now, &t->after),
         is_before = subject_equal(&t->now, &t->before);

    transition_say(t, "resume", "", "after a restart: what is in force is %s",
                   is_after    ? "what was to be"
                   : is_before ? "what was before"
                               : "neither of the two");
    if (t->undoing && (is_after || is_before)) {
        t->outcome = "rolled back";
        transition_go(t, STEP_UNDO_HOLD); /* what is saved back already is only waited for */
    } else if (is_after) {
        transition_go(t, STEP_SEE);
    } else {
        t->may_hold = false;
        transition_fail(t, 1053, "08S01", "the shim ended before it was done%s",
                        is_before ? "" : ", and somebody has changed it since");
    }
}

static void ask_resumed(struct transition *t)
{
    subject_ask(t, on_resumed);
}

void transition_resume(struct transition *t)
{
    if (!t->before_json || !t->after_json ||
        !transition_read_json(t, t->before_json, &t->before, "kept: ") ||
        !transition_read_json(t, t->after_json, &t->after, "kept: "))
        return;
    t->diff = t->after.vschema ? vschema_diff(t->before.vschema, t->after.vschema)
                               : routing_diff(t->before.rules, t->after.rules);
    ask_facts(t);
}
