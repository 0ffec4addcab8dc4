/*
 * What the files of a fleet's holds share. For them only; control loop only.
 *
 * fleet.c: the registry against the keys, and what others ask. fleet_hold.c: setting a hold.
 */
#ifndef VTSHIM_PROXY_FLEET_INTERNAL_H
#define VTSHIM_PROXY_FLEET_INTERNAL_H

#include <jansson.h>
#include <sys/queue.h>

#include "proxy/fleet.h"

#define FLEET_KEY_MAX 96

struct etcd;
struct fleet_waiter; /* fleet_hold.c */

/* A hold that is shared. */
struct fleet_shared {
    LIST_ENTRY(fleet_shared) link;
    struct fleet *fleet;
    char key[FLEET_KEY_MAX];
    uint64_t id;      /* in the registry */
    bool own, sticky; /* sticky: only of own ones */
    char *value;      /* own: as it is to be in etcd */
    int64_t revision; /* of the key as it was read last; 0: it was not yet */
    bool current;     /* what was read is what is to be there */
    bool seen;        /* in the view under way */
    bool unknown;     /* nothing that this shim can act by: it never says that it does */
    bool deleting;
    struct hold_drain *drain; /* waits until nothing is in its way here */
    bool drained;             /* ... and nothing is */
    int64_t excess_ms;        /* drained: as in struct hold_count */
};

/* A shim of the fleet, as the last view has it. */
struct fleet_seen {
    char *name;
    json_t *holds;
};

struct fleet {
    struct server *server;
    struct etcd *etcd;
    struct fleet_locks *locks;
    struct event *check;
    LIST_HEAD(, fleet_shared) shared;
    LIST_HEAD(, fleet_waiter) waiters;
    struct fleet_seen *members; /* of the last view */
    size_t member_count;
    int64_t viewed_ms;     /* when that was; 0: there was none */
    uint64_t registration; /* of it */
    size_t pending;        /* changes of the registry on their way to the workers */
    bool stopping;
};

/* The shared hold of that id in the registry; NULL: it is not shared, or is being deleted. */
struct fleet_shared *fleet_find(const struct fleet *f, uint64_t id);
/* A new one of that key; what it is about is for the caller to fill in. */
struct fleet_shared *fleet_add(struct fleet *f, const char *key);
/* Its key is deleted; it goes when that is seen. */
void fleet_delete(struct fleet_shared *s);
/* Whether it is in the registry. */
bool fleet_has(const struct fleet_shared *s);
/* The workers act by a change of the registry that was counted in f->pending. arg: the fleet. */
void fleet_applied(void *arg);

/* fleet_hold.c: who waits for a hold is told, if it is set or will not be. */
void fleet_hold_check(struct fleet *f);
/* Whoever still waits is told that it will not be. */
void fleet_hold_stop(struct fleet *f);

#endif
