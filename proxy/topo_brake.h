/*
 * Has vtctld wait before it switches a workflow's writes until the transactions that are open on
 * its tables have ended: of the source keyspace, whose lock vtctld takes next, the lock is taken,
 * as by any other client of Vitess's topology, and given back when nothing is in the way of the
 * holds any more, or after topo.lock_wait_ms. It has a lease of its own, some seconds longer,
 * should this process end or be stopped. Whoever came first to the lock is not kept waiting.
 *
 * Source: newUniqueEphemeralKV and waitOnLastRev in Vitess's go/vt/topo/etcd2topo/lock.go.
 */
#ifndef VTSHIM_PROXY_TOPO_BRAKE_H
#define VTSHIM_PROXY_TOPO_BRAKE_H

#include <stddef.h>
#include <stdint.h>

struct server;
struct topo_brake;
struct topo_brakes;
struct topo_watch;

/* Control loop only, all of it. */
struct topo_brakes *topo_brakes_create(struct server *server, struct topo_watch *watch);
/* Nothing comes any more: as topo_watch_stop and topo_watch_destroy. */
void topo_brakes_stop(struct topo_brakes *bs);
void topo_brakes_destroy(struct topo_brakes *bs);

/* Of a keyspace below the global root root[0..len). NULL: the shim is to take no locks, or has many
   already. It is to be told its holds, and to go, before the loop turns; then it is its own. */
struct topo_brake *topo_brake_create(struct topo_brakes *bs, const char *root, size_t len,
                                     const char *keyspace);
void topo_brake_add(struct topo_brake *b, uint64_t hold);
void topo_brake_go(struct topo_brake *b); /* NULL is fine */

/* Of that keyspace vtctld has written its own lock, with that revision of the store: it waits for
   the brake's if that one is older; if not, it was too late, which is said when it is given back.
 */
void topo_brakes_note(struct topo_brakes *bs, const char *keyspace, int64_t revision);

#endif
