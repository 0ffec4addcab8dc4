/*
 * Before the parked statements go on: vtgates have thrown all plans away, and would make those of
 * everybody at once. A transition never fails over this.
 */
#include <inttypes.h>

#include "proxy/server.h"
#include "proxy/transition_internal.h"
#include "proxy/vtgates.h"
#include "proxy/warm.h"

static void on_warmed(void *arg, const struct warm_result *results, size_t n, const char *why)
{
    struct transition *t = arg;

    if (why)
        transition_say(t, "warm", "nothing", "%s", why);
    for (size_t i = 0; i < n; i++) {
        const struct warm_result *r = &results[i];

        if (r->reached)
            transition_say(t, "warm", vtgate_name(r->vtgate),
                           "%zu statements planned, %zu not, %zu left out, %" PRId64 " ms%s",
                           r->planned, r->refused, r->left_out, r->took_ms,
                           r->cut ? ", cut off by plans.warm_ms" : "");
        else
            transition_say(t, "warm", vtgate_name(r->vtgate), "control.user cannot log in");
    }
    transition_next(t);
}

void transition_warm(struct transition *t)
{
    warm_start(t->server, NULL, on_warmed, t);
}
