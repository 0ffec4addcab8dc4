/*
 * The statements.
 *
 * Invariant: `understood` is true only if every token up to the end was accounted for.
 */
#include "planner/alter.h"

#include <stdio.h>
#include <stdlib.h>

#include "planner/alter_scan.h"

static void parse_alter_table(struct ddl_scan *s)
{
    struct ddl *d = s->ddl;

    d->verb = DDL_ALTER;
    while (scan_accept(s, "ONLINE") || scan_accept(s, "OFFLINE") || scan_accept(s, "IGNORE"))
        continue;
    if (!scan_accept(s, "TABLE"))
        return;
    d->object = DDL_OBJECT_TABLE;
    d->understood = true;
    d->conditional = scan_condition(s);
    d->table = scan_table(s, &d->qualifier);
    if (s->failed)
        d->understood = false;
    else
        scan_clauses(s);
}

/* Behind the definitions: options, with or without commas, partitions. */
static void scan_table_tail(struct ddl_scan *s)
{
    while (!s->failed && !scan_at_end(s)) {
        scan_accept_char(s, ',');
        if (scan_sees_partitions(s)) {
            scan_advance(s);
            scan_partition_clause(s);
        } else if (token_is(&s->t, "AS") || token_is(&s->t, "SELECT") ||
                   token_is(&s->t, "IGNORE") || token_is(&s->t, "REPLACE")) {
            scan_action(s, DDL_SELECT);
            s->failed = true; /* its columns are the query's */
        } else if (!scan_option(s)) {
            s->failed = true;
        }
    }
}

static void parse_create_table(struct ddl_scan *s)
{
    struct ddl *d = s->ddl;
    struct sql_name qualifier;

    d->object = DDL_OBJECT_TABLE;
    d->conditional = scan_condition(s);
    d->table = scan_table(s, &d->qualifier);
    if (scan_accept(s, "LIKE")) {
        scan_action(s, DDL_LIKE)->name = scan_table(s, &qualifier);
        s->failed = s->failed || !scan_at_end(s);
    } else if (token_is_char(&s->t, '(') && !scan_next_is(s, "LIKE") &&
               !scan_next_is(s, "SELECT")) {
        scan_definitions(s);
        scan_table_tail(s);
    } else {
        s->failed = true;
    }
    d->understood = !s->failed;
}

/* The rest of CREATE | DROP INDEX: ALGORITHM, LOCK. */
static void scan_index_tail(struct ddl_scan *s)
{
    while (!s->failed && !scan_at_end(s)) {
        if (scan_accept(s, "ALGORITHM"))
            scan_algorithm(s);
        else if (scan_accept(s, "LOCK"))
            scan_lock(s);
        else
            s->failed = true;
    }
    s->ddl->understood = !s->failed;
}

static void parse_create_index(struct ddl_scan *s, enum ddl_index_type type)
{
    struct ddl *d = s->ddl;
    struct ddl_action *a = scan_action(s, DDL_ADD_INDEX);

    d->object = DDL_OBJECT_INDEX;
    a->index.type = type;
    a->conditional = scan_condition(s);
    a->name = scan_name(s);
    if (scan_accept(s, "USING"))
        scan_name(s);
    scan_expect(s, "ON");
    d->table = scan_table(s, &d->qualifier);
    scan_index_parts(s, &a->index);
    scan_index_options(s, &a->index);
    scan_index_tail(s);
}

static void parse_create(struct ddl_scan *s)
{
    enum ddl_index_type type = DDL_INDEX_PLAIN;

    s->ddl->verb = DDL_CREATE;
    s->ddl->temporary = scan_accept(s, "TEMPORARY");
    if (scan_accept(s, "TABLE")) {
        parse_create_table(s);
        return;
    }
    if (scan_accept(s, "UNIQUE"))
        type = DDL_INDEX_UNIQUE;
    else if (scan_accept(s, "FULLTEXT"))
        type = DDL_INDEX_FULLTEXT;
    else if (scan_accept(s, "SPATIAL"))
        type = DDL_INDEX_SPATIAL;
    if (scan_accept(s, "INDEX"))
        parse_create_index(s, type);
}

static void parse_drop_tables(struct ddl_scan *s)
{
    struct ddl *d = s->ddl;

    d->object = DDL_OBJECT_TABLE;
    d->conditional = scan_condition(s);
    do {
        struct ddl_action *a = scan_action(s, DDL_DROP_TABLE);

        a->name = scan_table(s, &a->value);
    } while (!s->failed && scan_accept_char(s, ','));
    if (!scan_accept(s, "RESTRICT"))
        scan_accept(s, "CASCADE");
    d->table = d->actions[0].name;
    d->qualifier = d->actions[0].value;
    d->understood = !s->failed && scan_at_end(s);
}

static void parse_drop(struct ddl_scan *s)
{
    struct ddl *d = s->ddl;

    d->verb = DDL_DROP;
    d->temporary = scan_accept(s, "TEMPORARY");
    if (scan_accept(s, "TABLE") || scan_accept(s, "TABLES")) {
        parse_drop_tables(s);
    } else if (scan_accept(s, "INDEX")) {
        d->object = DDL_OBJECT_INDEX;
        scan_dropped(s, DDL_DROP_INDEX);
        scan_expect(s, "ON");
        d->table = scan_table(s, &d->qualifier);
        scan_index_tail(s);
    }
}

static void parse_rename(struct ddl_scan *s)
{
    struct ddl *d = s->ddl;

    d->verb = DDL_RENAME;
    if (!scan_accept(s, "TABLE") && !scan_accept(s, "TABLES"))
        return;
    d->object = DDL_OBJECT_TABLE;
    do {
        struct ddl_action *a = scan_action(s, DDL_RENAME_TABLE);

        a->name = scan_table(s, &a->value);
        scan_expect(s, "TO");
        a->new_name = scan_table(s, &a->new_value);
    } while (!s->failed && scan_accept_char(s, ','));
    d->table = d->actions[0].name;
    d->qualifier = d->actions[0].value;
    d->understood = !s->failed && scan_at_end(s);
}

/* A clause with IF [NOT] EXISTS: whether it does anything is not for us to say. */
static bool is_conditional(const struct ddl *d)
{
    for (size_t i = 0; i < d->n; i++) {
        if (d->actions[i].conditional)
            return true;
    }
    return false;
}

struct ddl *ddl_parse(const char *sql, size_t len)
{
    struct ddl *d = calloc(1, sizeof(*d));
    struct ddl_scan s;

    if (!d) {
        fputs("vtshim: out of memory\n", stderr);
        abort();
    }
    scan_begin(&s, sql, len, d);
    if (scan_accept(&s, "ALTER"))
        parse_alter_table(&s);
    else if (scan_accept(&s, "CREATE"))
        parse_create(&s);
    else if (scan_accept(&s, "DROP"))
        parse_drop(&s);
    else if (scan_accept(&s, "RENAME"))
        parse_rename(&s);
    if (s.lx.truncated || is_conditional(d))
        d->understood = false;
    return d;
}

void ddl_free(struct ddl *d)
{
    if (!d)
        return;
    free(d->actions);
    free(d->parts);
    free(d);
}

const char *ddl_action_name(enum ddl_action_kind kind)
{
    static const char *const NAMES[] = {
#define X(NAME, text) [DDL_##NAME] = text,
        DDL_ACTIONS(X)
#undef X
    };
    return NAMES[kind];
}
