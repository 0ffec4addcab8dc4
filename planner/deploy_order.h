/*
 * The order of a plan's steps: what must come before what when schema and VSchema change together.
 * Adding: DDL on all shards first, the VSchema after it. Dropping: the VSchema first. Lookup
 * vindexes: written before they are read. Pure.
 */
#ifndef VTSHIM_PLANNER_DEPLOY_ORDER_H
#define VTSHIM_PLANNER_DEPLOY_ORDER_H

#include <stdbool.h>
#include <stddef.h>

#include "planner/vschema.h"

enum deploy_step_kind { DEPLOY_DDL, DEPLOY_VSCHEMA, DEPLOY_ROUTING };

struct deploy_step {
    enum deploy_step_kind kind;
    const char *keyspace;        /* "" for routing rules */
    const char *ddl;             /* DEPLOY_DDL: one statement */
    const struct vschema *after; /* DEPLOY_VSCHEMA: what it leaves */
};

#define DEPLOY_ORDER_ERROR_SIZE 320

/*
 * Judges the steps of that keyspace, whose VSchema is `now` at the beginning. False: *which is the
 * first step that is in the wrong place, and error says what has to come before it.
 */
bool deploy_order_check(const struct vschema *now, const char *keyspace,
                        const struct deploy_step *steps, size_t n, size_t *which,
                        char error[DEPLOY_ORDER_ERROR_SIZE]);

#endif
