/*
 * The beginning of the gate: what the hints, ddl.policy and the configuration make of a DDL, and
 * whether it has to stop here at all.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/ddl.h"
#include "planner/target.h"
#include "planner/traffic.h"
#include "proxy/audit_session.h"
#include "proxy/flights.h"
#include "proxy/gate.h"
#include "proxy/gate_internal.h"
#include "proxy/locks.h"
#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/notes.h"
#include "proxy/server.h"
#include "proxy/worker.h"

#define LOOK_MS 50 /* at a VSchema change that is waited for */

static const struct config *config_of(const struct session *s)
{
    return s->worker->server->config;
}

static void look_at_facts(struct session *s);

static void on_timer(void *arg)
{
    struct session *s = arg;

    if (s->gate->waiting) {
        if (locks_due(s, clock_ms()))
            locks_keep(s, look_at_facts);
        else
            look_at_facts(s);
        return;
    }
    log_warn("ddl_preflight_late", "session:u ms:d", s->id, config_of(s)->ddl_preflight_ms);
    session_send_error(s, s->gate->sequence, SHIM_ERROR_PREFLIGHT_TIMEOUT,
                       (long long)config_of(s)->ddl_preflight_ms);
    session_finish(s, CLOSE_VTGATE_ERROR); /* its answer may still come: nothing else can follow */
}

static void copy_name(char *dst, size_t size, struct sql_name name)
{
    size_t n = name.len < size ? name.len : 0;

    if (n)
        memcpy(dst, name.text, n);
    dst[n] = '\0';
}

static void set_names(struct session *s, struct gate *g, const struct statement *st)
{
    struct sql_name keyspace = st->qualifier, session = target_keyspace(s->database);

    if (keyspace.len == 0)
        keyspace = session;
    copy_name(g->session_keyspace, sizeof(g->session_keyspace), session);
    copy_name(g->keyspace, sizeof(g->keyspace), keyspace);
    copy_name(g->table, sizeof(g->table), st->name);
    /* Keyspaces have none of these (topo validates them), and names hardly ever: not worth more. */
    if (strpbrk(g->keyspace, "`'\\"))
        *g->keyspace = '\0';
    if (!*g->table || strpbrk(g->table, "`\\"))
        return;
    ddl_quote(g->literal, sizeof(g->literal), g->table, strlen(g->table));
    if (*g->keyspace && !g->targeted)
        snprintf(g->reference, sizeof(g->reference), "`%s`.`%s`", g->keyspace, g->table);
    else
        snprintf(g->reference, sizeof(g->reference), "`%s`", g->table);
}

static void add_table(struct gate *g, struct sql_name name)
{
    char text[GATE_NAME_MAX];

    copy_name(text, sizeof(text), name);
    if (!*text || strpbrk(text, "`\\") || g->facts.table_count == GATE_TABLES_MAX)
        return;
    size_t i = g->facts.table_count++;

    memcpy(g->tables[i].name, text, sizeof(text));
    ddl_quote(g->literals[i], sizeof(g->literals[i]), text, strlen(text));
}

/* The one table, or those of a DROP; one of another keyspace is not looked at. */
static void set_tables(struct gate *g)
{
    g->facts.tables = g->tables;
    if (g->ddl->verb != DDL_DROP || g->ddl->object != DDL_OBJECT_TABLE) {
        add_table(g, g->st.name);
        return;
    }
    for (size_t i = 0; i < g->ddl->n; i++) {
        const struct ddl_action *a = &g->ddl->actions[i];
        char keyspace[sizeof(g->keyspace)];

        copy_name(keyspace, sizeof(keyspace), a->value);
        if (a->kind == DDL_DROP_TABLE && (!*keyspace || strcmp(keyspace, g->keyspace) == 0))
            add_table(g, a->name);
    }
}

/* The policy's word on the first table; but each one of a DROP or RENAME may be protected. */
static enum policy_action find_action(const struct session *s, const struct gate *g)
{
    const struct config *c = config_of(s);
    enum policy_action action = policy_find(c, g->keyspace, g->table, s->user, g->targeted);

    for (size_t i = 0; i < g->ddl->n && action != POLICY_REJECT; i++) {
        const struct ddl_action *a = &g->ddl->actions[i];
        char keyspace[sizeof(g->keyspace)], table[GATE_NAME_MAX];

        if (a->kind != DDL_DROP_TABLE && a->kind != DDL_RENAME_TABLE)
            continue;
        copy_name(keyspace, sizeof(keyspace), a->value);
        copy_name(table, sizeof(table), a->name);
        if (policy_find(c, *keyspace ? keyspace : g->keyspace, table, s->user, g->targeted) ==
            POLICY_REJECT)
            action = POLICY_REJECT;
    }
    return action;
}

/* How it is to run, from hints, policy and configuration. */
static void set_action(struct session *s, struct gate *g)
{
    const struct config *c = config_of(s);
    struct hints *h = &g->hints;

    g->action = find_action(s, g);
    snprintf(g->strategy, sizeof(g->strategy), "%s", c->ddl_strategy);
    if (g->action == POLICY_REJECT)
        return;
    if (h->strategy.text) {
        copy_name(g->strategy, sizeof(g->strategy), h->strategy);
        g->action = ddl_strategy_is_direct(g->strategy) ? POLICY_DIRECT
                    : g->action == POLICY_DIRECT        ? POLICY_WAIT
                                                        : g->action;
        g->strategy_hint = true;
        if (g->passed && strcmp(g->passed, "strategy") == 0)
            g->passed = NULL; /* nearer than the session's own */
    }
    if (h->wait != HINT_WAIT_UNSET && g->action != POLICY_DIRECT)
        g->action = h->wait == HINT_WAIT_NO ? POLICY_ASYNC : POLICY_WAIT;
}

static bool recently_used(void *arg, struct sql_name table, struct sql_name column)
{
    return traffic_knows(arg, table, column, clock_ms());
}

static void set_facts(struct session *s, struct gate *g)
{
    const struct config *c = config_of(s);
    struct preflight_facts *f = &g->facts;

    f->keyspace = g->keyspace;
    f->session_keyspace = g->session_keyspace;
    f->vindexes = g->vindexes;
    f->versions = g->versions;
    if (c->ddl_watch_columns > 0)
        f->recently_used = recently_used;
    f->recently_arg = s->worker->server->traffic;
    f->running = g->running;
    f->max_rows = (uint64_t)c->ddl_direct_max_rows;
    f->max_bytes = (uint64_t)c->ddl_direct_max_bytes;
    f->refuse_running = c->ddl_on_conflict == CONFIG_CONFLICT_REFUSE;
    f->foreign_keys_allowed = strstr(g->strategy, "unsafe-allow-foreign-keys") != NULL;
    f->instant_preferred = strstr(g->strategy, "prefer-instant-ddl") != NULL;
    bool forced =
        g->passed && g->st.verb != DDL_RENAME; /* own strategy: asked for, see gate_facts */

    f->online = g->action != POLICY_DIRECT && !ddl_strategy_is_direct(g->strategy) && !forced;
}

/* Whether DDL that is passed on has to stop here at all. */
static bool stops_here(const struct session *s, const struct gate *g)
{
    bool alter = g->st.verb == DDL_ALTER || g->st.object == DDL_OBJECT_INDEX;

    if (!g->passed || g->action == POLICY_REJECT || *g->hints.error)
        return true;
    if (config_of(s)->ddl_preflight == CONFIG_PREFLIGHT_OFF || g->action == POLICY_DIRECT)
        return false;
    if (g->st.kind == STATEMENT_DIRECT_DDL)
        return g->st.verb == DDL_RENAME && !s->strategy_own && !g->targeted;
    return alter; /* a direct one is kept from blocking a large table */
}

static struct gate *create(struct session *s, const struct plan *plan)
{
    const struct statement *st = &plan->statement;
    struct gate *g = memory_zalloc(sizeof(*g));

    g->explain = plan->action == PLAN_EXPLAIN;
    g->passed = plan->passed;
    g->text = memory_copy(st->text, st->len);
    classify_next(g->text, st->len, &g->st);
    if (config_of(s)->ddl_hints)
        hints_parse(g->text, st->len, &g->hints);
    if (g->explain) {
        struct sql_name ddl = g->st.body;

        classify_next(ddl.text, ddl.len, &g->st);
        if (s->strategy_own)
            g->passed = "strategy";
    }
    g->targeted = target_is_shard(s->database);
    g->ddl = ddl_parse(g->st.text, g->st.len);
    set_names(s, g, &g->st);
    set_tables(g);
    set_action(s, g);
    return g;
}

/* A VSchema change of the table is waited for, unless conflicts are to be refused. */
static void look_at_facts(struct session *s)
{
    const struct config *c = config_of(s);
    struct gate *g = s->gate;
    int64_t left = c->ddl_preflight_ms - (clock_ms() - g->started_ms);
    bool changing = flights_has(s->worker->server->flights, g->table, clock_ms());
    bool wait = changing && !g->explain && left > 0 && c->ddl_on_conflict == CONFIG_CONFLICT_QUEUE;
    int64_t ms = wait ? LOOK_MS : left > 0 ? left : 1;

    g->waiting = wait;
    g->facts.vschema_changing = changing;
    loop_timer_set(&g->timer, ms);
    if (wait)
        session_set_state(s, SESSION_MIGRATING);
    else
        gate_gather(s);
}

static void begin(struct session *s)
{
    struct gate *g = s->gate;

    g->started_ms = clock_ms();
    set_facts(s, g);
    if (*g->hints.error) {
        audit_refused(s, "hint", shim_error_row(SHIM_ERROR_HINT)->code);
        gate_answer_shim(s, SHIM_ERROR_HINT, g->hints.error);
    } else if (g->action == POLICY_REJECT && !g->explain) {
        log_warn("ddl_rejected", "session:u user:s keyspace:s table:s", s->id, s->user, g->keyspace,
                 g->table);
        metrics_add(&s->worker->metrics.ddl_failed, 1);
        audit_refused(s, "policy", shim_error_row(SHIM_ERROR_DDL_REJECTED)->code);
        gate_answer_shim(s, SHIM_ERROR_DDL_REJECTED, "");
    } else if (config_of(s)->ddl_preflight == CONFIG_PREFLIGHT_OFF && !g->explain &&
               g->action != POLICY_DIRECT) {
        gate_decide(s);
    } else {
        look_at_facts(s);
    }
}

bool gate_start(struct session *s, const struct plan *plan, const uint8_t *packet, size_t len,
                uint8_t sequence, bool more)
{
    static const char *const CONCERNED[] = {"direct", "targeted", "strategy"};
    bool concerned = !plan->passed;

    for (size_t i = 0; plan->passed && i < sizeof(CONCERNED) / sizeof(*CONCERNED); i++)
        concerned = concerned || strcmp(plan->passed, CONCERNED[i]) == 0;
    if (!concerned || !plan->statement.text || plan->statement.temporary)
        return false;
    struct gate *g = s->gate = create(s, plan);

    loop_timer_init(&g->timer, &s->worker->loop, on_timer, s);
    if (!stops_here(s, g)) {
        gate_forget(s);
        return false;
    }
    if (packet) {
        g->packet = (uint8_t *)memory_copy((const char *)packet, len);
        g->packet_len = len;
        g->command = packet[PACKET_HEADER];
    }
    g->sequence = sequence;
    g->more = more;
    notes_clear(s);
    begin(s);
    return true;
}
