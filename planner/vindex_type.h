/*
 * What Vitess's vindex types are and which parameters they take (vindex_types.def).
 */
#ifndef VTSHIM_PLANNER_VINDEX_TYPE_H
#define VTSHIM_PLANNER_VINDEX_TYPE_H

#include <stdbool.h>
#include <stddef.h>

#include "planner/vschema.h"

enum vindex_flags { VINDEX_UNIQUE = 1, VINDEX_LOOKUP = 2, VINDEX_MULTI = 4, VINDEX_HASHING = 8 };
enum vindex_input { VINDEX_ANY, VINDEX_INTEGER, VINDEX_TEXT };

struct vindex_type {
    const char *name;
    unsigned flags;
    enum vindex_input input;
    const char *params;
};

/* NULL: Vitess has none of that name. */
const struct vindex_type *vindex_type_find(const char *name);

/* Whether it takes that parameter. (multicol hands what it does not know to the vindexes that it
   is made of, so that it takes any.) */
bool vindex_type_takes(const struct vindex_type *type, const char *param);

/* Calls found() for each parameter that is unknown, missing, or has a value that the type refuses:
   `mistake` reads on after the parameter's name ("is missing"). */
void vindex_type_check(const struct vindex_type *type, const struct vschema_vindex *vindex,
                       void (*found)(void *arg, const char *param, const char *mistake), void *arg);

/* How many columns it has; 0: that is not said. */
size_t vindex_type_columns(const struct vindex_type *type, const struct vschema_vindex *vindex);

/* Whether a lookup vindex is still being filled: it routes nothing. */
bool vindex_is_write_only(const struct vschema_vindex *vindex);

/* Whether MySQL's data type ("bigint", information_schema's data_type) is one that it can take. */
bool vindex_type_fits(const struct vindex_type *type, const char *data_type);

#endif
