/*
 * One transition at a time on a keyspace's VSchema, or on the routing rules, in a whole fleet; and
 * whether it may still be applied: a shim that was stopped or cut off for a while has lost its lock
 * and its holds to the end of its lease. Without a fleet the registry of transitions is enough.
 */
#include <stdio.h>

#include "proxy/fleet.h"
#include "proxy/fleet_lock.h"
#include "proxy/server.h"
#include "proxy/transition_internal.h"

#define QUEUE_MS 30000 /* how long an ALTER VSCHEMA waits for one on another shim */
#define AGAIN_MS 1000  /* after a restart */

static void on_locked(void *arg, const char *error);

static void take(struct transition *t, int64_t wait_ms)
{
    const struct transition_order *o = &t->order;
    char name[80], what[200];

    if (o->what == TRANSITION_ROUTING)
        snprintf(name, sizeof(name), "routing");
    else
        snprintf(name, sizeof(name), "%s %s", o->what == TRANSITION_VSCHEMA ? "vschema" : "serving",
                 o->keyspace);
    snprintf(what, sizeof(what), "%.60s by %.64s@%.64s", o->verb, o->user, o->peer);
    t->lock = fleet_lock_take(fleet_locks(t->server), name, what, wait_ms, on_locked, t);
}

static void begin(struct transition *t)
{
    if (t->order.what == TRANSITION_VSCHEMA || t->order.what == TRANSITION_ROUTING)
        transition_next(t);
    else
        transition_go(t, STEP_SWITCH_READ);
}

/* Its turn, or not: one that was cut off by a restart has to go on, and asks again. */
static void on_locked(void *arg, const char *error)
{
    struct transition *t = arg;

    if (error)
        t->lock = NULL;
    if (transition_is_stopped(t))
        return;
    if (!error && t->resumes)
        transition_resume(t);
    else if (!error)
        begin(t);
    else if (t->resumes)
        transition_wait(t, AGAIN_MS, transition_lock_resume);
    else
        transition_fail(t, 1105, "HY000", "one is under way on another shim: %s", error);
}

void transition_lock(struct transition *t)
{
    if (t->order.dry_run || !fleet_locks(t->server))
        begin(t);
    else
        take(t, t->order.queues ? QUEUE_MS : 0);
}

void transition_lock_resume(struct transition *t)
{
    t->resumes = true;
    if (fleet_locks(t->server))
        take(t, QUEUE_MS);
    else
        transition_resume(t);
}

bool transition_lock_stands(struct transition *t)
{
    if (t->lock && !fleet_lock_stands(t->lock)) {
        transition_fail(
            t, 1105, "HY000",
            "this shim was out of touch with the fleet (fleet.etcd) for longer than its "
            "lease; try again");
        return false;
    }
    for (size_t i = 0; i < t->hold_count; i++) {
        if (!fleet_hold_stands(t->server, t->holds[i])) {
            transition_fail(t, 1105, "HY000", "its hold has ended before it was applied");
            return false;
        }
    }
    return true;
}

void transition_lock_release(struct transition *t)
{
    fleet_lock_release(t->lock);
    t->lock = NULL;
}
