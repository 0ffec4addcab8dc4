/*
 * A change of who serves: the traffic of a MoveTables or Reshard workflow, or a shard's primary.
 * Vitess does it; here the statements concerned are parked before, and go on when every vtgate
 * knows of it. Nothing that is on its way can then meet a table that is denied, or a tablet that is
 * just stepping down, which for a write in a transaction, or one that may have been executed, is an
 * error that no retry can hide.
 *
 * Sources: WorkflowSwitchTraffic and PlannedReparentShard in Vitess's go/vt/vtctl/workflow and
 * go/vt/vtctl/reparentutil; SHOW VITESS_TABLETS in go/vt/vtgate/executor.go.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proxy/server.h"
#include "proxy/transition_internal.h"
#include "proxy/vtgates.h"
#include "vtctldata.pb-c.h"

#define GRACE_MS 5000 /* for vtctld to answer, besides its own limit */
#define ASK_MS   50   /* from question to question to one vtgate */

#define TYPE_PRIMARY 1 /* topodata.TabletType */

struct transition_switch {
    const char *source;  /* TRAFFIC: the workflow's keyspace; the other is the order's */
    const char **tables; /* TRAFFIC: whose traffic is switched */
    size_t table_count;  /* 0: a Reshard, or not known */
    bool by_table;       /* they are held, not all of the keyspaces */
    char promoted[160];  /* PRIMARY: the new one, as SHOW VITESS_TABLETS writes it */
};

static bool is_traffic(const struct transition *t)
{
    return t->order.what == TRANSITION_TRAFFIC;
}

/* --- which tables ---------------------------------------------------------------------------- */

static void add_table(struct transition *t, const char *table)
{
    struct transition_switch *s = t->change;

    for (size_t i = 0; i < s->table_count; i++) {
        if (strcmp(s->tables[i], table) == 0)
            return;
    }
    s->tables = arena_grow(&t->arena, s->tables, s->table_count, sizeof(*s->tables));
    s->tables[s->table_count++] = arena_string(&t->arena, table);
}

/* False: the stream may be of any table. */
static bool add_tables(struct transition *t, const Vtctldata__Stream *stream)
{
    const Vtctldata__Filter *filter = stream->binlog_source ? stream->binlog_source->filter : NULL;

    if (!filter || filter->n_rules == 0)
        return false;
    for (size_t i = 0; i < filter->n_rules; i++) {
        const char *match = filter->rules[i]->match;

        if (!*match || *match == '/' || strlen(match) >= HOLD_NAME_MAX)
            return false;
        add_table(t, match);
    }
    return true;
}

/* The logs that the streams read: of the source's shards, or on the way back of the target's. */
static void add_marks(struct transition *t, const Vtctldata__ShardStreamEntry *entry)
{
    if (t->order.reverse) { /* the key is "-80/zone1-101" */
        transition_mark_add(t, t->order.keyspace, entry->key, strcspn(entry->key, "/"));
        return;
    }
    for (size_t i = 0; entry->value && i < entry->value->n_streams; i++) {
        const Vtctldata__BinlogSource *from = entry->value->streams[i]->binlog_source;

        if (from)
            transition_mark_add(t, t->change->source, from->shard, strlen(from->shard));
    }
}

static bool take_workflow(struct transition *t, const Vtctldata__Workflow *w)
{
    struct transition_switch *s = t->change;
    bool named = true;

    s->source = arena_string(&t->arena, w->source ? w->source->keyspace : "");
    for (size_t i = 0; i < w->n_shard_streams; i++) {
        const Vtctldata__ShardStream *of = w->shard_streams[i]->value;

        for (size_t k = 0; of && k < of->n_streams; k++)
            named = add_tables(t, of->streams[k]) && named;
        add_marks(t, w->shard_streams[i]);
    }
    if (!named || strcmp(s->source, t->order.keyspace) == 0)
        s->table_count = 0;
    s->by_table = s->table_count > 0 && 2 * s->table_count <= TRANSITION_HOLDS_MAX;
    return *s->source && strlen(s->source) < HOLD_NAME_MAX;
}

static void on_facts(struct transition *t)
{
    transition_next(t);
}

static void on_workflows(struct transition *t, const struct vtctld_answer *answer)
{
    const Vtctldata__GetWorkflowsResponse *a =
        (const Vtctldata__GetWorkflowsResponse *)answer->message;

    if (answer->status != GRPC_OK) {
        transition_fail_vtctld(t, answer);
        return;
    }
    for (size_t i = 0; i < a->n_workflows; i++) {
        if (strcmp(a->workflows[i]->name, t->order.name) != 0)
            continue;
        if (!take_workflow(t, a->workflows[i]))
            break;
        for (size_t k = 0; k < t->change->table_count; k++)
            transition_say(t, "table", t->change->tables[k], "%s and %s", t->change->source,
                           t->order.keyspace);
        transition_facts_read(t, on_facts);
        return;
    }
    transition_fail(t, 1105, "HY000", "keyspace %s has no workflow '%.128s'", t->order.keyspace,
                    t->order.name);
}

void transition_switch_read(struct transition *t)
{
    Vtctldata__GetWorkflowsRequest request = VTCTLDATA__GET_WORKFLOWS_REQUEST__INIT;

    t->change = arena_alloc(&t->arena, sizeof(*t->change));
    memset(t->change, 0, sizeof(*t->change));
    t->change->source = "";
    if (!is_traffic(t)) {
        transition_next(t);
        return;
    }
    request.keyspace = (char *)(uintptr_t)t->order.keyspace;
    request.workflow = (char *)(uintptr_t)t->order.name;
    transition_call(t, "GetWorkflows", &request.base, on_workflows);
}

void transition_switch_hold(struct transition *t)
{
    const struct transition_switch *s = t->change;

    transition_hold_begin(t);
    t->holds_pending = 1; /* none of them ends the step before all are asked for */
    for (size_t i = 0; s->by_table && i < s->table_count; i++) {
        transition_hold_add(t, s->source, s->tables[i]);
        transition_hold_add(t, t->order.keyspace, s->tables[i]);
    }
    if (!s->by_table)
        transition_hold_add(t, t->order.keyspace, "");
    if (!s->by_table && *s->source && strcmp(s->source, t->order.keyspace) != 0)
        transition_hold_add(t, s->source, "");
    t->holds_pending--;
}

/* --- the switch ------------------------------------------------------------------------------ */

static void on_switched(struct transition *t, const struct vtctld_answer *answer)
{
    transition_early_end(t);
    if (answer->status != GRPC_OK) {
        t->unknown = answer->maybe_done;
        transition_fail_vtctld(t, answer);
        return;
    }
    if (is_traffic(t)) {
        const Vtctldata__WorkflowSwitchTrafficResponse *a =
            (const Vtctldata__WorkflowSwitchTrafficResponse *)answer->message;

        transition_say(t, "switch", t->order.name, "%.500s", a->current_state);
    } else {
        const Topodata__TabletAlias *a =
            ((const Vtctldata__PlannedReparentShardResponse *)answer->message)->promoted_primary;

        if (a)
            snprintf(t->change->promoted, sizeof(t->change->promoted), "%.128s-%010" PRIu32,
                     a->cell, a->uid);
        transition_say(t, "primary", t->order.name, "%s", t->change->promoted);
    }
    transition_next(t);
}

/* Whether the primaries' traffic is switched: by the others' nobody is kept waiting. */
static bool is_of_primaries(const struct transition_order *o)
{
    for (size_t i = 0; i < o->type_count; i++) {
        if (o->types[i] == TYPE_PRIMARY)
            return true;
    }
    return o->type_count == 0; /* all of them */
}

static void let_go_early(struct transition *t)
{
    const struct transition_switch *s = t->change;
    bool back = t->order.reverse;

    if (is_of_primaries(&t->order))
        transition_early_begin(t, back ? t->order.keyspace : s->source,
                               back ? s->source : t->order.keyspace, s->tables, s->table_count);
}

static void switch_traffic(struct transition *t)
{
    Vtctldata__WorkflowSwitchTrafficRequest request =
        VTCTLDATA__WORKFLOW_SWITCH_TRAFFIC_REQUEST__INIT;
    Vttime__Duration timeout = VTTIME__DURATION__INIT;
    int32_t types[TRANSITION_TYPES_MAX];

    for (size_t i = 0; i < t->order.type_count; i++)
        types[i] = t->order.types[i];
    timeout.seconds = t->order.timeout_s;
    request.keyspace = (char *)(uintptr_t)t->order.keyspace;
    request.workflow = (char *)(uintptr_t)t->order.name;
    request.n_tablet_types = t->order.type_count;
    request.tablet_types = types;
    request.enable_reverse_replication = true;
    request.direction = t->order.reverse;
    request.timeout = &timeout;
    transition_call_for(t, "WorkflowSwitchTraffic", &request.base,
                        t->order.timeout_s * 1000 + GRACE_MS, on_switched);
    transition_mark_begin(t);
    let_go_early(t);
}

void transition_switch(struct transition *t)
{
    Vtctldata__PlannedReparentShardRequest request =
        VTCTLDATA__PLANNED_REPARENT_SHARD_REQUEST__INIT;
    Vttime__Duration timeout = VTTIME__DURATION__INIT;
    Topodata__TabletAlias to = TOPODATA__TABLET_ALIAS__INIT;

    if (!transition_lock_stands(t))
        return;
    if (is_traffic(t)) {
        switch_traffic(t);
        return;
    }
    timeout.seconds = t->order.timeout_s;
    to.cell = (char *)(uintptr_t)t->order.to;
    to.uid = t->order.to_uid;
    request.keyspace = (char *)(uintptr_t)t->order.keyspace;
    request.shard = (char *)(uintptr_t)t->order.name;
    request.new_primary = t->order.to ? &to : NULL;
    request.wait_replicas_timeout = &timeout;
    transition_call_for(t, "PlannedReparentShard", &request.base,
                        t->order.timeout_s * 1000 + GRACE_MS, on_switched);
}

/* --- every vtgate knows ---------------------------------------------------------------------- */

/* It is done whatever the vtgates show: retries have to do with the rest. */
static void see_no_more(struct transition *t, const char *why)
{
    transition_say(t, "warn", "unseen", "not on every vtgate after %" PRId64 " ms: %s",
                   t->server->config->transition_apply_ms, why);
    transition_next(t);
}

static void look(struct transition *t);

static void on_looked(void *arg)
{
    struct transition *t = arg;
    char why[256] = "";

    if (subject_shows(t, &t->now, why, sizeof(why)) == VTGATES_SHOW) {
        transition_next(t);
    } else if (clock_ms() < t->until_ms) {
        t->attempt++;
        transition_wait(t, transition_pause_ms(t), look);
    } else {
        see_no_more(t, why);
    }
}

static void look(struct transition *t)
{
    vtgate_watch_glance(t->server->watch, &t->look, on_looked, t);
}

static void on_rules(struct transition *t, const struct vtctld_answer *answer)
{
    if (answer->status != GRPC_OK) {
        see_no_more(t, "vtctld does not tell the routing rules");
        return;
    }
    subject_take(t, answer, &t->now);
    look(t);
}

/* t->attempt counts through the vtgates. */
static void ask_next(struct transition *t);

static void on_tablets(struct transition *t, const struct control_query *q)
{
    const struct control_result *r = &q->results[0];
    bool seen = false;

    for (size_t i = 0; !q->code && i < r->rows; i++) {
        const char *alias = control_result_value(r, i, "Alias");
        const char *type = control_result_value(r, i, "TabletType");
        const char *state = control_result_value(r, i, "State");

        seen = seen || (alias && type && state && strcmp(alias, t->change->promoted) == 0 &&
                        strcmp(type, "PRIMARY") == 0 && strcmp(state, "SERVING") == 0);
    }
    if (seen) {
        t->attempt++;
        ask_next(t);
    } else if (clock_ms() < t->until_ms) {
        transition_wait(t, ASK_MS, ask_next);
    } else {
        see_no_more(t, q->code ? q->error : vtgate_name(q->vtgate));
    }
}

static void ask_next(struct transition *t)
{
    struct vtgates *vs = t->server->vtgates;

    while (t->attempt < vtgates_count(vs) && !vtgate_is_healthy(vtgates_at(vs, t->attempt)))
        t->attempt++;
    if (t->attempt >= vtgates_count(vs)) {
        transition_next(t);
        return;
    }
    struct control_query *q = control_query_create();

    q->vtgate = vtgates_at(vs, t->attempt);
    control_query_add(q, "SHOW VITESS_TABLETS");
    transition_query(t, q, on_tablets);
}

static void settled(struct transition *t)
{
    transition_next(t);
}

static void settle(struct transition *t, const char *setting)
{
    transition_say(t, "warn", "unseen",
                   "%s is not set: it is not known whether every vtgate has it; waited %" PRId64
                   " ms",
                   setting, t->server->config->transition_settle_ms);
    transition_wait(t, t->server->config->transition_settle_ms, settled);
}

void transition_switch_see(struct transition *t)
{
    const struct config *c = t->server->config;

    t->until_ms = clock_ms() + c->transition_apply_ms;
    if (is_traffic(t) && vtgate_watch_configured(t->server->watch))
        subject_ask(t, on_rules);
    else if (is_traffic(t))
        settle(t, "vtgate_web");
    else if (*c->control_user && *t->change->promoted)
        ask_next(t);
    else
        settle(t, "control.user");
}
