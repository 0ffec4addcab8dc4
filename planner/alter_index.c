/*
 * Keys and constraints, as they stand in CREATE TABLE and behind ADD.
 */
#include "planner/alter_scan.h"

/* USING BTREE | HASH, or TYPE in older texts. */
static bool scan_using(struct ddl_scan *s)
{
    if (!scan_accept(s, "USING"))
        return false;
    scan_name(s);
    return true;
}

static bool scan_index_option(struct ddl_scan *s, struct ddl_index *index)
{
    static const char *const VALUED[] = {"KEY_BLOCK_SIZE", "COMMENT", "ENGINE_ATTRIBUTE",
                                         "SECONDARY_ENGINE_ATTRIBUTE"};

    if (scan_accept(s, "INVISIBLE")) {
        index->invisible = true;
        return true;
    }
    if (scan_accept(s, "VISIBLE"))
        return true;
    if (scan_accept(s, "WITH")) {
        scan_expect(s, "PARSER");
        scan_name(s);
        return true;
    }
    for (size_t i = 0; i < sizeof(VALUED) / sizeof(*VALUED); i++) {
        if (scan_accept(s, VALUED[i])) {
            scan_accept_char(s, '=');
            scan_value(s);
            return true;
        }
    }
    return scan_using(s);
}

void scan_index_options(struct ddl_scan *s, struct ddl_index *index)
{
    while (!s->failed && scan_index_option(s, index))
        continue;
}

void scan_index(struct ddl_scan *s, struct ddl_action *a, enum ddl_index_type type)
{
    a->index.type = type;
    a->conditional = scan_condition(s);
    if (!token_is_char(&s->t, '(') && !token_is(&s->t, "USING"))
        a->name = scan_name(s);
    scan_using(s);
    scan_index_parts(s, &a->index);
    scan_index_options(s, &a->index);
}

static void scan_primary(struct ddl_scan *s)
{
    struct ddl_action *a = scan_action(s, DDL_ADD_PRIMARY_KEY);

    scan_expect(s, "KEY");
    if (s->t.kind == TOKEN_QUOTED) /* a name, which MySQL ignores */
        scan_name(s);
    scan_using(s);
    a->index.type = DDL_INDEX_UNIQUE;
    scan_index_parts(s, &a->index);
    scan_index_options(s, &a->index);
}

static void scan_unique(struct ddl_scan *s, struct sql_name symbol)
{
    struct ddl_action *a = scan_action(s, DDL_ADD_INDEX);

    if (!scan_accept(s, "KEY"))
        scan_accept(s, "INDEX");
    scan_index(s, a, DDL_INDEX_UNIQUE);
    if (!a->name.text)
        a->name = symbol;
}

static void scan_foreign(struct ddl_scan *s, struct sql_name symbol)
{
    struct ddl_action *a = scan_action(s, DDL_ADD_FOREIGN_KEY);

    a->name = symbol;
    scan_expect(s, "KEY");
    a->conditional = scan_condition(s);
    if (!token_is_char(&s->t, '(')) {
        struct sql_name index = scan_name(s);

        if (!a->name.text)
            a->name = index;
    }
    scan_index_parts(s, &a->index);
    scan_expect(s, "REFERENCES");
    scan_references(s);
}

static void scan_check_constraint(struct ddl_scan *s, struct sql_name symbol)
{
    struct ddl_action *a = scan_action(s, DDL_ADD_CHECK);

    a->name = symbol;
    scan_parentheses(s);
    if (token_is(&s->t, "NOT") && scan_next_is(s, "ENFORCED"))
        scan_advance(s);
    scan_accept(s, "ENFORCED");
}

/* CONSTRAINT [symbol] PRIMARY | UNIQUE | FOREIGN | CHECK */
static bool scan_constraint(struct ddl_scan *s)
{
    struct sql_name symbol = {NULL, 0};
    bool named = scan_accept(s, "CONSTRAINT");

    if (named && !token_is(&s->t, "PRIMARY") && !token_is(&s->t, "UNIQUE") &&
        !token_is(&s->t, "FOREIGN") && !token_is(&s->t, "CHECK"))
        symbol = scan_name(s);
    if (token_is(&s->t, "PRIMARY") && scan_next_is(s, "KEY")) {
        scan_advance(s);
        scan_primary(s);
    } else if (scan_accept(s, "UNIQUE")) {
        scan_unique(s, symbol);
    } else if (token_is(&s->t, "FOREIGN") && scan_next_is(s, "KEY")) {
        scan_advance(s);
        scan_foreign(s, symbol);
    } else if (scan_accept(s, "CHECK")) {
        scan_check_constraint(s, symbol);
    } else {
        s->failed = s->failed || named;
        return named;
    }
    return true;
}

bool scan_key_definition(struct ddl_scan *s)
{
    if (scan_accept(s, "INDEX") || scan_accept(s, "KEY")) {
        scan_index(s, scan_action(s, DDL_ADD_INDEX), DDL_INDEX_PLAIN);
        return true;
    }
    bool spatial = token_is(&s->t, "SPATIAL");

    if (scan_accept(s, "FULLTEXT") || scan_accept(s, "SPATIAL")) {
        if (!scan_accept(s, "KEY"))
            scan_accept(s, "INDEX");
        scan_index(s, scan_action(s, DDL_ADD_INDEX),
                   spatial ? DDL_INDEX_SPATIAL : DDL_INDEX_FULLTEXT);
        return true;
    }
    return scan_constraint(s);
}
