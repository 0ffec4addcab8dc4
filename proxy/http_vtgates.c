/*
 * One metric after the other, each with a sample for each vtgate of which it is known.
 */
#include "proxy/http_vtgates.h"

#include <event2/buffer.h>
#include <inttypes.h>
#include <string.h>

#include "proxy/changes.h"
#include "proxy/columns_watch.h"
#include "proxy/metrics_text.h"
#include "proxy/server.h"
#include "proxy/vtgate_watch.h"
#include "proxy/vtgates.h"

/* A value of one vtgate; false: there is none to tell. */
typedef bool value_fn(const struct vtgate *v, const struct vtgate_view *view, int64_t now,
                      int64_t *value);

static bool up(const struct vtgate *v, const struct vtgate_view *view, int64_t now, int64_t *value)
{
    (void)view;
    (void)now;
    *value = vtgate_is_healthy(v);
    return true;
}

static bool sessions(const struct vtgate *v, const struct vtgate_view *view, int64_t now,
                     int64_t *value)
{
    (void)view;
    (void)now;
    *value = (int64_t)vtgate_sessions(v);
    return true;
}

static bool web_up(const struct vtgate *v, const struct vtgate_view *view, int64_t now,
                   int64_t *value)
{
    (void)v;
    (void)now;
    *value = view->reachable;
    return view->configured;
}

static bool web_failures(const struct vtgate *v, const struct vtgate_view *view, int64_t now,
                         int64_t *value)
{
    (void)v;
    (void)now;
    *value = (int64_t)view->failures;
    return view->configured;
}

static bool vschema_age(const struct vtgate *v, const struct vtgate_view *view, int64_t now,
                        int64_t *value)
{
    (void)v;
    *value = now - view->since_ms;
    return *view->digest != '\0';
}

/* The counters of a view, by where they are. */
#define OF_VIEW(name, field)                                                                       \
    static bool name(const struct vtgate *v, const struct vtgate_view *view, int64_t now,          \
                     int64_t *value)                                                               \
    {                                                                                              \
        (void)v;                                                                                   \
        (void)now;                                                                                 \
        *value = (int64_t)view->field;                                                             \
        return view->seen_ms > 0;                                                                  \
    }
OF_VIEW(refresh, refresh_ms)
OF_VIEW(web_took, took_ms)
OF_VIEW(reloads, reloads)
OF_VIEW(watch_errors, watch_errors)
OF_VIEW(plans, plans.length)
OF_VIEW(plan_hits, plans.hits)
OF_VIEW(plan_misses, plans.misses)
OF_VIEW(plan_evictions, plans.evictions)
OF_VIEW(plans_cold, plans.cold)
#undef OF_VIEW

static bool hit_ratio(const struct vtgate *v, const struct vtgate_view *view, int64_t now,
                      int64_t *value)
{
    (void)v;
    (void)now;
    *value = view->plans.hit_percent * 10;
    return view->plans.hit_percent >= 0;
}

static const struct {
    enum metric_family family;
    value_fn *value;
    bool thousandth; /* shown as value / 1000 */
} ROWS[] = {
    {METRIC_VTGATE_UP, up, false},
    {METRIC_VTGATE_SESSIONS, sessions, false},
    {METRIC_VTGATE_WEB_UP, web_up, false},
    {METRIC_VTGATE_WEB_FAILURES, web_failures, false},
    {METRIC_VTGATE_WEB_SECONDS, web_took, true},
    {METRIC_VTGATE_VSCHEMA_AGE_SECONDS, vschema_age, true},
    {METRIC_VTGATE_VSCHEMA_REFRESH_SECONDS, refresh, true},
    {METRIC_VTGATE_VSCHEMA_RELOADS, reloads, false},
    {METRIC_VTGATE_VSCHEMA_WATCH_ERRORS, watch_errors, false},
    {METRIC_VTGATE_PLAN_CACHE_PLANS, plans, false},
    {METRIC_VTGATE_PLAN_CACHE_HITS, plan_hits, false},
    {METRIC_VTGATE_PLAN_CACHE_MISSES, plan_misses, false},
    {METRIC_VTGATE_PLAN_CACHE_EVICTIONS, plan_evictions, false},
    {METRIC_VTGATE_PLAN_CACHE_HIT_RATIO, hit_ratio, true},
    {METRIC_VTGATE_PLAN_CACHE_COLD, plans_cold, false},
};

static void add_row(struct evbuffer *out, struct server *server, size_t row, int64_t now)
{
    const char *family = metrics_text_family(out, ROWS[row].family);

    for (size_t i = 0; i < vtgates_count(server->vtgates); i++) {
        const struct vtgate *v = vtgates_at(server->vtgates, i);
        int64_t value;

        if (!ROWS[row].value(v, vtgate_watch_view(server->watch, i), now, &value))
            continue;
        evbuffer_add_printf(out, "%s{vtgate=\"%s\"} ", family, vtgate_name(v));
        if (ROWS[row].thousandth)
            evbuffer_add_printf(out, "%" PRId64 ".%03" PRId64 "\n", value / 1000, value % 1000);
        else
            evbuffer_add_printf(out, "%" PRId64 "\n", value);
    }
}

static void add_changes(struct evbuffer *out, const struct server *server)
{
    static const char *const KINDS[] = CHANGE_KINDS;
    static const char *const SOURCES[] = CHANGE_SOURCES;
    const struct change_set *now = changes_now(server->changes);
    uint64_t under_way = 0;

    for (size_t i = 0; i < now->n; i++)
        under_way += now->items[i].ended_ms == 0;
    metrics_text_value(out, METRIC_CHANGES, under_way);
    const char *family = metrics_text_family(out, METRIC_CHANGES_NOTICED);

    for (unsigned kind = 0; kind < CHANGE_KIND_COUNT; kind++) {
        for (unsigned source = 0; source < CHANGE_SOURCE_COUNT; source++)
            evbuffer_add_printf(out, "%s{kind=\"%s\",source=\"%s\"} %" PRIu64 "\n", family,
                                KINDS[kind], SOURCES[source],
                                changes_noticed(server->changes, kind, source));
    }
}

static void count_difference(void *arg, const struct column_difference *d)
{
    (void)d;
    ++*(uint64_t *)arg;
}

void http_add_vtgates(struct evbuffer *out, struct server *server)
{
    int64_t now = clock_ms(), since;

    for (size_t row = 0; row < sizeof(ROWS) / sizeof(ROWS[0]); row++)
        add_row(out, server, row, now);
    uint64_t differences = 0;

    columns_watch_each(server->columns, count_difference, &differences);
    metrics_text_value(out, METRIC_COLUMNS_DIFFER, differences);
    add_changes(out, server);
    size_t drift = vtgate_watch_drift(server->watch, &since);

    metrics_text_value(out, METRIC_VTGATE_VSCHEMAS, drift);
    metrics_text_value(out, METRIC_VTGATE_VSCHEMA_DRIFT_SECONDS,
                       drift > 1 ? (uint64_t)(now - since) / 1000 : 0);
}
