/*
 * Where vtgate's routing rules would send a statement. DDL through vtctld does not follow them, so
 * that it must not run where they lead elsewhere: it would change a table that nobody meant.
 * (Vitess: go/vt/vtgate/vindexes/vschema.go, FindRoutedTable.)
 */
#ifndef VTSHIM_PROXY_VTCTLD_ROUTES_H
#define VTSHIM_PROXY_VTCTLD_ROUTES_H

#include "planner/classify.h"
#include "vschema.pb-c.h"

/* Where keyspace.name is sent for writing, if not to itself; NULL: to itself. Rules may be NULL.
   Borrowed from the rules. */
const char *routes_table(const Vschema__RoutingRules *rules, const char *keyspace,
                         const struct sql_name *name);

/* The same for a whole keyspace. */
const char *routes_keyspace(const Vschema__KeyspaceRoutingRules *rules, const char *keyspace);

#endif
