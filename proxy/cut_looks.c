/*
 * Watching the tablets' looks. Invariant: a shard's look counts when its indicator has changed
 * since the row was seen before, never at first sight.
 */
#include "proxy/cut_looks.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/executor.h"
#include "proxy/memory.h"

/* Looks of all shards surely within that are at one moment, so that the next ones are: the nearer
   the better, but sooner or later what comes is taken. */
#define CLOSE_MS     300
#define IN_STEP_MS   600
#define CLOSE_FOR_MS 6000 /* so long only what is as close as that is taken */
/* The next looks are asked for several times from the last shard's look on, to come as soon as they
   can, a second after that one's end: what else had a tablet look by itself earlier than the others
   has hardly any time for it. */
#define PROMPTS         4
#define PROMPT_EVERY_MS 80
#define APART_MS        1000 /* a tablet does not look again sooner */
/* So long after the last shard's look a drain may begin; else it waits for the next ones. */
#define STALE_MS  (APART_MS - CUT_LOOKS_LEAD_MS + 150)
#define ANSWER_MS 1700 /* a look that was asked for has been by then */
#define LIMIT_MS  8000
#define BLIND_ASK_MS                                                                               \
    250                   /* without indicators: several looks are asked for, this far apart, ...  \
                           */
#define BLIND_LEAD_MS 600 /* ... and the drain begins so long after the first of them */
#define SHARDS_MAX    4096

struct looked {
    char uuid[64], shard[64];
    int64_t indicator;
    int64_t from_ms, at_ms; /* it looked between; at_ms 0: not yet */
};

struct cut_looks {
    struct looked *shards; /* owned; n of them */
    size_t n;
    int64_t began_ms, asked_ms;
    int64_t noted_ms; /* the last time that the rows were seen */
    int64_t first_ms; /* when the first of the shards may have looked, ... */
    int64_t look_ms;  /* ... and the last had; 0: they have not */
    bool in_step;     /* their looks were at one moment */
    int64_t prompts;  /* so many times the next ones have been asked for */
    int64_t blind_ms; /* not 0: without indicators, since when */
};

struct cut_looks *cut_looks_create(int64_t now_ms)
{
    struct cut_looks *l = memory_zalloc(sizeof(*l));

    l->began_ms = l->noted_ms = now_ms;
    return l;
}

void cut_looks_free(struct cut_looks *l)
{
    if (!l)
        return;
    free(l->shards);
    free(l);
}

static struct looked *find(struct cut_looks *l, const struct executor_row *row)
{
    for (size_t i = 0; i < l->n; i++) {
        if (executor_row_is(row, l->shards[i].uuid, l->shards[i].shard))
            return &l->shards[i];
    }
    if (l->n == SHARDS_MAX)
        return NULL;
    l->shards = memory_resize(l->shards, (l->n + 1) * sizeof(*l->shards));
    struct looked *one = &l->shards[l->n++];

    memset(one, 0, sizeof(*one));
    bytes_to_text(one->uuid, sizeof(one->uuid), row->uuid);
    bytes_to_text(one->shard, sizeof(one->shard), row->shard);
    one->indicator = row->looked;
    return one;
}

/* The looks of all shards that run. */
struct span {
    size_t running;
    int64_t first_ms, last_ms; /* when they were seen; first_ms 0: not all have looked */
    int64_t earliest_ms;       /* when the first one may have been */
};

static struct span note(struct cut_looks *l, const struct executor_row *rows, size_t n,
                        int64_t now_ms)
{
    struct span span = {.first_ms = INT64_MAX, .earliest_ms = INT64_MAX};

    for (size_t i = 0; i < n; i++) {
        if (rows[i].status != MIGRATION_RUNNING)
            continue;
        struct looked *one = find(l, &rows[i]);

        if (!one)
            continue;
        if (one->indicator != rows[i].looked) {
            one->indicator = rows[i].looked;
            one->from_ms = l->noted_ms;
            one->at_ms = now_ms;
        }
        span.running++;
        span.first_ms = one->at_ms < span.first_ms ? one->at_ms : span.first_ms;
        span.last_ms = one->at_ms > span.last_ms ? one->at_ms : span.last_ms;
        span.earliest_ms = one->from_ms < span.earliest_ms ? one->from_ms : span.earliest_ms;
    }
    l->noted_ms = now_ms;
    return span;
}

static enum cut_looks_next ask(struct cut_looks *l, int64_t now_ms)
{
    l->asked_ms = now_ms;
    l->look_ms = 0;
    return CUT_LOOKS_ASK;
}

static enum cut_looks_next without_indicators(struct cut_looks *l, int64_t now_ms)
{
    if (!l->blind_ms)
        l->blind_ms = now_ms;
    if (now_ms - l->blind_ms >= BLIND_LEAD_MS)
        return CUT_LOOKS_DRAIN;
    return now_ms - l->asked_ms >= BLIND_ASK_MS ? ask(l, now_ms) : CUT_LOOKS_WAIT;
}

static bool is_in_step(const struct cut_looks *l, const struct span *span, int64_t now_ms)
{
    int64_t limit = now_ms - l->began_ms < CLOSE_FOR_MS ? CLOSE_MS : IN_STEP_MS;

    return span->last_ms - span->earliest_ms <= limit;
}

enum cut_looks_next cut_looks_note(struct cut_looks *l, const struct executor_row *rows, size_t n,
                                   int64_t now_ms)
{
    struct span span = note(l, rows, n, now_ms);

    if (span.running == 0 || l->blind_ms)
        return without_indicators(l, now_ms);
    if (now_ms - l->began_ms >= LIMIT_MS) {
        without_indicators(l, now_ms);
        return span.first_ms == 0 ? CUT_LOOKS_NONE : ask(l, now_ms);
    }
    if (!l->asked_ms)
        return ask(l, now_ms);
    if (span.first_ms > l->asked_ms) { /* all have looked since */
        l->first_ms = span.earliest_ms;
        l->look_ms = l->asked_ms = span.last_ms;
        l->in_step = is_in_step(l, &span, now_ms);
        l->prompts = 0;
    }
    int64_t after_ms = now_ms - l->look_ms;

    if (l->look_ms && l->prompts < PROMPTS && after_ms >= l->prompts * PROMPT_EVERY_MS) {
        l->prompts++;
        return CUT_LOOKS_ASK;
    }
    if (l->look_ms && l->in_step && now_ms - l->first_ms >= APART_MS - CUT_LOOKS_LEAD_MS &&
        after_ms <= STALE_MS)
        return CUT_LOOKS_DRAIN;
    return now_ms - l->asked_ms >= ANSWER_MS ? ask(l, now_ms) : CUT_LOOKS_WAIT;
}
