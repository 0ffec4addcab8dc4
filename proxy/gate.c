/*
 * The decision about one DDL, when the facts are there, and what becomes of it. Nothing is
 * submitted before gate_decide.
 *
 * Invariants: s->gate exists from gate_start to the answer, or to the migration that follows; while
 * it does, the session is ASKING (or closing).
 */
#include "proxy/gate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/audit_session.h"
#include "proxy/gate_internal.h"
#include "proxy/log.h"
#include "proxy/migration.h"
#include "proxy/notes.h"
#include "proxy/script.h"
#include "proxy/server.h"
#include "proxy/visible.h"
#include "proxy/worker.h"

static const struct config *config_of(const struct session *s)
{
    return s->worker->server->config;
}

void gate_forget(struct session *s)
{
    struct gate *g = s->gate;

    if (!g)
        return;
    if (g->running_direct)
        log_warn("ddl_direct_abandoned", "session:u keyspace:s table:s shards_done:u", s->id,
                 g->keyspace, g->table, (uint64_t)g->direct_done);
    s->gate = NULL;
    visible_forget(s);
    loop_timer_stop(&g->timer);
    ddl_free(g->ddl);
    gate_forget_versions(g);
    free(g->shards);
    free(g->names);
    free(g->direct_sql);
    free(g->message);
    free(g->packet);
    free(g->text);
    free(g);
}

/* --- answers --------------------------------------------------------------------------------- */

void gate_answer(struct session *s, struct buffer *out, uint8_t next, bool succeeded)
{
    gate_forget(s);
    query_answer(s, out, next, succeeded);
}

void gate_answer_error(struct session *s, uint16_t code, const char *state, const char *text)
{
    uint8_t sequence = s->gate->sequence;
    struct buffer out;

    buffer_init(&out, 4096);
    reply_error(&out, sequence, code, state, text);
    gate_answer(s, &out, (uint8_t)(sequence + 1), false);
}

void gate_answer_ok(struct session *s, const char *info)
{
    uint16_t status = s->status & (uint16_t) ~(STATUS_IN_TRANSACTION | STATUS_MORE_RESULTS);
    uint8_t sequence = s->gate->sequence;
    struct buffer out;

    if (s->gate->more)
        status |= STATUS_MORE_RESULTS;
    buffer_init(&out, 4096);
    reply_ok(&out, sequence, s->capabilities, status, 0, notes_count(s), info);
    gate_answer(s, &out, (uint8_t)(sequence + 1), true);
}

void gate_answer_shim(struct session *s, enum shim_error error, const char *detail)
{
    const struct shim_error_row *row = shim_error_row(error);
    char text[512];

    session_count_error(s, error);
    shim_error_format(text, sizeof(text), error, detail);
    notes_add(s, NOTE_ERROR, row->code, text);
    gate_answer_error(s, row->code, row->state, text);
}

/* --- what it becomes ------------------------------------------------------------------------- */

static uint64_t mean_row_bytes(const struct gate *g)
{
    uint64_t rows = 0, bytes = 0;

    for (size_t i = 0; i < g->facts.shard_count; i++) {
        rows += g->shards[i].rows;
        bytes += g->shards[i].bytes;
    }
    return rows > 0 ? bytes / rows : 0;
}

void gate_migrate(struct session *s)
{
    struct gate *g = s->gate;
    char context[64] = "", same[sizeof(g->same)], strategy[sizeof(g->strategy)];
    struct statement st = g->st;
    struct migration_request request = {.async = g->action == POLICY_ASYNC,
                                        .context = context,
                                        .same = same,
                                        .strategy = strategy,
                                        .row_bytes = mean_row_bytes(g)};
    uint8_t sequence = g->sequence;
    bool more = g->more;

    if (g->hints.context.text)
        snprintf(context, sizeof(context), "%.*s", (int)g->hints.context.len,
                 g->hints.context.text);
    memcpy(strategy, g->strategy, sizeof(strategy));
    memcpy(same, g->same, sizeof(same));
    char *text = g->text; /* st lies inside of it: it outlives the gate */

    g->text = NULL;
    gate_forget(s);
    migration_start(s, &st, sequence, more, &request);
    free(text);
}

/* To vtgate, as it came. */
static void pass_on(struct session *s)
{
    struct gate *g = s->gate;
    struct plan plan = {.passed = g->passed, .name = g->st.name};
    uint8_t *packet = g->packet, command = g->command;
    size_t len = g->packet_len;
    char *text = g->text;
    struct statement st = g->st;

    g->packet = NULL;
    g->text = NULL;
    gate_forget(s);
    query_log_passed(s, &plan, st.text, st.len);
    if (packet)
        query_send_command(s, command, packet, len);
    else
        script_send(s, st.text, st.len);
    free(packet);
    free(text);
}

static preflight_rules allowed_rules(const struct session *s)
{
    const struct string_list *names = &config_of(s)->ddl_preflight_allow;
    const struct gate *g = s->gate;
    preflight_rules allowed = g->hints.allow;

    for (size_t i = 0; i < names->n; i++) {
        enum preflight_rule rule = preflight_rule_find(names->items[i], strlen(names->items[i]));

        if (strcasecmp(names->items[i], "all") == 0)
            allowed = RULES_ALL;
        else if (rule < RULE_COUNT)
            allowed |= RULE_BIT(rule);
    }
    if (g->hints.allow_long_unavailability)
        allowed |= RULE_BIT(RULE_large_table);
    if (config_of(s)->ddl_preflight != CONFIG_PREFLIGHT_ENFORCE)
        allowed = RULES_ALL;
    /* Who chose a strategy or a shard is told, but only kept from blocking a large table. */
    if (g->passed && g->st.verb != DDL_RENAME)
        allowed |= RULES_ALL & ~RULE_BIT(RULE_large_table);
    return allowed;
}

const char *gate_check_config(const struct config *c)
{
    for (size_t i = 0; i < c->ddl_preflight_allow.n; i++) {
        const char *name = c->ddl_preflight_allow.items[i];

        if (strcasecmp(name, "all") != 0 && preflight_rule_find(name, strlen(name)) == RULE_COUNT)
            return name;
    }
    return NULL;
}

/* The audit: rules' names, no literals. */
static void log_findings(const struct session *s)
{
    const struct gate *g = s->gate;
    const struct findings *f = &g->found;
    const struct finding *refusal = preflight_refusal(f);
    char rules[512] = "";

    for (size_t i = 0; i < f->n; i++) {
        size_t at = strlen(rules);

        snprintf(rules + at, sizeof(rules) - at, "%s%s", i ? "," : "",
                 preflight_rule_name(f->items[i].rule));
    }
    log_event(refusal ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, "ddl_preflight",
              "session:u user:s keyspace:s table:s refused:s rules:s", s->id, s->user, g->keyspace,
              g->table, refusal ? preflight_rule_name(refusal->rule) : NULL, rules);
}

static void keep_notes(struct session *s)
{
    const struct findings *f = &s->gate->found;

    for (size_t i = 0; i < f->n; i++)
        notes_add(s, f->items[i].refuse ? NOTE_ERROR : NOTE_WARNING, f->items[i].code,
                  f->items[i].text);
}

static void go_on(struct session *s)
{
    struct gate *g = s->gate;

    if (g->passed)
        pass_on(s);
    else if (g->action == POLICY_DIRECT)
        gate_direct(s);
    else
        gate_migrate(s);
}

void gate_decide(struct session *s)
{
    struct gate *g = s->gate;
    struct metrics *m = &s->worker->metrics;

    loop_timer_stop(&g->timer);
    bool own = g->passed && strcmp(g->passed, "strategy") == 0 && g->facts.online;

    if (config_of(s)->ddl_preflight != CONFIG_PREFLIGHT_OFF && !(own && !g->explain)) {
        preflight_check_shards(g->ddl, &g->facts, &g->found);
        preflight_allow(&g->found, allowed_rules(s));
    }
    if (g->explain) {
        gate_explain(s);
        return;
    }
    if (g->found.n > 0) {
        log_findings(s);
        keep_notes(s);
        metrics_add(&m->preflight_warnings, g->found.n);
    }
    const struct finding *refusal = preflight_refusal(&g->found);

    if (!refusal) {
        go_on(s);
        return;
    }
    metrics_add(&m->preflight_refused, 1);
    metrics_add(&m->ddl_failed, 1);
    struct finding told = *refusal;

    audit_refused(s, preflight_rule_name(told.rule), told.code);
    gate_answer_error(s, told.code, told.state, told.text);
}

/* --- leaving --------------------------------------------------------------------------------- */

const char *gate_text(const struct session *s, size_t *len)
{
    if (!s->gate || !s->gate->text)
        return NULL;
    *len = s->gate->st.len;
    return s->gate->st.text;
}

bool gate_is_changing(const struct session *s)
{
    return s->gate && s->gate->running_direct;
}

bool gate_client_gone(struct session *s)
{
    if (!gate_is_changing(s))
        return false;
    s->client_gone = true;
    stream_close(&s->client);
    return true;
}

void gate_vtgate_lost(struct session *s)
{
    const struct gate *g = s->gate;
    char why[256];

    if (g->running_direct)
        snprintf(why, sizeof(why),
                 "the connection to vtgate was lost when %zu of %zu shards had been changed",
                 g->direct_done, g->shard_count);
    else
        snprintf(why, sizeof(why), "the connection to vtgate was lost before it was submitted");
    session_send_error(s, g->sequence, SHIM_ERROR_MIGRATION_UNKNOWN, why);
}
