/*
 * The vtctld executor: what belongs to an ApplySchema (vtctld_submit.c) over gRPC: looking,
 * completing, cancelling, running it again. When vtctld is away, and for what it has no call for,
 * the session's own vtgate is asked and told instead: a migration is followed to its end in any
 * case.
 */
#include "proxy/executor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/executor_vtctld.h"
#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/server.h"
#include "proxy/worker.h"

#define LOOKS_BY_VTGATE 4 /* one of so many */

static void abandon(struct vtctld_own *own)
{
    if (own->call)
        own->call->arg = NULL; /* on_answer only frees it */
    own->call = NULL;
}

static void forget(struct session *s)
{
    struct vtctld_own *own = vtctld_own(s);

    if (!own)
        return;
    abandon(own);
    loop_timer_stop(&own->timer);
    free(own->sql);
    free(own);
    s->migration->own = NULL;
}

static void on_answer(void *context, void *arg)
{
    struct vtctld_answer *answer = arg;
    struct session *s = answer->arg;

    (void)context;
    if (s) {
        vtctld_own(s)->call = NULL;
        vtctld_own(s)->next(s, answer);
    }
    vtctld_answer_free(answer);
}

void vtctld_ask(struct session *s, const char *method, const ProtobufCMessage *request,
                answer_fn *next)
{
    struct server *server = s->worker->server;
    struct vtctld_own *own = vtctld_own(s);

    own->next = next;
    own->looking = false;
    session_set_state(s, SESSION_CALLING);
    own->call = vtctld_call(server->vtctld, method, request, server->config->vtctld_timeout_ms,
                            &s->worker->mailbox, on_answer, s->worker, s);
}

/* The shards were counted before it was submitted. */
static void locate(struct session *s)
{
    migration_located(s, NULL);
}

/* --- looking --------------------------------------------------------------------------------- */

static struct executor_row read_row(const Vtctldata__SchemaMigration *m)
{
    static const enum migration_status STATUSES[] = {
        [VTCTLDATA__SCHEMA_MIGRATION__STATUS__UNKNOWN] = MIGRATION_UNKNOWN,
        [VTCTLDATA__SCHEMA_MIGRATION__STATUS__REQUESTED] = MIGRATION_REQUESTED,
        [VTCTLDATA__SCHEMA_MIGRATION__STATUS__CANCELLED] = MIGRATION_CANCELLED,
        [VTCTLDATA__SCHEMA_MIGRATION__STATUS__QUEUED] = MIGRATION_QUEUED,
        [VTCTLDATA__SCHEMA_MIGRATION__STATUS__READY] = MIGRATION_READY,
        [VTCTLDATA__SCHEMA_MIGRATION__STATUS__RUNNING] = MIGRATION_RUNNING,
        [VTCTLDATA__SCHEMA_MIGRATION__STATUS__COMPLETE] = MIGRATION_COMPLETE,
        [VTCTLDATA__SCHEMA_MIGRATION__STATUS__FAILED] = MIGRATION_FAILED,
    };
    size_t status = (size_t)m->status;

    return (struct executor_row){
        .uuid = text_bytes(m->uuid),
        .shard = text_bytes(m->shard),
        .message = text_bytes(m->message),
        .status =
            status < sizeof(STATUSES) / sizeof(STATUSES[0]) ? STATUSES[status] : MIGRATION_UNKNOWN,
        .progress = m->progress > 0 && m->progress <= 100 ? (uint32_t)m->progress : 0,
        .ready = m->ready_to_complete,
        .tablet_failure = m->tablet_failure,
        .retried = m->retries != 0,
        .stage = text_bytes(m->stage),
        .throttled_component = text_bytes(m->component_throttled),
        .rows_copied = m->rows_copied,
        .table_rows = m->table_rows > 0 ? (uint64_t)m->table_rows : 0,
        .eta_s = m->eta_seconds,
        .attempts = m->cutover_attempts,
        .looked = m->vitess_liveness_indicator,
    };
}

static void on_migrations(struct session *s, const struct vtctld_answer *answer)
{
    const Vtctldata__GetSchemaMigrationsResponse *r =
        (const Vtctldata__GetSchemaMigrationsResponse *)answer->message;
    executor_rows *seen = s->migration->seen;

    if (answer->status != GRPC_OK) {
        log_debug("ddl_look_by_vtgate", "session:u status:s", s->id,
                  grpc_status_name(answer->status));
        executor_vtgate.look(s, seen);
        return;
    }
    size_t n = r->n_migrations < ROWS_MAX ? r->n_migrations : ROWS_MAX;
    struct executor_row *rows = memory_zalloc((n + 1) * sizeof(*rows));

    for (size_t i = 0; i < n; i++)
        rows[i] = read_row(r->migrations[i]);
    seen(s, rows, n);
    free(rows);
}

/* vtctld does not tell cut-over thresholds, in which other shims leave wishes: now and then vtgate
   is asked instead. So it is while the shards cut over, for it answers sooner, and what a shard
   waits for then lasts a second. */
static void look(struct session *s, executor_rows *seen)
{
    Vtctldata__GetSchemaMigrationsRequest request = VTCTLDATA__GET_SCHEMA_MIGRATIONS_REQUEST__INIT;
    struct migration *m = s->migration;

    bool wishes = m->cut == CUT_NOT_YET && ++vtctld_own(s)->looks % LOOKS_BY_VTGATE == 0;

    if (m->managed && (wishes || m->cut == CUT_COMPLETING)) {
        executor_vtgate.look(s, seen);
        return;
    }

    m->seen = seen;
    request.keyspace = m->record.keyspace;
    if (*vtctld_own(s)->uuid)
        request.uuid = vtctld_own(s)->uuid;
    else
        request.migration_context = m->context;
    vtctld_ask(s, "GetSchemaMigrations", &request.base, on_migrations);
    vtctld_own(s)->looking = true;
}

static bool let_go(struct session *s)
{
    struct vtctld_own *own = vtctld_own(s);

    if (!own->call || !own->looking)
        return false;
    abandon(own);
    return true;
}

/* --- control --------------------------------------------------------------------------------- */

/* Remembers whom the answer is for, and which migration it is about. */
static struct vtctld_own *control(struct session *s, const char *uuid, executor_done *done)
{
    struct vtctld_own *own = vtctld_own(s);

    s->migration->done = done;
    snprintf(own->uuid_asked, sizeof(own->uuid_asked), "%s", uuid);
    return own;
}

/*
 * The calls that control a migration have requests of one form. What vtctld did not carry out, the
 * session's own vtgate is told.
 */
#define CONTROL(verb, Method, Request, INIT)                                                       \
    static void verb##_answered(struct session *s, const struct vtctld_answer *answer)             \
    {                                                                                              \
        if (answer->status == GRPC_OK)                                                             \
            s->migration->done(s, 0);                                                              \
        else                                                                                       \
            verb##_by_vtgate(s, vtctld_own(s)->uuid_asked, s->migration->done);                    \
    }                                                                                              \
                                                                                                   \
    static void verb(struct session *s, const char *uuid, executor_done *done)                     \
    {                                                                                              \
        struct vtctld_own *own = control(s, uuid, done);                                           \
        Vtctldata__##Request request = INIT;                                                       \
                                                                                                   \
        request.keyspace = s->migration->record.keyspace;                                          \
        request.uuid = own->uuid_asked;                                                            \
        request.caller_id = &own->caller;                                                          \
        vtctld_ask(s, Method, &request.base, verb##_answered);                                     \
    }

static void cancel_by_vtgate(struct session *s, const char *uuid, executor_done *done)
{
    executor_vtgate.cancel(s, uuid, done);
}

static void retry_by_vtgate(struct session *s, const char *uuid, executor_done *done)
{
    executor_vtgate.retry(s, uuid, done);
}

CONTROL(cancel, "CancelSchemaMigration", CancelSchemaMigrationRequest,
        VTCTLDATA__CANCEL_SCHEMA_MIGRATION_REQUEST__INIT)
CONTROL(retry, "RetrySchemaMigration", RetrySchemaMigrationRequest,
        VTCTLDATA__RETRY_SCHEMA_MIGRATION_REQUEST__INIT)

/* Vtctld has no call for it. */
static void threshold(struct session *s, const char *uuid, uint32_t seconds, executor_done *done)
{
    executor_vtgate.threshold(s, uuid, seconds, done);
}

static void postpone(struct session *s, const char *uuid, executor_done *done)
{
    executor_vtgate.postpone(s, uuid, done);
}

/* vtctld could (ExecuteFetchAsDBA), but asks for the primary's alias, which may be another by then.
 */
static void mark(struct session *s, const char *shard, executor_done *done)
{
    executor_vtgate.mark(s, shard, done);
}

static void look_running(struct session *s, executor_rows *seen)
{
    executor_vtgate.look_running(s, seen);
}

/* CompleteSchemaMigration knows no shards: all are told. */
/* Vtctld runs it as an ApplySchema, which comes back when the cut-over is over: for as long nothing
   would be seen of it, nor its waits be shortened. */
static void complete(struct session *s, const char *uuid, const char *shard, executor_done *done)
{
    executor_vtgate.complete(s, uuid, shard, done);
}

const struct executor executor_vtctld = {
    .name = "vtctld",
    .submit = vtctld_submit,
    .locate = locate,
    .look = look,
    .cancel = cancel,
    .look_running = look_running,
    .complete = complete,
    .postpone = postpone,
    .threshold = threshold,
    .mark = mark,
    .retry = retry,
    .let_go = let_go,
    .forget = forget,
};
