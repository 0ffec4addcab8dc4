/*
 * Keeping commands, collecting the errors that answer them, waiting, and sending them again.
 *
 * Invariants: s->kept is set from the moment a command was sent until the first byte of an answer
 * that is no error, or until the command is back in s->input; s->retry lives from the first byte of
 * an error until the client gets an answer. One timer for each worker, which runs only while
 * somebody waits.
 */
#include "proxy/retry.h"

#include <stdlib.h>
#include <string.h>

#include "planner/ascii.h"
#include "proxy/ask.h"
#include "proxy/effect.h"
#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/retry_internal.h"
#include "proxy/server.h"
#include "proxy/session.h"
#include "proxy/statements.h"
#include "proxy/worker.h"

#define TICK_MS    5            /* resolution of the delays */
#define LOOK_MS    20           /* how often a wait looks whether the transition is over */
#define ANSWER_MAX (256u << 10) /* a longer error goes to the client */

/* --- the end of a retry ---------------------------------------------------------------------- */

static void leave(struct retry *r)
{
    struct worker *w = r->session->worker;

    TAILQ_REMOVE(&w->retrying, r, link);
    atomic_fetch_sub(&w->server->retries->waiting, 1);
    metrics_add(&w->metrics.retrying, (uint64_t)-1);
}

static void drop_kept(struct session *s)
{
    if (s->kept)
        kept_give(&s->worker->kept, s->kept);
    s->kept = NULL;
}

void retry_forget(struct session *s)
{
    drop_kept(s);
    if (!s->retry)
        return;
    if (s->state == SESSION_RETRYING)
        leave(s->retry);
    buffer_release(&s->retry->answer);
    free(s->retry);
    s->retry = NULL;
}

static void count(struct session *s, enum retry_error error, enum retry_outcome outcome)
{
    metrics_add(&s->worker->metrics.retries[error][outcome], 1);
}

/* The client's answer has come, after at least one error. */
static void recovered(struct session *s)
{
    struct retry *r = s->retry;

    if (r->attempts > 0) {
        int64_t waited = clock_ms() - r->first_ms;

        count(s, r->error, RETRY_OUTCOME_RECOVERED);
        metrics_add(&s->worker->metrics.retry_wait_us, (uint64_t)waited * 1000);
        log_event(LOG_LEVEL_DEBUG, "retry_recovered",
                  "session:u user:s error:s attempts:u waited_ms:d", s->id, s->user,
                  retry_error_name(r->error), (uint64_t)r->attempts, waited);
        retry_end_troubles(s->worker->server, r);
    }
    retry_forget(s);
}

/* --- waiting --------------------------------------------------------------------------------- */

static void arm(struct worker *w)
{
    if (!TAILQ_EMPTY(&w->retrying) && !loop_timer_is_set(&w->retry_timer))
        loop_timer_set(&w->retry_timer, TICK_MS);
}

static void wait_for(struct session *s, const struct retry_decision *d)
{
    struct worker *w = s->worker;
    struct retry *r = s->retry;

    effect_settle(s, false);
    s->drained_by = 0;
    r->waiting = d->action == RETRY_WAIT;
    r->due_ms = clock_ms() + (r->waiting ? 0 : d->delay_ms);
    TAILQ_INSERT_TAIL(&w->retrying, r, link);
    metrics_add(&w->metrics.retrying, 1);
    session_set_state(s, SESSION_RETRYING);
    arm(w);
}

/* The command goes back to the head of the input and is planned anew. */
static void send_again(struct session *s)
{
    struct retry *r = s->retry;
    struct buffer input;

    buffer_release(&r->answer);
    r->attempts++;
    metrics_add(&s->worker->metrics.retry_attempts, 1);
    query_uncount_command(s);
    buffer_init(&input, s->input.max);
    buffer_bytes(&input, s->kept->bytes, s->kept->len);
    buffer_bytes(&input, s->input.data, s->input.len);
    buffer_release(&s->input);
    s->input = input;
    drop_kept(s);
    session_set_state(s, SESSION_IDLE);
    query_continue(s);
    if (s->state == SESSION_PARKED && s->retry)
        s->retry->held = true;
}

/* --- commands and answers -------------------------------------------------------------------- */

static bool is_kept_command(uint8_t command)
{
    return command == COM_QUERY || command == COM_STMT_EXECUTE || command == COM_STMT_PREPARE;
}

static bool is_plain_begin(const char *text, size_t len)
{
    return (len == 5 && ascii_equals(text, len, "BEGIN", 5)) ||
           (len == 17 && ascii_equals(text, len, "START TRANSACTION", 17));
}

void retry_keep(struct session *s, const uint8_t *packet, size_t len)
{
    const struct server *server = s->worker->server;
    const struct config *c = server->config;

    /* vtgate forgets long data once they were used: such an execution cannot be repeated.
       (go/mysql/conn.go, handleComStmtExecute) */
    if (s->command == COM_STMT_EXECUTE && len >= PACKET_HEADER + 5 &&
        !statements_note_run(s->statements, load_u32(packet + PACKET_HEADER + 1)))
        return;
    if (!(s->status & STATUS_IN_TRANSACTION))
        s->plain_begin =
            s->command == COM_QUERY &&
            is_plain_begin((const char *)packet + PACKET_HEADER + 1, len - PACKET_HEADER - 1);
    if (!is_kept_command(s->command) || !c->retry_enabled ||
        atomic_load_explicit(&server->memory_tight, memory_order_relaxed) ||
        len > (size_t)c->retry_max_statement_bytes || s->state != SESSION_RESPONSE)
        return;
    s->kept = kept_take(&s->worker->kept, packet, len);
    s->kept->in_transaction =
        (s->status & (STATUS_AUTOCOMMIT | STATUS_IN_TRANSACTION)) != STATUS_AUTOCOMMIT;
    s->kept->first = s->fresh;
    s->kept->generation = atomic_load_explicit(&server->retries->generation, memory_order_relaxed);
}

/* The client gets the error. */
static void pass_on(struct session *s)
{
    struct buffer whole = s->retry->answer; /* moved */

    buffer_init(&s->retry->answer, 0);
    retry_forget(s);
    relay_response(s, whole.data, whole.len);
    buffer_release(&whole);
}

static void give_up(struct session *s, enum retry_outcome why)
{
    struct retry *r = s->retry;
    int64_t waited = clock_ms() - r->first_ms;

    count(s, r->error, why);
    if (r->attempts > 0) {
        metrics_add(&s->worker->metrics.retry_wait_us, (uint64_t)waited * 1000);
        log_info("retry_gave_up", "session:u user:s error:s reason:s attempts:u waited_ms:d", s->id,
                 s->user, retry_error_name(r->error), retry_outcome_name(why),
                 (uint64_t)r->attempts, waited);
    }
    pass_on(s);
}

/* A transaction that could not be begun again: the client gets the error that it met, and what it
   does about it is what it would have done. */
static void not_begun(struct session *s)
{
    response_init(&s->response, command_shape(s->command), s->capabilities & CAP_DEPRECATE_EOF);
    session_set_state(s, SESSION_RESPONSE);
    give_up(s, RETRY_OUTCOME_BUDGET);
}

static void on_begun(struct session *s, const struct answer *a)
{
    if (a && !a->failed)
        send_again(s);
    else
        not_begun(s);
}

static void on_rolled_back(struct session *s, const struct answer *a)
{
    if (a && !a->failed)
        ask_start(s, "BEGIN", 5, on_begun);
    else
        not_begun(s);
}

/* vtgate lost the transaction at its first statement: another one takes its place. */
static void restart(struct session *s)
{
    s->retry->wrapped = false;
    ask_start(s, "ROLLBACK", 8, on_rolled_back);
}

/* Looks after one that is due. */
static void look_after(struct session *s, int64_t now)
{
    struct retry *r = s->retry;

    if (r->waiting && !retry_is_held(s) && retry_is_in_transition(s) &&
        now - r->started_ms < s->worker->server->config->hold_max_wait_ms) {
        r->due_ms = now + LOOK_MS;
        return;
    }
    if (r->waiting)
        r->started_ms = now; /* the budget is for what comes afterwards */
    leave(r);
    if (r->wrapped)
        restart(s);
    else
        send_again(s);
}

static void on_tick(void *arg)
{
    struct worker *w = arg;
    int64_t now = clock_ms();
    struct retry *r, *next;

    for (r = TAILQ_FIRST(&w->retrying); r; r = next) {
        next = TAILQ_NEXT(r, link);
        if (r->due_ms <= now)
            look_after(r->session, now);
    }
    arm(w);
}

void retry_init(struct worker *w)
{
    TAILQ_INIT(&w->retrying);
    loop_timer_init(&w->retry_timer, &w->loop, on_tick, w);
}

void retry_fini(struct worker *w)
{
    kept_stock_fini(&w->kept);
}

/* The error in s->retry->answer is whole. */
static void on_error(struct session *s)
{
    struct server *server = s->worker->server;
    struct buffer *a = &s->retry->answer;
    struct reader in;

    reader_init(&in, a->data + PACKET_HEADER, load_u24(a->data));
    reader_u8(&in);
    uint16_t number = reader_u16(&in);
    struct bytes state = reader_take(&in, 6); /* '#' and five characters */
    struct bytes text = reader_rest(&in);
    struct retry_match match = {.error = RETRY_ERROR_COUNT};

    if (!in.failed && a->len == PACKET_HEADER + load_u24(a->data))
        match = retry_match(number, (const char *)state.p + 1, (const char *)text.p, text.len);
    if (match.error == RETRY_ERROR_COUNT) {
        struct buffer whole = *a; /* moved */

        buffer_init(a, 0);
        recovered(s);
        relay_response(s, whole.data, whole.len);
        buffer_release(&whole);
        return;
    }
    struct retry_decision d = retry_judge(s, (const char *)text.p, text.len, match);

    if (d.action == RETRY_PASS) {
        give_up(s, d.reason);
    } else if (atomic_fetch_add(&server->retries->waiting, 1) >=
               (uint64_t)server->config->retry_max_waiting) {
        atomic_fetch_sub(&server->retries->waiting, 1);
        give_up(s, RETRY_OUTCOME_NO_ROOM);
    } else {
        wait_for(s, &d);
    }
}

bool retry_answer(struct session *s, const uint8_t *data, size_t len)
{
    struct retry *r = s->retry;

    if ((!r || r->answer.len == 0) && len > PACKET_HEADER && data[PACKET_HEADER] != 0xff) {
        if (r)
            recovered(s);
        else
            drop_kept(s);
        return false;
    }
    if (!r) {
        r = s->retry = memory_zalloc(sizeof(*r));
        r->session = s;
    }
    if (!r->answer.max)
        buffer_init(&r->answer, ANSWER_MAX + WORKER_SCRATCH);
    buffer_bytes(&r->answer, data, len);
    struct buffer *a = &r->answer;

    if (a->len <= PACKET_HEADER)
        return true;
    if (a->data[PACKET_HEADER] != 0xff || load_u24(a->data) > ANSWER_MAX)
        pass_on(s);
    else if (a->len >= PACKET_HEADER + load_u24(a->data))
        on_error(s);
    return true;
}

/* --- from outside ---------------------------------------------------------------------------- */

/* The client's command is answered with an error of the shim's. False: the session is closed. */
static bool refuse(struct session *s, enum shim_error error)
{
    uint8_t sequence = (uint8_t)(s->kept->bytes[3] + 1);

    retry_forget(s);
    session_set_state(s, SESSION_IDLE);
    return error == SHIM_ERROR_INTERRUPTED ? session_send_error(s, sequence, error, "", "")
                                           : session_send_error(s, sequence, error);
}

void retry_interrupt(struct session *s)
{
    if (refuse(s, SHIM_ERROR_INTERRUPTED))
        query_next(s);
}

void retry_shut_down_all(struct worker *w)
{
    while (!TAILQ_EMPTY(&w->retrying)) {
        struct session *s = TAILQ_FIRST(&w->retrying)->session;

        if (refuse(s, SHIM_ERROR_SHUTDOWN))
            session_close(s, CLOSE_SHUTDOWN);
    }
}

void retry_vtgate_lost(struct session *s)
{
    struct buffer last = s->retry->answer; /* moved */

    buffer_init(&s->retry->answer, 0);
    retry_forget(s);
    session_set_state(s, SESSION_IDLE);
    session_send_client(s, last.data, last.len);
    buffer_release(&last);
}
