/*
 * The client's bytes once it is logged in: finds the commands in them, has each planned, and does
 * what the plan says. A command that is whole in the read buffer goes to vtgate from there, with no
 * copy; a longer one is passed on in pieces as it comes, unless it has to be looked at as a whole.
 *
 * Invariants: s->input is non-empty only while a command cannot be acted upon yet (incomplete,
 * parked, or behind one that is under way); it then begins with that command's packet header,
 * except in REQUEST, INFILE and STREAMING, where it is empty.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/traffic.h"
#include "proxy/ask.h"
#include "proxy/audit_session.h"
#include "proxy/control_managed.h"
#include "proxy/digests.h"
#include "proxy/effect.h"
#include "proxy/fallback.h"
#include "proxy/gate.h"
#include "proxy/kill.h"
#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/migration_revert.h"
#include "proxy/notes.h"
#include "proxy/park.h"
#include "proxy/retry.h"
#include "proxy/script.h"
#include "proxy/server.h"
#include "proxy/session.h"
#include "proxy/session_transition.h"
#include "proxy/shapes.h"
#include "proxy/statements.h"
#include "proxy/timing.h"
#include "proxy/vtgates.h"
#include "proxy/worker.h"

#define WATCH_MAX 4096 /* bytes of a statement that are looked at for columns */

/* A command at the head of some bytes. */
struct head {
    const uint8_t *packet;
    size_t available; /* of the packet's payload */
    size_t length;    /* the packet's payload length */
    uint8_t command;
    bool whole; /* all of the command is here: one packet, not continued by another */
};

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
        .touched = s->touched,
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

void query_note_status(struct session *s, uint16_t status)
{
    if (status & STATUS_IN_TRANSACTION && !(s->status & STATUS_IN_TRANSACTION))
        s->transaction_ms = clock_ms();
    /* BEGIN, for under autocommit nothing else begins one; of several statements it is not alone.
     */
    s->fresh = !(s->status & STATUS_IN_TRANSACTION) && s->response.packets == 1 &&
               (status & (STATUS_IN_TRANSACTION | STATUS_AUTOCOMMIT)) ==
                   (STATUS_IN_TRANSACTION | STATUS_AUTOCOMMIT);
    s->status = status;
    if (s->touched && !(status & STATUS_IN_TRANSACTION)) {
        free(s->touched);
        s->touched = NULL;
    }
}

void query_command_done(struct session *s)
{
    struct metrics *m = &s->worker->metrics;

    s->drained_by = 0;
    timing_done(s);
    if (s->response.failed) {
        metrics_add(&m->errors_relayed, 1);
        s->fresh = false;
    }
    if (s->response.status_valid)
        query_note_status(s, s->response.status);
    effect_settle(s, !s->response.failed);
    query_next(s);
}

void query_next(struct session *s)
{
    session_set_state(s, SESSION_IDLE);
    if (s->worker->draining && session_may_drain(s))
        session_finish(s, CLOSE_SHUTDOWN);
    else
        query_continue(s);
}

static void track_names(struct session *s, const struct names *names)
{
    if (!s->touched) {
        s->touched = memory_zalloc(sizeof(*s->touched));
        /* A transaction that is older than the tracking may have touched anything. */
        s->touched->everything = s->status & STATUS_IN_TRANSACTION;
    }
    hold_touch(s->touched, names, s->database);
}

static bool is_tracked(const struct session *s)
{
    return atomic_load_explicit(&s->worker->server->tracking, memory_order_relaxed) > 0;
}

/* EXECUTE touches what its statement names. Where that is not the whole text: anything. */
static void add_executed_names(struct session *s, struct names *names, const char *text, size_t len)
{
    struct statement st;
    bool alone = classify_next(text, len, &st) == len && st.kind == STATEMENT_EXECUTE;
    const struct prepared *p = alone ? find_named(s, st.name) : NULL;

    if (p)
        names_merge(names, &p->names);
    else
        names->everything = true;
}

void query_track(struct session *s, const char *text, size_t len, bool whole)
{
    struct names names;

    if (!is_tracked(s))
        return;
    names_collect(&names, text, len, whole);
    if (names_may_contain(&names, "EXECUTE", 7))
        add_executed_names(s, &names, text, len);
    track_names(s, &names);
}

/* The same for a command of the client. */
static void track_command(struct session *s, const struct head *h)
{
    static const struct names EVERYTHING = {.everything = true};

    if (!is_tracked(s))
        return;
    if (h->command == COM_QUERY) {
        query_track(s, (const char *)h->packet + PACKET_HEADER + 1, h->available - 1, h->whole);
    } else if (h->command == COM_STMT_EXECUTE && h->available >= 5) {
        const struct prepared *p =
            statements_get(s->statements, load_u32(h->packet + PACKET_HEADER + 1));

        track_names(s, p ? &p->names : &EVERYTHING);
    }
}

/* Out of line, as consume_planned is. */
__attribute__((noinline)) static void note_columns(struct session *s, const struct head *h)
{
    const struct server *server = s->worker->server;
    uint32_t pairs[TRAFFIC_PAIRS_MAX];

    if (h->command == COM_QUERY) {
        size_t len = h->available - 1 < WATCH_MAX ? h->available - 1 : WATCH_MAX;
        size_t n = traffic_pairs((const char *)h->packet + PACKET_HEADER + 1, len, pairs);

        traffic_note(server->traffic, pairs, n, clock_ms());
        digests_note(server->digests, (const char *)h->packet + PACKET_HEADER + 1, len, clock_ms());
    } else if (h->command == COM_STMT_EXECUTE && h->available >= 5) {
        const struct prepared *p =
            statements_get(s->statements, load_u32(h->packet + PACKET_HEADER + 1));

        if (p)
            traffic_note(server->traffic, p->pairs, p->pair_count, clock_ms());
    }
}

__attribute__((noinline)) static void note_shape(struct session *s, const struct head *h)
{
    struct shapes *shapes = s->worker->shapes;

    if (h->command == COM_QUERY && h->whole) {
        shapes_note_text(shapes, s->database, (const char *)h->packet + PACKET_HEADER + 1,
                         h->available - 1);
    } else if (h->command == COM_STMT_EXECUTE && h->available >= 5) {
        const struct prepared *p =
            statements_get(s->statements, load_u32(h->packet + PACKET_HEADER + 1));

        if (p)
            shapes_note_execute(shapes, p->shape);
    }
}

/* How many commands until the next sample: `every` on average, but not always the same number, for
   loads come in patterns. */
__attribute__((noinline)) static uint32_t next_sample(struct worker *w, int64_t every)
{
    w->random ^= w->random << 13;
    w->random ^= w->random >> 17;
    w->random ^= w->random << 5;
    return 1 + w->random % (uint32_t)(2 * every - 1);
}

/* Now and then a statement is looked at for the columns that it names, and for its shape. */
static void watch(struct session *s, const struct head *h)
{
    struct worker *w = s->worker;
    const struct config *c = w->server->config;

    if (c->ddl_watch_columns != 0 && w->look_in[0]-- <= 1) {
        w->look_in[0] = next_sample(w, c->ddl_watch_columns);
        note_columns(s, h);
    }
    if (c->plans_sample != 0 && w->look_in[1]-- <= 1) {
        w->look_in[1] = next_sample(w, c->plans_sample);
        note_shape(s, h);
    }
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

static void count_commands(struct session *s, uint8_t command, uint64_t n)
{
    struct metrics *m = &s->worker->metrics;

    s->commands += n;
    metrics_add(&m->commands, n);
    if (s->of_vtgate)
        metrics_add(&s->of_vtgate->commands, n);
    metrics_add(&m->commands_by_kind[command < COMMAND_COUNT ? command : COMMAND_COUNT], n);
}

static void count_command(struct session *s, uint8_t command)
{
    count_commands(s, command, 1);
}

void query_uncount_command(struct session *s)
{
    count_commands(s, s->command, (uint64_t)-1);
}

/* The last byte of a command has been passed on. */
static void request_sent(struct session *s)
{
    enum response_shape shape = command_shape(s->command);

    timing_sent(s);
    response_init(&s->response, shape, s->capabilities & CAP_DEPRECATE_EOF);
    if (shape == SHAPE_NONE) {
        s->began_us = 0;
        effect_settle(s, true);
        session_set_state(s, SESSION_IDLE);
    } else {
        session_set_state(s, SESSION_RESPONSE);
    }
}

/* Passes on the pieces of a command (or drops them, when it was answered already). */
/*
 * The next packets of a command, in p[0..n), get the numbers that vtgate expects. MariaDB's client
 * library numbers every packet 0 once the connection is compressed (libmariadb/ma_net.c,
 * ma_net_write), for then it is the frames that count.
 */
static void renumber(struct session *s, const uint8_t *p, size_t n)
{
    size_t left = packet_cursor_header_left(&s->request);

    if (s->client.codec && left > 0 && left <= n)
        ((uint8_t *)p)[left - 1] = s->request_next++; /* our own buffer: scratch or s->input */
}

static size_t consume_request(struct session *s, const uint8_t *p, size_t n)
{
    size_t used = 0;
    bool complete = false;

    while (used < n && !(complete && s->request.length < PACKET_MAX_PAYLOAD)) {
        renumber(s, p + used, n - used);
        used += packet_cursor_feed(&s->request, p + used, n - used, &complete);
    }
    complete = complete && s->request.length < PACKET_MAX_PAYLOAD;
    if (!s->discard && !session_send_backend(s, p, used))
        return used;
    if (!complete)
        return used;
    if (s->discard) {
        s->discard = false;
        session_set_state(s, SESSION_IDLE);
    } else {
        request_sent(s);
    }
    return used;
}

/* LOCAL INFILE: packets of the file up to an empty one. */
static size_t consume_infile(struct session *s, const uint8_t *p, size_t n)
{
    size_t used = 0;
    bool complete = false;

    while (used < n && !(complete && s->request.length == 0)) {
        renumber(s, p + used, n - used);
        used += packet_cursor_feed(&s->request, p + used, n - used, &complete);
    }
    if (!session_send_backend(s, p, used))
        return used;
    if (complete && s->request.length == 0) {
        response_infile_sent(&s->response);
        session_set_state(s, SESSION_RESPONSE);
    }
    return used;
}

/* Passes the command at the head of p[0..n) on, as much of it as is here. */
static size_t forward(struct session *s, const struct head *h, const uint8_t *p, size_t n)
{
    count_command(s, h->command);
    timing_forward(s);
    s->command = h->command;
    if (h->whole) {
        size_t len = PACKET_HEADER + h->length;

        if (session_send_backend(s, p, len)) {
            request_sent(s);
            fallback_expect(s, p, len);
            retry_keep(s, p, len);
        }
        return len;
    }
    packet_cursor_init(&s->request);
    s->request_next = p[3];
    session_set_state(s, SESSION_REQUEST);
    return consume_request(s, p, n);
}

static size_t quit(struct session *s, const struct head *h)
{
    count_command(s, h->command);
    stream_send(&s->backend, h->packet, PACKET_HEADER + h->available);
    session_close(s, CLOSE_CLIENT_QUIT);
    return PACKET_HEADER + h->available;
}

/* Drops the command at the head of p[0..n) after it was answered. Returns the bytes used. */
static size_t drop(struct session *s, const struct head *h, const uint8_t *p, size_t n)
{
    if (h->whole)
        return PACKET_HEADER + h->length;
    packet_cursor_init(&s->request);
    s->discard = true;
    session_set_state(s, SESSION_REQUEST);
    return consume_request(s, p, n);
}

void query_send_command(struct session *s, uint8_t command, const uint8_t *packet, size_t len)
{
    s->command = command;
    s->began_us = 0;
    if (session_send_backend(s, packet, len))
        request_sent(s);
}

/* vtgate cannot prepare an EXPLAIN of a DDL: it prepares something with the same columns, and the
   shim answers its execution. So the statement's id is vtgate's own. */
static size_t prepare_explain(struct session *s, const struct head *h, const char *text, size_t len)
{
    static const char STAND_IN[] = GATE_EXPLAIN_STAND_IN;
    struct plan plan = {.effect = EFFECT_PREPARE};
    struct buffer out;

    count_command(s, h->command);
    effect_set(s, &plan, text, len, true);
    buffer_init(&out, sizeof(STAND_IN) + 64);
    size_t mark = packet_begin(&out);

    buffer_u8(&out, COM_STMT_PREPARE);
    buffer_text(&out, STAND_IN);
    packet_end(&out, mark, 0);
    query_send_command(s, h->command, out.data, out.len);
    buffer_release(&out);
    return PACKET_HEADER + h->length;
}

static size_t act(struct session *s, const struct head *h, const struct plan *plan,
                  const uint8_t *p, size_t n)
{
    const char *text = (const char *)h->packet + PACKET_HEADER + 1;
    size_t text_len = h->available - 1;
    bool succeeded;

    switch (plan->action) {
    case PLAN_FORWARD:
        break;
    case PLAN_MORE:
        return 0;
    case PLAN_PARK:
        if (park_session(s, plan->hold))
            return 0;
        metrics_add(&s->worker->metrics.park_timeouts, 1);
        retry_forget(s);
        session_send_error(s, (uint8_t)(h->packet[3] + 1), SHIM_ERROR_HELD,
                           (unsigned long long)plan->hold->id, plan->hold->reason,
                           "max_parked sessions wait already");
        return s->state == SESSION_DEAD ? n : drop(s, h, p, n);
    case PLAN_MIGRATE:
        if (!h->whole)
            break;
        count_command(s, h->command);
        gate_start(s, plan, h->packet, PACKET_HEADER + h->length, (uint8_t)(h->packet[3] + 1),
                   false);
        return PACKET_HEADER + h->length;
    case PLAN_EXPLAIN:
        if (!h->whole)
            break;
        if (h->command == COM_STMT_PREPARE)
            return prepare_explain(s, h, text, text_len);
        count_command(s, h->command);
        gate_start(s, plan, h->packet, PACKET_HEADER + h->length, (uint8_t)(h->packet[3] + 1),
                   false);
        return PACKET_HEADER + h->length;
    case PLAN_RESOLVE:
        query_resolve(s, &plan->body);
        return 0;
    case PLAN_DENY:
        count_command(s, h->command);
        audit_denied(s, &plan->statement);
        session_send_error(s, (uint8_t)(h->packet[3] + 1), SHIM_ERROR_CONTROL_DENIED, s->user);
        return s->state == SESSION_DEAD ? n : drop(s, h, p, n);
    case PLAN_KILL:
        if (!h->whole)
            break;
        count_command(s, h->command);
        kill_start(s, plan->kill_id, plan->kill_query, (uint8_t)(h->packet[3] + 1));
        return PACKET_HEADER + h->length;
    case PLAN_TRANSITION:
        count_command(s, h->command);
        session_transition_start(s, &plan->statement, (uint8_t)(h->packet[3] + 1));
        return PACKET_HEADER + h->length;
    case PLAN_SCRIPT:
        if (!h->whole)
            break;
        count_command(s, h->command);
        script_start(s, text, text_len, (uint8_t)(h->packet[3] + 1));
        return PACKET_HEADER + h->length;
    }
    if (plan->passed && h->whole &&
        gate_start(s, plan, h->packet, PACKET_HEADER + h->length, (uint8_t)(h->packet[3] + 1),
                   false)) {
        count_command(s, h->command);
        return PACKET_HEADER + h->length;
    }
    if (plan->effect == EFFECT_CONTROL &&
        control_managed(s, &plan->statement, (uint8_t)(h->packet[3] + 1), false, &succeeded)) {
        count_command(s, h->command);
        return s->state == SESSION_DEAD ? n : drop(s, h, p, n);
    }
    if (plan->effect == EFFECT_CONTROL && h->command == COM_QUERY && h->whole &&
        migration_revert_start(s, &plan->statement, (uint8_t)(h->packet[3] + 1), false)) {
        count_command(s, h->command);
        return PACKET_HEADER + h->length;
    }
    if (plan->passed)
        query_log_passed(s, plan, h->command == COM_QUERY ? text : NULL, text_len);
    if (plan->effect != EFFECT_NONE)
        effect_set(s, plan, text, text_len, h->whole);
    track_command(s, h);
    watch(s, h);
    return forward(s, h, p, n);
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
        if (plan.action != PLAN_FORWARD && plan.action != PLAN_PARK && plan.action != PLAN_DENY &&
            !h->whole)
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
    } else if (h->command == COM_RESET_CONNECTION || h->command == COM_CHANGE_USER) {
        plan.effect = EFFECT_RESET;
    }
    return plan;
}

/* A question about the notes of the last DDL is answered (true); any other statement ends them. */
static bool settle_notes(struct session *s, const struct head *h)
{
    uint8_t sequence = (uint8_t)(h->packet[3] + 1);

    if (h->command == COM_QUERY && notes_answer(s, (const char *)h->packet + PACKET_HEADER + 1,
                                                h->length - 1, &sequence, false)) {
        count_command(s, h->command);
        return true;
    }
    if (h->command == COM_QUERY || h->command == COM_STMT_EXECUTE || h->command == COM_INIT_DB ||
        h->command == COM_RESET_CONNECTION || h->command == COM_CHANGE_USER)
        notes_clear(s);
    return false;
}

/* A command that has to be looked at. Out of line: it would crowd the way of those that have not.
 */
__attribute__((noinline)) static size_t consume_planned(struct session *s, const struct head *h,
                                                        const uint8_t *p, size_t n)
{
    struct plan plan;

    switch (h->command) {
    case COM_QUIT:
        return quit(s, h);
    case COM_QUERY:
    case COM_STMT_PREPARE:
        plan = plan_text_command(s, h);
        break;
    case COM_STMT_EXECUTE:
    case COM_STMT_CLOSE:
    case COM_STMT_SEND_LONG_DATA:
        plan = plan_statement_command(s, h);
        break;
    default:
        plan = plan_other_command(h);
    }
    return act(s, h, &plan, p, n);
}

/* A statement that passes without another look. */
static bool is_plain(const struct session *s, const struct head *h)
{
    const struct worker *w = s->worker;

    return h->command == COM_QUERY && h->whole && w->holds->n == 0 && !s->collected &&
           !server_is_fenced(w->server) &&
           plan_is_plain(s->capabilities & CAP_MULTI_STATEMENTS,
                         (const char *)h->packet + PACKET_HEADER + 1, h->available - 1);
}

/* The command at the head of p[0..n), while none is under way. 0: it needs more bytes, or waits. */
static size_t consume_command(struct session *s, const uint8_t *p, size_t n)
{
    struct head h = {.packet = p};

    if (n < PACKET_HEADER)
        return 0;
    h.length = load_u24(p);
    h.available = n - PACKET_HEADER < h.length ? n - PACKET_HEADER : h.length;
    h.whole = h.available == h.length && h.length < PACKET_MAX_PAYLOAD;
    if (h.length == 0) {
        session_send_error(s, (uint8_t)(p[3] + 1), SHIM_ERROR_PROTOCOL);
        session_finish(s, CLOSE_CLIENT_PROTOCOL);
        return n;
    }
    if (h.available == 0)
        return 0;
    h.command = p[PACKET_HEADER];
    timing_begin(s->worker);
    if (s->notes && h.whole && settle_notes(s, &h))
        return PACKET_HEADER + h.length;
    if (!is_plain(s, &h))
        return consume_planned(s, &h, p, n);
    track_command(s, &h);
    watch(s, &h);
    return forward(s, &h, p, n);
}

/* Acts on as much of p[0..n) as can be acted on now; returns how much that was. */
static size_t consume(struct session *s, const uint8_t *p, size_t n)
{
    size_t used = 0;

    while (used < n) {
        size_t k;

        if (s->state == SESSION_IDLE)
            k = consume_command(s, p + used, n - used);
        else if (s->state == SESSION_REQUEST)
            k = consume_request(s, p + used, n - used);
        else if (s->state == SESSION_INFILE)
            k = consume_infile(s, p + used, n - used);
        else if (s->state == SESSION_STREAMING ||
                 (s->state == SESSION_RESPONSE && s->response.shape == SHAPE_AUTH))
            k = session_send_backend(s, p + used, n - used) ? n - used : 0;
        else
            break;
        if (k == 0)
            break;
        used += k;
    }
    return used;
}

void query_continue(struct session *s)
{
    if (s->input.len > 0) {
        size_t used = consume(s, s->input.data, s->input.len);

        if (s->state == SESSION_DEAD)
            return;
        if (used == s->input.len)
            buffer_release(&s->input);
        else
            buffer_consume(&s->input, used);
    }
    session_balance(s);
}

void query_answer(struct session *s, struct buffer *out, uint8_t next, bool succeeded)
{
    bool gone = s->client_gone; /* sending finds out about others */
    bool sent = session_send_client(s, out->data, out->len);

    buffer_release(out);
    if (gone)
        session_close(s, CLOSE_CLIENT_CLOSED);
    else if (sent && s->script)
        script_statement_done(s, succeeded, next);
    else if (sent)
        query_next(s);
}

void query_reject(struct session *s, enum shim_error error, ...)
{
    struct head h = {.packet = s->input.data};
    uint8_t sequence = (uint8_t)(s->input.data[3] + 1);
    va_list args;

    retry_forget(s);
    h.length = load_u24(s->input.data);
    h.whole = s->input.len >= PACKET_HEADER + h.length && h.length < PACKET_MAX_PAYLOAD;
    buffer_consume(&s->input, drop(s, &h, s->input.data, s->input.len));
    va_start(args, error);
    bool sent = session_send_verror(s, sequence, error, args);

    va_end(args);
    if (sent)
        query_continue(s);
}

void query_readable(struct session *s)
{
    struct worker *w = s->worker;
    ssize_t n = stream_read(&s->client, w->scratch, WORKER_SCRATCH);

    if (n == 0)
        return;
    if (n < 0) {
        session_client_gone(s, n == -1 ? CLOSE_CLIENT_CLOSED : CLOSE_CLIENT_ERROR);
        return;
    }
    metrics_add(&w->metrics.bytes_from_clients, (uint64_t)n);
    if (s->input.len == 0) {
        size_t used = consume(s, w->scratch, (size_t)n);

        if (s->state != SESSION_DEAD && s->state != SESSION_CLOSING)
            buffer_bytes(&s->input, w->scratch + used, (size_t)n - used);
    } else {
        buffer_bytes(&s->input, w->scratch, (size_t)n);
        query_continue(s);
    }
    if (s->state != SESSION_DEAD && s->input.failed)
        session_close(s, CLOSE_CLIENT_PROTOCOL);
}
