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
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "proxy/etcd.h"
#include "proxy/fleet_internal.h"
#include "proxy/fleet_lock.h"
#include "proxy/fleet_value.h"
#include "proxy/hold_drain.h"
#include "proxy/holds.h"
#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/server.h"

#define CHECK_MS 100

bool fleet_has(const struct fleet_shared *s)
{
    return holds_find(s->fleet->server->holds, s->id) != NULL;
}

static struct fleet_shared *find_key(const struct fleet *f, const char *key)
{
    struct fleet_shared *s;

    LIST_FOREACH(s, &f->shared, link)
    {
        if (strcmp(s->key, key) == 0)
            return s;
    }
    return NULL;
}

struct fleet_shared *fleet_find(const struct fleet *f, uint64_t id)
{
    struct fleet_shared *s;

    LIST_FOREACH(s, &f->shared, link)
    {
        if (s->id == id && !s->deleting)
            return s;
    }
    return NULL;
}

struct fleet_shared *fleet_add(struct fleet *f, const char *key)
{
    struct fleet_shared *s = memory_zalloc(sizeof(*s));

    s->fleet = f;
    snprintf(s->key, sizeof(s->key), "%s", key);
    LIST_INSERT_HEAD(&f->shared, s, link);
    return s;
}

static void shared_free(struct fleet_shared *s)
{
    LIST_REMOVE(s, link);
    if (s->drain)
        hold_drain_stop(s->drain);
    free(s->value);
    free(s);
}

void fleet_delete(struct fleet_shared *s)
{
    if (!s->deleting)
        log_info("fleet_hold_ended", "hold:u key:s", s->id, s->key);
    s->deleting = true;
    etcd_delete(s->fleet->etcd, s->key);
}

/* --- what this shim tells of itself ----------------------------------------------------------- */

static void on_drained(void *arg, enum drain_end end, const struct hold_count *count)
{
    struct fleet_shared *s = arg;

    s->drain = NULL;
    s->drained = end == DRAIN_DONE;
    s->excess_ms = count->excess_ms;
}

static struct fleet_drain drain_here(struct fleet_shared *s)
{
    struct fleet_drain here = {.in_the_way = 0, .excess_ms = s->excess_ms};

    if (s->drained)
        return here;
    if (!s->drain)
        s->drain = hold_drain_here(s->fleet->server, s->id, on_drained, s);
    size_t left = hold_drain_left(s->drain, &here.excess_ms);

    here.in_the_way = left == SIZE_MAX ? -1 : (int64_t)left;
    return here;
}

/* Every worker acts by what was read last: says so, and begins to count. */
static void tell(struct fleet *f)
{
    json_t *member = json_object();
    struct fleet_shared *s;

    LIST_FOREACH(s, &f->shared, link)
    {
        if (s->deleting || s->revision == 0 || !fleet_has(s))
            continue;
        struct fleet_drain here = drain_here(s);

        fleet_member_note(member, s->key, s->revision, &here);
    }
    char *text = fleet_member_write(member);

    etcd_set_member(f->etcd, text);
    if (f->registration)
        etcd_synced(f->etcd, f->registration);
    free(text);
    json_decref(member);
}

void fleet_applied(void *arg)
{
    struct fleet *f = arg;

    if (--f->pending > 0 || f->stopping)
        return;
    tell(f);
    fleet_hold_check(f);
}

/* --- what the keys say ------------------------------------------------------------------------ */

/* A hold of another shim, as it is written there. */
static void take(struct fleet *f, struct fleet_shared *s, const struct etcd_item *item)
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
    s->id = holds_add(f->server->holds, &h, ttl_ms, fleet_applied, f);
}

static bool is_own_key(const struct fleet *f, const char *key)
{
    const char *member = etcd_member(f->etcd);
    size_t n = strlen(member);

    return strncmp(key + strlen("holds/"), member, n) == 0 && key[strlen("holds/") + n] == '.';
}

static void see_hold(struct fleet *f, const struct etcd_item *item)
{
    struct fleet_shared *s = find_key(f, item->key);

    if (!s && is_own_key(f, item->key)) {
        etcd_delete(f->etcd, item->key); /* of one that has ended before it was written */
        return;
    }
    if (!s) {
        s = fleet_add(f, item->key);
        take(f, s, item);
    } else if (s->own) {
        s->current = strcmp(item->value, s->value) == 0;
        s->revision = item->revision;
    } else if (s->revision != item->revision) {
        s->deleting = false; /* renewed meanwhile */
        take(f, s, item);
    }
    s->seen = true;
    if (!s->unknown && !fleet_has(s))
        fleet_delete(s);
}

/* Whether another key stands for that hold of the registry, too: a hold that was released and set
   again at once is the same here, while both keys are there. */
static bool has_other_key(const struct fleet *f, const struct fleet_shared *s)
{
    const struct fleet_shared *other;

    LIST_FOREACH(other, &f->shared, link)
    {
        if (other != s && other->id == s->id && !other->deleting && !other->unknown)
            return true;
    }
    return false;
}

/* The key of that hold is not there (any more). */
static void miss_hold(struct fleet *f, struct fleet_shared *s)
{
    if (s->own && s->revision == 0 && fleet_has(s))
        return; /* it is still to be written */
    if (s->own && s->revision == 0)
        etcd_delete(f->etcd, s->key); /* ... and need not be any more */
    if (!s->deleting && fleet_has(s) && !has_other_key(f, s)) {
        log_info("fleet_hold_gone", "hold:u key:s", s->id, s->key);
        f->pending++;
        holds_remove(f->server->holds, s->id, fleet_applied, f);
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
        f->members[f->member_count++] = (struct fleet_seen){
            .name = memory_copy(key + skip, strlen(key + skip)),
            .holds = fleet_member_read(view->items[i].value),
        };
    }
}

static void on_view(void *arg, struct etcd_view *view)
{
    struct fleet *f = arg;
    struct fleet_shared *s, *next;

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
        if (strncmp(view->items[i].key, "holds/", 6) == 0 &&
            strlen(view->items[i].key) < FLEET_KEY_MAX)
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
        fleet_hold_check(f);
    }
}

/* --- what others ask for ---------------------------------------------------------------------- */

size_t fleet_in_the_way(const struct server *server, uint64_t id, int64_t *excess_ms)
{
    const struct fleet *f = server->fleet;
    const struct fleet_shared *s = f ? fleet_find(f, id) : NULL;
    size_t n = 0;

    for (size_t i = 0; s && i < f->member_count; i++) {
        const struct fleet_seen *m = &f->members[i];
        struct fleet_drain there = {.in_the_way = -1, .excess_ms = INT32_MAX};

        if (strcmp(m->name, etcd_member(f->etcd)) == 0)
            continue;
        fleet_member_has(m->holds, s->key, s->revision, &there);
        n += there.in_the_way >= 0 ? (size_t)there.in_the_way : 1;
        *excess_ms += there.excess_ms;
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
           (!server->fleet || !fleet_find(server->fleet, id) || fleet_is_in_touch(server));
}

struct fleet_locks *fleet_locks(const struct server *server)
{
    return server->fleet ? server->fleet->locks : NULL;
}

bool fleet_shares(const struct server *server, uint64_t id)
{
    return server->fleet && fleet_find(server->fleet, id);
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

static void on_check(evutil_socket_t fd, short what, void *arg)
{
    struct fleet *f = arg;

    (void)fd;
    (void)what;
    fleet_hold_check(f);
    fleet_locks_check(f->locks);
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
    fleet_hold_stop(f);
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
