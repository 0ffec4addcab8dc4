/*
 * Direct DDL: MySQL runs it, on one shard after the other, each with the session's target set to
 * it; an error leaves the shards behind it untouched, and says which ones have been changed. The
 * keyspace is taken away in front of its tables' names: a shard's MySQL does not know it by that
 * name. A statement whose keyspace is not known is run by vtgate, on all shards at once; one that
 * is about tables of two has been refused (preflight.def, keyspaces), or vtgate refuses it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/ddl_tables.h"
#include "proxy/audit_session.h"
#include "proxy/changes.h"
#include "proxy/gate_internal.h"
#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/notes.h"
#include "proxy/server.h"
#include "proxy/visible.h"
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

static void on_seen(struct session *s)
{
    char info[sizeof(s->gate->info)];

    memcpy(info, s->gate->info, sizeof(info));
    gate_answer_ok(s, info);
}

/* A migration tool writes into its new table at once. */
static void see(struct session *s)
{
    const struct gate *g = s->gate;

    if (g->st.object == DDL_OBJECT_TABLE && *g->reference &&
        (g->st.verb == DDL_CREATE || g->st.verb == DDL_ALTER))
        visible_wait(s,
                     &(struct visible_table){.keyspace = g->keyspace,
                                             .name = g->table,
                                             .reference = g->reference,
                                             .uuid = "",
                                             .created = true},
                     on_seen);
    else
        on_seen(s);
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
    see(s);
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
    ask_start(s, g->direct_sql, strlen(g->direct_sql), on_executed);
}

static void next_shard(struct session *s)
{
    struct gate *g = s->gate;

    if (g->next_shard == g->shard_count)
        gate_return(s, on_returned);
    else
        ask_format(s, on_there, "USE `%s/%s`", g->keyspace, g->names[g->next_shard]);
}

bool gate_is_of_one_keyspace(const struct session *s)
{
    const struct gate *g = s->gate;
    bool same = s->database && strcmp(s->database, g->keyspace) == 0;
    struct ddl_table tables[GATE_TABLES_MAX];
    size_t n = ddl_tables(&g->st, tables, GATE_TABLES_MAX);

    if (n == 0 || n > GATE_TABLES_MAX || (!same && ddl_names_more(&g->st)))
        return false;
    for (size_t i = 0; i < n; i++) {
        const struct sql_name *q = &tables[i].qualifier;

        if (q->len == 0 ? !same
                        : q->len != strlen(g->keyspace) || memcmp(q->text, g->keyspace, q->len))
            return false;
    }
    return true;
}

/* False: vtgate has to run it. */
static bool set_sql(struct session *s)
{
    struct gate *g = s->gate;
    bool replica = s->database && strchr(s->database, '@');

    if (g->shard_count == 0 || replica || memchr(g->st.text, '\0', g->st.len) ||
        !gate_is_of_one_keyspace(s))
        return false;
    g->direct_sql = memory_zalloc(g->st.len + 1);
    ddl_unqualify(g->direct_sql, g->st.text, g->st.len, g->keyspace);
    return true;
}

void gate_direct(struct session *s)
{
    struct gate *g = s->gate;

    if (!set_sql(s)) {
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
