/*
 * The rules that refuse, one function each, in the order of preflight.def. Where MySQL has an error
 * of its own, its code and text are used (MySQL manual, "Server Error Message Reference").
 */
#include <stdlib.h>
#include <string.h>

#include "planner/column_type.h"
#include "planner/preflight_internal.h"

/* That of a table's name in the statement; absent: not known. */
static struct sql_name keyspace_of(const struct preflight *p, struct sql_name written)
{
    const char *session = p->facts->session_keyspace;

    if (written.len == 0 && session && *session)
        return (struct sql_name){session, strlen(session)};
    return written;
}

static bool differ(struct sql_name a, struct sql_name b)
{
    return a.len > 0 && b.len > 0 && (a.len != b.len || memcmp(a.text, b.text, a.len) != 0);
}

/* vtgate would refuse it, too: after what the shim does before a migration, and in other words. */
void rule_keyspaces(struct preflight *p)
{
    struct sql_name first = keyspace_of(p, p->d->qualifier);

    if (p->d->verb != DDL_DROP && p->d->verb != DDL_RENAME)
        return;
    EACH_ACTION(p, a)
    {
        struct sql_name from = keyspace_of(p, a->value);
        bool renamed = a->kind == DDL_RENAME_TABLE;

        if (a->kind != DDL_DROP_TABLE && !renamed)
            continue;
        if (renamed && differ(from, a->new_value)) {
            preflight_find(p, 1450, "HY000", "Changing schema from '%.*s' to '%.*s' is not allowed",
                           NAME(from), NAME(a->new_value));
            return;
        }
        if (differ(first, from)) {
            preflight_find(p, NOT_SUPPORTED,
                           "tables of two keyspaces, %.*s and %.*s, in one statement are not "
                           "supported: nothing was done; run one statement for each",
                           NAME(first), NAME(from));
            return;
        }
    }
}

void rule_rename_table(struct preflight *p)
{
    EACH_ACTION(p, a)
    {
        if (a->kind == DDL_RENAME_TABLE) {
            preflight_find(p, NOT_SUPPORTED,
                           "ALTER TABLE ... RENAME is not supported in online DDL");
            return;
        }
    }
}

/* --- what is not there, or twice ------------------------------------------------------------- */

/* DROP TABLE: each of them, on each shard. */
static void find_missing_tables(struct preflight *p)
{
    const struct preflight_facts *f = p->facts;

    for (size_t i = 0; i < f->table_count; i++) {
        const struct table_fact *t = &f->tables[i];
        bool everywhere = t->missing_on == f->shard_count;

        if (t->missing_on > 0)
            preflight_find(p, 1051, "42S02", "Unknown table '%s.%s'%s%s%s", f->keyspace, t->name,
                           everywhere ? "" : " (on ", everywhere ? "" : t->shard,
                           everywhere          ? ""
                           : t->missing_on > 1 ? ", ...)"
                                               : ")");
    }
}

void rule_missing_table(struct preflight *p)
{
    const struct ddl *d = p->d;
    const char *ks = p->facts->keyspace;

    if (d->verb == DDL_CREATE && d->object == DDL_OBJECT_TABLE) {
        if (p->facts->table && !d->conditional)
            preflight_find(p, 1050, "42S01", "Table '%.*s' already exists", NAME(d->table));
    } else if (d->verb == DDL_DROP && d->object == DDL_OBJECT_TABLE && !d->conditional &&
               p->facts->shard_count > 0) {
        find_missing_tables(p);
    } else if (!p->facts->table_missing || d->conditional || d->verb == DDL_RENAME) {
        return;
    } else if (d->verb == DDL_DROP && d->object == DDL_OBJECT_TABLE) {
        preflight_find(p, 1051, "42S02", "Unknown table '%s.%.*s'", ks, NAME(d->table));
    } else {
        preflight_find(p, 1146, "42S02", "Table '%s.%.*s' doesn't exist", ks, NAME(d->table));
    }
}

/* Whether a name is missing for certain: one with letters beyond ASCII may be there in another
   case. */
static bool lacks_column(const struct shape *s, struct sql_name name)
{
    return ddl_name_is_ascii(name) && !shape_column(s, name);
}

/* Whether an action before this one has dropped the same column. */
static bool dropped_before(const struct preflight *p, const struct ddl_action *until)
{
    for (const struct ddl_action *a = p->d->actions; a < until; a++) {
        if (a->kind == DDL_DROP_COLUMN && ddl_same_name(a->name, until->name))
            return true;
    }
    return false;
}

static void find_key_columns(struct preflight *p, const struct ddl_action *a)
{
    for (size_t i = 0; i < a->index.parts; i++) {
        struct sql_name part = p->d->parts[a->index.first_part + i];

        if (part.text && lacks_column(&p->after, part))
            preflight_find(p, 1072, "42000", "Key column '%.*s' doesn't exist in table",
                           NAME(part));
    }
}

void rule_missing_column(struct preflight *p)
{
    if (!p->shaped)
        return;
    EACH_ACTION(p, a)
    {
        bool named =
            changes_column(a) || a->kind == DDL_RENAME_COLUMN || a->kind == DDL_ALTER_COLUMN;

        if (a->kind == DDL_DROP_COLUMN &&
            (lacks_column(&p->before, a->name) || dropped_before(p, a)))
            preflight_find(p, 1091, "42000", "Can't DROP '%.*s'; check that column/key exists",
                           NAME(a->name));
        else if (named && lacks_column(&p->before, a->name))
            preflight_find(p, 1054, "42S22", "Unknown column '%.*s' in '%.*s'", NAME(a->name),
                           NAME(table_of(p)));
        if (a->after.text && lacks_column(&p->after, a->after) &&
            lacks_column(&p->before, a->after))
            preflight_find(p, 1054, "42S22", "Unknown column '%.*s' in '%.*s'", NAME(a->after),
                           NAME(table_of(p)));
        if (a->kind == DDL_ADD_INDEX || a->kind == DDL_ADD_PRIMARY_KEY)
            find_key_columns(p, a);
    }
}

static bool lacks_index(const struct preflight *p, struct sql_name name)
{
    return ddl_name_is_ascii(name) && !shape_key(&p->before, name);
}

void rule_missing_index(struct preflight *p)
{
    static const struct sql_name PRIMARY = {"PRIMARY", 7};

    if (!p->shaped)
        return;
    EACH_ACTION(p, a)
    {
        struct sql_name name = a->kind == DDL_DROP_PRIMARY_KEY ? PRIMARY : a->name;
        bool renamed = a->kind == DDL_RENAME_INDEX || a->kind == DDL_ALTER_INDEX;

        if ((a->kind == DDL_DROP_INDEX || a->kind == DDL_DROP_PRIMARY_KEY) && lacks_index(p, name))
            preflight_find(p, 1091, "42000", "Can't DROP '%.*s'; check that column/key exists",
                           NAME(name));
        else if (renamed && lacks_index(p, name))
            preflight_find(p, 1176, "42000", "Key '%.*s' doesn't exist in table '%.*s'", NAME(name),
                           NAME(table_of(p)));
    }
}

void rule_duplicate_column(struct preflight *p)
{
    for (size_t i = 0; p->shaped && i < p->after.n; i++) {
        const struct shape_column *first = shape_column(&p->after, p->after.columns[i].name);

        if (first != &p->after.columns[i])
            preflight_find(p, 1060, "42S21", "Duplicate column name '%.*s'",
                           NAME(p->after.columns[i].name));
    }
}

void rule_duplicate_index(struct preflight *p)
{
    for (size_t i = 0; p->shaped && i < p->after.key_count; i++) {
        const struct shape_key *k = &p->after.keys[i];
        const struct shape_key *first = k->name.text ? shape_key(&p->after, k->name) : k;

        if (first == k)
            continue;
        if (k->primary)
            preflight_find(p, 1068, "42000", "Multiple primary key defined");
        else
            preflight_find(p, 1061, "42000", "Duplicate key name '%.*s'", NAME(k->name));
    }
}

/* --- what Vitess cannot do online ------------------------------------------------------------ */

static bool has_foreign_key(const struct ddl *d)
{
    for (size_t i = 0; d && i < d->n; i++) {
        if (d->actions[i].kind == DDL_ADD_FOREIGN_KEY || d->actions[i].column.references)
            return true;
    }
    return false;
}

void rule_foreign_key(struct preflight *p)
{
    bool present = is_alter(p->d) && (p->facts->referenced || has_foreign_key(p->facts->table));

    if (!p->facts->foreign_keys_allowed && (present || has_foreign_key(p->d)))
        preflight_find(p, NOT_SUPPORTED, "foreign key constraints are not supported in online DDL");
}

void rule_unique_key(struct preflight *p)
{
    bool ignored;

    if (!p->shaped || !is_alter(p->d) || preflight_way(p->d, p->facts, &ignored) == WAY_INSTANT)
        return;
    if (!shape_copy_key(&p->before, &p->after, false) ||
        !shape_copy_key(&p->after, &p->before, true))
        preflight_find(p, GENERAL, "table '%.*s' has no non-null unique key", NAME(table_of(p)));
}

static bool is_column(const char *column, struct sql_name name)
{
    return ddl_same_name(name, (struct sql_name){column, strlen(column)});
}

/* Whether the action takes away the column as a vindex or a sequence knows it. */
static bool spoils_column(const struct preflight *p, const struct ddl_action *a)
{
    const struct ddl_column *old = old_column(p, a);

    switch (a->kind) {
    case DDL_DROP_COLUMN:
        return true;
    case DDL_RENAME_COLUMN:
        return !ddl_same_name(a->name, a->new_name);
    case DDL_CHANGE_COLUMN:
        return !ddl_same_name(a->name, a->new_name) ||
               (old && column_type_differs(old, &a->column));
    case DDL_MODIFY_COLUMN:
        return old && column_type_differs(old, &a->column);
    default:
        return false;
    }
}

void rule_vindex_column(struct preflight *p)
{
    const struct preflight_facts *f = p->facts;

    EACH_ACTION(p, a)
    {
        if (!spoils_column(p, a))
            continue;
        for (size_t i = 0; i < f->vindex_count; i++) {
            if (is_column(f->vindexes[i].column, a->name))
                preflight_find(
                    p, GENERAL,
                    "column %s is used by vindex %s; this will lead to inaccessible data",
                    f->vindexes[i].column, f->vindexes[i].vindex);
        }
        if (*f->sequence.column && is_column(f->sequence.column, a->name))
            preflight_find(p, GENERAL,
                           "column %s is used by sequence %s; this will lead to inaccessible data",
                           f->sequence.column, f->sequence.vindex);
    }
}

static bool starts_utf8(struct sql_name name)
{
    return name.len >= 4 && ddl_name_is((struct sql_name){name.text, 4}, "UTF8");
}

static void check_charset(struct preflight *p, struct sql_name charset, struct sql_name collation)
{
    if (charset.text && !starts_utf8(charset) && !ddl_name_is(charset, "DEFAULT"))
        preflight_find(p, NOT_SUPPORTED,
                       "character set %.*s is not supported in online DDL, only utf8, utf8mb3 and "
                       "utf8mb4 are",
                       NAME(charset));
    else if (collation.text && !starts_utf8(collation) && !ddl_name_is(collation, "DEFAULT"))
        preflight_find(p, NOT_SUPPORTED,
                       "collation %.*s is not supported in online DDL, only those of utf8, utf8mb3 "
                       "and utf8mb4 are",
                       NAME(collation));
}

void rule_charset(struct preflight *p)
{
    static const struct sql_name NONE = {NULL, 0};

    EACH_ACTION(p, a)
    {
        if (a->kind == DDL_CHARSET)
            check_charset(p, a->value, NONE);
        else if (a->kind == DDL_COLLATE)
            check_charset(p, NONE, a->value);
        else if (a->kind == DDL_CONVERT)
            check_charset(p, a->value, a->new_name);
        else
            check_charset(p, a->column.charset, a->column.collation);
    }
}

void rule_engine(struct preflight *p)
{
    EACH_ACTION(p, a)
    {
        if (a->kind == DDL_ENGINE && !ddl_name_is(a->value, "INNODB"))
            preflight_find(p, NOT_SUPPORTED,
                           "storage engine %.*s is not supported in online DDL, only InnoDB is",
                           NAME(a->value));
    }
}

void rule_partitions(struct preflight *p)
{
    size_t changes = 0;

    EACH_ACTION(p, a)
    changes += a->kind == DDL_PARTITION || a->kind == DDL_PARTITION_BY;
    if (p->d->subpartitions)
        preflight_find(p, NOT_SUPPORTED, "subpartitions are not supported in online DDL");
    if (changes > 1)
        preflight_find(p, NOT_SUPPORTED,
                       "several changes of partitions in one statement are not supported in online "
                       "DDL");
}

void rule_algorithm(struct preflight *p)
{
    EACH_ACTION(p, a)
    {
        if ((a->kind == DDL_ALGORITHM || a->kind == DDL_LOCK) && !ddl_name_is(a->value, "DEFAULT"))
            preflight_find(p, NOT_SUPPORTED, "%s=%.*s is not supported in online DDL",
                           a->kind == DDL_LOCK ? "LOCK" : "ALGORITHM", NAME(a->value));
    }
}

/* How often the clauses of an ALTER mention a column; CHANGE c c is once. */
static size_t count_mentions(const struct preflight *p, struct sql_name name)
{
    size_t n = 0;

    EACH_ACTION(p, a)
    {
        bool renames = a->kind == DDL_CHANGE_COLUMN || a->kind == DDL_RENAME_COLUMN;
        bool about = renames || a->kind == DDL_ADD_COLUMN || a->kind == DDL_DROP_COLUMN ||
                     a->kind == DDL_MODIFY_COLUMN;

        n += about &&
             (ddl_same_name(a->name, name) || (renames && ddl_same_name(a->new_name, name)));
    }
    return n;
}

/* Of several mentions only the first is reported. */
static bool mentioned_before(const struct preflight *p, const struct ddl_action *until)
{
    for (const struct ddl_action *a = p->d->actions; a < until; a++) {
        if (ddl_same_name(a->name, until->name) ||
            (a->new_name.text && ddl_same_name(a->new_name, until->name)))
            return true;
    }
    return false;
}

void rule_mentioned_twice(struct preflight *p)
{
    if (p->d->verb != DDL_ALTER)
        return;
    EACH_ACTION(p, a)
    {
        bool about = changes_column(a) || a->kind == DDL_ADD_COLUMN || a->kind == DDL_DROP_COLUMN ||
                     a->kind == DDL_RENAME_COLUMN;
        size_t n = about ? count_mentions(p, a->name) : 0;

        if (n > 1 && !mentioned_before(p, a))
            preflight_find(p, GENERAL, "column %.*s is mentioned %zu times", NAME(a->name), n);
    }
}

void rule_running(struct preflight *p)
{
    const struct preflight_facts *f = p->facts;

    p->refuse = f->refuse_running && p->d->understood;
    for (size_t i = 0; i < f->running_count; i++)
        preflight_find(p, GENERAL, "migration %s on table '%s' is %s%s", f->running[i].uuid,
                       f->running[i].table, f->running[i].status,
                       p->refuse ? "" : "; this one waits for it");
}

void rule_vschema_change(struct preflight *p)
{
    if (p->facts->vschema_changing)
        preflight_find(p, GENERAL, "a VSchema change of table '%.*s' is under way",
                       NAME(table_of(p)));
}

void rule_large_table(struct preflight *p)
{
    const struct preflight_facts *f = p->facts;

    if (!is_alter(p->d))
        return;
    for (size_t i = 0; i < f->shard_count; i++) {
        const struct shard_size *s = &f->shards[i];

        if (!(f->max_rows && s->rows > f->max_rows) && !(f->max_bytes && s->bytes > f->max_bytes))
            continue;
        preflight_find(
            p, GENERAL,
            "table '%.*s' has about %llu rows (%llu bytes) on shard %s, and direct DDL may "
            "block it for long: use an online strategy, or the hint "
            "allow_long_unavailability",
            NAME(table_of(p)), (unsigned long long)s->rows, (unsigned long long)s->bytes, s->shard);
        return;
    }
}
