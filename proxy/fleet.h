/*
 * Several shims as one: what one holds, all hold. Control loop only.
 *
 * A shared hold is a key in etcd (etcd.h), "holds/<member>.<id>", that ends with the shim that set
 * it, or, if it is sticky, with its time. Every shim that reads it adds it to its own registry
 * (holds.h) and says so in its member's key, with the revision it has read and how many sessions
 * are in its way. A hold is set when every member in one view of the keys has said so: one that
 * does not answer any more is out of the view when its lease has ended, and does not let anything
 * begin by itself any more (etcd.h, `fence`).
 *
 * Without fleet.etcd there is no fleet, and a hold is set when this shim's workers have it.
 */
#ifndef VTSHIM_PROXY_FLEET_H
#define VTSHIM_PROXY_FLEET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "planner/hold.h"

struct server;
struct fleet;
struct fleet_locks;
struct mailbox;

/* False (with a line in the log) when it is configured and cannot be started. */
bool fleet_start(struct server *server);
/* Takes leave of the others; later: frees everything, when the threads have ended. */
void fleet_stop(struct fleet *f);
void fleet_destroy(struct fleet *f);

/* Has done(context, arg) called on that mailbox's thread when the fleet's has begun another turn.
 */
void fleet_come_by(struct fleet *f, struct mailbox *mailbox, void (*done)(void *context, void *arg),
                   void *context, void *arg);

/* Called once, never from inside of fleet_hold. error NULL: the hold is set everywhere. Else it is
   nowhere. */
typedef void fleet_held(void *arg, uint64_t id, const char *error);

/* As holds_add, for all shims. `sticky`: it outlives this shim. Returns its id here. */
uint64_t fleet_hold(struct server *server, const struct hold *hold, int64_t ttl_ms, bool sticky,
                    fleet_held *done, void *arg);

/* How many sessions are in the way of that hold on the other shims; those who have not counted yet
   count as one. To *excess_ms is added how much too slow transactions were there (hold_drain.h); of
   a shim that does not tell, INT32_MAX. */
size_t fleet_in_the_way(const struct server *server, uint64_t id, int64_t *excess_ms);

/* Whether everybody still acts by that hold, as far as this shim knows: it is in force here, and
   in a fleet this shim is in touch with the others (they do not act by it alone for long). */
bool fleet_hold_stands(const struct server *server, uint64_t id);

/* Whether the others have to reckon with this shim: its lease has not ended. Not without a fleet.
 */
bool fleet_is_in_touch(const struct server *server);

/* NULL: no fleet (fleet_lock.h). */
struct fleet_locks *fleet_locks(const struct server *server);

/* Whether that hold is shared. */
bool fleet_shares(const struct server *server, uint64_t id);

/* The members as last seen, this one included, and how long ago that was. */
struct fleet_member {
    const char *name;
    bool self;
    size_t holds; /* that it acts by */
};
size_t fleet_members(const struct server *server, struct fleet_member *members, size_t max,
                     int64_t *age_ms);

#endif
