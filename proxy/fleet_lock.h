/*
 * Locks among the shims of a fleet: what only one of them may do at a time. Control loop only.
 *
 * A lock is a queue of keys in etcd (etcd.h), "locks/<name>/<member>.<number>", each under the
 * lease of its shim: the one that was created first has the lock. Whoever takes leave, or whose
 * lease ends, lets the next one have it. A shim that was stopped or cut off for longer than its
 * lease has lost its locks, and fleet_lock_stands says so before it knows it from etcd.
 */
#ifndef VTSHIM_PROXY_FLEET_LOCK_H
#define VTSHIM_PROXY_FLEET_LOCK_H

#include <stdbool.h>
#include <stdint.h>

struct etcd;
struct etcd_view;
struct fleet_lock;
struct fleet_locks;
struct server;

#define FLEET_LOCK_TEXT_MAX 256

/* For fleet.c. */
struct fleet_locks *fleet_locks_create(struct server *server, struct etcd *etcd);
void fleet_locks_destroy(struct fleet_locks *ls);
/* Looks at the locks in what was read just now. */
void fleet_locks_see(struct fleet_locks *ls, const struct etcd_view *view);
/* Whoever waits too long has his answer. */
void fleet_locks_check(struct fleet_locks *ls);

/* Called once, never from inside of fleet_lock_take. error NULL: the lock is had. Else it is not,
   and is gone: "<what the holder said>, on <member>", or that etcd does not answer. */
typedef void fleet_locked(void *arg, const char *error);

/* Queues up for that lock (no '/' in its name) and waits for it: wait_ms 0, if somebody has it,
   not at all. `what` is shown to others who want it. */
struct fleet_lock *fleet_lock_take(struct fleet_locks *ls, const char *name, const char *what,
                                   int64_t wait_ms, fleet_locked *done, void *arg);

/* Whether it is still had for certain. */
bool fleet_lock_stands(const struct fleet_lock *l);

/* Gives it back, or takes leave of the queue: `done` is not called any more. NULL is fine. */
void fleet_lock_release(struct fleet_lock *l);

#endif
