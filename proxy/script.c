/*
 * Several statements run one by one. Each response's packets get new sequence numbers, and the last
 * packet of each but the last the flag that more results follow. This is the slow path: packets are
 * assembled whole before they go on.
 */
#include "proxy/script.h"

#include <stdlib.h>

#include "proxy/audit_session.h"
#include "proxy/control_managed.h"
#include "proxy/effect.h"
#include "proxy/gate.h"
#include "proxy/kill.h"
#include "proxy/locks.h"
#include "proxy/memory.h"
#include "proxy/migration_revert.h"
#include "proxy/notes.h"
#include "proxy/session.h"
#include "proxy/session_transition.h"
#include "proxy/worker.h"

/* Statements that the shim answers by itself may come by the hundred thousand in one text. So many
   go on before the others of the worker have their turn, and while so much of the answers waits for
   the client none do. */
#define TURN_STATEMENTS 64
#define TURN_BYTES      (64u << 10)
#define BACKLOG_MS      20

/* What comes after the statement under way. */
enum step { STEP_WAIT, STEP_NEXT, STEP_END };

struct script {
    enum step step;
    bool advancing;         /* advance() is at work */
    char *text;             /* owned */
    size_t len, at, start;  /* start: of the statement under way */
    bool last;              /* no statement follows the one under way */
    uint8_t next_sequence;  /* of the next packet to the client */
    struct buffer packet;   /* of vtgate, not whole yet */
    struct loop_timer turn; /* the end of a pause */
};

void script_forget(struct session *s)
{
    if (!s->script)
        return;
    loop_timer_stop(&s->script->turn);
    free(s->script->text);
    buffer_release(&s->script->packet);
    free(s->script);
    s->script = NULL;
}

/* The next statement that is not empty; false at the end. */
static bool next_statement(const char *text, size_t len, size_t *at, struct statement *st)
{
    while (*at < len) {
        *at += classify_next(text + *at, len - *at, st);
        if (st->kind != STATEMENT_EMPTY)
            return true;
    }
    return false;
}

static void send_statement(struct session *s, const struct plan *plan, const struct statement *st)
{
    struct buffer out;

    if (plan->effect != EFFECT_NONE)
        effect_set(s, plan, st->text, st->len, true);
    query_log_passed(s, plan, st->text, st->len);
    query_track(s, st->text, st->len, true);
    s->command = COM_QUERY;
    buffer_init(&out, st->len + 64);
    size_t mark = packet_begin(&out);

    buffer_u8(&out, COM_QUERY);
    buffer_bytes(&out, st->text, st->len);
    packet_end(&out, mark, 0); /* a part of a packet is smaller than a packet */
    response_init(&s->response, SHAPE_RESULT, s->capabilities & CAP_DEPRECATE_EOF);
    session_set_state(s, SESSION_RESPONSE);
    session_send_backend(s, out.data, out.len);
    buffer_release(&out);
}

static void deny(struct session *s, const struct plan *plan)
{
    uint8_t sequence = s->script->next_sequence;

    audit_denied(s, &plan->statement);
    if (session_send_error(s, sequence, SHIM_ERROR_CONTROL_DENIED, s->user))
        script_statement_done(s, false, (uint8_t)(sequence + 1));
}

/* False: it is vtgate's. */
static bool control(struct session *s, const struct plan *plan)
{
    uint8_t sequence = s->script->next_sequence;
    bool more = !s->script->last, succeeded;

    if (plan->effect != EFFECT_CONTROL)
        return false;
    switch (control_managed(s, &plan->statement, sequence, more, &succeeded)) {
    case CONTROL_ANSWERED:
        if (s->state != SESSION_DEAD)
            script_statement_done(s, succeeded, (uint8_t)(sequence + 1));
        return true;
    case CONTROL_ASKING:
        return true;
    default:
        return migration_revert_start(s, &plan->statement, sequence, more, false);
    }
}

static void run_next(struct session *s)
{
    /* The whole text has passed the holds already, and is not held up in its middle. */
    static struct hold_set no_holds = {.n = 0};
    struct script *script = s->script;
    struct plan_facts facts = query_facts(s);
    struct statement st, following;

    if (!next_statement(script->text, script->len, &script->at, &st)) {
        script->step = STEP_END;
        return;
    }
    script->start = (size_t)(st.text - script->text);
    size_t peek = script->at;

    script->last = !next_statement(script->text, script->len, &peek, &following);
    facts.holds = &no_holds;
    facts.fenced = false;
    facts.multi_statements = false;
    facts.no_control = query_no_control(s);
    struct plan plan = query_plan(s, &facts, st.text, st.len, true, false, false);
    uint8_t sequence = script->next_sequence;

    if (notes_answer(s, st.text, st.len, &sequence, !script->last)) {
        if (s->state != SESSION_DEAD)
            script_statement_done(s, true, sequence);
        return;
    }
    notes_clear(s);

    if (plan.action == PLAN_RESOLVE)
        query_resolve(s, &plan.body);
    else if (plan.action == PLAN_DENY)
        deny(s, &plan);
    else if (plan.action == PLAN_TRANSITION)
        session_transition_start(s, &plan.statement, script->next_sequence);
    else if (plan.action == PLAN_KILL)
        kill_start(s, plan.kill_id, plan.kill_query, script->next_sequence);
    else if (control(s, &plan))
        return;
    else if (!(plan.action == PLAN_MIGRATE || plan.action == PLAN_EXPLAIN || plan.passed) ||
             !gate_start(s, &plan, NULL, 0, script->next_sequence, !script->last))
        send_statement(s, &plan, &st);
}

static bool client_is_behind(const struct session *s)
{
    return stream_backlog(&s->client) > TURN_BYTES;
}

static void pause_for(struct session *s, int64_t ms)
{
    session_set_state(s, SESSION_PAUSING);
    loop_timer_set(&s->script->turn, ms);
}

/* After so many statements in a row. True: others have their turn. */
static bool pauses(struct session *s, unsigned in_a_row)
{
    bool behind = client_is_behind(s);

    if (!behind && in_a_row < TURN_STATEMENTS)
        return false;
    pause_for(s, behind ? BACKLOG_MS : 0);
    return true;
}

/* A loop, for many statements that the shim answers at once would each take of the stack. */
static void advance(struct session *s)
{
    unsigned in_a_row = 0;

    s->script->advancing = true;
    while (s->script && s->script->step == STEP_NEXT && (in_a_row == 0 || !pauses(s, in_a_row))) {
        in_a_row++;
        s->script->step = STEP_WAIT;
        run_next(s);
    }
    if (!s->script)
        return; /* the session has ended */
    s->script->advancing = false;
    if (s->script->step == STEP_END) {
        script_forget(s);
        query_next(s);
    }
}

/* The loop goes on with that, if it is what led here; else it begins. */
static void take_step(struct session *s, enum step step)
{
    s->script->step = step;
    if (!s->script->advancing)
        advance(s);
}

static void on_turn(void *arg)
{
    struct session *s = arg;

    if (client_is_behind(s))
        pause_for(s, BACKLOG_MS);
    else
        advance(s);
}

void script_interrupt(struct session *s)
{
    loop_timer_stop(&s->script->turn);
    if (session_send_error(s, s->script->next_sequence, SHIM_ERROR_INTERRUPTED, "", ""))
        take_step(s, STEP_END);
}

void script_send(struct session *s, const char *text, size_t len)
{
    struct plan plan = {.passed = NULL};
    struct statement st = {.text = text, .len = len};

    send_statement(s, &plan, &st);
}

void script_retry(struct session *s)
{
    s->script->at = s->script->start;
    take_step(s, STEP_NEXT);
}

void script_start(struct session *s, const char *text, size_t len, uint8_t sequence)
{
    struct script *script = s->script = memory_zalloc(sizeof(*script));

    script->text = memory_copy(text, len);
    script->len = len;
    script->next_sequence = sequence;
    loop_timer_init(&script->turn, &s->worker->loop, on_turn, s);
    buffer_init(&script->packet, PACKET_HEADER + PACKET_MAX_PAYLOAD);
    take_step(s, STEP_NEXT);
}

void script_statement_done(struct session *s, bool succeeded, uint8_t sequence)
{
    s->script->next_sequence = sequence;
    take_step(s, succeeded && !s->script->last ? STEP_NEXT : STEP_END);
}

bool script_has_more(const struct session *s)
{
    return s->script && !s->script->last;
}

/* Sets SERVER_MORE_RESULTS_EXISTS in the OK or EOF packet that ends a response. */
static void mark_more_results(const struct session *s, uint8_t *payload, size_t len)
{
    bool is_eof = payload[0] == 0xfe && (!(s->capabilities & CAP_DEPRECATE_EOF) || len <= 5);
    struct reader in;

    reader_init(&in, payload, len);
    reader_u8(&in);
    if (is_eof) {
        reader_u16(&in);
    } else {
        reader_lenenc(&in);
        reader_lenenc(&in);
    }
    if (!in.failed && reader_left(&in) >= 2)
        payload[in.pos - payload] |= STATUS_MORE_RESULTS;
}

/* One whole packet of vtgate's response. False: the script is over or the session closed. */
static bool relay_packet(struct session *s, uint8_t *packet, size_t len)
{
    struct script *script = s->script;

    response_feed(&s->response, packet, len);
    locks_feed(s, packet, len);
    if (s->response.state == RESPONSE_BROKEN || s->response.state == RESPONSE_INFILE) {
        session_finish(s, CLOSE_VTGATE_PROTOCOL);
        return false;
    }
    bool done = s->response.state == RESPONSE_DONE;

    if (done && !s->response.failed && !script->last)
        mark_more_results(s, packet + PACKET_HEADER, len - PACKET_HEADER);
    packet[3] = script->next_sequence++;
    if (!session_send_client(s, packet, len))
        return false;
    if (!done)
        return true;
    if (s->response.failed) {
        metrics_add(&s->worker->metrics.errors_relayed, 1);
        s->fresh = false;
    }
    if (s->response.status_valid)
        query_note_status(s, s->response.status);
    effect_settle(s, !s->response.failed);
    buffer_release(&script->packet);
    script_statement_done(s, !s->response.failed, script->next_sequence);
    return false;
}

void script_feed(struct session *s, const uint8_t *data, size_t len)
{
    struct buffer *in = &s->script->packet;

    while (len > 0) {
        size_t want = in->len < PACKET_HEADER ? PACKET_HEADER - in->len
                                              : PACKET_HEADER + load_u24(in->data) - in->len;
        size_t take = want < len ? want : len;

        buffer_bytes(in, data, take);
        data += take;
        len -= take;
        if (in->len < PACKET_HEADER || in->len < PACKET_HEADER + load_u24(in->data))
            continue;
        if (!relay_packet(s, in->data, in->len))
            return;
        in->len = 0;
    }
}
