/*
 * Each shard's row beside the one before. See cut_shards.h.
 */
#include "proxy/cut_shards.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/executor.h"
#include "proxy/memory.h"

#define SHARDS_MAX    4096
#define FIRST_WAIT_MS 1000 /* the shortest, when its first look was in vain */
#define AT_ONCE_MS    80   /* so long at most a wait is shown that is over at its first question */
#define GAP_MIN_MS    100  /* less is not worth it */
/* Of transactions that were too slow, in half a minute: that one begins in a gap, and is so, has
   then a chance of 1 in 100. */
#define EXCESS_MAX_MS 300

struct cut_shard {
    char uuid[64], shard[64], message[128];
    uint32_t attempts;
    unsigned told;     /* of which waits cut_shards_new_wait has told */
    int64_t seen_ms;   /* when the last look that showed it was asked for */
    int64_t waited_ms; /* it cannot have been at its first wait before that; 0: it is not there */
    int64_t shown_ms;  /* but it was by then */
};

struct cut_shards {
    size_t n;
    struct cut_shard shards[];
};

struct cut_shards *cut_shards_create(const struct executor_row *rows, size_t n, int64_t asked_ms)
{
    size_t kept = n < SHARDS_MAX ? n : 0;
    struct cut_shards *c = memory_zalloc(sizeof(*c) + kept * sizeof(c->shards[0]));

    c->n = kept;
    for (size_t i = 0; i < kept; i++) {
        struct cut_shard *one = &c->shards[i];

        bytes_to_text(one->uuid, sizeof(one->uuid), rows[i].uuid);
        bytes_to_text(one->shard, sizeof(one->shard), rows[i].shard);
        bytes_to_text(one->message, sizeof(one->message), rows[i].message);
        one->attempts = rows[i].attempts;
        one->seen_ms = asked_ms;
    }
    return c;
}

void cut_shards_free(struct cut_shards *c)
{
    free(c);
}

bool cut_shards_are_followed(const struct cut_shards *c)
{
    return c->n > 0;
}

static const struct cut_shard *find(const struct cut_shards *c, const struct executor_row *row)
{
    for (size_t i = 0; i < c->n; i++) {
        if (executor_row_is(row, c->shards[i].uuid, c->shards[i].shard))
            return &c->shards[i];
    }
    return NULL;
}

static bool is_at(const struct executor_row *row, const char *stage)
{
    size_t len = strlen(stage);

    return row->stage.len >= len && memcmp(row->stage.p, stage, len) == 0;
}

enum cut_progress cut_shards_progress(const struct cut_shards *c, const struct executor_row *row)
{
    const struct cut_shard *before = find(c, row);
    char message[sizeof(before->message)];

    if (row->status == MIGRATION_COMPLETE)
        return CUT_DONE;
    if (!before || row->attempts <= before->attempts)
        return CUT_WAITING;
    if (is_at(row, "cut-over complete") || is_at(row, "re-enabling writes"))
        return CUT_SWAPPED;
    bytes_to_text(message, sizeof(message), row->message);
    return *message && strcmp(message, before->message) != 0 ? CUT_FAILED : CUT_UNDER_WAY;
}

/* Which of the two waits the shard is at; 0: none. Its entry: *one. */
static unsigned wait_of(struct cut_shards *c, const struct executor_row *row,
                        struct cut_shard **one)
{
    static const char *const STAGES[] = {"waiting for post-sentry pos",
                                         "waiting for post-lock pos"};
    const struct cut_shard *found = find(c, row);

    if (!found || cut_shards_progress(c, row) != CUT_UNDER_WAY)
        return 0;
    *one = &c->shards[found - c->shards];
    for (unsigned i = 0; i < 2; i++) {
        if (is_at(row, STAGES[i]))
            return i + 1;
    }
    return 0;
}

const char *cut_shards_new_wait(struct cut_shards *c, const struct executor_row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct cut_shard *one = NULL;
        unsigned wait = wait_of(c, &rows[i], &one);

        if (!wait || one->told & 1u << wait)
            continue;
        one->told |= 1u << wait;
        return one->shard;
    }
    return NULL;
}

/* For the next look: what it finds to have begun has done so since this one was asked for. */
static void note_seen(struct cut_shards *c, const struct executor_row *rows, size_t n,
                      int64_t asked_ms)
{
    for (size_t i = 0; i < n; i++) {
        const struct cut_shard *found = find(c, &rows[i]);

        if (found)
            c->shards[found - c->shards].seen_ms = asked_ms;
    }
}

int64_t cut_shards_gap(struct cut_shards *c, const struct executor_row *rows, size_t n,
                       int64_t asked_ms, int64_t now_ms)
{
    int64_t since = INT64_MAX;
    size_t waiting = 0;

    for (size_t i = 0; i < n; i++) {
        struct cut_shard *one = NULL;

        if (wait_of(c, &rows[i], &one) != 1)
            continue;
        if (!one->waited_ms) {
            one->waited_ms = one->seen_ms;
            one->shown_ms = now_ms;
        }
        since = one->waited_ms < since ? one->waited_ms : since;
        waiting += asked_ms - one->shown_ms >= AT_ONCE_MS;
    }
    note_seen(c, rows, n, asked_ms);
    if (waiting == 0 || waiting < n || waiting < c->n)
        return 0; /* who is not shown may be ahead of the others, or will be in a moment */
    int64_t gap = since + FIRST_WAIT_MS - CUT_GAP_LEAD_MS - now_ms;

    return gap >= GAP_MIN_MS ? gap : 0;
}

bool cut_shards_gap_is_safe(int64_t excess_ms, int64_t poll_ms)
{
    return excess_ms <= EXCESS_MAX_MS && poll_ms <= CUT_GAP_LEAD_MS / 2;
}
