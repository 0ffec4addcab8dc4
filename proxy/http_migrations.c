/*
 * Migrations by verb and outcome, how long they took, and how far those under way are. The labels
 * of the latter are bounded: at most GAUGES_MAX migrations are told of.
 */
#include "proxy/http_migrations.h"

#include <event2/buffer.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/audit.h"
#include "proxy/copy_rate.h"
#include "proxy/metrics_text.h"
#include "proxy/migrations.h"
#include "proxy/server.h"

#define GAUGES_MAX   64
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void add_ended(struct evbuffer *out, const struct migration_stats *stats)
{
    static const char *const VERBS[] = MIGRATION_VERBS;
    static const char *const OUTCOMES[] = MIGRATION_OUTCOMES;

    const char *family = metrics_text_family(out, METRIC_MIGRATIONS_ENDED);

    for (size_t v = 0; v < COUNT(VERBS); v++) {
        for (size_t o = 0; o < COUNT(OUTCOMES); o++)
            evbuffer_add_printf(out, "%s{verb=\"%s\",outcome=\"%s\"} %" PRIu64 "\n", family,
                                VERBS[v], OUTCOMES[o], stats->ended[v][o]);
    }
}

static void add_durations(struct evbuffer *out, const struct migration_stats *stats)
{
    static const int BUCKETS[] = MIGRATION_BUCKETS;
    uint64_t sum = 0;

    const char *family = metrics_text_family(out, METRIC_MIGRATION_DURATION);

    for (size_t i = 0; i < COUNT(BUCKETS); i++) {
        sum += stats->took[i];
        evbuffer_add_printf(out, "%s_bucket{le=\"%d\"} %" PRIu64 "\n", family, BUCKETS[i], sum);
    }
    evbuffer_add_printf(out, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", family, stats->took_n);
    evbuffer_add_printf(out, "%s_sum %" PRIu64 ".%03" PRIu64 "\n", family, stats->took_ms / 1000,
                        stats->took_ms % 1000);
    evbuffer_add_printf(out, "%s_count %" PRIu64 "\n", family, stats->took_n);
}

/* A label's value; backslashes, quotes and line ends are escaped. */
static void add_label(struct evbuffer *out, const char *name, const char *value)
{
    evbuffer_add_printf(out, "%s=\"", name);
    for (; *value; value++) {
        if (*value == '\n')
            evbuffer_add(out, "\\n", 2);
        else
            evbuffer_add_printf(out, "%s%c", *value == '"' || *value == '\\' ? "\\" : "", *value);
    }
    evbuffer_add(out, "\"", 1);
}

/* Its name and labels, up to the brace. */
static void begin_gauge(struct evbuffer *out, const char *name, const struct migration_record *r)
{
    evbuffer_add_printf(out, "%s{", name);
    add_label(out, "keyspace", r->keyspace);
    evbuffer_add(out, ",", 1);
    add_label(out, "table", r->table);
    evbuffer_add(out, ",", 1);
    add_label(out, "uuid", r->uuid);
}

static void add_gauge(struct evbuffer *out, const char *name, const struct migration_record *r)
{
    begin_gauge(out, name, r);
    evbuffer_add(out, "} ", 2);
}

static bool is_told(const struct migration_record *r, size_t *told)
{
    return r->ended_ms == 0 && *r->uuid && (*told)++ < GAUGES_MAX;
}

static void add_blockers(struct evbuffer *out, const char *name, const struct migration_record *r)
{
    for (size_t i = 0; i < MIGRATION_BLOCKERS_MAX && r->blockers.sessions[i]; i++) {
        begin_gauge(out, name, r);
        evbuffer_add_printf(out, ",session=\"%" PRIu64 "\"} 1\n", r->blockers.sessions[i]);
    }
}

static void add_progress(struct evbuffer *out, struct server *server)
{
    size_t n, told = 0;
    struct migration_record *all = migrations_copy(server->migrations, &n);

    const char *family = metrics_text_family(out, METRIC_MIGRATION_PROGRESS);

    for (size_t i = 0; i < n; i++) {
        if (!is_told(&all[i], &told))
            continue;
        add_gauge(out, family, &all[i]);
        evbuffer_add_printf(out, "%.2f\n", (double)all[i].progress / 100);
    }
    told = 0;
    family = metrics_text_family(out, METRIC_MIGRATION_ROWS);
    for (size_t i = 0; i < n; i++) {
        if (!is_told(&all[i], &told))
            continue;
        add_gauge(out, family, &all[i]);
        evbuffer_add_printf(out, "%" PRIu64 "\n", all[i].rows_copied);
    }
    told = 0;
    family = metrics_text_family(out, METRIC_MIGRATION_BLOCKED_BY);
    for (size_t i = 0; i < n; i++) {
        if (is_told(&all[i], &told))
            add_blockers(out, family, &all[i]);
    }
    free(all);
}

static void add_copy_rates(struct evbuffer *out, struct server *server)
{
    size_t n;
    struct copy_rate *all = copy_rates_copy(server->copy_rates, &n);
    const char *family = metrics_text_family(out, METRIC_COPY_ROWS_PER_SECOND);

    for (size_t i = 0; i < n; i++) {
        evbuffer_add_printf(out, "%s{", family);
        add_label(out, "keyspace", all[i].keyspace);
        evbuffer_add_printf(out, "} %.0f\n", all[i].rows_per_s);
    }
    free(all);
}

void http_add_migrations(struct evbuffer *out, struct server *server)
{
    struct migration_stats stats;

    migrations_stats(server->migrations, &stats);
    metrics_text_value(out, METRIC_MIGRATIONS_RUNNING, stats.running);
    metrics_text_value(out, METRIC_MIGRATIONS_STILL, stats.still);
    add_ended(out, &stats);
    add_durations(out, &stats);
    add_progress(out, server);
    add_copy_rates(out, server);
    metrics_text_value(out, METRIC_AUDIT_LINES, audit_lines(server->audit));
    metrics_text_value(out, METRIC_AUDIT_DROPPED, audit_dropped(server->audit));
}
