/*
 * One plan at a time on a keyspace, and one with routing rules: in this process by the registry of
 * plans, in a whole fleet by a lock for each keyspace of the plan (fleet_lock.h), which are taken
 * in the order of its steps. Nobody waits for another plan, so that two cannot wait for each other;
 * but a plan that was cut off by a restart waits for the lease of the process before it to end.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proxy/deploy_plan_internal.h"
#include "proxy/fleet.h"
#include "proxy/fleet_lock.h"
#include "proxy/server.h"

#define AFTER_RESTART_MS 30000
#define AGAIN_MS         1000

static const char *name_of(const char *keyspace)
{
    return *keyspace ? keyspace : "the routing rules";
}

/* The step whose keyspace an earlier one has, too, needs no lock of its own. */
static bool is_first_of_keyspace(const struct deploy_plan *p, size_t step)
{
    for (size_t i = 0; i < step; i++) {
        if (strcmp(p->steps[i].keyspace, p->steps[step].keyspace) == 0)
            return false;
    }
    return true;
}

static bool touches(const struct deploy_plan *p, const char *keyspace)
{
    for (size_t i = 0; i < p->n; i++) {
        if (strcmp(p->steps[i].keyspace, keyspace) == 0)
            return true;
    }
    return false;
}

bool plan_lock_conflicts(struct deploy_plan *p, char error[PLAN_TEXT_MAX])
{
    const struct deploy_plan *other = NULL;

    while ((other = plans_next(p->all, other)) != NULL) {
        if (other == p || other->ended || other->dry_run)
            continue;
        for (size_t i = 0; i < p->n; i++) {
            if (!touches(other, p->steps[i].keyspace))
                continue;
            snprintf(error, PLAN_TEXT_MAX, "plan %" PRIu64 " of %s is under way", other->id,
                     name_of(p->steps[i].keyspace));
            return true;
        }
    }
    return false;
}

/* --- the fleet's ----------------------------------------------------------------------------- */

static void take_next(struct deploy_plan *p);

static void take_again(struct deploy_plan *p)
{
    plan_lock(p, p->locked);
}

static void not_had(struct deploy_plan *p, const char *keyspace, const char *error)
{
    plan_lock_release(p);
    if (p->entry == PLAN_RESTARTS)
        plan_wait(p, AGAIN_MS, take_again);
    else if (p->entry == PLAN_BEGINS)
        plan_refuse(p, "a plan of %s is under way on another shim: %s", name_of(keyspace), error);
    else
        plan_step_failed(p, "a plan of %s is under way on another shim: %s", name_of(keyspace),
                         error);
}

static void on_locked(void *arg, const char *error)
{
    struct deploy_plan *p = arg;

    if (error)
        p->lock_count--; /* it is gone */
    if (plan_is_stopped(p))
        return;
    if (error) {
        not_had(p, p->steps[p->locking].keyspace, error);
        return;
    }
    p->locking++;
    take_next(p);
}

static void take_next(struct deploy_plan *p)
{
    char name[80], what[200];

    while (p->locking < p->n && !is_first_of_keyspace(p, p->locking))
        p->locking++;
    if (p->locking == p->n) {
        p->locked(p);
        return;
    }
    const char *keyspace = p->steps[p->locking].keyspace;

    snprintf(name, sizeof(name), "plan%s%s", *keyspace ? " " : "", keyspace);
    snprintf(what, sizeof(what), "DEPLOY PLAN by %.64s@%.64s", p->user, p->peer);
    p->locks[p->lock_count++] =
        fleet_lock_take(fleet_locks(p->server), name, what,
                        p->entry == PLAN_RESTARTS ? AFTER_RESTART_MS : 0, on_locked, p);
}

void plan_lock(struct deploy_plan *p, void (*then)(struct deploy_plan *p))
{
    p->locked = then;
    p->locking = 0;
    if (fleet_locks(p->server))
        take_next(p);
    else
        then(p);
}

bool plan_lock_stands(const struct deploy_plan *p)
{
    for (size_t i = 0; i < p->lock_count; i++) {
        if (!fleet_lock_stands(p->locks[i]))
            return false;
    }
    return true;
}

void plan_lock_release(struct deploy_plan *p)
{
    while (p->lock_count > 0)
        fleet_lock_release(p->locks[--p->lock_count]);
}
