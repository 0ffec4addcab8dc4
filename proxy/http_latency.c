/*
 * Workers one by one; histograms summed over them.
 */
#include "proxy/http_latency.h"

#include <event2/buffer.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "proxy/metrics_text.h"
#include "proxy/server.h"
#include "proxy/vtgates.h"
#include "proxy/worker.h"

/* --- workers --------------------------------------------------------------------------------- */

static void add_by_worker(struct evbuffer *out, const struct server *server,
                          enum metric_family which, size_t offset)
{
    const char *family = metrics_text_family(out, which);

    for (unsigned i = 0; i < server->worker_count; i++) {
        const char *metrics = (const char *)&server->workers[i].metrics;
        const _Atomic uint64_t *counter =
            (const _Atomic uint64_t *)(const void *)(metrics + offset);

        evbuffer_add_printf(out, "%s{worker=\"%u\"} %" PRIu64 "\n", family, i,
                            metrics_get(counter));
    }
}

/* The thread's own clock: it costs the worker nothing. */
static void add_cpu(struct evbuffer *out, const struct server *server)
{
    const char *family = metrics_text_family(out, METRIC_WORKER_CPU_SECONDS);

    for (unsigned i = 0; i < server->worker_count; i++) {
        struct timespec used;
        clockid_t clock;

        if (pthread_getcpuclockid(server->workers[i].thread, &clock) == 0 &&
            clock_gettime(clock, &used) == 0)
            evbuffer_add_printf(out, "%s{worker=\"%u\"} %lld.%06ld\n", family, i,
                                (long long)used.tv_sec, used.tv_nsec / 1000);
    }
}

/* --- histograms ------------------------------------------------------------------------------ */

/* One of many of the same family: label is `name="value",`, or empty. */
static void add_histogram(struct evbuffer *out, const char *family, const char *label,
                          const uint64_t counts[HISTOGRAM_BUCKETS + 1], uint64_t sum_us)
{
    char alone[340] = "";
    uint64_t sum = 0;

    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        sum += counts[i];
        evbuffer_add_printf(out, "%s_bucket{%sle=\"%.6f\"} %" PRIu64 "\n", family, label,
                            (double)(UINT64_C(1) << i) / 1e6, sum);
    }
    sum += counts[HISTOGRAM_BUCKETS];
    if (*label) /* without the comma */
        snprintf(alone, sizeof(alone), "{%.*s}", (int)strlen(label) - 1, label);
    evbuffer_add_printf(out, "%s_bucket{%sle=\"+Inf\"} %" PRIu64 "\n", family, label, sum);
    evbuffer_add_printf(out, "%s_sum%s %" PRIu64 ".%06" PRIu64 "\n", family, alone,
                        sum_us / 1000000, sum_us % 1000000);
    evbuffer_add_printf(out, "%s_count%s %" PRIu64 "\n", family, alone, sum);
}

/* The histogram at that offset in struct metrics, over all workers. */
static void add_sum(struct evbuffer *out, const struct server *server, const char *family,
                    const char *label, size_t offset)
{
    uint64_t counts[HISTOGRAM_BUCKETS + 1] = {0}, sum_us = 0;

    for (unsigned w = 0; w < server->worker_count; w++) {
        const char *metrics = (const char *)&server->workers[w].metrics;
        const struct histogram *h = (const struct histogram *)(const void *)(metrics + offset);

        for (unsigned i = 0; i <= HISTOGRAM_BUCKETS; i++)
            counts[i] += metrics_get(&h->counts[i]);
        sum_us += metrics_get(&h->sum_us);
    }
    add_histogram(out, family, label, counts, sum_us);
}

static void add_by_command(struct evbuffer *out, const struct server *server)
{
    static const char *const NAMES[] = TIMED_COMMANDS;
    const char *family = metrics_text_family(out, METRIC_COMMAND_DURATION);
    char label[64];

    for (size_t i = 0; i < TIMED_COUNT; i++) {
        snprintf(label, sizeof(label), "command=\"%s\",", NAMES[i]);
        add_sum(out, server, family, label,
                offsetof(struct metrics, durations) + i * sizeof(struct histogram));
    }
}

static void add_by_vtgate(struct evbuffer *out, struct server *server)
{
    size_t n = vtgates_count(server->vtgates);
    const char *family = metrics_text_family(out, METRIC_VTGATE_COMMANDS);
    char label[320];

    for (size_t i = 0; i < n; i++) {
        uint64_t sum = 0;

        for (unsigned w = 0; w < server->worker_count; w++)
            sum += metrics_get(&server->workers[w].metrics.vtgates[i].commands);
        evbuffer_add_printf(out, "%s{vtgate=\"%s\"} %" PRIu64 "\n", family,
                            vtgate_name(vtgates_at(server->vtgates, i)), sum);
    }
    family = metrics_text_family(out, METRIC_VTGATE_DURATION);
    for (size_t i = 0; i < n; i++) {
        snprintf(label, sizeof(label), "vtgate=\"%s\",",
                 vtgate_name(vtgates_at(server->vtgates, i)));
        add_sum(out, server, family, label,
                offsetof(struct metrics, vtgates) + i * sizeof(struct vtgate_metrics) +
                    offsetof(struct vtgate_metrics, durations));
    }
}

void http_add_latency(struct evbuffer *out, struct server *server)
{
    add_by_worker(out, server, METRIC_WORKER_SESSIONS, offsetof(struct metrics, sessions));
    add_by_worker(out, server, METRIC_WORKER_COMMANDS, offsetof(struct metrics, commands));
    add_by_worker(out, server, METRIC_WORKER_PARKED, offsetof(struct metrics, holds_parked));
    add_cpu(out, server);
    add_by_command(out, server);
    add_sum(out, server, metrics_text_family(out, METRIC_ADDED), "",
            offsetof(struct metrics, added));
    add_by_vtgate(out, server);
    add_sum(out, server, metrics_text_family(out, METRIC_PARK_DURATION), "",
            offsetof(struct metrics, parked_for));
    add_sum(out, server, metrics_text_family(out, METRIC_LOGIN_DURATION), "",
            offsetof(struct metrics, logins_took));
}
