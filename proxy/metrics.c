/*
 * The table of counters, and how their values are written.
 */
#include "proxy/metrics.h"

#include <inttypes.h>
#include <stdio.h>

static const struct metric_row METRICS[] = {
#define METRIC(field, text, type, description)                                                     \
    {.name = text,                                                                                 \
     .kind = METRIC_##type,                                                                        \
     .help = description,                                                                          \
     .offset = offsetof(struct metrics, field)},
#include "proxy/metrics.def"
#undef METRIC
};

const struct metric_row *metrics_table(size_t *n)
{
    *n = sizeof(METRICS) / sizeof(METRICS[0]);
    return METRICS;
}

const struct metric_family_row *metric_family_row(enum metric_family family)
{
    static const struct metric_family_row ROWS[METRIC_FAMILIES] = {
#define METRIC_FAMILY(ID, text, type, names, description)                                          \
    {.name = text, .kind = #type, .labels = names, .help = description},
#include "proxy/metric_families.def"
#undef METRIC_FAMILY
    };

    return &ROWS[family];
}

const char *metric_kind_name(enum metric_kind kind)
{
    return kind == METRIC_gauge ? "gauge" : "counter";
}

void metric_format(char *dst, size_t size, enum metric_kind kind, uint64_t value)
{
    if (kind == METRIC_seconds)
        snprintf(dst, size, "%" PRIu64 ".%06" PRIu64, value / 1000000, value % 1000000);
    else
        snprintf(dst, size, "%" PRIu64, value);
}
