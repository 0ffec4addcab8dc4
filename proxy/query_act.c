/*
 * What a plan leads to. Each action takes the command, and says how many bytes that used; one that
 * wants a whole command passes on what is not.
 */
#include <string.h>

#include "proxy/audit_session.h"
#include "proxy/control_managed.h"
#include "proxy/effect.h"
#include "proxy/gate.h"
#include "proxy/kill.h"
#include "proxy/log.h"
#include "proxy/migration_revert.h"
#include "proxy/park.h"
#include "proxy/query_internal.h"
#include "proxy/retry.h"
#include "proxy/script.h"
#include "proxy/session_transition.h"

typedef size_t action(struct session *s, const struct head *h, const struct plan *plan,
                      const uint8_t *p, size_t n);

static uint8_t reply_sequence(const struct head *h)
{
    return (uint8_t)(h->packet[3] + 1);
}

static size_t packet_length(const struct head *h)
{
    return PACKET_HEADER + h->length;
}

static const char *head_text(const struct head *h)
{
    return (const char *)h->packet + PACKET_HEADER + 1;
}

/* The command was answered, if the session still stands. */
static size_t answered(struct session *s, const struct head *h, const uint8_t *p, size_t n)
{
    return s->state == SESSION_DEAD ? n : query_drop(s, h, p, n);
}

void query_log_passed(struct session *s, const struct plan *plan, const char *text, size_t len)
{
    if (!plan->passed)
        return;
    audit_passed(s, plan, text, len);
    metrics_add(&s->worker->metrics.ddl_passed, 1);
    log_info("ddl_passed", "session:u user:s database:s reason:s", s->id, s->user, s->database,
             plan->passed);
}

static size_t wait_for_more(struct session *s, const struct head *h, const struct plan *plan,
                            const uint8_t *p, size_t n)
{
    (void)s, (void)h, (void)plan, (void)p, (void)n;
    return 0;
}

static size_t park(struct session *s, const struct head *h, const struct plan *plan,
                   const uint8_t *p, size_t n)
{
    if (park_session(s, plan->hold))
        return 0;
    metrics_add(&s->worker->metrics.park_timeouts, 1);
    retry_forget(s);
    session_forget_resolved(s);
    session_send_error(s, reply_sequence(h), SHIM_ERROR_HELD, (unsigned long long)plan->hold->id,
                       plan->hold->reason, "max_parked sessions wait already");
    return answered(s, h, p, n);
}

static size_t migrate(struct session *s, const struct head *h, const struct plan *plan,
                      const uint8_t *p, size_t n)
{
    (void)p, (void)n;
    query_count_command(s, h->command);
    gate_start(s, plan, h->packet, packet_length(h), reply_sequence(h), false);
    return packet_length(h);
}

/* vtgate prepares another text than the client's: `before`, the n bytes at `text`, `behind`. */
static size_t prepare_instead(struct session *s, const struct head *h, const struct plan *plan,
                              const char *before, const char *text, size_t n, const char *behind)
{
    struct buffer out;

    query_count_command(s, h->command);
    effect_set(s, plan, head_text(h), h->available - 1, true);
    buffer_init(&out, strlen(before) + n + strlen(behind) + 64);
    size_t mark = packet_begin(&out);

    buffer_u8(&out, COM_STMT_PREPARE);
    buffer_text(&out, before);
    buffer_bytes(&out, text, n);
    buffer_text(&out, behind);
    packet_end(&out, mark, 0);
    query_send_command(s, h->command, out.data, out.len);
    buffer_release(&out);
    return packet_length(h);
}

static size_t prepare_wrapped(struct session *s, const struct head *h, const struct plan *plan,
                              const uint8_t *p, size_t n)
{
    (void)p, (void)n;
    return prepare_instead(s, h, plan, "/*! ", plan->statement.text, plan->statement.len, " */");
}

static size_t explain(struct session *s, const struct head *h, const struct plan *plan,
                      const uint8_t *p, size_t n)
{
    static const struct plan PREPARE = {.effect = EFFECT_PREPARE};

    /* vtgate cannot prepare an EXPLAIN of a DDL: it prepares something with the same columns, and
       the shim answers its execution. So the statement's id is vtgate's own. */
    if (h->command == COM_STMT_PREPARE)
        return prepare_instead(s, h, &PREPARE, GATE_EXPLAIN_STAND_IN, "", 0, "");
    return migrate(s, h, plan, p, n);
}

static size_t resolve(struct session *s, const struct head *h, const struct plan *plan,
                      const uint8_t *p, size_t n)
{
    (void)h, (void)p, (void)n;
    query_resolve(s, &plan->body);
    return 0;
}

static size_t deny(struct session *s, const struct head *h, const struct plan *plan,
                   const uint8_t *p, size_t n)
{
    query_count_command(s, h->command);
    audit_denied(s, &plan->statement);
    session_send_error(s, reply_sequence(h), SHIM_ERROR_CONTROL_DENIED, s->user);
    return answered(s, h, p, n);
}

static size_t kill_session(struct session *s, const struct head *h, const struct plan *plan,
                           const uint8_t *p, size_t n)
{
    (void)p, (void)n;
    query_count_command(s, h->command);
    kill_start(s, plan->kill_id, plan->kill_query, reply_sequence(h));
    return packet_length(h);
}

static size_t change_vschema(struct session *s, const struct head *h, const struct plan *plan,
                             const uint8_t *p, size_t n)
{
    (void)p, (void)n;
    query_count_command(s, h->command);
    session_transition_start(s, &plan->statement, reply_sequence(h));
    return packet_length(h);
}

static size_t run_script(struct session *s, const struct head *h, const struct plan *plan,
                         const uint8_t *p, size_t n)
{
    (void)plan, (void)p, (void)n;
    query_count_command(s, h->command);
    script_start(s, head_text(h), h->available - 1, reply_sequence(h));
    return packet_length(h);
}

/* What a plan that says "forward" may have beside it: DDL that has to be checked although it is
   passed on, and control of migrations that the shim itself runs. True: it is taken care of. */
static bool takes_over(struct session *s, const struct head *h, const struct plan *plan,
                       const uint8_t *p, size_t n, size_t *used)
{
    bool succeeded;

    if (plan->passed && h->whole &&
        gate_start(s, plan, h->packet, packet_length(h), reply_sequence(h), false)) {
        query_count_command(s, h->command);
        *used = packet_length(h);
        return true;
    }
    if (plan->effect != EFFECT_CONTROL)
        return false;
    switch (control_managed(s, &plan->statement, reply_sequence(h), false, &succeeded)) {
    case CONTROL_ANSWERED:
        query_count_command(s, h->command);
        *used = answered(s, h, p, n);
        return true;
    case CONTROL_ASKING:
        *used = 0;
        return true;
    case CONTROL_PASSES:
        break;
    }
    if (h->whole && migration_revert_start(s, &plan->statement, reply_sequence(h), false,
                                           h->command == COM_STMT_EXECUTE)) {
        query_count_command(s, h->command);
        *used = packet_length(h);
        return true;
    }
    return false;
}

static size_t pass(struct session *s, const struct head *h, const struct plan *plan,
                   const uint8_t *p, size_t n)
{
    size_t text_len = h->available - 1, used;

    if (takes_over(s, h, plan, p, n, &used))
        return used;
    if (plan->passed)
        query_log_passed(s, plan, h->command == COM_QUERY ? head_text(h) : NULL, text_len);
    if (plan->effect != EFFECT_NONE)
        effect_set(s, plan, head_text(h), text_len, h->whole);
    query_watch(s, h);
    return query_forward(s, h, p, n);
}

static const struct {
    action *run;
    bool any; /* of a command that is not whole, too */
} ACTIONS[] = {
    [PLAN_FORWARD] = {pass, true},       [PLAN_MORE] = {wait_for_more, true},
    [PLAN_PARK] = {park, true},          [PLAN_MIGRATE] = {migrate, false},
    [PLAN_EXPLAIN] = {explain, false},   [PLAN_WRAP] = {prepare_wrapped, false},
    [PLAN_RESOLVE] = {resolve, true},    [PLAN_DENY] = {deny, true},
    [PLAN_KILL] = {kill_session, false}, [PLAN_TRANSITION] = {change_vschema, false},
    [PLAN_SCRIPT] = {run_script, false},
};

size_t query_act(struct session *s, const struct head *h, const struct plan *plan, const uint8_t *p,
                 size_t n)
{
    bool can = h->whole || ACTIONS[plan->action].any;

    return (can ? ACTIONS[plan->action].run : pass)(s, h, plan, p, n);
}
