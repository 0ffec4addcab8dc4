/*
 * The registry of holds. Lives on the control loop, as all of this; each change makes a new set and
 * hands it to every worker. A change is complete when `done` is called: every worker then acts by
 * it. Waiting until what is under way has ended, too, is hold_drain.h's.
 *
 * A part of the shim that needs a hold of its own fills in a struct hold (scope, names, kinds,
 * owner, reason; all else zero, unless it wants limits of its own), adds it, drains it, does what
 * it has to do, and removes it.
 */
#ifndef VTSHIM_PROXY_HOLDS_H
#define VTSHIM_PROXY_HOLDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "planner/hold.h"

struct server;
struct holds;

struct holds *holds_create(struct server *server);
void holds_destroy(struct holds *hs);

/* Called on the control loop once every worker has the change; never from inside the call. */
typedef void holds_callback(void *arg);

/* Adds a hold (id, tally, created_ms and expires_ms are filled in) that ends after ttl_ms. The same
   hold (hold_is_same) is renewed instead: it keeps its id and age, and has the new limits, reason
   and connection. Returns its id. */
uint64_t holds_add(struct holds *hs, const struct hold *hold, int64_t ttl_ms, holds_callback *done,
                   void *arg);

/* Ends one hold (id), or all of them (id 0). Returns how many; done is called in any case. */
size_t holds_remove(struct holds *hs, uint64_t id, holds_callback *done, void *arg);

/* That connection of the admin port vanished: ends the holds that are bound to it. */
void holds_connection_gone(struct holds *hs, uint32_t connection);

/* The holds now in force, and those whose sessions are being resumed (hold.released). Borrowed
   until the next turn of the control loop. */
const struct hold_set *holds_now(const struct holds *hs);

/* The one in force with that id; NULL: there is none. Borrowed likewise. */
const struct hold *holds_find(const struct holds *hs, uint64_t id);

/* Whether it was released and all whom it had parked have gone on: it stands in the set until the
   next look at it, and nobody is told of it any more. */
bool holds_is_over(const struct hold *h);

/* How many are in force. */
size_t holds_count(const struct holds *hs);

#endif
