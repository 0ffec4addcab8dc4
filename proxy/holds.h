/*
 * The registry of holds. Lives on the control loop; each change makes a new set and hands it to
 * every worker. A change is complete when `done` is called: every worker then acts by it.
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

/* Called on the control loop once every worker has the change. */
typedef void holds_callback(void *arg);

/* Adds a hold (id, created_ms and expires_ms are filled in) that ends after ttl_ms. A hold of the
   same scope and names is renewed instead: its id is kept. Returns its id. */
uint64_t holds_add(struct holds *hs, const struct hold *hold, int64_t ttl_ms, holds_callback *done,
                   void *arg);

/* Ends one hold (id), or all of them (id 0). Returns how many; done is called in any case. */
size_t holds_remove(struct holds *hs, uint64_t id, holds_callback *done, void *arg);

/* The holds now in force. Borrowed until the next turn of the control loop. */
const struct hold_set *holds_now(const struct holds *hs);

#endif
