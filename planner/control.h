/*
 * Statements that control migrations of Vitess: ALTER VITESS_MIGRATION and REVERT VITESS_MIGRATION.
 */
#ifndef VTSHIM_PLANNER_CONTROL_H
#define VTSHIM_PLANNER_CONTROL_H

#include <stddef.h>

struct control_statement {
    char verb[24]; /* "cancel", "retry", "revert" ..., "all" behind it where it is for all: "cancel
                      all" */
    char uuid[64]; /* empty: none was given, or it is no uuid */
};

/* What such a statement says. Words of vtgate's grammar are not checked: vtgate does that. */
void control_statement_parse(struct control_statement *out, const char *sql, size_t len);

#endif
