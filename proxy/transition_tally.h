/*
 * What has become of transitions since the start, counted for /metrics. Control loop only.
 */
#ifndef VTSHIM_PROXY_TRANSITION_TALLY_H
#define VTSHIM_PROXY_TRANSITION_TALLY_H

#include <stddef.h>
#include <stdint.h>

#include "proxy/transition_order.h"

#define TRANSITION_TALLY_STEPS 64 /* at least as many as transition_steps.def has */

/* TRANSITION_OUTCOME(NAME, "text"): as SHOW TRANSITIONS shows them, but for "running". */
#define TRANSITION_OUTCOMES(X)                                                                     \
    X(DONE, "done")                                                                                \
    X(DRY_RUN, "dry run")                                                                          \
    X(REFUSED, "refused")                                                                          \
    X(FAILED, "failed")                                                                            \
    X(ROLLED_BACK, "rolled back")                                                                  \
    X(STUCK, "stuck")

enum transition_outcome {
#define X(NAME, text) TRANSITION_OUTCOME_##NAME,
    TRANSITION_OUTCOMES(X)
#undef X
        TRANSITION_OUTCOME_COUNT
};

/* Starts as zeros. */
struct transition_tally {
    uint64_t ended[TRANSITION_WHAT_COUNT][TRANSITION_OUTCOME_COUNT];
    uint64_t held[TRANSITION_WHAT_COUNT]; /* that had statements wait */
    uint64_t held_ms[TRANSITION_WHAT_COUNT];
    struct {
        uint64_t times, ms;
    } steps[TRANSITION_TALLY_STEPS];
};

/* One has ended; held_ms below 0: it parked nothing. An outcome that is none is not counted. */
void transition_tally_end(struct transition_tally *y, enum transition_what what,
                          const char *outcome, int64_t held_ms);
void transition_tally_step(struct transition_tally *y, size_t step, int64_t ms);

const char *transition_outcome_name(enum transition_outcome outcome);
const char *transition_what_name(enum transition_what what);

#endif
