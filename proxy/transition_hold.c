/*
 * The statements concerned wait: a hold for each table that the change touches, or for the keyspace
 * when they are many. Then what is under way on them may end. Transactions that do not end in time
 * put the transition off: the applications go on for a while, and it is tried again.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proxy/fleet.h"
#include "proxy/flights.h"
#include "proxy/hold_drain.h"
#include "proxy/holds.h"
#include "proxy/log.h"
#include "proxy/server.h"
#include "proxy/transition_internal.h"

#define SPARE_MS   120000 /* for what of a transition has no limit of its own */
#define DRAINS_MAX 3
#define PUT_OFF_MS 500 /* and twice that the next time */

/* --- hold ------------------------------------------------------------------------------------ */

/* Should all else fail: longer than the settings and the order let a transition take, there and
   back. It ends its holds itself, much sooner. */
static int64_t ttl_ms(const struct transition *t)
{
    const struct config *c = t->server->config;

    return SPARE_MS + c->transition_drain_ms + 2 * c->transition_apply_ms +
           t->order.timeout_s * 1000;
}

/* On the way back statements may as well not wait: what was there before has to be there again. */
static void on_held(void *arg, uint64_t id, const char *error)
{
    struct transition *t = arg;

    (void)id;
    if (error && !t->hold_error)
        t->hold_error = error;
    if (--t->holds_pending > 0 || transition_is_stopped(t))
        return;
    error = t->hold_error;
    t->hold_error = NULL;
    if (error && !t->undoing) {
        transition_fail(t, 1105, "HY000", "%s", error);
        return;
    }
    if (error)
        transition_say(t, "warn", "not held", "%s", error);
    transition_next(t);
}

static void add_hold(struct transition *t, enum hold_scope scope, const char *keyspace,
                     const char *table)
{
    /* A transaction whose table has left the VSchema may be waiting for the one that brings it
     * back. */
    struct hold h = {.scope = scope,
                     .retries_pass = t->order.what == TRANSITION_VSCHEMA ||
                                     t->order.what == TRANSITION_ROUTING};

    snprintf(h.keyspace, sizeof(h.keyspace), "%s", keyspace);
    snprintf(h.table, sizeof(h.table), "%s", table);
    snprintf(h.owner, sizeof(h.owner), "transition %" PRIu64, t->id);
    snprintf(h.reason, sizeof(h.reason), "%s, by %.100s", t->order.verb, t->order.user);
    t->holds_pending++;
    t->holds[t->hold_count++] = fleet_hold(t->server, &h, ttl_ms(t), false, on_held, t);
}

/* Rules for "t" and "ks.t" touch more than one keyspace: then everything waits, if the tables are
   too many to be held one by one. */
static void hold_many(struct transition *t)
{
    if (t->order.what == TRANSITION_VSCHEMA)
        add_hold(t, HOLD_KEYSPACE, t->order.keyspace, "");
    else
        add_hold(t, HOLD_ALL, "", "");
}

void transition_hold_begin(struct transition *t)
{
    t->hold_step = t->step;
    t->hold_count = 0;
    t->held_from_ms = clock_ms();
}

void transition_hold_add(struct transition *t, const char *keyspace, const char *table)
{
    add_hold(t, *table ? HOLD_TABLE : HOLD_KEYSPACE, keyspace, table);
}

void transition_hold(struct transition *t)
{
    char keyspace[65], table[65];
    if (t->hold_count > 0) {
        transition_next(t); /* they are parked already */
        return;
    }
    bool many = t->diff->everything || t->diff->table_count > TRANSITION_HOLDS_MAX;

    for (size_t i = 0; i < t->diff->table_count && !many; i++) {
        transition_touched(t, i, keyspace, table);
        many = !*keyspace; /* a rule for a name without a keyspace: of any session */
    }
    transition_hold_begin(t);
    if (many)
        hold_many(t);
    for (size_t i = 0; i < t->diff->table_count && !many; i++) {
        transition_touched(t, i, keyspace, table);
        add_hold(t, HOLD_TABLE, keyspace, table);
    }
    if (t->hold_count == 0)
        transition_next(t); /* a vindex that no table uses */
}

/* --- release --------------------------------------------------------------------------------- */

static void note_held(struct transition *t)
{
    int64_t ms = clock_ms() - t->held_from_ms;

    if (t->held_from_ms && ms > t->held_ms)
        t->held_ms = ms;
    t->held_from_ms = 0;
}

static void remove_holds(struct transition *t, holds_callback *done)
{
    size_t n = t->hold_count;

    note_held(t);
    t->hold_count = 0;
    t->holds_pending = n;
    for (size_t i = 0; i < n; i++)
        holds_remove(t->server->holds, t->holds[i], done, t);
}

static void on_released(void *arg)
{
    struct transition *t = arg;

    if (--t->holds_pending == 0)
        transition_next(t);
}

void transition_release(struct transition *t)
{
    if (t->hold_count == 0)
        transition_next(t);
    else
        remove_holds(t, on_released);
}

void transition_hold_let_go(struct transition *t)
{
    size_t n = t->hold_count;

    note_held(t);
    t->hold_count = 0;
    for (size_t i = 0; i < n; i++)
        holds_remove(t->server->holds, t->holds[i], NULL, NULL);
}

void transition_hold_forget(struct transition *t)
{
    char keyspace[65], table[65];

    if (t->drain)
        hold_drain_stop(t->drain);
    t->drain = NULL;
    if (!t->flying || !t->diff)
        return;
    t->flying = false;
    for (size_t i = 0; i < t->diff->table_count && i < TRANSITION_FLIGHTS_MAX; i++) {
        transition_touched(t, i, keyspace, table);
        flights_end(t->server->flights, table, strlen(table),
                    clock_ms() + t->server->config->ddl_settle_ms);
    }
}

/* --- drain ----------------------------------------------------------------------------------- */

static void hold_again(struct transition *t)
{
    transition_go(t, t->hold_step);
}

static void on_put_off(void *arg)
{
    struct transition *t = arg;

    if (--t->holds_pending == 0 && !transition_is_stopped(t))
        transition_wait(t, PUT_OFF_MS << t->drains, hold_again);
}

/* Whoever is in the way: the first one by its number, if it is here. */
static void name_blockers(const struct hold_count *count, char *dst, size_t size)
{
    if (count->in_the_way > 0)
        snprintf(dst, size, "session %" PRIu64 " and %zu more", count->sessions[0],
                 count->in_the_way + count->elsewhere - 1);
    else
        snprintf(dst, size, "%zu on other shims", count->elsewhere);
}

static void put_off(struct transition *t, const struct hold_count *count)
{
    bool named = count->in_the_way > 0;
    char blockers[80];

    name_blockers(count, blockers, sizeof(blockers));
    transition_say(t, "drain", "put off", "sessions in the way: %s", blockers);
    log_info("transition_put_off",
             named ? "transition:u in_the_way:u session:u" : "transition:u in_the_way:u", t->id,
             (uint64_t)(count->in_the_way + count->elsewhere), count->sessions[0]);
    if (++t->drains < DRAINS_MAX) {
        remove_holds(t, on_put_off);
        return;
    }
    transition_fail(t, 1205, "HY000",
                    "transactions on the tables did not end within %" PRId64 " ms, %u times: %s",
                    t->server->config->transition_drain_ms, t->drains, blockers);
}

static void drain_one(struct transition *t);

static void on_drained(void *arg, enum drain_end end, const struct hold_count *count)
{
    struct transition *t = arg;

    t->drain = NULL;
    if (transition_is_stopped(t))
        return;
    if (end == DRAIN_TIMEOUT) {
        put_off(t, count);
    } else if (end == DRAIN_GONE) {
        transition_fail(t, 1105, "HY000", "somebody released its hold (RELEASE)");
    } else {
        t->drained++;
        drain_one(t);
    }
}

/* One after the other, within the time of all. */
static void drain_one(struct transition *t)
{
    int64_t left = t->until_ms - clock_ms();

    if (t->drained == t->hold_count) {
        transition_next(t);
        return;
    }
    t->drain =
        hold_drain_start(t->server, t->holds[t->drained], left > 1 ? left : 1, on_drained, t);
}

void transition_drain(struct transition *t)
{
    t->until_ms = clock_ms() + t->server->config->transition_drain_ms;
    t->drained = 0;
    drain_one(t);
}
