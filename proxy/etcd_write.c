/*
 * The keys that are to be written or deleted: a queue that the control loop fills and the thread
 * empties, one after the other, with one word a key at most. What fails is done again.
 */
#include <stdlib.h>
#include <string.h>

#include "proxy/etcd_internal.h"
#include "proxy/memory.h"

struct etcd_write {
    TAILQ_ENTRY(etcd_write) link;
    char *key, *value; /* value NULL: delete */
    int64_t ttl_s;
};

static void write_free(struct etcd_write *w)
{
    if (!w)
        return;
    free(w->key);
    free(w->value);
    free(w);
}

/* Done, or else to be done again unless there is a newer word on that key. */
static void write_over(struct etcd *e, bool done)
{
    struct etcd_write *w = e->current, *other;
    bool newer = false;

    e->current = NULL;
    e->writing = false;
    pthread_mutex_lock(&e->lock);
    TAILQ_FOREACH(other, &e->writes, link)
    {
        newer = newer || strcmp(other->key, w->key) == 0;
    }
    if (!done && !newer) {
        TAILQ_INSERT_HEAD(&e->writes, w, link);
        w = NULL;
    }
    pthread_mutex_unlock(&e->lock);
    write_free(w);
    if (!done)
        return;
    etcd_look(e);
    etcd_read_all(e); /* somebody waits for what was written to be there */
}

static void on_written(void *arg, const struct grpc_result *result)
{
    struct etcd *e = arg;

    etcd_call_note(e, result);
    write_over(e, result->status == GRPC_OK);
}

static void on_write_granted(void *arg, const struct grpc_result *result)
{
    struct etcd *e = arg;
    Etcdserverpb__LeaseGrantResponse *a =
        etcd_call_answer(e, result, &etcdserverpb__lease_grant_response__descriptor);
    int64_t lease = a ? a->id : 0;

    etcd_call_free(a);
    if (lease == 0)
        write_over(e, false);
    else
        etcd_call_put(e, e->current->key, e->current->value, lease, on_written);
}

void etcd_write_next(struct etcd *e)
{
    if (e->writing || !e->registered)
        return;
    pthread_mutex_lock(&e->lock);
    e->current = TAILQ_FIRST(&e->writes);
    if (e->current)
        TAILQ_REMOVE(&e->writes, e->current, link);
    pthread_mutex_unlock(&e->lock);
    if (!e->current)
        return;
    e->writing = true;
    if (!e->current->value)
        etcd_call_delete(e, e->current->key, on_written);
    else if (e->current->ttl_s)
        etcd_call_grant(e, e->current->ttl_s, on_write_granted);
    else
        etcd_call_put(e, e->current->key, e->current->value, e->lease, on_written);
}

void etcd_write_add(struct etcd *e, const char *key, const char *value, int64_t ttl_s)
{
    struct etcd_write *w = memory_zalloc(sizeof(*w)), *other, *next;

    w->key = memory_copy(key, strlen(key));
    w->value = value ? memory_copy(value, strlen(value)) : NULL;
    w->ttl_s = ttl_s;
    pthread_mutex_lock(&e->lock);
    for (other = TAILQ_FIRST(&e->writes); other; other = next) {
        next = TAILQ_NEXT(other, link);
        if (strcmp(other->key, key) != 0)
            continue;
        TAILQ_REMOVE(&e->writes, other, link);
        write_free(other);
    }
    TAILQ_INSERT_TAIL(&e->writes, w, link);
    pthread_mutex_unlock(&e->lock);
}

void etcd_write_fini(struct etcd *e)
{
    struct etcd_write *w;

    while ((w = TAILQ_FIRST(&e->writes))) {
        TAILQ_REMOVE(&e->writes, w, link);
        write_free(w);
    }
    write_free(e->current);
}
