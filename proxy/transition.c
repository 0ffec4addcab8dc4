/*
 * The way of a transition through its steps. What a step does is in the other files; none of them
 * knows which step comes next.
 */
#include "proxy/transition.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "proxy/audit.h"
#include "proxy/log.h"
#include "proxy/server.h"
#include "proxy/transition_internal.h"
#include "proxy/transition_store.h"
#include "proxy/vtgate_control.h"

#define LINES_MAX     600
#define PAUSE_MS      20
#define PAUSE_MAX_MS  500
#define LINE_TEXT_MAX 2048

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
           step == STEP_UNDO_HOLD || step == STEP_UNDO;
}

const char *transition_step_name(enum transition_step step)
{
    return STEPS[step].name;
}

const char *transition_step_text(enum transition_step step)
{
    return STEPS[step].text;
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

void transition_on_timer(evutil_socket_t fd, short what, void *arg)
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

static const char *how_it_stands(const struct transition *t)
{
    if (t->switched)
        return "but traffic is switched, every vtgate has the new routing rules; what was to "
               "follow: look with vtctldclient";
    return t->unknown ? "it may have been done all the same: look with vtctldclient"
                      : "nothing is changed";
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
        snprintf(t->text, sizeof(t->text), "%.380s; %s", first, how_it_stands(t));
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
    transitions_ended(t);
}
