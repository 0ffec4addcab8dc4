/*
 * SET: whether it sets ddl_strategy, for whom, and whether back to the default.
 */
#include <string.h>

#include "planner/ascii.h"
#include "planner/classify_scan.h"

enum scope { SCOPE_NONE, SCOPE_SESSION, SCOPE_GLOBAL };

static enum scope find_scope(const struct sql_name *n)
{
    static const struct {
        const char *word;
        enum scope scope;
    } scopes[] = {
        {"SESSION", SCOPE_SESSION}, {"LOCAL", SCOPE_SESSION},       {"GLOBAL", SCOPE_GLOBAL},
        {"PERSIST", SCOPE_GLOBAL},  {"PERSIST_ONLY", SCOPE_GLOBAL},
    };
    for (size_t i = 0; i < sizeof scopes / sizeof *scopes; i++) {
        if (ascii_equals(n->text, n->len, scopes[i].word, strlen(scopes[i].word)))
            return scopes[i].scope;
    }
    return SCOPE_NONE;
}

static bool is_ddl_strategy(const struct sql_name *n)
{
    static const char name[] = "DDL_STRATEGY";
    return ascii_equals(n->text, n->len, name, sizeof name - 1);
}

static struct sql_name without_backticks(struct sql_name n)
{
    if (n.len >= 2 && n.text[0] == '`' && n.text[n.len - 1] == '`')
        return (struct sql_name){.text = n.text + 1, .len = n.len - 2};
    return n;
}

/* The text of @@name or @@scope.name: the scope, and whether the name is ddl_strategy. */
static bool variable_is_ddl_strategy(const struct token *t, enum scope *scope)
{
    struct sql_name n = {.text = t->text + 2, .len = t->len - 2};
    n = without_backticks(n);
    const char *dot = memchr(n.text, '.', n.len);
    if (dot != NULL) {
        struct sql_name prefix = {.text = n.text, .len = (size_t)(dot - n.text)};
        prefix = without_backticks(prefix);
        *scope = find_scope(&prefix);
        if (*scope == SCOPE_NONE)
            return false;
        n = (struct sql_name){.text = dot + 1, .len = (size_t)(t->text + t->len - dot - 1)};
        n = without_backticks(n);
    }
    return is_ddl_strategy(&n);
}

/* The left side of one assignment; true if it is ddl_strategy. */
static bool parse_set_variable(struct scan *s, enum scope *scope)
{
    bool found = false;
    *scope = SCOPE_NONE;
    if (s->t.kind == TOKEN_VARIABLE) {
        if (s->t.len > 2 && s->t.text[1] == '@')
            found = variable_is_ddl_strategy(&s->t, scope);
        scan_advance(s);
        return found;
    }
    if (s->t.kind == TOKEN_WORD) {
        struct sql_name word = scan_name(&s->t);
        *scope = find_scope(&word);
        if (*scope != SCOPE_NONE)
            scan_advance(s);
    }
    if (s->t.kind == TOKEN_WORD || s->t.kind == TOKEN_QUOTED) {
        struct sql_name name = scan_name(&s->t);
        found = is_ddl_strategy(&name);
        scan_advance(s);
    }
    return found;
}

/* To the ',' that ends this assignment, or the end of the statement. */
static void skip_expression(struct scan *s)
{
    size_t depth = 0;
    while (!scan_at_end(s) && (depth > 0 || !token_is_char(&s->t, ','))) {
        if (token_is_char(&s->t, '('))
            depth++;
        else if (token_is_char(&s->t, ')') && depth > 0)
            depth--;
        scan_advance(s);
    }
}

/* DEFAULT, or the empty string: vtgate knows only the latter as the way back to its default. */
static bool accept_default(struct scan *s)
{
    if (s->t.kind != TOKEN_STRING || s->t.len > 0)
        return scan_accept(s, "DEFAULT");
    scan_advance(s);
    return true;
}

void classify_set(struct scan *s, struct statement *out)
{
    bool for_session = false;
    do {
        enum scope scope;
        bool found = parse_set_variable(s, &scope);
        scan_accept_char(s, ':'); /* := */
        if (found && scan_accept_char(s, '=')) {
            bool is_default = accept_default(s) && (scan_at_end(s) || token_is_char(&s->t, ','));
            out->sets_ddl_strategy = true;
            if (scope != SCOPE_GLOBAL) {
                for_session = true;
                out->ddl_strategy_default = is_default;
            }
        }
        skip_expression(s);
    } while (scan_accept_char(s, ','));
    out->sets_global = out->sets_ddl_strategy && !for_session;
}
