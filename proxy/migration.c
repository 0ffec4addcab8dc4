/*
 * What befalls a migration: its submission's outcome, what the client is told, and who leaves when.
 * Its beginning is in migration_start.c; afterwards it is watched (migration_watch.c); how Vitess
 * is spoken to is the executor's (executor.h).
 */
#include "proxy/migration.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/audit_session.h"
#include "proxy/keeper.h"
#include "proxy/locks.h"
#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/migration_internal.h"
#include "proxy/migration_lock.h"
#include "proxy/migration_revert.h"
#include "proxy/notes.h"
#include "proxy/server.h"
#include "proxy/visible.h"
#include "proxy/worker.h"

static void migration_free(struct session *s)
{
    struct migration *m = s->migration;

    visible_forget(s);
    migration_forget_cutover(m);
    if (m->managed)
        atomic_fetch_sub(&s->worker->server->tracking, 1);
    loop_timer_stop(&m->timer);
    m->executor->forget(s);
    free(m->ddl);
    free(m->uuids);
    copy_watch_free(m->watch);
    standstill_free(m->standstill);
    free(m->message);
    free(m);
    s->migration = NULL;
}

void migration_publish(struct session *s, const char *status, bool ended)
{
    struct migration_record *r = &s->migration->record;

    snprintf(r->status, sizeof(r->status), "%s", status);
    bool first = ended && !r->ended_ms;

    if (ended) {
        r->ended_ms = clock_ms();
        r->queue = 0;
    }
    migration_show(s);
    if (first)
        audit_migration_ended(s);
}

void migration_log(struct session *s, const char *event)
{
    const struct migration_record *r = &s->migration->record;

    log_info(event,
             "session:u user:s keyspace:s table:s verb:s uuid:s context:s status:s shards:u ms:d",
             s->id, s->user, r->keyspace, r->table, r->verb, r->uuid, r->context, r->status,
             (uint64_t)r->shards, clock_ms() - r->started_ms);
}

void migration_forget(struct session *s)
{
    struct migration *m = s->migration;

    if (!m)
        return;
    if (!m->record.ended_ms)
        migration_detach(s);
    migration_free(s);
}

const char *migration_name(const struct migration *m)
{
    return m->uuid_count ? m->uuids[0] : m->context;
}

const char *migration_text(const struct session *s, size_t *len)
{
    if (!s->migration || !s->migration->ddl)
        return NULL;
    *len = s->migration->len;
    return s->migration->ddl;
}

void migration_detach(struct session *s)
{
    struct migration *m = s->migration;
    bool kept = m->managed && m->submitted && !m->seeing && !m->cancelling && !m->stopping;

    /* A context that is not the shim's may have others: from here on it is followed by its uuid. */
    if (kept && m->own_context && m->uuid_count > 0)
        snprintf(m->record.context, sizeof(m->record.context), "%s", m->uuids[0]);
    migration_publish(s, kept ? "kept" : m->submitted ? "detached" : "abandoned", !kept);
    migration_log(s, kept ? "ddl_kept" : "ddl_detached");
    metrics_add(&s->worker->metrics.ddl_detached, 1);
    if (kept)
        keeper_take(s->worker->server, &m->record);
}

/* The client gets its answer and the session goes on. `out` is one packet. */
static void answer_client(struct session *s, struct buffer *out, bool succeeded)
{
    migration_answer(s, out, (uint8_t)(s->migration->sequence + 1), succeeded);
}

void migration_answer(struct session *s, struct buffer *out, uint8_t next, bool succeeded)
{
    migration_free(s);
    query_answer(s, out, next, succeeded);
}

void migration_answer_error(struct session *s, uint16_t code, const char *state,
                            const char *message)
{
    struct buffer out;

    notes_add(s, NOTE_ERROR, code, message);
    buffer_init(&out, 4096);
    reply_error(&out, s->migration->sequence, code, state, message);
    answer_client(s, &out, false);
}

void migration_answer_shim_error(struct session *s, enum shim_error error, ...)
{
    char text[1024];
    va_list args;

    va_start(args, error);
    const struct shim_error_row *row = session_make_error(s, text, sizeof(text), error, args);

    va_end(args);
    migration_answer_error(s, row->code, row->state, text);
}

void migration_answer_ok(struct session *s, const char *info)
{
    uint16_t status = s->status & (uint16_t) ~(STATUS_IN_TRANSACTION | STATUS_MORE_RESULTS);
    struct buffer out;

    if (s->migration->more)
        status |= STATUS_MORE_RESULTS;
    buffer_init(&out, 4096);
    if (*info)
        notes_add(s, NOTE_NOTE, 1105, info);
    reply_ok(&out, s->migration->sequence, s->capabilities, status, 0, notes_count(s), info);
    answer_client(s, &out, true);
}

void migration_keep_error(struct migration *m, uint16_t code, const char *state,
                          struct bytes message)
{
    m->code = code;
    snprintf(m->state, sizeof(m->state), "%s", state);
    free(m->message);
    m->message = memory_copy((const char *)message.p, message.len);
}

void migration_keep_malformed(struct migration *m)
{
    static const char TEXT[] = "vtshim: malformed answer of vtgate";

    migration_keep_error(m, 1105, "HY000", (struct bytes){(const uint8_t *)TEXT, sizeof(TEXT) - 1});
}

/* The DDL was refused: the error is Vitess's own. */
void migration_refused(struct session *s)
{
    struct migration *m = s->migration;

    snprintf(m->record.message, sizeof(m->record.message), "error %u", (unsigned)m->code);
    m->record.code = m->code;
    migration_publish(s, "refused", true);
    migration_log(s, "ddl_refused");
    metrics_add(&s->worker->metrics.ddl_failed, 1);
    if (m->reverting)
        audit_controlled(s, m->ddl, m->len, false);
    migration_answer_error(s, m->code, m->state, m->message);
}

/* A uuid goes into statements of ours: only letters, digits, '_' and '-' are let through. */
void migration_add_uuid(struct migration *m, struct bytes uuid)
{
    if (!uuid.p || uuid.len == 0 || uuid.len >= UUID_MAX || m->uuid_count == UUIDS_MAX)
        return;
    for (size_t i = 0; i < uuid.len; i++) {
        uint8_t c = uuid.p[i];

        if (!(c == '_' || c == '-' || (c >= '0' && c <= '9') ||
              ((c | 0x20) >= 'a' && (c | 0x20) <= 'z')))
            return;
    }
    if (migration_has_uuid(m, uuid))
        return;
    if (m->uuid_count == m->uuid_cap) {
        m->uuid_cap = m->uuid_cap ? 2 * m->uuid_cap : 4;
        m->uuids = memory_resize(m->uuids, m->uuid_cap * sizeof(*m->uuids));
    }
    memset(m->uuids[m->uuid_count], 0, UUID_MAX);
    memcpy(m->uuids[m->uuid_count], uuid.p, uuid.len);
    if (m->uuid_count++ == 0)
        snprintf(m->record.uuid, sizeof(m->record.uuid), "%s", m->uuids[0]);
}

static void look_again(struct session *s)
{
    if (s->migration->queueing)
        migration_queue(s);
    else
        migration_poll(s);
}

static void on_timer(void *arg)
{
    struct session *s = arg;

    if (locks_due(s, clock_ms()))
        locks_keep(s, look_again);
    else
        look_again(s);
}

/* --- submitting ------------------------------------------------------------------------------ */

/* The client does not wait for more than that. */
void migration_answer_submitted(struct session *s)
{
    const struct migration *m = s->migration;
    char info[UUID_MAX + 160];

    if (m->managed) {
        migration_detach(s);
    } else {
        migration_publish(s, "detached", true);
        migration_log(s, "ddl_detached");
        metrics_add(&s->worker->metrics.ddl_detached, 1);
    }
    if (m->reverting) {
        migration_answer_reverting(s);
        return;
    }
    snprintf(info, sizeof(info), "Online DDL submitted: uuid=%s migrations=%zu", m->uuids[0],
             m->uuid_count);
    migration_answer_ok(s, info);
}

void migration_queued(struct session *s)
{
    migration_publish(s, "queued", false);
    migration_log(s, "ddl_submitted");
}

void migration_submitted(struct session *s)
{
    struct migration *m = s->migration;

    if (migration_unlock(s))
        return;
    if (m->code && m->submitted) {
        migration_cancel_leftovers(s);
    } else if (m->code) {
        migration_refused(s);
    } else if (s->client_gone && !m->cancelling) {
        session_close(s, CLOSE_CLIENT_CLOSED); /* detached: it goes on in Vitess */
    } else if (m->uuid_count == 0) {
        migration_publish(s, "complete", true); /* Vitess ran it at once */
        metrics_add(&s->worker->metrics.ddl_completed, 1);
        migration_answer_ok(s, "");
    } else if (m->async) {
        migration_answer_submitted(s);
    } else {
        m->seen_ms = clock_ms();
        m->executor->locate(s);
    }
}

struct migration *migration_create(struct session *s)
{
    struct migration *m = s->migration = memory_zalloc(sizeof(*m));

    m->executor = &executor_vtgate;
    loop_timer_init(&m->timer, &s->worker->loop, on_timer, s);
    m->seen_ms = clock_ms();
    return m;
}

/* --- leaving --------------------------------------------------------------------------------- */

void migration_interrupt(struct session *s)
{
    struct migration *m = s->migration;
    bool cancel = s->worker->server->config->ddl_on_disconnect == CONFIG_DISCONNECT_CANCEL;
    char fate[UUID_MAX + 64];

    bool let_go = s->state == SESSION_CALLING && !m->code && !m->stopping && m->executor->let_go(s);

    m->interrupted = !let_go && s->state != SESSION_MIGRATING;
    if (m->interrupted)
        return;
    loop_timer_stop(&m->timer);
    if (m->queueing) {
        migration_queue_leave(s);
        return;
    }
    if (m->seeing) {
        migration_answer_ok(s, m->info); /* there is nothing left to interrupt */
        return;
    }
    if (cancel) {
        m->killed = true;
        migration_stop_others(s); /* and the next poll sees it cancelled */
        return;
    }
    m->record.code = shim_error_row(SHIM_ERROR_INTERRUPTED)->code;
    migration_detach(s);
    snprintf(fate, sizeof(fate), "; migration %s goes on without this session", migration_name(m));
    migration_answer_shim_error(s, SHIM_ERROR_INTERRUPTED, fate, "");
}

void migration_fate(const struct session *s, bool leaves, char *dst, size_t size)
{
    bool cancel = s->worker->server->config->ddl_on_disconnect == CONFIG_DISCONNECT_CANCEL;
    const struct migration *m = s->migration;

    if (m->seeing)
        snprintf(dst, size, "migration %s is complete", m->uuids[0]);
    else if (!m->submitted)
        snprintf(dst, size, "its migration %s",
                 m->queueing || leaves ? "is not submitted" : "is being submitted");
    else
        snprintf(dst, size, "migration %s %s", m->uuid_count ? m->uuids[0] : m->context,
                 cancel ? "is being cancelled" : "goes on without the session");
}

bool migration_client_gone(struct session *s)
{
    struct migration *m = s->migration;
    bool cancel = s->worker->server->config->ddl_on_disconnect == CONFIG_DISCONNECT_CANCEL;

    if (m->seeing)
        return false; /* it is complete */
    if (!m->submitted || (!cancel && !m->submitting))
        return false; /* nothing to undo, or to be left alone: the session may just end */
    s->client_gone = true;
    stream_close(&s->client);
    m->cancelling = cancel;
    if (cancel && s->state == SESSION_MIGRATING) {
        loop_timer_stop(&m->timer);
        migration_cancel_next(s);
    }
    return true;
}

void migration_vtgate_lost(struct session *s)
{
    const struct migration *m = s->migration;
    char why[256];

    if (m->submitted)
        snprintf(why, sizeof(why), "the connection to vtgate was lost; migration %s may go on",
                 m->uuid_count ? m->uuids[0] : m->context);
    else
        snprintf(why, sizeof(why), "the connection to vtgate was lost before it was submitted");
    session_send_error(s, m->sequence, SHIM_ERROR_MIGRATION_UNKNOWN, why);
}
