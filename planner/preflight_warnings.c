/*
 * The rules that warn, one function each, in the order of preflight.def.
 */
#include <string.h>

#include "planner/column_type.h"
#include "planner/preflight_internal.h"

void rule_shards_differ(struct preflight *p)
{
    const struct preflight_facts *f = p->facts;

    if (f->version_count < 2)
        return;
    for (size_t i = 1; i < f->version_count; i++) {
        const struct table_version *v = &f->versions[i], *first = &f->versions[0];

        preflight_find(p, GENERAL, "table '%.*s' %s%s %s %s", NAME(table_of(p)),
                       v->table && first->table ? "is on " : "is there on ",
                       v->table ? v->shards : first->shards,
                       v->table && first->table ? "not what it is on" : "and not on",
                       v->table ? first->shards : v->shards);
    }
}

void rule_drop_table(struct preflight *p)
{
    EACH_ACTION(p, a)
    {
        if (a->kind == DDL_DROP_TABLE)
            preflight_find(p, GENERAL, "table %.*s is dropped", NAME(a->name));
    }
}

void rule_drop_column(struct preflight *p)
{
    EACH_ACTION(p, a)
    {
        if (a->kind == DDL_DROP_COLUMN)
            preflight_find(p, GENERAL, "column %.*s and its values are dropped", NAME(a->name));
    }
}

static bool renames_column(const struct ddl_action *a)
{
    return (a->kind == DDL_CHANGE_COLUMN || a->kind == DDL_RENAME_COLUMN) &&
           !ddl_same_name(a->name, a->new_name);
}

void rule_rename_column(struct preflight *p)
{
    EACH_ACTION(p, a)
    {
        if (renames_column(a))
            preflight_find(p, GENERAL,
                           "column %.*s becomes %.*s: statements with the old name fail from the "
                           "cut-over on, those with the new name before it",
                           NAME(a->name), NAME(a->new_name));
    }
}

void rule_narrowing(struct preflight *p)
{
    EACH_ACTION(p, a)
    {
        const struct ddl_column *old = changes_column(a) ? old_column(p, a) : NULL;

        if (old && column_type_narrows(old, &a->column))
            preflight_find(p, GENERAL, "column %.*s: %.*s may not have room for all values of %.*s",
                           NAME(a->name), NAME(a->column.type), NAME(old->type));
    }
}

void rule_unsigned(struct preflight *p)
{
    EACH_ACTION(p, a)
    {
        const struct ddl_column *old = changes_column(a) ? old_column(p, a) : NULL;

        if (old && !old->is_unsigned && a->column.is_unsigned &&
            column_type_of(old).family != TYPE_UNKNOWN)
            preflight_find(p, GENERAL, "column %.*s becomes unsigned: negative values do not fit",
                           NAME(a->name));
    }
}

void rule_add_unique(struct preflight *p)
{
    if (!is_alter(p->d))
        return;
    EACH_ACTION(p, a)
    {
        bool key = a->kind == DDL_ADD_INDEX && a->index.type == DDL_INDEX_UNIQUE;
        bool attribute = (a->kind == DDL_ADD_COLUMN || changes_column(a)) && a->column.unique;

        if (key || attribute || a->kind == DDL_ADD_PRIMARY_KEY)
            preflight_find(
                p, GENERAL,
                "a unique key is added: rows with the same values make it fail, and in a "
                "sharded keyspace it holds within each shard only");
    }
}

void rule_not_null(struct preflight *p)
{
    if (!is_alter(p->d))
        return;
    EACH_ACTION(p, a)
    {
        const struct ddl_column *c = &a->column, *old = old_column(p, a);
        bool bare = c->not_null && !c->has_default && !c->auto_increment && !c->generated;

        if (a->kind == DDL_ADD_COLUMN && bare)
            preflight_find(p, GENERAL,
                           "column %.*s is NOT NULL and has no default: INSERTs that leave it out "
                           "fail",
                           NAME(a->name));
        else if (changes_column(a) && bare && old && !old->not_null)
            preflight_find(p, GENERAL,
                           "column %.*s becomes NOT NULL without a default: rows with "
                           "NULL make it fail",
                           NAME(a->name));
    }
}

void rule_enum_order(struct preflight *p)
{
    EACH_ACTION(p, a)
    {
        const struct ddl_column *old = changes_column(a) ? old_column(p, a) : NULL;
        enum type_family family = old ? column_type_of(old).family : TYPE_UNKNOWN;

        if ((family == TYPE_ENUM || family == TYPE_SET) &&
            column_type_of(&a->column).family == family && !column_type_appends(old, &a->column))
            preflight_find(p, GENERAL,
                           "column %.*s: members of an %.*s are removed or reordered, not just "
                           "appended",
                           NAME(a->name), NAME(old->type));
    }
}

void rule_auto_increment(struct preflight *p)
{
    if (!p->facts->sharded)
        return;
    EACH_ACTION(p, a)
    {
        const struct ddl_column *old = old_column(p, a);

        if (a->column.auto_increment && !(old && old->auto_increment))
            preflight_find(p, GENERAL,
                           "column %.*s: AUTO_INCREMENT in a sharded keyspace counts on each shard "
                           "for itself; use a sequence",
                           NAME(a->name));
    }
}

void rule_zero_date(struct preflight *p)
{
    static const char ZERO[] = "0000-00-00";

    EACH_ACTION(p, a)
    {
        struct sql_name value = a->column.fallback;
        bool zero = a->column.has_default && value.len >= sizeof(ZERO) - 1 &&
                    memcmp(value.text, ZERO, sizeof(ZERO) - 1) == 0;

        if (zero)
            preflight_find(p, 1067, "42000", "Invalid default value for '%.*s': a zero date",
                           NAME(a->name));
    }
}

void rule_visible_index(struct preflight *p)
{
    EACH_ACTION(p, a)
    {
        const struct shape_key *k =
            a->kind == DDL_DROP_INDEX && p->shaped ? shape_key(&p->before, a->name) : NULL;

        if (k && !k->invisible)
            preflight_find(
                p, GENERAL,
                "index %.*s is dropped while queries may use it: ALTER INDEX ... INVISIBLE "
                "first shows what that does, and can be taken back at once",
                NAME(a->name));
    }
}

void rule_recently_used(struct preflight *p)
{
    const struct preflight_facts *f = p->facts;

    if (!f->recently_used)
        return;
    EACH_ACTION(p, a)
    {
        if ((a->kind == DDL_DROP_COLUMN || renames_column(a)) &&
            f->recently_used(f->recently_arg, table_of(p), a->name))
            preflight_find(p, GENERAL,
                           "column %.*s was named by statements on this table minutes ago",
                           NAME(a->name));
    }
}
