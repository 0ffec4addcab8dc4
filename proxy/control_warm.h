/*
 * The part of warming (warm.h) that talks to vtgate: one connection, on a thread of its own.
 */
#ifndef VTSHIM_PROXY_CONTROL_WARM_H
#define VTSHIM_PROXY_CONTROL_WARM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/shapes.h"

struct st_mysql;

struct control_warm {
    const struct shape_list *shapes; /* borrowed; read only */
    const bool *left_out;            /* for each of them: not to be run */
    int64_t limit_ms;
    bool reached, cut;
    size_t planned, refused;
    int64_t took_ms;
    int query_ms; /* its own: the limit for a statement, as vtgate knows it */
};

/* control_call_fn: arg is a struct control_warm. */
void control_warm_run(struct st_mysql *m, void *arg);

#endif
