/*
 * The answer to EXPLAIN of a DDL: a row for each thing that is known about it.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/ddl.h"
#include "proxy/copy_rate.h"
#include "proxy/gate_internal.h"
#include "proxy/server.h"
#include "proxy/worker.h"

static const char *const COLUMNS[] = {"section", "item", "value"};
#define COLUMN_COUNT (sizeof(COLUMNS) / sizeof(*COLUMNS))

/* The result set being written. */
struct sheet {
    struct buffer out;
    uint8_t sequence;
    bool binary;
};

__attribute__((format(printf, 4, 5))) static void put(struct sheet *sh, const char *section,
                                                      const char *item, const char *format, ...)
{
    char value[PREFLIGHT_TEXT + 64];
    const char *row[] = {section, item, value};
    va_list args;

    va_start(args, format);
    vsnprintf(value, sizeof(value), format, args);
    va_end(args);
    if (sh->binary)
        reply_binary_row(&sh->out, &sh->sequence, row, COLUMN_COUNT);
    else
        reply_row(&sh->out, &sh->sequence, row, COLUMN_COUNT);
}

static void put_plan(const struct session *s, struct sheet *sh, enum preflight_way way,
                     bool instant_possible)
{
    const struct gate *g = s->gate;
    bool own = g->passed && strcmp(g->passed, "strategy") == 0;
    bool direct =
        g->action == POLICY_DIRECT || (own && ddl_strategy_is_direct(g->strategy)) || g->targeted;
    bool vtctld = s->worker->server->config->ddl_executor == CONFIG_EXECUTOR_VTCTLD;

    put(sh, "plan", "keyspace", "%s", g->keyspace);
    put(sh, "plan", "table", "%s", g->table);
    put(sh, "plan", "executor", "%s",
        direct           ? "direct, on the shards' MySQL"
        : own || !vtctld ? "vtgate"
                         : "vtctld");
    put(sh, "plan", "strategy", "%s%s", *g->strategy && !direct ? g->strategy : "direct",
        own                ? " (the session's own)"
        : g->strategy_hint ? " (hint)"
                           : "");
    put(sh, "plan", "action", "%s",
        g->targeted ? "passed on to one shard"
        : own       ? "passed on to vtgate"
                    : policy_action_name(g->action));
    put(sh, "plan", "way", "%s%s", preflight_way_name(way),
        way == WAY_COPY && instant_possible ? " (instant with --prefer-instant-ddl)" : "");
    if (!g->ddl->understood)
        put(sh, "plan", "understood", "no: vtgate alone judges this statement");
}

static void put_actions(const struct gate *g, struct sheet *sh)
{
    for (size_t i = 0; i < g->ddl->n && i < 1000; i++) {
        const struct ddl_action *a = &g->ddl->actions[i];
        struct sql_name name = a->name.text ? a->name : a->value;

        put(sh, "change", ddl_action_name(a->kind), "%.*s%s%.*s", (int)name.len,
            name.text ? name.text : "", a->new_name.text ? " to " : "", (int)a->new_name.len,
            a->new_name.text ? a->new_name.text : "");
    }
}

/* The slowest shard counts: they copy at the same time. What was measured in the keyspace comes
   before the setting. */
static void put_estimate(const struct session *s, struct sheet *sh, uint64_t rows, uint64_t bytes)
{
    const struct server *server = s->worker->server;
    int64_t setting = server->config->ddl_copy_rows_per_second;
    struct copy_rate rate;

    if (!copy_rates_get(server->copy_rates, s->gate->keyspace, &rate)) {
        put(sh, "estimate", "seconds",
            "%" PRIu64 " to copy, at %" PRId64
            " rows a second on each shard (ddl.copy_rows_per_second: nothing was measured yet)",
            rows / (uint64_t)setting, setting);
        return;
    }
    double by_rows = (double)rows / rate.rows_per_s;
    double by_bytes = rate.bytes_per_s > 0 ? (double)bytes / rate.bytes_per_s : 0;

    put(sh, "estimate", "seconds",
        "%.0f to copy%s, at %.0f rows and %.0f bytes a second%s on each shard (measured: %" PRIu64
        " copies in this keyspace)",
        by_rows > by_bytes ? by_rows : by_bytes, rate.at_least ? " at most" : "", rate.rows_per_s,
        rate.bytes_per_s, rate.at_least ? " at least" : "", rate.copies);
}

static void put_sizes(const struct session *s, struct sheet *sh, enum preflight_way way)
{
    const struct gate *g = s->gate;
    uint64_t most = 0, largest = 0, rows = 0, bytes = 0;

    for (size_t i = 0; i < g->facts.shard_count; i++) {
        const struct shard_size *size = &g->shards[i];

        put(sh, "shard", size->shard, "rows=%" PRIu64 " bytes=%" PRIu64, size->rows, size->bytes);
        most = size->rows > most ? size->rows : most;
        largest = size->bytes > largest ? size->bytes : largest;
        rows += size->rows;
        bytes += size->bytes;
    }
    if (g->facts.shard_count > 1)
        put(sh, "shard", "all", "rows=%" PRIu64 " bytes=%" PRIu64, rows, bytes);
    if (g->facts.shard_count > 0 && way == WAY_COPY)
        put_estimate(s, sh, most, largest);
    else if (g->facts.shard_count > 0)
        put(sh, "estimate", "seconds", "0 to copy");
}

static void put_findings(const struct session *s, struct sheet *sh)
{
    const struct gate *g = s->gate;

    if (g->action == POLICY_REJECT)
        put(sh, "refuse", "policy", "%u: direct DDL is disabled",
            shim_error_row(SHIM_ERROR_DDL_REJECTED)->code);
    for (size_t i = 0; i < g->found.n; i++) {
        const struct finding *f = &g->found.items[i];

        put(sh,
            f->rule == RULE_running ? "conflict"
            : f->refuse             ? "refuse"
                                    : "warn",
            preflight_rule_name(f->rule), "%u: %s", f->code, f->text);
    }
    for (size_t i = 0; i < g->skipped_count; i++)
        put(sh, "skipped", g->skipped[i], "could not be had over this connection");
}

void gate_explain(struct session *s)
{
    struct gate *g = s->gate;
    uint16_t status = s->status & (uint16_t)~STATUS_MORE_RESULTS;
    struct sheet sh = {.sequence = g->sequence, .binary = g->command == COM_STMT_EXECUTE};
    bool possible;
    enum preflight_way way = preflight_way(g->ddl, &g->facts, &possible);

    buffer_init(&sh.out, 16u << 20);
    reply_columns(&sh.out, &sh.sequence, s->capabilities, status, COLUMNS, COLUMN_COUNT);
    put_plan(s, &sh, way, possible);
    put_actions(g, &sh);
    put_sizes(s, &sh, way);
    put_findings(s, &sh);
    if (g->more)
        status |= STATUS_MORE_RESULTS;
    reply_rows_end(&sh.out, &sh.sequence, s->capabilities, status);
    gate_answer(s, &sh.out, sh.sequence, true);
}
