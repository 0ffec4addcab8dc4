/*
 * A watch on Vitess's topology in etcd (topo.addresses): tells of a change before any vtgate
 * has heard of it. Keys as Vitess's go/vt/topo writes them, below the roots given (topo.roots):
 *
 *   <cell root>/SrvVSchema                       what the cell's vtgates serve with
 *   <cell root>/keyspaces/<ks>/SrvKeyspace       which shards serve (reshard, MoveTables)
 *   <global root>/keyspaces/<ks>/shards/<s>/Shard  who is primary (reparent), denied tables
 *   <global root>/keyspaces/<ks>[/shards/<s>]/locks/<lease>         who is about to change that
 *   <global root>/internal/named_locks/<ks>/<workflow>/locks/<lease>  (topo_lock.h)
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
#include "proxy/web_client.h"

struct server;
struct topo_watch;

/* NULL: topo.addresses is empty. Names are resolved here, once. */
struct topo_watch *topo_watch_create(struct server *server);
/* Nothing comes any more; the loop needs a turn to free what libevent holds. NULL is fine. */
void topo_watch_stop(struct topo_watch *w);
void topo_watch_destroy(struct topo_watch *w);

/* Asks etcd's gateway for something else, where the first root is watched; as web_call_start. token
   NULL: none. */
struct web_call *topo_watch_ask(struct topo_watch *w, const char *path, const char *body,
                                const char *token, web_done_fn *done, void *arg);

/* Whether all roots are being watched now. */
bool topo_watch_is_up(const struct topo_watch *w);

/*
 * What the change of a key tells (topo_key.c, pure): false if nothing. *t gets kind and keyspace.
 */
bool topo_key_read(const char *key, size_t len, struct change *t);

/* A key that was written or deleted; borrowed. */
struct topo_event {
    const char *key;
    size_t len;
    bool deleted;
    const char *value; /* in base64, value_len characters; "": none */
    size_t value_len;
    int64_t revision; /* of the store, with which it was written so; 0: not told */
};

/*
 * One line of the stream (topo_key.c, pure but for jansson): calls changed for each key in it.
 * False: it is no such line, or says that the watch has ended; *revision becomes the latest one
 * that has been told of, or 0 when the watch must begin anew from now.
 */
typedef void topo_changed_fn(void *arg, const struct topo_event *event);
bool topo_line_read(const char *line, size_t len, int64_t *revision, topo_changed_fn *changed,
                    void *arg);

/*
 * Whether the key is one of a lock (topo_key.c, pure but for jansson). What it is for is known
 * where it is taken, not where it is given back: action is "" then, or cut to fit.
 */
struct topo_lock {
    char keyspace[HOLD_NAME_MAX];
    char shard[HOLD_NAME_MAX];    /* "": the keyspace's lock, or the workflow's */
    char workflow[HOLD_NAME_MAX]; /* whose target the keyspace is; "": it is no workflow's lock */
    char action[64];              /* as its owner calls it: "SwitchWrites" */
};
bool topo_lock_read(const struct topo_event *event, struct topo_lock *lock);

/*
 * The tables that a shard's record names as denied: those of a MoveTables whose writes are being
 * switched (topo_key.c, pure but for protobuf-c). NULL: it is no shard's record, or a broken one.
 * topo_denied_free it.
 */
struct topo_denied {
    char keyspace[HOLD_NAME_MAX];
    size_t n;
    char (*tables)[HOLD_NAME_MAX]; /* without those whose names are too long */
};
struct topo_denied *topo_denied_read(const struct topo_event *event);
void topo_denied_free(struct topo_denied *denied); /* NULL is fine */

/* The body of the request that watches all keys below a root, from a revision on (0: from now).
   Allocated. */
char *topo_request(const char *root, int64_t revision);

/* The bodies of the requests for a lease of so many seconds, for a lock of that keyspace below the
   global root as topo_lock_read finds it, and to give the lease back. Allocated. The lease in the
   answer, and the revision that the lock was written with; 0: there is none. */
char *topo_lease_request(int64_t ttl_s);
int64_t topo_lease_read(const char *body, size_t len);
int64_t topo_put_read(const char *body, size_t len);
char *topo_lock_request(const char *root, const char *keyspace, int64_t lease);
char *topo_revoke_request(int64_t lease);

/* The body of the request that logs in, and the token (allocated) in its answer; NULL: there is
   none. */
char *topo_login_request(const char *user, const char *password);
char *topo_login_read(const char *body, size_t len);

#endif
