/*
 * Tables of the admin port whose rows the workers know: each adds its own on its own thread, and
 * the answer goes out when the last has.
 */
#ifndef VTSHIM_PROXY_ADMIN_GATHER_H
#define VTSHIM_PROXY_ADMIN_GATHER_H

#include "proxy/admin.h"

struct worker;

/* Adds w's rows to the table. On w's thread, one worker at a time. */
typedef void admin_gather_fn(struct admin_table *table, struct worker *w);

/* Takes over rq. Control loop only. */
void admin_gather(struct admin_request *rq, const char *const *names, size_t columns,
                  admin_gather_fn *fn);

#endif
