/*
 * One DDL of a plan: submitted through vtctld with a uuid of ours, which is kept before it is sent,
 * so that after a lost answer or a restart it is looked for and, if nobody has it, submitted again:
 * to Vitess the same uuid is the same migration. One that a session's would be, too, is cut over by
 * the shim (ddl.cutover): the keeper follows it as it does those that lost their session. Done when
 * every shard is complete and every vtgate knows the table as it is then.
 */
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/ddl.h"
#include "proxy/control_query.h"
#include "proxy/deploy_plan_internal.h"
#include "proxy/everywhere.h"
#include "proxy/keeper.h"
#include "proxy/memory.h"
#include "proxy/migration.h"
#include "proxy/migrations.h"
#include "proxy/server.h"
#include "proxy/vtgate_control.h"
#include "proxy/warm.h"
#include "vtctldata.pb-c.h"

#define LOOK_MIN_MS   200
#define LOOK_MAX_MS   5000
#define NOTICE_MS     1500 /* vtgate's schema tracker looks at the tablets' news once a second */
#define SEEN_MS       50   /* from look to look at what the vtgates know */
#define STRATEGY_SIZE 1100
#define COLUMN_SIZE   260 /* 64 characters of four bytes, and some */

static void submit(struct deploy_plan *p);
static void look(struct deploy_plan *p);
static void ask_columns(struct deploy_plan *p);

static bool is_managed(const struct deploy_plan *p)
{
    const struct config *c = p->server->config;
    const char *ddl = p->steps[p->at].ddl;
    struct statement st;

    classify_next(ddl, strlen(ddl), &st);
    return migration_is_managed(c, st.verb == DDL_ALTER, c->ddl_strategy);
}

/* --- every vtgate knows it ------------------------------------------------------------------- */

void plan_ddl_forget(struct deploy_plan *p)
{
    everywhere_drop(p->everywhere);
    p->everywhere = NULL;
}

static void seen(struct deploy_plan *p)
{
    plan_ddl_forget(p);
    warm_soon(p->server);
    plan_step_done(p);
}

/* Nobody can tell: they get the time that they need as a rule. */
static void wait_blindly(struct deploy_plan *p)
{
    plan_wait(p, NOTICE_MS + p->server->config->ddl_settle_ms, seen);
}

static void look_everywhere(struct deploy_plan *p)
{
    switch (everywhere_state(p->everywhere)) {
    case EVERYWHERE_ASKING:
        plan_wait(p, SEEN_MS, look_everywhere);
        break;
    case EVERYWHERE_CANNOT_TELL:
        wait_blindly(p);
        break;
    default:
        seen(p);
    }
}

static void ask_everywhere(struct deploy_plan *p, const struct statement *st,
                           const struct control_result *columns)
{
    char(*names)[COLUMN_SIZE] = memory_zalloc(columns->rows * COLUMN_SIZE);
    char table[COLUMN_SIZE];

    for (size_t i = 0; i < columns->rows; i++) {
        const char *name = control_result_value(columns, i, "Field");

        snprintf(names[i], COLUMN_SIZE, "%s", name ? name : "");
    }
    snprintf(table, sizeof(table), "%.*s", (int)st->name.len, st->name.text);
    p->everywhere = everywhere_ask(p->server, p->steps[p->at].keyspace, table, names, COLUMN_SIZE,
                                   columns->rows, p->server->config->ddl_visible_ms);
    free(names);
    look_everywhere(p);
}

/* A table that was just made may be unknown for a moment. */
static void on_columns(void *context, void *arg)
{
    struct deploy_plan *p = arg;
    struct control_query *q = p->query;
    struct statement st;

    (void)context;
    p->busy = false;
    p->query = NULL;
    if (!p->ended && !plan_is_stopped(p)) {
        const char *ddl = p->steps[p->at].ddl;

        classify_next(ddl, strlen(ddl), &st);
        if (!q->code && q->results[0].rows > 0)
            ask_everywhere(p, &st, &q->results[0]);
        else if (clock_ms() < p->until_ms)
            plan_wait(p, LOOK_MIN_MS, ask_columns);
        else
            wait_blindly(p);
    }
    control_query_destroy(q);
}

static void ask_columns(struct deploy_plan *p)
{
    struct server *server = p->server;
    const struct one_step *step = &p->steps[p->at];
    struct statement st;

    classify_next(step->ddl, strlen(step->ddl), &st);
    p->query = control_query_create();
    control_query_add(p->query, "SHOW COLUMNS FROM `%s`.`%.*s`", step->keyspace, (int)st.name.len,
                      st.name.text);
    p->busy = true;
    vtgate_control_run(server->control, p->query, &server->mailbox, on_columns, server, p);
}

static void complete(struct deploy_plan *p)
{
    const char *ddl = p->steps[p->at].ddl;
    struct statement st;

    classify_next(ddl, strlen(ddl), &st);
    bool table = st.object == DDL_OBJECT_TABLE && (st.verb == DDL_CREATE || st.verb == DDL_ALTER) &&
                 st.name.len > 0 && st.name.len < COLUMN_SIZE;

    p->until_ms = clock_ms() + p->server->config->ddl_visible_ms;
    if (table && p->server->control && *p->server->config->control_user)
        ask_columns(p);
    else
        wait_blindly(p);
}

/* --- following it ---------------------------------------------------------------------------- */

/* The keeper goes on with it, over a session of the shim's own. */
static void keep(struct deploy_plan *p)
{
    const struct config *c = p->server->config;
    const struct one_step *step = &p->steps[p->at];
    struct migration_record r = {.started_ms = clock_ms(),
                                 .managed = true,
                                 .eta_s = -1,
                                 .threshold_s =
                                     ddl_threshold_s(c->ddl_strategy, strlen(c->ddl_strategy)),
                                 .postponed = strstr(c->ddl_strategy, "postpone-completion")};
    struct statement st;

    if (p->kept || !is_managed(p))
        return;
    p->kept = true;
    classify_next(step->ddl, strlen(step->ddl), &st);
    snprintf(r.uuid, sizeof(r.uuid), "%s", step->uuid);
    snprintf(r.context, sizeof(r.context), "%s", step->uuid); /* that of the plan has others, too */
    snprintf(r.keyspace, sizeof(r.keyspace), "%s", step->keyspace);
    snprintf(r.table, sizeof(r.table), "%.*s", (int)st.name.len, st.name.text);
    snprintf(r.verb, sizeof(r.verb), "alter");
    snprintf(r.user, sizeof(r.user), "%s", p->user);
    keeper_take(p->server, &r);
}

/* Whether the keeper still has something to say: it runs again what failed only in passing. */
static bool is_kept(const struct deploy_plan *p)
{
    struct migration_record r;
    struct migration_shard *shards = NULL;
    size_t n;
    bool found =
        p->kept && migrations_find(p->server->migrations, p->steps[p->at].uuid, &r, &shards, &n);

    free(shards);
    return found && !r.ended_ms;
}

static void look_later(struct deploy_plan *p)
{
    p->polled_ms = p->polled_ms ? p->polled_ms * 3 / 2 : LOOK_MIN_MS;
    if (p->polled_ms > LOOK_MAX_MS)
        p->polled_ms = LOOK_MAX_MS;
    plan_wait(p, p->polled_ms, look);
}

static void lost(struct deploy_plan *p, const Vtctldata__SchemaMigration *m)
{
    bool failed = m->status == VTCTLDATA__SCHEMA_MIGRATION__STATUS__FAILED;

    if (is_kept(p))
        look_later(p);
    else
        plan_step_failed(p, "migration %s %s on shard %s: %s", m->uuid,
                         failed ? "failed" : "cancelled", m->shard, m->message);
}

static void on_shards(struct deploy_plan *p, const struct vtctld_answer *answer)
{
    const Vtctldata__FindAllShardsInKeyspaceResponse *r =
        (const Vtctldata__FindAllShardsInKeyspaceResponse *)answer->message;

    p->shards = answer->status == GRPC_OK ? r->n_shards : 0;
    if (p->shards)
        look(p);
    else
        look_later(p);
}

/* A vtctld that ended while it submitted may have reached some of the shards only, and these may be
   through: only rows for all of them say that it is submitted. False: that is seen to first. */
static bool is_submitted(struct deploy_plan *p, size_t rows)
{
    Vtctldata__FindAllShardsInKeyspaceRequest request =
        VTCTLDATA__FIND_ALL_SHARDS_IN_KEYSPACE_REQUEST__INIT;

    if (rows == 0 || (p->unsure && p->shards && rows < p->shards)) {
        submit(p);
        return false;
    }
    if (p->unsure && !p->shards) {
        request.keyspace = (char *)(uintptr_t)p->steps[p->at].keyspace;
        plan_call(p, "FindAllShardsInKeyspace", &request.base, on_shards);
        return false;
    }
    p->unsure = false;
    return true;
}

static void on_migrations(struct deploy_plan *p, const struct vtctld_answer *answer)
{
    const Vtctldata__GetSchemaMigrationsResponse *r =
        (const Vtctldata__GetSchemaMigrationsResponse *)answer->message;
    size_t n_complete = 0;

    if (answer->status != GRPC_OK) {
        look_later(p); /* vtctld is away for a moment: the migration is not */
        return;
    }
    for (size_t i = 0; i < r->n_migrations; i++) {
        const Vtctldata__SchemaMigration *m = r->migrations[i];

        if (m->status == VTCTLDATA__SCHEMA_MIGRATION__STATUS__FAILED ||
            m->status == VTCTLDATA__SCHEMA_MIGRATION__STATUS__CANCELLED) {
            lost(p, m);
            return;
        }
        n_complete += m->status == VTCTLDATA__SCHEMA_MIGRATION__STATUS__COMPLETE;
    }
    if (!is_submitted(p, r->n_migrations))
        return;
    if (n_complete == r->n_migrations) {
        complete(p);
    } else {
        keep(p);
        look_later(p);
    }
}

static void look(struct deploy_plan *p)
{
    Vtctldata__GetSchemaMigrationsRequest request = VTCTLDATA__GET_SCHEMA_MIGRATIONS_REQUEST__INIT;
    struct one_step *step = &p->steps[p->at];

    request.keyspace = (char *)(uintptr_t)step->keyspace;
    request.uuid = step->uuid;
    plan_call(p, "GetSchemaMigrations", &request.base, on_migrations);
}

/* --- submitting it --------------------------------------------------------------------------- */

/* What was submitted before, perhaps, is not given up because vtctld is away for a moment. */
static void on_submitted(struct deploy_plan *p, const struct vtctld_answer *answer)
{
    bool away = p->unsure && answer->status == GRPC_UNAVAILABLE;

    if (answer->status == GRPC_OK || answer->maybe_done || away) {
        p->unsure = answer->status != GRPC_OK;
        look_later(p);
    } else {
        plan_step_failed(p, "vtctld: %s (%s)", answer->text, grpc_status_name(answer->status));
    }
}

static void submit(struct deploy_plan *p)
{
    Vtctldata__ApplySchemaRequest request = VTCTLDATA__APPLY_SCHEMA_REQUEST__INIT;
    struct one_step *step = &p->steps[p->at];
    const char *instance = p->server->instance, *own = p->server->config->ddl_strategy;
    char *sql = (char *)(uintptr_t)step->ddl, *uuid = step->uuid, context[64];
    char strategy[STRATEGY_SIZE];

    if (is_managed(p))
        migration_managed_strategy(strategy, sizeof(strategy), own, instance,
                                   strstr(own, "postpone-completion"));
    else
        snprintf(strategy, sizeof(strategy), "%s", own);
    snprintf(context, sizeof(context), "vtshim-plan:%s:%llu", instance, (unsigned long long)p->id);
    request.keyspace = (char *)(uintptr_t)step->keyspace;
    request.n_sql = 1;
    request.sql = &sql;
    request.ddl_strategy = strategy;
    request.n_uuid_list = 1;
    request.uuid_list = &uuid;
    request.migration_context = context;
    plan_call(p, "ApplySchema", &request.base, on_submitted);
}

void plan_run_ddl(struct deploy_plan *p)
{
    struct one_step *step = &p->steps[p->at];
    unsigned char random[16];

    p->polled_ms = 0;
    p->kept = false;
    p->shards = 0;
    p->unsure = *step->uuid != '\0';
    if (*step->uuid) {
        look(p); /* it was under way when the shim ended */
        return;
    }
    if (RAND_bytes(random, sizeof(random)) != 1)
        memory_exhausted(); /* the generator fails for nothing else once seeded by the kernel */
    ddl_uuid_format(step->uuid, random);
    plan_save(p);
    submit(p);
}
