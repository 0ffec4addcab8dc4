/*
 * The clauses of ALTER TABLE, and the definitions of a CREATE TABLE. A clause that is not
 * understood is skipped up to the comma behind it and leaves a DDL_UNKNOWN.
 */
#include "planner/alter_scan.h"

static void scan_column_definition(struct ddl_scan *s)
{
    struct ddl_action *a = scan_action(s, DDL_ADD_COLUMN);

    a->conditional = scan_condition(s);
    a->name = scan_name(s);
    scan_column(s, a);
}

/* Of a list in parentheses: columns and keys. */
void scan_definitions(struct ddl_scan *s)
{
    scan_accept_char(s, '(');
    do {
        if (!scan_key_definition(s))
            scan_column_definition(s);
    } while (!s->failed && scan_accept_char(s, ','));
    if (!scan_accept_char(s, ')'))
        s->failed = true;
}

static void scan_partition(struct ddl_scan *s, struct sql_name verb)
{
    struct ddl_action *a = scan_action(s, DDL_PARTITION);

    a->value = verb;
    /* Whatever it names: DROP PARTITION p0, p1 has commas of its own, and nothing may follow. */
    while (!scan_at_end(s)) {
        if (token_is(&s->t, "SUBPARTITION") || token_is(&s->t, "SUBPARTITIONS"))
            s->ddl->subpartitions = true;
        if (token_is_char(&s->t, '('))
            scan_parentheses(s);
        else
            scan_advance(s);
        if (s->failed)
            return;
    }
}

static void clause_add(struct ddl_scan *s)
{
    if (token_is(&s->t, "PARTITION")) {
        scan_partition(s, (struct sql_name){"ADD", 3});
        return;
    }
    if (scan_key_definition(s))
        return;
    scan_accept(s, "COLUMN");
    if (token_is_char(&s->t, '('))
        scan_definitions(s);
    else
        scan_column_definition(s);
}

void scan_dropped(struct ddl_scan *s, enum ddl_action_kind kind)
{
    struct ddl_action *a = scan_action(s, kind);

    a->conditional = scan_condition(s);
    a->name = scan_name(s);
}

static void clause_drop(struct ddl_scan *s)
{
    if (token_is(&s->t, "PARTITION")) {
        scan_partition(s, (struct sql_name){"DROP", 4});
    } else if (scan_accept(s, "INDEX") || scan_accept(s, "KEY")) {
        scan_dropped(s, DDL_DROP_INDEX);
    } else if (token_is(&s->t, "PRIMARY") && scan_next_is(s, "KEY")) {
        scan_advance(s);
        scan_advance(s);
        scan_action(s, DDL_DROP_PRIMARY_KEY);
    } else if (token_is(&s->t, "FOREIGN") && scan_next_is(s, "KEY")) {
        scan_advance(s);
        scan_advance(s);
        scan_dropped(s, DDL_DROP_FOREIGN_KEY);
    } else if (scan_accept(s, "CHECK") || scan_accept(s, "CONSTRAINT")) {
        scan_dropped(s, DDL_DROP_CONSTRAINT);
    } else {
        scan_accept(s, "COLUMN");
        scan_dropped(s, DDL_DROP_COLUMN);
        if (!scan_accept(s, "RESTRICT"))
            scan_accept(s, "CASCADE");
    }
}

static void clause_change(struct ddl_scan *s)
{
    struct ddl_action *a = scan_action(s, DDL_CHANGE_COLUMN);

    scan_accept(s, "COLUMN");
    a->conditional = scan_condition(s);
    a->name = scan_name(s);
    a->new_name = scan_name(s);
    scan_column(s, a);
}

static void clause_modify(struct ddl_scan *s)
{
    struct ddl_action *a = scan_action(s, DDL_MODIFY_COLUMN);

    scan_accept(s, "COLUMN");
    a->conditional = scan_condition(s);
    a->name = scan_name(s);
    scan_column(s, a);
}

static void clause_rename(struct ddl_scan *s)
{
    struct sql_name qualifier;
    bool column = token_is(&s->t, "COLUMN");
    bool index = token_is(&s->t, "INDEX") || token_is(&s->t, "KEY");
    struct ddl_action *a = scan_action(s, column  ? DDL_RENAME_COLUMN
                                          : index ? DDL_RENAME_INDEX
                                                  : DDL_RENAME_TABLE);

    if (column || index) {
        scan_advance(s);
        a->name = scan_name(s);
        scan_expect(s, "TO");
        a->new_name = scan_name(s);
        return;
    }
    if (!scan_accept(s, "TO") && !scan_accept(s, "AS"))
        scan_accept_char(s, '=');
    a->name = s->ddl->table;
    a->new_name = scan_table(s, &qualifier);
}

/* [NOT] ENFORCED */
static void scan_enforced(struct ddl_scan *s)
{
    scan_accept(s, "NOT");
    scan_expect(s, "ENFORCED");
}

static void clause_alter_column(struct ddl_scan *s)
{
    struct ddl_action *a = scan_action(s, DDL_ALTER_COLUMN);

    scan_accept(s, "COLUMN");
    a->name = scan_name(s);
    a->value = (struct sql_name){s->t.text, s->t.len};
    if (scan_accept(s, "DROP")) {
        scan_expect(s, "DEFAULT");
        return;
    }
    scan_expect(s, "SET");
    if (scan_accept(s, "VISIBLE") || scan_accept(s, "INVISIBLE"))
        return;
    scan_expect(s, "DEFAULT");
    scan_default(s, &a->column);
}

static void clause_alter(struct ddl_scan *s)
{
    struct ddl_action *a;

    if (scan_accept(s, "INDEX") || scan_accept(s, "KEY")) {
        a = scan_action(s, DDL_ALTER_INDEX);
        a->name = scan_name(s);
        a->value = (struct sql_name){s->t.text, s->t.len};
        if (!scan_accept(s, "VISIBLE"))
            scan_expect(s, "INVISIBLE");
    } else if (scan_accept(s, "CHECK") || scan_accept(s, "CONSTRAINT")) {
        a = scan_action(s, DDL_ALTER_CONSTRAINT);
        a->name = scan_name(s);
        scan_enforced(s);
    } else {
        clause_alter_column(s);
    }
}

static void clause_convert(struct ddl_scan *s)
{
    struct ddl_action *a = scan_action(s, DDL_CONVERT);

    scan_expect(s, "TO");
    if (scan_accept(s, "CHARACTER"))
        scan_expect(s, "SET");
    else
        scan_expect(s, "CHARSET");
    a->value = scan_value(s);
    if (scan_accept(s, "COLLATE"))
        a->new_name = scan_value(s);
}

static void clause_valued(struct ddl_scan *s, enum ddl_action_kind kind)
{
    scan_accept_char(s, '=');
    struct sql_name value = scan_value(s);

    scan_action(s, kind)->value = value;
}

void scan_algorithm(struct ddl_scan *s)
{
    clause_valued(s, DDL_ALGORITHM);
}

void scan_lock(struct ddl_scan *s)
{
    clause_valued(s, DDL_LOCK);
}

static void clause_force(struct ddl_scan *s)
{
    scan_action(s, DDL_FORCE);
}

static void clause_order(struct ddl_scan *s)
{
    scan_expect(s, "BY");
    scan_action(s, DDL_ORDER_BY);
    scan_name(s);
    if (!scan_accept(s, "ASC"))
        scan_accept(s, "DESC");
    /* More columns would stand behind commas, where a clause is expected: not understood. */
}

void scan_partition_clause(struct ddl_scan *s)
{
    scan_expect(s, "BY");
    scan_partition_by(s);
}

static void clause_remove(struct ddl_scan *s)
{
    scan_expect(s, "PARTITIONING");
    scan_action(s, DDL_PARTITION)->value = (struct sql_name){"REMOVE", 6};
}

static const struct {
    const char *word;
    void (*scan)(struct ddl_scan *s);
} CLAUSES[] = {
    {"ADD", clause_add},         {"DROP", clause_drop},
    {"CHANGE", clause_change},   {"MODIFY", clause_modify},
    {"RENAME", clause_rename},   {"ALTER", clause_alter},
    {"CONVERT", clause_convert}, {"ALGORITHM", scan_algorithm},
    {"LOCK", scan_lock},         {"FORCE", clause_force},
    {"ORDER", clause_order},     {"PARTITION", scan_partition_clause},
    {"REMOVE", clause_remove},
};

/* TRUNCATE PARTITION p0 ... : verbs of partitions. */
static bool scan_partition_verb(struct ddl_scan *s)
{
    static const char *const VERBS[] = {"TRUNCATE", "COALESCE", "REORGANIZE", "EXCHANGE",
                                        "ANALYZE",  "CHECK",    "OPTIMIZE",   "REBUILD",
                                        "REPAIR",   "DISCARD",  "IMPORT"};
    struct sql_name verb = {s->t.text, s->t.len};

    for (size_t i = 0; i < sizeof(VERBS) / sizeof(*VERBS); i++) {
        if (token_is(&s->t, VERBS[i]) && scan_next_is(s, "PARTITION")) {
            scan_advance(s);
            scan_partition(s, verb);
            return true;
        }
    }
    return false;
}

/* Options may follow each other without commas. */
static bool scan_options(struct ddl_scan *s)
{
    if (!scan_option(s))
        return false;
    while (!s->failed && scan_option(s))
        continue;
    return true;
}

static void scan_clause(struct ddl_scan *s)
{
    for (size_t i = 0; i < sizeof(CLAUSES) / sizeof(*CLAUSES); i++) {
        if (scan_accept(s, CLAUSES[i].word)) {
            CLAUSES[i].scan(s);
            return;
        }
    }
    if (!scan_partition_verb(s) && !scan_options(s))
        s->failed = true;
}

static bool clause_has_ended(const struct ddl_scan *s)
{
    return scan_at_end(s) || token_is_char(&s->t, ',');
}

/* PARTITION BY may stand behind the last clause without a comma. */
bool scan_sees_partitions(const struct ddl_scan *s)
{
    return token_is(&s->t, "PARTITION") && scan_next_is(s, "BY");
}

/* To the comma that ends the clause. */
static void skip_clause(struct ddl_scan *s)
{
    size_t depth = 0;

    scan_action(s, DDL_UNKNOWN);
    s->ddl->understood = false;
    for (; !scan_at_end(s); scan_advance(s)) {
        if (depth == 0 && token_is_char(&s->t, ','))
            return;
        if (token_is_char(&s->t, '('))
            depth++;
        else if (token_is_char(&s->t, ')') && depth > 0)
            depth--;
    }
}

void scan_clauses(struct ddl_scan *s)
{
    if (scan_at_end(s)) { /* ALTER TABLE t: MySQL takes it, and does nothing */
        s->ddl->understood = false;
        return;
    }
    do {
        s->failed = false;
        scan_clause(s);
        if (!s->failed && scan_sees_partitions(s)) {
            scan_advance(s);
            scan_partition_clause(s);
        }
        if (s->failed || !clause_has_ended(s))
            skip_clause(s);
    } while (scan_accept_char(s, ','));
    if (!scan_at_end(s))
        s->ddl->understood = false;
}
