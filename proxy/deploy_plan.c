/*
 * The way of a plan through its steps. Which plans there are: deploy_plans.c.
 */
#include "proxy/deploy_plan.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "proxy/deploy_plan_internal.h"
#include "proxy/log.h"
#include "proxy/server.h"
#include "proxy/transition.h"

#define LOOK_MS 200 /* at a transition that goes on after a restart */

static void run(struct deploy_plan *p);

/* --- questions ------------------------------------------------------------------------------- */

static void on_answer(void *context, void *arg)
{
    struct vtctld_answer *answer = arg;
    struct deploy_plan *p = answer->arg;

    (void)context;
    p->busy = false;
    if (!p->ended && !plan_is_stopped(p))
        p->answered(p, answer);
    vtctld_answer_free(answer);
}

void plan_call(struct deploy_plan *p, const char *method, const ProtobufCMessage *request,
               void (*answered)(struct deploy_plan *p, const struct vtctld_answer *answer))
{
    struct server *server = p->server;

    assert(!p->busy);
    p->busy = true;
    p->answered = answered;
    vtctld_call(server->vtctld, method, request, server->config->vtctld_timeout_ms,
                &server->mailbox, on_answer, server, p);
}

void plan_on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct deploy_plan *p = arg;

    (void)fd;
    (void)what;
    if (!p->ended && !plan_is_stopped(p))
        p->on_timer(p);
}

void plan_wait(struct deploy_plan *p, int64_t ms, void (*then)(struct deploy_plan *p))
{
    struct timeval tv = {ms / 1000, (ms % 1000) * 1000};

    p->on_timer = then;
    event_add(p->timer, &tv);
}

/* --- the end --------------------------------------------------------------------------------- */

static void end(struct deploy_plan *p, const char *state)
{
    plan_ended *done = p->done;

    p->state = state;
    p->ended = true;
    p->done = NULL;
    plan_ddl_forget(p);
    plan_lock_release(p);
    plan_states_free(p);
    plan_save(p);
    log_info("plan_ended", "plan:u state:s at:u steps:u", p->id, state, (uint64_t)p->at,
             (uint64_t)p->n);
    if (done)
        done(p->done_arg, p);
    plans_forget_old(p->all);
}

void plan_refuse(struct deploy_plan *p, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(p->text, sizeof(p->text), format, args);
    va_end(args);
    end(p, "refused");
}

/* --- steps ----------------------------------------------------------------------------------- */

void plan_step_done(struct deploy_plan *p)
{
    p->steps[p->at].state = PLAN_DONE;
    p->at++;
    plan_save(p);
    run(p);
}

void plan_step_failed(struct deploy_plan *p, const char *format, ...)
{
    char text[PLAN_TEXT_MAX];
    va_list args;

    if (plan_is_stopped(p))
        return;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    snprintf(p->text, sizeof(p->text), "step %zu: %.440s; " TEXT_PAUSED, p->at + 1, text);
    p->steps[p->at].state = PLAN_FAILED;
    *p->steps[p->at].uuid = '\0';
    end(p, "paused");
}

static void judge_transition(struct deploy_plan *p, const struct transition *t)
{
    struct transition_row row;

    transition_describe(t, &row);
    if (row.code)
        plan_step_failed(p, "transition %" PRIu64 ": %s", row.id, row.text);
    else
        plan_step_done(p);
}

static void on_transition(void *arg, struct transition *t)
{
    struct deploy_plan *p = arg;

    if (!plan_is_stopped(p))
        judge_transition(p, t);
}

/* One that was begun before a restart. */
static void look_at_transition(struct deploy_plan *p)
{
    struct one_step *step = &p->steps[p->at];
    const struct transition *t = transitions_find(p->server->transitions, step->transition);
    struct transition_row row;

    if (!t) {
        step->transition = 0;
        run(p); /* it never got anywhere */
        return;
    }
    transition_describe(t, &row);
    if (strcmp(row.outcome, "running") == 0)
        plan_wait(p, LOOK_MS, look_at_transition);
    else
        judge_transition(p, t);
}

static void run_transition(struct deploy_plan *p)
{
    struct one_step *step = &p->steps[p->at];
    struct transition_order order = p->common;
    char error[TRANSITION_TEXT_MAX];

    if (step->transition && step->state == PLAN_RUNNING) {
        look_at_transition(p);
        return;
    }
    order.arena = (struct arena){NULL};
    order.what = step->kind == DEPLOY_ROUTING ? TRANSITION_ROUTING : TRANSITION_VSCHEMA;
    order.verb = "DEPLOY PLAN";
    order.keyspace = step->keyspace;
    order.source = step->source;
    order.statements = step->alters;
    order.statement_count = step->alter_count;
    order.user = p->user;
    order.peer = p->peer;
    order.queues = true;
    if (p->at + 1 < p->n)
        order.watch_s = 0; /* the whole is watched, after its last step */
    step->state = PLAN_RUNNING;
    step->transition = transition_start(p->server->transitions, &order, on_transition, p, error);
    if (step->transition)
        plan_save(p);
    else
        plan_step_failed(p, "%s", error);
}

static void run(struct deploy_plan *p)
{
    if (p->at == p->n) {
        end(p, "done");
        return;
    }
    struct one_step *step = &p->steps[p->at];

    p->state = "running";
    if (!plan_lock_stands(p)) {
        plan_step_failed(p,
                         "this shim was out of touch with the fleet (fleet.etcd) for longer than "
                         "its lease");
        return;
    }
    log_info("plan_step", "plan:u step:u", p->id, (uint64_t)p->at + 1);
    if (step->kind != DEPLOY_DDL) {
        run_transition(p);
        return;
    }
    step->state = PLAN_RUNNING;
    plan_run_ddl(p);
}

static void judged(struct deploy_plan *p)
{
    if (p->dry_run)
        end(p, "judged");
    else
        run(p);
}

static void judge(struct deploy_plan *p)
{
    plan_judge(p, judged);
}

void plan_begin(struct deploy_plan *p)
{
    if (p->dry_run)
        judge(p);
    else
        plan_lock(p, judge);
}

void plan_begin_again(struct deploy_plan *p)
{
    plan_lock(p, run);
}
