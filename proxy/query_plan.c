/*
 * The planner asked about a client's command, with the facts of its session.
 */
#include <stdio.h>
#include <string.h>

#include "planner/touched.h"
#include "protocol/bytes.h"
#include "proxy/ask.h"
#include "proxy/fallback.h"
#include "proxy/memory.h"
#include "proxy/query_internal.h"
#include "proxy/script.h"
#include "proxy/session_transition.h"
#include "proxy/statements.h"
#include "proxy/vtgates.h"

struct plan_facts query_facts(const struct session *s)
{
    return (struct plan_facts){
        .database = s->database,
        .vtgate = s->worker->holds->n > 0 && s->vtgate ? vtgate_name(s->vtgate) : NULL,
        .holds = s->worker->holds,
        .fenced = server_is_fenced(s->worker->server),
        .served = TAILQ_EMPTY(&s->worker->parked) ? UINT64_MAX : s->served, /* no queue to join */
        .in_transaction = s->status & STATUS_IN_TRANSACTION,
        .autocommit = s->status & STATUS_AUTOCOMMIT,
        .touched = s->worker->holds->n > 0 && s->touched ? touched_names(s->touched) : NULL,
        .multi_statements = s->capabilities & CAP_MULTI_STATEMENTS,
        .strategy_own = s->strategy_own,
        .intercept = s->worker->server->config->ddl_intercept,
        .transitions = session_transition_wanted(s),
        .collecting = s->collected != NULL,
        .resolved = s->resolved != NULL,
        .temporary = s->temporary,
    };
}

bool query_no_control(const struct session *s)
{
    const struct string_list *users = &s->worker->server->config->ddl_control_users;

    for (size_t i = 0; i < users->n; i++) {
        if (s->user && strcmp(users->items[i], s->user) == 0)
            return false;
    }
    return users->n > 0;
}

static const struct prepared *find_named(void *arg, struct sql_name name)
{
    const struct session *s = arg;

    return name.text ? statements_get_named(s->statements, name) : NULL;
}

struct plan query_plan(struct session *s, const struct plan_facts *facts, const char *text,
                       size_t len, bool whole, bool may_grow, bool prepare)
{
    return plan_text(facts, text, len, whole, may_grow, prepare, find_named, s);
}

/* PREPARE name FROM @variable: the text is asked for, and then the command is planned again. */
static void on_resolved(struct session *s, const struct answer *a)
{
    struct bytes value = {NULL, 0};
    const uint8_t *at = a ? a->rows_at : NULL;

    if (a && !a->failed && a->columns)
        answer_row(a, &at, &value, 1);
    session_forget_resolved(s);
    s->resolved = memory_zalloc(sizeof(*s->resolved));
    prepared_init(s->resolved, value.p ? (const char *)value.p : "", value.len, value.p != NULL);
    if (s->script)
        script_retry(s);
    else
        query_next(s);
}

void query_resolve(struct session *s, const struct sql_name *variable)
{
    char sql[256];
    int n = snprintf(sql, sizeof(sql), "SELECT %.*s", (int)variable->len, variable->text);

    ask_start(s, sql, (size_t)n, on_resolved);
}

static struct plan plan_text_command(struct session *s, const struct head *h)
{
    const char *text = (const char *)h->packet + PACKET_HEADER + 1;
    size_t limit = (size_t)s->worker->server->config->limits_max_inspect_bytes;
    bool may_grow = h->available < h->length && h->available < limit;
    struct plan_facts facts = query_facts(s);

    facts.no_control = query_no_control(s);
    struct plan plan = query_plan(s, &facts, text, h->available - 1, h->whole, may_grow,
                                  h->command == COM_STMT_PREPARE);

    if (!h->whole && !may_grow)
        metrics_add(&s->worker->metrics.uninspected, 1);
    return plan;
}

static struct plan plan_statement_command(struct session *s, const struct head *h)
{
    struct plan plan = {.action = PLAN_FORWARD};

    if (h->available < 5) { /* the byte and the statement id */
        plan.action = h->available < h->length ? PLAN_MORE : PLAN_FORWARD;
        return plan;
    }
    uint32_t id = load_u32(h->packet + PACKET_HEADER + 1);

    if (h->command == COM_STMT_EXECUTE) {
        struct plan_facts facts = query_facts(s);

        facts.no_control = query_no_control(s);
        plan = plan_execute(&facts, statements_get(s->statements, id));
        /* What the shim does itself it does with a whole command: DDL has no parameters, so that it
           is short. */
        bool done_here = plan.action != PLAN_FORWARD && plan.action != PLAN_PARK;

        if ((done_here || plan.effect == EFFECT_CONTROL) && plan.action != PLAN_DENY && !h->whole)
            plan.action = h->length < PACKET_MAX_PAYLOAD ? PLAN_MORE : PLAN_FORWARD;
        return plan;
    }
    if (h->command == COM_STMT_SEND_LONG_DATA)
        statements_note_long_data(s->statements, id);
    if (h->command == COM_STMT_CLOSE) {
        plan.effect = EFFECT_CLOSE_PREPARED;
        s->effect_id = id;
    }
    return plan;
}

static struct plan plan_other_command(const struct head *h)
{
    struct plan plan = {.action = PLAN_FORWARD};

    if (h->command == COM_INIT_DB) {
        if (!h->whole && h->length < PACKET_MAX_PAYLOAD)
            plan.action = PLAN_MORE;
        plan.effect = EFFECT_DATABASE;
        plan.name =
            (struct sql_name){(const char *)h->packet + PACKET_HEADER + 1, h->available - 1};
    } else if (h->command == COM_SET_OPTION && h->available >= 3) {
        /* enum_mysql_set_option: MYSQL_OPTION_MULTI_STATEMENTS_ON is 0 */
        plan.effect =
            load_u16(h->packet + PACKET_HEADER + 1) == 0 ? EFFECT_MULTI_ON : EFFECT_MULTI_OFF;
    } else if (h->command == COM_SET_OPTION && !h->whole) {
        plan.action = PLAN_MORE;
    } else if (h->command == COM_PROCESS_KILL && !h->whole && h->length < PACKET_MAX_PAYLOAD) {
        plan.action = PLAN_MORE;
    } else if (h->command == COM_PROCESS_KILL && h->whole && h->available >= 5) {
        plan.action = PLAN_KILL;
        plan.kill_id = load_u32(h->packet + PACKET_HEADER + 1);
    } else if (h->command == COM_CHANGE_USER && !h->whole &&
               PACKET_HEADER + h->length <= FALLBACK_PACKET_MAX) {
        plan.action = PLAN_MORE; /* the shim may have to do it itself */
    } else if (h->command == COM_RESET_CONNECTION || h->command == COM_CHANGE_USER) {
        plan.effect = EFFECT_RESET;
    }
    return plan;
}

struct plan query_plan_command(struct session *s, const struct head *h)
{
    switch (h->command) {
    case COM_QUERY:
    case COM_STMT_PREPARE:
        return plan_text_command(s, h);
    case COM_STMT_EXECUTE:
    case COM_STMT_CLOSE:
    case COM_STMT_SEND_LONG_DATA:
        return plan_statement_command(s, h);
    default:
        return plan_other_command(h);
    }
}
