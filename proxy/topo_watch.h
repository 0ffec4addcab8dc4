/*
 * A watch on Vitess's topology in etcd (topo.addresses): tells of a change before any vtgate
 * has heard of it. Keys as Vitess's go/vt/topo writes them, below the roots given (topo.roots):
 *
 *   <cell root>/SrvVSchema                       what the cell's vtgates serve with
 *   <cell root>/keyspaces/<ks>/SrvKeyspace       which shards serve (reshard, MoveTables)
 *   <global root>/keyspaces/<ks>/shards/<s>/Shard  who is primary (reparent), denied tables
 *
 * It is etcd's JSON gateway (POST /v3/watch, "api_reference_v3" of etcd's documentation), which is
 * a stream of one JSON object a line. Control loop only.
 */
#ifndef VTSHIM_PROXY_TOPO_WATCH_H
#define VTSHIM_PROXY_TOPO_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "planner/change.h"

struct server;
struct topo_watch;

/* NULL: topo.addresses is empty. Names are resolved here, once. */
struct topo_watch *topo_watch_create(struct server *server);
/* Nothing comes any more; the loop needs a turn to free what libevent holds. NULL is fine. */
void topo_watch_stop(struct topo_watch *w);
void topo_watch_destroy(struct topo_watch *w);

/* Whether all roots are being watched now. */
bool topo_watch_is_up(const struct topo_watch *w);

/*
 * What the change of a key tells (topo_key.c, pure): false if nothing. *t gets kind and keyspace.
 */
bool topo_key_read(const char *key, size_t len, struct change *t);

/*
 * One line of the stream (topo_key.c, pure but for jansson): calls changed for each key in it.
 * False: it is no such line, or says that the watch has ended; *revision becomes the latest one,
 * or 0 when the watch must begin anew from now.
 */
typedef void topo_changed_fn(void *arg, const char *key, size_t len);
bool topo_line_read(const char *line, size_t len, int64_t *revision, topo_changed_fn *changed,
                    void *arg);

/* The body of the request that watches all keys below a root, from a revision on (0: from now).
   Allocated. */
char *topo_request(const char *root, int64_t revision);

/* The body of the request that logs in, and the token (allocated) in its answer; NULL: there is
   none. */
char *topo_login_request(const char *user, const char *password);
char *topo_login_read(const char *body, size_t len);

#endif
