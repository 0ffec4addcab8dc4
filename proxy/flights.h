/*
 * VSchema changes (ALTER VSCHEMA ... of a table) that are under way through this shim, or whose
 * answer came less than ddl.settle_ms ago: other vtgates may not have them yet. DDL on the table
 * waits. Any thread.
 */
#ifndef VTSHIM_PROXY_FLIGHTS_H
#define VTSHIM_PROXY_FLIGHTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "planner/names.h"

struct flights;

struct flights *flights_create(void);
void flights_destroy(struct flights *f); /* NULL is fine */

void flights_begin(struct flights *f, const char *table, size_t len);
/* One that began has been answered; it counts until the time given. */
void flights_end(struct flights *f, const char *table, size_t len, int64_t until_ms);

/* Whether a change that is not answered yet is of a table that may be among the names. */
bool flights_concern(struct flights *f, const struct names *names);

bool flights_has(struct flights *f, const char *table, int64_t now_ms);

#endif
