/*
 * Comparing with what was judged, saving, waiting until every vtgate serves with it, and the way
 * back.
 *
 * vtctld's ApplyVSchema and ApplyRoutingRules take a whole and know no version: what somebody else
 * saves between the last look (COMPARE) and the save, a few milliseconds later, is overwritten
 * unseen. That window cannot be closed from here; it is as small as two calls after another.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/memory.h"
#include "proxy/server.h"
#include "proxy/transition_internal.h"
#include "proxy/vtgates.h"

#define UNDO_ATTEMPTS 6 /* over some 6 seconds */

/* --- compare --------------------------------------------------------------------------------- */

static void on_compared(struct transition *t, const struct vtctld_answer *answer)
{
    if (answer->status == GRPC_OK)
        subject_take(t, answer, &t->now);
    else if (t->before.packed) {
        transition_fail_vtctld(t, answer);
        return;
    } else
        t->now.vschema = vschema_create(); /* there was none, and is none */
    if (!subject_equal(&t->before, &t->now))
        transition_fail(t, 1105, "HY000",
                        "it was changed by somebody else since it was read; try again");
    else
        transition_next(t);
}

static void compare(void *arg)
{
    struct transition *t = arg;
    size_t n = vtgates_count(t->server->vtgates);

    free(t->reloads);
    t->reloads = memory_zalloc(n * sizeof(*t->reloads));
    for (size_t i = 0; i < n; i++)
        t->reloads[i] = vtgate_watch_view(t->server->watch, i)->reloads;
    subject_ask(t, on_compared);
}

/* The counters of the vtgates first, so that nothing but one call lies between the last look and
   the save. */
void transition_compare(struct transition *t)
{
    if (vtgate_watch_configured(t->server->watch))
        vtgate_watch_look(t->server->watch, &t->look, compare, t);
    else
        compare(t);
}

/* --- apply ----------------------------------------------------------------------------------- */

static void on_applied(struct transition *t, const struct vtctld_answer *answer)
{
    if (answer->status == GRPC_OK) {
        transition_next(t);
        return;
    }
    t->may_hold = answer->maybe_done;
    transition_fail_vtctld(t, answer);
}

void transition_apply(struct transition *t)
{
    if (transition_lock_stands(t))
        subject_save(t, &t->after, on_applied);
}

/* --- see ------------------------------------------------------------------------------------- */

static void look(struct transition *t);

/* Whether every vtgate that can be asked has read a new one since. */
static bool all_reloaded(const struct transition *t)
{
    size_t n = t->reloads ? vtgates_count(t->server->vtgates) : 0; /* none: after a restart */

    for (size_t i = 0; i < n; i++) {
        const struct vtgate_view *v = vtgate_watch_view(t->server->watch, i);

        if (v->configured && v->reachable && v->reloads == t->reloads[i])
            return false;
    }
    return true;
}

static void on_looked(void *arg)
{
    struct transition *t = arg;
    const struct subject *expected = t->undoing ? &t->before : &t->after;
    const struct subject *other = t->undoing ? &t->after : &t->before;
    char why[256] = "";
    enum vtgate_shows shows = subject_shows(t, expected, why, sizeof(why));

    /* What a vtgate's page does not show is told by its counter alone. */
    if (shows == VTGATES_SHOW && !all_reloaded(t) && !subject_visibly_differs(t, expected, other)) {
        shows = VTGATES_SHOW_NOT;
        snprintf(why, sizeof(why), "a vtgate has not read its VSchema anew");
    }
    if (shows == VTGATES_SHOW) {
        transition_next(t);
    } else if (clock_ms() < t->until_ms) {
        t->attempt++;
        transition_wait(t, transition_pause_ms(t), look);
    } else {
        transition_fail(t, 1105, "HY000", "not on every vtgate after %" PRId64 " ms: %s",
                        t->server->config->transition_apply_ms, why);
    }
}

static void look(struct transition *t)
{
    vtgate_watch_look(t->server->watch, &t->look, on_looked, t);
}

static void settled(struct transition *t)
{
    transition_next(t);
}

void transition_see(struct transition *t)
{
    const struct config *c = t->server->config;

    t->until_ms = clock_ms() + c->transition_apply_ms;
    if (vtgate_watch_configured(t->server->watch)) {
        look(t);
        return;
    }
    transition_say(t, "warn", "unseen",
                   "vtgate_web is not set: it is not known whether every vtgate has it; waited "
                   "%" PRId64 " ms",
                   c->transition_settle_ms);
    transition_wait(t, c->transition_settle_ms, settled);
}

/* --- undo ------------------------------------------------------------------------------------ */

static void undo_again(struct transition *t, const struct vtctld_answer *answer)
{
    if (++t->attempt == UNDO_ATTEMPTS)
        transition_fail_vtctld(t, answer);
    else
        transition_wait(t, 100 << t->attempt, transition_undo);
}

static void on_undone(struct transition *t, const struct vtctld_answer *answer)
{
    if (answer->status == GRPC_OK)
        transition_next(t);
    else
        undo_again(t, answer);
}

/* Only what is ours is taken back. */
static void on_looked_back(struct transition *t, const struct vtctld_answer *answer)
{
    if (answer->status != GRPC_OK) {
        undo_again(t, answer);
        return;
    }
    subject_take(t, answer, &t->now);
    if (subject_equal(&t->now, &t->before))
        transition_next(t); /* it never came to be */
    else if (subject_equal(&t->now, &t->after))
        subject_save(t, &t->before, on_undone);
    else
        transition_fail(t, 1105, "HY000", "somebody else has changed it meanwhile");
}

void transition_undo(struct transition *t)
{
    subject_ask(t, on_looked_back);
}
