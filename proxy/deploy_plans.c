/*
 * Which plans there are: the registry, new ones, those that are paused, and those of another life
 * of the process. What a plan does is in deploy_plan.c.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/deploy_plan_internal.h"
#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/server.h"
#include "proxy/transition_store.h"

#define KEPT_MAX     100
#define ELSEWHERE_MS 1000

struct plans {
    struct server *server;
    uint64_t last_id;
    bool stopped;
    TAILQ_HEAD(, deploy_plan) list;
    size_t n;
};

struct plans *plans_create(struct server *server)
{
    struct plans *ps = memory_zalloc(sizeof(*ps));

    ps->server = server;
    TAILQ_INIT(&ps->list);
    return ps;
}

bool plan_is_stopped(const struct deploy_plan *p)
{
    return p->all->stopped;
}

static void plan_free(struct deploy_plan *p)
{
    TAILQ_REMOVE(&p->all->list, p, link);
    p->all->n--;
    if (p->timer)
        event_free(p->timer);
    plan_ddl_forget(p);
    plan_states_free(p);
    json_decref(p->json);
    transition_order_free(&p->common);
    arena_free(&p->arena);
    free(p);
}

void plans_forget_old(struct plans *ps)
{
    struct deploy_plan *p, *next;

    for (p = TAILQ_FIRST(&ps->list); p && ps->n > KEPT_MAX; p = next) {
        next = TAILQ_NEXT(p, link);
        if (!p->ended || p->busy)
            continue;
        plan_remove(p);
        plan_free(p);
    }
}

/* --- a new one ------------------------------------------------------------------------------- */

/* Takes json. */
static struct deploy_plan *create(struct plans *ps, uint64_t id, json_t *json,
                                  char error[PLAN_TEXT_MAX])
{
    struct deploy_plan *p = memory_zalloc(sizeof(*p));

    p->all = ps;
    p->server = ps->server;
    p->id = id;
    p->json = json;
    p->user = p->peer = "";
    p->state = "running";
    p->timer = evtimer_new(ps->server->base, plan_on_timer, p);
    TAILQ_INSERT_TAIL(&ps->list, p, link);
    ps->n++;
    if (plan_read(p, error))
        return p;
    plan_free(p);
    return NULL;
}

uint64_t plan_start(struct plans *ps, const char *text, bool dry_run, const char *user,
                    const char *peer, plan_ended *ended, void *arg, char error[PLAN_TEXT_MAX])
{
    json_error_t why;

    if (!ps->server->vtctld || ps->stopped) {
        snprintf(error, PLAN_TEXT_MAX, "DEPLOY PLAN needs vtctld.addresses");
        return 0;
    }
    json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, &why);

    if (!json) {
        snprintf(error, PLAN_TEXT_MAX, "line %d, column %d: malformed JSON: %s", why.line,
                 why.column, why.text);
        return 0;
    }
    struct deploy_plan *p = create(ps, ps->last_id + 1, json, error);

    if (!p)
        return 0;
    if (!dry_run && plan_lock_conflicts(p, error)) {
        plan_free(p);
        return 0;
    }
    p->id = ps->last_id = plan_next_id(ps->server, ps->last_id + 1);
    p->dry_run = dry_run;
    p->user = arena_string(&p->arena, user);
    p->peer = arena_string(&p->arena, peer);
    p->done = ended;
    p->done_arg = arg;
    log_time(p->started);
    log_info("plan_started", "plan:u steps:u user:s peer:s dry_run:u", p->id, (uint64_t)p->n, user,
             peer, (uint64_t)dry_run);
    plan_wait(p, 0, plan_begin);
    return p->id;
}

/* --- one that is paused ---------------------------------------------------------------------- */

static struct deploy_plan *find_paused(struct plans *ps, uint64_t id, char error[PLAN_TEXT_MAX])
{
    struct deploy_plan *p = plans_find(ps, id);

    if (!p)
        snprintf(error, PLAN_TEXT_MAX, "Unknown plan: %" PRIu64, id);
    else if (strcmp(p->state, "paused") == 0)
        return p;
    else
        snprintf(error, PLAN_TEXT_MAX, "Plan %" PRIu64 " is %s, not paused", id, p->state);
    return NULL;
}

bool plan_resume(struct plans *ps, uint64_t id, plan_ended *ended, void *arg,
                 char error[PLAN_TEXT_MAX])
{
    struct deploy_plan *p = find_paused(ps, id, error);

    if (!p || plan_lock_conflicts(p, error))
        return false;
    p->ended = false;
    p->entry = PLAN_RESUMES;
    p->done = ended;
    p->done_arg = arg;
    *p->text = '\0';
    log_info("plan_resumed", "plan:u step:u", p->id, (uint64_t)p->at + 1);
    plan_wait(p, 0, plan_begin_again);
    return true;
}

bool plan_cancel(struct plans *ps, uint64_t id, char error[PLAN_TEXT_MAX])
{
    struct deploy_plan *p = find_paused(ps, id, error);

    if (!p)
        return false;
    size_t len = strlen(p->text), tail = sizeof(TEXT_PAUSED) - 1;

    if (len >= tail && strcmp(p->text + len - tail, TEXT_PAUSED) == 0)
        snprintf(p->text + len - tail, sizeof(p->text) - (len - tail), "given up");
    p->state = "cancelled";
    plan_save(p);
    return true;
}

/* --- of another life of the process ---------------------------------------------------------- */

static void look_elsewhere(struct deploy_plan *p);

/* One of another life of the process. */
static void on_file(void *arg, uint64_t id, const json_t *json)
{
    struct plans *ps = arg;
    char error[PLAN_TEXT_MAX];
    json_t *plan = json_object_get(json, "plan");
    struct deploy_plan *p = plan ? create(ps, id, json_incref(plan), error) : NULL;

    if (id > ps->last_id)
        ps->last_id = id;
    if (!p) {
        log_warn("plan_file_malformed", "plan:u", id);
        return;
    }
    plan_load_state(p, json);
    p->entry = PLAN_RESTARTS;
    p->ended = strcmp(p->state, "running") != 0;
    if (!p->ended && transition_store_is_elsewhere(ps->server, json))
        plan_wait(p, ELSEWHERE_MS, look_elsewhere);
    else if (!p->ended)
        plan_wait(p, 0, plan_begin_again);
}

/* What has become of one that another process is about. */
static void look_elsewhere(struct deploy_plan *p)
{
    struct plans *ps = p->all;
    uint64_t id = p->id;
    json_t *json = plan_load_again(ps->server, id);

    plan_free(p);
    if (json)
        on_file(ps, id, json);
    json_decref(json);
}

void plans_load(struct plans *ps)
{
    if (ps->server->vtctld)
        plan_load_all(ps->server, on_file, ps);
}

/* --- the end of the process ------------------------------------------------------------------ */

void plans_stop(struct plans *ps)
{
    struct deploy_plan *p;

    if (!ps)
        return;
    ps->stopped = true;
    TAILQ_FOREACH(p, &ps->list, link)
    {
        plan_ended *done = p->done;

        event_del(p->timer);
        p->lock_count = 0; /* they end with the fleet */
        if (p->ended || !done)
            continue;
        snprintf(p->text, sizeof(p->text), "step %zu: the shim is ending; %s", p->at + 1,
                 *ps->server->config->transition_dir ? "the plan goes on when it is there again"
                                                     : "without transition.dir the plan is lost");
        p->done = NULL;
        done(p->done_arg, p);
    }
}

void plans_destroy(struct plans *ps)
{
    if (!ps)
        return;
    while (!TAILQ_EMPTY(&ps->list))
        plan_free(TAILQ_FIRST(&ps->list));
    free(ps);
}

/* --- for who looks at them ------------------------------------------------------------------- */

struct deploy_plan *plans_next(struct plans *ps, const struct deploy_plan *after)
{
    return after ? TAILQ_NEXT(after, link) : TAILQ_FIRST(&ps->list);
}

struct deploy_plan *plans_find(struct plans *ps, uint64_t id)
{
    struct deploy_plan *p;

    TAILQ_FOREACH(p, &ps->list, link)
    {
        if (p->id == id)
            return p;
    }
    return NULL;
}

void plan_describe(const struct deploy_plan *p, struct plan_row *row)
{
    *row = (struct plan_row){.id = p->id,
                             .user = p->user,
                             .peer = p->peer,
                             .started = p->started,
                             .state = p->state,
                             .text = p->text,
                             .at = p->at,
                             .steps = p->n};
}

bool plan_step(const struct deploy_plan *p, size_t i, struct plan_step_row *row)
{
    static const char *const KINDS[] = {"ddl", "vschema", "routing_rules"};
    static const char *const STATES[] = {"waiting", "running", "done", "failed"};

    if (i >= p->n)
        return false;
    *row = (struct plan_step_row){.kind = KINDS[p->steps[i].kind],
                                  .keyspace = p->steps[i].keyspace,
                                  .what = p->steps[i].what,
                                  .state = STATES[p->steps[i].state],
                                  .uuid = p->steps[i].uuid,
                                  .transition = p->steps[i].transition};
    return true;
}
