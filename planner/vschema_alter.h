/*
 * ALTER VSCHEMA as a change of the value, as vtctld and vtgate carry it out
 * (go/vt/topotools/vschema_ddl.go; the grammar is go/vt/sqlparser/sql.y's), so that several of them
 * can be judged together and applied as one. Pure.
 */
#ifndef VTSHIM_PLANNER_VSCHEMA_ALTER_H
#define VTSHIM_PLANNER_VSCHEMA_ALTER_H

#include <stdbool.h>
#include <stddef.h>

#include "planner/vschema.h"

#define VSCHEMA_ALTER_ERROR_SIZE 256

/*
 * Changes v (sorted, and sorted again after) as the statement says. False, and v partly changed:
 * *error says why. A string as a parameter's value is taken without its quotes, where Vitess keeps
 * them and then refuses the value or looks for a table of that name.
 */
bool vschema_alter(struct vschema *v, const char *keyspace, const char *sql, size_t len,
                   char error[VSCHEMA_ALTER_ERROR_SIZE]);

/* The keyspace written before the name of its table or vindex; "": none. dst has room for 65
   bytes; false: the statement is not understood. */
bool vschema_alter_keyspace(const char *sql, size_t len, char dst[65]);

#endif
