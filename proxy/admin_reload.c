/*
 * RELOAD SCHEMA: vtctld's ReloadSchemaKeyspace and ReloadSchemaShard. Both succeed whatever becomes
 * of single tablets, so that the answer here comes from the events that they report.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/admin_commands.h"
#include "proxy/server.h"
#include "proxy/vtctld.h"
#include "vtctldata.pb-c.h"

#define CONCURRENCY 10 /* tablets at a time; vtctldclient's own default */

/* The first event that tells of a failure; *failures becomes their number. */
static const char *first_failure(Logutil__Event *const *events, size_t n, size_t *failures)
{
    const char *first = NULL;

    *failures = 0;
    for (size_t i = 0; i < n; i++) {
        if (events[i]->level != LOGUTIL__LEVEL__WARNING &&
            events[i]->level != LOGUTIL__LEVEL__ERROR)
            continue;
        if (++*failures == 1)
            first = events[i]->value;
    }
    return first;
}

static void answer_events(struct admin_request *rq, Logutil__Event *const *events, size_t n)
{
    size_t failures;
    const char *first = first_failure(events, n, &failures);

    if (first)
        admin_reply_error(rq, 1105, "HY000", "%zu failed; %s", failures, first);
    else
        admin_reply_ok(rq, 0, NULL);
}

static void on_reloaded(void *context, void *arg)
{
    struct vtctld_answer *answer = arg;
    struct admin_request *rq = answer->arg;

    (void)context;
    if (answer->status != GRPC_OK) {
        admin_reply_error(rq, 1105, "HY000", "vtctld: %s (%s)", answer->text,
                          grpc_status_name(answer->status));
    } else if (answer->message->descriptor ==
               &vtctldata__reload_schema_shard_response__descriptor) {
        const Vtctldata__ReloadSchemaShardResponse *r =
            (const Vtctldata__ReloadSchemaShardResponse *)answer->message;

        answer_events(rq, r->events, r->n_events);
    } else {
        const Vtctldata__ReloadSchemaKeyspaceResponse *r =
            (const Vtctldata__ReloadSchemaKeyspaceResponse *)answer->message;

        answer_events(rq, r->events, r->n_events);
    }
    vtctld_answer_free(answer);
}

void admin_reload_schema(struct admin_request *rq, struct lexer *lx)
{
    Vtctldata__ReloadSchemaKeyspaceRequest all = VTCTLDATA__RELOAD_SCHEMA_KEYSPACE_REQUEST__INIT;
    Vtctldata__ReloadSchemaShardRequest one = VTCTLDATA__RELOAD_SCHEMA_SHARD_REQUEST__INIT;
    struct server *server = rq->server;
    int64_t timeout = server->config->vtctld_timeout_ms;
    char target[ADMIN_TARGET_MAX];
    struct admin_error error;

    if (!admin_parse_target(lx, target, &error)) {
        admin_refuse(rq, &error);
        return;
    }
    if (!server->vtctld) {
        admin_reply_error(rq, 1105, "HY000", "RELOAD SCHEMA needs vtctld.addresses");
        return;
    }
    char *slash = strchr(target, '/');

    if (slash) {
        *slash = '\0';
        one.keyspace = target;
        one.shard = slash + 1;
        one.include_primary = true;
        one.concurrency = CONCURRENCY;
        vtctld_call(server->vtctld, "ReloadSchemaShard", &one.base, timeout, &server->mailbox,
                    on_reloaded, server, rq);
    } else {
        all.keyspace = target;
        all.include_primary = true;
        all.concurrency = CONCURRENCY;
        vtctld_call(server->vtctld, "ReloadSchemaKeyspace", &all.base, timeout, &server->mailbox,
                    on_reloaded, server, rq);
    }
}
