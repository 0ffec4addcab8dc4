/*
 * What a command that succeeds changes of what the shim knows about its session: remembered when it
 * is sent, applied or dropped once vtgate has answered.
 *
 * Invariant: s->effect_text and s->effect_prepared are set only while s->effect is not NONE.
 */
#include <stdlib.h>
#include <string.h>

#include "planner/target.h"
#include "proxy/audit_session.h"
#include "proxy/changes.h"
#include "proxy/effect.h"
#include "proxy/flights.h"
#include "proxy/locks.h"
#include "proxy/memory.h"
#include "proxy/retry.h"
#include "proxy/server.h"
#include "proxy/session.h"
#include "proxy/session_transition.h"
#include "proxy/shapes.h"
#include "proxy/statements.h"
#include "proxy/worker.h"

static void keep_text(struct session *s, const char *text, size_t len)
{
    s->effect_text = memory_copy(text, len);
    s->effect_len = len;
}

/* ALTER VSCHEMA of the session's keyspace: DDL on the table waits (flights), and all that the table
   is mentioned in may meet it. */
static void begin_vschema_change(struct session *s, const char *table, size_t len)
{
    const struct server *server = s->worker->server;
    struct change what = {.kind = CHANGE_VSCHEMA, .source = CHANGE_OWN};
    struct sql_name keyspace = target_keyspace(s->database);

    if (keyspace.len < sizeof(what.keyspace))
        memcpy(what.keyspace, keyspace.text, keyspace.len);
    if (len > 0)
        change_add_table(&what, table, len);
    flights_begin(server->flights, table, len);
    s->change = changes_begin(server->changes, &what);
}

static void end_vschema_change(struct session *s, bool succeeded)
{
    const struct server *server = s->worker->server;
    int64_t settle = succeeded ? server->config->ddl_settle_ms : 0;

    flights_end(server->flights, s->effect_text, s->effect_len, clock_ms() + settle);
    changes_end(server->changes, s->change, settle);
}

/* What PREPARE name FROM '..' prepares: the value of the literal, or what a variable was found to
   hold. */
static void keep_literal(struct session *s, struct sql_name body)
{
    if (s->resolved) {
        s->effect_prepared = s->resolved;
        s->resolved = NULL;
        return;
    }
    char *text = memory_copy(body.len ? body.text : "", body.len);
    size_t len = body.text ? lexer_unescape(text, body.text, body.len, body.text[-1]) : 0;

    s->effect_prepared = memory_zalloc(sizeof(*s->effect_prepared));
    prepared_init(s->effect_prepared, text, len, body.text != NULL);
    free(text);
}

void effect_set(struct session *s, const struct plan *plan, const char *text, size_t len,
                bool whole)
{
    s->effect = plan->effect;
    switch (plan->effect) {
    case EFFECT_DATABASE:
        keep_text(s, plan->name.text, plan->name.len);
        break;
    case EFFECT_PREPARE:
        s->effect_prepared = memory_zalloc(sizeof(*s->effect_prepared));
        prepared_init(s->effect_prepared, text, len, whole);
        if (whole && s->worker->server->config->plans_sample)
            s->effect_prepared->shape =
                shapes_note_prepare(s->worker->shapes, s->database, text, len);
        break;
    case EFFECT_PREPARE_NAMED:
        keep_text(s, plan->name.text, plan->name.len);
        keep_literal(s, plan->body);
        break;
    case EFFECT_DEALLOCATE_NAMED:
    case EFFECT_TEMPORARY:
        keep_text(s, plan->name.text, plan->name.len);
        break;
    case EFFECT_VSCHEMA:
        keep_text(s, plan->name.len ? plan->name.text : "", plan->name.len);
        begin_vschema_change(s, s->effect_text, s->effect_len);
        retry_suspect(s->worker->server);
        break;
    case EFFECT_LOCK:
        locks_expect(s, plan->lock);
        break;
    case EFFECT_CONTROL:
        keep_text(s, plan->statement.text, plan->statement.len);
        break;
    default:
        break;
    }
}

static void keep_prepared(struct session *s, struct sql_name name)
{
    if (!s->statements)
        s->statements = statements_create();
    if (s->effect == EFFECT_PREPARE)
        statements_put(s->statements, s->response.statement_id, s->effect_prepared);
    else
        statements_put_named(s->statements, name, s->effect_prepared);
    free(s->effect_prepared); /* its contents were moved */
    s->effect_prepared = NULL;
}

/* vtgate's session is as after a login. */
static void forget_session(struct session *s)
{
    statements_destroy(s->statements);
    s->statements = NULL;
    free(s->temporary);
    s->temporary = NULL;
    locks_released(s);
    session_transition_forget(s);
    if (s->command == COM_CHANGE_USER) {
        free(s->database); /* whatever the new login chose */
        s->database = NULL;
    }
}

static void apply_effect(struct session *s)
{
    struct sql_name name = {s->effect_text, s->effect_len};

    switch (s->effect) {
    case EFFECT_NONE:
    case EFFECT_CONTROL:
        break;
    case EFFECT_DATABASE:
        free(s->database);
        s->database = s->effect_text;
        s->effect_text = NULL;
        break;
    case EFFECT_STRATEGY_OWN:
        s->strategy_own = true;
        break;
    case EFFECT_STRATEGY_DEFAULT:
        s->strategy_own = false;
        break;
    case EFFECT_PREPARE:
    case EFFECT_PREPARE_NAMED:
        keep_prepared(s, name);
        break;
    case EFFECT_DEALLOCATE_NAMED:
        statements_remove_named(s->statements, name);
        break;
    case EFFECT_CLOSE_PREPARED:
        statements_remove(s->statements, s->effect_id);
        break;
    case EFFECT_MULTI_ON:
        s->capabilities |= CAP_MULTI_STATEMENTS;
        break;
    case EFFECT_MULTI_OFF:
        s->capabilities &= ~(uint32_t)CAP_MULTI_STATEMENTS;
        break;
    case EFFECT_VSCHEMA: /* effect_settle: also of one that failed */
        break;
    case EFFECT_TEMPORARY:
        if (!s->temporary)
            s->temporary = memory_zalloc(sizeof(*s->temporary));
        names_add(s->temporary, s->effect_text, s->effect_len);
        break;
    case EFFECT_LOCK:
        locks_settle(s, true);
        break;
    case EFFECT_RESET:
        forget_session(s);
        break;
    }
}

void effect_settle(struct session *s, bool succeeded)
{
    if (s->effect == EFFECT_NONE)
        return;
    if (s->effect == EFFECT_VSCHEMA)
        end_vschema_change(s, succeeded);
    if (s->effect == EFFECT_VSCHEMA)
        retry_suspect(s->worker->server);
    if (s->effect == EFFECT_CONTROL)
        audit_controlled(s, s->effect_text, s->effect_len, succeeded);
    if (succeeded)
        apply_effect(s);
    locks_settle(s, false);
    free(s->effect_text);
    if (s->effect_prepared) {
        prepared_fini(s->effect_prepared);
        free(s->effect_prepared);
    }
    s->effect = EFFECT_NONE;
    s->effect_text = NULL;
    s->effect_prepared = NULL;
}
