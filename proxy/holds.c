/*
 * The registry of holds: add, renew, expire, release. Workers only ever see whole sets.
 */
#include "proxy/holds.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/park.h"
#include "proxy/server.h"
#include "proxy/worker.h"

struct holds {
    struct server *server;
    struct hold_set *set;
    struct event *expiry;
    uint64_t last_id;
};

/* One change on its way to the workers. */
struct change {
    struct hold_set *set;
    holds_callback *done;
    void *arg;
};

static void on_expiry(evutil_socket_t fd, short what, void *arg);

struct holds *holds_create(struct server *server)
{
    struct holds *hs = memory_zalloc(sizeof(*hs));

    hs->server = server;
    hs->set = hold_set_create(0);
    hs->expiry = evtimer_new(server->base, on_expiry, hs);
    return hs;
}

void holds_destroy(struct holds *hs)
{
    event_free(hs->expiry);
    hold_set_release(hs->set);
    free(hs);
}

const struct hold_set *holds_now(const struct holds *hs)
{
    return hs->set;
}

static void take_set(void *context, void *arg)
{
    struct worker *w = context;
    struct change *change = arg;

    hold_set_release(w->holds);
    w->holds = hold_set_borrow(change->set);
    park_review(w);
}

static void change_done(void *context, void *arg)
{
    struct change *change = arg;

    (void)context;
    if (change->done)
        change->done(change->arg);
    hold_set_release(change->set);
    free(change);
}

static void arm_expiry(struct holds *hs)
{
    int64_t first = INT64_MAX, now = clock_ms();

    for (size_t i = 0; i < hs->set->n; i++) {
        if (hs->set->items[i].expires_ms < first)
            first = hs->set->items[i].expires_ms;
    }
    event_del(hs->expiry);
    if (first == INT64_MAX)
        return;
    int64_t left = first > now ? first - now : 0;
    struct timeval tv = {left / 1000, (left % 1000) * 1000};

    event_add(hs->expiry, &tv);
}

/* The new set takes the old one's place, here and on every worker. Takes over one reference. */
static void publish(struct holds *hs, struct hold_set *set, holds_callback *done, void *arg)
{
    struct change *change = memory_zalloc(sizeof(*change));

    for (size_t i = 0; i < set->n; i++)
        set->cutover = set->cutover || set->items[i].cutover;
    hold_set_release(hs->set);
    hs->set = set;
    change->set = hold_set_borrow(set);
    change->done = done;
    change->arg = arg;
    arm_expiry(hs);
    server_broadcast(hs->server, take_set, change_done, change);
}

static bool same_scope(const struct hold *a, const struct hold *b)
{
    return a->scope == b->scope && a->cutover == b->cutover &&
           strcmp(a->keyspace, b->keyspace) == 0 && strcmp(a->table, b->table) == 0;
}

static void log_hold(const char *event, const struct hold *h)
{
    char scope[2 * HOLD_NAME_MAX + 16];

    hold_format_scope(h, scope, sizeof(scope));
    log_info(event, "hold:u scope:s owner:s reason:s age_ms:d", h->id, scope, h->owner, h->reason,
             clock_ms() - h->created_ms);
}

uint64_t holds_add(struct holds *hs, const struct hold *hold, int64_t ttl_ms, holds_callback *done,
                   void *arg)
{
    struct hold_set *set = hold_set_create(hs->set->n + 1);
    struct hold *h = NULL;

    memcpy(set->items, hs->set->items, hs->set->n * sizeof(set->items[0]));
    for (size_t i = 0; i < hs->set->n && !h; i++) {
        if (same_scope(&set->items[i], hold))
            h = &set->items[i];
    }
    if (h) {
        uint64_t id = h->id;
        int64_t created = h->created_ms;

        set->n--;
        *h = *hold;
        h->id = id;
        h->created_ms = created;
    } else {
        h = &set->items[set->n - 1];
        *h = *hold;
        h->id = ++hs->last_id;
        h->created_ms = clock_ms();
    }
    h->expires_ms = clock_ms() + ttl_ms;
    uint64_t id = h->id;

    log_hold("hold_set", h);
    publish(hs, set, done, arg);
    return id;
}

/* Drops the holds that `ends` picks. */
static size_t remove_if(struct holds *hs, bool (*ends)(const struct hold *h, uint64_t arg),
                        uint64_t which, const char *event, holds_callback *done, void *arg)
{
    struct hold_set *set = hold_set_create(hs->set->n);
    size_t kept = 0;

    for (size_t i = 0; i < hs->set->n; i++) {
        if (ends(&hs->set->items[i], which))
            log_hold(event, &hs->set->items[i]);
        else
            set->items[kept++] = hs->set->items[i];
    }
    size_t removed = hs->set->n - kept;

    set->n = kept;
    publish(hs, set, done, arg);
    return removed;
}

static bool has_id(const struct hold *h, uint64_t id)
{
    return id == 0 || h->id == id;
}

static bool has_expired(const struct hold *h, uint64_t now)
{
    return h->expires_ms <= (int64_t)now;
}

size_t holds_remove(struct holds *hs, uint64_t id, holds_callback *done, void *arg)
{
    return remove_if(hs, has_id, id, "hold_released", done, arg);
}

static void on_expiry(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    remove_if(arg, has_expired, (uint64_t)clock_ms(), "hold_expired", NULL, NULL);
}
