/*
 * Reading and comparing. The histogram's bounds are Vitess's (go/stats/timings.go): 0.5 ms, 1, 5,
 * 10, 50, 100, 500 ms, 1, 5, 10 s, and the rest.
 */
#include "proxy/vtgate_traffic.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *key;
    double ms;
} BUCKETS[TRAFFIC_BUCKETS] = {
    {"500000", 0.5},      {"1000000", 1},         {"5000000", 5},     {"10000000", 10},
    {"50000000", 50},     {"100000000", 100},     {"500000000", 500}, {"1000000000", 1000},
    {"5000000000", 5000}, {"10000000000", 10000}, {"inf", -1},
};

static uint64_t count_of(const json_t *value)
{
    json_int_t n = json_integer_value(value);

    return n > 0 ? (uint64_t)n : 0;
}

/* The nth part of a label: "Execute.commerce.-80.primary". */
static bool part_of(const char *label, size_t n, char *dst, size_t size)
{
    for (; n > 0; n--) {
        label = strchr(label, '.');
        if (!label)
            return false;
        label++;
    }
    snprintf(dst, size, "%.*s", (int)strcspn(label, "."), label);
    return true;
}

static struct traffic_shard *shard_of(struct vtgate_traffic *t, const char *name)
{
    for (size_t i = 0; i < t->shard_count; i++) {
        if (strcmp(t->shards[i].name, name) == 0)
            return &t->shards[i];
    }
    if (t->shard_count == TRAFFIC_SHARDS_MAX)
        return NULL;
    struct traffic_shard *one = &t->shards[t->shard_count++];

    snprintf(one->name, sizeof(one->name), "%s", name);
    one->calls = 0;
    return one;
}

static void read_calls(struct vtgate_traffic *t, const json_t *histograms)
{
    const char *label;
    json_t *one;

    json_object_foreach((json_t *)histograms, label, one)
    {
        char keyspace[64], shard[64], name[96];

        if (!part_of(label, 1, keyspace, sizeof(keyspace)) ||
            !part_of(label, 2, shard, sizeof(shard)))
            continue;
        snprintf(name, sizeof(name), "%.47s.%.47s", keyspace, shard);
        struct traffic_shard *s = shard_of(t, name);

        if (s)
            s->calls += count_of(json_object_get(one, "Count"));
    }
}

static void read_api(struct vtgate_traffic *t, const json_t *histograms)
{
    const char *label;
    json_t *one;

    json_object_foreach((json_t *)histograms, label, one)
    {
        t->statements += count_of(json_object_get(one, "Count"));
        for (size_t i = 0; i < TRAFFIC_BUCKETS; i++)
            t->buckets[i] += count_of(json_object_get(one, BUCKETS[i].key));
    }
}

void vtgate_traffic_read(struct vtgate_traffic *t, const json_t *vars)
{
    const char *label;
    json_t *count;

    *t = (struct vtgate_traffic){.statements = 0};
    read_api(t, json_object_get(json_object_get(vars, "VtgateApi"), "Histograms"));
    read_calls(t, json_object_get(json_object_get(vars, "VttabletCall"), "Histograms"));
    json_object_foreach(json_object_get(vars, "VtgateApiErrorCounts"), label, count)
    {
        t->errors += count_of(count);
        if (strstr(label, "RESOURCE_EXHAUSTED"))
            t->row_limits += count_of(count);
    }
    json_object_foreach(json_object_get(vars, "QueryExecutions"), label, count)
    {
        t->planned += count_of(count);
        if (strstr(label, ".Scatter."))
            t->scattered += count_of(count);
    }
}

/* --- between two readings -------------------------------------------------------------------- */

static void add(uint64_t *sum, uint64_t later, uint64_t earlier)
{
    *sum += later >= earlier ? later - earlier : later;
}

static uint64_t calls_of(const struct vtgate_traffic *t, const char *shard)
{
    for (size_t i = 0; i < t->shard_count; i++) {
        if (strcmp(t->shards[i].name, shard) == 0)
            return t->shards[i].calls;
    }
    return 0;
}

void vtgate_traffic_add(struct vtgate_traffic *sum, const struct vtgate_traffic *later,
                        const struct vtgate_traffic *earlier)
{
    add(&sum->statements, later->statements, earlier->statements);
    add(&sum->errors, later->errors, earlier->errors);
    add(&sum->row_limits, later->row_limits, earlier->row_limits);
    add(&sum->planned, later->planned, earlier->planned);
    add(&sum->scattered, later->scattered, earlier->scattered);
    for (size_t i = 0; i < TRAFFIC_BUCKETS; i++)
        add(&sum->buckets[i], later->buckets[i], earlier->buckets[i]);
    for (size_t i = 0; i < later->shard_count; i++) {
        struct traffic_shard *s = shard_of(sum, later->shards[i].name);

        if (s)
            add(&s->calls, later->shards[i].calls, calls_of(earlier, later->shards[i].name));
    }
}

static double percent(uint64_t part, uint64_t whole)
{
    return whole ? 100.0 * (double)part / (double)whole : -1;
}

double traffic_error_percent(const struct vtgate_traffic *t)
{
    return percent(t->errors, t->statements);
}

double traffic_scatter_percent(const struct vtgate_traffic *t)
{
    return percent(t->scattered, t->planned);
}

double traffic_p99_ms(const struct vtgate_traffic *t)
{
    uint64_t all = 0, seen = 0;

    for (size_t i = 0; i < TRAFFIC_BUCKETS; i++)
        all += t->buckets[i];
    for (size_t i = 0; i < TRAFFIC_BUCKETS && all; i++) {
        seen += t->buckets[i];
        if ((double)seen >= 0.99 * (double)all)
            return BUCKETS[i].ms;
    }
    return -1;
}

double traffic_shard_percent(const struct vtgate_traffic *t, const char *shard)
{
    uint64_t all = 0;

    for (size_t i = 0; i < t->shard_count; i++)
        all += t->shards[i].calls;
    return percent(calls_of(t, shard), all);
}

/* --- judging --------------------------------------------------------------------------------- */

static bool shards_breach(const struct vtgate_traffic *before, const struct vtgate_traffic *after,
                          double limit, char *why, size_t size)
{
    const struct vtgate_traffic *both[] = {before, after};

    for (size_t n = 0; n < 2; n++) {
        for (size_t i = 0; i < both[n]->shard_count; i++) {
            const char *name = both[n]->shards[i].name;
            double was = traffic_shard_percent(before, name);
            double is = traffic_shard_percent(after, name);

            if (was < 0 || is < 0 || (is - was <= limit && was - is <= limit))
                continue;
            snprintf(why, size, "shard %s has %.1f %% of the calls, it had %.1f %%", name, is, was);
            return true;
        }
    }
    return false;
}

bool traffic_breaches(const struct vtgate_traffic *before, const struct vtgate_traffic *after,
                      const struct traffic_limits *limits, char *why, size_t size)
{
    double was, is;

    *why = '\0';
    if (before->statements < TRAFFIC_ENOUGH || after->statements < TRAFFIC_ENOUGH)
        return false;
    was = traffic_error_percent(before);
    is = traffic_error_percent(after);
    if (is > was + limits->error_percent) {
        snprintf(why, size, "%.2f %% of the statements fail, it was %.2f %%%s", is, was,
                 after->row_limits > before->row_limits
                     ? "; vtgate's limit of rows in memory (--max_memory_rows) is met"
                     : "");
        return true;
    }
    was = traffic_p99_ms(before);
    is = traffic_p99_ms(after);
    if (was > 0 && (is < 0 || is > was * limits->p99_factor)) {
        snprintf(why, size, "99 %% of the statements take up to %.1f ms, it was %.1f ms", is, was);
        return true;
    }
    was = traffic_scatter_percent(before);
    is = traffic_scatter_percent(after);
    if (is > was + limits->scatter_percent) {
        snprintf(why, size, "%.1f %% of the statements go to all shards, it was %.1f %%", is, was);
        return true;
    }
    return shards_breach(before, after, limits->shard_percent, why, size);
}
