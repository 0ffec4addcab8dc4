/*
 * Counters. Each worker owns one struct metrics that only its thread writes; any thread may read
 * it, with relaxed atomics, so that counting costs no more than an addition.
 */
#ifndef VTSHIM_PROXY_METRICS_H
#define VTSHIM_PROXY_METRICS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "planner/retry.h"
#include "proxy/histogram.h"

#define METRICS_CLOSES 32 /* at least CLOSE_COUNT: session.c asserts it */
#define METRICS_ERRORS 64 /* at least SHIM_ERROR_COUNT, likewise */

#define METRICS_VTGATES 64 /* as many as there may be: vtgates.c asserts it */

/* The kinds of commands whose durations are told apart. */
enum timed_command { TIMED_QUERY, TIMED_PREPARE, TIMED_EXECUTE, TIMED_OTHER, TIMED_COUNT };
#define TIMED_COMMANDS                                                                             \
    {                                                                                              \
        "query", "prepare", "execute", "other"                                                     \
    }

/* Of one vtgate. */
struct vtgate_metrics {
    _Atomic uint64_t commands;
    struct histogram durations; /* from the command's last byte to the answer's */
};

struct metrics {
#define METRIC(field, name, kind, help) _Atomic uint64_t field;
#include "proxy/metrics.def"
#undef METRIC
    _Atomic uint64_t commands_by_kind[0x21]; /* by command byte; the last for unknown ones */
    _Atomic uint64_t closes[METRICS_CLOSES]; /* by enum close_reason */
    _Atomic uint64_t errors[METRICS_ERRORS]; /* by enum shim_error */
    _Atomic uint64_t retries[RETRY_ERROR_COUNT][RETRY_OUTCOME_COUNT];
    struct histogram durations[TIMED_COUNT], added; /* of measured commands: timing.h */
    struct histogram parked_for, logins_took;
    struct vtgate_metrics vtgates[METRICS_VTGATES]; /* by index in struct vtgates */
};

/* Adds n to a counter of the calling thread's own struct: no other thread writes it. */
static inline void metrics_add(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

static inline uint64_t metrics_get(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit((_Atomic uint64_t *)(uintptr_t)counter, memory_order_relaxed);
}

enum metric_kind { METRIC_counter, METRIC_gauge, METRIC_seconds };

struct metric_row {
    const char *name, *help;
    enum metric_kind kind;
    size_t offset; /* of the counter in struct metrics */
};

const struct metric_row *metrics_table(size_t *n);

/* What /metrics has beside those, by its name. kind as Prometheus calls it. */
enum metric_family {
#define METRIC_FAMILY(ID, name, kind, labels, help) METRIC_##ID,
#include "proxy/metric_families.def"
#undef METRIC_FAMILY
    METRIC_FAMILIES
};

struct metric_family_row {
    const char *name, *kind, *labels, *help;
};

const struct metric_family_row *metric_family_row(enum metric_family family);

/* "counter" or "gauge", as Prometheus calls it. */
const char *metric_kind_name(enum metric_kind kind);

/* The value as it is shown: a whole number, or seconds with six decimals. */
void metric_format(char *dst, size_t size, enum metric_kind kind, uint64_t value);

#endif
