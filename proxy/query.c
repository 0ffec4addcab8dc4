/*
 * The client's bytes once it is logged in: finds the commands in them, has each planned
 * (query_plan.c) and the plan carried out (query_act.c), or passes it on at once. A command that is
 * whole in the read buffer goes to vtgate from there, with no copy; a longer one is passed on in
 * pieces as it comes, unless it has to be looked at as a whole.
 *
 * Invariants: s->input is non-empty only while a command cannot be acted upon yet (incomplete,
 * parked, or behind one that is under way); it then begins with that command's packet header,
 * except in REQUEST, INFILE and STREAMING, where it is empty.
 */
#include <stdlib.h>
#include <string.h>

#include "planner/classify.h"
#include "planner/touched.h"
#include "proxy/effect.h"
#include "proxy/fallback.h"
#include "proxy/notes.h"
#include "proxy/query_internal.h"
#include "proxy/retry.h"
#include "proxy/script.h"
#include "proxy/timing.h"

void query_note_end(struct session *s)
{
    if (!(s->status & STATUS_IN_TRANSACTION))
        return;
    const struct config *c = s->worker->server->config;
    int64_t now = clock_ms(), open_ms = now - s->transaction_ms - s->transaction_parked_ms;
    int64_t excess_ms = open_ms - SLOW_TRANSACTION_MS;

    if (c->fleet_etcd.n > 0)
        excess_ms += c->fleet_poll_ms / 2;
    if (excess_ms > 0)
        slow_transactions_note(&s->worker->slow, s->touched ? touched_names(s->touched) : NULL,
                               excess_ms, now);
}

void query_note_status(struct session *s, uint16_t status)
{
    if (status & STATUS_IN_TRANSACTION && !(s->status & STATUS_IN_TRANSACTION)) {
        s->transaction_ms = clock_ms();
        s->transaction_parked_ms = 0;
    } else if (!(status & STATUS_IN_TRANSACTION)) {
        query_note_end(s);
    }
    /* BEGIN, for under autocommit nothing else begins one; of several statements it is not alone.
     */
    s->fresh = !(s->status & STATUS_IN_TRANSACTION) && s->response.packets == 1 &&
               (status & (STATUS_IN_TRANSACTION | STATUS_AUTOCOMMIT)) ==
                   (STATUS_IN_TRANSACTION | STATUS_AUTOCOMMIT);
    s->status = status;
    if (s->touched && !(status & STATUS_IN_TRANSACTION)) {
        free(s->touched);
        s->touched = NULL;
    } else if (s->fresh && !s->touched) {
        s->touched = touched_create(false);
    }
}

/* vtgate answers COM_RESET_CONNECTION with no flags at all, and its session's autocommit stays as
   it was (go/mysql/conn.go). */
static uint16_t status_after(const struct session *s)
{
    uint16_t kept = s->command == COM_RESET_CONNECTION ? s->status & STATUS_AUTOCOMMIT : 0;

    return s->response.status | kept;
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
        query_note_status(s, status_after(s));
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

static void count_commands(struct session *s, uint8_t command, uint64_t n)
{
    struct metrics *m = &s->worker->metrics;

    s->commands += n;
    metrics_add(&m->commands, n);
    if (s->of_vtgate)
        metrics_add(&s->of_vtgate->commands, n);
    metrics_add(&m->commands_by_kind[command < COMMAND_COUNT ? command : COMMAND_COUNT], n);
}

void query_count_command(struct session *s, uint8_t command)
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

/* Passes on the pieces of a command (or drops them, when it was answered already). */
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

/* MySQL ends what SHOW WARNINGS tells with the next of these. */
static void end_notes(struct session *s, uint8_t command)
{
    if (command == COM_QUERY || command == COM_STMT_EXECUTE || command == COM_INIT_DB ||
        command == COM_RESET_CONNECTION || command == COM_CHANGE_USER)
        notes_clear(s);
}

size_t query_forward(struct session *s, const struct head *h, const uint8_t *p, size_t n)
{
    if (s->notes)
        end_notes(s, h->command);
    query_count_command(s, h->command);
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
    query_count_command(s, h->command);
    stream_send(&s->backend, h->packet, PACKET_HEADER + h->available);
    session_close(s, CLOSE_CLIENT_QUIT);
    return PACKET_HEADER + h->available;
}

size_t query_drop(struct session *s, const struct head *h, const uint8_t *p, size_t n)
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

/* A question about the notes of the last DDL is answered (true); any other statement ends them. Of
   several at once the first may be a question: a script asks itself (script.c). */
static bool settle_notes(struct session *s, const struct head *h)
{
    const char *text = (const char *)h->packet + PACKET_HEADER + 1;
    uint8_t sequence = (uint8_t)(h->packet[3] + 1);

    if (h->command == COM_QUERY && classify_is_multi(text, h->length - 1))
        return false;
    if (h->command == COM_QUERY && notes_answer(s, text, h->length - 1, &sequence, false)) {
        query_count_command(s, h->command);
        return true;
    }
    end_notes(s, h->command);
    return false;
}

/* A command that has to be looked at. Out of line: it would crowd the way of those that have not.
 */
__attribute__((noinline)) static size_t consume_planned(struct session *s, const struct head *h,
                                                        const uint8_t *p, size_t n)
{
    if (h->command == COM_QUIT)
        return quit(s, h);
    struct plan plan = query_plan_command(s, h);

    return query_act(s, h, &plan, p, n);
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
    query_watch(s, &h);
    return query_forward(s, &h, p, n);
}

/* COM_CHANGE_USER: the client says more when vtgate has asked it to. What it sent before is no
   answer to that, but commands of its own. */
static bool answers_challenge(const struct session *s)
{
    return s->state == SESSION_RESPONSE && s->response.shape == SHAPE_AUTH &&
           s->response.packets > 0;
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
        else if (s->state == SESSION_STREAMING || answers_challenge(s))
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
    if (s->consuming)
        return; /* a command was answered at once, and is in s->input yet: its loop goes on */
    if (s->input.len > 0) {
        s->consuming = true;
        size_t used = consume(s, s->input.data, s->input.len);

        s->consuming = false;
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
    session_forget_resolved(s);
    h.length = load_u24(s->input.data);
    h.whole = s->input.len >= PACKET_HEADER + h.length && h.length < PACKET_MAX_PAYLOAD;
    buffer_consume(&s->input, query_drop(s, &h, s->input.data, s->input.len));
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
    /* The settings may allow more by now. Less would be too little for what waits already. */
    if (s->input.max < session_input_max(s))
        s->input.max = session_input_max(s);
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
