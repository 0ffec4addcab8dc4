/*
 * Setting a hold for all shims: it is written, and who asked for it waits until every member of one
 * view has said that it acts by it, or is told that this did not come to be.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/etcd.h"
#include "proxy/fleet_internal.h"
#include "proxy/fleet_value.h"
#include "proxy/holds.h"
#include "proxy/memory.h"
#include "proxy/server.h"

#define PATIENCE_S 3 /* for the others' answers, besides their lease */

/* Somebody who waits until his hold is set everywhere. */
struct fleet_waiter {
    LIST_ENTRY(fleet_waiter) link;
    uint64_t id;
    fleet_held *done;
    void *arg;
    int64_t deadline_ms;
};

/* Whether all members of the last view act by it. */
static bool is_set(const struct fleet *f, const struct fleet_shared *s)
{
    struct fleet_drain ignored;

    if (f->pending > 0 || !s->current)
        return false;
    for (size_t i = 0; i < f->member_count; i++) {
        const struct fleet_seen *m = &f->members[i];

        if (strcmp(m->name, etcd_member(f->etcd)) != 0 &&
            !fleet_member_has(m->holds, s->key, s->revision, &ignored))
            return false;
    }
    return true;
}

static void waiter_end(struct fleet_waiter *w, const char *error)
{
    struct fleet_waiter copy = *w;

    LIST_REMOVE(w, link);
    free(w);
    copy.done(copy.arg, copy.id, error);
}

static void give_up(struct fleet *f, struct fleet_waiter *w)
{
    struct fleet_shared *s = fleet_find(f, w->id);

    if (s)
        fleet_delete(s);
    f->pending++;
    holds_remove(f->server->holds, w->id, fleet_applied, f);
    waiter_end(
        w, "the shims of the fleet (SHOW FLEET) have not all answered in time; nothing is held");
}

void fleet_hold_check(struct fleet *f)
{
    struct fleet_waiter *w, *next;

    for (w = LIST_FIRST(&f->waiters); w; w = next) {
        const struct fleet_shared *s = fleet_find(f, w->id);

        next = LIST_NEXT(w, link);
        if (!s || !fleet_has(s))
            waiter_end(w, "the hold has ended before all shims of the fleet had it");
        else if (is_set(f, s))
            waiter_end(w, NULL);
        else if (clock_ms() > w->deadline_ms)
            give_up(f, w);
    }
}

static void share(struct fleet *f, uint64_t id, const struct hold *hold, int64_t ttl_ms,
                  bool sticky)
{
    struct fleet_shared *s = fleet_find(f, id);
    char key[FLEET_KEY_MAX];

    if (!s) {
        snprintf(key, sizeof(key), "holds/%s.%" PRIu64, etcd_member(f->etcd), id);
        s = fleet_add(f, key);
        s->own = true;
        s->id = id;
    }
    free(s->value);
    s->value = fleet_hold_write(hold, ttl_ms);
    s->current = false;
    s->sticky = sticky;
    etcd_put(f->etcd, s->key, s->value, sticky ? (ttl_ms + 999) / 1000 : 0);
}

/* Without a fleet: what holds_add calls back with. */
struct alone {
    fleet_held *done;
    void *arg;
    uint64_t id;
};

static void on_held_alone(void *arg)
{
    struct alone copy = *(struct alone *)arg;

    free(arg);
    copy.done(copy.arg, copy.id, NULL);
}

uint64_t fleet_hold(struct server *server, const struct hold *hold, int64_t ttl_ms, bool sticky,
                    fleet_held *done, void *arg)
{
    struct fleet *f = server->fleet;

    if (!f) {
        struct alone *a = memory_zalloc(sizeof(*a));

        a->done = done;
        a->arg = arg;
        a->id = holds_add(server->holds, hold, ttl_ms, on_held_alone, a);
        return a->id;
    }
    struct fleet_waiter *w = memory_zalloc(sizeof(*w));

    f->pending++;
    w->id = holds_add(server->holds, hold, ttl_ms, fleet_applied, f);
    w->done = done;
    w->arg = arg;
    w->deadline_ms = clock_ms() + (server->config->fleet_lease_s + PATIENCE_S) * 1000;
    LIST_INSERT_HEAD(&f->waiters, w, link);
    share(f, w->id, hold, ttl_ms, sticky);
    return w->id;
}

void fleet_hold_stop(struct fleet *f)
{
    while (!LIST_EMPTY(&f->waiters))
        waiter_end(LIST_FIRST(&f->waiters), "the shim is ending");
}
