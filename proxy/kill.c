/*
 * KILL: from the killer's worker to the control loop, from there to every worker, and back with the
 * outcome. A query that vtgate is running is interrupted over a control connection.
 */
#include "proxy/kill.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/audit.h"
#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/migration.h"
#include "proxy/migration_internal.h"
#include "proxy/park.h"
#include "proxy/retry.h"
#include "proxy/script.h"
#include "proxy/server.h"
#include "proxy/session.h"
#include "proxy/vtgate_control.h"
#include "proxy/worker.h"

/* Only one worker has the victim, so that only one writes here; the mailboxes order the accesses.
 */
struct kill {
    struct worker *worker; /* the killer's */
    uint64_t killer, victim;
    char *user;
    bool query_only;
    uint8_t sequence;
    bool found, denied;
    bool running; /* the query runs on this vtgate, under this id there */
    struct vtgate *vtgate;
    uint32_t connection_id;
    char did[160];          /* what became of the victim's migration, or empty */
    const char *impossible; /* why a running query cannot be interrupted */
};

static void kill_free(struct kill *k)
{
    free(k->user);
    free(k);
}

static struct session *find_session(struct worker *w, uint64_t id)
{
    struct session *s;

    TAILQ_FOREACH(s, &w->sessions, link)
    {
        if ((uint32_t)s->id == (uint32_t)id)
            return s;
    }
    return NULL;
}

/* --- the victim ------------------------------------------------------------------------------ */

static void interrupt(struct kill *k, struct session *s)
{
    switch (s->state) {
    case SESSION_PARKED:
        if (s->ask)
            k->impossible = "its locks are being kept alive: try again";
        else
            park_interrupt(s);
        break;
    case SESSION_RETRYING:
        retry_interrupt(s);
        break;
    case SESSION_PAUSING:
        script_interrupt(s);
        break;
    case SESSION_MIGRATING:
        if (s->migration)
            migration_interrupt(
                s); /* else its DDL is done and vtgate has to see it, or has not begun */
        break;
    case SESSION_CALLING:
    case SESSION_ASKING:
        if (s->gate)
            k->impossible = "it is talking to vtgate about a DDL: try again";
        else if (s->migration)
            migration_interrupt(s);
        break;
    case SESSION_RESPONSE:
        k->running = true;
        k->vtgate = s->vtgate;
        k->connection_id = s->connection_id;
        break;
    default:
        break; /* nothing to interrupt is a success, as for MySQL */
    }
}

static void end(struct session *s)
{
    session_client_gone(s, CLOSE_KILLED);
}

/* Before it is done, for afterwards the migration is gone. */
static void say_fate(struct kill *k, const struct session *s)
{
    const struct migration_record *r = &s->migration->record;
    struct audit_entry e = {
        .event = "kill",
        .user = k->user,
        .session = k->killer,
        .keyspace = r->keyspace,
        .table = r->table,
        .verb = k->query_only ? "query" : "connection",
        .uuid = r->uuid,
        .outcome = k->did,
        .duration_ms = -1,
    };

    migration_fate(s, !k->query_only, k->did, sizeof(k->did));
    log_info("kill_migration", "session:u by:u uuid:s fate:s", s->id, k->killer, r->uuid, k->did);
    audit_write(s->worker->server->audit, &e);
}

static void on_worker(void *context, void *arg)
{
    struct worker *w = context;
    struct kill *k = arg;
    struct session *s = find_session(w, k->victim);

    if (!s || s->state == SESSION_LOGIN)
        return;
    k->found = true;
    k->denied = !s->user || strcmp(s->user, k->user) != 0;
    if (k->denied)
        return;
    log_info("kill", "session:u user:s by:u query_only:u state:s", s->id, s->user, k->killer,
             (uint64_t)k->query_only, session_state_name(s->state));
    if (s->id == k->killer)
        return; /* answered, and then closed, by on_answer */
    if (s->migration)
        say_fate(k, s);
    if (k->query_only)
        interrupt(k, s);
    else
        end(s);
}

/* --- the killer ------------------------------------------------------------------------------ */

static void answer(struct session *s, const struct kill *k)
{
    uint16_t status = s->status & (uint16_t)~STATUS_MORE_RESULTS;
    unsigned long long id = k->victim;
    struct buffer out;
    bool ok = false, sent;

    if (!k->found) {
        sent = session_send_error(s, k->sequence, SHIM_ERROR_UNKNOWN_THREAD, id);
    } else if (k->denied) {
        sent = session_send_error(s, k->sequence, SHIM_ERROR_KILL_DENIED, id);
    } else if (k->impossible) {
        sent = session_send_error(s, k->sequence, SHIM_ERROR_KILL_IMPOSSIBLE, id, k->impossible);
    } else if (k->killer == k->victim) {
        sent = session_send_error(s, k->sequence, SHIM_ERROR_INTERRUPTED, "", "");
    } else {
        if (script_has_more(s))
            status |= STATUS_MORE_RESULTS;
        buffer_init(&out, 512);
        reply_ok(&out, k->sequence, s->capabilities, status, 0, 0, k->did);
        sent = session_send_client(s, out.data, out.len);
        buffer_release(&out);
        ok = true;
    }
    if (!sent)
        return;
    if (k->found && k->killer == k->victim && !k->query_only)
        session_finish(s, CLOSE_KILLED);
    else if (s->script)
        script_statement_done(s, ok, (uint8_t)(k->sequence + 1));
    else
        query_next(s);
}

static void on_answer(void *context, void *arg)
{
    struct worker *w = context;
    struct kill *k = arg;
    struct session *s = find_session(w, k->killer);

    if (s && s->id == k->killer && s->state == SESSION_KILLING)
        answer(s, k);
    kill_free(k);
}

/* The killer's worker answers; at the end of the process it has gone, and the killer with it. */
static void deliver(void *context, void *arg)
{
    struct server *server = context;
    struct kill *k = arg;

    if (server->stopped)
        kill_free(k);
    else
        mailbox_post(&k->worker->mailbox, on_answer, k->worker, k);
}

/* The control thread outlives the workers: it answers the control loop, not the killer's worker. */
static void on_done(void *context, void *arg)
{
    struct server *server = context;
    struct kill *k = arg;

    if (k->running && server->control)
        vtgate_control_kill(server->control, k->vtgate, k->connection_id, &k->impossible,
                            &server->mailbox, deliver, server, k);
    else
        deliver(server, k);
}

static void on_control_loop(void *context, void *arg)
{
    server_broadcast(context, on_worker, on_done, arg);
}

void kill_start(struct session *s, uint64_t id, bool query_only, uint8_t sequence)
{
    struct kill *k = memory_zalloc(sizeof(*k));
    struct server *server = s->worker->server;

    k->worker = s->worker;
    k->killer = s->id;
    k->victim = id;
    k->user = memory_copy(s->user, strlen(s->user));
    k->query_only = query_only;
    k->sequence = sequence;
    session_set_state(s, SESSION_KILLING);
    mailbox_post(&server->mailbox, on_control_loop, server, k);
}
