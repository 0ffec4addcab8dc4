/*
 * Before and after: what was usual is measured before the statements are parked, and for as long as
 * the order says compared with what is afterwards. Probes are run again and again meanwhile. A
 * breach takes the change back, or is only said, as the order wants.
 *
 * Errors, latencies, scatter share and the shards' shares come from the vtgates' pages /debug/vars
 * (the watch of the vtgates has them), the lag of replicas from SHOW VITESS_REPLICATION_STATUS.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/server.h"
#include "proxy/transition_internal.h"
#include "proxy/vtgates.h"

#define BASELINE_MAX_MS 30000 /* and no longer than the watch itself */
#define LOOK_MAX_MS     10000 /* between two looks; the first come sooner */

struct transition_measure {
    struct vtgate_traffic *earlier; /* of each vtgate, at the beginning of the period; owned */
    size_t n;
    struct vtgate_traffic before, after;
    int64_t lag_before_s, lag_after_s; /* of the slowest replica; -1: not known, or there is none */
    int64_t from_ms, until_ms;
};

void transition_measure_free(struct transition_measure *m)
{
    if (!m)
        return;
    free(m->earlier);
    free(m);
}

/* --- readings -------------------------------------------------------------------------------- */

static void begin_period(struct transition *t)
{
    struct transition_measure *m = t->measure;

    for (size_t i = 0; i < m->n; i++)
        m->earlier[i] = vtgate_watch_view(t->server->watch, i)->traffic;
    m->from_ms = clock_ms();
}

static void sum_period(struct transition *t, struct vtgate_traffic *sum)
{
    struct transition_measure *m = t->measure;

    *sum = (struct vtgate_traffic){.statements = 0};
    for (size_t i = 0; i < m->n; i++)
        vtgate_traffic_add(sum, &vtgate_watch_view(t->server->watch, i)->traffic, &m->earlier[i]);
}

static int64_t slowest(const struct control_query *q)
{
    const struct control_result *r = &q->results[q->n - 1];
    int64_t most = -1;

    for (size_t i = 0; !q->code && i < r->rows; i++) {
        const char *lag = control_result_value(r, i, "ReplicationLag");
        int64_t s = lag && *lag ? strtoll(lag, NULL, 10) : -1;

        most = s > most ? s : most;
    }
    return most;
}

static void ask_lag(struct transition *t, transition_queried *queried)
{
    struct control_query *q = control_query_create();

    control_query_add(q, "SHOW VITESS_REPLICATION_STATUS");
    transition_query(t, q, queried);
}

/* --- before ---------------------------------------------------------------------------------- */

static void on_baseline(void *arg)
{
    struct transition *t = arg;

    sum_period(t, &t->measure->before);
    transition_next(t);
}

static void end_baseline(struct transition *t)
{
    vtgate_watch_look(t->server->watch, &t->look, on_baseline, t);
}

static void on_begun(void *arg)
{
    struct transition *t = arg;
    int64_t ms = t->order.watch_s * 1000;

    begin_period(t);
    transition_wait(t, ms < BASELINE_MAX_MS ? ms : BASELINE_MAX_MS, end_baseline);
}

static void on_lag_before(struct transition *t, const struct control_query *q)
{
    t->measure->lag_before_s = slowest(q);
    vtgate_watch_look(t->server->watch, &t->look, on_begun, t);
}

void transition_baseline(struct transition *t)
{
    if (!t->order.watch_s || !vtgate_watch_configured(t->server->watch)) {
        transition_next(t);
        return;
    }
    t->measure = memory_zalloc(sizeof(*t->measure));
    t->measure->n = vtgates_count(t->server->vtgates);
    t->measure->earlier = memory_zalloc(t->measure->n * sizeof(*t->measure->earlier));
    ask_lag(t, on_lag_before);
}

/* --- the report ------------------------------------------------------------------------------ */

static void say_pair(struct transition *t, const char *item, double before, double after)
{
    transition_say(t, "watch", item, "before %.2f, after %.2f", before, after);
}

static void report(struct transition *t)
{
    const struct transition_measure *m = t->measure;
    char item[128];

    say_pair(t, "statements", (double)m->before.statements, (double)m->after.statements);
    say_pair(t, "errors_percent", traffic_error_percent(&m->before),
             traffic_error_percent(&m->after));
    say_pair(t, "row_limit_errors", (double)m->before.row_limits, (double)m->after.row_limits);
    say_pair(t, "p99_ms", traffic_p99_ms(&m->before), traffic_p99_ms(&m->after));
    say_pair(t, "scatter_percent", traffic_scatter_percent(&m->before),
             traffic_scatter_percent(&m->after));
    say_pair(t, "replication_lag_s", (double)m->lag_before_s, (double)m->lag_after_s);
    for (size_t i = 0; i < m->after.shard_count; i++) {
        snprintf(item, sizeof(item), "shard_percent %s", m->after.shards[i].name);
        say_pair(t, item, traffic_shard_percent(&m->before, m->after.shards[i].name),
                 traffic_shard_percent(&m->after, m->after.shards[i].name));
    }
}

/* --- after ----------------------------------------------------------------------------------- */

static void look(struct transition *t);

/* The period is over, or a limit is breached. */
static void conclude(struct transition *t, const char *breach)
{
    report(t);
    if (!*breach) {
        transition_next(t);
        return;
    }
    log_warn("transition_breach", "transition:u keyspace:s", t->id, t->order.keyspace);
    if (t->order.breach_alerts) {
        transition_say(t, "alert", "breach", "%s", breach);
        t->outcome = "alert";
        transition_next(t);
    } else {
        transition_fail(t, 1105, "HY000", "%s", breach);
    }
}

/* The first limit that is breached, or "". */
static void judge(struct transition *t, char *why, size_t size)
{
    const struct config *c = t->server->config;
    const struct transition_measure *m = t->measure;
    struct traffic_limits limits = {
        .error_percent = (double)c->transition_watch_error_percent,
        .p99_factor = (double)c->transition_watch_p99_percent / 100,
        .scatter_percent = (double)c->transition_watch_scatter_percent,
        .shard_percent = (double)c->transition_watch_shard_percent,
    };

    if (traffic_breaches(&m->before, &m->after, &limits, why, size))
        return;
    if (m->lag_after_s > m->lag_before_s && m->lag_after_s > c->transition_watch_lag_s)
        snprintf(why, size, "a replica is %" PRId64 " s behind, it was %" PRId64 " s",
                 m->lag_after_s, m->lag_before_s);
}

static void on_lag_after(struct transition *t, const struct control_query *q)
{
    char why[256] = "";
    int64_t pause = 1000LL << (t->looks < 4 ? t->looks : 4);

    t->looks++;
    t->measure->lag_after_s = slowest(q);
    judge(t, why, sizeof(why));
    if (*why || clock_ms() >= t->measure->until_ms) {
        conclude(t, why);
        return;
    }
    int64_t left = t->measure->until_ms - clock_ms();

    pause = pause < LOOK_MAX_MS ? pause : LOOK_MAX_MS;
    transition_wait(t, pause < left ? pause : left, look);
}

static void on_looked(void *arg)
{
    struct transition *t = arg;

    sum_period(t, &t->measure->after);
    ask_lag(t, on_lag_after);
}

static void probed(struct transition *t)
{
    vtgate_watch_look(t->server->watch, &t->look, on_looked, t);
}

static void look(struct transition *t)
{
    t->attempt = 0;
    transition_probe_then(t, probed);
}

static void on_after_begun(void *arg)
{
    struct transition *t = arg;

    begin_period(t);
    t->measure->until_ms = clock_ms() + t->order.watch_s * 1000;
    transition_wait(t, t->order.watch_s > 1 ? 1000 : 500, look);
}

void transition_watch(struct transition *t)
{
    if (t->order.watch_s && !t->measure)
        transition_say(t, "warn", "unwatched", "vtgate_web is not set: nothing could be measured");
    if (t->measure)
        vtgate_watch_look(t->server->watch, &t->look, on_after_begun, t);
    else
        transition_next(t);
}
