/*
 * Direct DDL: MySQL runs it, on one shard after the other, each with the session's target set to
 * it; an error leaves the shards behind it untouched, and says which ones have been changed. Where
 * the target cannot be put back (the session has none) or the text names its keyspace (a shard's
 * MySQL does not know it by that name) vtgate runs it on all shards at once.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/audit_session.h"
#include "proxy/changes.h"
#include "proxy/gate_internal.h"
#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/notes.h"
#include "proxy/server.h"
#include "proxy/worker.h"

static void next_shard(struct session *s);

static void keep_error(struct gate *g, const struct answer *a)
{
    g->code = a ? a->code : 1105;
    snprintf(g->state, sizeof(g->state), "%s", a ? a->state : "HY000");
    free(g->message);
    g->message = a ? memory_copy((const char *)a->message.p, a->message.len)
                   : memory_copy("vtshim: malformed answer of vtgate", 34);
}

static void answer_failed(struct session *s)
{
    struct gate *g = s->gate;
    char text[512], state[6];
    uint16_t code = g->code;

    snprintf(text, sizeof(text),
             "vtshim: direct DDL failed on shard %s (%zu of %zu shards changed): %s",
             g->names[g->next_shard], g->direct_done, g->shard_count, g->message);
    memcpy(state, g->state, sizeof(state));
    metrics_add(&s->worker->metrics.ddl_failed, 1);
    log_warn("ddl_direct_failed", "session:u keyspace:s table:s shard:s shards_done:u code:u",
             s->id, g->keyspace, g->table, g->names[g->next_shard], (uint64_t)g->direct_done,
             (uint64_t)code);
    audit_direct_ended(s, code);
    notes_add(s, NOTE_ERROR, code, text);
    gate_answer_error(s, code, state, text);
}

static void on_returned(struct session *s, const struct answer *a)
{
    struct gate *g = s->gate;
    int64_t ms = clock_ms() - g->started_ms;

    g->running_direct = false;
    if (!a || a->failed) {
        log_warn("ddl_target_lost", "session:u", s->id);
        session_send_error(s, g->sequence, SHIM_ERROR_MIGRATION_UNKNOWN,
                           "the session's target could not be restored after a direct DDL");
        session_finish(s, CLOSE_VTGATE_ERROR);
        return;
    }
    if (g->code) {
        answer_failed(s);
        return;
    }
    snprintf(g->info, sizeof(g->info),
             "Direct DDL complete: shards=%zu time=%" PRId64 ".%03" PRId64 "s", g->direct_done,
             ms / 1000, ms % 1000);
    metrics_add(&s->worker->metrics.ddl_direct, 1);
    log_info("ddl_direct", "session:u user:s keyspace:s table:s shards:u ms:d", s->id, s->user,
             g->keyspace, g->table, (uint64_t)g->direct_done, ms);
    audit_direct_ended(s, 0);
    notes_add(s, NOTE_NOTE, 1105, g->info);
    g->seeing = true;
    gate_see(s);
}

static void on_executed(struct session *s, const struct answer *a)
{
    struct gate *g = s->gate;

    if (!a || a->failed) {
        keep_error(g, a);
        gate_return(s, on_returned);
        return;
    }
    g->direct_done++;
    g->next_shard++;
    next_shard(s);
}

static void on_there(struct session *s, const struct answer *a)
{
    struct gate *g = s->gate;

    if (!a || a->failed) {
        keep_error(g, a);
        gate_return(s, on_returned);
        return;
    }
    ask_start(s, g->st.text, g->st.len, on_executed);
}

static void next_shard(struct session *s)
{
    struct gate *g = s->gate;

    if (g->next_shard == g->shard_count)
        gate_return(s, on_returned);
    else
        gate_ask(s, on_there, "USE `%s/%s`", g->keyspace, g->names[g->next_shard]);
}

void gate_direct(struct session *s)
{
    struct gate *g = s->gate;

    if (!s->database || g->shard_count == 0 || g->st.qualifier.len > 0 ||
        strpbrk(s->database, "@")) {
        snprintf(g->strategy, sizeof(g->strategy), "direct");
        g->action = POLICY_WAIT;
        gate_migrate(s);
        return;
    }
    audit_direct_started(s);
    struct change what = {.kind = CHANGE_SCHEMA, .source = CHANGE_OWN};

    snprintf(what.keyspace, sizeof(what.keyspace), "%s", g->keyspace);
    change_add_table(&what, g->table, strlen(g->table));
    changes_notice(s->worker->server->changes, &what, true);
    g->running_direct = true;
    g->next_shard = 0;
    next_shard(s);
}
