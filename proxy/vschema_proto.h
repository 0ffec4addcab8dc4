/*
 * VSchemas and routing rules between vtctld's messages (vitess/vschema.proto) and values of the
 * planner. Pure.
 */
#ifndef VTSHIM_PROXY_VSCHEMA_PROTO_H
#define VTSHIM_PROXY_VSCHEMA_PROTO_H

#include "planner/routing.h"
#include "planner/vschema.h"
#include "vschema.pb-c.h"

/* NULL is an empty one. To be freed with vschema_free, routing_free. */
struct vschema *vschema_of_proto(const Vschema__Keyspace *message);
struct routing_rules *routing_of_proto(const Vschema__RoutingRules *message);

/* On the arena's memory, strings borrowed from the value: good for sending as long as both are. */
Vschema__Keyspace *vschema_to_proto(struct arena *a, const struct vschema *v);
Vschema__RoutingRules *routing_to_proto(struct arena *a, const struct routing_rules *rules);

#endif
