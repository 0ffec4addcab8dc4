/*
 * Sessions that wait behind a hold. Each worker keeps its own, in the order in which they parked,
 * resumes them when no hold concerns them any more (paced by hold.release_rate), and answers those
 * that waited longer than hold.max_wait_ms with error 1205.
 */
#ifndef VTSHIM_PROXY_PARK_H
#define VTSHIM_PROXY_PARK_H

#include <stdbool.h>

#include "planner/hold.h"

struct session;
struct worker;

void park_init(struct worker *w);

/* The session's next command (all in s->input) waits behind the hold. False when hold.max_parked
   sessions wait already: the caller answers with SHIM_ERROR_HOLD_FULL. */
bool park_session(struct session *s, const struct hold *hold);

/* The holds have changed: sees to it that the parked are looked at again soon. */
void park_review(struct worker *w);

/* A parked session's command is answered with an error instead. */
void park_interrupt(struct session *s);

/* The process ends: the client is told, and the session with it. */
void park_shut_down(struct session *s);

/* The session is closing. Idempotent. */
void park_forget(struct session *s);

#endif
