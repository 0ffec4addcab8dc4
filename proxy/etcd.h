/*
 * The shims' keys in the topology server's etcd: a thread of its own that keeps this shim's lease,
 * writes keys, and reads all of them every fleet.poll_ms. What the keys mean is fleet.h's.
 *
 * All keys begin with "/vtshim/<fleet.name>/"; here they are named by what follows. The key
 * "members/<member>" exists as long as the lease does, and tells the others that this shim is
 * there.
 *
 * The thread also keeps server->fence_us: the time until which the others have to reckon with this
 * shim, which is when its lease ends at the earliest. Afterwards workers stop what begins
 * (planner/plan.h, `fenced`), until all of them act by what was read under a new lease; or for
 * fleet.isolation_ms, after which the shim goes on by itself.
 */
#ifndef VTSHIM_PROXY_ETCD_H
#define VTSHIM_PROXY_ETCD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/mailbox.h"

struct server;
struct etcd;

#define ETCD_MEMBER_MAX 24 /* "<instance>-<8 digits>" and a NUL */

struct etcd_item {
    char *key, *value;
    int64_t revision; /* of the key's last change; grows with each change of any key */
    int64_t created;  /* of its creation */
};

/* All keys at one moment. */
struct etcd_view {
    uint64_t registration; /* the lease under which it was read: 1, 2, ... */
    size_t n;
    struct etcd_item items[];
};

void etcd_view_free(struct etcd_view *view);

/* Called on the control loop with each view, which it owns then. The next is read afterwards. */
typedef void etcd_viewed(void *arg, struct etcd_view *view);

/* NULL (with a line in the log) when the thread cannot be made. */
struct etcd *etcd_start(struct server *server, etcd_viewed *viewed, void *arg);

/* Gives the lease back, and ends the thread. */
void etcd_stop(struct etcd *e);

/* Frees everything. The threads that ask have ended. */
void etcd_destroy(struct etcd *e);

/* Has the thread run done(context, arg) on that mailbox's thread after its next turn: what it used
   before is not used any more. */
void etcd_come_by(struct etcd *e, struct mailbox *mailbox, mailbox_fn *done, void *context,
                  void *arg);

/* The name of this shim in the fleet; another one after each start. */
const char *etcd_member(const struct etcd *e);

/* Writes or deletes a key as soon as etcd can be reached; the last word on a key counts. With ttl_s
   the key has a lease of its own, else it ends with this shim. Control loop, as the following. */
void etcd_put(struct etcd *e, const char *key, const char *value, int64_t ttl_s);
void etcd_delete(struct etcd *e, const char *key);

/* The value of this shim's own key, now and under later leases. */
void etcd_set_member(struct etcd *e, const char *value);

/* Every worker acts by a view of that registration. */
void etcd_synced(struct etcd *e, uint64_t registration);

#endif
