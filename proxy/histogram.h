/*
 * Histograms of durations. As the counters of metrics.h: one thread writes, any thread reads.
 *
 * Buckets are powers of two in microseconds, from 1 to 2^25 (33.6 s): two neighbours differ by a
 * factor of two, which is enough to see an order of magnitude move, and the bucket of a value is
 * one instruction away.
 */
#ifndef VTSHIM_PROXY_HISTOGRAM_H
#define VTSHIM_PROXY_HISTOGRAM_H

#include <stdatomic.h>
#include <stdint.h>

#define HISTOGRAM_BUCKETS 26 /* with an upper bound; one more has what is above */

struct histogram {
    _Atomic uint64_t counts[HISTOGRAM_BUCKETS + 1];
    _Atomic uint64_t sum_us;
};

/* The bucket of a duration: the first whose bound, 2^i microseconds, is not below it. */
static inline unsigned histogram_bucket(uint64_t us)
{
    unsigned i = us <= 1 ? 0 : 64 - (unsigned)__builtin_clzll(us - 1);

    return i < HISTOGRAM_BUCKETS ? i : HISTOGRAM_BUCKETS;
}

/* Of the calling thread's own. A negative duration counts as none. */
void histogram_note(struct histogram *h, int64_t us);

#endif
