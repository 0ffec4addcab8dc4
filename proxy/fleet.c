/*
 * Holds that several shims share: this shim's own ones are written to etcd, those of others are
 * added to the registry, and all are compared with what is there each time the keys are read.
 *
 * Nothing is remembered of a hold that has ended: a shared hold that is not in the registry any
 * more (released here, expired, its connection gone) loses its key, and one that has lost its key
 * (released elsewhere, its shim dead) is taken out of the registry.
 */
#include "proxy/fleet.h"

#include <event2/event.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "proxy/etcd.h"
#include "proxy/fleet_lock.h"
#include "proxy/fleet_value.h"
#include "proxy/hold_drain.h"
#include "proxy/holds.h"
#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/server.h"

#define KEY_MAX    96
#define PATIENCE_S 3 /* for the others' answers, besides their lease */
#define CHECK_MS   100

/* A hold that is shared. */
struct shared {
    LIST_ENTRY(shared) link;
    struct fleet *fleet;
    char key[KEY_MAX];
    uint64_t id;      /* in the registry */
    bool own, sticky; /* sticky: only of own ones */
    char *value;      /* own: as it is to be in etcd */
    int64_t revision; /* of the key as it was read last; 0: it was not yet */
    bool current;     /* what was read is what is to be there */
    bool seen;        /* in the view under way */
    bool unknown;     /* nothing that this shim can act by: it never says that it does */
    bool deleting;
    struct hold_drain *drain; /* waits until nothing is in its way here */
    bool drained;             /* ... and nothing is */
};

/* Somebody who waits until his hold is set everywhere. */
struct waiter {
    LIST_ENTRY(waiter) link;
    uint64_t id;
    fleet_held *done;
    void *arg;
    int64_t deadline_ms;
};

struct member {
    char *name;
    json_t *holds;
};

struct fleet {
    struct server *server;
    struct etcd *etcd;
    struct fleet_locks *locks;
    struct event *check;
    LIST_HEAD(, shared) shared;
    LIST_HEAD(, waiter) waiters;
    struct member *members; /* of the last view */
    size_t member_count;
    int64_t viewed_ms;     /* when that was; 0: there was none */
    uint64_t registration; /* of it */
    size_t pending;        /* changes of the registry on their way to the workers */
    bool stopping;
};

static bool is_in_force(const struct shared *s)
{
    return holds_find(s->fleet->server->holds, s->id) != NULL;
}

static struct shared *find_key(const struct fleet *f, const char *key)
{
    struct shared *s;

    LIST_FOREACH(s, &f->shared, link)
    {
        if (strcmp(s->key, key) == 0)
            return s;
    }
    return NULL;
}

static struct shared *find_id(const struct fleet *f, uint64_t id)
{
    struct shared *s;

    LIST_FOREACH(s, &f->shared, link)
    {
        if (s->id == id && !s->deleting)
            return s;
    }
    return NULL;
}

static struct shared *shared_create(struct fleet *f, const char *key)
{
    struct shared *s = memory_zalloc(sizeof(*s));

    s->fleet = f;
    snprintf(s->key, sizeof(s->key), "%s", key);
    LIST_INSERT_HEAD(&f->shared, s, link);
    return s;
}

static void shared_free(struct shared *s)
{
    LIST_REMOVE(s, link);
    if (s->drain)
        hold_drain_stop(s->drain);
    free(s->value);
    free(s);
}

static void shared_delete(struct shared *s)
{
    if (!s->deleting)
        log_info("fleet_hold_ended", "hold:u key:s", s->id, s->key);
    s->deleting = true;
    etcd_delete(s->fleet->etcd, s->key);
}

/* --- what this shim tells of itself ----------------------------------------------------------- */

static void on_drained(void *arg, enum drain_end end, const struct hold_count *count)
{
    struct shared *s = arg;

    (void)count;
    s->drain = NULL;
    s->drained = end == DRAIN_DONE;
}

/* How many sessions are in its way here; -1: not counted yet. */
static int64_t left_here(struct shared *s)
{
    if (s->drained)
        return 0;
    if (!s->drain)
        s->drain = hold_drain_here(s->fleet->server, s->id, on_drained, s);
    size_t left = hold_drain_left(s->drain);

    return left == SIZE_MAX ? -1 : (int64_t)left;
}

/* Every worker acts by what was read last: says so, and begins to count. */
static void tell(struct fleet *f)
{
    json_t *member = json_object();
    struct shared *s;

    LIST_FOREACH(s, &f->shared, link)
    {
        if (s->deleting || s->revision == 0 || !is_in_force(s))
            continue;
        fleet_member_note(member, s->key, s->revision, left_here(s));
    }
    char *text = fleet_member_write(member);

    etcd_set_member(f->etcd, text);
    if (f->registration)
        etcd_synced(f->etcd, f->registration);
    free(text);
    json_decref(member);
}

static void check_waiters(struct fleet *f);

static void on_applied(void *arg)
{
    struct fleet *f = arg;

    if (--f->pending > 0 || f->stopping)
        return;
    tell(f);
    check_waiters(f);
}

/* --- what the keys say ------------------------------------------------------------------------ */

/* A hold of another shim, as it is written there. */
static void take(struct fleet *f, struct shared *s, const struct etcd_item *item)
{
    struct hold h;
    int64_t ttl_ms;
    char owner[2 * HOLD_REASON_MAX];
    const char *member = item->key + strlen("holds/");

    s->revision = item->revision;
    s->unknown = !fleet_hold_read(item->value, &h, &ttl_ms);
    if (s->unknown) {
        log_warn("fleet_hold_unknown", "key:s", item->key);
        return;
    }
    snprintf(owner, sizeof(owner), "%s via %.*s", h.owner, (int)strcspn(member, "."), member);
    snprintf(h.owner, sizeof(h.owner), "%.*s", (int)sizeof(h.owner) - 1, owner);
    f->pending++;
    s->id = holds_add(f->server->holds, &h, ttl_ms, on_applied, f);
}

static bool is_own_key(const struct fleet *f, const char *key)
{
    const char *member = etcd_member(f->etcd);
    size_t n = strlen(member);

    return strncmp(key + strlen("holds/"), member, n) == 0 && key[strlen("holds/") + n] == '.';
}

static void see_hold(struct fleet *f, const struct etcd_item *item)
{
    struct shared *s = find_key(f, item->key);

    if (!s && is_own_key(f, item->key)) {
        etcd_delete(f->etcd, item->key); /* of one that has ended before it was written */
        return;
    }
    if (!s) {
        s = shared_create(f, item->key);
        take(f, s, item);
    } else if (s->own) {
        s->current = strcmp(item->value, s->value) == 0;
        s->revision = item->revision;
    } else if (s->revision != item->revision) {
        s->deleting = false; /* renewed meanwhile */
        take(f, s, item);
    }
    s->seen = true;
    if (!s->unknown && !is_in_force(s))
        shared_delete(s);
}

/* The key of that hold is not there (any more). */
static void miss_hold(struct fleet *f, struct shared *s)
{
    if (s->own && s->revision == 0 && is_in_force(s))
        return; /* it is still to be written */
    if (s->own && s->revision == 0)
        etcd_delete(f->etcd, s->key); /* ... and need not be any more */
    if (!s->deleting && is_in_force(s)) {
        log_info("fleet_hold_gone", "hold:u key:s", s->id, s->key);
        f->pending++;
        holds_remove(f->server->holds, s->id, on_applied, f);
    }
    shared_free(s);
}

static void forget_members(struct fleet *f)
{
    for (size_t i = 0; i < f->member_count; i++) {
        free(f->members[i].name);
        json_decref(f->members[i].holds);
    }
    free(f->members);
    f->members = NULL;
    f->member_count = 0;
}

static void see_members(struct fleet *f, const struct etcd_view *view)
{
    size_t skip = strlen("members/");

    forget_members(f);
    f->members = memory_zalloc((view->n + 1) * sizeof(*f->members));
    for (size_t i = 0; i < view->n; i++) {
        const char *key = view->items[i].key;

        if (strncmp(key, "members/", skip) != 0)
            continue;
        f->members[f->member_count++] = (struct member){
            .name = memory_copy(key + skip, strlen(key + skip)),
            .holds = fleet_member_read(view->items[i].value),
        };
    }
}

static void on_view(void *arg, struct etcd_view *view)
{
    struct fleet *f = arg;
    struct shared *s, *next;

    if (f->stopping) {
        etcd_view_free(view);
        return;
    }
    f->viewed_ms = clock_ms();
    f->registration = view->registration;
    LIST_FOREACH(s, &f->shared, link)
    s->seen = false;
    see_members(f, view);
    for (size_t i = 0; i < view->n; i++) {
        if (strncmp(view->items[i].key, "holds/", 6) == 0 && strlen(view->items[i].key) < KEY_MAX)
            see_hold(f, &view->items[i]);
    }
    for (s = LIST_FIRST(&f->shared); s; s = next) {
        next = LIST_NEXT(s, link);
        if (!s->seen)
            miss_hold(f, s);
    }
    fleet_locks_see(f->locks, view);
    etcd_view_free(view);
    if (f->pending == 0) {
        tell(f);
        check_waiters(f);
    }
}

/* --- setting a hold --------------------------------------------------------------------------- */

/* Whether all members of the last view act by it. */
static bool is_set(const struct fleet *f, const struct shared *s)
{
    int64_t in_the_way;

    if (f->pending > 0 || !s->current)
        return false;
    for (size_t i = 0; i < f->member_count; i++) {
        const struct member *m = &f->members[i];

        if (strcmp(m->name, etcd_member(f->etcd)) != 0 &&
            !fleet_member_has(m->holds, s->key, s->revision, &in_the_way))
            return false;
    }
    return true;
}

static void waiter_end(struct waiter *w, const char *error)
{
    struct waiter copy = *w;

    LIST_REMOVE(w, link);
    free(w);
    copy.done(copy.arg, copy.id, error);
}

static void give_up(struct fleet *f, struct waiter *w)
{
    struct shared *s = find_id(f, w->id);

    if (s)
        shared_delete(s);
    f->pending++;
    holds_remove(f->server->holds, w->id, on_applied, f);
    waiter_end(
        w, "the shims of the fleet (SHOW FLEET) have not all answered in time; nothing is held");
}

static void check_waiters(struct fleet *f)
{
    struct waiter *w, *next;

    for (w = LIST_FIRST(&f->waiters); w; w = next) {
        const struct shared *s = find_id(f, w->id);

        next = LIST_NEXT(w, link);
        if (!s || !is_in_force(s))
            waiter_end(w, "the hold has ended before all shims of the fleet had it");
        else if (is_set(f, s))
            waiter_end(w, NULL);
        else if (clock_ms() > w->deadline_ms)
            give_up(f, w);
    }
}

static void on_check(evutil_socket_t fd, short what, void *arg)
{
    struct fleet *f = arg;

    (void)fd;
    (void)what;
    check_waiters(f);
    fleet_locks_check(f->locks);
}

static void share(struct fleet *f, uint64_t id, const struct hold *hold, int64_t ttl_ms,
                  bool sticky)
{
    struct shared *s = find_id(f, id);
    char key[KEY_MAX];

    if (!s) {
        snprintf(key, sizeof(key), "holds/%s.%" PRIu64, etcd_member(f->etcd), id);
        s = shared_create(f, key);
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
    struct waiter *w = memory_zalloc(sizeof(*w));

    f->pending++;
    w->id = holds_add(server->holds, hold, ttl_ms, on_applied, f);
    w->done = done;
    w->arg = arg;
    w->deadline_ms = clock_ms() + (server->config->fleet_lease_s + PATIENCE_S) * 1000;
    LIST_INSERT_HEAD(&f->waiters, w, link);
    share(f, w->id, hold, ttl_ms, sticky);
    return w->id;
}

/* --- what others ask for ---------------------------------------------------------------------- */

size_t fleet_in_the_way(const struct server *server, uint64_t id)
{
    const struct fleet *f = server->fleet;
    const struct shared *s = f ? find_id(f, id) : NULL;
    size_t n = 0;

    for (size_t i = 0; s && i < f->member_count; i++) {
        const struct member *m = &f->members[i];
        int64_t there = -1;

        if (strcmp(m->name, etcd_member(f->etcd)) == 0)
            continue;
        fleet_member_has(m->holds, s->key, s->revision, &there);
        n += there >= 0 ? (size_t)there : 1;
    }
    return n;
}

bool fleet_is_in_touch(const struct server *server)
{
    int64_t fence = server->fleet ? atomic_load(&server->fence_us) : INT64_MAX;

    return fence != INT64_MAX && clock_us() <= fence;
}

bool fleet_hold_stands(const struct server *server, uint64_t id)
{
    return holds_find(server->holds, id) &&
           (!server->fleet || !find_id(server->fleet, id) || fleet_is_in_touch(server));
}

struct fleet_locks *fleet_locks(const struct server *server)
{
    return server->fleet ? server->fleet->locks : NULL;
}

bool fleet_shares(const struct server *server, uint64_t id)
{
    return server->fleet && find_id(server->fleet, id);
}

size_t fleet_members(const struct server *server, struct fleet_member *members, size_t max,
                     int64_t *age_ms)
{
    const struct fleet *f = server->fleet;

    *age_ms = f && f->viewed_ms ? clock_ms() - f->viewed_ms : -1;
    for (size_t i = 0; f && i < f->member_count && i < max; i++)
        members[i] = (struct fleet_member){
            .name = f->members[i].name,
            .self = strcmp(f->members[i].name, etcd_member(f->etcd)) == 0,
            .holds = json_object_size(f->members[i].holds),
        };
    return f ? f->member_count : 0;
}

/* --- its life --------------------------------------------------------------------------------- */

void fleet_come_by(struct fleet *f, struct mailbox *mailbox, void (*done)(void *context, void *arg),
                   void *context, void *arg)
{
    etcd_come_by(f->etcd, mailbox, done, context, arg);
}

bool fleet_start(struct server *server)
{
    struct timeval check = {0, CHECK_MS * 1000};

    if (server->config->fleet_etcd.n == 0)
        return true;
    struct fleet *f = memory_zalloc(sizeof(*f));

    f->server = server;
    LIST_INIT(&f->shared);
    LIST_INIT(&f->waiters);
    f->etcd = etcd_start(server, on_view, f);
    if (!f->etcd) {
        free(f);
        return false;
    }
    f->locks = fleet_locks_create(server, f->etcd);
    f->check = event_new(server->base, -1, EV_PERSIST, on_check, f);
    event_add(f->check, &check);
    server->fleet = f;
    return true;
}

/* Whoever still waits has his answer now: the shim that ends holds nothing. */
void fleet_stop(struct fleet *f)
{
    f->stopping = true;
    event_del(f->check);
    while (!LIST_EMPTY(&f->waiters))
        waiter_end(LIST_FIRST(&f->waiters), "the shim is ending");
    etcd_stop(f->etcd);
}

void fleet_destroy(struct fleet *f)
{
    while (!LIST_EMPTY(&f->shared))
        shared_free(LIST_FIRST(&f->shared));
    forget_members(f);
    event_free(f->check);
    fleet_locks_destroy(f->locks);
    etcd_destroy(f->etcd);
    f->server->fleet = NULL;
    free(f);
}
