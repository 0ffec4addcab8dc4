/*
 * A VSchema, or routing rules, from JSON as Vitess and vtctldclient have it (protojson of
 * vschema.Keyspace and vschema.RoutingRules; both spellings of a key, require_explicit_routing and
 * requireExplicitRouting). Pure but for jansson, which planner/ does not link.
 *
 * What is not known is a mistake: Vitess's own reader refuses such text, too, but names no place.
 */
#ifndef VTSHIM_PROXY_VSCHEMA_JSON_H
#define VTSHIM_PROXY_VSCHEMA_JSON_H

#include <jansson.h>
#include <stddef.h>

#include "planner/routing.h"
#include "planner/vschema.h"

#define VSCHEMA_JSON_ERROR_SIZE 320

/* NULL: *error says what is wrong and where: "tables.demo.column_vindexes[0].nam: unknown key". To
   be freed with vschema_free. */
struct vschema *vschema_read(const char *json, size_t len, char error[VSCHEMA_JSON_ERROR_SIZE]);
struct vschema *vschema_read_value(const json_t *value, const char *path,
                                   char error[VSCHEMA_JSON_ERROR_SIZE]);

/* The same for routing rules. */
struct routing_rules *routing_read(const char *json, size_t len,
                                   char error[VSCHEMA_JSON_ERROR_SIZE]);
struct routing_rules *routing_read_value(const json_t *value, const char *path,
                                         char error[VSCHEMA_JSON_ERROR_SIZE]);

#endif
