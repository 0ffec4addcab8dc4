/*
 * One metric after the other, each with a sample for each vtgate of which it is known.
 */
#include "proxy/http_vtgates.h"

#include <event2/buffer.h>
#include <inttypes.h>
#include <string.h>

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
    const char *name, *kind, *help;
    value_fn *value;
    bool thousandth; /* shown as value / 1000 */
} ROWS[] = {
    {"vtshim_vtgate_up", "gauge", "Whether that vtgate answered the last check.", up, false},
    {"vtshim_vtgate_sessions", "gauge", "Sessions on that vtgate.", sessions, false},
    {"vtshim_vtgate_web_up", "gauge", "Whether that vtgate's web pages could be read.", web_up,
     false},
    {"vtshim_vtgate_web_failures_total", "counter",
     "Times that vtgate's web pages could not be read.", web_failures, false},
    {"vtshim_vtgate_web_seconds", "gauge", "How long reading them took the last time.", web_took,
     true},
    {"vtshim_vtgate_vschema_age_seconds", "gauge",
     "Since when that vtgate has shown the VSchema that it shows.", vschema_age, true},
    {"vtshim_vtgate_vschema_refresh_seconds", "gauge",
     "How long after the first vtgate that one showed its VSchema's last change.", refresh, true},
    {"vtshim_vtgate_vschema_reloads_total", "counter",
     "That vtgate's own count of reloads of its VSchema.", reloads, false},
    {"vtshim_vtgate_vschema_watch_errors_total", "counter",
     "That vtgate's own count of errors of its watch on the topology.", watch_errors, false},
    {"vtshim_vtgate_plan_cache_plans", "gauge", "Plans in that vtgate's cache.", plans, false},
    {"vtshim_vtgate_plan_cache_hits_total", "counter",
     "Statements whose plan was in that vtgate's cache.", plan_hits, false},
    {"vtshim_vtgate_plan_cache_misses_total", "counter",
     "Statements that had to be planned by that vtgate.", plan_misses, false},
    {"vtshim_vtgate_plan_cache_evictions_total", "counter",
     "Plans that vtgate's cache had no room for.", plan_evictions, false},
    {"vtshim_vtgate_plan_cache_hit_ratio", "gauge",
     "Share of hits over the last minute, if there were at least 100 statements.", hit_ratio, true},
    {"vtshim_vtgate_plan_cache_cold", "gauge",
     "Whether that share is below vtgate_web.min_hit_percent.", plans_cold, false},
};

static void add_row(struct evbuffer *out, struct server *server, size_t row, int64_t now)
{
    metrics_text_head(out, ROWS[row].name, ROWS[row].kind, ROWS[row].help);
    for (size_t i = 0; i < vtgates_count(server->vtgates); i++) {
        const struct vtgate *v = vtgates_at(server->vtgates, i);
        int64_t value;

        if (!ROWS[row].value(v, vtgate_watch_view(server->watch, i), now, &value))
            continue;
        evbuffer_add_printf(out, "%s{vtgate=\"%s\"} ", ROWS[row].name, vtgate_name(v));
        if (ROWS[row].thousandth)
            evbuffer_add_printf(out, "%" PRId64 ".%03" PRId64 "\n", value / 1000, value % 1000);
        else
            evbuffer_add_printf(out, "%" PRId64 "\n", value);
    }
}

void http_add_vtgates(struct evbuffer *out, struct server *server)
{
    int64_t now = clock_ms(), since;

    for (size_t row = 0; row < sizeof(ROWS) / sizeof(ROWS[0]); row++)
        add_row(out, server, row, now);
    size_t drift = vtgate_watch_drift(server->watch, &since);

    metrics_text_value(out, "vtshim_vtgate_vschemas", "gauge",
                       "Different VSchemas that vtgates serve with: more than 1 is a drift.",
                       drift);
    metrics_text_value(out, "vtshim_vtgate_vschema_drift_seconds", "gauge",
                       "How long vtgates have served with different VSchemas; 0: they do not.",
                       drift > 1 ? (uint64_t)(now - since) / 1000 : 0);
}
