/*
 * What the files of the VSchema's checks share: vschema_check.c (the way, findings),
 * vschema_check_vindexes.c, vschema_check_tables.c. For them only.
 */
#ifndef VTSHIM_PLANNER_VSCHEMA_CHECK_INTERNAL_H
#define VTSHIM_PLANNER_VSCHEMA_CHECK_INTERNAL_H

#include "planner/vschema_check.h"

struct vschema_check {
    const struct vschema_facts *facts;
    const struct vschema_fact_keyspace *own; /* NULL: nothing is known of it */
    const struct vschema *before, *after;
    const struct vschema_diff *diff;
    struct vschema_findings *out;
};

void vschema_check_vindexes(struct vschema_check *c);
void vschema_check_tables(struct vschema_check *c);

/* Whether a vindex of that name is defined as before. */
bool vschema_same_vindex(const struct vschema *a, const struct vschema *b, const char *name);

/*
 * A table by a name of the VSchema ("t" or "ks.t"): its VSchema in *table and what MySQL has in
 * *real, each NULL if it has none or that is not known. False: the name is none, or leads nowhere
 * for sure; *why says it.
 */
bool vschema_resolve(struct vschema_check *c, const char *name, const struct vschema_table **table,
                     const struct vschema_fact_table **real, const char **why);

#endif
