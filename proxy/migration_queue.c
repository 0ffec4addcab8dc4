/*
 * One migration at a time for each table: what waits for its turn has not been submitted yet. The
 * order is that of migrations.c's list, in which a migration stands from its first moment on.
 *
 * This keeps a queue in order that Vitess would keep in a less visible way: it runs one migration
 * of a keyspace after the other and, with allow-concurrent, still none that touches the table of
 * another. DROP TABLE a, b waits for both. When those of this shim have ended, the ones in Vitess
 * that came from elsewhere are waited for, too (migration_lock.c).
 */
#include <stdio.h>
#include <string.h>

#include "proxy/log.h"
#include "proxy/migration_internal.h"
#include "proxy/migration_lock.h"
#include "proxy/server.h"
#include "proxy/worker.h"

#define LOOK_MS           100
#define LOOK_IN_VITESS_MS 1000

/* --- which tables ---------------------------------------------------------------------------- */

/* The next of DROP TABLE a, ks.b, ... behind *lx; its keyspace, if one is written. */
static bool next_table(struct lexer *lx, struct token *keyspace, struct token *table)
{
    *keyspace = (struct token){.kind = TOKEN_END};
    *table = lexer_next(lx);
    struct lexer ahead = *lx;
    struct token t = lexer_next(&ahead);

    if (token_is_char(&t, '.')) {
        *keyspace = *table;
        *table = lexer_next(&ahead);
        *lx = ahead;
    }
    return table->kind == TOKEN_WORD || table->kind == TOKEN_QUOTED;
}

static bool skip_comma(struct lexer *lx)
{
    struct token t = lexer_next(lx);

    return token_is_char(&t, ',');
}

/* The tables behind the first, which the record has. With one in another keyspace than the first it
   waits for namesakes in any. */
size_t migration_more_tables(struct migration_record *r, const char *ddl, size_t len,
                             char (*names)[MIGRATION_NAME_MAX], size_t max)
{
    struct token keyspace, table, t;
    struct lexer lx;
    size_t n = 0;

    if (strcmp(r->verb, "drop") != 0)
        return 0;
    lexer_init(&lx, ddl, len);
    do
        t = lexer_next(&lx);
    while (t.kind != TOKEN_END && !token_is(&t, "TABLE") && !token_is(&t, "TABLES") &&
           !token_is(&t, "VIEW"));
    struct lexer ahead = lx;

    t = lexer_next(&ahead);
    if (token_is(&t, "IF")) {
        lexer_next(&ahead); /* EXISTS */
        lx = ahead;
    }
    for (bool first = true; n < max && next_table(&lx, &keyspace, &table); first = false) {
        struct bytes name = {(const uint8_t *)table.text, table.len};

        if (!first)
            bytes_to_text(names[n++], MIGRATION_NAME_MAX, name);
        if (!first && keyspace.len > 0 &&
            (strlen(r->keyspace) != keyspace.len ||
             memcmp(r->keyspace, keyspace.text, keyspace.len) != 0))
            r->keyspaces = true;
        if (!skip_comma(&lx))
            break;
    }
    return n;
}

/* --- the wait -------------------------------------------------------------------------------- */

/* Ends it before it has begun. */
static void give_up(struct session *s, const char *status, const char *event,
                    _Atomic uint64_t *counter)
{
    struct migration *m = s->migration;

    m->queueing = false;
    m->record.queue = 0;
    migration_publish(s, status, true);
    migration_log(s, event);
    metrics_add(counter, 1);
}

static void wait(struct session *s, size_t ahead, int64_t ms)
{
    struct migration *m = s->migration;
    int64_t limit = s->worker->server->config->ddl_timeout_s;

    if (limit && clock_ms() - m->record.started_ms > limit * 1000) {
        m->record.code = shim_error_row(SHIM_ERROR_QUEUE_TIMEOUT)->code;
        give_up(s, "abandoned", "ddl_queue_timeout", &s->worker->metrics.ddl_cancelled);
        migration_answer_shim_error(s, SHIM_ERROR_QUEUE_TIMEOUT, (long long)limit, ahead);
        return;
    }
    m->record.queue = (uint32_t)ahead;
    migration_publish(s, "waiting", false);
    session_set_state(s, SESSION_MIGRATING);
    loop_timer_set(&m->timer, ms);
    migration_report(s); /* the last thing to be done, whatever comes of it */
}

/* It has to wait: true, unless ddl.queue says that it is refused instead. */
static bool begin_to_wait(struct session *s, size_t ahead, const char *first)
{
    struct server *server = s->worker->server;
    struct migration *m = s->migration;

    if (m->queueing)
        return true;
    if (server->config->ddl_queue == CONFIG_QUEUE_REFUSE) {
        m->record.code = shim_error_row(SHIM_ERROR_MIGRATION_BUSY)->code;
        give_up(s, "refused", "ddl_refused", &s->worker->metrics.ddl_failed);
        migration_answer_shim_error(s, SHIM_ERROR_MIGRATION_BUSY, m->record.table,
                                    *first ? first : "not submitted yet");
        return false;
    }
    log_info("ddl_waits_for_turn", "session:u keyspace:s table:s ahead:u first:s", s->id,
             m->record.keyspace, m->record.table, (uint64_t)ahead, first);
    m->queueing = true;
    return true;
}

void migration_queue(struct session *s)
{
    struct server *server = s->worker->server;
    struct migration *m = s->migration;
    char first[UUID_MAX] = "";

    if (server->config->ddl_queue == CONFIG_QUEUE_OFF) {
        migration_queue_over(s);
        return;
    }
    size_t ahead = migrations_ahead(server->migrations, m->record.id, first);

    if (ahead == 0) {
        migration_lock(s);
        return;
    }
    *m->behind = '\0';
    if (begin_to_wait(s, ahead, first))
        wait(s, ahead, LOOK_MS);
}

void migration_queue_behind(struct session *s)
{
    struct migration *m = s->migration;

    if (m->interrupted) {
        migration_queue_leave(s);
        return;
    }
    if (begin_to_wait(s, 1, m->behind))
        wait(s, 1, *m->behind ? LOOK_IN_VITESS_MS : LOOK_MS);
}

void migration_queue_over(struct session *s)
{
    struct migration *m = s->migration;

    if (m->queueing)
        migration_log(s, "ddl_turn_came");
    m->queueing = false;
    m->record.queue = 0;
    *m->behind = '\0';
    m->executor->submit(s);
}

void migration_queue_leave(struct session *s)
{
    s->migration->record.code = shim_error_row(SHIM_ERROR_INTERRUPTED)->code;
    give_up(s, "cancelled", "ddl_cancelled", &s->worker->metrics.ddl_cancelled);
    migration_answer_shim_error(s, SHIM_ERROR_INTERRUPTED,
                                "; this migration waited for its turn and was not submitted", "");
}

/* --- in Vitess ------------------------------------------------------------------------------- */

static void on_running(struct session *s, const struct executor_row *rows, size_t n)
{
    struct migration *m = s->migration;

    if (m->cancelling) {
        migration_cancel_next(s);
        return;
    }
    *m->behind = '\0';
    for (size_t i = 0; rows && i < n; i++) {
        char uuid[UUID_MAX];

        bytes_to_text(uuid, sizeof(uuid), rows[i].uuid);
        if (!*m->behind && !migration_has_uuid(m, rows[i].uuid))
            memcpy(m->behind, uuid, sizeof(uuid));
    }
    m->record.queue = *m->behind != '\0';
    migration_show(s);
    migration_wait(s);
}

void migration_wait_behind(struct session *s, const char *status)
{
    struct migration *m = s->migration;
    bool queued = strcmp(status, "queued") == 0 || strcmp(status, "ready") == 0;

    if (queued && m->executor->look_running) {
        m->executor->look_running(s, on_running);
        return;
    }
    m->record.queue = 0;
    *m->behind = '\0';
    migration_wait(s);
}
