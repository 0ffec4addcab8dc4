/*
 * What the shims of a fleet tell each other, as JSON: a hold, and what a shim knows of holds. Pure.
 * What is read was written by another shim, of another version perhaps: what is not known is left
 * out, and what is wrong is refused.
 */
#ifndef VTSHIM_PROXY_FLEET_VALUE_H
#define VTSHIM_PROXY_FLEET_VALUE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "planner/hold.h"

/* Of the holds in force: scope, names, kinds, owner, reason, limits; and how long it lasts. The
   caller frees it. */
char *fleet_hold_write(const struct hold *h, int64_t ttl_ms);

/* False: that is none, or one of a kind that this shim cannot keep. */
bool fleet_hold_read(const char *text, struct hold *h, int64_t *ttl_ms);

/* What is in a hold's way at one shim. */
struct fleet_drain {
    int64_t in_the_way; /* sessions; -1: not counted yet */
    int64_t excess_ms;  /* as in struct hold_count */
};

/* One hold that a shim acts by: as it was at that revision. */
void fleet_member_note(json_t *member, const char *key, int64_t revision,
                       const struct fleet_drain *drain);

/* The caller frees it, or, with json_decref, what has been read. NULL: that is none. */
char *fleet_member_write(const json_t *member);
json_t *fleet_member_read(const char *text);

#define FLEET_IN_THE_WAY_MAX 1000000

/* Whether the shim acts by that hold as of that revision or later; if so, *drain is set: in_the_way
   is at least -1 and at most FLEET_IN_THE_WAY_MAX, excess_ms at least 0 and at most INT32_MAX,
   which it also is if the shim does not tell. */
bool fleet_member_has(const json_t *member, const char *key, int64_t revision,
                      struct fleet_drain *drain);

#endif
