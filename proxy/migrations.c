/*
 * The list behind SHOW MIGRATIONS: all that are under way and at most HISTORY_MAX that ended.
 */
#include "proxy/migrations.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "proxy/memory.h"

#define HISTORY_MAX 100

struct item {
    TAILQ_ENTRY(item) link;
    struct migration_record record;
};

struct migrations {
    pthread_mutex_t lock;
    TAILQ_HEAD(items, item) items;
    size_t n, ended;
    uint64_t last_id;
};

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
    free(it);
}

void migrations_destroy(struct migrations *ms)
{
    while (!TAILQ_EMPTY(&ms->items))
        drop(ms, TAILQ_FIRST(&ms->items));
    pthread_mutex_destroy(&ms->lock);
    free(ms);
}

void migrations_add(struct migrations *ms, struct migration_record *r)
{
    struct item *it = memory_zalloc(sizeof(*it));

    pthread_mutex_lock(&ms->lock);
    r->id = ++ms->last_id;
    it->record = *r;
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

void migrations_update(struct migrations *ms, const struct migration_record *r)
{
    struct item *it;

    pthread_mutex_lock(&ms->lock);
    TAILQ_FOREACH(it, &ms->items, link)
    {
        if (it->record.id != r->id)
            continue;
        if (r->ended_ms && !it->record.ended_ms)
            ms->ended++;
        it->record = *r;
        break;
    }
    if (ms->ended > HISTORY_MAX)
        forget_oldest(ms);
    pthread_mutex_unlock(&ms->lock);
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
