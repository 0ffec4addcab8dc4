/*
 * Queues of keys: see fleet_lock.h. A key is written once; what counts is when it was created, for
 * a write whose answer was lost is repeated.
 */
#include "proxy/fleet_lock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "proxy/etcd.h"
#include "proxy/fleet.h"
#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/server.h"

#define KEY_MAX    160
#define PREFIX     "locks/"
#define PATIENCE_S 3 /* for etcd's answers, besides the lease */

struct fleet_lock {
    LIST_ENTRY(fleet_lock) link;
    struct fleet_locks *all;
    char key[KEY_MAX];
    size_t queue_len;   /* of the key: the part that names the queue, its last '/' included */
    fleet_locked *done; /* NULL: it has been called */
    void *arg;
    bool waits;          /* else it is refused when somebody has it */
    int64_t deadline_ms; /* of its turn */
    int64_t created;     /* the revision of its key; 0: not seen yet */
    bool had;
};

struct fleet_locks {
    struct server *server;
    struct etcd *etcd;
    uint64_t last;
    LIST_HEAD(, fleet_lock) list;
};

struct fleet_locks *fleet_locks_create(struct server *server, struct etcd *etcd)
{
    struct fleet_locks *ls = memory_zalloc(sizeof(*ls));

    ls->server = server;
    ls->etcd = etcd;
    LIST_INIT(&ls->list);
    return ls;
}

static void lock_free(struct fleet_lock *l)
{
    LIST_REMOVE(l, link);
    free(l);
}

void fleet_locks_destroy(struct fleet_locks *ls)
{
    while (!LIST_EMPTY(&ls->list))
        lock_free(LIST_FIRST(&ls->list));
    free(ls);
}

struct fleet_lock *fleet_lock_take(struct fleet_locks *ls, const char *name, const char *what,
                                   int64_t wait_ms, fleet_locked *done, void *arg)
{
    struct fleet_lock *l = memory_zalloc(sizeof(*l));
    int64_t patience = (ls->server->config->fleet_lease_s + PATIENCE_S) * 1000;

    l->all = ls;
    l->done = done;
    l->arg = arg;
    l->waits = wait_ms > 0;
    l->deadline_ms = clock_ms() + (wait_ms > patience ? wait_ms : patience);
    l->queue_len = (size_t)snprintf(l->key, sizeof(l->key), PREFIX "%.80s/", name);
    snprintf(l->key + l->queue_len, sizeof(l->key) - l->queue_len, "%s.%" PRIu64,
             etcd_member(ls->etcd), ++ls->last);
    LIST_INSERT_HEAD(&ls->list, l, link);
    etcd_put(ls->etcd, l->key, what, 0);
    return l;
}

void fleet_lock_release(struct fleet_lock *l)
{
    if (!l)
        return;
    etcd_delete(l->all->etcd, l->key);
    lock_free(l);
}

bool fleet_lock_stands(const struct fleet_lock *l)
{
    return l->had && fleet_is_in_touch(l->all->server);
}

/* --- whose turn it is --------------------------------------------------------------------------
 */

static void answer(struct fleet_lock *l, const char *error)
{
    fleet_locked *done = l->done;
    void *arg = l->arg;

    l->done = NULL;
    l->had = !error;
    if (error)
        fleet_lock_release(l);
    done(arg, error);
}

/* "<what>, on <member>" of the one that has it. */
static void describe(const struct etcd_item *holder, size_t queue_len,
                     char text[FLEET_LOCK_TEXT_MAX])
{
    const char *member = holder->key + queue_len;
    const char *end = strrchr(member, '.');
    size_t len = end ? (size_t)(end - member) : strlen(member);

    snprintf(text, FLEET_LOCK_TEXT_MAX, "%.180s, on %.*s", holder->value,
             (int)(len < 40 ? len : 40), member);
}

/* Whether it has been answered. */
static bool see(struct fleet_lock *l, const struct etcd_view *view)
{
    const struct etcd_item *first = NULL, *own = NULL;
    char text[FLEET_LOCK_TEXT_MAX];

    for (size_t i = 0; i < view->n; i++) {
        const struct etcd_item *item = &view->items[i];

        if (strncmp(item->key, l->key, l->queue_len) != 0)
            continue;
        if (!first || item->created < first->created)
            first = item;
        if (strcmp(item->key, l->key) == 0)
            own = item;
    }
    if (l->had && (!own || own->created != l->created)) {
        log_warn("fleet_lock_lost", "key:s", l->key);
        l->had = false; /* its lease ended; whoever has it asks before he relies on it */
    }
    if (!own || !l->done)
        return false;
    l->created = own->created;
    if (own != first && l->waits)
        return false;
    if (own != first)
        describe(first, l->queue_len, text);
    answer(l, own == first ? NULL : text);
    return true;
}

/*
 * Who has an answer may give back other locks, the next one in the list among them, or take more:
 * after each answer the list is looked at from its beginning. Nobody is answered twice, and a new
 * lock has neither a key in this view nor a deadline that is over, so that this comes to an end.
 */
void fleet_locks_see(struct fleet_locks *ls, const struct etcd_view *view)
{
    struct fleet_lock *l = LIST_FIRST(&ls->list);

    while (l)
        l = see(l, view) ? LIST_FIRST(&ls->list) : LIST_NEXT(l, link);
}

/* Whether it has been answered. */
static bool check(struct fleet_lock *l)
{
    if (!l->done || clock_ms() <= l->deadline_ms)
        return false;
    answer(l, l->created ? "the one under way on another shim has not ended in time"
                         : "the fleet's etcd does not answer");
    return true;
}

void fleet_locks_check(struct fleet_locks *ls)
{
    struct fleet_lock *l = LIST_FIRST(&ls->list);

    while (l)
        l = check(l) ? LIST_FIRST(&ls->list) : LIST_NEXT(l, link);
}
