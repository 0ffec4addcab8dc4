/*
 * For each shard when its vitess_liveness_indicator moved last. What was not seen for a while
 * counts anew: the tablet may have been away, and then nothing could move.
 */
#include "proxy/standstill.h"

#include <stddef.h>
#include <stdlib.h>

#include "proxy/executor.h"
#include "proxy/memory.h"

#define SHARDS_MAX 64
#define UNSEEN_MS  90000 /* more than the longest ddl.poll_interval_ms */

struct standstill {
    struct watched {
        char uuid[64], shard[64];
        int64_t looked;
        int64_t since_ms; /* 0: it does not run */
        int64_t seen_ms;
    } shards[SHARDS_MAX];
    size_t n;
};

static struct watched *find(struct standstill *s, const struct executor_row *row)
{
    for (size_t i = 0; i < s->n; i++) {
        if (executor_row_is(row, s->shards[i].uuid, s->shards[i].shard))
            return &s->shards[i];
    }
    if (s->n == SHARDS_MAX)
        return NULL;
    struct watched *w = &s->shards[s->n++];

    bytes_to_name(w->uuid, sizeof(w->uuid), row->uuid);
    bytes_to_name(w->shard, sizeof(w->shard), row->shard);
    return w;
}

void standstill_row(struct standstill **s, const struct executor_row *row, int64_t now_ms)
{
    if (!*s)
        *s = memory_zalloc(sizeof(**s));
    struct watched *w = find(*s, row);

    if (!w)
        return;
    if (row->status != MIGRATION_RUNNING)
        w->since_ms = 0;
    else if (!w->since_ms || row->looked != w->looked || now_ms - w->seen_ms > UNSEEN_MS)
        w->since_ms = now_ms;
    w->looked = row->looked;
    w->seen_ms = now_ms;
}

const char *standstill_find(const struct standstill *s, int64_t limit_ms, int64_t now_ms,
                            int64_t *ms)
{
    const char *shard = NULL;

    *ms = 0;
    for (size_t i = 0; s && limit_ms > 0 && i < s->n; i++) {
        const struct watched *w = &s->shards[i];

        if (w->since_ms && now_ms - w->since_ms >= limit_ms && now_ms - w->since_ms > *ms) {
            *ms = now_ms - w->since_ms;
            shard = w->shard;
        }
    }
    return shard;
}

void standstill_free(struct standstill *s)
{
    free(s);
}
