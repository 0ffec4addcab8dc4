/*
 * Locks that vtctld and VTOrc take in Vitess's topology before they change who serves. The lock is
 * in etcd some moments before the first tablet refuses anything: what would get an error that no
 * retry can hide (a write of a transaction to a table that moves, a write whose tablet steps down
 * under it) is held from then on, until the lock is given back, and topo.lock_hold_ms at most.
 * Statements that are under way end; nobody waits for them. Which tables move is in the shards'
 * records a moment after the lock: from then on only these are held. What this shim, or one of its
 * fleet, does itself is held by that.
 */
#ifndef VTSHIM_PROXY_TOPO_LOCK_H
#define VTSHIM_PROXY_TOPO_LOCK_H

#include "proxy/topo_watch.h"

struct topo_locks;

/* Control loop only. */
struct topo_locks *topo_locks_create(struct server *server, struct topo_watch *watch);
void topo_locks_stop(struct topo_locks *ls);    /* as topo_watch_stop */
void topo_locks_destroy(struct topo_locks *ls); /* its holds end by themselves */

/* What happened to any key; those that are no locks' are ignored. */
void topo_locks_note(struct topo_locks *ls, const struct topo_event *event);

#endif
