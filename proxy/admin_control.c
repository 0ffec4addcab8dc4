/*
 * CANCEL, RETRY, COMPLETE, POSTPONE, THROTTLE, UNTHROTTLE and REVERT MIGRATION, said to vtgate with
 * control.user's login. Vitess accepts such a statement for any uuid and answers with the number of
 * shards where it changed something: so the migration is looked up in the same breath, to tell an
 * unknown one from one that is past the change.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/admin_commands.h"
#include "proxy/control_query.h"
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
    if (q->code && q->done != q->n - 1) {
        admin_reply_error(p->rq, q->code, q->state, "%s", q->error);
    } else if (look->rows == 0) {
        admin_reply_error(p->rq, 1105, "HY000", "Unknown migration '%s' in keyspace '%s'", p->uuid,
                          p->keyspace);
    } else if (q->code) {
        admin_reply_error(p->rq, q->code, q->state, "%s", q->error);
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

static void on_done(void *context, void *arg)
{
    struct pending_control *p = arg;
    const struct control_query *q = p->query;

    (void)context;
    log_info("migration_control", "verb:s uuid:s keyspace:s user:s peer:s code:u affected:u",
             p->verb->name, p->uuid, p->keyspace, p->rq->user, p->rq->peer, (uint64_t)q->code,
             q->results[q->n - 1].affected);
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

static void ask(struct pending_control *p, const char *options)
{
    struct server *server = p->rq->server;
    struct control_query *q = p->query = control_query_create();

    control_query_add(q, "USE `%s`", p->keyspace);
    p->look = q->n;
    control_query_add(q, "SHOW VITESS_MIGRATIONS FROM `%s` LIKE '%s'", p->keyspace, p->uuid);
    if (p->verb == &REVERT) {
        control_query_add(q, "SET @@ddl_strategy = 'vitess'");
        control_query_add(q, "REVERT VITESS_MIGRATION '%s'", p->uuid);
    } else {
        control_query_add(q, "ALTER VITESS_MIGRATION '%s' %s%s", p->uuid, p->verb->name, options);
    }
    snprintf(p->rq->uuid, sizeof(p->rq->uuid), "%s", p->uuid);
    snprintf(p->rq->keyspace, sizeof(p->rq->keyspace), "%s", p->keyspace);
    vtgate_control_run(server->control, q, &server->mailbox, on_done, server, p);
}

static void control(struct admin_request *rq, struct lexer *lx, const struct verb *verb)
{
    struct pending_control *p = memory_zalloc(sizeof(*p));
    char options[ADMIN_THROTTLE_MAX] = "";
    struct admin_error error;

    p->rq = rq;
    p->verb = verb;
    if (!admin_parse_migration(lx, p->uuid, p->keyspace, &error) ||
        !(verb == &THROTTLE ? admin_parse_throttle(lx, options, &error)
                            : admin_parse_end(lx, &error))) {
        admin_refuse(rq, &error);
    } else if (!find_keyspace(p)) {
        admin_reply_error(rq, 1105, "HY000",
                          "Migration '%s' is none of this shim's: say where it is, as in MIGRATION "
                          "'%s' IN keyspace",
                          p->uuid, p->uuid);
    } else {
        ask(p, options);
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
        admin_reply_error(rq, 1094, "HY000", "Unknown thread id: %" PRIu32, id);
    else
        admin_reply_ok(rq, 0, NULL);
}
