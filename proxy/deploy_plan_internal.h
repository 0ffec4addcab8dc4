/*
 * What the files of plans share: deploy_plans.c (registry), deploy_plan.c (the way through the
 * steps), deploy_plan_read.c (JSON), deploy_plan_order.c (judging the order), deploy_plan_lock.c
 * (one plan at a time), deploy_plan_ddl.c (one DDL), deploy_plan_store.c (files). For them only.
 */
#ifndef VTSHIM_PROXY_DEPLOY_PLAN_INTERNAL_H
#define VTSHIM_PROXY_DEPLOY_PLAN_INTERNAL_H

#include <event2/event.h>
#include <jansson.h>
#include <sys/queue.h>

#include "planner/deploy_order.h"
#include "proxy/deploy_plan.h"
#include "proxy/transition_order.h"
#include "proxy/vtctld.h"

enum plan_state { PLAN_WAITING, PLAN_RUNNING, PLAN_DONE, PLAN_FAILED };

/* How it came to run. */
enum plan_entry {
    PLAN_BEGINS,
    PLAN_RESUMES, /* RESUME PLAN */
    PLAN_RESTARTS /* it was cut off when the process before ended */
};

struct everywhere;
struct fleet_lock;

struct one_step {
    enum deploy_step_kind kind;
    const char *keyspace;
    const char *ddl;     /* DDL */
    const char *source;  /* VSchema, rules: JSON; NULL: statements */
    const char **alters; /* ALTER VSCHEMA */
    size_t alter_count;
    const char *what; /* for people */
    enum plan_state state;
    char uuid[64];
    uint64_t transition;
};

struct deploy_plan {
    TAILQ_ENTRY(deploy_plan) link;
    struct plans *all;
    struct server *server;
    uint64_t id;
    struct arena arena;
    json_t *json; /* as it came; owned */
    const char *user, *peer;
    char started[40];
    struct transition_order common; /* probes, watch, allow of its transitions */
    struct one_step steps[PLAN_STEPS_MAX];
    size_t n, at;
    const char *state;
    char text[PLAN_TEXT_MAX];
    bool dry_run, ended, busy;
    struct event *timer;
    void (*on_timer)(struct deploy_plan *p);
    void (*answered)(struct deploy_plan *p, const struct vtctld_answer *answer);
    int64_t polled_ms;             /* between two looks at a migration */
    bool unsure;                   /* its submission had no answer: some shards may not have it */
    size_t shards;                 /* of its keyspace; 0: not asked for */
    bool kept;                     /* the keeper follows the migration under way */
    int64_t until_ms;              /* how long the vtgates have to know its table */
    struct control_query *query;   /* deploy_plan_ddl.c: under way; owned */
    struct everywhere *everywhere; /* the same: whether all vtgates know the table; or NULL */
    enum plan_entry entry;
    struct fleet_lock *locks[PLAN_STEPS_MAX]; /* had, or the last one asked for */
    size_t lock_count;
    size_t locking; /* the step whose keyspace is being locked */
    void (*locked)(struct deploy_plan *p);
    size_t reading; /* deploy_plan_order.c */
    struct vschema *
        *states; /* of the steps' keyspaces, as they were; then after each step; owned */
    plan_ended *done;
    void *done_arg;
};

#define TEXT_PAUSED "paused" /* at the end of the text of a plan that is */

/* deploy_plans.c */
/* The process is ending: nothing more is begun. */
bool plan_is_stopped(const struct deploy_plan *p);
/* Of many that have ended, the oldest: p itself may be gone. */
void plans_forget_old(struct plans *ps);

/* deploy_plan.c */
/* From the locks on, and (after a pause or a restart) from the step at p->at on. */
void plan_begin(struct deploy_plan *p);
void plan_begin_again(struct deploy_plan *p);
void plan_on_timer(evutil_socket_t fd, short what, void *arg); /* of p->timer; arg: p */
void plan_call(struct deploy_plan *p, const char *method, const ProtobufCMessage *request,
               void (*answered)(struct deploy_plan *p, const struct vtctld_answer *answer));
void plan_wait(struct deploy_plan *p, int64_t ms, void (*then)(struct deploy_plan *p));
/* The step at p->at is done, or failed: the plan is paused there. */
void plan_step_done(struct deploy_plan *p);
void plan_step_failed(struct deploy_plan *p, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* It is over before it began. */
void plan_refuse(struct deploy_plan *p, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* deploy_plan_read.c: fills in p from p->json. */
bool plan_read(struct deploy_plan *p, char error[PLAN_TEXT_MAX]);

/* deploy_plan_order.c: reads the VSchemas, judges, and calls then(); or refuses the plan. */
void plan_judge(struct deploy_plan *p, void (*then)(struct deploy_plan *p));
void plan_states_free(struct deploy_plan *p);

/* deploy_plan_lock.c. plan_lock calls then() when no other plan of the fleet touches its keyspaces,
   or ends the plan, refused or paused. _conflicts: another of this process does, error says which.
   _stands: it still has all of them for certain. */
bool plan_lock_conflicts(struct deploy_plan *p, char error[PLAN_TEXT_MAX]);
void plan_lock(struct deploy_plan *p, void (*then)(struct deploy_plan *p));
bool plan_lock_stands(const struct deploy_plan *p);
void plan_lock_release(struct deploy_plan *p);

/* deploy_plan_ddl.c. _forget: nothing is asked any more. */
void plan_run_ddl(struct deploy_plan *p);
void plan_ddl_forget(struct deploy_plan *p);

/* deploy_plan_store.c. _next_id: see json_files_next_id. */
uint64_t plan_next_id(struct server *server, uint64_t least);
void plan_save(const struct deploy_plan *p);
void plan_remove(const struct deploy_plan *p);
void plan_load_all(struct server *server, void (*found)(void *arg, uint64_t id, const json_t *json),
                   void *arg);
json_t *plan_load_again(struct server *server, uint64_t id); /* NULL: it is gone */
/* The states of the steps and all else that is not in p->json. */
void plan_load_state(struct deploy_plan *p, const json_t *json);

#endif
