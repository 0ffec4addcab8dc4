/*
 * HOLD, RELEASE, WAIT HOLD and SHOW HOLDS. What takes a look at every session is in
 * admin_show_hold.c.
 */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "proxy/admin_commands.h"
#include "proxy/admin_values.h"
#include "proxy/fleet.h"
#include "proxy/hold_drain.h"
#include "proxy/holds.h"
#include "proxy/memory.h"
#include "proxy/park.h"
#include "proxy/server.h"
#include "proxy/vtgates.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* --- HOLD ------------------------------------------------------------------------------------- */

struct pending_hold {
    struct admin_request *rq;
    struct admin_hold what;
    uint64_t id; /* LOCAL */
};

static void on_held(void *arg, uint64_t id, const char *error)
{
    static const char *const NAMES[] = {"Id",           "Scope",     "Kinds",
                                        "Expires_in_s", "Ends_with", "Shims"};
    struct pending_hold *p = arg;
    int64_t age_ms;
    size_t shims = p->what.local ? 0 : fleet_members(p->rq->server, NULL, 0, &age_ms);

    if (error) {
        admin_reply_error(p->rq, 1105, "HY000", "vtshim: %s", error);
        free(p);
        return;
    }
    struct admin_table *t = admin_table_create(NAMES, COUNT(NAMES));
    struct admin_values vs = {.n = 0};
    char scope[HOLD_SCOPE_MAX], kinds[HOLD_KINDS_MAX];

    hold_format_scope(&p->what.hold, scope, sizeof(scope));
    hold_format_kinds(&p->what.hold, kinds, sizeof(kinds));
    admin_table_row(t, (const char *const[]){
                           admin_number(&vs, (int64_t)id),
                           scope,
                           kinds,
                           admin_number(&vs, p->what.seconds),
                           p->what.sticky ? "its time" : "its time, or if this connection breaks",
                           admin_number(&vs, shims ? (int64_t)shims : 1),
                       });
    admin_reply_table(p->rq, t);
    free(p);
}

static void on_held_here(void *arg)
{
    struct pending_hold *p = arg;

    on_held(p, p->id, NULL);
}

bool admin_read_hold(struct admin_request *rq, struct lexer *lx, struct admin_hold *h)
{
    const struct config *config = rq->server->config;
    struct admin_error error;

    *h = (struct admin_hold){.seconds = config->hold_default_ttl_s};
    if (!admin_parse_hold(lx, config->hold_max_ttl_s, h, &error)) {
        admin_refuse(rq, &error);
        return false;
    }
    if (h->hold.scope == HOLD_VTGATE && !vtgates_find(rq->server->vtgates, h->hold.vtgate)) {
        admin_reply_error(rq, 1105, "HY000", "Unknown vtgate '%s'; SHOW VTGATES lists them",
                          h->hold.vtgate);
        return false;
    }
    snprintf(h->hold.owner, sizeof(h->hold.owner), "%s@%s", rq->user, rq->peer);
    h->hold.connection = h->sticky ? 0 : rq->connection;
    return true;
}

void admin_hold(struct admin_request *rq, struct lexer *lx)
{
    struct admin_hold h;

    if (!admin_read_hold(rq, lx, &h))
        return;
    struct pending_hold *p = memory_zalloc(sizeof(*p));

    p->rq = rq;
    p->what = h;
    /* The answer comes when every worker of every shim acts by it. */
    if (h.local)
        p->id = holds_add(rq->server->holds, &h.hold, h.seconds * 1000, on_held_here, p);
    else
        fleet_hold(rq->server, &h.hold, h.seconds * 1000, h.sticky, on_held, p);
}

/* --- RELEASE ---------------------------------------------------------------------------------- */

struct pending_release {
    struct admin_request *rq;
    uint64_t id;
    size_t removed;
};

static void on_released(void *arg)
{
    struct pending_release *p = arg;

    if (p->removed == 0 && p->id != 0)
        admin_reply_error(p->rq, 1094, "HY000", "Unknown hold id: %" PRIu64, p->id);
    else
        admin_reply_ok(p->rq, p->removed, NULL);
    free(p);
}

void admin_release(struct admin_request *rq, struct lexer *lx)
{
    struct admin_error error;
    uint64_t id;

    if (!admin_parse_release(lx, &id, &error)) {
        admin_refuse(rq, &error);
        return;
    }
    struct pending_release *p = memory_zalloc(sizeof(*p));

    p->rq = rq;
    p->id = id;
    p->removed = holds_remove(rq->server->holds, id, on_released, p);
}

/* --- WAIT HOLD -------------------------------------------------------------------------------- */

struct waiting {
    struct admin_request *rq;
    struct hold_drain *drain;
    uint64_t id;
    int64_t started_ms;
};

static void wait_reply(struct waiting *w, const struct hold_count *count)
{
    static const char *const NAMES[] = {"Id", "Waited_s", "Parked"};
    struct admin_table *t = admin_table_create(NAMES, COUNT(NAMES));
    struct admin_values vs = {.n = 0};

    admin_table_row(t, (const char *const[]){
                           admin_number(&vs, (int64_t)w->id),
                           admin_seconds(&vs, clock_ms() - w->started_ms),
                           admin_number(&vs, (int64_t)count->parked),
                       });
    admin_reply_table(w->rq, t);
}

static void on_drained(void *arg, enum drain_end end, const struct hold_count *count)
{
    struct waiting *w = arg;

    switch (end) {
    case DRAIN_DONE:
        wait_reply(w, count);
        break;
    case DRAIN_TIMEOUT:
        admin_reply_error(w->rq, 1205, "HY000",
                          "Lock wait timeout exceeded; %zu sessions are in the way of hold %" PRIu64
                          " here, %zu on other shims; SHOW HOLD %" PRIu64 " lists them",
                          count->in_the_way, w->id, count->elsewhere, w->id);
        break;
    case DRAIN_GONE:
        admin_reply_error(w->rq, 1094, "HY000", "Unknown hold id: %" PRIu64 " (it may have ended)",
                          w->id);
        break;
    }
    free(w);
}

static void on_interrupt(void *arg, uint16_t code, const char *state, const char *text)
{
    struct waiting *w = arg;

    hold_drain_stop(w->drain);
    admin_reply_error(w->rq, code, state, "%s", text);
    free(w);
}

void admin_wait_hold(struct admin_request *rq, struct lexer *lx)
{
    int64_t timeout_ms = INT64_MAX;
    struct admin_error error;
    uint64_t id;

    if (!admin_parse_wait(lx, &id, &timeout_ms, &error)) {
        admin_refuse(rq, &error);
        return;
    }
    struct waiting *w = memory_zalloc(sizeof(*w));

    w->rq = rq;
    w->id = id;
    w->started_ms = clock_ms();
    w->drain = hold_drain_start(rq->server, id, timeout_ms, on_drained, w);
    admin_wait_begin(rq, on_interrupt, w);
}

/* --- SHOW HOLDS ------------------------------------------------------------------------------- */

static void hold_row(struct admin_table *t, const struct hold *h, const struct server *server)
{
    const struct config *c = server->config;
    struct admin_values vs = {.n = 0};
    char scope[HOLD_SCOPE_MAX], kinds[HOLD_KINDS_MAX];
    int64_t now = clock_ms();
    uint64_t max_parked = h->max_parked ? h->max_parked : (uint64_t)c->hold_max_parked;

    hold_format_scope(h, scope, sizeof(scope));
    hold_format_kinds(h, kinds, sizeof(kinds));
    admin_table_row(t, (const char *const[]){
                           admin_number(&vs, (int64_t)h->id),
                           scope,
                           h->owner,
                           *h->reason ? h->reason : NULL,
                           admin_seconds(&vs, now - h->created_ms),
                           admin_seconds(&vs, h->expires_ms > now ? h->expires_ms - now : 0),
                           admin_number(&vs, (int64_t)atomic_load(&h->tally->parked)),
                           kinds,
                           h->released ? "releasing" : "held",
                           h->connection ? "no" : "yes",
                           admin_seconds(&vs, park_max_wait_ms(c, h)),
                           admin_number(&vs, (int64_t)max_parked),
                           fleet_shares(server, h->id) ? "yes" : "no",
                       });
}

void admin_show_holds(struct admin_request *rq, struct lexer *lx)
{
    static const char *const NAMES[] = {"Id",           "Scope",      "Owner", "Reason", "Age_s",
                                        "Expires_in_s", "Parked",     "Kinds", "State",  "Sticky",
                                        "Max_wait_s",   "Max_parked", "Shared"};

    if (!admin_expect_end(rq, lx))
        return;
    const struct hold_set *now = holds_now(rq->server->holds);
    struct admin_table *t = admin_table_create(NAMES, COUNT(NAMES));

    for (size_t i = 0; i < now->n; i++) {
        const struct hold *h = &now->items[i];

        if (!holds_is_over(h))
            hold_row(t, h, rq->server);
    }
    admin_reply_table(rq, t);
}

/* --- SHOW FLEET ------------------------------------------------------------------------------- */

#define MEMBERS_MAX 256

void admin_show_fleet(struct admin_request *rq, struct lexer *lx)
{
    static const char *const NAMES[] = {"Shim", "This_one", "Holds", "Seen_s_ago"};
    struct fleet_member members[MEMBERS_MAX];
    int64_t age_ms;

    if (!admin_expect_end(rq, lx))
        return;
    size_t n = fleet_members(rq->server, members, MEMBERS_MAX, &age_ms);
    struct admin_table *t = admin_table_create(NAMES, COUNT(NAMES));

    for (size_t i = 0; i < n && i < MEMBERS_MAX; i++) {
        struct admin_values vs = {.n = 0};

        admin_table_row(t, (const char *const[]){
                               members[i].name,
                               members[i].self ? "yes" : "no",
                               admin_number(&vs, (int64_t)members[i].holds),
                               admin_seconds(&vs, age_ms),
                           });
    }
    admin_reply_table(rq, t);
}
