/*
 * What a vtgate's page /debug/vars says of its traffic, as far as a deploy is judged by it:
 * counters since its start, what happened between two readings, and whether that differs from what
 * was usual. Pure.
 */
#ifndef VTSHIM_PROXY_VTGATE_TRAFFIC_H
#define VTSHIM_PROXY_VTGATE_TRAFFIC_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TRAFFIC_SHARDS_MAX 64 /* what is beyond is not told apart */
#define TRAFFIC_BUCKETS    11 /* of VtgateApi's histogram: up to 0.5 ms .. 10 s, and above */

struct traffic_shard {
    char name[96]; /* "commerce.-80" */
    uint64_t calls;
};

/* Counters; or the difference of two readings. */
struct vtgate_traffic {
    uint64_t statements;         /* VtgateApi */
    uint64_t errors;             /* VtgateApiErrorCounts */
    uint64_t row_limits;         /* of these RESOURCE_EXHAUSTED: --max_memory_rows and its like */
    uint64_t planned, scattered; /* QueryExecutions: all, and those of plan type Scatter */
    uint64_t buckets[TRAFFIC_BUCKETS];
    struct traffic_shard shards[TRAFFIC_SHARDS_MAX]; /* VttabletCall */
    size_t shard_count;
};

void vtgate_traffic_read(struct vtgate_traffic *t, const json_t *vars);

/* sum += later - earlier, of one vtgate. What became less (it was restarted) counts from 0. */
void vtgate_traffic_add(struct vtgate_traffic *sum, const struct vtgate_traffic *later,
                        const struct vtgate_traffic *earlier);

/* In percent of the statements; -1: there were none. */
double traffic_error_percent(const struct vtgate_traffic *t);
double traffic_scatter_percent(const struct vtgate_traffic *t);
/* Milliseconds, the upper end of the histogram's bucket; -1: no statements, or more than 10 s. */
double traffic_p99_ms(const struct vtgate_traffic *t);
/* That shard's share of the calls in percent. */
double traffic_shard_percent(const struct vtgate_traffic *t, const char *shard);

struct traffic_limits {
    double error_percent;   /* points more than before */
    double p99_factor;      /* times what was before */
    double scatter_percent; /* points more */
    double shard_percent;   /* points more or less, of any shard */
};

/* Below this many statements in either period nothing is judged. */
#define TRAFFIC_ENOUGH 100

/* Whether `after` breaches a limit; why[0..size) then names the first. */
bool traffic_breaches(const struct vtgate_traffic *before, const struct vtgate_traffic *after,
                      const struct traffic_limits *limits, char *why, size_t size);

#endif
