/*
 * Counters by name: a chained hash table under a lock, touched once at login and once at the end of
 * a session. Keys without sessions are forgotten, so that it cannot grow without bound.
 */
#include "proxy/quota.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "proxy/memory.h"

#define BUCKETS 4096

struct entry {
    SLIST_ENTRY(entry) next;
    int64_t count;
    char *key;
};

struct quota {
    pthread_mutex_t lock;
    SLIST_HEAD(bucket, entry) buckets[BUCKETS];
};

struct quota *quota_create(void)
{
    struct quota *q = memory_zalloc(sizeof(*q));

    pthread_mutex_init(&q->lock, NULL);
    return q;
}

static void entry_free(struct entry *e)
{
    free(e->key);
    free(e);
}

void quota_destroy(struct quota *q)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        while (!SLIST_EMPTY(&q->buckets[i])) {
            struct entry *e = SLIST_FIRST(&q->buckets[i]);

            SLIST_REMOVE_HEAD(&q->buckets[i], next);
            entry_free(e);
        }
    }
    pthread_mutex_destroy(&q->lock);
    free(q);
}

/* FNV-1a */
static struct bucket *bucket_of(struct quota *q, const char *key)
{
    uint64_t h = 14695981039346656037u;

    for (; *key; key++)
        h = (h ^ (uint8_t)*key) * 1099511628211u;
    return &q->buckets[h % BUCKETS];
}

static struct entry *find(struct bucket *b, const char *key)
{
    struct entry *e;

    SLIST_FOREACH(e, b, next)
    {
        if (strcmp(e->key, key) == 0)
            return e;
    }
    return NULL;
}

bool quota_take(struct quota *q, const char *key, int64_t limit)
{
    struct bucket *b = bucket_of(q, key);

    pthread_mutex_lock(&q->lock);
    struct entry *e = find(b, key);
    bool ok = limit == 0 || !e || e->count < limit;

    if (ok && !e) {
        e = memory_zalloc(sizeof(*e));
        e->key = memory_copy(key, strlen(key));
        SLIST_INSERT_HEAD(b, e, next);
    }
    if (ok)
        e->count++;
    pthread_mutex_unlock(&q->lock);
    return ok;
}

void quota_give(struct quota *q, const char *key)
{
    struct bucket *b = bucket_of(q, key);

    pthread_mutex_lock(&q->lock);
    struct entry *e = find(b, key);

    if (e && --e->count == 0) {
        SLIST_REMOVE(b, e, entry, next);
        entry_free(e);
    }
    pthread_mutex_unlock(&q->lock);
}
