/*
 * A ring of spans of time, each with what was touched in it.
 */
#include "proxy/slow_transactions.h"

#include <string.h>

#define SPAN_MS (SLOW_REMEMBERED_MS / (SLOW_SPANS - 1))

static int64_t span_of(int64_t now_ms)
{
    return now_ms / SPAN_MS + 1;
}

static struct slow_span *span_now(struct slow_transactions *slow, int64_t now_ms)
{
    int64_t number = span_of(now_ms);
    struct slow_span *span = &slow->spans[number % SLOW_SPANS];

    if (span->number != number)
        *span = (struct slow_span){.number = number};
    return span;
}

static bool is_same(const struct names *a, const struct names *b)
{
    return a->everything == b->everything && memcmp(a->bits, b->bits, sizeof(a->bits)) == 0;
}

void slow_transactions_note(struct slow_transactions *slow, const struct names *touched,
                            int64_t excess_ms, int64_t now_ms)
{
    static const struct names ANYTHING = {.everything = true};
    struct slow_span *span = span_now(slow, now_ms);
    size_t i = 0;

    touched = touched ? touched : &ANYTHING;
    while (i < span->n && !is_same(&span->kinds[i].touched, touched))
        i++;
    if (i == SLOW_KINDS)
        i--; /* the last one becomes the rest */
    else if (i == span->n)
        span->n++;
    names_merge(&span->kinds[i].touched, touched);
    span->kinds[i].excess_ms += excess_ms < SLOW_EXCESS_MAX_MS ? excess_ms : SLOW_EXCESS_MAX_MS;
}

int64_t slow_transactions_excess(const struct slow_transactions *slow, const struct hold *h,
                                 int64_t now_ms)
{
    int64_t now = span_of(now_ms), ms = 0;

    for (size_t i = 0; i < SLOW_SPANS; i++) {
        const struct slow_span *span = &slow->spans[i];

        if (span->number == 0 || now - span->number >= SLOW_SPANS)
            continue;
        for (size_t k = 0; k < span->n; k++) {
            if (hold_is_touched(h, &span->kinds[k].touched))
                ms += span->kinds[k].excess_ms;
        }
    }
    return ms;
}
