/*
 * Two sorted lists are walked side by side; what both have is compared member by member. How a
 * single column of a vindex is written ("column" or "columns") is no difference.
 */
#include "planner/vschema_diff.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/vschema_text.h"

const char *vschema_change_name(enum vschema_change_kind kind)
{
    static const char *const NAMES[] = {"add", "remove", "change"};

    return NAMES[kind];
}

const char *vschema_path(struct arena *a, const char *path, const char *name)
{
    size_t plain =
        strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_$-");

    if (*name && name[plain] == '\0')
        return arena_format(a, "%s%s%s", path, *path ? "." : "", name);
    return arena_format(a, "%s[\"%s\"]", path, name);
}

/* --- what is touched ------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void touch(struct vschema_diff *d, const char *table)
{
    d->tables = arena_grow(&d->arena, (void *)d->tables, d->table_count, sizeof(*d->tables));
    d->tables[d->table_count++] = arena_string(&d->arena, table);
}

/* All tables that use the vindex. */
static void touch_users(struct vschema_diff *d, const struct vschema *v, const char *vindex)
{
    for (size_t i = 0; i < v->table_count; i++) {
        const struct vschema_table *t = &v->tables[i];

        for (size_t k = 0; k < t->vindex_count; k++) {
            if (strcmp(t->vindexes[k].name, vindex) == 0) {
                touch(d, t->name);
                break;
            }
        }
    }
}

static void sort_touched(struct vschema_diff *d)
{
    size_t kept = 0;

    if (d->table_count)
        qsort((void *)d->tables, d->table_count, sizeof(*d->tables), by_name);
    for (size_t i = 0; i < d->table_count; i++) {
        if (kept == 0 || strcmp(d->tables[kept - 1], d->tables[i]) != 0)
            d->tables[kept++] = d->tables[i];
    }
    d->table_count = kept;
}

bool vschema_diff_touches(const struct vschema_diff *d, const char *table)
{
    return d->everything ||
           (d->table_count &&
            bsearch(&table, (const void *)d->tables, d->table_count, sizeof(*d->tables), by_name));
}

/* --- changes --------------------------------------------------------------------------------- */

static void add_change(struct vschema_diff *d, enum vschema_change_kind kind, const char *path,
                       const char *before, const char *after)
{
    d->changes = arena_grow(&d->arena, d->changes, d->n, sizeof(*d->changes));
    d->changes[d->n++] = (struct vschema_change){.kind = kind,
                                                 .path = arena_string(&d->arena, path),
                                                 .before = arena_string(&d->arena, before),
                                                 .after = arena_string(&d->arena, after)};
}

/* Both as JSON; "" is an absent value. */
static void compare_json(struct vschema_diff *d, const char *path, const char *name,
                         const char *before, const char *after)
{
    if (strcmp(before, after) == 0)
        return;
    add_change(d,
               !*before  ? VSCHEMA_ADDED
               : !*after ? VSCHEMA_REMOVED
                         : VSCHEMA_CHANGED,
               vschema_path(&d->arena, path, name), before, after);
}

static const char *as_json(struct vschema_diff *d, const char *value)
{
    struct text t = {NULL, 0, 0};

    if (!*value)
        return "";
    text_json(&t, value);
    const char *json = arena_string(&d->arena, t.at);

    text_free(&t);
    return json;
}

static void compare_string(struct vschema_diff *d, const char *path, const char *name,
                           const char *before, const char *after)
{
    if (strcmp(before, after) != 0)
        compare_json(d, path, name, as_json(d, before), as_json(d, after));
}

static void compare_flag(struct vschema_diff *d, const char *path, const char *name, bool before,
                         bool after)
{
    if (before != after)
        compare_json(d, path, name, before ? "true" : "false", after ? "true" : "false");
}

static const char *names_json(struct vschema_diff *d, const char *const *names, size_t n)
{
    struct text t = {NULL, 0, 0};

    vschema_write_names(&t, names, n);
    const char *json = arena_string(&d->arena, t.at);

    text_free(&t);
    return json;
}

/* --- vindexes -------------------------------------------------------------------------------- */

static const char *vindex_json(struct vschema_diff *d, const struct vschema_vindex *vindex)
{
    struct text t = {NULL, 0, 0};

    vschema_write_vindex(&t, vindex);
    const char *json = arena_string(&d->arena, t.at);

    text_free(&t);
    return json;
}

static void compare_params(struct vschema_diff *d, const char *path, const struct vschema_vindex *a,
                           const struct vschema_vindex *b)
{
    const char *params = vschema_path(&d->arena, path, "params");
    size_t i = 0, k = 0;

    while (i < a->param_count || k < b->param_count) {
        int order = i == a->param_count   ? 1
                    : k == b->param_count ? -1
                                          : strcmp(a->params[i].key, b->params[k].key);
        const char *name = order <= 0 ? a->params[i].key : b->params[k].key;
        const char *before = order <= 0 ? a->params[i++].value : NULL;
        const char *after = order >= 0 ? b->params[k++].value : NULL;

        if (!before || !after || strcmp(before, after) != 0)
            add_change(d,
                       !before  ? VSCHEMA_ADDED
                       : !after ? VSCHEMA_REMOVED
                                : VSCHEMA_CHANGED,
                       vschema_path(&d->arena, params, name),
                       !before   ? ""
                       : *before ? as_json(d, before)
                                 : "\"\"",
                       !after   ? ""
                       : *after ? as_json(d, after)
                                : "\"\"");
    }
}

static void compare_vindexes(struct vschema_diff *d, const struct vschema *a,
                             const struct vschema *b)
{
    size_t i = 0, k = 0;

    while (i < a->vindex_count || k < b->vindex_count) {
        int order = i == a->vindex_count   ? 1
                    : k == b->vindex_count ? -1
                                           : strcmp(a->vindexes[i].name, b->vindexes[k].name);
        const struct vschema_vindex *before = order <= 0 ? &a->vindexes[i++] : NULL;
        const struct vschema_vindex *after = order >= 0 ? &b->vindexes[k++] : NULL;
        const char *name = before ? before->name : after->name;
        const char *path = vschema_path(&d->arena, "vindexes", name);
        size_t n = d->n;

        if (!before) {
            add_change(d, VSCHEMA_ADDED, path, "", vindex_json(d, after));
        } else if (!after) {
            add_change(d, VSCHEMA_REMOVED, path, vindex_json(d, before), "");
        } else {
            compare_string(d, path, "type", before->type, after->type);
            compare_string(d, path, "owner", before->owner, after->owner);
            compare_params(d, path, before, after);
        }
        if (d->n > n) {
            touch_users(d, a, name);
            touch_users(d, b, name);
        }
    }
}

/* --- tables ---------------------------------------------------------------------------------- */

static const char *table_json(struct vschema_diff *d, const struct vschema_table *table)
{
    struct text t = {NULL, 0, 0};

    vschema_write_table(&t, table);
    const char *json = arena_string(&d->arena, t.at);

    text_free(&t);
    return json;
}

static bool same_columns(const struct vschema_column_vindex *a,
                         const struct vschema_column_vindex *b)
{
    if (a->column_count != b->column_count)
        return false;
    for (size_t i = 0; i < a->column_count; i++) {
        if (strcmp(a->columns[i], b->columns[i]) != 0)
            return false;
    }
    return true;
}

static const char *column_vindex_json(struct vschema_diff *d,
                                      const struct vschema_column_vindex *cv)
{
    return arena_format(&d->arena, "{\"columns\":%s,\"name\":%s}",
                        names_json(d, cv->columns, cv->column_count), as_json(d, cv->name));
}

static void compare_column_vindexes(struct vschema_diff *d, const char *path,
                                    const struct vschema_table *a, const struct vschema_table *b)
{
    size_t most = a->vindex_count > b->vindex_count ? a->vindex_count : b->vindex_count;

    for (size_t i = 0; i < most; i++) {
        const struct vschema_column_vindex *before = i < a->vindex_count ? &a->vindexes[i] : NULL;
        const struct vschema_column_vindex *after = i < b->vindex_count ? &b->vindexes[i] : NULL;
        const char *at = arena_format(&d->arena, "%s.column_vindexes[%zu]", path, i);

        if (!before) {
            add_change(d, VSCHEMA_ADDED, at, "", column_vindex_json(d, after));
        } else if (!after) {
            add_change(d, VSCHEMA_REMOVED, at, column_vindex_json(d, before), "");
        } else {
            compare_string(d, at, "name", before->name, after->name);
            if (!same_columns(before, after))
                compare_json(d, at, "columns", names_json(d, before->columns, before->column_count),
                             names_json(d, after->columns, after->column_count));
        }
    }
}

static const char *column_json(struct vschema_diff *d, const struct vschema_column *c)
{
    struct text t = {NULL, 0, 0};

    vschema_write_column(&t, c);
    const char *json = arena_string(&d->arena, t.at);

    text_free(&t);
    return json;
}

static void compare_columns(struct vschema_diff *d, const char *path, const struct vschema_table *a,
                            const struct vschema_table *b)
{
    size_t most = a->column_count > b->column_count ? a->column_count : b->column_count;

    for (size_t i = 0; i < most; i++) {
        const char *name = arena_format(&d->arena, "%s.columns[%zu]", path, i);
        const char *before = i < a->column_count ? column_json(d, &a->columns[i]) : "";
        const char *after = i < b->column_count ? column_json(d, &b->columns[i]) : "";

        if (strcmp(before, after) != 0)
            add_change(d,
                       !*before  ? VSCHEMA_ADDED
                       : !*after ? VSCHEMA_REMOVED
                                 : VSCHEMA_CHANGED,
                       name, before, after);
    }
}

static void compare_table(struct vschema_diff *d, const char *path, const struct vschema_table *a,
                          const struct vschema_table *b)
{
    compare_string(d, path, "type", a->type, b->type);
    compare_column_vindexes(d, path, a, b);
    if (a->has_auto_increment && b->has_auto_increment) {
        const char *at = vschema_path(&d->arena, path, "auto_increment");

        compare_string(d, at, "column", a->auto_column, b->auto_column);
        compare_string(d, at, "sequence", a->auto_sequence, b->auto_sequence);
    } else if (a->has_auto_increment || b->has_auto_increment) {
        const struct vschema_table *t = a->has_auto_increment ? a : b;
        const char *json = arena_format(&d->arena, "{\"column\":%s,\"sequence\":%s}",
                                        as_json(d, t->auto_column), as_json(d, t->auto_sequence));

        compare_json(d, path, "auto_increment", t == a ? json : "", t == b ? json : "");
    }
    compare_columns(d, path, a, b);
    compare_string(d, path, "pinned", a->pinned, b->pinned);
    compare_flag(d, path, "column_list_authoritative", a->authoritative, b->authoritative);
    compare_string(d, path, "source", a->source, b->source);
}

static void compare_tables(struct vschema_diff *d, const struct vschema *a, const struct vschema *b)
{
    size_t i = 0, k = 0;

    while (i < a->table_count || k < b->table_count) {
        int order = i == a->table_count   ? 1
                    : k == b->table_count ? -1
                                          : strcmp(a->tables[i].name, b->tables[k].name);
        const struct vschema_table *before = order <= 0 ? &a->tables[i++] : NULL;
        const struct vschema_table *after = order >= 0 ? &b->tables[k++] : NULL;
        const char *name = before ? before->name : after->name;
        const char *path = vschema_path(&d->arena, "tables", name);
        size_t n = d->n;

        if (!before)
            add_change(d, VSCHEMA_ADDED, path, "", table_json(d, after));
        else if (!after)
            add_change(d, VSCHEMA_REMOVED, path, table_json(d, before), "");
        else
            compare_table(d, path, before, after);
        if (d->n > n)
            touch(d, name);
    }
}

/* --- the keyspace ---------------------------------------------------------------------------- */

static void compare_keyspace(struct vschema_diff *d, const struct vschema *a,
                             const struct vschema *b)
{
    compare_flag(d, "", "sharded", a->sharded, b->sharded);
    compare_flag(d, "", "require_explicit_routing", a->explicit_routing, b->explicit_routing);
    if (a->foreign_keys != b->foreign_keys) {
        const char *before = vschema_foreign_keys_name(a->foreign_keys);
        const char *after = vschema_foreign_keys_name(b->foreign_keys);

        compare_string(d, "", "foreign_key_mode",
                       before ? before : arena_format(&d->arena, "%d", a->foreign_keys),
                       after ? after : arena_format(&d->arena, "%d", b->foreign_keys));
    }
    if (a->has_tenant != b->has_tenant) {
        compare_json(d, "", "multi_tenant_spec", a->has_tenant ? "{}" : "",
                     b->has_tenant ? "{}" : "");
    }
    compare_string(d, "multi_tenant_spec", "tenant_id_column_name", a->tenant_column,
                   b->tenant_column);
    if (a->tenant_type != b->tenant_type)
        compare_json(d, "multi_tenant_spec", "tenant_id_column_type",
                     arena_format(&d->arena, "%d", a->tenant_type),
                     arena_format(&d->arena, "%d", b->tenant_type));
    d->everything = d->n > 0;
}

struct vschema_diff *vschema_diff(const struct vschema *before, const struct vschema *after)
{
    struct vschema_diff *d = calloc(1, sizeof(*d));

    if (!d) {
        fputs("vtshim: out of memory\n", stderr);
        abort();
    }
    compare_keyspace(d, before, after);
    compare_vindexes(d, before, after);
    compare_tables(d, before, after);
    sort_touched(d);
    return d;
}

void vschema_diff_free(struct vschema_diff *d)
{
    if (!d)
        return;
    arena_free(&d->arena);
    free(d);
}

bool vschema_equal(const struct vschema *a, const struct vschema *b)
{
    struct vschema_diff *d = vschema_diff(a, b);
    bool equal = d->n == 0;

    vschema_diff_free(d);
    return equal;
}
