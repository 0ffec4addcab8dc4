/*
 * Hints to the shim in a statement (all but no_retry in DDL): comments anywhere between its words,
 *
 *   ALTER / *vtshim strategy=direct allow=rename_table * / TABLE ...
 *
 * or, for clients that strip ordinary comments (MariaDB's command line does, without --comments),
 * in the clothes of a comment for a version that no server reaches, / *!99999 vtshim
 * strategy=direct * /, or of an optimizer hint, / *+ vtshim(strategy=direct) * /. Pure.
 */
#ifndef VTSHIM_PLANNER_HINT_H
#define VTSHIM_PLANNER_HINT_H

#include <stdbool.h>
#include <stddef.h>

#include "planner/preflight.h"

enum hint_wait { HINT_WAIT_UNSET, HINT_WAIT_YES, HINT_WAIT_NO };

struct hints {
    bool present;
    struct sql_name strategy; /* as in @@ddl_strategy; borrowed; absent: not given */
    struct sql_name context;  /* the migration context; letters, digits and _:.- , 1 to 60 of them,
                                 not  beginning with vtshim: by that the shim knows its own */
    enum hint_wait wait;
    preflight_rules allow;
    bool allow_long_unavailability;
    bool no_retry;   /* of any statement: an error is not met with another try (retry.h) */
    char error[160]; /* not empty: a hint that is not understood, which must not be ignored */
};

/* Adds what the hints in sql[0..len) say, the last one of two that differ. *h starts as zeros. */
void hints_parse(const char *sql, size_t len, struct hints *h);

#endif
