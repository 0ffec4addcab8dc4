/*
 * CANCEL, RETRY, COMPLETE, POSTPONE, THROTTLE, UNTHROTTLE and REVERT MIGRATION, said to vtgate with
 * control.user's login. Vitess accepts such a statement for any uuid and answers with the number of
 * shards where it changed something: so the migration is looked up in the same breath, to tell an
 * unknown one from one that is past the change.
 *
 * A cut-over that a shim manages is another matter: COMPLETE and POSTPONE are told to the session
 * that follows it (control_managed.h), or left for the shim that does (control_elsewhere.h), unless
 * it is to be by FORCE.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/ddl.h"
#include "proxy/admin_commands.h"
#include "proxy/control_elsewhere.h"
#include "proxy/control_query.h"
#include "proxy/keeper.h"
#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/migrations.h"
#include "proxy/server.h"
#include "proxy/vtgate_control.h"

struct verb {
    const char *name; /* in SQL and for people */
    bool counts;      /* vtgate tells on how many shards it did something */
};

static const struct verb CANCEL = {"CANCEL", true};
static const struct verb RETRY = {"RETRY", true};
static const struct verb COMPLETE = {"COMPLETE", true};
static const struct verb POSTPONE = {"POSTPONE COMPLETE", true};
static const struct verb THROTTLE = {"THROTTLE", false};
static const struct verb UNTHROTTLE = {"UNTHROTTLE", false};
static const struct verb REVERT = {"REVERT", false};

/* A command on its way through the control thread. */
struct pending_control {
    struct admin_request *rq;
    const struct verb *verb;
    char uuid[ADMIN_UUID_MAX], keyspace[HOLD_NAME_MAX];
    char options[ADMIN_THROTTLE_MAX]; /* of THROTTLE */
    bool checking;                    /* COMPLETE, POSTPONE, REVERT: first it is only looked at */
    bool elsewhere;                   /* COMPLETE, POSTPONE: that manager is told */
    struct manager manager;
    bool managed; /* REVERT: the shim decides when what it starts cuts over */
    struct control_query *query;
    size_t look; /* the index of the look-up in it; the last statement is the command */
};

/* --- the answer ------------------------------------------------------------------------------ */

/* "complete on -80, running on 80-" */
static void format_states(const struct control_result *r, char *dst, size_t size)
{
    size_t n = 0;

    *dst = '\0';
    for (size_t i = 0; i < r->rows && n < size; i++) {
        const char *status = control_result_value(r, i, "migration_status");
        const char *shard = control_result_value(r, i, "shard");
        int len = snprintf(dst + n, size - n, "%s%s on %s", i ? ", " : "", status ? status : "?",
                           shard ? shard : "?");

        n += len > 0 ? (size_t)len : 0;
    }
}

static void reply_reverted(struct pending_control *p)
{
    static const char *const NAMES[] = {"Uuid"};
    const struct control_result *r = &p->query->results[p->query->n - 1];
    struct admin_table *t = admin_table_create(NAMES, 1);

    for (size_t i = 0; i < r->rows; i++)
        admin_table_row(t, (const char *const[]){control_result_value(r, i, "uuid")});
    admin_reply_table(p->rq, t);
}

static void reply(struct pending_control *p)
{
    const struct control_query *q = p->query;
    const struct control_result *look = &q->results[p->look], *last = &q->results[q->n - 1];
    char states[300], info[400];

    format_states(look, states, sizeof(states));
    if (q->code && (p->checking || q->done != q->n - 1)) {
        admin_reply_error(p->rq, q->code, q->state, "%s", q->error);
    } else if (look->rows == 0) {
        admin_reply_error(p->rq, 1105, "HY000", "Unknown migration '%s' in keyspace '%s'", p->uuid,
                          p->keyspace);
    } else if (q->code) {
        admin_reply_error(p->rq, q->code, q->state, "%s", q->error);
    } else if (p->elsewhere) {
        manager_format(&p->manager, p->rq->server, p->verb == &COMPLETE, info, sizeof(info));
        admin_reply_ok(p->rq, last->affected, info);
    } else if (p->verb->counts && last->affected == 0) {
        admin_reply_error(p->rq, 1105, "HY000", "%s changed nothing: migration '%s' is %s",
                          p->verb->name, p->uuid, states);
    } else if (p->verb == &REVERT) {
        reply_reverted(p);
    } else {
        snprintf(info, sizeof(info), "%s: migration '%s' was %s", p->verb->name, p->uuid, states);
        admin_reply_ok(p->rq, last->affected, info);
    }
}

/* Whether a shim waits to cut it over that is not this one, or is no more. */
static bool find_manager(const struct control_result *look, struct manager *m)
{
    for (size_t i = 0; i < look->rows; i++) {
        if (manager_read(m, control_result_value(look, i, "migration_uuid"),
                         control_result_value(look, i, "migration_context"),
                         control_result_value(look, i, "options"),
                         control_result_value(look, i, "migration_status"),
                         control_result_value(look, i, "postpone_completion")))
            return true;
    }
    return false;
}

static void ask(struct pending_control *p);

/* Only what is copied is cut over: an ALTER of a table. */
static bool is_copied(const struct control_result *look)
{
    const char *action = control_result_value(look, 0, "ddl_action");
    const char *view = control_result_value(look, 0, "is_view");

    return action && strcmp(action, "alter") == 0 && !(view && strcmp(view, "1") == 0);
}

/* COMPLETE, POSTPONE, REVERT: it is known now what it is about. True: it is asked. */
static bool check(struct pending_control *p)
{
    const struct control_query *q = p->query;

    if (!p->checking || q->code || q->results[p->look].rows == 0)
        return false;
    if (!p->rq->server->control) { /* the answer is delivered behind the end of that thread */
        control_query_fail(p->query, "vtshim: the shim is ending");
        return false;
    }
    p->checking = false;
    if (p->verb == &REVERT)
        p->managed = is_copied(&q->results[p->look]) &&
                     p->rq->server->config->ddl_cutover != CONFIG_CUTOVER_VITESS;
    else
        p->elsewhere = find_manager(&q->results[p->look], &p->manager);
    control_query_destroy(p->query);
    ask(p);
    return true;
}

static void on_done(void *context, void *arg)
{
    struct pending_control *p = arg;

    (void)context;
    if (check(p))
        return;
    const struct control_query *q = p->query;

    log_info("migration_control", "verb:s uuid:s keyspace:s user:s peer:s code:u affected:u",
             p->verb->name, p->uuid, p->keyspace, p->rq->user, p->rq->peer, (uint64_t)q->code,
             q->results[q->n - 1].affected);
    if ((p->managed || p->elsewhere) && !q->code)
        keeper_look_soon(p->rq->server);
    reply(p);
    control_query_destroy(p->query);
    free(p);
}

/* --- the question ---------------------------------------------------------------------------- */

/* IN said it, or the migration is one of this shim's. */
static bool find_keyspace(struct pending_control *p)
{
    struct migration_record record;
    struct migration_shard *shards;
    size_t n;

    if (*p->keyspace)
        return true;
    if (!migrations_find(p->rq->server->migrations, p->uuid, &record, &shards, &n))
        return false;
    free(shards);
    snprintf(p->keyspace, sizeof(p->keyspace), "%s", record.keyspace);
    return *p->keyspace;
}

static void ask(struct pending_control *p)
{
    struct server *server = p->rq->server;
    struct control_query *q = p->query = control_query_create();

    control_query_add(q, "USE `%s`", p->keyspace);
    p->look = q->n;
    control_query_add(q, "SHOW VITESS_MIGRATIONS FROM `%s` LIKE '%s'", p->keyspace, p->uuid);
    if (p->checking) {
        /* nothing is said yet */
    } else if (p->verb == &REVERT) {
        char mark[40];

        ddl_mark_format(mark, server->instance, false);
        if (p->managed)
            control_query_add(q, "SET @@ddl_strategy = 'vitess --postpone-completion %s'", mark);
        else
            control_query_add(q, "SET @@ddl_strategy = 'vitess'");
        control_query_add(q, "REVERT VITESS_MIGRATION '%s'", p->uuid);
    } else if (p->elsewhere) {
        control_query_add(q, "ALTER VITESS_MIGRATION '%s' CUTOVER_THRESHOLD '%us'", p->uuid,
                          manager_threshold_s(&p->manager, p->verb == &COMPLETE));
    } else {
        control_query_add(q, "ALTER VITESS_MIGRATION '%s' %s%s", p->uuid, p->verb->name,
                          p->options);
    }
    snprintf(p->rq->uuid, sizeof(p->rq->uuid), "%s", p->uuid);
    snprintf(p->rq->keyspace, sizeof(p->rq->keyspace), "%s", p->keyspace);
    vtgate_control_run(server->control, q, &server->mailbox, on_done, server, p);
}

static bool parse_options(struct pending_control *p, struct lexer *lx, bool *force,
                          struct admin_error *error)
{
    if (p->verb == &THROTTLE)
        return admin_parse_throttle(lx, p->options, error);
    return p->verb == &COMPLETE ? admin_parse_force(lx, force, error) : admin_parse_end(lx, error);
}

/* This shim manages its cut-over: true, and answered. */
static bool wish(struct pending_control *p)
{
    struct admin_request *rq = p->rq;
    struct migration_record r;
    char info[240];

    if (!(p->verb == &COMPLETE || p->verb == &POSTPONE) ||
        !migrations_set_wish(rq->server->migrations, p->uuid,
                             p->verb == &COMPLETE ? WISH_NOW : WISH_LATER, &r))
        return false;
    snprintf(rq->uuid, sizeof(rq->uuid), "%s", r.uuid);
    snprintf(rq->keyspace, sizeof(rq->keyspace), "%s", r.keyspace);
    log_info("migration_control", "verb:s uuid:s keyspace:s user:s peer:s managed:s", p->verb->name,
             r.uuid, r.keyspace, rq->user, rq->peer, "yes");
    migration_wish_format(&r, info, sizeof(info));
    admin_reply_ok(rq, r.shards, info);
    return true;
}

static void control(struct admin_request *rq, struct lexer *lx, const struct verb *verb)
{
    struct pending_control *p = memory_zalloc(sizeof(*p));
    struct admin_error error;
    bool force = false;

    p->rq = rq;
    p->verb = verb;
    if (!admin_parse_migration(lx, p->uuid, p->keyspace, &error) ||
        !parse_options(p, lx, &force, &error)) {
        admin_refuse(rq, &error);
    } else if (!force && wish(p)) {
        /* answered */
    } else if (!find_keyspace(p)) {
        admin_reply_error(rq, 1105, "HY000",
                          "Migration '%s' is none of this shim's: say where it is, as in MIGRATION "
                          "'%s' IN keyspace",
                          p->uuid, p->uuid);
    } else {
        p->checking = verb == &REVERT || verb == &POSTPONE || (verb == &COMPLETE && !force);
        ask(p);
        return;
    }
    free(p);
}

void admin_cancel_migration(struct admin_request *rq, struct lexer *lx)
{
    control(rq, lx, &CANCEL);
}

void admin_retry_migration(struct admin_request *rq, struct lexer *lx)
{
    control(rq, lx, &RETRY);
}

void admin_complete_migration(struct admin_request *rq, struct lexer *lx)
{
    control(rq, lx, &COMPLETE);
}

void admin_postpone_migration(struct admin_request *rq, struct lexer *lx)
{
    control(rq, lx, &POSTPONE);
}

void admin_throttle_migration(struct admin_request *rq, struct lexer *lx)
{
    control(rq, lx, &THROTTLE);
}

void admin_unthrottle_migration(struct admin_request *rq, struct lexer *lx)
{
    control(rq, lx, &UNTHROTTLE);
}

void admin_revert_migration(struct admin_request *rq, struct lexer *lx)
{
    control(rq, lx, &REVERT);
}

/* --- KILL ------------------------------------------------------------------------------------ */

void admin_kill_query(struct admin_request *rq, struct lexer *lx)
{
    struct admin_error error;
    bool query_only;
    uint32_t id;

    if (!admin_parse_kill(lx, &id, &query_only, &error))
        admin_refuse(rq, &error);
    else if (!admin_kill(rq->server->admin, id, query_only,
                         rq->role >= CONFIG_ROLE_OPERATOR ? NULL : rq->user))
        admin_reply_error(
            rq, 1094, "HY000",
            "Unknown thread id: %" PRIu32
            " (of a connection to this port; KILL SESSION id ends a client's session)",
            id);
    else
        admin_reply_ok(rq, 0, NULL);
}
