/*
 * Counting a duration.
 */
#include "proxy/histogram.h"

#include "proxy/metrics.h"

void histogram_note(struct histogram *h, int64_t us)
{
    uint64_t n = us > 0 ? (uint64_t)us : 0;

    metrics_add(&h->counts[histogram_bucket(n)], 1);
    metrics_add(&h->sum_us, n);
}
