/*
 * Submitting a DDL to vtctld:
 *
 *   COMMIT on the session -> may this user? -> the keyspace's shards -> no routing rule leads
 *   elsewhere -> ApplySchema with a uuid of ours
 *
 * The uuid makes it safe to submit again when an answer is lost. A DROP of several tables cannot
 * have one: Vitess then makes them, and the context finds them.
 *
 * The texts of vtctld may hold SQL: they go to the client, never to the log.
 */
#include <openssl/rand.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/ddl_tables.h"
#include "planner/target.h"
#include "proxy/executor_vtctld.h"
#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/server.h"
#include "proxy/vtctld_error.h"
#include "proxy/vtctld_routes.h"
#include "proxy/worker.h"

#define TABLES_MAX    64   /* of one DROP whose routing is checked; more are refused */
#define LOOK_AFTER_MS 1000 /* until a submission without an answer is looked for */

static void refuse(struct session *s, enum shim_error error, ...)
{
    char text[1024];
    va_list args;

    va_start(args, error);
    const struct shim_error_row *row = session_make_error(s, text, sizeof(text), error, args);

    va_end(args);
    migration_keep_error(s->migration, row->code, row->state, text_bytes(text));
    migration_submitted(s);
}

/* vtctld's refusal, as the client gets it. */
static void keep_refusal(struct session *s, const struct vtctld_answer *answer)
{
    struct vtctld_error error;

    vtctld_error_read(&error, answer->status, answer->text);
    migration_keep_error(s->migration, error.code, error.state, text_bytes(error.text));
    log_warn("ddl_vtctld_refused", "session:u status:s code:u", s->id,
             grpc_status_name(answer->status), (uint64_t)error.code);
}

/* --- submitting ------------------------------------------------------------------------------ */

static void apply(struct session *s);

/* All shards have it, although nobody said so; or it is submitted again; or cancelled where it is.
 */
static void on_looked_after(struct session *s, const struct executor_row *rows, size_t n)
{
    struct vtctld_own *own = vtctld_own(s);
    struct migration *m = s->migration;
    bool everywhere = rows && n > 0 && n % m->shards == 0;

    if (!everywhere && own->again && clock_ms() < own->until_ms) {
        apply(s);
        return;
    }
    if (everywhere) {
        m->code = 0;
        for (size_t i = 0; i < n; i++)
            migration_add_uuid(m, rows[i].uuid);
        migration_queued(s);
    }
    m->submitting = false;
    migration_submitted(s);
}

static void on_look_after(void *arg)
{
    struct session *s = arg;

    s->migration->executor->look(s, on_looked_after);
}

/* It is not known whether vtctld has done it. */
static void submission_lost(struct session *s, const struct vtctld_answer *answer)
{
    struct vtctld_own *own = vtctld_own(s);

    own->lost = true;
    own->again = *own->uuid && answer->status == GRPC_UNAVAILABLE;
    keep_refusal(s, answer);
    loop_timer_set(&own->timer, LOOK_AFTER_MS);
}

static void on_applied(struct session *s, const struct vtctld_answer *answer)
{
    const Vtctldata__ApplySchemaResponse *r =
        (const Vtctldata__ApplySchemaResponse *)answer->message;
    struct migration *m = s->migration;

    if (answer->status != GRPC_OK && (answer->maybe_done || vtctld_own(s)->lost)) {
        submission_lost(s, answer);
        return;
    }
    m->submitting = false;
    if (answer->status != GRPC_OK) {
        keep_refusal(s, answer);
    } else {
        m->code = 0;
        for (size_t i = 0; i < r->n_uuid_list; i++)
            migration_add_uuid(m, text_bytes(r->uuid_list[i]));
        if (m->uuid_count)
            migration_queued(s);
    }
    migration_submitted(s);
}

static void apply(struct session *s)
{
    Vtctldata__ApplySchemaRequest request = VTCTLDATA__APPLY_SCHEMA_REQUEST__INIT;
    struct vtctld_own *own = vtctld_own(s);
    struct migration *m = s->migration;
    char *uuid = own->uuid;

    request.keyspace = m->record.keyspace;
    request.n_sql = 1;
    request.sql = &own->sql;
    request.ddl_strategy = m->strategy;
    request.n_uuid_list = *uuid ? 1 : 0;
    request.uuid_list = &uuid;
    request.migration_context = m->context;
    request.caller_id = &own->caller;
    m->submitted = m->submitting = true;
    vtctld_ask(s, "ApplySchema", &request.base, on_applied);
}

/* --- what comes before ----------------------------------------------------------------------- */

/* The tables that the statement is about; more than `max` count as none that can be checked. */
static size_t tables_of(const struct migration *m, struct ddl_table *tables, size_t max)
{
    struct statement st;

    classify_next(m->ddl, m->len, &st);
    return ddl_tables(&st, tables, max);
}

static void on_keyspace_rules(struct session *s, const struct vtctld_answer *answer)
{
    const Vtctldata__GetKeyspaceRoutingRulesResponse *r =
        (const Vtctldata__GetKeyspaceRoutingRulesResponse *)answer->message;
    const char *keyspace = s->migration->record.keyspace;

    /* A Vitess that does not know the call has no such rules. */
    if (answer->status != GRPC_OK && answer->status != GRPC_UNIMPLEMENTED) {
        keep_refusal(s, answer);
        migration_submitted(s);
        return;
    }
    const char *to = routes_keyspace(r ? r->keyspace_routing_rules : NULL, keyspace);

    if (to) {
        refuse(s, SHIM_ERROR_VTCTLD_ROUTED, keyspace, to);
        return;
    }
    vtctld_own(s)->until_ms = clock_ms() + s->worker->server->config->vtctld_timeout_ms;
    apply(s);
}

static void on_rules(struct session *s, const struct vtctld_answer *answer)
{
    Vtctldata__GetKeyspaceRoutingRulesRequest request =
        VTCTLDATA__GET_KEYSPACE_ROUTING_RULES_REQUEST__INIT;
    const Vtctldata__GetRoutingRulesResponse *r =
        (const Vtctldata__GetRoutingRulesResponse *)answer->message;
    const char *keyspace = s->migration->record.keyspace;
    struct ddl_table tables[TABLES_MAX];

    if (answer->status != GRPC_OK) {
        keep_refusal(s, answer);
        migration_submitted(s);
        return;
    }
    size_t n = tables_of(s->migration, tables, TABLES_MAX);

    for (size_t i = 0; i < n && i < TABLES_MAX; i++) {
        const char *to = routes_table(r->routing_rules, keyspace, &tables[i].name);
        char name[160];

        if (!to)
            continue;
        snprintf(name, sizeof(name), "%s.%.*s", keyspace, (int)tables[i].name.len,
                 tables[i].name.text);
        refuse(s, SHIM_ERROR_VTCTLD_ROUTED, name, to);
        return;
    }
    vtctld_ask(s, "GetKeyspaceRoutingRules", &request.base, on_keyspace_rules);
}

/* Vitess 24 has no status of its own for it: the topology server's words come through. */
static bool is_unknown_keyspace(const struct vtctld_answer *answer)
{
    return answer->status == GRPC_NOT_FOUND ||
           (answer->status == GRPC_UNKNOWN && strstr(answer->text, "node doesn't exist"));
}

static void on_shards(struct session *s, const struct vtctld_answer *answer)
{
    Vtctldata__GetRoutingRulesRequest request = VTCTLDATA__GET_ROUTING_RULES_REQUEST__INIT;
    const Vtctldata__FindAllShardsInKeyspaceResponse *r =
        (const Vtctldata__FindAllShardsInKeyspaceResponse *)answer->message;
    struct migration *m = s->migration;

    if (answer->status != GRPC_OK && !is_unknown_keyspace(answer)) {
        keep_refusal(s, answer);
        migration_submitted(s);
        return;
    }
    m->shards = r ? r->n_shards : 0;
    if (m->shards == 0)
        refuse(s, SHIM_ERROR_VTCTLD_NO_SHARDS, m->record.keyspace);
    else
        vtctld_ask(s, "GetRoutingRules", &request.base, on_rules);
}

static bool is_listed(const struct string_list *users, const char *user)
{
    for (size_t i = 0; i < users->n; i++) {
        if (strcmp(users->items[i], user) == 0)
            return true;
    }
    return false;
}

/* Another keyspace than the statement's own that it is about, also by names without one; false:
   there is none. */
static bool other_keyspace(const struct session *s, const struct ddl_table *tables, size_t n,
                           char name[65])
{
    const struct migration *m = s->migration;
    const char *own = m->record.keyspace;
    bool same = target_is_of(s->database, own);
    struct statement st;

    classify_next(m->ddl, m->len, &st);
    bool elsewhere = !same && ddl_names_more(&st);

    for (size_t i = 0; i < n; i++) {
        const struct sql_name *q = &tables[i].qualifier;

        if (q->len > 0 && (q->len != strlen(own) || memcmp(q->text, own, q->len) != 0)) {
            snprintf(name, 65, "%.*s", (int)(q->len < 64 ? q->len : 64), q->text);
            return true;
        }
        elsewhere = elsewhere || (q->len == 0 && !same);
    }
    snprintf(name, 65, "%s", s->database && *s->database ? s->database : "the session's");
    return elsewhere;
}

/* False: it was refused. n may be more than TABLES_MAX, of which that many are there. */
static bool may_run(struct session *s, const struct ddl_table *tables, size_t n)
{
    struct migration *m = s->migration;
    const char *type = s->database ? strchr(s->database, '@') : NULL;

    if (!is_listed(&s->worker->server->config->ddl_vtctld_users, s->user)) {
        refuse(s, SHIM_ERROR_VTCTLD_DENIED, s->user, m->record.keyspace);
        return false;
    }
    if (!*m->record.keyspace) {
        refuse(s, SHIM_ERROR_VTCTLD_NO_KEYSPACE);
        return false;
    }
    if (type && strcmp(type, "@primary") != 0) {
        refuse(s, SHIM_ERROR_VTCTLD_TARGET, s->database);
        return false;
    }
    if (memchr(m->ddl, '\0', m->len) || n > TABLES_MAX) { /* a C string; a check for each */
        refuse(s, SHIM_ERROR_VTCTLD_STATEMENT);
        return false;
    }
    char other[65];

    if (other_keyspace(s, tables, n, other)) {
        refuse(s, SHIM_ERROR_VTCTLD_KEYSPACES, m->record.keyspace, other);
        return false;
    }
    return true;
}

/* The open transaction, if any, is committed: as MySQL and vtgate do before a DDL. */
static void on_committed(struct session *s, const struct answer *a)
{
    Vtctldata__FindAllShardsInKeyspaceRequest request =
        VTCTLDATA__FIND_ALL_SHARDS_IN_KEYSPACE_REQUEST__INIT;
    struct migration *m = s->migration;
    struct vtctld_own *own = vtctld_own(s);
    struct ddl_table tables[TABLES_MAX];
    unsigned char random[16];

    if (!a || a->failed) {
        if (a)
            migration_keep_error(m, a->code, a->state, a->message);
        else
            migration_keep_malformed(m);
        migration_submitted(s);
        return;
    }
    size_t n = tables_of(m, tables, TABLES_MAX);

    if (!may_run(s, tables, n))
        return;
    own->sql = memory_zalloc(m->len + 1);
    ddl_unqualify(own->sql, m->ddl, m->len, m->record.keyspace);
    if (n < 2) {
        if (RAND_bytes(random, sizeof(random)) != 1)
            memory_exhausted(); /* the generator fails for nothing else once seeded by the kernel */
        ddl_uuid_format(own->uuid, random);
    }
    request.keyspace = m->record.keyspace;
    vtctld_ask(s, "FindAllShardsInKeyspace", &request.base, on_shards);
}

void vtctld_submit(struct session *s)
{
    static char component[] = "vtshim";
    struct vtctld_own *own = s->migration->own = memory_zalloc(sizeof(*own));

    loop_timer_init(&own->timer, &s->worker->loop, on_look_after, s);
    snprintf(own->principal, sizeof(own->principal), "%s", s->user);
    vtrpc__caller_id__init(&own->caller);
    own->caller.principal = own->principal;
    own->caller.component = component;
    ask_format(s, on_committed, "COMMIT");
}
