/*
 * Plans any text under any facts. Checks what the planner promises: an action only where it is
 * allowed, names inside of the text, and that a part which is let through at once is never the
 * beginning of a text that would have been acted upon.
 *
 * The first byte holds the facts, the second the hold and how the text came.
 */
#include "planner/plan.h"
#include "planner/target.h"

#include "tests/fuzz/fuzz.h"

static const char *const DATABASES[] = {NULL, "ks", "ks:-80", "@replica"};

static const struct prepared *find_named(void *arg, struct sql_name name)
{
    return name.len % 2 ? arg : NULL;
}

static void check_inside(struct sql_name n, const char *text, size_t len,
                         const struct prepared *other)
{
    if (n.len == 0)
        return;
    bool in_text = n.text >= text && n.text + n.len <= text + len;
    bool in_other =
        other && other->text && n.text >= other->text && n.text + n.len <= other->text + other->len;

    CHECK(in_text || in_other);
}

static void check_plan(const struct plan *p, const struct plan_facts *facts, bool whole,
                       bool may_grow)
{
    bool held = facts->holds->n > 0 && (!facts->in_transaction || facts->holds->in_transactions);

    CHECK(!p->passed || p->action == PLAN_FORWARD);
    switch (p->action) {
    case PLAN_FORWARD:
        break;
    case PLAN_MORE:
        CHECK(!whole && may_grow);
        break;
    case PLAN_PARK:
        CHECK(held && p->hold >= facts->holds->items);
        CHECK(p->hold < facts->holds->items + facts->holds->n);
        break;
    case PLAN_MIGRATE:
        CHECK(facts->intercept && !facts->strategy_own);
        CHECK(!target_is_shard(facts->database));
        CHECK(p->statement.kind == STATEMENT_ONLINE_DDL && p->statement.len > 0);
        break;
    case PLAN_EXPLAIN:
        CHECK(facts->intercept && p->statement.kind == STATEMENT_EXPLAIN_DDL);
        CHECK(p->statement.body.len > 0 && !p->passed);
        break;
    case PLAN_WRAP:
        CHECK(whole && p->statement.kind == STATEMENT_MIGRATION && p->effect == EFFECT_PREPARE);
        break;
    case PLAN_SCRIPT:
        CHECK(whole && facts->multi_statements);
        break;
    case PLAN_RESOLVE:
        CHECK(whole && !facts->resolved && p->body.len > 1 && *p->body.text == '@');
        break;
    case PLAN_DENY:
        CHECK(facts->no_control);
        break;
    case PLAN_TRANSITION:
        CHECK(whole && facts->transitions && p->statement.len > 0 && p->effect == EFFECT_NONE);
        CHECK(p->statement.kind == STATEMENT_VSCHEMA || p->statement.transition != TRANSITION_NONE);
        break;
    case PLAN_KILL:
        CHECK(whole && p->kill_id < UINT64_C(10000000000));
        break;
    }
}

/* What is decided upon a part must hold for the whole. */
static void check_parts(const struct plan_facts *facts, const char *text, size_t len, bool prepare,
                        struct prepared *named)
{
    struct plan whole = plan_text(facts, text, len, true, false, prepare, find_named, named);

    for (size_t cut = 0; cut < len; cut += 1 + cut / 4) {
        char *part = (char *)fuzz_copy(text, cut);
        struct plan p = plan_text(facts, part, cut, false, true, prepare, find_named, named);

        check_plan(&p, facts, false, true);
        if (p.action != PLAN_MORE) {
            CHECK(p.action == PLAN_FORWARD && p.effect == EFFECT_NONE && !p.passed);
            CHECK(whole.action == PLAN_FORWARD && whole.effect == EFFECT_NONE && !whole.passed);
        }
        free(part);
    }
}

static void check_prepared(const struct plan_facts *facts, const struct prepared *prepared,
                           bool whole)
{
    struct plan p = plan_execute(facts, prepared);

    check_plan(&p, facts, true, false);
    check_inside(p.name, "", 0, prepared);
    CHECK(whole || p.action != PLAN_MIGRATE);
    if (!whole && facts->holds->n > 0 && !facts->in_transaction &&
        facts->holds->items[0].scope == HOLD_ALL && facts->holds->items[0].kinds == 0)
        CHECK(p.action == PLAN_PARK || prepared->kind != STATEMENT_EMPTY);
}

static void fuzz(const struct plan_facts *facts, const char *text, size_t len, uint8_t how)
{
    bool whole = how & 4, may_grow = how & 8, prepare = how & 16;
    struct prepared named, other;

    prepared_init(&named, text, len, whole);
    check_prepared(facts, &named, whole);
    struct plan p = plan_text(facts, text, len, whole, may_grow, prepare, find_named, &named);

    check_plan(&p, facts, whole, may_grow);
    if (whole && !prepare && facts->holds->n == 0 && !facts->collecting && !facts->fenced &&
        plan_is_plain(facts->multi_statements, text, len))
        CHECK(p.action == PLAN_FORWARD && p.effect == EFFECT_NONE && !p.passed);
    check_inside(p.name, text, len, &named);
    check_inside(p.body, text, len, NULL);
    if (p.action == PLAN_MIGRATE) {
        CHECK(whole);
        check_inside((struct sql_name){p.statement.text, p.statement.len}, text, len, &named);
    }
    if (p.effect == EFFECT_PREPARE_NAMED && p.body.text) {
        char *literal = malloc(p.body.len + 1);

        CHECK(literal);
        size_t n = lexer_unescape(literal, p.body.text, p.body.len, p.body.text[-1]);
        CHECK(n <= p.body.len);
        prepared_init(&other, literal, n, true);
        free(literal);
        check_prepared(facts, &other, true);
        prepared_fini(&other);
    }
    check_parts(facts, text, len, prepare, &named);
    prepared_fini(&named);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    static const struct names touched = {.everything = false};
    struct hold_set *holds = hold_set_create(data[1] & 3 ? 1 : 0);
    const struct plan_facts facts = {
        .database = DATABASES[data[0] >> 4 & 3],
        .holds = holds,
        .in_transaction = data[0] & 1,
        .multi_statements = data[0] & 2,
        .strategy_own = data[0] & 4,
        .intercept = data[0] & 8,
        .transitions = data[0] & 8,
        .collecting = (data[0] & 8) && (data[1] & 128),
        .no_control = data[0] & 64,
        .touched = data[0] & 128 ? &touched : NULL,
    };
    if (holds->n > 0) {
        holds->items[0].scope = (enum hold_scope)((data[1] & 3) - 1);
        holds->items[0].kinds = data[1] & 32 ? data[1] >> 6 : 0;
        strcpy(holds->items[0].keyspace, "ks");
        strcpy(holds->items[0].table, "t");
        hold_set_seal(holds);
    }
    char *text = (char *)fuzz_copy(data + 2, size - 2);

    fuzz(&facts, text, size - 2, data[1]);
    free(text);
    hold_set_release(holds);
    return 0;
}
