/*
 * Sessions that wait behind a hold. Each worker keeps its own, in the order in which they parked
 * first, and answers those that waited longer than the hold allows with error 1205.
 *
 * When a hold has been released they are resumed in that order, at its pace. Newcomers queue up
 * behind them meanwhile, each once; whoever has been let through a release does not wait in it
 * again. Sessions in a transaction do not wait for their turn, for they may hold locks in MySQL.
 */
#ifndef VTSHIM_PROXY_PARK_H
#define VTSHIM_PROXY_PARK_H

#include <stdbool.h>

#include "planner/hold.h"

struct config;
struct session;
struct worker;

void park_init(struct worker *w);

/* The session's next command (all in s->input) waits behind the hold. False when as many as are
   allowed wait already: the caller answers with SHIM_ERROR_HELD. */
bool park_session(struct session *s, const struct hold *hold);

/* The holds have changed: sees to it that the parked are looked at again soon. */
void park_review(struct worker *w);

/* How long a statement may wait behind it, in milliseconds. */
int64_t park_max_wait_ms(const struct config *config, const struct hold *hold);

/* A parked session's command is answered with an error instead. */
void park_interrupt(struct session *s);

/* The process ends: the client is told, and the session with it. */
void park_shut_down(struct session *s);

/* The session is closing. Idempotent. */
void park_forget(struct session *s);

#endif
