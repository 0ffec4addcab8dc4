/*
 * Which tables are on their way to a keyspace, by the routing rules: `MoveTables create` leaves a
 * rule "to.t" -> "from.t" for each, so that nobody reads the copy, and a switch of writes turns it
 * round. Of a workflow on its way back it is the other way round, which is the same. Pure.
 *
 * Source: setupInitialRoutingRules and changeWriteRoute in Vitess's go/vt/vtctl/workflow.
 */
#ifndef VTSHIM_PROXY_TOPO_MOVING_H
#define VTSHIM_PROXY_TOPO_MOVING_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "planner/hold.h"

struct topo_moving {
    char from[HOLD_NAME_MAX];  /* the keyspace that serves it */
    char table[HOLD_NAME_MAX]; /* "": all of that keyspace */
};

/*
 * Those that go to `keyspace`, by the rules of tables in the form of vschema_form.h ("routing").
 * Returns how many are in moving[0..max), max >= 1; of more than max tables: the keyspaces that
 * they come from, the first max of them. Those of other workflows to the same keyspace are among
 * them.
 */
size_t topo_moving_read(const json_t *routing, const char *keyspace, struct topo_moving *moving,
                        size_t max);

/* Whether a rule leads from "from.table" to "to.table" and nowhere else. */
bool topo_moving_leads(const json_t *routing, const char *from, const char *to, const char *table);

#endif
