/*
 * A session's target: what USE, the handshake or a connection's settings name as its database, as
 * vtgate reads it (go/vt/topo/topoproto/destination.go, ParseDestination):
 *
 *   keyspace  keyspace:shard  keyspace/shard  keyspace[key range]    each with @tablet type, or not
 *   @tablet type                                                     no keyspace: any may be meant
 */
#ifndef VTSHIM_PLANNER_TARGET_H
#define VTSHIM_PLANNER_TARGET_H

#include <stdbool.h>

#include "planner/classify.h"

/* The keyspace, borrowed from the target; len 0: none. The text is not NULL, also of a target that
   is: there is none then. */
struct sql_name target_keyspace(const char *target);

/* Whether its keyspace is this one, as written. False for a target that is NULL or without one. */
bool target_is_of(const char *target, const char *keyspace);

/* Whether it names a shard, or a key range: DDL in such a session bypasses online DDL in vtgate
   (go/vt/vtgate/engine/ddl.go, plan for a target). */
bool target_is_shard(const char *target);

#endif
