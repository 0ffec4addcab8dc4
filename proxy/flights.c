/*
 * A short list under a lock: VSchema changes are rare.
 */
#include "proxy/flights.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "proxy/memory.h"

struct flight {
    LIST_ENTRY(flight) link;
    int64_t until_ms; /* 0: under way */
    size_t len;
    char *table; /* owned */
};

struct flights {
    pthread_mutex_t lock;
    LIST_HEAD(flight_list, flight) list;
};

struct flights *flights_create(void)
{
    struct flights *f = memory_zalloc(sizeof(*f));

    pthread_mutex_init(&f->lock, NULL);
    LIST_INIT(&f->list);
    return f;
}

static void drop(struct flight *one)
{
    LIST_REMOVE(one, link);
    free(one->table);
    free(one);
}

void flights_destroy(struct flights *f)
{
    if (!f)
        return;
    while (!LIST_EMPTY(&f->list))
        drop(LIST_FIRST(&f->list));
    pthread_mutex_destroy(&f->lock);
    free(f);
}

void flights_begin(struct flights *f, const char *table, size_t len)
{
    struct flight *one = memory_zalloc(sizeof(*one));

    one->table = memory_copy(table, len);
    one->len = len;
    pthread_mutex_lock(&f->lock);
    LIST_INSERT_HEAD(&f->list, one, link);
    pthread_mutex_unlock(&f->lock);
}

void flights_end(struct flights *f, const char *table, size_t len, int64_t until_ms)
{
    struct flight *one;

    pthread_mutex_lock(&f->lock);
    LIST_FOREACH(one, &f->list, link)
    {
        if (!one->until_ms && one->len == len && memcmp(one->table, table, len) == 0) {
            one->until_ms = until_ms;
            break;
        }
    }
    pthread_mutex_unlock(&f->lock);
}

bool flights_has(struct flights *f, const char *table, int64_t now_ms)
{
    struct flight *one, *next;
    bool found = false;

    pthread_mutex_lock(&f->lock);
    for (one = LIST_FIRST(&f->list); one; one = next) {
        next = LIST_NEXT(one, link);
        if (one->until_ms && one->until_ms <= now_ms)
            drop(one);
        else
            found = found || strcmp(one->table, table) == 0;
    }
    pthread_mutex_unlock(&f->lock);
    return found;
}

bool flights_concern(struct flights *f, const struct names *names)
{
    struct flight *one;
    bool found = false;

    pthread_mutex_lock(&f->lock);
    LIST_FOREACH(one, &f->list, link)
    {
        found = found || (!one->until_ms && names_may_contain(names, one->table, one->len));
    }
    pthread_mutex_unlock(&f->lock);
    return found;
}
