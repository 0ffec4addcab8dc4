/*
 * A submitted migration in Vitess: how far each shard is, its cut-over, and cancelling it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/locks.h"
#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/migration.h"
#include "proxy/migration_internal.h"
#include "proxy/server.h"
#include "proxy/visible.h"
#include "proxy/vtctld_error.h"
#include "proxy/worker.h"

#define RETRIES_MAX 3
#define BLIND_MS    90000 /* how long a migration may not be seen: a reparent takes less */

bool migration_has_uuid(const struct migration *m, struct bytes uuid)
{
    for (size_t i = 0; i < m->uuid_count; i++) {
        if (bytes_are(uuid, m->uuids[i]))
            return true;
    }
    return false;
}

/* The migration cannot be followed any more. */
static void lost_sight(struct session *s, const char *why)
{
    char text[256];

    snprintf(text, sizeof(text), "%s; migration %s may go on", why, migration_name(s->migration));
    migration_publish(s, "unknown", true);
    migration_log(s, "ddl_lost");
    metrics_add(&s->worker->metrics.ddl_detached, 1);
    migration_answer_shim_error(s, SHIM_ERROR_MIGRATION_UNKNOWN, text);
}

void migration_wait(struct session *s)
{
    int64_t ms = locks_limit_wait(
        s,
        migration_cutover_wait_ms(s->migration, s->worker->server->config->ddl_poll_interval_ms));

    session_set_state(s, SESSION_MIGRATING);
    loop_timer_set(&s->migration->timer, ms);
    if (s->migration->interrupted)
        migration_interrupt(s);
}

/* Nothing, or not all of it, was seen: that may pass, but not last. */
static void wait_blind(struct session *s, const char *why)
{
    migration_doubt_ready(s->migration);
    if (clock_ms() - s->migration->seen_ms > BLIND_MS)
        lost_sight(s, why);
    else
        migration_wait(s);
}

/* --- cancelling ------------------------------------------------------------------------------ */

static void on_cancelled(struct session *s, uint16_t code)
{
    struct migration *m = s->migration;

    if (code)
        log_warn("ddl_cancel_failed", "session:u uuid:s code:u", s->id,
                 m->uuids[m->next_cancel - 1], (uint64_t)code);
    migration_cancel_next(s);
}

/* Cancels one migration after the other. Then: the shards that one has left alone are polled on, or
   a refused submission is answered, or the session, whose client has gone, ends. */
void migration_cancel_next(struct session *s)
{
    struct migration *m = s->migration;

    if (m->next_cancel < m->uuid_count) {
        m->executor->cancel(s, m->uuids[m->next_cancel++], on_cancelled);
        return;
    }
    if (m->stopping && !m->cancelling) {
        migration_wait(s);
        return;
    }
    if (m->code) {
        migration_refused(s);
        return;
    }
    migration_publish(s, "cancelled", true);
    migration_log(s, "ddl_cancelled");
    metrics_add(&s->worker->metrics.ddl_cancelled, 1);
    session_close(s, CLOSE_CLIENT_CLOSED);
}

void migration_stop_others(struct session *s)
{
    struct migration *m = s->migration;

    m->stopping = true;
    m->next_cancel = 0;
    migration_log(s, "ddl_stopping");
    migration_cancel_next(s);
}

static void on_leftovers(struct session *s, const struct executor_row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!migration_status_is_terminal(rows[i].status))
            migration_add_uuid(s->migration, rows[i].uuid);
    }
    migration_cancel_next(s);
}

/* What a refused submission left queued on some shards: Vitess's fan-out is not atomic. */
void migration_cancel_leftovers(struct session *s)
{
    if (*s->migration->record.keyspace)
        s->migration->executor->look(s, on_leftovers);
    else
        migration_refused(s);
}

/* --- polling --------------------------------------------------------------------------------- */

struct tally {
    enum migration_status *states; /* room for all rows */
    size_t n;
    uint32_t complete, progress;
    size_t ready;                    /* could cut over, or have */
    const struct executor_row *rows; /* all that were seen, also of others */
    size_t row_count;
    char failed_shard[64], failed_uuid[UUID_MAX], message[1500];
    enum migration_status failed;
};

/*
 * The status of one row. A migration that failed with its tablet is taken up again by Vitess
 * itself, once (go/vt/vttablet/onlineddl/schema.go, sqlWhereTabletFailure): to us it is queued.
 */
static enum migration_status row_status(const struct executor_row *row)
{
    if (row->status == MIGRATION_FAILED && row->tablet_failure && !row->retried)
        return MIGRATION_QUEUED;
    return row->status;
}

static void tally_row(struct tally *t, const struct executor_row *row)
{
    enum migration_status status = row_status(row);

    t->states[t->n++] = status;
    t->complete += status == MIGRATION_COMPLETE;
    t->ready += status == MIGRATION_COMPLETE || row->ready;
    uint32_t percent = status == MIGRATION_COMPLETE ? 100 : row->progress;

    if (percent < t->progress)
        t->progress = percent;
    if ((status != MIGRATION_FAILED && status != MIGRATION_CANCELLED) ||
        t->failed == MIGRATION_FAILED)
        return;
    /* A failure says more than the cancellations that it brought about. */
    if (t->failed == status)
        return;
    t->failed = status;
    bytes_to_text(t->failed_uuid, sizeof(t->failed_uuid), row->uuid);
    bytes_to_text(t->failed_shard, sizeof(t->failed_shard), row->shard);
    bytes_to_text(t->message, sizeof(t->message), row->message);
}

static void on_seen(struct session *s)
{
    migration_answer_ok(s, s->migration->info);
}

static void see(struct session *s)
{
    const struct migration *m = s->migration;
    const struct migration_record *r = &m->record;
    char reference[sizeof(r->keyspace) + sizeof(r->table) + 6];

    snprintf(reference, sizeof(reference), "`%s`.`%s`", r->keyspace, r->table);
    if (m->settled || !m->has_columns || m->uuid_count > 1)
        on_seen(s);
    else
        visible_wait(s,
                     &(struct visible_table){.keyspace = r->keyspace,
                                             .name = r->table,
                                             .reference = reference,
                                             .uuid = m->uuids[0]},
                     on_seen);
}

static void completed(struct session *s)
{
    struct migration *m = s->migration;
    int64_t ms = clock_ms() - m->record.started_ms;

    migration_publish(s, "complete", true);
    migration_log(s, "ddl_completed");
    metrics_add(&s->worker->metrics.ddl_completed, 1);
    snprintf(m->info, sizeof(m->info),
             "Online DDL complete: uuid=%s migrations=%zu shards=%zu time=%" PRId64 ".%03" PRId64
             "s",
             m->uuids[0], m->uuid_count, m->shards, ms / 1000, ms % 1000);
    m->seeing = true;
    see(s);
}

static void failed(struct session *s, const struct tally *t)
{
    struct migration *m = s->migration;
    bool cancelled = t->failed == MIGRATION_CANCELLED;
    const struct shim_error_row *row =
        shim_error_row(cancelled ? SHIM_ERROR_MIGRATION_CANCELLED : SHIM_ERROR_MIGRATION_FAILED);
    uint16_t code = row->code;
    char state[6], text[2000];

    snprintf(state, sizeof(state), "%s", row->state);
    if (cancelled && m->killed) {
        snprintf(text, sizeof(text), "Query execution was interrupted; migration %s was cancelled",
                 t->failed_uuid);
    } else if (cancelled) {
        snprintf(text, sizeof(text), "vtshim: migration %s was cancelled on shard %s%s%s",
                 t->failed_uuid, t->failed_shard, *t->message ? ": " : "", t->message);
    } else {
        vitess_error_code(t->message, &code, state);
        snprintf(text, sizeof(text), "vtshim: migration %s failed on shard %s%s: %s",
                 t->failed_uuid, t->failed_shard, t->complete ? " (others have completed)" : "",
                 t->message);
    }
    snprintf(m->record.message, sizeof(m->record.message), "shard %s: error %u", t->failed_shard,
             (unsigned)code);
    m->record.code = code;
    migration_publish(s, cancelled ? "cancelled" : "failed", true);
    migration_log(s, cancelled ? "ddl_cancelled" : "ddl_failed");
    metrics_add(cancelled ? &s->worker->metrics.ddl_cancelled : &s->worker->metrics.ddl_failed, 1);
    migration_answer_error(s, code, state, text);
}

static void still_running(struct session *s, const struct tally *t, const char *status)
{
    struct migration *m = s->migration;
    int64_t limit = s->worker->server->config->ddl_timeout_s;

    m->record.progress = t->progress;
    migration_publish(s, status, false);
    if (m->async) { /* attached: it was submitted before */
        migration_answer_submitted(s);
        return;
    }
    if (limit && !s->inner && clock_ms() - m->record.started_ms > limit * 1000) {
        migration_detach(s);
        migration_answer_shim_error(s, SHIM_ERROR_MIGRATION_TIMEOUT, (long long)limit,
                                    migration_name(m));
        return;
    }
    if (!migration_report(s))
        return;
    if (t->n < m->shards * m->uuid_count) {
        wait_blind(s, "a shard does not show it");
    } else {
        m->seen_ms = clock_ms();
        migration_wait_behind(s, status);
    }
}

/*
 * Vitess fails a migration for good when its stream meets any table that is just being dropped or
 * changed: the tablet's schema engine reads all tables anew, and one that it saw a moment ago is
 * gone ("_vt_hld_.. doesn't exist", or "in Engine.reload(), reading table ..":
 * go/vt/vttablet/tabletserver/schema/engine.go), or has lost a column between two looks ("in
 * Mysqld.GetColumns()": go/vt/mysqlctl/schema.go). None says anything of this migration.
 */
static bool is_passing(const struct tally *t)
{
    return t->failed == MIGRATION_FAILED &&
           (strstr(t->message, "in Engine.reload(), reading table") ||
            strstr(t->message, "in Mysqld.GetColumns(): Unknown column") ||
            (strstr(t->message, "_vt_") && strstr(t->message, "doesn't exist")));
}

static void on_retried(struct session *s, uint16_t code)
{
    if (code)
        log_warn("ddl_retry_failed", "session:u code:u", s->id, (uint64_t)code);
    if (s->migration->cancelling)
        migration_cancel_next(s);
    else
        migration_wait(s);
}

/* True: Vitess was told to run it again where it failed. */
static bool retry(struct session *s, const struct tally *t)
{
    struct migration *m = s->migration;

    if (!is_passing(t) || m->stopping || m->record.attached || m->retries == RETRIES_MAX)
        return false;
    m->retries++;
    migration_end_cutover(m);
    log_warn("ddl_retry", "session:u uuid:s shard:s", s->id, t->failed_uuid, t->failed_shard);
    m->executor->retry(s, t->failed_uuid, on_retried);
    return true;
}

static void judge(struct session *s, const struct tally *t)
{
    struct migration *m = s->migration;
    enum migration_status status =
        migration_status_aggregate(t->states, t->n, m->shards * m->uuid_count);

    m->record.shards_complete = t->complete;
    if (retry(s, t))
        return;
    if (status == MIGRATION_COMPLETE || status == MIGRATION_FAILED || status == MIGRATION_CANCELLED)
        migration_end_cutover(m);
    if (status == MIGRATION_COMPLETE)
        completed(s);
    else if (status == MIGRATION_FAILED || status == MIGRATION_CANCELLED)
        failed(s, t);
    else if (migration_status_any_lost(t->states, t->n) && !m->stopping && !m->record.attached)
        /* The others would change alone, or wait for ever with --postpone-completion. */
        migration_stop_others(s);
    else if (!migration_cut_over(s, t->rows, t->row_count, t->ready >= m->shards * m->uuid_count))
        still_running(s, t, migration_status_name(status));
}

static void on_poll(struct session *s, const struct executor_row *rows, size_t n)
{
    struct migration *m = s->migration;
    struct tally t = {.progress = 100, .rows = rows, .row_count = n};

    if (m->cancelling) {
        migration_cancel_next(s);
        return;
    }
    if (!rows) {
        wait_blind(s, "Vitess does not tell how it is doing");
        return;
    }
    t.states = memory_zalloc((n + 1) * sizeof(*t.states));
    for (size_t i = 0; i < n; i++) {
        if (m->adopted)
            migration_add_uuid(m, rows[i].uuid); /* whatever has its context is its own */
        if (rows[i].uuid.p && migration_has_uuid(m, rows[i].uuid))
            tally_row(&t, &rows[i]);
    }
    migration_note_rows(s, rows, n);
    if (m->uuid_count == 0)
        wait_blind(s, "no keyspace shows it");
    else
        judge(s, &t);
    free(t.states);
}

void migration_poll(struct session *s)
{
    struct migration *m = s->migration;
    const struct executor *executor = m->executor;

    m->looked_ms = clock_ms();
    if (m->shards)
        executor->look(s, on_poll);
    else
        executor->locate(s);
}

void migration_located(struct session *s, const char *why)
{
    struct migration *m = s->migration;

    m->record.shards = (uint32_t)m->shards;
    if (m->cancelling)
        migration_cancel_next(s);
    else if (why)
        wait_blind(s, why);
    else if (m->shards * m->uuid_count > ROWS_MAX)
        lost_sight(s, "it has too many shards and tables");
    else
        migration_poll(s);
}
