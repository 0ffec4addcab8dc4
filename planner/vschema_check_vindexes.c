/*
 * The vindexes of a VSchema: types, parameters, owners, lookup tables.
 */
#include <string.h>

#include "planner/vindex_type.h"
#include "planner/vschema_check_internal.h"

struct param_check {
    struct vschema_check *c;
    const char *path;
    const struct vschema_vindex *vindex;
};

static void on_param(void *arg, const char *param, const char *mistake)
{
    struct param_check *p = arg;
    struct arena *a = &p->c->out->arena;

    vschema_find(p->c->out, VSCHEMA_RULE_vindex_params,
                 vschema_path(a, vschema_path(a, p->path, "params"), param),
                 "parameter '%s' of vindex '%s' (%s) %s", param, p->vindex->name, p->vindex->type,
                 mistake);
}

static void check_type(struct vschema_check *c, const char *path,
                       const struct vschema_vindex *vindex)
{
    const struct vindex_type *type = vindex_type_find(vindex->type);
    struct param_check p = {c, path, vindex};

    if (type)
        vindex_type_check(type, vindex, on_param, &p);
    else if (!*vindex->type)
        vschema_find(c->out, VSCHEMA_RULE_vindex_type, vschema_path(&c->out->arena, path, "type"),
                     "vindex '%s' has no type", vindex->name);
    else
        vschema_find(c->out, VSCHEMA_RULE_vindex_type, vschema_path(&c->out->arena, path, "type"),
                     "'%s' is no vindex type of Vitess", vindex->type);
}

static bool table_has(const struct vschema_table *t, const char *vindex)
{
    for (size_t i = 0; i < t->vindex_count; i++) {
        if (strcmp(t->vindexes[i].name, vindex) == 0)
            return true;
    }
    return false;
}

static void check_owner(struct vschema_check *c, const char *path,
                        const struct vschema_vindex *vindex)
{
    const struct vindex_type *type = vindex_type_find(vindex->type);
    const char *at = vschema_path(&c->out->arena, path, "owner");

    if (!*vindex->owner)
        return;
    const struct vschema_table *owner = vschema_find_table(c->after, vindex->owner);

    if (type && !(type->flags & VINDEX_LOOKUP))
        vschema_find(c->out, VSCHEMA_RULE_vindex_owner, at,
                     "vindex '%s' of type %s has no lookup table and cannot be owned", vindex->name,
                     vindex->type);
    else if (!owner)
        vschema_find(c->out, VSCHEMA_RULE_vindex_owner, at,
                     "table '%s', the owner of vindex '%s', is not in this VSchema", vindex->owner,
                     vindex->name);
    else if (!table_has(owner, vindex->name))
        vschema_find(c->out, VSCHEMA_RULE_vindex_owner, at,
                     "table '%s' owns vindex '%s' but has no column with it", vindex->owner,
                     vindex->name);
}

/* The lookup table's columns are named in from and to. */
static void check_lookup_columns(struct vschema_check *c, const char *path,
                                 const struct vschema_vindex *vindex,
                                 const struct vschema_fact_table *real)
{
    static const char *const PARAMS[] = {"from", "to"};

    for (size_t i = 0; i < 2; i++) {
        const char *list = vschema_find_param(vindex, PARAMS[i]);

        while (list && *list) {
            list += strspn(list, ", ");
            size_t len = strcspn(list, ", ");
            const char *column = arena_copy(&c->out->arena, list, len);

            if (len && !vschema_fact_column(real, column))
                vschema_find(c->out, VSCHEMA_RULE_lookup_table,
                             vschema_path(&c->out->arena, path, PARAMS[i]),
                             "lookup table '%s' has no column '%s'", real->name, column);
            list += len;
        }
    }
}

static void check_lookup(struct vschema_check *c, const char *path,
                         const struct vschema_vindex *vindex)
{
    const struct vindex_type *type = vindex_type_find(vindex->type);
    const char *name = vschema_find_param(vindex, "table"), *why;
    const struct vschema_table *table;
    const struct vschema_fact_table *real;

    if (!type || !(type->flags & VINDEX_LOOKUP) || !name || !*name ||
        vschema_same_vindex(c->before, c->after, vindex->name))
        return;
    const char *params = vschema_path(&c->out->arena, path, "params");

    if (!vschema_resolve(c, name, &table, &real, &why))
        vschema_find(c->out, VSCHEMA_RULE_lookup_table,
                     vschema_path(&c->out->arena, params, "table"),
                     "lookup table '%s' of vindex '%s' %s", name, vindex->name, why);
    else if (real)
        check_lookup_columns(c, params, vindex, real);
}

void vschema_check_vindexes(struct vschema_check *c)
{
    for (size_t i = 0; i < c->after->vindex_count; i++) {
        const struct vschema_vindex *vindex = &c->after->vindexes[i];
        const char *path = vschema_path(&c->out->arena, "vindexes", vindex->name);

        check_type(c, path, vindex);
        check_owner(c, path, vindex);
        check_lookup(c, path, vindex);
    }
}
