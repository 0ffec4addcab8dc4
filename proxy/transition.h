/*
 * Transitions: a change of a keyspace's VSchema or of the routing rules that applications see as a
 * short wait. It is judged, statements concerned are parked, it is compared with what is in force,
 * applied through vtctld, waited for on every vtgate, probed, and the statements go on; a failure
 * takes it back. The steps are transition_steps.def.
 *
 * Everything here is of the control loop. One transition at a time for each keyspace, and one for
 * the routing rules.
 */
#ifndef VTSHIM_PROXY_TRANSITION_H
#define VTSHIM_PROXY_TRANSITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/transition_order.h"
#include "proxy/transition_tally.h"

struct server;
struct transition;
struct transitions;

#define TRANSITION_TEXT_MAX 512

/* What SHOW TRANSITIONS says of one. */
struct transition_row {
    uint64_t id;
    const char *verb, *keyspace, *user, *peer;
    const char *step; /* where it is, or ended */
    const char
        *outcome; /* "running", "done", "dry run", "refused", "failed", "rolled back", "stuck" */
    const char *text;    /* the error, or what was done */
    const char *started; /* UTC */
    int64_t took_ms;
    int64_t held_ms; /* how long statements were parked at most; -1: not at all */
    size_t changes;
    uint16_t code; /* of the error, or 0 */
    char state[6];
};

/* One line of a report: step read "4 ms"; change tables.demo ...; refuse, warn, probe ... */
struct transition_line {
    const char *section, *item, *value;
};

struct transitions *transitions_create(struct server *server);

/* Takes up what transition.dir has of an earlier life; vtctld is known by now. */
void transitions_load(struct transitions *ts);

/* Nothing goes on after this: who waits is answered. Before the threads end. */
void transitions_stop(struct transitions *ts);
void transitions_destroy(struct transitions *ts); /* NULL is fine */

/* Called once, when the transition has ended, never from inside of transition_start. t lives until
   the callback returns. */
typedef void transition_done(void *arg, struct transition *t);

/* Begins one. The order is copied. Returns its id; 0: it cannot begin, error says why. */
uint64_t transition_start(struct transitions *ts, const struct transition_order *order,
                          transition_done *done, void *arg, char error[TRANSITION_TEXT_MAX]);

/* Who waits for it is gone: it goes on, done is not called. */
void transition_forget(struct transitions *ts, uint64_t id);

/* The order that takes back what that one did, whose strings are the order's own (free it). False:
   error says why there is nothing to take back. */
bool transition_inverse(struct transitions *ts, uint64_t id, struct transition_order *order,
                        char error[TRANSITION_TEXT_MAX]);

/* Those under way and the last ones that ended, oldest first; and the lines of one. Borrowed until
   the next turn of the loop. NULL: there is none (behind the last one). */
struct transition *transitions_next(struct transitions *ts, const struct transition *after);
struct transition *transitions_find(struct transitions *ts, uint64_t id);
void transition_describe(const struct transition *t, struct transition_row *row);
/* All of it as JSON, as transition.dir has it; to be freed with free(). NULL: no memory. */
char *transition_json(const struct transition *t);
const struct transition_line *transition_lines(const struct transition *t, size_t *n);

/* What was counted since the start (transition_tally.h), and how many have not ended. */
const struct transition_tally *transitions_tally(const struct transitions *ts);
size_t transitions_running(const struct transitions *ts);
/* The steps' names by their numbers in the tally; NULL behind the last. */
const char *transitions_step_name(size_t step);

#endif
