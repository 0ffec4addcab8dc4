/*
 * After a DDL: do all vtgates know the table's columns? Asked of their web pages where vtgate_web
 * is configured, else of each vtgate by control.user's connection. The asking is the control
 * loop's; the session that waits looks at the state now and then, so that neither has to know
 * whether the other is still there.
 */
#ifndef VTSHIM_PROXY_EVERYWHERE_H
#define VTSHIM_PROXY_EVERYWHERE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/bytes.h"

struct server;
struct everywhere;

enum everywhere_state {
    EVERYWHERE_ASKING,
    EVERYWHERE_SEEN,
    EVERYWHERE_NOT_SEEN,   /* not within the time given: the log says where not */
    EVERYWHERE_CANNOT_TELL /* nobody to ask: no web address that answers, no control.user */
};

/* Begins to ask, for timeout_ms at most. columns: the table's, n texts of `width` bytes each, NUL
   and padding included; copied. A session's worker. */
struct everywhere *everywhere_ask(struct server *server, const char *keyspace, const char *table,
                                  const void *columns, size_t width, size_t n, int64_t timeout_ms);

/* Whether the plan, VEXPLAIN PLAN's JSON, is of a table with these columns (as above): see
   ddl_plan_selects. */
bool everywhere_plan_shows(struct bytes plan, const void *columns, size_t width, size_t n);

enum everywhere_state everywhere_state(const struct everywhere *e);

/* Nobody wants to know any more. NULL is fine. */
void everywhere_drop(struct everywhere *e);

/* The process ends, the other threads have: ends the asking. */
void everywhere_stop_all(struct server *server);

#endif
