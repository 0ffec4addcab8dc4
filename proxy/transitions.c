/*
 * The registry of transitions: those under way, of which one at a time changes the same thing, and
 * those that have ended.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/server.h"
#include "proxy/transition.h"
#include "proxy/transition_internal.h"
#include "proxy/transition_store.h"

#define KEPT_MAX     100 /* that have ended */
#define ELSEWHERE_MS 1000

/* What only a transition under way needs. */
static void shed(struct transition *t)
{
    transition_early_end(t);
    transition_facts_free(t->facts);
    t->facts = NULL;
    transition_measure_free(t->measure);
    t->measure = NULL;
    subject_free(&t->before);
    subject_free(&t->after);
    subject_free(&t->now);
    vschema_diff_free(t->diff);
    t->diff = NULL;
    vschema_findings_free(&t->findings);
    event_del(t->timer);
}

static void transition_free(struct transition *t)
{
    TAILQ_REMOVE(&t->all->list, t, link);
    shed(t);
    event_free(t->timer);
    vtgate_watch_look_cancel(&t->look);
    transition_order_free(&t->order);
    arena_free(&t->arena);
    free(t->before_json);
    free(t->after_json);
    free(t->reloads);
    free(t);
}

static void forget_old(struct transitions *ts)
{
    struct transition *t, *next;

    for (t = TAILQ_FIRST(&ts->list); t && ts->ended > KEPT_MAX; t = next) {
        next = TAILQ_NEXT(t, link);
        if (!t->ended || t->busy)
            continue;
        transition_store_remove(t);
        transition_free(t);
        ts->ended--;
    }
}

/* The oldest one of the same keyspace, or of the routing rules, that has not ended. */
static struct transition *oldest(const struct transitions *ts, const struct transition_order *order)
{
    struct transition *t;

    TAILQ_FOREACH(t, &ts->list, link)
    {
        if (!t->ended && t->order.what == order->what &&
            strcmp(t->order.keyspace, order->keyspace) == 0)
            return t;
    }
    return NULL;
}

static void begin(struct transition *t)
{
    t->queued = false;
    transition_go(t, STEP_LOCK);
}

/* Those that wait for their turn, and have it now. */
static void begin_queued(struct transitions *ts)
{
    struct transition *t;

    TAILQ_FOREACH(t, &ts->list, link)
    {
        if (t->queued && oldest(ts, &t->order) == t)
            transition_wait(t, 0, begin);
    }
}

void transitions_ended(struct transition *t)
{
    struct transitions *ts = t->all;

    shed(t);
    ts->ended++;
    begin_queued(ts);
    forget_old(ts);
}

void transitions_stop(struct transitions *ts)
{
    struct transition *t;

    if (!ts)
        return;
    ts->stopped = true;
    TAILQ_FOREACH(t, &ts->list, link)
    {
        if (t->ended)
            continue;
        event_del(t->timer);
        transition_early_end(t);
        vtgate_watch_look_cancel(&t->look);
        t->lock = NULL; /* it ends with the fleet */
        log_warn("transition_interrupted", "transition:u keyspace:s step:s", t->id,
                 t->order.keyspace, transition_step_name(t->step));
        t->code = 1053;
        t->outcome = "interrupted";
        snprintf(t->state, sizeof(t->state), "08S01");
        snprintf(t->text, sizeof(t->text), "%s: the shim is ending%s",
                 transition_step_name(t->step),
                 t->may_hold && !t->undoing ? "; the change may be in force" : "");
        if (t->done)
            t->done(t->done_arg, t);
        t->done = NULL;
    }
}

void transitions_destroy(struct transitions *ts)
{
    if (!ts)
        return;
    while (!TAILQ_EMPTY(&ts->list))
        transition_free(TAILQ_FIRST(&ts->list));
    free(ts);
}

/* Why it cannot begin, or true. */
static bool may_start(const struct transitions *ts, const struct transition_order *order,
                      char error[TRANSITION_TEXT_MAX])
{
    const struct transition *t = oldest(ts, order);

    *error = '\0';
    if (!ts->server->vtctld)
        snprintf(error, TRANSITION_TEXT_MAX, "%s needs vtctld.addresses", order->verb);
    else if (ts->stopped)
        snprintf(error, TRANSITION_TEXT_MAX, "the shim is ending");
    else if (t && !order->queues)
        snprintf(error, TRANSITION_TEXT_MAX, "transition %" PRIu64 " of %s%s is under way: %s",
                 t->id, *order->keyspace ? "keyspace " : "the routing rules", order->keyspace,
                 transition_step_name(t->step));
    return !*error;
}

uint64_t transition_start(struct transitions *ts, const struct transition_order *order,
                          transition_done *done, void *arg, char error[TRANSITION_TEXT_MAX])
{
    if (!may_start(ts, order, error))
        return 0;
    struct transition *t = memory_zalloc(sizeof(*t));

    t->all = ts;
    t->server = ts->server;
    t->id = ts->last_id = transition_store_next_id(ts->server, ts->last_id + 1);
    transition_order_copy(&t->order, order);
    t->done = done;
    t->done_arg = arg;
    t->held_ms = -1;
    t->started_ms = clock_ms();
    log_time(t->started);
    t->timer = evtimer_new(ts->server->base, transition_on_timer, t);
    TAILQ_INSERT_TAIL(&ts->list, t, link);
    log_info("transition_started", "transition:u keyspace:s verb:s user:s peer:s dry_run:u", t->id,
             t->order.keyspace, t->order.verb, t->order.user, t->order.peer,
             (uint64_t)t->order.dry_run);
    t->queued = true;
    begin_queued(ts);
    return t->id;
}

static void look_elsewhere(struct transition *t);

/* Where its number belongs: one that is read again keeps its place before those that wait for it.
 */
static void insert(struct transitions *ts, struct transition *t)
{
    struct transition *at;

    TAILQ_FOREACH_REVERSE(at, &ts->list, transition_list, link)
    {
        if (at->id < t->id) {
            TAILQ_INSERT_AFTER(&ts->list, at, t, link);
            return;
        }
    }
    TAILQ_INSERT_HEAD(&ts->list, t, link);
}

/* One of another life of the process. */
static void on_file(void *arg, uint64_t id, const json_t *json)
{
    struct transitions *ts = arg;
    struct transition *t = memory_zalloc(sizeof(*t));

    t->all = ts;
    t->server = ts->server;
    t->id = id;
    t->timer = evtimer_new(ts->server->base, transition_on_timer, t);
    insert(ts, t);
    if (id > ts->last_id)
        ts->last_id = id;
    if (!transition_store_read(t, json)) {
        log_warn("transition_file_malformed", "transition:u", id);
        transition_free(t);
        return;
    }
    t->ended = strcmp(t->outcome, "running") != 0;
    t->ended_ms = clock_ms();
    if (t->ended) {
        ts->ended++;
        return;
    }
    t->outcome = NULL;
    if (transition_store_is_elsewhere(ts->server, json)) {
        transition_wait(t, ELSEWHERE_MS, look_elsewhere);
    } else if (!t->may_hold) {
        t->code = 1053;
        snprintf(t->state, sizeof(t->state), "08S01");
        snprintf(t->text, sizeof(t->text), "%s: the shim ended", transition_step_name(t->step));
        t->outcome = "failed";
        transition_end(t);
    } else {
        log_info("transition_resumed", "transition:u keyspace:s step:s", id, t->order.keyspace,
                 transition_step_name(t->step));
        transition_wait(t, 0, transition_lock_resume);
    }
}

/* What has become of one that another process is about. */
static void look_elsewhere(struct transition *t)
{
    struct transitions *ts = t->all;
    uint64_t id = t->id;
    json_t *json = transition_store_again(ts->server, id);

    transition_free(t);
    if (json)
        on_file(ts, id, json);
    json_decref(json);
    begin_queued(ts); /* who waited for it, if it has ended there */
}

struct transitions *transitions_create(struct server *server)
{
    struct transitions *ts = memory_zalloc(sizeof(*ts));

    ts->server = server;
    TAILQ_INIT(&ts->list);
    return ts;
}

void transitions_load(struct transitions *ts)
{
    if (ts->server->vtctld)
        transition_store_load(ts->server, on_file, ts);
}

void transition_forget(struct transitions *ts, uint64_t id)
{
    struct transition *t = transitions_find(ts, id);

    if (t)
        t->done = NULL;
}

struct transition *transitions_next(struct transitions *ts, const struct transition *after)
{
    return after ? TAILQ_NEXT(after, link) : TAILQ_FIRST(&ts->list);
}

const struct transition_tally *transitions_tally(const struct transitions *ts)
{
    return &ts->tally;
}

size_t transitions_running(const struct transitions *ts)
{
    const struct transition *t;
    size_t n = 0;

    TAILQ_FOREACH(t, &ts->list, link)
    n += !t->ended;
    return n;
}

const char *transitions_step_name(size_t step)
{
    return step < TRANSITION_STEPS ? transition_step_name(step) : NULL;
}

struct transition *transitions_find(struct transitions *ts, uint64_t id)
{
    struct transition *t;

    TAILQ_FOREACH(t, &ts->list, link)
    {
        if (t->id == id)
            return t;
    }
    return NULL;
}

void transition_describe(const struct transition *t, struct transition_row *row)
{
    *row = (struct transition_row){
        .id = t->id,
        .verb = t->order.verb,
        .keyspace = t->order.keyspace,
        .user = t->order.user,
        .peer = t->order.peer,
        .step = transition_step_name(t->step),
        .outcome = t->outcome && (t->ended || t->all->stopped) ? t->outcome : "running",
        .text = t->code ? t->text : transition_step_text(t->step),
        .started = t->started,
        .took_ms = (t->ended ? t->ended_ms : clock_ms()) - t->started_ms,
        .held_ms = t->held_ms,
        .changes = t->changes,
        .code = t->code,
    };
    memcpy(row->state, t->state, sizeof(row->state));
}

const struct transition_line *transition_lines(const struct transition *t, size_t *n)
{
    *n = t->line_count;
    return t->lines;
}

bool transition_inverse(struct transitions *ts, uint64_t id, struct transition_order *order,
                        char error[TRANSITION_TEXT_MAX])
{
    const struct transition *t = transitions_find(ts, id);

    if (!t)
        snprintf(error, TRANSITION_TEXT_MAX, "Unknown transition: %" PRIu64, id);
    else if (!t->ended)
        snprintf(error, TRANSITION_TEXT_MAX, "Transition %" PRIu64 " is under way", id);
    else if (t->order.what != TRANSITION_VSCHEMA && t->order.what != TRANSITION_ROUTING)
        snprintf(error, TRANSITION_TEXT_MAX, "Transition %" PRIu64 " was Vitess's to do: %s", id,
                 t->order.what == TRANSITION_TRAFFIC ? "SWITCH TRAFFIC .. REVERSE takes it back"
                                                     : "REPARENT again takes it back");
    else if (!t->may_hold || !t->before_json ||
             (strcmp(t->outcome, "done") != 0 && strcmp(t->outcome, "stuck") != 0))
        snprintf(error, TRANSITION_TEXT_MAX, "Transition %" PRIu64 " changed nothing (%s)", id,
                 t->outcome);
    else {
        *order = (struct transition_order){.what = t->order.what,
                                           .verb = "ROLLBACK TRANSITION",
                                           .undoes = id,
                                           .allow = "all",
                                           .user = "",
                                           .peer = ""};
        order->keyspace = arena_string(&order->arena, t->order.keyspace);
        order->source = arena_string(&order->arena, t->before_json);
        order->base = arena_string(&order->arena, t->after_json);
        return true;
    }
    return false;
}
