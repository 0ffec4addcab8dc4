/*
 * Counting a session's user-level locks, and keeping them alive.
 */
#include "proxy/locks.h"

#include <stdlib.h>

#include "proxy/ask.h"
#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/server.h"
#include "proxy/session.h"
#include "proxy/worker.h"

#define ANSWER_MAX 4096 /* bytes of a lock function's response: one small row */

/* IS_USED_LOCK reserves nothing where no lock is held, unlike GET_LOCK. The name does not matter.
 */
static const char TOUCH[] = "SELECT IS_USED_LOCK('vtshim')";

struct lock_call {
    enum lock_function function;
    struct buffer answer;
};

void locks_expect(struct session *s, enum lock_function function)
{
    locks_settle(s, false);
    s->lock_call = memory_zalloc(sizeof(*s->lock_call));
    s->lock_call->function = function;
    buffer_init(&s->lock_call->answer, ANSWER_MAX);
}

void locks_feed(struct session *s, const uint8_t *data, size_t len)
{
    if (s->lock_call)
        buffer_bytes(&s->lock_call->answer, data, len);
}

/* The first value of a row in the binary protocol ("Binary Protocol Resultset Row"): a packet
   header, 0, a bitmap of NULLs from bit 2 on, then the value, here a little-endian 1 or 0. */
static bool binary_row_is_one(const struct answer *a)
{
    const uint8_t *p = a->rows_at;
    size_t bitmap = (size_t)(a->columns + 9) / 8;

    if ((size_t)(a->end - p) <= PACKET_HEADER + 1 + bitmap)
        return false;
    p += PACKET_HEADER;
    return p[0] == 0 && !(p[1] & 4) && p[1 + bitmap] == 1;
}

/* Whether the function returned 1: the lock was taken, or let go of. */
static bool returned_one(const struct session *s, const struct buffer *bytes)
{
    struct answer a;
    struct bytes value;

    if (bytes->failed ||
        !answer_parse(&a, bytes->data, bytes->len, s->capabilities & CAP_DEPRECATE_EOF))
        return false;
    if (a.failed || a.columns == 0 || a.columns > ANSWER_MAX)
        return false;
    if (s->command == COM_STMT_EXECUTE)
        return binary_row_is_one(&a);
    const uint8_t *at = a.rows_at;

    return answer_row(&a, &at, &value, 1) && value.len == 1 && *value.p == '1';
}

void locks_settle(struct session *s, bool succeeded)
{
    struct lock_call *call = s->lock_call;

    if (!call)
        return;
    s->lock_call = NULL;
    if (succeeded && call->function == LOCK_RELEASE_ALL)
        s->locks = 0;
    else if (succeeded && returned_one(s, &call->answer))
        s->locks += call->function == LOCK_GET ? 1 : s->locks ? -1u : 0;
    s->locks_touched_ms = clock_ms();
    buffer_release(&call->answer);
    free(call);
}

void locks_released(struct session *s)
{
    locks_settle(s, false);
    s->locks = 0;
}

/* 0: nothing has to be kept alive. */
static int64_t interval_ms(const struct session *s)
{
    return s->locks ? s->worker->server->config->locks_keep_alive_s * 1000 : 0;
}

bool locks_due(const struct session *s, int64_t now_ms)
{
    int64_t interval = interval_ms(s);

    return interval && now_ms - s->locks_touched_ms >= interval;
}

int64_t locks_limit_wait(const struct session *s, int64_t ms)
{
    int64_t interval = interval_ms(s);

    return interval && interval < ms ? interval : ms;
}

static void on_touched(struct session *s, const struct answer *a)
{
    void (*then)(struct session *) = s->locks_then;

    s->locks_then = NULL;
    s->locks_touched_ms = clock_ms();
    metrics_add(&s->worker->metrics.lock_keep_alives, 1);
    if (!a || a->failed) {
        /* "held locks released": the reserved connection is gone, a failover for instance. */
        log_warn("locks_lost", "session:u user:s locks:u code:u", s->id, s->user,
                 (uint64_t)s->locks, (uint64_t)(a ? a->code : 0));
        metrics_add(&s->worker->metrics.locks_lost, s->locks);
        s->locks = 0;
    }
    if (then)
        then(s);
}

void locks_keep(struct session *s, void (*then)(struct session *s))
{
    bool parked = s->state == SESSION_PARKED;

    s->locks_then = then;
    ask_start(s, TOUCH, sizeof(TOUCH) - 1, on_touched);
    if (parked && s->state == SESSION_ASKING)
        session_set_state(s, SESSION_PARKED);
    session_balance(s);
}
