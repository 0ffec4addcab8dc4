/*
 * DEPLOY PLAN: schema changes and changes of VSchema or routing rules, one after the other. The
 * order is judged before anything begins (planner/deploy_order.h); each VSchema step is a
 * transition (transition.h), each DDL an online schema change through vtctld with a uuid of ours.
 * When a step fails the plan is paused: what comes after it is not begun before somebody resumes
 * the plan.
 *
 * With transition.dir a plan is kept in a file and goes on after a restart of the shim where it
 * was. Everything here is of the control loop.
 */
#ifndef VTSHIM_PROXY_DEPLOY_PLAN_H
#define VTSHIM_PROXY_DEPLOY_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PLAN_STEPS_MAX 64
#define PLAN_TEXT_MAX  512

struct server;
struct plans;
struct deploy_plan;

struct plans *plans_create(struct server *server);
/* Takes up what transition.dir has; after transitions_load. */
void plans_load(struct plans *ps);
void plans_stop(struct plans *ps);    /* who waits is answered */
void plans_destroy(struct plans *ps); /* NULL is fine */

/* Called once, when the plan is done, paused or was only judged; p lives until it returns. */
typedef void plan_ended(void *arg, struct deploy_plan *p);

/* json: {"keyspace": .., "allow": .., "probes": [..], "watch": {..}, "steps": [..]}. Its id; 0: it
   is malformed, error says where. */
uint64_t plan_start(struct plans *ps, const char *json, bool dry_run, const char *user,
                    const char *peer, plan_ended *ended, void *arg, char error[PLAN_TEXT_MAX]);
/* Goes on with a paused one. False: error says why not. */
bool plan_resume(struct plans *ps, uint64_t id, plan_ended *ended, void *arg,
                 char error[PLAN_TEXT_MAX]);
/* A paused one will not be gone on with. */
bool plan_cancel(struct plans *ps, uint64_t id, char error[PLAN_TEXT_MAX]);

struct plan_row {
    uint64_t id;
    const char *user, *peer, *started;
    const char *state; /* running, done, paused, cancelled, judged, refused */
    const char *text;  /* of a failure */
    size_t at, steps;  /* at: the step under way, from 0 on */
};

struct plan_step_row {
    const char *kind, *keyspace, *what; /* what: the DDL, or what the VSchema changes */
    const char *state;                  /* waiting, running, done, failed */
    const char *uuid;                   /* of a DDL's migration, or "" */
    uint64_t transition;                /* of the others, or 0 */
};

struct deploy_plan *plans_next(struct plans *ps, const struct deploy_plan *after);
struct deploy_plan *plans_find(struct plans *ps, uint64_t id);
void plan_describe(const struct deploy_plan *p, struct plan_row *row);
bool plan_step(const struct deploy_plan *p, size_t i, struct plan_step_row *row);

#endif
