/*
 * SHOW commands that look into the process: open transactions, parked sessions, workers, listening
 * sockets, memory, errors, statements, users, the last lines of the audit log, settings.
 */
#include <inttypes.h>
#include <jansson.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/admin_commands.h"
#include "proxy/admin_gather.h"
#include "proxy/admin_internal.h"
#include "proxy/admin_values.h"
#include "proxy/audit.h"
#include "proxy/digests.h"
#include "proxy/listener.h"
#include "proxy/memory_limit.h"
#include "proxy/server.h"
#include "proxy/session.h"
#include "proxy/vtgates.h"
#include "proxy/worker.h"

#define COUNT(array)  (sizeof(array) / sizeof((array)[0]))
#define LISTENERS_MAX 512

/* --- what the workers know ------------------------------------------------------------------- */

static void add_transactions(struct admin_table *t, struct worker *w)
{
    const struct session *s;
    int64_t now = clock_ms();

    TAILQ_FOREACH(s, &w->sessions, link)
    {
        struct admin_values ns = {.n = 0};

        if (s->status & STATUS_IN_TRANSACTION)
            admin_table_row(
                t, (const char *const[]){
                       admin_number(&ns, (int64_t)s->id), s->user, s->peer, s->database,
                       s->vtgate ? vtgate_name(s->vtgate) : NULL, session_state_name(s->state),
                       admin_seconds(&ns, now - s->transaction_ms), admin_number(&ns, s->locks)});
    }
}

void admin_show_transactions(struct admin_request *rq, struct lexer *lx)
{
    static const char *const NAMES[] = {"Session", "User",  "Client", "Target",
                                        "Vtgate",  "State", "Open_s", "Locks"};

    if (admin_expect_end(rq, lx))
        admin_gather(rq, NAMES, COUNT(NAMES), add_transactions);
}

static void add_parked(struct admin_table *t, struct worker *w)
{
    const struct session *s;
    int64_t now = clock_us(), place = 0;

    TAILQ_FOREACH(s, &w->parked, parked_link)
    {
        struct admin_values ns = {.n = 0};

        admin_table_row(
            t, (const char *const[]){admin_number(&ns, (int64_t)s->id), s->user, s->peer,
                                     s->database, admin_number(&ns, (int64_t)s->parked_by),
                                     admin_seconds(&ns, (now - s->parked_us) / 1000),
                                     admin_number(&ns, w->index), admin_number(&ns, ++place)});
    }
}

void admin_show_parked(struct admin_request *rq, struct lexer *lx)
{
    static const char *const NAMES[] = {"Session", "User",     "Client", "Target",
                                        "Hold",    "Waited_s", "Worker", "Place"};

    if (admin_expect_end(rq, lx))
        admin_gather(rq, NAMES, COUNT(NAMES), add_parked);
}

void admin_show_workers(struct admin_request *rq, struct lexer *lx)
{
    static const char *const NAMES[] = {"Worker",     "Sessions",           "Parked",
                                        "Accepted",   "Commands",           "Errors",
                                        "Migrations", "Bytes_from_clients", "Bytes_from_vtgate"};

    if (!admin_expect_end(rq, lx))
        return;
    struct admin_table *t = admin_table_create(NAMES, COUNT(NAMES));

    for (unsigned i = 0; i < rq->server->worker_count; i++) {
        const struct metrics *m = &rq->server->workers[i].metrics;
        struct admin_values ns = {.n = 0};

        admin_table_row(t, (const char *const[]){
                               admin_number(&ns, i),
                               admin_number(&ns, (int64_t)metrics_get(&m->sessions)),
                               admin_number(&ns, (int64_t)metrics_get(&m->holds_parked)),
                               admin_number(&ns, (int64_t)metrics_get(&m->connections_accepted)),
                               admin_number(&ns, (int64_t)metrics_get(&m->commands)),
                               admin_number(&ns, (int64_t)metrics_get(&m->errors_relayed)),
                               admin_number(&ns, (int64_t)metrics_get(&m->ddl_started)),
                               admin_number(&ns, (int64_t)metrics_get(&m->bytes_from_clients)),
                               admin_number(&ns, (int64_t)metrics_get(&m->bytes_from_vtgate))});
    }
    admin_reply_table(rq, t);
}

/* --- the process ----------------------------------------------------------------------------- */

static const char *purpose_of(const struct config *c, const char *endpoint)
{
    if (c->admin.text && strcmp(endpoint, c->admin.text) == 0)
        return "admin";
    return c->http.text && strcmp(endpoint, c->http.text) == 0 ? "http" : "listen";
}

void admin_show_listeners(struct admin_request *rq, struct lexer *lx)
{
    static const char *const NAMES[] = {"Setting", "Configured", "Address", "State"};
    static struct listener_socket sockets[LISTENERS_MAX]; /* too large for a stack */

    if (!admin_expect_end(rq, lx))
        return;
    struct admin_table *t = admin_table_create(NAMES, COUNT(NAMES));
    size_t n = listener_sockets(sockets, LISTENERS_MAX);

    for (size_t i = 0; i < n; i++) {
        char address[LISTENER_ADDRESS_MAX];

        listener_format_address(sockets[i].fd, address);
        admin_table_row(t, (const char *const[]){
                               purpose_of(rq->server->config, sockets[i].configured),
                               sockets[i].configured, address,
                               sockets[i].paused ? "paused: accept failed, or limits.memory_bytes"
                                                 : "accepting"});
    }
    admin_reply_table(rq, t);
}

static const char *memory_stage_help(enum memory_stage stage)
{
    switch (stage) {
    case MEMORY_TIGHT:
        return "limits.memory_bytes. Now: tight, new connections get error 1041.";
    case MEMORY_FULL:
        return "limits.memory_bytes. Now: full, no connection is accepted.";
    case MEMORY_OVER:
        return "limits.memory_bytes. Now: over, sessions are being ended.";
    default:
        return "limits.memory_bytes (0: none). Now: fine.";
    }
}

void admin_show_memory(struct admin_request *rq, struct lexer *lx)
{
    static const char *const NAMES[] = {"Name", "Bytes", "Help"};
    struct mallinfo2 heap = mallinfo2();
    const struct config *c = rq->server->config;
    const struct {
        const char *name, *help;
        uint64_t bytes;
    } rows[] = {
        {"resident", "What the process occupies in memory.", memory_resident()},
        {"limit", memory_stage_help(memory_limit_stage(rq->server->memory_limit)),
         (uint64_t)c->limits_memory_bytes},
        {"heap_used", "Allocated by the program, and what its threads keep of freed pieces.",
         heap.uordblks},
        {"heap_free", "Freed by the program, kept by the allocator.", heap.fordblks},
        {"heap_mapped", "Allocated in large pieces, which go back to the system when freed.",
         heap.hblkhd},
        {"scratch", "Buffers of the workers.", (uint64_t)rq->server->worker_count * WORKER_SCRATCH},
        {"sessions", "The sessions themselves, without what waits in their buffers.",
         atomic_load(&rq->server->sessions) * sizeof(struct session)},
    };

    if (!admin_expect_end(rq, lx))
        return;
    struct admin_table *t = admin_table_create(NAMES, COUNT(NAMES));

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct admin_values ns = {.n = 0};

        admin_table_row(t, (const char *const[]){rows[i].name,
                                                 admin_number(&ns, (int64_t)rows[i].bytes),
                                                 rows[i].help});
    }
    admin_reply_table(rq, t);
}

void admin_show_errors(struct admin_request *rq, struct lexer *lx)
{
    static const char *const NAMES[] = {"Name", "Code", "Sqlstate", "Sent", "Text", "Meaning"};

    if (!admin_expect_end(rq, lx))
        return;
    struct admin_table *t = admin_table_create(NAMES, COUNT(NAMES));

    for (enum shim_error e = 0; e < SHIM_ERROR_COUNT; e++) {
        const struct shim_error_row *row = shim_error_row(e);
        struct admin_values ns = {.n = 0};
        uint64_t sent = e == SHIM_ERROR_TOO_MANY_CONNECTIONS ? metrics_get(&rq->server->refused)
                        : e == SHIM_ERROR_OUT_OF_MEMORY
                            ? memory_limit_refused(rq->server->memory_limit)
                            : 0;

        for (unsigned i = 0; i < rq->server->worker_count; i++)
            sent += metrics_get(&rq->server->workers[i].metrics.errors[e]);
        admin_table_row(t, (const char *const[]){row->name, admin_number(&ns, row->code),
                                                 row->state, admin_number(&ns, (int64_t)sent),
                                                 row->text, row->doc});
    }
    admin_reply_table(rq, t);
}

void admin_show_digests(struct admin_request *rq, struct lexer *lx)
{
    static const char *const NAMES[] = {"Statement", "Seen", "Estimated", "First_s", "Last_s"};
    int64_t every = rq->server->config->ddl_watch_columns, now = clock_ms();
    size_t n;

    if (!admin_expect_end(rq, lx))
        return;
    struct admin_table *t = admin_table_create(NAMES, COUNT(NAMES));
    struct digest_row *rows = digests_copy(rq->server->digests, &n);

    for (size_t i = 0; i < n; i++) {
        struct admin_values ns = {.n = 0};
        int64_t seen = (int64_t)rows[i].seen;

        admin_table_row(t, (const char *const[]){rows[i].text, admin_number(&ns, seen),
                                                 admin_number_or_null(&ns, seen * every, every > 0),
                                                 admin_seconds(&ns, now - rows[i].first_ms),
                                                 admin_seconds(&ns, now - rows[i].last_ms)});
    }
    free(rows);
    admin_reply_table(rq, t);
}

/* --- who and what ---------------------------------------------------------------------------- */

static int64_t count_connections(const struct admin *admin, const char *name)
{
    const struct admin_client *c;
    int64_t n = 0;

    TAILQ_FOREACH(c, &admin->clients, link)
    n += (c->state == ADMIN_READY || c->state == ADMIN_BUSY) && strcmp(c->user, name) == 0;
    return n;
}

void admin_show_users(struct admin_request *rq, struct lexer *lx)
{
    static const char *const NAMES[] = {"User", "Role", "Certificate", "Connections"};
    const struct admin *admin = rq->server->admin;

    if (!admin_expect_end(rq, lx))
        return;
    struct admin_table *t = admin_table_create(NAMES, COUNT(NAMES));

    for (size_t i = 0; i < admin->user_count; i++) {
        const struct admin_user *u = &admin->users[i];
        struct admin_values ns = {.n = 0};

        admin_table_row(
            t, (const char *const[]){u->name, config_role_name(u->role), u->certificate,
                                     admin_number(&ns, count_connections(admin, u->name))});
    }
    admin_reply_table(rq, t);
}

static const char *text_of(struct admin_values *ns, const json_t *line, const char *name)
{
    const json_t *value = json_object_get(line, name);

    return json_is_integer(value) ? admin_number(ns, json_integer_value(value))
                                  : json_string_value(value);
}

void admin_show_audit(struct admin_request *rq, struct lexer *lx)
{
    static const char *const NAMES[] = {"Time",     "Event",   "User", "Peer",        "Session",
                                        "Keyspace", "Table",   "Verb", "Verdict",     "Reason",
                                        "Uuid",     "Outcome", "Code", "Duration_ms", "Statement"};
    static const char *const MEMBERS[] = {
        "time",    "event",  "user", "peer",    "session", "keyspace",    "table",    "verb",
        "verdict", "reason", "uuid", "outcome", "code",    "duration_ms", "statement"};
    char *lines[AUDIT_RECENT_MAX];

    if (!admin_expect_end(rq, lx))
        return;
    struct admin_table *t = admin_table_create(NAMES, COUNT(NAMES));
    size_t n = audit_recent(rq->server->audit, lines);

    for (size_t i = 0; i < n; i++) {
        json_t *line = json_loads(lines[i], 0, NULL);
        const char *values[COUNT(NAMES)];
        struct admin_values ns = {.n = 0};

        for (size_t m = 0; m < COUNT(NAMES); m++)
            values[m] = text_of(&ns, line, MEMBERS[m]);
        admin_table_row(t, values);
        json_decref(line);
        free(lines[i]);
    }
    admin_reply_table(rq, t);
}

void admin_show_options(struct admin_request *rq, struct lexer *lx)
{
    static const char *const NAMES[] = {"Name", "Type", "Bounds", "Default", "Changed_by", "Help"};
    size_t n;

    if (!admin_expect_end(rq, lx))
        return;
    const struct option_row *rows = options_table(&n);
    struct admin_table *t = admin_table_create(NAMES, COUNT(NAMES));

    for (size_t i = 0; i < n; i++) {
        const struct option_row *row = &rows[i];
        bool file_only = row->type == OPTION_SECRET || row->type == OPTION_USERS;
        char bounds[256];

        option_format_bounds(row, bounds, sizeof(bounds));
        admin_table_row(t, (const char *const[]){row->key, option_type_name(row),
                                                 admin_words(bounds), row->fallback,
                                                 !row->reloadable ? "restart"
                                                 : file_only      ? "RELOAD"
                                                                  : "SET, RELOAD",
                                                 row->doc});
    }
    admin_reply_table(rq, t);
}
