/*
 * What is still in the way of a hold: transactions that have touched what it is about, or may
 * have, and statements under way. They are let end; nothing new begins. Control loop, but for
 * hold_obstacle.
 *
 * Online schema changes that run already are not counted: they may take hours, and are looked for
 * elsewhere (migrations_touching).
 */
#ifndef VTSHIM_PROXY_HOLD_DRAIN_H
#define VTSHIM_PROXY_HOLD_DRAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "planner/hold.h"

struct server;
struct session;

enum obstacle {
    OBSTACLE_NONE,
    OBSTACLE_TRANSACTION, /* open, and it has touched what the hold is about */
    OBSTACLE_OLD,         /* open, and nobody knows what it touched before the hold */
    OBSTACLE_STATEMENT    /* under way; it touches that, or is older than the hold */
};

/* Of the session's worker, which must act by the hold. */
enum obstacle hold_obstacle(const struct session *s, const struct hold *h);
const char *obstacle_text(enum obstacle o);

#define HOLD_NAMED_MAX 8 /* sessions in the way that are named */

struct hold_count {
    size_t in_the_way;
    size_t elsewhere;  /* ... of other shims of the fleet, if the hold is shared */
    int64_t excess_ms; /* how much too slow transactions were that touched what it is about, lately,
                          here and there (slow_transactions.h) */
    uint64_t sessions[HOLD_NAMED_MAX]; /* the first of them here */
    uint64_t parked;                   /* behind this hold */
};

enum drain_end {
    DRAIN_DONE,    /* nothing is in the way any more */
    DRAIN_TIMEOUT, /* count tells what still is */
    DRAIN_GONE     /* the hold ended meanwhile, or was not there */
};

/* Called once, on the control loop, and never from inside of hold_drain_start. */
typedef void hold_drained(void *arg, enum drain_end end, const struct hold_count *count);

/* Looks every few milliseconds until nothing is in the way of that hold, at most for timeout_ms. */
struct hold_drain *hold_drain_start(struct server *server, uint64_t hold, int64_t timeout_ms,
                                    hold_drained *done, void *arg);

/* The same for as long as it takes, and only for this shim of a fleet. hold_drain_left: how many
   were in the way at the last look; SIZE_MAX: there was none yet. *excess_ms: as in hold_count. */
struct hold_drain *hold_drain_here(struct server *server, uint64_t hold, hold_drained *done,
                                   void *arg);
size_t hold_drain_left(const struct hold_drain *d, int64_t *excess_ms);

/* done will not be called any more. Not from inside of it. */
void hold_drain_stop(struct hold_drain *d);

/* The process ends, the workers have: frees those that were still waiting. */
void hold_drain_stop_all(struct server *server);

#endif
