/*
 * Counters, and the names that they have as labels. See transition_tally.h.
 */
#include "proxy/transition_tally.h"

#include <string.h>

const char *transition_outcome_name(enum transition_outcome outcome)
{
    static const char *const NAMES[] = {
#define X(NAME, text) [TRANSITION_OUTCOME_##NAME] = text,
        TRANSITION_OUTCOMES(X)
#undef X
    };
    return NAMES[outcome];
}

const char *transition_what_name(enum transition_what what)
{
    static const char *const NAMES[] = {[TRANSITION_VSCHEMA] = "vschema",
                                        [TRANSITION_ROUTING] = "routing",
                                        [TRANSITION_TRAFFIC] = "traffic",
                                        [TRANSITION_PRIMARY] = "primary"};

    return NAMES[what];
}

void transition_tally_end(struct transition_tally *y, enum transition_what what,
                          const char *outcome, int64_t held_ms)
{
    for (size_t i = 0; i < TRANSITION_OUTCOME_COUNT; i++) {
        if (strcmp(outcome, transition_outcome_name((enum transition_outcome)i)) == 0)
            y->ended[what][i]++;
    }
    if (held_ms < 0)
        return;
    y->held[what]++;
    y->held_ms[what] += (uint64_t)held_ms;
}

void transition_tally_step(struct transition_tally *y, size_t step, int64_t ms)
{
    if (step >= TRANSITION_TALLY_STEPS || ms < 0)
        return;
    y->steps[step].times++;
    y->steps[step].ms += (uint64_t)ms;
}
