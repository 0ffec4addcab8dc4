/*
 * The vtgate executor, as a chain of questions over the client's own connection:
 *
 *   read the session's strategy -> set ours -> submit -> restore -> count the shards -> poll
 *
 * Each step is a callback of ask.c that starts the next. A step that fails after ours was set goes
 * through "restore" all the same, so that the session is as it was.
 */
#include "proxy/migration.h"

#include <inttypes.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/ddl.h"
#include "proxy/ask.h"
#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/migrations.h"
#include "proxy/script.h"
#include "proxy/server.h"
#include "proxy/session.h"
#include "proxy/worker.h"

#define UUIDS_MAX       64 /* tables in one DROP TABLE */
#define UUID_MAX        64
#define SHARDS_MAX      4096
#define POLL_ERRORS_MAX 20    /* in a row, before the client is told that we lost sight */
#define ROWS_MISSING_MS 60000 /* how long a shard may not show the migration */

struct migration {
    char *ddl; /* owned */
    size_t len;
    uint8_t sequence;
    bool more;
    bool submitted;                   /* the submission is on its way or answered */
    bool submitting;                  /* ... not answered yet */
    bool cancelling;                  /* the client left and ddl.on_disconnect is cancel */
    bool stopping;                    /* one shard failed: the others were told to stop */
    char *old_strategy, *old_context; /* quoted, to be put back; NULL: not read yet */
    char context[64];
    char uuids[UUIDS_MAX][UUID_MAX];
    size_t uuid_count, next_cancel;
    size_t shards;
    unsigned poll_errors;
    uint16_t code; /* not 0: the submission failed with this */
    char state[6];
    char *message; /* of the failed submission */
    struct event timer;
    struct migration_record record;
};

static void poll_now(struct session *s);
static void cancel_next(struct session *s);

static void migration_free(struct migration *m)
{
    event_del(&m->timer);
    free(m->ddl);
    free(m->old_strategy);
    free(m->old_context);
    free(m->message);
    free(m);
}

static void record_publish(struct session *s, const char *status, bool ended)
{
    struct migration_record *r = &s->migration->record;

    snprintf(r->status, sizeof(r->status), "%s", status);
    if (ended)
        r->ended_ms = clock_ms();
    migrations_update(s->worker->server->migrations, r);
}

static void log_migration(struct session *s, const char *event)
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
    if (!m->record.ended_ms) {
        bool detached = m->submitted;

        record_publish(s, detached ? "detached" : "abandoned", true);
        log_migration(s, "ddl_detached");
        metrics_add(&s->worker->metrics.ddl_detached, 1);
    }
    s->migration = NULL;
    migration_free(m);
}

/* Formats a question and asks it. The text is bounded by what was bounded before. */
static void ask_format(struct session *s, ask_callback *done, const char *format, ...)
{
    va_list args;
    char *sql;

    va_start(args, format);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* all formats are in this file */
    int len = vasprintf(&sql, format, args);
#pragma GCC diagnostic pop
    va_end(args);
    if (len < 0)
        abort();
    ask_start(s, sql, (size_t)len, done);
    free(sql);
}

static char *quoted(struct bytes value)
{
    size_t size = value.len * 2 + 3;
    char *text = memory_zalloc(size);

    if (!ddl_quote(text, size, (const char *)value.p, value.len))
        abort(); /* the size is what ddl_quote needs at most */
    return text;
}

/* The client gets its answer and the session goes on. `out` is one packet. */
static void answer_client(struct session *s, struct buffer *out, bool succeeded)
{
    uint8_t next = (uint8_t)(s->migration->sequence + 1);
    bool gone = s->client_gone;

    migration_free(s->migration);
    s->migration = NULL;
    bool sent = session_send_client(s, out->data, out->len);

    buffer_release(out);
    if (gone)
        session_close(s, CLOSE_CLIENT_CLOSED);
    else if (sent && s->script)
        script_statement_done(s, succeeded, next);
    else if (sent)
        query_next(s);
}

static void answer_error(struct session *s, uint16_t code, const char *state, const char *message)
{
    struct buffer out;

    buffer_init(&out, 4096);
    reply_error(&out, s->migration->sequence, code, state, message);
    answer_client(s, &out, false);
}

static void answer_shim_error(struct session *s, enum shim_error error, ...)
{
    const struct shim_error_row *row = shim_error_row(error);
    char text[1024];
    va_list args;

    va_start(args, error);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* the formats are errors.def's */
    vsnprintf(text, sizeof(text), row->text, args);
#pragma GCC diagnostic pop
    va_end(args);
    answer_error(s, row->code, row->state, text);
}

static void answer_ok(struct session *s, const char *info)
{
    uint16_t status = s->status & (uint16_t) ~(STATUS_IN_TRANSACTION | STATUS_MORE_RESULTS);
    struct buffer out;

    if (s->migration->more)
        status |= STATUS_MORE_RESULTS;
    buffer_init(&out, 4096);
    reply_ok(&out, s->migration->sequence, s->capabilities, status, 0, 0, info);
    answer_client(s, &out, true);
}

/* The migration cannot be followed any more. */
static void lost_sight(struct session *s, const char *why)
{
    record_publish(s, "unknown", true);
    log_migration(s, "ddl_lost");
    metrics_add(&s->worker->metrics.ddl_detached, 1);
    answer_shim_error(s, SHIM_ERROR_MIGRATION_UNKNOWN, why);
}

static void keep_error(struct migration *m, const struct answer *a)
{
    m->code = a ? a->code : 1105;
    snprintf(m->state, sizeof(m->state), "%s", a ? a->state : "HY000");
    free(m->message);
    m->message = a ? memory_copy((const char *)a->message.p, a->message.len)
                   : memory_copy("vtshim: malformed answer of vtgate", 34);
}

/* The DDL was refused: the error is vtgate's own. */
static void refused(struct session *s)
{
    struct migration *m = s->migration;

    snprintf(m->record.message, sizeof(m->record.message), "error %u", (unsigned)m->code);
    record_publish(s, "refused", true);
    log_migration(s, "ddl_refused");
    metrics_add(&s->worker->metrics.ddl_failed, 1);
    answer_error(s, m->code, m->state, m->message);
}

static void wait_and_poll(struct session *s, int64_t ms)
{
    struct timeval tv = {ms / 1000, (ms % 1000) * 1000};

    session_set_state(s, SESSION_MIGRATING);
    event_add(&s->migration->timer, &tv);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    poll_now(arg);
}

/* --- cancelling ------------------------------------------------------------------------------ */

static void on_cancelled(struct session *s, const struct answer *a)
{
    struct migration *m = s->migration;

    if (!a || a->failed)
        log_warn("ddl_cancel_failed", "session:u uuid:s code:u", s->id,
                 m->uuids[m->next_cancel - 1], (uint64_t)(a ? a->code : 0));
    cancel_next(s);
}

/* Cancels one migration after the other. Then: the shards that one has left alone are polled on, or
   a refused submission is answered, or the session, whose client has gone, ends. */
static void cancel_next(struct session *s)
{
    struct migration *m = s->migration;

    if (m->next_cancel < m->uuid_count) {
        ask_format(s, on_cancelled, "ALTER VITESS_MIGRATION '%s' CANCEL",
                   m->uuids[m->next_cancel++]);
        return;
    }
    if (m->stopping && !m->cancelling) {
        wait_and_poll(s, s->worker->server->config->ddl_poll_interval_ms);
        return;
    }
    if (m->code) {
        refused(s);
        return;
    }
    record_publish(s, "cancelled", true);
    log_migration(s, "ddl_cancelled");
    metrics_add(&s->worker->metrics.ddl_cancelled, 1);
    session_close(s, CLOSE_CLIENT_CLOSED);
}

static bool same_bytes(struct bytes b, const char *text)
{
    return b.len == strlen(text) && memcmp(b.p, text, b.len) == 0;
}

/* A uuid goes into statements of ours: only letters, digits, '_' and '-' are let through. */
static void add_uuid(struct migration *m, struct bytes uuid)
{
    if (!uuid.p || uuid.len == 0 || uuid.len >= UUID_MAX || m->uuid_count == UUIDS_MAX)
        return;
    for (size_t i = 0; i < uuid.len; i++) {
        uint8_t c = uuid.p[i];

        if (!(c == '_' || c == '-' || (c >= '0' && c <= '9') ||
              ((c | 0x20) >= 'a' && (c | 0x20) <= 'z')))
            return;
    }
    for (size_t i = 0; i < m->uuid_count; i++) {
        if (same_bytes(uuid, m->uuids[i]))
            return;
    }
    memcpy(m->uuids[m->uuid_count], uuid.p, uuid.len);
    if (m->uuid_count++ == 0)
        snprintf(m->record.uuid, sizeof(m->record.uuid), "%s", m->uuids[0]);
}

/* What a refused submission left queued on some shards is cancelled: the fan-out is not atomic. */
static void on_leftovers(struct session *s, const struct answer *a)
{
    struct migration *m = s->migration;
    struct bytes row[64];

    if (a && !a->failed && a->columns) {
        int uuid = answer_column(a, "migration_uuid");
        int status = answer_column(a, "migration_status");
        const uint8_t *at = a->rows_at;

        while (uuid >= 0 && uuid < 64 && status >= 0 && status < 64 &&
               answer_row(a, &at, row, 64)) {
            enum migration_status st =
                migration_status_parse((const char *)row[status].p, row[status].len);

            if (!migration_status_is_terminal(st))
                add_uuid(m, row[uuid]);
        }
    }
    cancel_next(s);
}

/* --- polling --------------------------------------------------------------------------------- */

struct tally {
    enum migration_status states[SHARDS_MAX];
    size_t n;
    uint32_t complete, progress;
    char failed_shard[64], failed_uuid[UUID_MAX], message[512];
    enum migration_status failed;
};

static void copy_bytes(char *dst, size_t size, struct bytes b)
{
    size_t n = b.len < size - 1 ? b.len : size - 1;

    if (b.p)
        memcpy(dst, b.p, n);
    dst[b.p ? n : 0] = '\0';
}

static bool is_ours(const struct migration *m, struct bytes uuid)
{
    for (size_t i = 0; i < m->uuid_count; i++) {
        if (same_bytes(uuid, m->uuids[i]))
            return true;
    }
    return false;
}

static bool tally_rows(const struct migration *m, const struct answer *a, struct tally *t)
{
    static const char *const NAMES[] = {"migration_uuid", "migration_status", "shard", "message",
                                        "progress"};
    enum { UUID, STATUS, SHARD, MESSAGE, PROGRESS, N };
    struct bytes row[128];
    int column[N];

    memset(t, 0, sizeof(*t));
    t->progress = 100;
    for (int i = 0; i < N; i++) {
        column[i] = answer_column(a, NAMES[i]);
        if (column[i] < 0 || column[i] >= 128)
            return false;
    }
    for (const uint8_t *at = a->rows_at; t->n < SHARDS_MAX && answer_row(a, &at, row, 128);) {
        struct bytes status = row[column[STATUS]];
        enum migration_status st = migration_status_parse((const char *)status.p, status.len);
        char progress[16];

        if (!row[column[UUID]].p || !is_ours(m, row[column[UUID]]))
            continue;
        t->states[t->n++] = st;
        t->complete += st == MIGRATION_COMPLETE;
        copy_bytes(progress, sizeof(progress), row[column[PROGRESS]]);
        uint32_t percent = st == MIGRATION_COMPLETE ? 100 : (uint32_t)strtoul(progress, NULL, 10);

        if (percent < t->progress)
            t->progress = percent;
        if ((st == MIGRATION_FAILED || st == MIGRATION_CANCELLED) && !t->failed_uuid[0]) {
            t->failed = st;
            copy_bytes(t->failed_uuid, sizeof(t->failed_uuid), row[column[UUID]]);
            copy_bytes(t->failed_shard, sizeof(t->failed_shard), row[column[SHARD]]);
            copy_bytes(t->message, sizeof(t->message), row[column[MESSAGE]]);
        }
    }
    return true;
}

static void completed(struct session *s)
{
    struct migration *m = s->migration;
    char info[UUID_MAX + 160];
    int64_t ms = clock_ms() - m->record.started_ms;

    record_publish(s, "complete", true);
    log_migration(s, "ddl_completed");
    metrics_add(&s->worker->metrics.ddl_completed, 1);
    snprintf(info, sizeof(info),
             "Online DDL complete: uuid=%s migrations=%zu shards=%zu time=%" PRId64 ".%03" PRId64
             "s",
             m->uuids[0], m->uuid_count, m->shards, ms / 1000, ms % 1000);
    answer_ok(s, info);
}

/* MySQL's own code and state, where the migration's message has them: "(errno 1060) (sqlstate
   42S21)", as Vitess writes errors of MySQL (go/mysql/sqlerror). */
static void message_code(const char *message, uint16_t *code, char state[6])
{
    const char *errno_at = strstr(message, "(errno ");
    const char *state_at = strstr(message, "(sqlstate ");

    if (!errno_at || !state_at || strlen(state_at) < 15)
        return;
    unsigned long n = strtoul(errno_at + 7, NULL, 10);

    if (n == 0 || n > UINT16_MAX)
        return;
    *code = (uint16_t)n;
    memcpy(state, state_at + 10, 5);
}

static void failed(struct session *s, const struct tally *t)
{
    struct migration *m = s->migration;
    bool cancelled = t->failed == MIGRATION_CANCELLED;
    const struct shim_error_row *row =
        shim_error_row(cancelled ? SHIM_ERROR_MIGRATION_CANCELLED : SHIM_ERROR_MIGRATION_FAILED);
    uint16_t code = row->code;
    char state[6], text[1024];

    snprintf(state, sizeof(state), "%s", row->state);
    if (cancelled) {
        snprintf(text, sizeof(text), "vtshim: migration %s was cancelled on shard %s%s%s",
                 t->failed_uuid, t->failed_shard, *t->message ? ": " : "", t->message);
    } else {
        message_code(t->message, &code, state);
        snprintf(text, sizeof(text), "vtshim: migration %s failed on shard %s: %s", t->failed_uuid,
                 t->failed_shard, t->message);
    }
    snprintf(m->record.message, sizeof(m->record.message), "shard %s: error %u", t->failed_shard,
             (unsigned)code);
    record_publish(s, cancelled ? "cancelled" : "failed", true);
    log_migration(s, cancelled ? "ddl_cancelled" : "ddl_failed");
    metrics_add(cancelled ? &s->worker->metrics.ddl_cancelled : &s->worker->metrics.ddl_failed, 1);
    answer_error(s, code, state, text);
}

static void still_running(struct session *s, const struct tally *t, const char *status)
{
    struct migration *m = s->migration;
    const struct config *c = s->worker->server->config;
    int64_t elapsed = clock_ms() - m->record.started_ms;

    m->record.shards_complete = t->complete;
    m->record.progress = t->progress;
    record_publish(s, status, false);
    if (t->n < m->shards * m->uuid_count && elapsed > ROWS_MISSING_MS) {
        lost_sight(s, "a shard does not show it");
    } else if (c->ddl_timeout_s && elapsed > c->ddl_timeout_s * 1000) {
        record_publish(s, "detached", true);
        log_migration(s, "ddl_detached");
        metrics_add(&s->worker->metrics.ddl_detached, 1);
        answer_shim_error(s, SHIM_ERROR_MIGRATION_TIMEOUT, (long long)c->ddl_timeout_s,
                          m->uuids[0]);
    } else {
        wait_and_poll(s, c->ddl_poll_interval_ms);
    }
}

/* One shard has lost it: the others would change alone, or wait for ever with
   --postpone-completion. */
static void stop_others(struct session *s)
{
    struct migration *m = s->migration;

    m->stopping = true;
    m->next_cancel = 0;
    log_migration(s, "ddl_stopping");
    cancel_next(s);
}

static void on_poll(struct session *s, const struct answer *a)
{
    struct migration *m = s->migration;
    struct tally t;

    if (m->cancelling) {
        cancel_next(s);
        return;
    }
    if (!a || a->failed || !a->columns || !tally_rows(m, a, &t)) {
        if (++m->poll_errors >= POLL_ERRORS_MAX)
            lost_sight(s, "vtgate does not answer SHOW VITESS_MIGRATIONS");
        else
            wait_and_poll(s, s->worker->server->config->ddl_poll_interval_ms);
        return;
    }
    m->poll_errors = 0;
    enum migration_status status =
        migration_status_aggregate(t.states, t.n, m->shards * m->uuid_count);

    m->record.shards_complete = t.complete;
    if (status == MIGRATION_COMPLETE)
        completed(s);
    else if (status == MIGRATION_FAILED || status == MIGRATION_CANCELLED)
        failed(s, &t);
    else if (migration_status_any_lost(t.states, t.n) && !m->stopping)
        stop_others(s);
    else
        still_running(s, &t, migration_status_name(status));
}

static void poll_now(struct session *s)
{
    ask_format(s, on_poll, "SHOW VITESS_MIGRATIONS FROM `%s` LIKE '%s'",
               s->migration->record.keyspace, s->migration->context);
}

/* --- submitting ------------------------------------------------------------------------------ */

static void on_shards(struct session *s, const struct answer *a)
{
    struct migration *m = s->migration;
    size_t prefix = strlen(m->record.keyspace);
    struct bytes row[1];

    if (a && !a->failed && a->columns) {
        for (const uint8_t *at = a->rows_at; answer_row(a, &at, row, 1);) {
            if (row[0].len > prefix && memcmp(row[0].p, m->record.keyspace, prefix) == 0 &&
                row[0].p[prefix] == '/')
                m->shards++;
        }
    }
    m->record.shards = (uint32_t)m->shards;
    if (m->cancelling)
        cancel_next(s);
    else if (m->shards == 0 || m->shards * m->uuid_count > SHARDS_MAX)
        lost_sight(s, "the keyspace's shards could not be counted");
    else
        poll_now(s);
}

/* The session is as it was; how did the submission go? */
static void on_restored(struct session *s, const struct answer *a)
{
    struct migration *m = s->migration;

    if (!a || a->failed)
        log_warn("ddl_restore_failed", "session:u code:u", s->id, (uint64_t)(a ? a->code : 0));
    if (m->code && m->submitted) {
        ask_format(s, on_leftovers, "SHOW VITESS_MIGRATIONS FROM `%s` LIKE '%s'",
                   m->record.keyspace, m->context);
    } else if (m->code) {
        refused(s);
    } else if (s->client_gone && !m->cancelling) {
        session_close(s, CLOSE_CLIENT_CLOSED); /* detached: it goes on in Vitess */
    } else if (m->uuid_count == 0) {
        record_publish(s, "complete", true); /* vtgate ran it at once */
        metrics_add(&s->worker->metrics.ddl_completed, 1);
        answer_ok(s, "");
    } else {
        ask_format(s, on_shards, "SHOW VITESS_SHARDS");
    }
}

static void restore(struct session *s)
{
    struct migration *m = s->migration;

    ask_format(s, on_restored, "SET @@ddl_strategy = %s, @@migration_context = %s", m->old_strategy,
               m->old_context);
}

static void on_submitted(struct session *s, const struct answer *a)
{
    struct migration *m = s->migration;
    struct bytes row[1];

    m->submitting = false;
    if (!a || a->failed) {
        keep_error(m, a);
    } else if (a->columns) {
        for (const uint8_t *at = a->rows_at; answer_row(a, &at, row, 1);)
            add_uuid(m, row[0]);
        record_publish(s, "queued", false);
        log_migration(s, "ddl_submitted");
    }
    restore(s);
}

static void on_set(struct session *s, const struct answer *a)
{
    struct migration *m = s->migration;

    if (!a || a->failed) {
        keep_error(m, a); /* for instance a ddl.strategy in the config that vtgate does not know */
        restore(s);
        return;
    }
    m->submitted = m->submitting = true;
    ask_start(s, m->ddl, m->len, on_submitted);
}

static void on_read(struct session *s, const struct answer *a)
{
    struct migration *m = s->migration;
    const struct config *c = s->worker->server->config;
    struct bytes row[2];
    const uint8_t *at = a ? a->rows_at : NULL;

    if (!a || a->failed || a->columns != 2 || !answer_row(a, &at, row, 2)) {
        keep_error(m, a && a->failed ? a : NULL);
        refused(s);
        return;
    }
    m->old_strategy = quoted(row[0]);
    m->old_context = quoted(row[1]);
    char *strategy =
        quoted((struct bytes){(const uint8_t *)c->ddl_strategy, strlen(c->ddl_strategy)});

    ask_format(s, on_set, "SET @@ddl_strategy = %s, @@migration_context = '%s'", strategy,
               m->context);
    free(strategy);
}

static void set_names(struct session *s, const struct statement *ddl)
{
    static const char *const VERBS[] = {
        [DDL_NONE] = "ddl",  [DDL_CREATE] = "create", [DDL_ALTER] = "alter",
        [DDL_DROP] = "drop", [DDL_RENAME] = "rename", [DDL_TRUNCATE] = "truncate"};
    struct migration_record *r = &s->migration->record;
    struct sql_name keyspace = ddl->qualifier;

    if (keyspace.len == 0)
        keyspace = (struct sql_name){s->database, strcspn(s->database, "@")};
    /* Keyspace names have no backtick (topo validates them): one would end the quoting above. */
    if (keyspace.len < sizeof(r->keyspace) && !memchr(keyspace.text, '`', keyspace.len))
        memcpy(r->keyspace, keyspace.text, keyspace.len);
    copy_bytes(r->table, sizeof(r->table),
               (struct bytes){(const uint8_t *)ddl->name.text, ddl->name.len});
    snprintf(r->verb, sizeof(r->verb), "%s", VERBS[ddl->verb]);
    snprintf(r->user, sizeof(r->user), "%s", s->user);
    snprintf(r->context, sizeof(r->context), "%s", s->migration->context);
}

void migration_start(struct session *s, const struct statement *ddl, uint8_t sequence, bool more)
{
    struct migration *m = s->migration = memory_zalloc(sizeof(*m));
    unsigned char random[16];

    m->ddl = memory_copy(ddl->text, ddl->len);
    m->len = ddl->len;
    m->sequence = sequence;
    m->more = more;
    event_assign(&m->timer, s->worker->base, -1, 0, on_timer, s);
    if (RAND_bytes(random, sizeof(random)) != 1)
        abort(); /* OpenSSL's generator cannot fail once seeded by the kernel */
    ddl_context_format(m->context, random);
    set_names(s, ddl);
    m->record.session = s->id;
    m->record.started_ms = clock_ms();
    snprintf(m->record.status, sizeof(m->record.status), "submitting");
    migrations_add(s->worker->server->migrations, &m->record);
    metrics_add(&s->worker->metrics.ddl_started, 1);
    log_migration(s, "ddl_started");
    ask_format(s, on_read, "SELECT @@ddl_strategy, @@migration_context");
}

bool migration_interrupt(struct session *s)
{
    struct migration *m = s->migration;
    bool cancel = s->worker->server->config->ddl_on_disconnect == CONFIG_DISCONNECT_CANCEL;

    if (s->state != SESSION_MIGRATING)
        return false;
    event_del(&m->timer);
    if (cancel) {
        stop_others(s); /* and the next poll sees it cancelled */
        return true;
    }
    record_publish(s, "detached", true);
    log_migration(s, "ddl_detached");
    metrics_add(&s->worker->metrics.ddl_detached, 1);
    answer_shim_error(s, SHIM_ERROR_INTERRUPTED,
                      "; this migration goes on in Vitess: ", m->uuids[0]);
    return true;
}

bool migration_client_gone(struct session *s)
{
    struct migration *m = s->migration;
    bool cancel = s->worker->server->config->ddl_on_disconnect == CONFIG_DISCONNECT_CANCEL;

    if (!m->submitted || (!cancel && !m->submitting))
        return false; /* nothing to undo, or to be left alone: the session may just end */
    s->client_gone = true;
    stream_close(&s->client);
    m->cancelling = cancel;
    if (cancel && s->state == SESSION_MIGRATING) {
        event_del(&m->timer);
        cancel_next(s);
    }
    return true;
}
