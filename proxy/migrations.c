/*
 * The list behind SHOW MIGRATIONS: all that are under way and at most HISTORY_MAX that ended.
 */
#include "proxy/migrations.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "proxy/memory.h"
#include "proxy/migrations_internal.h"

#define HISTORY_MAX  100
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct migrations *migrations_create(void)
{
    struct migrations *ms = memory_zalloc(sizeof(*ms));

    pthread_mutex_init(&ms->lock, NULL);
    TAILQ_INIT(&ms->items);
    return ms;
}

static void drop(struct migrations *ms, struct item *it)
{
    TAILQ_REMOVE(&ms->items, it, link);
    ms->n--;
    free(it->shards);
    free(it->more);
    free(it->related);
    free(it->mentions);
    free(it);
}

void migrations_destroy(struct migrations *ms)
{
    while (!TAILQ_EMPTY(&ms->items))
        drop(ms, TAILQ_FIRST(&ms->items));
    pthread_mutex_destroy(&ms->lock);
    free(ms);
}

void migrations_add(struct migrations *ms, struct migration_record *r,
                    char (*more)[MIGRATION_NAME_MAX], size_t n)
{
    struct item *it = memory_zalloc(sizeof(*it));

    it->more = memory_zalloc((n + 1) * sizeof(*it->more));
    it->more_count = n;
    if (n > 0)
        memcpy(it->more, more, n * sizeof(*more));

    pthread_mutex_lock(&ms->lock);
    r->id = ++ms->last_id;
    it->record = *r;
    it->wish = r->postponed ? WISH_LATER : WISH_NONE;
    TAILQ_INSERT_TAIL(&ms->items, it, link);
    ms->n++;
    pthread_mutex_unlock(&ms->lock);
}

static void forget_oldest(struct migrations *ms)
{
    struct item *it;

    TAILQ_FOREACH(it, &ms->items, link)
    {
        if (it->record.ended_ms) {
            drop(ms, it);
            ms->ended--;
            return;
        }
    }
}

static size_t label(const char *text, const char *const *labels, size_t n)
{
    size_t i = 0;

    while (i < n - 1 && strcmp(text, labels[i]) != 0)
        i++;
    return i;
}

static void count_end(struct migration_stats *stats, const struct migration_record *r)
{
    static const char *const VERBS[] = MIGRATION_VERBS;
    static const char *const OUTCOMES[] = MIGRATION_OUTCOMES;
    static const int64_t BUCKETS[] = MIGRATION_BUCKETS;
    int64_t ms = r->ended_ms - r->started_ms;
    size_t verb = label(r->verb, VERBS, COUNT(VERBS));

    stats->ended[verb][label(r->status, OUTCOMES, COUNT(OUTCOMES))]++;
    if (strcmp(r->status, "complete") != 0)
        return;
    stats->took_n++;
    stats->took_ms += (uint64_t)ms;
    for (size_t i = 0; i < COUNT(BUCKETS); i++) {
        if (ms <= BUCKETS[i] * 1000) {
            stats->took[i]++;
            return;
        }
    }
}

/* Under ms->lock. */
static uint64_t count_still(const struct migrations *ms)
{
    const struct item *it;
    uint64_t n = 0;

    TAILQ_FOREACH(it, &ms->items, link)
    {
        if (!it->record.ended_ms && *it->record.still)
            n++;
    }
    return n;
}

void migrations_stats(struct migrations *ms, struct migration_stats *stats)
{
    pthread_mutex_lock(&ms->lock);
    *stats = ms->stats;
    stats->running = ms->n - ms->ended;
    stats->still = count_still(ms);
    pthread_mutex_unlock(&ms->lock);
}

void migrations_update(struct migrations *ms, const struct migration_record *r)
{
    struct item *it;

    pthread_mutex_lock(&ms->lock);
    TAILQ_FOREACH(it, &ms->items, link)
    {
        if (it->record.id != r->id)
            continue;
        if (r->ended_ms && !it->record.ended_ms) {
            ms->ended++;
            count_end(&ms->stats, r);
        }
        it->record = *r;
        break;
    }
    if (ms->ended > HISTORY_MAX)
        forget_oldest(ms);
    pthread_mutex_unlock(&ms->lock);
}

void migrations_set_shards(struct migrations *ms, uint64_t id, const struct migration_shard *shards,
                           size_t n)
{
    struct item *it;

    if (n > MIGRATION_SHARDS_MAX)
        n = MIGRATION_SHARDS_MAX;
    pthread_mutex_lock(&ms->lock);
    TAILQ_FOREACH(it, &ms->items, link)
    {
        if (it->record.id != id)
            continue;
        if (it->shard_count < n)
            it->shards = memory_resize(it->shards, n * sizeof(*it->shards));
        if (n > 0)
            memcpy(it->shards, shards, n * sizeof(*shards));
        it->shard_count = n;
        break;
    }
    pthread_mutex_unlock(&ms->lock);
}

bool migrations_item_has_uuid(const struct item *it, const char *uuid)
{
    if (strcmp(it->record.uuid, uuid) == 0)
        return true;
    for (size_t i = 0; i < it->shard_count; i++) {
        if (strcmp(it->shards[i].uuid, uuid) == 0)
            return true;
    }
    return false;
}

/* A session that only waits for what another sees to says less, and its leaving is not the end. */
static int worth(const struct item *it)
{
    return it->record.ended_ms ? 0 : it->record.attached ? 1 : 2;
}

bool migrations_find(struct migrations *ms, const char *uuid, struct migration_record *r,
                     struct migration_shard **shards, size_t *n)
{
    struct item *it = NULL, *other;

    pthread_mutex_lock(&ms->lock);
    TAILQ_FOREACH_REVERSE(other, &ms->items, items, link)
    {
        if (migrations_item_has_uuid(other, uuid) && (!it || worth(other) > worth(it)))
            it = other;
    }
    if (it) {
        *r = it->record;
        *n = it->shard_count;
        *shards = memory_zalloc((it->shard_count + 1) * sizeof(**shards));
        if (it->shard_count > 0)
            memcpy(*shards, it->shards, it->shard_count * sizeof(**shards));
    }
    pthread_mutex_unlock(&ms->lock);
    return it != NULL;
}

bool migrations_leader_stage(struct migrations *ms, const char *uuid,
                             char stage[MIGRATION_STAGE_MAX])
{
    struct item *it;

    *stage = '\0';
    pthread_mutex_lock(&ms->lock);
    TAILQ_FOREACH(it, &ms->items, link)
    {
        if (worth(it) == 2 && migrations_item_has_uuid(it, uuid))
            snprintf(stage, MIGRATION_STAGE_MAX, "%s", it->record.stage);
    }
    pthread_mutex_unlock(&ms->lock);
    return *stage;
}

void migration_blockers_format(const struct migration_blockers *b, char *dst, size_t size)
{
    size_t named = 0, at = 0;

    *dst = '\0';
    for (; named < MIGRATION_BLOCKERS_MAX && named < b->n && b->sessions[named]; named++) {
        if (at < size)
            at += (size_t)snprintf(dst + at, size - at, "%s%" PRIu64, named ? "," : "",
                                   b->sessions[named]);
    }
    if (b->n > named && at < size)
        snprintf(dst + at, size - at, "%s...", named ? "," : "");
}

struct migration_record *migrations_copy(struct migrations *ms, size_t *n)
{
    pthread_mutex_lock(&ms->lock);
    struct migration_record *copy = memory_zalloc((ms->n + 1) * sizeof(*copy));
    struct item *it;

    *n = 0;
    TAILQ_FOREACH(it, &ms->items, link)
    copy[(*n)++] = it->record;
    pthread_mutex_unlock(&ms->lock);
    return copy;
}
