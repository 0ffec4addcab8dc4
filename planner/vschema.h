/*
 * The VSchema of one keyspace as a value: what Vitess's vschema.Keyspace says (its folder proto/,
 * vschema.proto, v0.24), without I/O. It is made from JSON (proxy/vschema_json.c) or from vtctld's
 * message (proxy/vschema_proto.c), changed by ALTER VSCHEMA (vschema_alter.c), compared
 * (vschema_diff.c), checked (vschema_check.c) and written (vschema_text.c).
 *
 * Vindexes and tables are sorted by name, as bytes: Vitess takes names of both with their case.
 * Strings are never NULL; "" is absent. All memory is the arena's.
 */
#ifndef VTSHIM_PLANNER_VSCHEMA_H
#define VTSHIM_PLANNER_VSCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "planner/arena.h"

struct vschema_param {
    const char *key, *value;
};

struct vschema_vindex {
    const char *name, *type, *owner;
    struct vschema_param *params; /* sorted by key */
    size_t param_count;
};

struct vschema_column_vindex {
    const char *name;
    const char **columns; /* "column": "x" of the JSON is columns[0] */
    size_t column_count;
    bool single; /* written with "column", not with "columns" */
};

struct vschema_column {
    const char *name, *fallback, *collation; /* fallback: "default" of the JSON */
    int type;                                /* query.Type of Vitess; 0: not given */
    bool invisible;
    int32_t size, scale;
    int nullable; /* -1: not given */
    const char **values;
    size_t value_count;
};

struct vschema_table {
    const char *name, *type, *pinned, *source;
    bool authoritative; /* column_list_authoritative */
    struct vschema_column_vindex *vindexes;
    size_t vindex_count;
    bool has_auto_increment;
    const char *auto_column, *auto_sequence;
    struct vschema_column *columns;
    size_t column_count;
};

struct vschema {
    struct arena arena;
    bool sharded, explicit_routing;
    int foreign_keys; /* ForeignKeyMode: 0 unspecified, 1 disallow, 2 unmanaged, 3 managed */
    bool has_tenant;
    const char *tenant_column;
    int tenant_type;
    struct vschema_vindex *vindexes;
    size_t vindex_count;
    struct vschema_table *tables;
    size_t table_count;
};

struct vschema *vschema_create(void);
void vschema_free(struct vschema *v); /* NULL is fine */
struct vschema *vschema_clone(const struct vschema *v);

/*
 * Adds one behind the others, all fields absent; the pointer is good until the next one is added.
 * Names are copied. vschema_sort when all are there.
 */
struct vschema_vindex *vschema_add_vindex(struct vschema *v, const char *name);
struct vschema_table *vschema_add_table(struct vschema *v, const char *name);
void vschema_add_param(struct vschema *v, struct vschema_vindex *vindex, const char *key,
                       const char *value);
struct vschema_column_vindex *vschema_add_column_vindex(struct vschema *v, struct vschema_table *t,
                                                        const char *name);
void vschema_add_vindex_column(struct vschema *v, struct vschema_column_vindex *cv,
                               const char *column);
struct vschema_column *vschema_add_column(struct vschema *v, struct vschema_table *t,
                                          const char *name);
void vschema_add_value(struct vschema *v, struct vschema_column *c, const char *value);
void vschema_sort(struct vschema *v);

void vschema_remove_vindex(struct vschema *v, const struct vschema_vindex *vindex);
void vschema_remove_table(struct vschema *v, const struct vschema_table *table);

/* Of a sorted one. NULL: there is none of that name. */
struct vschema_vindex *vschema_find_vindex(const struct vschema *v, const char *name);
struct vschema_table *vschema_find_table(const struct vschema *v, const char *name);
const char *vschema_find_param(const struct vschema_vindex *vindex, const char *key);

/* query.Type: its name ("VARCHAR"), or NULL; and back, -1: none of that name. */
const char *vschema_type_name(int type);
int vschema_type_find(const char *name);

/* ForeignKeyMode likewise. */
const char *vschema_foreign_keys_name(int mode);
int vschema_foreign_keys_find(const char *name);

/* A table of some keyspace, as "t", "ks.t" or "`ks`.`t`" say: copied into the arena, backticks
   taken off. *keyspace is "" for an unqualified name. False: neither. */
bool vschema_split_name(struct arena *a, const char *text, const char **keyspace,
                        const char **table);

#endif
