/*
 * One DDL of a plan: submitted through vtctld with a uuid of ours, which is kept before it is sent,
 * so that after a lost answer or a restart it is looked for and, if nobody has it, submitted again:
 * to Vitess the same uuid is the same migration. Done when every shard is complete and the vtgates
 * have had time to notice.
 */
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/ddl.h"
#include "proxy/deploy_plan_internal.h"
#include "proxy/server.h"
#include "vtctldata.pb-c.h"

#define LOOK_MIN_MS 200
#define LOOK_MAX_MS 5000
#define NOTICE_MS   1500 /* vtgate's schema tracker looks at the tablets' news once a second */

static void submit(struct deploy_plan *p);
static void look(struct deploy_plan *p);

static void look_later(struct deploy_plan *p)
{
    p->polled_ms = p->polled_ms ? p->polled_ms * 3 / 2 : LOOK_MIN_MS;
    if (p->polled_ms > LOOK_MAX_MS)
        p->polled_ms = LOOK_MAX_MS;
    plan_wait(p, p->polled_ms, look);
}

static void on_migrations(struct deploy_plan *p, const struct vtctld_answer *answer)
{
    const Vtctldata__GetSchemaMigrationsResponse *r =
        (const Vtctldata__GetSchemaMigrationsResponse *)answer->message;
    size_t complete = 0;

    if (answer->status != GRPC_OK) {
        look_later(p); /* vtctld is away for a moment: the migration is not */
        return;
    }
    for (size_t i = 0; i < r->n_migrations; i++) {
        const Vtctldata__SchemaMigration *m = r->migrations[i];

        if (m->status == VTCTLDATA__SCHEMA_MIGRATION__STATUS__FAILED ||
            m->status == VTCTLDATA__SCHEMA_MIGRATION__STATUS__CANCELLED) {
            plan_step_failed(p, "migration %s %s on shard %s: %s", m->uuid,
                             m->status == VTCTLDATA__SCHEMA_MIGRATION__STATUS__FAILED ? "failed"
                                                                                      : "cancelled",
                             m->shard, m->message);
            return;
        }
        complete += m->status == VTCTLDATA__SCHEMA_MIGRATION__STATUS__COMPLETE;
    }
    if (r->n_migrations == 0)
        submit(p);
    else if (complete == r->n_migrations)
        plan_wait(p, NOTICE_MS + p->server->config->ddl_settle_ms, plan_step_done);
    else
        look_later(p);
}

static void look(struct deploy_plan *p)
{
    Vtctldata__GetSchemaMigrationsRequest request = VTCTLDATA__GET_SCHEMA_MIGRATIONS_REQUEST__INIT;
    struct one_step *step = &p->steps[p->at];

    request.keyspace = (char *)(uintptr_t)step->keyspace;
    request.uuid = step->uuid;
    plan_call(p, "GetSchemaMigrations", &request.base, on_migrations);
}

static void on_submitted(struct deploy_plan *p, const struct vtctld_answer *answer)
{
    if (answer->status == GRPC_OK || answer->maybe_done)
        look_later(p);
    else
        plan_step_failed(p, "vtctld: %s (%s)", answer->text, grpc_status_name(answer->status));
}

static void submit(struct deploy_plan *p)
{
    Vtctldata__ApplySchemaRequest request = VTCTLDATA__APPLY_SCHEMA_REQUEST__INIT;
    struct one_step *step = &p->steps[p->at];
    char *sql = (char *)(uintptr_t)step->ddl, *uuid = step->uuid, context[64];

    snprintf(context, sizeof(context), "vtshim-plan:%s:%llu", p->server->instance,
             (unsigned long long)p->id);
    request.keyspace = (char *)(uintptr_t)step->keyspace;
    request.n_sql = 1;
    request.sql = &sql;
    request.ddl_strategy = (char *)(uintptr_t)p->server->config->ddl_strategy;
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
    if (*step->uuid) {
        look(p); /* it was under way when the shim ended */
        return;
    }
    if (RAND_bytes(random, sizeof(random)) != 1)
        abort(); /* OpenSSL's generator cannot fail once seeded by the kernel */
    ddl_uuid_format(step->uuid, random);
    plan_save(p);
    submit(p);
}
