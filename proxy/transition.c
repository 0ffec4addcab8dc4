/*
 * The way of a transition through its steps, and the registry of them. What a step does is in the
 * other files; none of them knows which step comes next.
 */
#include "proxy/transition.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/audit.h"
#include "proxy/flights.h"
#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/server.h"
#include "proxy/transition_internal.h"
#include "proxy/transition_store.h"
#include "proxy/vtctld_error.h"
#include "proxy/vtgate_control.h"

#define KEPT_MAX      100 /* that have ended */
#define LINES_MAX     600
#define PAUSE_MS      20
#define ELSEWHERE_MS  1000
#define PAUSE_MAX_MS  500
#define LINE_TEXT_MAX 2048

struct transitions {
    struct server *server;
    uint64_t last_id;
    bool stopped;
    TAILQ_HEAD(, transition) list;
    size_t ended;
    struct transition_tally tally;
};

_Static_assert(TRANSITION_STEPS <= TRANSITION_TALLY_STEPS, "each step has its counter");

static const struct {
    const char *name;
    transition_run *run;
    const char *text;
} STEPS[] = {
#define TRANSITION_STEP(NAME, name, function, text) [STEP_##NAME] = {name, function, text},
#include "proxy/transition_steps.def"
#undef TRANSITION_STEP
};

/* --- the report ------------------------------------------------------------------------------ */

void transition_say(struct transition *t, const char *section, const char *item, const char *format,
                    ...)
{
    char text[LINE_TEXT_MAX];
    va_list args;

    if (t->line_count >= LINES_MAX)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    t->lines = arena_grow(&t->arena, t->lines, t->line_count, sizeof(*t->lines));
    t->lines[t->line_count++] =
        (struct transition_line){.section = arena_string(&t->arena, section),
                                 .item = arena_string(&t->arena, item),
                                 .value = arena_string(&t->arena, text)};
}

static void say_step(struct transition *t)
{
    int64_t took = clock_ms() - t->step_ms;

    transition_say(t, "step", STEPS[t->step].name, "%" PRId64 " ms", took);
    transition_tally_step(&t->all->tally, t->step, took);
}

/* --- steps ----------------------------------------------------------------------------------- */

/* From where on a restart has something to go on with. */
static bool is_kept(enum transition_step step)
{
    return step == STEP_HOLD || step == STEP_APPLY || step == STEP_SEE || step == STEP_WATCH ||
           step == STEP_UNDO;
}

const char *transition_step_name(enum transition_step step)
{
    return STEPS[step].name;
}

enum transition_step transition_step_find(const char *name)
{
    for (size_t i = 0; i < TRANSITION_STEPS; i++) {
        if (strcmp(STEPS[i].name, name) == 0)
            return (enum transition_step)i;
    }
    return STEP_READ;
}

void transition_go(struct transition *t, enum transition_step step)
{
    t->step = step;
    t->step_ms = clock_ms();
    t->attempt = 0;
    t->until_ms = 0;
    log_debug("transition_step", "transition:u step:s", t->id, STEPS[step].name);
    if (step == STEP_APPLY)
        t->may_hold = true; /* the file must say so before it is true */
    if (is_kept(step))
        transition_store_save(t);
    STEPS[step].run(t);
}

void transition_next(struct transition *t)
{
    if (t->all->stopped)
        return;
    say_step(t);
    transition_go(t, t->step + 1);
}

static bool is_way_back(enum transition_step step)
{
    return step >= STEP_UNDO_HOLD && step <= STEP_UNDO_END;
}

/* What becomes of it after the first failure. */
static void give_up(struct transition *t)
{
    if (t->may_hold) {
        t->undoing = true;
        t->outcome = "rolled back";
        transition_go(t, STEP_UNDO_HOLD);
    } else {
        t->outcome = t->step == STEP_LOCK || t->step == STEP_CHECK || t->step == STEP_MIGRATIONS ||
                             t->step == STEP_TARGET
                         ? "refused"
                         : "failed";
        transition_go(t, STEP_UNDO_RELEASE);
    }
}

void transition_fail(struct transition *t, uint16_t code, const char *state, const char *format,
                     ...)
{
    char text[TRANSITION_TEXT_MAX];
    va_list args;

    if (t->all->stopped)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    say_step(t);
    transition_say(t, "error", STEPS[t->step].name, "%s", text);
    log_warn("transition_failed", "transition:u keyspace:s step:s code:u", t->id, t->order.keyspace,
             STEPS[t->step].name, (uint64_t)code);
    if (!is_way_back(t->step)) {
        t->code = code;
        snprintf(t->state, sizeof(t->state), "%s", state);
        snprintf(t->text, sizeof(t->text), "%s: %.480s", STEPS[t->step].name, text);
        give_up(t);
        return;
    }
    t->outcome = "stuck";
    snprintf(t->failed_text, sizeof(t->failed_text), "%s", text);
    transition_go(t, STEP_UNDO_RELEASE);
}

bool transition_is_stopped(const struct transition *t)
{
    return t->all->stopped;
}

void transition_fail_vtctld(struct transition *t, const struct vtctld_answer *answer)
{
    transition_fail(t, 1105, "HY000", "vtctld: %s (%s)", answer->text,
                    grpc_status_name(answer->status));
}

/* --- questions ------------------------------------------------------------------------------- */

static void on_answer(void *context, void *arg)
{
    struct vtctld_answer *answer = arg;
    struct transition *t = answer->arg;

    (void)context;
    t->busy = false;
    if (!t->ended && !t->all->stopped)
        t->answered(t, answer);
    vtctld_answer_free(answer);
}

void transition_call(struct transition *t, const char *method, const ProtobufCMessage *request,
                     transition_answered *answered)
{
    transition_call_for(t, method, request, t->server->config->vtctld_timeout_ms, answered);
}

void transition_call_for(struct transition *t, const char *method, const ProtobufCMessage *request,
                         int64_t timeout_ms, transition_answered *answered)
{
    struct server *server = t->server;

    assert(!t->busy);
    t->busy = true;
    t->answered = answered;
    vtctld_call(server->vtctld, method, request, timeout_ms, &server->mailbox, on_answer, server,
                t);
}

static void on_queried(void *context, void *arg)
{
    struct transition *t = arg;
    struct control_query *q = t->query;

    (void)context;
    t->busy = false;
    t->query = NULL;
    if (!t->ended && !t->all->stopped)
        t->queried(t, q);
    control_query_destroy(q);
}

void transition_query(struct transition *t, struct control_query *q, transition_queried *queried)
{
    struct server *server = t->server;

    assert(!t->busy);
    t->busy = true;
    t->query = q;
    t->queried = queried;
    vtgate_control_run(server->control, q, &server->mailbox, on_queried, server, t);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct transition *t = arg;

    (void)fd;
    (void)what;
    if (!t->ended && !t->all->stopped)
        t->on_timer(t);
}

void transition_wait(struct transition *t, int64_t ms, void (*then)(struct transition *t))
{
    struct timeval tv = {ms / 1000, (ms % 1000) * 1000};

    t->on_timer = then;
    event_add(t->timer, &tv);
}

int64_t transition_pause_ms(const struct transition *t)
{
    int64_t ms = PAUSE_MS << (t->attempt < 10 ? t->attempt : 10);

    return ms < PAUSE_MAX_MS ? ms : PAUSE_MAX_MS;
}

/* --- the end --------------------------------------------------------------------------------- */

static void transition_free(struct transition *t)
{
    TAILQ_REMOVE(&t->all->list, t, link);
    if (t->timer)
        event_free(t->timer);
    vtgate_watch_look_cancel(&t->look);
    transition_facts_free(t->facts);
    transition_measure_free(t->measure);
    subject_free(&t->before);
    subject_free(&t->after);
    subject_free(&t->now);
    vschema_diff_free(t->diff);
    vschema_findings_free(&t->findings);
    transition_order_free(&t->order);
    arena_free(&t->arena);
    free(t->before_json);
    free(t->after_json);
    free(t->reloads);
    free(t);
}

/* What only a transition under way needs. */
static void shed(struct transition *t)
{
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

/* The last words: what happened at which step, and how things stand now. */
static void conclude(struct transition *t)
{
    char first[TRANSITION_TEXT_MAX];

    if (!t->code) {
        if (!t->outcome)
            t->outcome = "done";
        return;
    }
    memcpy(first, t->text, sizeof(first));
    if (strcmp(t->outcome, "rolled back") == 0)
        snprintf(t->text, sizeof(t->text),
                 "%.400s; rolled back: what was in force before is in force again", first);
    else if (strcmp(t->outcome, "stuck") == 0)
        snprintf(t->text, sizeof(t->text), "%.250s; and it is NOT rolled back: %.180s", first,
                 t->failed_text);
    else
        snprintf(t->text, sizeof(t->text), "%.420s; %s", first,
                 t->unknown ? "it may have been done all the same: look with vtctldclient"
                            : "nothing is changed");
}

static void audit(struct transition *t)
{
    struct audit_entry e = {
        .event = "transition",
        .user = t->order.user,
        .peer = t->order.peer,
        .keyspace = t->order.keyspace,
        .verb = t->order.verb,
        .outcome = t->outcome,
        .code = t->code,
        .duration_ms = t->ended_ms - t->started_ms,
    };

    audit_write(t->server->audit, &e);
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
    transition_go(t, STEP_LOCK);
}

void transition_end(struct transition *t)
{
    transition_hold_forget(t);
    transition_lock_release(t);
    t->ended = true;
    t->ended_ms = clock_ms();
    conclude(t);
    log_info("transition_ended",
             "transition:u keyspace:s verb:s outcome:s code:u changes:u held_ms:d took_ms:d", t->id,
             t->order.keyspace, t->order.verb, t->outcome, (uint64_t)t->code, (uint64_t)t->changes,
             t->held_ms, t->ended_ms - t->started_ms);
    audit(t);
    transition_tally_end(&t->all->tally, t->order.what, t->outcome, t->held_ms);
    if (!t->order.dry_run && t->before_json)
        transition_store_save(t);
    if (t->done)
        t->done(t->done_arg, t);
    t->done = NULL;
    shed(t);
    t->all->ended++;
    struct transition *next = oldest(t->all, &t->order);

    if (next)
        transition_wait(next, 0, begin);
    forget_old(t->all);
}

/* --- the registry ---------------------------------------------------------------------------- */

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
        vtgate_watch_look_cancel(&t->look);
        t->lock = NULL; /* it ends with the fleet */
        log_warn("transition_interrupted", "transition:u keyspace:s step:s", t->id,
                 t->order.keyspace, STEPS[t->step].name);
        t->code = 1053;
        t->outcome = "interrupted";
        snprintf(t->state, sizeof(t->state), "08S01");
        snprintf(t->text, sizeof(t->text), "%s: the shim is ending%s", STEPS[t->step].name,
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
                 STEPS[t->step].name);
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
    t->id = ++ts->last_id;
    transition_order_copy(&t->order, order);
    t->done = done;
    t->done_arg = arg;
    t->held_ms = -1;
    t->started_ms = clock_ms();
    log_time(t->started);
    t->timer = evtimer_new(ts->server->base, on_timer, t);
    TAILQ_INSERT_TAIL(&ts->list, t, link);
    log_info("transition_started", "transition:u keyspace:s verb:s user:s peer:s dry_run:u", t->id,
             t->order.keyspace, t->order.verb, t->order.user, t->order.peer,
             (uint64_t)t->order.dry_run);
    if (oldest(ts, order) == t)
        transition_wait(t, 0, begin);
    return t->id;
}

static void look_elsewhere(struct transition *t);

/* One of another life of the process. */
static void on_file(void *arg, uint64_t id, const json_t *json)
{
    struct transitions *ts = arg;
    struct transition *t = memory_zalloc(sizeof(*t));

    t->all = ts;
    t->server = ts->server;
    t->id = id;
    t->timer = evtimer_new(ts->server->base, on_timer, t);
    TAILQ_INSERT_TAIL(&ts->list, t, link);
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
    if (transition_store_is_elsewhere(json)) {
        transition_wait(t, ELSEWHERE_MS, look_elsewhere);
    } else if (!t->may_hold) {
        t->code = 1053;
        snprintf(t->state, sizeof(t->state), "08S01");
        snprintf(t->text, sizeof(t->text), "%s: the shim ended", STEPS[t->step].name);
        t->outcome = "failed";
        transition_end(t);
    } else {
        log_info("transition_resumed", "transition:u keyspace:s step:s", id, t->order.keyspace,
                 STEPS[t->step].name);
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
    return step < TRANSITION_STEPS ? STEPS[step].name : NULL;
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
        .step = t->ended ? STEPS[t->step].name : STEPS[t->step].name,
        .outcome = t->outcome && (t->ended || t->all->stopped) ? t->outcome : "running",
        .text = t->code ? t->text : STEPS[t->step].text,
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
