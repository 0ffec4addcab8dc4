/*
 * What the slow transactions of one worker touched lately, and by how much they were too slow.
 * Whether the next transaction on a table will be short nobody knows; how the last ones were is the
 * best there is to go by (migration_waits.c).
 *
 * Constant size: what was touched is a set of names that errs towards too many (planner/names.h),
 * and when there are many different ones some of them become one. Of the worker's thread only.
 * Times are CLOCK_MONOTONIC's milliseconds.
 */
#ifndef VTSHIM_PROXY_SLOW_TRANSACTIONS_H
#define VTSHIM_PROXY_SLOW_TRANSACTIONS_H

#include <stdint.h>

#include "planner/hold.h"
#include "planner/names.h"

/* A transaction that was open for longer is slow; in a fleet, whose other shims hold somewhat
   later, less by half of fleet.poll_ms. */
#define SLOW_TRANSACTION_MS 450
#define SLOW_EXCESS_MAX_MS  400   /* so much of what is beyond that counts at most */
#define SLOW_REMEMBERED_MS  30000 /* at least so long it is remembered; a fifth more at most */
#define SLOW_SPANS          6
#define SLOW_KINDS          8 /* that are kept apart in each span */

/* All zero: none. */
struct slow_transactions {
    struct slow_span {
        int64_t number; /* which one of all, counted from 1; 0: nothing was noted in it */
        size_t n;
        struct {
            struct names touched;
            int64_t excess_ms;
        } kinds[SLOW_KINDS];
    } spans[SLOW_SPANS];
};

/* A transaction has ended that was open for that much too long. touched NULL: nobody knows what it
   touched. */
void slow_transactions_note(struct slow_transactions *slow, const struct names *touched,
                            int64_t excess_ms, int64_t now_ms);

/* How much too slow those were, all together, that touched what the hold is about, or may have. */
int64_t slow_transactions_excess(const struct slow_transactions *slow, const struct hold *h,
                                 int64_t now_ms);

#endif
