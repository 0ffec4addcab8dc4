/*
 * The planner: one decision a command. Looks at as little of the text as will do; a text that need
 * not be looked into is not.
 */
#include "planner/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/control.h"
#include "planner/target.h"
#include "planner/traffic.h"

static const struct names EVERYTHING = {.everything = true};

static char *copy_text(const char *text, size_t len)
{
    char *copy = malloc(len + 1);

    if (!copy) {
        fputs("vtshim: out of memory\n", stderr);
        abort();
    }
    memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

/* The effect of running a statement, besides its result. */
static enum plan_effect statement_effect(const struct statement *st)
{
    if (st->kind == STATEMENT_USE)
        return EFFECT_DATABASE;
    if (st->kind == STATEMENT_SET && st->sets_ddl_strategy && !st->sets_global)
        return st->ddl_strategy_default ? EFFECT_STRATEGY_DEFAULT : EFFECT_STRATEGY_OWN;
    if (st->temporary && st->verb == DDL_CREATE)
        return EFFECT_TEMPORARY;
    if (st->lock != LOCK_NONE)
        return EFFECT_LOCK;
    if (st->kind == STATEMENT_VSCHEMA)
        return EFFECT_VSCHEMA;
    return EFFECT_NONE;
}

/* Of a prepared statement, whose name is kept in the place of its text. */
static bool effect_has_name(enum plan_effect effect)
{
    return effect == EFFECT_DATABASE || effect == EFFECT_TEMPORARY || effect == EFFECT_VSCHEMA;
}

/* Why this DDL goes to vtgate as it is, or NULL when it is to be managed. `unfit`: why the text it
   stands in allows nothing else, or NULL. */
static const char *pass_reason(const struct plan_facts *facts, const struct statement *st,
                               const char *unfit)
{
    if (!facts->intercept)
        return "intercept_off";
    if (st->kind == STATEMENT_DIRECT_DDL)
        return "direct";
    if (target_is_shard(facts->database))
        return "targeted";
    if (facts->temporary && names_may_contain(facts->temporary, st->name.text, st->name.len))
        return "temporary"; /* vtgate knows which, and runs it in the session */
    return facts->strategy_own ? "strategy" : unfit;
}

static void plan_ddl(struct plan *p, const struct plan_facts *facts, const struct statement *st,
                     const char *unfit)
{
    p->passed = pass_reason(facts, st, unfit);
    p->statement = *st;
    if (!p->passed)
        p->action = PLAN_MIGRATE;
}

/* ALTER or REVERT VITESS_MIGRATION: Vitess asks nobody for a right. */
static void plan_control(struct plan *p, const struct plan_facts *facts, const struct statement *st)
{
    p->statement = *st;
    if (facts->no_control)
        p->action = PLAN_DENY;
    else
        p->effect = EFFECT_CONTROL;
}

/* Whether a hold may concern this session at all. */
static bool any_hold(const struct plan_facts *facts)
{
    return facts->fenced ||
           (facts->holds->n > 0 && (!facts->in_transaction || facts->holds->in_transactions));
}

static bool plan_hold(struct plan *p, const struct plan_facts *facts, enum statement_kind kind,
                      const struct names *names)
{
    struct hold_subject subject = {
        .kind = kind,
        .database = facts->database,
        .vtgate = facts->vtgate,
        .served = facts->served,
        .names = names,
        .in_transaction = facts->in_transaction,
        .autocommit = facts->autocommit,
        .touched = facts->touched,
    };

    if (!any_hold(facts))
        return false;
    p->hold = facts->fenced ? hold_fence(&subject) : NULL;
    if (!p->hold)
        p->hold = hold_set_find(facts->holds, &subject);
    if (p->hold)
        p->action = PLAN_PARK;
    return p->hold != NULL;
}

/* PREPARE FROM 'text': vtgate plans the text at once, so that its names count as the statement's.
 */
static void add_prepared_names(struct names *names, const struct statement *st)
{
    if (st->kind != STATEMENT_PREPARE || !st->body.text)
        return;
    struct names inside;
    char *text = copy_text(st->body.text, st->body.len);
    size_t len = lexer_unescape(text, st->body.text, st->body.len, st->body.text[-1]);

    names_collect(&inside, text, len, true);
    names_merge(names, &inside);
    free(text);
}

/* Whether one statement of several makes it necessary to run them one by one. */
static bool statement_needs_script(const struct statement *st, const struct plan_facts *facts)
{
    switch (st->kind) {
    case STATEMENT_ONLINE_DDL:
    case STATEMENT_DIRECT_DDL:
    case STATEMENT_EXPLAIN_DDL:
    case STATEMENT_EXECUTE:
        return facts->intercept;
    case STATEMENT_USE:
    case STATEMENT_PREPARE:
    case STATEMENT_DEALLOCATE:
    case STATEMENT_KILL:
    case STATEMENT_MIGRATION:
        return true;
    case STATEMENT_VSCHEMA:
        return facts->transitions || statement_effect(st) != EFFECT_NONE;
    default:
        return (facts->transitions && st->transition != TRANSITION_NONE) ||
               statement_effect(st) != EFFECT_NONE;
    }
}

/* KILL [CONNECTION | QUERY] id. Anything else (an expression) is vtgate's to judge. */
static void plan_kill(struct plan *p, const struct statement *st)
{
    struct lexer lx;
    uint64_t id = 0;

    lexer_init(&lx, st->text, st->len);
    lexer_next(&lx); /* KILL */
    struct token t = lexer_next(&lx);
    bool query = token_is(&t, "QUERY");

    if (query || token_is(&t, "CONNECTION"))
        t = lexer_next(&lx);
    struct token end = lexer_next(&lx);

    if (t.kind != TOKEN_NUMBER || t.len == 0 || t.len > 10 || end.kind != TOKEN_END)
        return;
    for (size_t i = 0; i < t.len; i++) {
        if (t.text[i] < '0' || t.text[i] > '9')
            return;
        id = id * 10 + (uint64_t)(t.text[i] - '0');
    }
    p->action = PLAN_KILL;
    p->kill_id = id;
    p->kill_query = query;
}

/* Several statements in one text. One of which only a part was seen cannot become a script. */
static struct plan plan_multi(const struct plan_facts *facts, const char *text, size_t len,
                              bool whole, struct names *names)
{
    struct plan p = {.action = PLAN_FORWARD};
    bool script = false, direct = false;

    for (size_t at = 0; at < len;) {
        struct statement st;

        at += classify_next(text + at, len - at, &st);
        if (any_hold(facts))
            add_prepared_names(names, &st);
        if (plan_hold(&p, facts, st.kind, st.kind == STATEMENT_EXECUTE ? &EVERYTHING : names))
            return p;
        script = script || statement_needs_script(&st, facts);
        direct = direct || st.kind == STATEMENT_DIRECT_DDL;
    }
    if (script && whole)
        p.action = PLAN_SCRIPT;
    else if (script)
        p.passed = "too_long";
    else if (direct)
        p.passed = facts->intercept ? "direct" : "intercept_off";
    return p;
}

/* Why one DDL at the head of a text cannot be taken out of it and run instead, or NULL. vtgate
   refuses a text of several statements from a client that may not send them. */
static const char *text_unfit(const char *text, size_t len, bool whole)
{
    if (!whole)
        return "too_long";
    return classify_is_multi(text, len) ? "several" : NULL;
}

/* What the shim does itself, on all vtgates together. */
static bool is_transition(const struct plan_facts *facts, const struct statement *st)
{
    return facts->transitions &&
           (st->kind == STATEMENT_VSCHEMA || st->transition != TRANSITION_NONE);
}

static void plan_explain(struct plan *p, const struct plan_facts *facts, const struct statement *st,
                         const char *unfit)
{
    if (!facts->intercept || unfit)
        return;
    p->action = PLAN_EXPLAIN;
    p->statement = *st;
}

/* vtgate knows statements that can be prepared by their first word, and not REVERT
   (executor.prepare in go/vt/vtgate/executor.go; Preview in go/vt/sqlparser/analyzer.go). */
static void plan_wrap(struct plan *p, const struct statement *st, const char *unfit)
{
    struct control_statement c;

    control_statement_parse(&c, st->text, st->len);
    if (unfit || strcmp(c.verb, "revert") != 0 || memmem(st->text, st->len, "*/", 2))
        return;
    p->action = PLAN_WRAP;
    p->statement = *st;
}

bool plan_is_plain(bool multi_statements, const char *text, size_t len)
{
    return classify_quick(text, len, true) == QUICK_PLAIN &&
           !(multi_statements && classify_is_multi(text, len));
}

/* Whether a text that begins so may turn out to be ALTER or REVERT VITESS_MIGRATION. */
static bool may_become_control(const char *text, size_t len)
{
    struct statement st;

    if (classify_quick(text, len, false) == QUICK_PLAIN)
        return false;
    classify_next(text, len, &st);
    switch (st.kind) {
    case STATEMENT_EMPTY:
    case STATEMENT_OTHER:
    case STATEMENT_MIGRATION:
        return true;
    case STATEMENT_DIRECT_DDL:
        return st.verb == DDL_ALTER || st.verb == DDL_NONE; /* of what, is not seen */
    default:
        return false;
    }
}

/* What can be told of a text before it is classified: true, with the action in *p. FORWARD: it is
   none of the shim's business. */
static bool plan_early(struct plan *p, const struct plan_facts *facts, const char *text, size_t len,
                       bool whole, bool may_grow, bool prepare)
{
    bool held = any_hold(facts);
    bool grows = !whole && may_grow;

    if (grows && (held || facts->multi_statements || facts->collecting || prepare)) {
        p->action = PLAN_MORE;
        return true;
    }
    enum quick_kind quick = classify_quick(text, len, whole);

    /* What is behind the part that is looked at could be anything. One that is prepared does
       nothing before it is executed (prepared.may_control). */
    if (facts->no_control && !whole && !may_grow && !prepare &&
        (facts->multi_statements || may_become_control(text, len))) {
        p->action = PLAN_DENY;
        return true;
    }
    if (quick != QUICK_PLAIN && grows) {
        p->action = PLAN_MORE;
        return true;
    }
    return quick == QUICK_PLAIN && !held && !facts->collecting &&
           (prepare || !facts->multi_statements || !classify_is_multi(text, len));
}

/* The first statement of a text of the text protocol, past the holds. */
static void plan_statement(struct plan *p, const struct plan_facts *facts,
                           const struct statement *st, const char *text, size_t len, bool whole)
{
    if (is_transition(facts, st) && !text_unfit(text, len, whole)) {
        p->action = PLAN_TRANSITION;
        p->statement = *st;
        return;
    }
    p->effect = statement_effect(st);
    p->name = st->name;
    p->lock = st->lock;
    if (st->kind == STATEMENT_ONLINE_DDL || st->kind == STATEMENT_DIRECT_DDL) {
        plan_ddl(p, facts, st, text_unfit(text, len, whole));
    } else if (st->kind == STATEMENT_MIGRATION) {
        plan_control(p, facts, st);
    } else if (st->kind == STATEMENT_KILL && !text_unfit(text, len, whole)) {
        plan_kill(p, st);
    } else if (st->kind == STATEMENT_PREPARE) {
        p->effect = EFFECT_PREPARE_NAMED;
        if (whole)
            p->body = st->body;
        if (whole && st->variable.text && !facts->resolved) {
            p->action = PLAN_RESOLVE;
            p->body = st->variable;
        }
    } else if (st->kind == STATEMENT_DEALLOCATE) {
        p->effect = EFFECT_DEALLOCATE_NAMED;
    }
}

struct plan plan_text(const struct plan_facts *facts, const char *text, size_t len, bool whole,
                      bool may_grow, bool prepare,
                      const struct prepared *(*find_named)(void *arg, struct sql_name name),
                      void *arg)
{
    struct plan p = {.action = PLAN_FORWARD, .effect = prepare ? EFFECT_PREPARE : EFFECT_NONE};
    struct names names = {.everything = true};
    struct statement st;

    if (plan_early(&p, facts, text, len, whole, may_grow, prepare))
        return p;
    if (any_hold(facts))
        names_collect(&names, text, len, whole);
    if (!prepare && facts->multi_statements && classify_is_multi(text, len))
        return plan_multi(facts, text, len, whole, &names);
    classify_next(text, len, &st);
    if (st.kind == STATEMENT_EXECUTE && !prepare)
        return plan_execute(facts, find_named ? find_named(arg, st.name) : NULL);
    if (any_hold(facts))
        add_prepared_names(&names, &st);
    if (plan_hold(&p, facts, st.kind, &names))
        return p;
    if (st.kind == STATEMENT_EXPLAIN_DDL)
        plan_explain(&p, facts, &st, text_unfit(text, len, whole));
    if (prepare && st.kind == STATEMENT_MIGRATION)
        plan_wrap(&p, &st, text_unfit(text, len, whole));
    if (!prepare)
        plan_statement(&p, facts, &st, text, len, whole);
    return p;
}

struct plan plan_execute(const struct plan_facts *facts, const struct prepared *prepared)
{
    struct plan p = {.action = PLAN_FORWARD};

    if (plan_hold(&p, facts, prepared ? prepared->kind : STATEMENT_OTHER,
                  prepared ? &prepared->names : &EVERYTHING))
        return p;
    if (facts->no_control && (!prepared || prepared->may_control))
        p.action = PLAN_DENY; /* for all that is known of it */
    if (!prepared || p.action == PLAN_DENY)
        return p;
    p.effect = prepared->effect;
    p.lock = prepared->lock;
    if (prepared->kind == STATEMENT_KILL && prepared->text) {
        struct statement st;

        classify_next(prepared->text, prepared->len, &st);
        plan_kill(&p, &st);
    } else if (prepared->kind == STATEMENT_MIGRATION) {
        struct statement st = {.kind = prepared->kind};

        if (prepared->text)
            classify_next(prepared->text, prepared->len, &st);
        plan_control(&p, facts, &st);
    } else if (prepared->kind == STATEMENT_ONLINE_DDL || prepared->kind == STATEMENT_DIRECT_DDL) {
        struct statement st = {.kind = prepared->kind};

        if (prepared->text && prepared->effect == EFFECT_NONE)
            classify_next(prepared->text, prepared->len, &st);
        plan_ddl(&p, facts, &st, prepared->text ? NULL : "too_long");
    } else if (prepared->kind == STATEMENT_EXPLAIN_DDL && prepared->text) {
        struct statement st;

        classify_next(prepared->text, prepared->len, &st);
        plan_explain(&p, facts, &st, NULL);
    }
    if (effect_has_name(prepared->effect))
        p.name = (struct sql_name){prepared->text, prepared->len};
    return p;
}

static void keep_pairs(struct prepared *p, const char *text, size_t len)
{
    uint32_t pairs[TRAFFIC_PAIRS_MAX];

    p->pair_count = traffic_pairs(text, len, pairs);
    if (p->pair_count > 0)
        p->pairs =
            (uint32_t *)(void *)copy_text((const char *)pairs, p->pair_count * sizeof(*pairs));
}

void prepared_init(struct prepared *p, const char *text, size_t len, bool whole)
{
    struct statement st;
    struct sql_name keep = {NULL, 0};

    memset(p, 0, sizeof(*p));
    names_collect(&p->names, text, len, whole);
    classify_next(text, len, &st);
    p->kind = st.kind == STATEMENT_EMPTY && !whole ? STATEMENT_OTHER : st.kind;
    p->effect = statement_effect(&st);
    p->lock = st.lock;
    p->retry = retry_statement(text, len, whole);
    p->may_control = !whole && may_become_control(text, len);
    if (st.kind == STATEMENT_EXECUTE)
        p->names.everything = true; /* what it runs is told elsewhere */
    bool acted_upon = st.kind == STATEMENT_ONLINE_DDL || st.kind == STATEMENT_DIRECT_DDL ||
                      st.kind == STATEMENT_EXPLAIN_DDL || st.kind == STATEMENT_MIGRATION ||
                      st.kind == STATEMENT_KILL;

    if (acted_upon && p->effect == EFFECT_NONE && whole)
        keep = (struct sql_name){st.text, st.len};
    else if (effect_has_name(p->effect))
        keep = st.name;
    keep_pairs(p, text, len);
    if (keep.text) {
        p->text = copy_text(keep.text, keep.len);
        p->len = keep.len;
    }
}

void prepared_fini(struct prepared *p)
{
    free(p->text);
    free(p->pairs);
    p->text = NULL;
    p->pairs = NULL;
}
