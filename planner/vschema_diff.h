/*
 * What differs between two VSchemas of one keyspace, each with its path in the JSON, and which
 * tables' statements are planned differently because of it. Pure.
 */
#ifndef VTSHIM_PLANNER_VSCHEMA_DIFF_H
#define VTSHIM_PLANNER_VSCHEMA_DIFF_H

#include <stdbool.h>
#include <stddef.h>

#include "planner/vschema.h"

enum vschema_change_kind { VSCHEMA_ADDED, VSCHEMA_REMOVED, VSCHEMA_CHANGED };

struct vschema_change {
    enum vschema_change_kind kind;
    const char *path;           /* "tables.demo.column_vindexes[0].columns" */
    const char *before, *after; /* JSON; "" where there is none */
};

struct vschema_diff {
    struct arena arena;
    struct vschema_change *changes;
    size_t n;
    bool everything; /* what is said of the whole keyspace changed: all its tables are touched */
    const char **tables; /* touched, sorted, each once; their columns for planning included */
    size_t table_count;
};

/* vschema_diff_free it. No change: n is 0. */
struct vschema_diff *vschema_diff(const struct vschema *before, const struct vschema *after);
void vschema_diff_free(struct vschema_diff *d); /* NULL is fine */

bool vschema_equal(const struct vschema *a, const struct vschema *b);

/* Whether the table's statements are planned differently. */
bool vschema_diff_touches(const struct vschema_diff *d, const char *table);

const char *vschema_change_name(enum vschema_change_kind kind); /* "add", "remove", "change" */

/* path.name, or path["a.b"] where the name needs it; an empty path: the name alone. */
const char *vschema_path(struct arena *a, const char *path, const char *name);

#endif
