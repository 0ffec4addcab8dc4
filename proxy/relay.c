/*
 * vtgate's bytes on their way to the client. While a response is followed, its end makes the next
 * command possible; everything else is passed on as it is.
 */
#include "proxy/ask.h"
#include "proxy/changes.h"
#include "proxy/fallback.h"
#include "proxy/gate.h"
#include "proxy/locks.h"
#include "proxy/migration.h"
#include "proxy/retry.h"
#include "proxy/script.h"
#include "proxy/session.h"
#include "proxy/timing.h"
#include "proxy/worker.h"

void relay_response(struct session *s, const uint8_t *data, size_t len)
{
    if (s->kept && retry_answer(s, data, len))
        return;

    int64_t since = timing_piece(s);
    size_t used = response_feed(&s->response, data, len);

    if (s->lock_call)
        locks_feed(s, data, used);
    /* First the bytes, then the bookkeeping: the client can go on meanwhile. */
    if (!session_send_client(s, data, used))
        return;
    timing_relayed(s, since);
    switch (s->response.state) {
    case RESPONSE_DONE:
        if (s->response.failed && s->response.cursor.length <= used)
            changes_note_error(s, data + used - s->response.cursor.length,
                               s->response.cursor.length);
        query_command_done(s);
        break;
    case RESPONSE_INFILE:
        packet_cursor_init(&s->request);
        s->request_next = (uint8_t)(s->response.cursor.sequence + 1);
        session_set_state(s, SESSION_INFILE);
        query_continue(s);
        break;
    case RESPONSE_STREAM:
        session_set_state(s, SESSION_STREAMING);
        query_continue(s);
        return;
    case RESPONSE_BROKEN:
        session_finish(s, CLOSE_VTGATE_PROTOCOL);
        return;
    default:
        return;
    }
    /* Nothing should follow a response; if it does (an ERR on shutdown), the client may have it. */
    if (used < len && s->state == SESSION_IDLE)
        session_send_client(s, data + used, len - used);
}

void relay_readable(struct session *s)
{
    struct worker *w = s->worker;
    ssize_t n = stream_read(&s->backend, w->scratch, WORKER_SCRATCH);

    if (n == 0)
        return;
    if (n < 0) {
        if (s->migration)
            migration_vtgate_lost(s);
        else if (s->gate)
            gate_vtgate_lost(s);
        else if (s->state == SESSION_RETRYING)
            retry_vtgate_lost(s);
        session_finish(s, n == -1 ? CLOSE_VTGATE_CLOSED : CLOSE_VTGATE_ERROR);
        return;
    }
    metrics_add(&w->metrics.bytes_from_vtgate, (uint64_t)n);
    if (s->state == SESSION_RESPONSE && s->fallback)
        fallback_feed(s, w->scratch, (size_t)n);
    else if (s->state == SESSION_RESPONSE && s->script)
        script_feed(s, w->scratch, (size_t)n);
    else if (s->state == SESSION_RESPONSE)
        relay_response(s, w->scratch, (size_t)n);
    else if (s->ask) /* ASKING, or PARKED */
        ask_feed(s, w->scratch, (size_t)n);
    else if (s->state != SESSION_RETRYING) /* else what comes unasked before its end */
        session_send_client(s, w->scratch, (size_t)n);
}
