/*
 * The managed cut-over: when all shards are ready, the transactions that touched the table are
 * drained (cutover.c), all shards are told to complete together, and the hold is released as soon
 * as they have.
 *
 * vttablet heeds COMPLETE when it looks at its migrations, once a second at most. cut_looks.c
 * brings the shards' looks in step (what asks for one is POSTPONE, which changes nothing) and tells
 * when to drain, so that the drain ends just before them; shards that have not begun by then are
 * told again. An attempt that failed is repeated after a minute at the earliest (cutoverIntervals
 * in go/vt/vttablet/onlineddl/executor.go), and meanwhile the shard is postponed again: it would
 * cut over without the others and without a drain.
 */
#include <stdlib.h>
#include <string.h>

#include "planner/ddl.h"
#include "proxy/cut_looks.h"
#include "proxy/cut_shards.h"
#include "proxy/cutover_window.h"
#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/migration_internal.h"
#include "proxy/server.h"
#include "proxy/worker.h"

#define LOOK_POLL_MS   40 /* while the tablets' looks are watched */
#define UNANSWERED_MAX 3  /* cut-overs put off because a tablet did not look */
/* Between two COMPLETEs for shards that have not begun. Each has the tablet look a second later
   (triggerNextCheckInterval in executor.go); and one that comes to a tablet which has just begun is
   answered when its cut-over is over (migrationMutex), and for so long nothing is seen of any. */
#define COMPLETE_AGAIN_MS   1200
#define COMPLETING_LIMIT_MS 12000 /* vttablet's own limit for a cut-over is 10 s */
#define ATTEMPT_BACKOFF_MS  61000 /* vttablet's own, after a first failure, is a minute */
#define AFTER_BLIND_MS      10000 /* for a tablet's first look at its migrations */
#define DRAIN_BACKOFF_MS    1000  /* doubled for each drain that was put off */
#define DRAIN_BACKOFF_MAX   60000

void migration_end_cutover(struct migration *m)
{
    if (m->cutover)
        cutover_end(m->cutover);
    m->cutover = NULL;
    cut_looks_free(m->looks);
    m->looks = NULL;
    m->cut = CUT_NOT_YET;
}

void migration_forget_cutover(struct migration *m)
{
    migration_end_cutover(m);
    cut_shards_free(m->cut_shards);
    m->cut_shards = NULL;
}

/* --- telling all migrations of the statement, one after the other ---------------------------- */

static void tell_next(struct session *s);

static void on_told(struct session *s, uint16_t code)
{
    struct migration *m = s->migration;

    if (code)
        log_warn("ddl_control_failed", "session:u uuid:s code:u", s->id, m->uuids[m->next_told - 1],
                 (uint64_t)code);
    tell_next(s);
}

static void tell_next(struct session *s)
{
    struct migration *m = s->migration;

    if (m->cancelling)
        migration_cancel_next(s);
    else if (m->next_told < m->uuid_count && m->telling_postpone)
        m->executor->postpone(s, m->uuids[m->next_told++], on_told);
    else if (m->next_told < m->uuid_count)
        m->executor->complete(s, m->uuids[m->next_told++], NULL, on_told);
    else
        migration_wait(s);
}

/* Postpones or completes all of it, then polls on. */
static void tell(struct session *s, bool postpone)
{
    struct migration *m = s->migration;

    m->next_told = 0;
    m->telling_postpone = postpone;
    if (postpone && !m->executor->postpone)
        migration_wait(s);
    else
        tell_next(s);
}

/* --- the stages ------------------------------------------------------------------------------ */

/* Some transactions did not end: the applications go on, and it is tried again later. */
static void put_off_drain(struct session *s, const struct migration_blockers *in_the_way)
{
    struct migration *m = s->migration;
    int64_t wait = DRAIN_BACKOFF_MS << (m->drains < 6 ? m->drains : 6);
    char sessions[104];

    migration_blockers_format(in_the_way, sessions, sizeof(sessions));
    log_warn("ddl_drain_put_off", "session:u uuid:s in_the_way:u sessions:s", s->id, m->uuids[0],
             (uint64_t)in_the_way->n, sessions);
    metrics_add(&s->worker->metrics.drains_put_off, 1);
    m->record.drains = ++m->drains;
    m->record.blockers = *in_the_way;
    migration_end_cutover(m);
    m->cut_ms = clock_ms() + (wait < DRAIN_BACKOFF_MAX ? wait : DRAIN_BACKOFF_MAX);
    migration_show(s);
    migration_wait(s);
}

void migration_drained(struct session *s, struct cutover *c,
                       const struct migration_blockers *in_the_way)
{
    struct migration *m = s->migration;

    m->cutover = c;
    if (s->state != SESSION_MIGRATING || m->cut != CUT_DRAINING || m->stopping) {
        migration_end_cutover(m); /* it is being cancelled, and polled on for what becomes of it */
        return;
    }
    if (in_the_way->n > 0) {
        put_off_drain(s, in_the_way);
        return;
    }
    migration_log(s, "ddl_cut_over");
    m->cut = CUT_COMPLETING;
    m->cut_ms = m->told_ms = clock_ms();
    migration_show(s);
    tell(s, false);
}

/* It did not work this time: the applications go on, and Vitess must not try by itself. */
static void put_off(struct session *s, int64_t ms)
{
    struct migration *m = s->migration;

    migration_end_cutover(m);
    m->cut_ms = m->attempt_ms = clock_ms() + ms;
    tell(s, true);
}

void migration_told(struct session *s, uint16_t code)
{
    (void)code;
    if (s->migration->cancelling)
        migration_cancel_next(s);
    else
        migration_wait(s);
}

/* While the shards cut over. True: something was started that polls on by itself. */
static bool follow(struct session *s, const struct executor_row *rows, size_t n)
{
    struct migration *m = s->migration;
    const struct executor_row *waiting = NULL, *failed = NULL;
    size_t cutting = 0, begun = 0, swapped = 0;

    for (size_t i = 0; i < n; i++) {
        enum cut_progress p = cut_shards_progress(m->cut_shards, &rows[i]);

        cutting += p == CUT_UNDER_WAY || p == CUT_WAITING;
        begun += p != CUT_WAITING;
        swapped += p == CUT_SWAPPED || p == CUT_DONE;
        if (p == CUT_WAITING)
            waiting = &rows[i];
        if (p == CUT_FAILED)
            failed = &rows[i];
    }
    if (m->cutover && swapped > 0 && swapped >= m->shards * m->uuid_count) {
        cutover_end(m->cutover); /* nobody need wait for Vitess's last words */
        m->cutover = NULL;
    }
    if (failed && cutting == 0) {
        char shard[64];

        bytes_to_text(shard, sizeof(shard), failed->shard);
        log_warn("ddl_cut_over_failed", "session:u uuid:s shard:s", s->id, m->uuids[0], shard);
        put_off(s, ATTEMPT_BACKOFF_MS);
        return true;
    }
    if (clock_ms() - m->cut_ms > COMPLETING_LIMIT_MS) {
        log_warn("ddl_cut_over_slow", "session:u uuid:s", s->id, m->uuids[0]);
        put_off(s, ATTEMPT_BACKOFF_MS);
        return true;
    }
    if (waiting && cut_shards_are_followed(m->cut_shards) &&
        clock_ms() - m->told_ms >= COMPLETE_AGAIN_MS) {
        char uuid[UUID_MAX], shard[64];

        m->told_ms = clock_ms();
        bytes_to_text(uuid, sizeof(uuid), waiting->uuid);
        bytes_to_text(shard, sizeof(shard), waiting->shard);
        /* All of them, as long as none has begun: their looks stay in step. */
        m->executor->complete(s, uuid, begun ? shard : NULL, migration_told);
        return true;
    }
    return migration_attend_waits(s, rows, n);
}

/* A tablet that does not look would not cut over, either. */
static void put_off_unanswered(struct session *s)
{
    struct migration *m = s->migration;

    log_warn("ddl_tablet_does_not_look", "session:u uuid:s", s->id, m->uuids[0]);
    migration_end_cutover(m);
    m->cut_ms = clock_ms() + (DRAIN_BACKOFF_MS << m->unanswered);
}

/* All shards are ready, or were: their looks are brought in step. True: it is time to drain, or
 *else polls tells whether something was started that polls on by itself. */
static bool look(struct session *s, const struct executor_row *rows, size_t n, bool *polls)
{
    struct migration *m = s->migration;

    *polls = false;
    if (!m->executor->postpone)
        return true;
    switch (cut_looks_note(m->looks, rows, n, clock_ms())) {
    case CUT_LOOKS_DRAIN:
        return true;
    case CUT_LOOKS_ASK:
        *polls = true;
        tell(s, true);
        return false;
    case CUT_LOOKS_NONE:
        if (++m->unanswered <= UNANSWERED_MAX)
            put_off_unanswered(s);
        return false;
    default:
        return false;
    }
}

static void on_wish_kept(struct session *s, uint16_t code)
{
    if (!code)
        s->migration->said_s =
            s->migration->later ? ddl_threshold_postponed_s(s->migration->record.threshold_s) : 0;
    if (code)
        log_warn("ddl_wish_not_kept", "session:u uuid:s code:u", s->id, s->migration->uuids[0],
                 (uint64_t)code);
    migration_told(s, code);
}

/* What an operator told another shim is in the cut-over threshold (control_elsewhere.h): it becomes
   a wish here. */
static void note_said(struct session *s, const struct executor_row *rows, size_t n)
{
    struct migration *m = s->migration;
    unsigned now_s = ddl_threshold_now_s(m->record.threshold_s), said_s = 0;
    unsigned later_s = ddl_threshold_postponed_s(m->record.threshold_s);
    struct migration_record ignored;

    for (size_t i = 0; i < n; i++) {
        if (rows[i].threshold_s == now_s || (rows[i].threshold_s == later_s && said_s != now_s))
            said_s = rows[i].threshold_s;
        if (rows[i].threshold_s == 0)
            return; /* not known */
    }
    if (said_s == m->said_s || m->uuid_count != 1)
        return;
    m->said_s = said_s;
    if (said_s)
        migrations_set_wish(s->worker->server->migrations, m->uuids[0],
                            said_s == now_s ? WISH_NOW : WISH_LATER, &ignored);
}

/* COMPLETE and POSTPONE MIGRATION. A new COMPLETE ends the pause after a drain that was put off,
   though not the one that Vitess makes after an attempt. A POSTPONE outlives this process: it is
   kept with Vitess's row (ddl_threshold_postponed_s). True: it polls on by itself. */
static bool heed_wish(struct session *s)
{
    struct migration *m = s->migration;
    bool was_later = m->later;
    unsigned count;
    enum migration_wish wish = migrations_wish(s->worker->server->migrations, m->record.id, &count);

    m->at_once = wish == WISH_NOW;
    m->later = wish == WISH_LATER;
    if (count == m->wishes)
        return false;
    m->wishes = count;
    if (m->at_once && m->cut == CUT_NOT_YET)
        m->cut_ms = m->attempt_ms;
    bool said_now = m->said_s == ddl_threshold_now_s(m->record.threshold_s);

    if ((m->later == was_later && !said_now) || m->uuid_count != 1)
        return false;
    m->executor->threshold(s, m->uuids[0],
                           m->later ? ddl_threshold_postponed_s(m->record.threshold_s)
                                    : m->record.threshold_s,
                           on_wish_kept);
    return true;
}

/* The tablet may have been started anew: until it has looked at its migrations, Vitess shows what
   the one before it had found. A shard that is told to complete then does so a minute after the
   others.
 */
void migration_doubt_ready(struct migration *m)
{
    int64_t until = clock_ms() + AFTER_BLIND_MS;

    if (!m->managed || !m->was_ready || m->cut == CUT_DRAINING || m->cut == CUT_COMPLETING)
        return;
    migration_end_cutover(m);
    m->cut_ms = until > m->cut_ms ? until : m->cut_ms;
    m->attempt_ms = until > m->attempt_ms ? until : m->attempt_ms;
}

bool migration_cut_over(struct session *s, const struct executor_row *rows, size_t n, bool ready)
{
    struct migration *m = s->migration;
    bool polls;

    if (!m->managed || m->stopping)
        return false;
    if (m->cut == CUT_COMPLETING)
        return follow(s, rows, n);
    note_said(s, rows, n);
    if (m->cut != CUT_DRAINING && heed_wish(s))
        return true;
    m->was_ready = m->was_ready || ready;
    if (m->later && m->cut != CUT_DRAINING) {
        migration_end_cutover(m);
        return false;
    }
    if (m->cut == CUT_DRAINING)
        return false;
    if (!ready || clock_ms() < m->cut_ms || !cutover_may_begin(s)) {
        migration_end_cutover(m); /* looks that were seen long ago tell nothing of the next */
        return false;
    }
    if (m->cut == CUT_NOT_YET) {
        m->cut = CUT_LOOK_ASKED;
        m->looks = cut_looks_create(clock_ms());
    }
    if (!look(s, rows, n, &polls))
        return polls;
    cut_shards_free(m->cut_shards);
    m->cut_shards = cut_shards_create(rows, n, m->looked_ms);
    m->gapped = false;
    m->cut = CUT_DRAINING;
    migration_show(s);
    session_set_state(s, SESSION_MIGRATING);
    cutover_start(s, m->record.id, m->record.keyspace, m->record.table);
    return true;
}

int64_t migration_cutover_wait_ms(const struct migration *m, int64_t usual_ms)
{
    switch (m->cut) {
    case CUT_COMPLETING:
        return 40; /* the hold ends as soon as all shards are through */
    case CUT_LOOK_ASKED:
        return usual_ms < LOOK_POLL_MS ? usual_ms : LOOK_POLL_MS;
    default:
        return usual_ms;
    }
}
