/*
 * Each step is held against those that come later, or came earlier. A DDL that is not understood is
 * held against nothing: vtgate and MySQL judge it.
 */
#include "planner/deploy_order.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "planner/alter.h"
#include "planner/vindex_type.h"

struct order {
    const char *keyspace;
    const struct deploy_step *steps;
    size_t n, at; /* at: the step that is judged */
    const struct vschema *before;
    char *error;
};

static bool wrong(struct order *o, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool wrong(struct order *o, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(o->error, DEPLOY_ORDER_ERROR_SIZE, format, args);
    va_end(args);
    return false;
}

static bool is_name(struct sql_name name, const char *text)
{
    return ddl_same_name(name, (struct sql_name){text, strlen(text)});
}

/* What a DDL does to a table, or with a column to that column. */
enum ddl_does { CREATES, DROPS };

/* Whether that action, of a statement about that table, does. */
static bool action_does(const struct ddl *d, const struct ddl_action *a, enum ddl_does what,
                        const char *table, const char *column)
{
    if (!column)
        return what == DROPS && a->kind == DDL_DROP_TABLE && is_name(a->name, table);
    if (!is_name(d->table, table) || (a->kind == DDL_DROP_TABLE))
        return false;
    bool renamed = a->kind == DDL_RENAME_COLUMN || a->kind == DDL_CHANGE_COLUMN;

    if (renamed && is_name(a->name, column) && is_name(a->new_name, column))
        return false;
    if (what == DROPS)
        return (a->kind == DDL_DROP_COLUMN || renamed) && is_name(a->name, column);
    return (a->kind == DDL_ADD_COLUMN && is_name(a->name, column)) ||
           (renamed && is_name(a->new_name, column));
}

static bool ddl_does(const struct deploy_step *step, enum ddl_does what, const char *table,
                     const char *column)
{
    struct ddl *d = ddl_parse(step->ddl, strlen(step->ddl));
    bool does = d->understood && what == CREATES && !column && d->verb == DDL_CREATE &&
                d->object == DDL_OBJECT_TABLE && is_name(d->table, table);

    for (size_t i = 0; d->understood && !does && i < d->n; i++)
        does = action_does(d, &d->actions[i], what, table, column);
    ddl_free(d);
    return does;
}

/* The first step from..to of the keyspace whose DDL does that; o->n: none. */
static size_t find_ddl(const struct order *o, size_t from, size_t to, enum ddl_does what,
                       const char *table, const char *column)
{
    for (size_t i = from; i < to; i++) {
        if (o->steps[i].kind == DEPLOY_DDL && strcmp(o->steps[i].keyspace, o->keyspace) == 0 &&
            ddl_does(&o->steps[i], what, table, column))
            return i;
    }
    return o->n;
}

/* --- VSchema steps: what they use must be there ---------------------------------------------- */

static bool check_used_column(struct order *o, const char *table, const char *column)
{
    size_t later = find_ddl(o, o->at + 1, o->n, CREATES, table, column);

    if (later == o->n)
        return true;
    return wrong(o, "it uses column '%s' of table '%s', which step %zu adds: DDL comes first",
                 column, table, later + 1);
}

static bool check_used_table(struct order *o, const struct vschema_table *t)
{
    size_t later = find_ddl(o, o->at + 1, o->n, CREATES, t->name, NULL);

    if (later < o->n)
        return wrong(o, "it names table '%s', which step %zu creates: DDL comes first", t->name,
                     later + 1);
    for (size_t i = 0; i < t->vindex_count; i++) {
        for (size_t k = 0; k < t->vindexes[i].column_count; k++) {
            if (!check_used_column(o, t->name, t->vindexes[i].columns[k]))
                return false;
        }
    }
    return !t->has_auto_increment || check_used_column(o, t->name, t->auto_column);
}

static bool table_has_vindex(const struct vschema_table *t, const char *vindex)
{
    for (size_t i = 0; t && i < t->vindex_count; i++) {
        if (strcmp(t->vindexes[i].name, vindex) == 0)
            return true;
    }
    return false;
}

/* An owned lookup vindex that is new must be written before it is read, unless its table is new,
   too, and has no rows. */
static bool check_lookups(struct order *o, const struct vschema *after)
{
    for (size_t i = 0; i < after->vindex_count; i++) {
        const struct vschema_vindex *vindex = &after->vindexes[i];
        const struct vindex_type *type = vindex_type_find(vindex->type);
        const struct vschema_table *owner =
            *vindex->owner ? vschema_find_table(after, vindex->owner) : NULL;

        if (!type || !(type->flags & VINDEX_LOOKUP) || vindex_is_write_only(vindex) || !owner ||
            !table_has_vindex(owner, vindex->name) ||
            table_has_vindex(vschema_find_table(o->before, vindex->owner), vindex->name) ||
            find_ddl(o, 0, o->at, CREATES, vindex->owner, NULL) < o->n)
            continue;
        return wrong(
            o,
            "lookup vindex '%s' of table '%s' is read at once: a step before it has to "
            "bring it with \"write_only\": \"true\", and its table to be filled in between",
            vindex->name, vindex->owner);
    }
    return true;
}

/* The column by which rows are found must stay until another VSchema is in force. */
static bool check_vschema(struct order *o, const struct vschema *after)
{
    for (size_t i = 0; i < after->table_count; i++) {
        if (!check_used_table(o, &after->tables[i]))
            return false;
    }
    return check_lookups(o, after);
}

/* --- DDL steps: what they drop must not be used ---------------------------------------------- */

static bool check_dropped_column(struct order *o, const struct vschema_table *t, const char *column)
{
    if (!ddl_does(&o->steps[o->at], DROPS, t->name, column))
        return true;
    return wrong(o,
                 "it takes away column '%s' of table '%s', which the VSchema uses until then: a "
                 "VSchema without it comes first",
                 column, t->name);
}

static bool check_drops(struct order *o, const struct vschema *v)
{
    for (size_t i = 0; i < v->table_count; i++) {
        const struct vschema_table *t = &v->tables[i];

        if (ddl_does(&o->steps[o->at], DROPS, t->name, NULL))
            return wrong(o,
                         "it drops table '%s', which is in the VSchema until then: a VSchema "
                         "without it comes first",
                         t->name);
        for (size_t k = 0; k < t->vindex_count; k++) {
            for (size_t c = 0; c < t->vindexes[k].column_count; c++) {
                if (!check_dropped_column(o, t, t->vindexes[k].columns[c]))
                    return false;
            }
        }
        if (t->has_auto_increment && !check_dropped_column(o, t, t->auto_column))
            return false;
    }
    /* A lookup table without an entry of its own is used as well. */
    for (size_t i = 0; i < v->vindex_count; i++) {
        const char *name = vschema_find_param(&v->vindexes[i], "table");
        const char *dot = name ? strchr(name, '.') : NULL;

        if (name && ddl_does(&o->steps[o->at], DROPS, dot ? dot + 1 : name, NULL))
            return wrong(o, "it drops '%s', the lookup table of vindex '%s'", name,
                         v->vindexes[i].name);
    }
    return true;
}

bool deploy_order_check(const struct vschema *now, const char *keyspace,
                        const struct deploy_step *steps, size_t n, size_t *which,
                        char error[DEPLOY_ORDER_ERROR_SIZE])
{
    struct order o = {.keyspace = keyspace, .steps = steps, .n = n, .before = now, .error = error};

    for (o.at = 0; o.at < n; o.at++) {
        const struct deploy_step *step = &steps[o.at];
        bool ok = true;

        *which = o.at;
        if (step->kind == DEPLOY_ROUTING || strcmp(step->keyspace, keyspace) != 0)
            continue;
        if (step->kind == DEPLOY_DDL)
            ok = check_drops(&o, o.before);
        else
            ok = check_vschema(&o, step->after);
        if (!ok)
            return false;
        if (step->kind == DEPLOY_VSCHEMA)
            o.before = step->after;
    }
    return true;
}
