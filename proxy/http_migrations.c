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
#include "proxy/metrics_text.h"
#include "proxy/migrations.h"
#include "proxy/server.h"

#define GAUGES_MAX   64
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void add_ended(struct evbuffer *out, const struct migration_stats *stats)
{
    static const char NAME[] = "vtshim_migrations_ended_total";
    static const char *const VERBS[] = MIGRATION_VERBS;
    static const char *const OUTCOMES[] = MIGRATION_OUTCOMES;

    metrics_text_head(out, NAME, "counter",
                      "Migrations that ended, for their clients, by verb and outcome.");
    for (size_t v = 0; v < COUNT(VERBS); v++) {
        for (size_t o = 0; o < COUNT(OUTCOMES); o++)
            evbuffer_add_printf(out, "%s{verb=\"%s\",outcome=\"%s\"} %" PRIu64 "\n", NAME, VERBS[v],
                                OUTCOMES[o], stats->ended[v][o]);
    }
}

static void add_durations(struct evbuffer *out, const struct migration_stats *stats)
{
    static const char NAME[] = "vtshim_migration_duration_seconds";
    static const int BUCKETS[] = MIGRATION_BUCKETS;
    uint64_t sum = 0;

    metrics_text_head(out, NAME, "histogram",
                      "How long the clients of complete migrations waited.");
    for (size_t i = 0; i < COUNT(BUCKETS); i++) {
        sum += stats->took[i];
        evbuffer_add_printf(out, "%s_bucket{le=\"%d\"} %" PRIu64 "\n", NAME, BUCKETS[i], sum);
    }
    evbuffer_add_printf(out, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", NAME, stats->took_n);
    evbuffer_add_printf(out, "%s_sum %" PRIu64 ".%03" PRIu64 "\n", NAME, stats->took_ms / 1000,
                        stats->took_ms % 1000);
    evbuffer_add_printf(out, "%s_count %" PRIu64 "\n", NAME, stats->took_n);
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

static void add_gauge(struct evbuffer *out, const char *name, const struct migration_record *r)
{
    evbuffer_add_printf(out, "%s{", name);
    add_label(out, "keyspace", r->keyspace);
    evbuffer_add(out, ",", 1);
    add_label(out, "table", r->table);
    evbuffer_add(out, ",", 1);
    add_label(out, "uuid", r->uuid);
    evbuffer_add(out, "} ", 2);
}

static bool is_told(const struct migration_record *r, size_t *told)
{
    return r->ended_ms == 0 && *r->uuid && (*told)++ < GAUGES_MAX;
}

static void add_progress(struct evbuffer *out, struct server *server)
{
    static const char RATIO[] = "vtshim_migration_progress_ratio";
    static const char ROWS[] = "vtshim_migration_rows_copied";
    size_t n, told = 0;
    struct migration_record *all = migrations_copy(server->migrations, &n);

    metrics_text_head(out, RATIO, "gauge",
                      "How far the slowest shard of a migration under way is, 0 to 1.");
    for (size_t i = 0; i < n; i++) {
        if (!is_told(&all[i], &told))
            continue;
        add_gauge(out, RATIO, &all[i]);
        evbuffer_add_printf(out, "%.2f\n", (double)all[i].progress / 100);
    }
    told = 0;
    metrics_text_head(out, ROWS, "gauge",
                      "Rows that a migration under way has copied, on all shards.");
    for (size_t i = 0; i < n; i++) {
        if (!is_told(&all[i], &told))
            continue;
        add_gauge(out, ROWS, &all[i]);
        evbuffer_add_printf(out, "%" PRIu64 "\n", all[i].rows_copied);
    }
    free(all);
}

void http_add_migrations(struct evbuffer *out, struct server *server)
{
    struct migration_stats stats;

    migrations_stats(server->migrations, &stats);
    metrics_text_value(
        out, "vtshim_migrations_running", "gauge",
        "Migrations that a client waits for, those that wait for their turn included.",
        stats.running);
    add_ended(out, &stats);
    add_durations(out, &stats);
    add_progress(out, server);
    metrics_text_value(out, "vtshim_audit_lines_total", "counter", "Lines written to audit.file.",
                       audit_lines(server->audit));
    metrics_text_value(out, "vtshim_audit_dropped_total", "counter",
                       "Lines that could not be written to audit.file.",
                       audit_dropped(server->audit));
}
