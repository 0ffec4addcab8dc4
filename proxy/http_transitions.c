/*
 * Counters of transitions, one metric after the other.
 */
#include "proxy/http_transitions.h"

#include <event2/buffer.h>
#include <inttypes.h>

#include "proxy/metrics_text.h"
#include "proxy/server.h"
#include "proxy/transition.h"

/* Zeros included: an alert on the first one needs the time before it. */
static void add_ended(struct evbuffer *out, const struct transition_tally *y)
{
    const char *family = metrics_text_family(out, METRIC_TRANSITIONS_ENDED);

    for (int what = 0; what < TRANSITION_WHAT_COUNT; what++) {
        for (int outcome = 0; outcome < TRANSITION_OUTCOME_COUNT; outcome++)
            evbuffer_add_printf(out, "%s{kind=\"%s\",outcome=\"%s\"} %" PRIu64 "\n", family,
                                transition_what_name((enum transition_what)what),
                                transition_outcome_name((enum transition_outcome)outcome),
                                y->ended[what][outcome]);
    }
}

/* count[i], or its milliseconds as seconds. */
static void add_kinds(struct evbuffer *out, enum metric_family family, const uint64_t *count,
                      bool is_ms)
{
    const char *name = metrics_text_family(out, family);

    for (int what = 0; what < TRANSITION_WHAT_COUNT; what++)
        evbuffer_add_printf(out, "%s{kind=\"%s\"} %.*f\n", name,
                            transition_what_name((enum transition_what)what), is_ms ? 3 : 0,
                            (double)count[what] / (is_ms ? 1000 : 1));
}

static void add_steps(struct evbuffer *out, const struct transition_tally *y)
{
    const char *family = metrics_text_family(out, METRIC_TRANSITION_STEPS);
    const char *step;

    for (size_t i = 0; (step = transitions_step_name(i)); i++) {
        if (y->steps[i].times)
            evbuffer_add_printf(out, "%s{step=\"%s\"} %" PRIu64 "\n", family, step,
                                y->steps[i].times);
    }
    family = metrics_text_family(out, METRIC_TRANSITION_STEP_SECONDS);
    for (size_t i = 0; (step = transitions_step_name(i)); i++) {
        if (y->steps[i].times)
            evbuffer_add_printf(out, "%s{step=\"%s\"} %.3f\n", family, step,
                                (double)y->steps[i].ms / 1000);
    }
}

void http_add_transitions(struct evbuffer *out, const struct server *server)
{
    const struct transition_tally *y = transitions_tally(server->transitions);

    metrics_text_value(out, METRIC_TRANSITIONS_RUNNING, transitions_running(server->transitions));
    add_ended(out, y);
    add_steps(out, y);
    add_kinds(out, METRIC_TRANSITIONS_HELD, y->held, false);
    add_kinds(out, METRIC_TRANSITION_HELD_SECONDS, y->held_ms, true);
}
