/*
 * The keeper's list lives on the control loop; each of its sessions on a worker. A scan asks, over
 * one such session, every keyspace for postponed migrations of vtshim; what they are to us is
 * decided here: those of this instance were left behind by the process before, those of another are
 * somebody's who may come back, and are taken over only after ddl.adopt_after_s.
 */
#include "proxy/keeper.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "planner/ddl.h"
#include "proxy/inner.h"
#include "proxy/keeper_scan.h"
#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/migration.h"
#include "proxy/migrations.h"
#include "proxy/restart.h"
#include "proxy/server.h"
#include "proxy/session.h"
#include "proxy/worker.h"

#define FIRST_SCAN_MS 500
#define SCAN_MS       30000
#define SOON_MS       1000
#define SOON_SCANS    5
#define RETRY_MS      500 /* doubled for each session that did not get in */
#define RETRY_MAX_MS  30000
#define OTHERS_MAX    64 /* migrations of other shims whose age is known */

struct kept {
    LIST_ENTRY(kept) link;
    struct keeper *keeper;
    struct migration_record record;
    struct event *timer;
    unsigned tries;
};

/* A migration of another shim that could be completed. */
struct other {
    char context[64];
    int64_t since_ms;
    bool seen; /* by the last scan */
};

struct keeper {
    struct server *server;
    struct event *scan_timer;
    struct scan *scan; /* under way, or NULL (owned) */
    bool scanned;      /* once */
    unsigned soon;     /* scans that come after SOON_MS each */
    LIST_HEAD(, kept) kept;
    struct other others[OTHERS_MAX];
};

static void arm(struct event *timer, int64_t ms)
{
    struct timeval tv = {ms / 1000, (ms % 1000) * 1000};

    event_add(timer, &tv);
}

static struct worker *next_worker(struct server *server)
{
    return &server->workers[server->next_worker++ % server->worker_count];
}

/* --- one migration --------------------------------------------------------------------------- */

static void kept_free(struct kept *kept)
{
    LIST_REMOVE(kept, link);
    event_free(kept->timer);
    free(kept);
}

static void adopted(void *context, void *arg)
{
    (void)context;
    kept_free(arg);
}

static void failed(void *context, void *arg)
{
    struct kept *kept = arg;
    int64_t ms = RETRY_MS << (kept->tries < 6 ? kept->tries : 6);

    (void)context;
    kept->tries++;
    arm(kept->timer, ms < RETRY_MAX_MS ? ms : RETRY_MAX_MS);
}

/* The session's migration is now where the record is: should it break off, it comes back by itself.
 */
static void on_ready(struct session *s, void *arg)
{
    struct kept *kept = arg;
    struct migration_record record = kept->record;
    struct server *server = s->worker->server;

    s->inner->arg = NULL;
    migration_adopt(s, &record); /* before it is forgotten here: somebody always follows it */
    mailbox_post(&server->mailbox, adopted, server, kept);
}

static void on_ended(struct session *s, void *arg)
{
    struct server *server = s->worker->server;

    if (arg)
        mailbox_post(&server->mailbox, failed, server, arg);
}

static void start_session(void *context, void *arg)
{
    struct inner inner = {.ready = on_ready, .ended = on_ended, .arg = arg};

    inner_start(context, &inner);
}

static void launch(evutil_socket_t fd, short what, void *arg)
{
    struct kept *kept = arg;
    struct server *server = kept->keeper->server;

    (void)fd;
    (void)what;
    if (server->stopped || server->draining)
        return; /* the next start finds it */
    struct worker *w = next_worker(server);

    mailbox_post(&w->mailbox, start_session, w, kept);
}

static void keep(struct keeper *k, const struct migration_record *r)
{
    struct kept *kept = memory_zalloc(sizeof(*kept));

    kept->keeper = k;
    kept->record = *r;
    kept->timer = evtimer_new(k->server->base, launch, kept);
    LIST_INSERT_HEAD(&k->kept, kept, link);
    launch(-1, 0, kept);
}

/* By the keeper, or by a session of this shim. */
static bool is_followed(struct keeper *k, const char *context, const char *uuid)
{
    struct kept *kept;
    size_t n;
    bool found = false;

    LIST_FOREACH(kept, &k->kept, link)
    found = found || strcmp(kept->record.context, context) == 0;
    struct migration_record *all = migrations_copy(k->server->migrations, &n);

    for (size_t i = 0; i < n; i++)
        found = found || (!all[i].ended_ms && !all[i].attached &&
                          (strcmp(all[i].context, context) == 0 || strcmp(all[i].uuid, uuid) == 0));
    free(all);
    return found;
}

static void take(void *context, void *arg)
{
    struct server *server = context;
    struct migration_record *r = arg;

    if (!server->stopped && !server->draining && server->keeper &&
        (r->id || !is_followed(server->keeper, r->context, r->uuid)))
        keep(server->keeper, r);
    free(r); /* else the next start finds it */
}

void keeper_take(struct server *server, const struct migration_record *r)
{
    struct migration_record *copy = memory_zalloc(sizeof(*copy));

    *copy = *r;
    mailbox_post(&server->mailbox, take, server, copy);
}

/* --- what was left behind -------------------------------------------------------------------- */

static bool is_own(const struct keeper *k, const struct scan_found *f)
{
    return strncmp(f->instance, k->server->instance, 8) == 0;
}

/* Whether another's migration has waited for so long that it is nobody's. */
static bool is_abandoned(struct keeper *k, const struct scan_found *f)
{
    int64_t limit = k->server->config->ddl_adopt_after_s;
    struct other *o = NULL;

    for (size_t i = 0; i < OTHERS_MAX; i++) {
        if (strcmp(k->others[i].context, f->context) == 0)
            o = &k->others[i];
        else if (!o && !*k->others[i].context)
            o = &k->others[i];
    }
    if (!o || !limit || !f->ready)
        return false;
    if (!*o->context) {
        snprintf(o->context, sizeof(o->context), "%s", f->context);
        o->since_ms = clock_ms();
    }
    o->seen = true;
    return clock_ms() - o->since_ms >= limit * 1000;
}

static void adopt(struct keeper *k, const struct scan_found *f)
{
    struct migration_record r = {
        .started_ms = clock_ms(), .postponed = f->postponed, .threshold_s = f->threshold_s};

    snprintf(r.context, sizeof(r.context), "%s", f->context);
    snprintf(r.uuid, sizeof(r.uuid), "%s", f->uuid);
    snprintf(r.keyspace, sizeof(r.keyspace), "%s", f->keyspace);
    snprintf(r.table, sizeof(r.table), "%s", f->table);
    snprintf(r.verb, sizeof(r.verb), "%s", f->verb);
    keep(k, &r);
}

/* The next scan comes when the first of the others is abandoned, if that is sooner. */
static void look_in_time(struct keeper *k)
{
    int64_t now = clock_ms(), limit_ms = k->server->config->ddl_adopt_after_s * 1000;
    int64_t first = INT64_MAX;

    for (size_t i = 0; i < OTHERS_MAX; i++) {
        const struct other *o = &k->others[i];

        if (o->seen && o->since_ms + limit_ms > now && o->since_ms + limit_ms < first)
            first = o->since_ms + limit_ms;
    }
    if (k->soon == 0 && first - now < SCAN_MS)
        arm(k->scan_timer, first - now);
}

static void scanned(void *context, void *arg)
{
    struct server *server = context;
    struct scan *scan = arg;
    struct keeper *k = server->keeper;
    size_t adopted = 0;

    for (size_t i = 0; i < OTHERS_MAX; i++)
        k->others[i].seen = false;
    for (size_t i = 0; i < scan->n && !server->stopped; i++) {
        const struct scan_found *f = &scan->found[i];

        if (is_followed(k, f->context, f->uuid) || !(is_own(k, f) || is_abandoned(k, f)))
            continue;
        adopt(k, f);
        adopted++;
    }
    log_event(k->scanned ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO, "keeper_scanned",
              "keyspaces:u managed:u adopted:u", (uint64_t)scan->keyspace_count, (uint64_t)scan->n,
              (uint64_t)adopted);
    k->scanned = k->scanned || scan->keyspace_count > 0;
    for (size_t i = 0; i < OTHERS_MAX; i++) {
        if (!k->others[i].seen)
            memset(&k->others[i], 0, sizeof(k->others[i]));
    }
    if (!server->stopped && !server->draining)
        look_in_time(k);
    scan_free(scan);
    k->scan = NULL;
}

static void on_scan_timer(evutil_socket_t fd, short what, void *arg)
{
    struct keeper *k = arg;
    const struct config *c = k->server->config;

    (void)fd;
    (void)what;
    if (k->server->stopped || k->server->draining)
        return; /* the workers take no letters any more, or soon will not */
    arm(k->scan_timer, k->soon > 0 ? SOON_MS : SCAN_MS);
    k->soon -= k->soon > 0;
    if (restart_has_predecessor(k->server->restart))
        return; /* what has our name in its context may still be its own */
    if (k->scan || !*c->control_user || c->ddl_cutover == CONFIG_CUTOVER_VITESS)
        return;
    k->scan = scan_start(next_worker(k->server), &k->server->mailbox, scanned, k->server);
}

void keeper_look_soon(struct server *server)
{
    struct keeper *k = server->keeper;

    if (!k || server->stopped || server->draining)
        return;
    k->soon = SOON_SCANS;
    arm(k->scan_timer, SOON_MS);
}

struct keeper *keeper_create(struct server *server)
{
    struct keeper *k = memory_zalloc(sizeof(*k));

    k->server = server;
    LIST_INIT(&k->kept);
    k->scan_timer = evtimer_new(server->base, on_scan_timer, k);
    arm(k->scan_timer, FIRST_SCAN_MS);
    return k;
}

void keeper_destroy(struct keeper *k)
{
    while (!LIST_EMPTY(&k->kept))
        kept_free(LIST_FIRST(&k->kept));
    if (k->scan)
        scan_free(k->scan);
    event_free(k->scan_timer);
    free(k);
}
