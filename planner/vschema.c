/*
 * Building, copying and finding. What a VSchema means is for the other files.
 */
#include "planner/vschema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    int number;
} TYPES[] = {
#define QUERY_TYPE(NAME, value) {.name = #NAME, .number = value},
#include "planner/vschema_types.def"
#undef QUERY_TYPE
};

static const char *const FOREIGN_KEYS[] = {"unspecified", "disallow", "unmanaged", "managed"};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct vschema *vschema_create(void)
{
    struct vschema *v = calloc(1, sizeof(*v));

    if (!v) {
        fputs("vtshim: out of memory\n", stderr);
        abort();
    }
    v->tenant_column = "";
    return v;
}

void vschema_free(struct vschema *v)
{
    if (!v)
        return;
    arena_free(&v->arena);
    free(v);
}

/* --- building -------------------------------------------------------------------------------- */

struct vschema_vindex *vschema_add_vindex(struct vschema *v, const char *name)
{
    v->vindexes = arena_grow(&v->arena, v->vindexes, v->vindex_count, sizeof(*v->vindexes));
    struct vschema_vindex *vindex = &v->vindexes[v->vindex_count++];

    *vindex = (struct vschema_vindex){
        .name = arena_string(&v->arena, name), .type = "", .owner = "", .params = NULL};
    return vindex;
}

struct vschema_table *vschema_add_table(struct vschema *v, const char *name)
{
    v->tables = arena_grow(&v->arena, v->tables, v->table_count, sizeof(*v->tables));
    struct vschema_table *t = &v->tables[v->table_count++];

    *t = (struct vschema_table){.name = arena_string(&v->arena, name),
                                .type = "",
                                .pinned = "",
                                .source = "",
                                .auto_column = "",
                                .auto_sequence = ""};
    return t;
}

void vschema_add_param(struct vschema *v, struct vschema_vindex *vindex, const char *key,
                       const char *value)
{
    vindex->params =
        arena_grow(&v->arena, vindex->params, vindex->param_count, sizeof(*vindex->params));
    vindex->params[vindex->param_count++] = (struct vschema_param){
        .key = arena_string(&v->arena, key), .value = arena_string(&v->arena, value)};
}

struct vschema_column_vindex *vschema_add_column_vindex(struct vschema *v, struct vschema_table *t,
                                                        const char *name)
{
    t->vindexes = arena_grow(&v->arena, t->vindexes, t->vindex_count, sizeof(*t->vindexes));
    struct vschema_column_vindex *cv = &t->vindexes[t->vindex_count++];

    *cv = (struct vschema_column_vindex){.name = arena_string(&v->arena, name)};
    return cv;
}

void vschema_add_vindex_column(struct vschema *v, struct vschema_column_vindex *cv,
                               const char *column)
{
    cv->columns =
        arena_grow(&v->arena, (void *)cv->columns, cv->column_count, sizeof(*cv->columns));
    cv->columns[cv->column_count++] = arena_string(&v->arena, column);
}

struct vschema_column *vschema_add_column(struct vschema *v, struct vschema_table *t,
                                          const char *name)
{
    t->columns = arena_grow(&v->arena, t->columns, t->column_count, sizeof(*t->columns));
    struct vschema_column *c = &t->columns[t->column_count++];

    *c = (struct vschema_column){
        .name = arena_string(&v->arena, name), .fallback = "", .collation = "", .nullable = -1};
    return c;
}

void vschema_add_value(struct vschema *v, struct vschema_column *c, const char *value)
{
    c->values = arena_grow(&v->arena, (void *)c->values, c->value_count, sizeof(*c->values));
    c->values[c->value_count++] = arena_string(&v->arena, value);
}

static int by_vindex_name(const void *a, const void *b)
{
    return strcmp(((const struct vschema_vindex *)a)->name,
                  ((const struct vschema_vindex *)b)->name);
}

static int by_table_name(const void *a, const void *b)
{
    return strcmp(((const struct vschema_table *)a)->name, ((const struct vschema_table *)b)->name);
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct vschema_param *)a)->key, ((const struct vschema_param *)b)->key);
}

void vschema_sort(struct vschema *v)
{
    if (v->vindex_count)
        qsort(v->vindexes, v->vindex_count, sizeof(*v->vindexes), by_vindex_name);
    if (v->table_count)
        qsort(v->tables, v->table_count, sizeof(*v->tables), by_table_name);
    for (size_t i = 0; i < v->vindex_count; i++) {
        if (v->vindexes[i].param_count)
            qsort(v->vindexes[i].params, v->vindexes[i].param_count, sizeof(*v->vindexes[i].params),
                  by_key);
    }
}

void vschema_remove_vindex(struct vschema *v, const struct vschema_vindex *vindex)
{
    size_t at = (size_t)(vindex - v->vindexes);

    memmove(&v->vindexes[at], &v->vindexes[at + 1],
            (v->vindex_count - at - 1) * sizeof(*v->vindexes));
    v->vindex_count--;
}

void vschema_remove_table(struct vschema *v, const struct vschema_table *table)
{
    size_t at = (size_t)(table - v->tables);

    memmove(&v->tables[at], &v->tables[at + 1], (v->table_count - at - 1) * sizeof(*v->tables));
    v->table_count--;
}

/* --- copying --------------------------------------------------------------------------------- */

static void clone_table(struct vschema *to, const struct vschema_table *from)
{
    struct vschema_table *t = vschema_add_table(to, from->name);

    t->type = arena_string(&to->arena, from->type);
    t->pinned = arena_string(&to->arena, from->pinned);
    t->source = arena_string(&to->arena, from->source);
    t->authoritative = from->authoritative;
    t->has_auto_increment = from->has_auto_increment;
    t->auto_column = arena_string(&to->arena, from->auto_column);
    t->auto_sequence = arena_string(&to->arena, from->auto_sequence);
    for (size_t i = 0; i < from->vindex_count; i++) {
        const struct vschema_column_vindex *old = &from->vindexes[i];
        struct vschema_column_vindex *cv = vschema_add_column_vindex(to, t, old->name);

        cv->single = old->single;
        for (size_t k = 0; k < old->column_count; k++)
            vschema_add_vindex_column(to, cv, old->columns[k]);
    }
    for (size_t i = 0; i < from->column_count; i++) {
        const struct vschema_column *old = &from->columns[i];
        struct vschema_column *c = vschema_add_column(to, t, old->name);

        c->fallback = arena_string(&to->arena, old->fallback);
        c->collation = arena_string(&to->arena, old->collation);
        c->type = old->type;
        c->invisible = old->invisible;
        c->size = old->size;
        c->scale = old->scale;
        c->nullable = old->nullable;
        for (size_t k = 0; k < old->value_count; k++)
            vschema_add_value(to, c, old->values[k]);
    }
}

struct vschema *vschema_clone(const struct vschema *from)
{
    struct vschema *to = vschema_create();

    to->sharded = from->sharded;
    to->explicit_routing = from->explicit_routing;
    to->foreign_keys = from->foreign_keys;
    to->has_tenant = from->has_tenant;
    to->tenant_column = arena_string(&to->arena, from->tenant_column);
    to->tenant_type = from->tenant_type;
    for (size_t i = 0; i < from->vindex_count; i++) {
        const struct vschema_vindex *old = &from->vindexes[i];
        struct vschema_vindex *vindex = vschema_add_vindex(to, old->name);

        vindex->type = arena_string(&to->arena, old->type);
        vindex->owner = arena_string(&to->arena, old->owner);
        for (size_t k = 0; k < old->param_count; k++)
            vschema_add_param(to, vindex, old->params[k].key, old->params[k].value);
    }
    for (size_t i = 0; i < from->table_count; i++)
        clone_table(to, &from->tables[i]);
    return to;
}

/* --- finding --------------------------------------------------------------------------------- */

struct vschema_vindex *vschema_find_vindex(const struct vschema *v, const char *name)
{
    struct vschema_vindex key = {.name = name};

    if (!v->vindex_count)
        return NULL;
    return bsearch(&key, v->vindexes, v->vindex_count, sizeof(key), by_vindex_name);
}

struct vschema_table *vschema_find_table(const struct vschema *v, const char *name)
{
    struct vschema_table key = {.name = name};

    if (!v->table_count)
        return NULL;
    return bsearch(&key, v->tables, v->table_count, sizeof(key), by_table_name);
}

const char *vschema_find_param(const struct vschema_vindex *vindex, const char *key)
{
    for (size_t i = 0; i < vindex->param_count; i++) {
        if (strcmp(vindex->params[i].key, key) == 0)
            return vindex->params[i].value;
    }
    return NULL;
}

const char *vschema_type_name(int type)
{
    for (size_t i = 0; i < COUNT(TYPES); i++) {
        if (TYPES[i].number == type)
            return TYPES[i].name;
    }
    return NULL;
}

int vschema_type_find(const char *name)
{
    for (size_t i = 0; i < COUNT(TYPES); i++) {
        if (strcmp(TYPES[i].name, name) == 0)
            return TYPES[i].number;
    }
    return -1;
}

const char *vschema_foreign_keys_name(int mode)
{
    return mode >= 0 && (size_t)mode < COUNT(FOREIGN_KEYS) ? FOREIGN_KEYS[mode] : NULL;
}

int vschema_foreign_keys_find(const char *name)
{
    for (size_t i = 0; i < COUNT(FOREIGN_KEYS); i++) {
        if (strcmp(FOREIGN_KEYS[i], name) == 0)
            return (int)i;
    }
    return -1;
}

/* One part of a name at *at, in backticks or not; NULL: none. */
static const char *take_part(struct arena *a, const char **at)
{
    bool quoted = **at == '`';
    const char *from = *at + quoted;
    size_t len = strcspn(from, quoted ? "`" : "`.");

    if (len == 0 || (quoted && from[len] != '`'))
        return NULL;
    *at = from + len + quoted;
    return arena_copy(a, from, len);
}

bool vschema_split_name(struct arena *a, const char *text, const char **keyspace,
                        const char **table)
{
    *keyspace = "";
    *table = take_part(a, &text);
    if (*table && *text == '.') {
        text++;
        *keyspace = *table;
        *table = take_part(a, &text);
    }
    return *table && *text == '\0';
}
