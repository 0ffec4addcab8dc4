/*
 * Applying actions to columns and keys, in the order of MySQL: first what is dropped and renamed,
 * then what is added.
 */
#include "planner/shape.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/column_type.h"

static const struct sql_name PRIMARY = {"PRIMARY", 7};

static void *resize(void *items, size_t size)
{
    void *more = realloc(items, size ? size : 1);

    if (!more) {
        fputs("vtshim: out of memory\n", stderr);
        abort();
    }
    return more;
}

static void add_column(struct shape *s, const struct ddl_action *a, struct sql_name origin)
{
    if (s->n == s->cap) {
        s->cap = s->cap ? 2 * s->cap : 16;
        s->columns = resize(s->columns, s->cap * sizeof(*s->columns));
    }
    s->columns[s->n++] =
        (struct shape_column){.name = a->name, .origin = origin, .column = &a->column};
}

static struct shape_key *add_key(struct shape *s, struct sql_name name, size_t parts)
{
    if (s->key_count == s->key_cap) {
        s->key_cap = s->key_cap ? 2 * s->key_cap : 8;
        s->keys = resize(s->keys, s->key_cap * sizeof(*s->keys));
    }
    struct shape_key *k = &s->keys[s->key_count++];

    *k = (struct shape_key){.name = name, .n = parts};
    k->parts = resize(NULL, parts * sizeof(*k->parts));
    return k;
}

static void add_index(struct shape *s, const struct ddl *d, const struct ddl_action *a)
{
    bool primary = a->kind == DDL_ADD_PRIMARY_KEY;
    struct shape_key *k = add_key(s, primary ? PRIMARY : a->name, a->index.parts);

    k->primary = primary;
    k->unique = a->index.type == DDL_INDEX_UNIQUE;
    k->prefix = a->index.prefix;
    k->expression = a->index.expression;
    k->invisible = a->index.invisible;
    for (size_t i = 0; i < k->n; i++)
        k->parts[i] = d->parts[a->index.first_part + i];
}

/* PRIMARY KEY and UNIQUE among a column's attributes. */
static void add_column_keys(struct shape *s, const struct ddl_action *a, struct sql_name name)
{
    if (a->column.primary) {
        struct shape_key *k = add_key(s, PRIMARY, 1);

        k->primary = k->unique = true;
        k->parts[0] = name;
    }
    if (a->column.unique) {
        /* MySQL makes up a name that is free. */
        struct shape_key *k = add_key(s, (struct sql_name){NULL, 0}, 1);

        k->unique = true;
        k->parts[0] = name;
    }
}

void shape_init(struct shape *s, const struct ddl *create)
{
    *s = (struct shape){.n = 0};
    for (size_t i = 0; create && i < create->n; i++) {
        const struct ddl_action *a = &create->actions[i];

        if (a->kind == DDL_ADD_COLUMN) {
            add_column(s, a, a->name);
            add_column_keys(s, a, a->name);
        } else if (a->kind == DDL_ADD_INDEX || a->kind == DDL_ADD_PRIMARY_KEY) {
            add_index(s, create, a);
        }
    }
}

void shape_fini(struct shape *s)
{
    for (size_t i = 0; i < s->key_count; i++)
        free(s->keys[i].parts);
    free(s->columns);
    free(s->keys);
    *s = (struct shape){.n = 0};
}

const struct shape_column *shape_column(const struct shape *s, struct sql_name name)
{
    for (size_t i = 0; i < s->n; i++) {
        if (ddl_same_name(s->columns[i].name, name))
            return &s->columns[i];
    }
    return NULL;
}

const struct shape_column *shape_origin(const struct shape *s, struct sql_name origin)
{
    for (size_t i = 0; i < s->n; i++) {
        if (s->columns[i].origin.text && ddl_same_name(s->columns[i].origin, origin))
            return &s->columns[i];
    }
    return NULL;
}

const struct shape_key *shape_key(const struct shape *s, struct sql_name name)
{
    for (size_t i = 0; i < s->key_count; i++) {
        if (s->keys[i].name.text && ddl_same_name(s->keys[i].name, name))
            return &s->keys[i];
    }
    return NULL;
}

static void remove_key_at(struct shape *s, size_t at)
{
    free(s->keys[at].parts);
    memmove(s->keys + at, s->keys + at + 1, (s->key_count - at - 1) * sizeof(*s->keys));
    s->key_count--;
}

static void remove_key(struct shape *s, struct sql_name name)
{
    const struct shape_key *k = shape_key(s, name);

    if (k)
        remove_key_at(s, (size_t)(k - s->keys));
}

/* MySQL takes a dropped column out of its keys, and drops keys that become empty. */
static void forget_part(struct shape *s, struct sql_name name)
{
    for (size_t i = s->key_count; i-- > 0;) {
        struct shape_key *k = &s->keys[i];
        size_t n = 0;

        for (size_t j = 0; j < k->n; j++) {
            if (!ddl_same_name(k->parts[j], name) || !k->parts[j].text)
                k->parts[n++] = k->parts[j];
        }
        bool empty = k->n > 0 && n == 0;

        k->n = n;
        if (empty)
            remove_key_at(s, i);
    }
}

static void drop_column(struct shape *s, struct sql_name name)
{
    const struct shape_column *c = shape_origin(s, name);

    if (!c)
        return;
    size_t at = (size_t)(c - s->columns);

    forget_part(s, c->name);
    memmove(s->columns + at, s->columns + at + 1, (s->n - at - 1) * sizeof(*s->columns));
    s->n--;
}

/* CHANGE, MODIFY, RENAME COLUMN: a new name, a new definition, or both. */
static void change_column(struct shape *s, const struct ddl_action *a)
{
    const struct shape_column *c = shape_origin(s, a->name);

    if (!c)
        return;
    struct shape_column *found = &s->columns[c - s->columns];
    struct sql_name old = found->name;

    if (a->new_name.text)
        found->name = a->new_name;
    if (a->kind != DDL_RENAME_COLUMN)
        found->column = &a->column;
    for (size_t i = 0; i < s->key_count; i++) {
        for (size_t j = 0; j < s->keys[i].n; j++) {
            if (s->keys[i].parts[j].text && ddl_same_name(s->keys[i].parts[j], old))
                s->keys[i].parts[j] = found->name;
        }
    }
    if (a->kind != DDL_RENAME_COLUMN)
        add_column_keys(s, a, found->name);
}

static void take_away(struct shape *s, const struct ddl_action *a)
{
    switch (a->kind) {
    case DDL_DROP_COLUMN:
        drop_column(s, a->name);
        break;
    case DDL_DROP_INDEX:
        remove_key(s, a->name);
        break;
    case DDL_DROP_PRIMARY_KEY:
        remove_key(s, PRIMARY);
        break;
    default:
        break;
    }
}

static void put_in(struct shape *s, const struct ddl *d, const struct ddl_action *a)
{
    switch (a->kind) {
    case DDL_ADD_COLUMN:
        add_column(s, a, (struct sql_name){NULL, 0});
        add_column_keys(s, a, a->name);
        break;
    case DDL_ADD_INDEX:
    case DDL_ADD_PRIMARY_KEY:
        add_index(s, d, a);
        break;
    case DDL_RENAME_INDEX: {
        const struct shape_key *k = shape_key(s, a->name);

        if (k)
            s->keys[k - s->keys].name = a->new_name;
        break;
    }
    default:
        break;
    }
}

void shape_apply(struct shape *s, const struct ddl *change)
{
    for (size_t i = 0; i < change->n; i++)
        take_away(s, &change->actions[i]);
    for (size_t i = 0; i < change->n; i++) {
        enum ddl_action_kind kind = change->actions[i].kind;

        if (kind == DDL_CHANGE_COLUMN || kind == DDL_MODIFY_COLUMN || kind == DDL_RENAME_COLUMN)
            change_column(s, &change->actions[i]);
    }
    for (size_t i = 0; i < change->n; i++)
        put_in(s, change, &change->actions[i]);
}

/* A primary key makes its columns NOT NULL. */
static bool part_fits(const struct shape *s, const struct shape_key *k, struct sql_name part,
                      const struct shape *other, bool by_origin)
{
    const struct shape_column *c = shape_column(s, part);

    if (!c || !(c->column->not_null || k->primary) || !column_type_is_iterable(c->column))
        return false;
    if (!other)
        return true;
    if (by_origin)
        return c->origin.text && shape_column(other, c->origin);
    return shape_origin(other, c->name) != NULL;
}

const struct shape_key *shape_copy_key(const struct shape *s, const struct shape *other,
                                       bool by_origin)
{
    for (size_t i = 0; i < s->key_count; i++) {
        const struct shape_key *k = &s->keys[i];
        bool fits = k->unique && !k->prefix && !k->expression && k->n > 0;

        for (size_t j = 0; fits && j < k->n; j++)
            fits = k->parts[j].text && part_fits(s, k, k->parts[j], other, by_origin);
        if (fits)
            return k;
    }
    return NULL;
}
