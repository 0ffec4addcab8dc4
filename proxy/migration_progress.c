/*
 * How far a migration is: what is kept of each poll for SHOW MIGRATIONS, and the progress packets
 * that MariaDB's clients take while they wait.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/migration_internal.h"
#include "proxy/server.h"
#include "proxy/worker.h"

#define REPORT_MS      5000 /* also when nothing has changed: it keeps the connection alive */
#define REPORT_BACKLOG (16u << 10) /* a client that takes nothing is told nothing */
#define STAGES         2           /* copying, cutting over */
#define READY          "ready to complete"

/* --- what is kept ---------------------------------------------------------------------------- */

/* Vitess keeps the component and the reason of the last time: only the time tells how old it is. */
static void format_throttled(char *dst, size_t size, const struct executor_row *row)
{
    char user[16], component[48], reason[64], at[24];

    bytes_to_text(user, sizeof(user), row->user_throttle);
    bytes_to_text(component, sizeof(component), row->throttled_component);
    bytes_to_text(reason, sizeof(reason), row->throttled_reason);
    bytes_to_text(at, sizeof(at), row->throttled_at);
    if (executor_row_is_throttled(row))
        snprintf(dst, size, "by an operator, ratio %s", user);
    else if (*at && (*component || *reason))
        snprintf(dst, size, "%s%s%s, last at %s", component, *reason ? ": " : "", reason, at);
    else
        *dst = '\0';
}

static void keep_shard(struct migration_shard *shard, const struct executor_row *row)
{
    memset(shard, 0, sizeof(*shard));
    bytes_to_text(shard->uuid, sizeof(shard->uuid), row->uuid);
    bytes_to_text(shard->shard, sizeof(shard->shard), row->shard);
    bytes_to_text(shard->stage, sizeof(shard->stage), row->stage);
    bytes_to_text(shard->message, sizeof(shard->message), row->message);
    snprintf(shard->status, sizeof(shard->status), "%s", migration_status_name(row->status));
    format_throttled(shard->throttled, sizeof(shard->throttled), row);
    shard->progress = row->status == MIGRATION_COMPLETE ? 100 : row->progress;
    shard->attempts = row->attempts;
    shard->rows_copied = row->rows_copied;
    shard->table_rows = row->table_rows;
    shard->eta_s = row->status == MIGRATION_COMPLETE ? 0 : row->eta_s;
    shard->ready = row->ready || row->status == MIGRATION_COMPLETE;
}

static void sum_up(struct migration_record *r, const struct migration_shard *shard, bool first)
{
    if (first || shard->progress < r->progress) {
        r->progress = shard->progress;
        r->eta_s = shard->eta_s;
        snprintf(r->slowest, sizeof(r->slowest), "%s", shard->shard);
    }
    r->rows_copied += shard->rows_copied;
    r->table_rows += shard->table_rows;
    r->shards_ready += shard->ready;
    if (shard->attempts > r->attempts)
        r->attempts = shard->attempts;
    if (*shard->throttled && strcmp(shard->status, "running") == 0)
        snprintf(r->throttled, sizeof(r->throttled), "%s", shard->throttled);
}

/* Said once each time that it begins. */
static void note_standstill(struct session *s)
{
    struct migration *m = s->migration;
    struct migration_record *r = &m->record;
    int64_t limit_ms = s->worker->server->config->ddl_standstill_s * 1000, ms;
    const char *shard = standstill_find(m->standstill, limit_ms, clock_ms(), &ms);

    snprintf(r->still, sizeof(r->still), "%s", shard ? shard : "");
    if (shard && !m->said_still)
        log_warn("ddl_stands_still", "session:u table:s uuid:s shard:s ms:d", s->id, r->table,
                 r->uuid, shard, ms);
    m->said_still = shard != NULL;
}

void migration_note_rows(struct session *s, const struct executor_row *rows, size_t n)
{
    struct migration_shard *kept = memory_zalloc(MIGRATION_SHARDS_MAX * sizeof(*kept));
    struct migration_record *r = &s->migration->record;
    size_t seen = 0;

    r->rows_copied = r->table_rows = 0;
    r->shards_ready = r->attempts = 0;
    *r->throttled = '\0';
    for (size_t i = 0; i < n; i++) {
        struct migration_shard shard;

        if (!rows[i].uuid.p || !migration_has_uuid(s->migration, rows[i].uuid))
            continue;
        keep_shard(&shard, &rows[i]);
        if (strcmp(r->verb, "alter") == 0 && !r->attached)
            copy_watch_row(&s->migration->watch, s->worker->server->copy_rates, r->keyspace,
                           &rows[i], s->migration->row_bytes, clock_ms());
        standstill_row(&s->migration->standstill, &rows[i], clock_ms());
        sum_up(r, &shard, seen == 0);
        if (seen < MIGRATION_SHARDS_MAX)
            kept[seen] = shard;
        seen++;
    }
    if (seen > 0)
        migrations_set_shards(s->worker->server->migrations, r->id, kept,
                              seen < MIGRATION_SHARDS_MAX ? seen : MIGRATION_SHARDS_MAX);
    free(kept);
    note_standstill(s);
}

/* --- in words -------------------------------------------------------------------------------- */

static void describe_window(struct migration *m)
{
    time_t opens = (time_t)m->opens_at;
    struct tm tm;

    gmtime_r(&opens, &tm);
    snprintf(m->record.stage, sizeof(m->record.stage), "waiting for window, opens at %02d:%02d UTC",
             tm.tm_hour, tm.tm_min);
}

/* Every shard could cut over: what keeps it from doing so? */
static void describe_ready(struct migration *m)
{
    struct migration_record *r = &m->record;

    if (m->cut == CUT_DRAINING)
        snprintf(r->stage, sizeof(r->stage), "draining transactions");
    else if (m->cut == CUT_COMPLETING)
        snprintf(r->stage, sizeof(r->stage), "cut-over");
    else if (m->managed && m->later)
        snprintf(r->stage, sizeof(r->stage), "postponed, waits for COMPLETE");
    else if (m->opens_at > 0)
        describe_window(m);
    else if (m->cut == CUT_LOOK_ASKED)
        snprintf(r->stage, sizeof(r->stage), "about to cut over");
    else if (m->managed && m->drains == 0 && m->cut_ms > clock_ms())
        snprintf(r->stage, sizeof(r->stage), "cut-over put off");
    else if (m->managed && m->cut_ms > clock_ms())
        snprintf(r->stage, sizeof(r->stage), "drain put off for the %u. time", m->drains);
    else if (r->attached || strstr(m->strategy, "postpone-completion"))
        snprintf(r->stage, sizeof(r->stage), READY);
    else
        snprintf(r->stage, sizeof(r->stage), "cut-over");
}

void migration_describe(struct migration *m)
{
    struct migration_record *r = &m->record;

    if (m->seeing)
        snprintf(r->stage, sizeof(r->stage), "complete, vtgate learns of it");
    else if (r->ended_ms)
        *r->stage = '\0';
    else if (m->queueing && *m->behind)
        snprintf(r->stage, sizeof(r->stage), "waits for %.36s (elsewhere)", m->behind);
    else if (m->queueing)
        snprintf(r->stage, sizeof(r->stage), "waits for %" PRIu32 " migration%s of the table",
                 r->queue, r->queue == 1 ? "" : "s");
    else if (!m->submitted)
        snprintf(r->stage, sizeof(r->stage), "submitting");
    else if (*r->still)
        snprintf(r->stage, sizeof(r->stage), "stands still on shard %.40s", r->still);
    else if (r->shards_ready > 0 && r->shards_ready >= m->shards * m->uuid_count)
        describe_ready(m);
    else if (strcmp(r->status, "running") == 0)
        snprintf(r->stage, sizeof(r->stage), "copy rows");
    else
        snprintf(r->stage, sizeof(r->stage), "queued in Vitess%s%.38s",
                 *m->behind ? " behind " : "", m->behind);
}

/* What keeps a migration that another session here sees to from its cut-over is known there. */
static void describe_leader(struct migrations *ms, struct migration *m)
{
    struct migration_record *r = &m->record;
    char stage[MIGRATION_STAGE_MAX];

    if (r->attached && strcmp(r->stage, READY) == 0 && migrations_leader_stage(ms, r->uuid, stage))
        memcpy(r->stage, stage, sizeof(stage));
}

void migration_show(struct session *s)
{
    struct migration *m = s->migration;

    migration_describe(m);
    describe_leader(s->worker->server->migrations, m);
    migrations_update(s->worker->server->migrations, &m->record);
    if (*m->record.stage && strcmp(m->record.stage, m->logged) != 0) {
        log_info("ddl_stage", "session:u table:s uuid:s stage:s progress:u ms:d", s->id,
                 m->record.table, m->record.uuid, m->record.stage, (uint64_t)m->record.progress,
                 clock_ms() - m->record.started_ms);
        memcpy(m->logged, m->record.stage, sizeof(m->logged));
    }
}

/* --- MariaDB's progress packets -------------------------------------------------------------- */

/* The stage from 1 on, its percent, and a text. */
static uint8_t report_format(const struct migration *m, uint32_t *percent, char *text, size_t size)
{
    const struct migration_record *r = &m->record;
    size_t all = m->shards * m->uuid_count;

    if (all > 0 && r->shards_ready >= all) {
        *percent = (uint32_t)(r->shards_complete * 100 / all);
        snprintf(text, size, "%s", r->stage);
        return 2;
    }
    *percent = r->progress;
    if (strcmp(r->stage, "copy rows") != 0)
        snprintf(text, size, "%s", r->stage);
    else if (r->eta_s >= 0)
        snprintf(text, size, "copy rows shard %s eta %02" PRId64 ":%02" PRId64, r->slowest,
                 r->eta_s / 60, r->eta_s % 60);
    else
        snprintf(text, size, "copy rows shard %s", r->slowest);
    return 1;
}

/* Whether it is time to tell something; *m keeps what is told. */
static bool report_due(struct migration *m, uint8_t stage, uint32_t percent, const char *text)
{
    char now[sizeof(m->reported)];
    int64_t ms = clock_ms();

    snprintf(now, sizeof(now), "%u %" PRIu32 " %.100s", (unsigned)stage, percent, text);
    if (strcmp(now, m->reported) == 0 && ms - m->reported_ms < REPORT_MS)
        return false;
    memcpy(m->reported, now, sizeof(now));
    m->reported_ms = ms;
    return true;
}

bool migration_report(struct session *s)
{
    struct migration *m = s->migration;
    struct buffer out;
    uint32_t percent;
    char text[128];

    if (!s->progress || s->client_gone || stream_backlog(&s->client) > REPORT_BACKLOG ||
        s->worker->server->config->ddl_progress == CONFIG_PROGRESS_OFF)
        return true;
    uint8_t stage = report_format(m, &percent, text, sizeof(text));

    if (!report_due(m, stage, percent, text))
        return true;
    buffer_init(&out, 1024);
    reply_progress(&out, m->sequence++, stage, STAGES, percent * 1000, text);
    bool sent = session_send_client(s, out.data, out.len);

    buffer_release(&out);
    if (!sent && s->state != SESSION_DEAD && s->migration)
        migration_cancel_next(s); /* as ddl.on_disconnect says: between two questions */
    return sent;
}
