/*
 * One broadcast a table.
 */
#include "proxy/admin_gather.h"

#include <pthread.h>
#include <stdlib.h>

#include "proxy/memory.h"
#include "proxy/server.h"

struct gather {
    struct admin_request *rq;
    admin_gather_fn *fn;
    pthread_mutex_t lock; /* of the table */
    struct admin_table *table;
};

static void on_worker(void *context, void *arg)
{
    struct gather *g = arg;

    pthread_mutex_lock(&g->lock);
    g->fn(g->table, context);
    pthread_mutex_unlock(&g->lock);
}

static void on_done(void *context, void *arg)
{
    struct gather *g = arg;

    (void)context;
    admin_reply_table(g->rq, g->table);
    pthread_mutex_destroy(&g->lock);
    free(g);
}

void admin_gather(struct admin_request *rq, const char *const *names, size_t columns,
                  admin_gather_fn *fn)
{
    struct gather *g = memory_zalloc(sizeof(*g));

    g->rq = rq;
    g->fn = fn;
    pthread_mutex_init(&g->lock, NULL);
    g->table = admin_table_create(names, columns);
    server_broadcast(rq->server, on_worker, on_done, g);
}
