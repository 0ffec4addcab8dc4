/*
 * Warming vtgates: the most frequent statement shapes (shapes.h) are planned on each of them by a
 * connection of control.user, before those come whom a cold plan cache would make wait.
 *
 * How, found out on vtgate v24 (go/vt/vtgate/executor.go, go/cache/theine/store.go):
 *   - a prepared statement's key is its text as the client wrote it: COM_STMT_PREPARE of the same
 *     text plans it and executes nothing;
 *   - a text's key is the text with bind variables that vtgate itself makes of it: only a statement
 *     with literals of the same types (planner/sample.h) that is really run gets it into the cache.
 *     One that writes is run in a READ ONLY transaction: it is planned, and then MySQL refuses it
 *     (1792). What it touches must own no lookup vindex and have no sequence, for vtgate may write
 *     to those outside of the transaction; a statement that reads is cut off after 100 ms;
 *   - the cache admits what it sees for the second time only, so each shape is planned twice.
 * The key also has the session's target; so has a shape. Sessions with system variables of their
 * own (SET_VAR) have other keys, which are not warmed.
 */
#ifndef VTSHIM_PROXY_WARM_H
#define VTSHIM_PROXY_WARM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct server;
struct vtgate;
struct warm;

/* What came of it on one vtgate. */
struct warm_result {
    const struct vtgate *vtgate;
    bool reached;    /* control.user could log in */
    bool cut;        /* plans.warm_ms was over before all were planned */
    size_t planned;  /* shapes that vtgate has planned */
    size_t refused;  /* that it could not plan */
    size_t left_out; /* that write, and might leave something behind, or read without a literal */
    int64_t took_ms;
};

/* results[0..n): a row for each vtgate that is up; borrowed. n is 0 when there is nothing to do:
 *why (a constant, else NULL) says why. */
typedef void warm_done_fn(void *arg, const struct warm_result *results, size_t n, const char *why);

/*
 * Plans the most frequent shapes (plans.warm) on all vtgates that are up, at the same time, or on
 * one; then done(arg, ...), on the control loop and never from inside of this. Takes at most about
 * plans.warm_ms and a login. Control loop.
 */
void warm_start(struct server *server, struct vtgate *only, warm_done_fn *done, void *arg);

/* The same on all vtgates, for nobody who waits; not while such a one is under way. Any thread. */
void warm_soon(struct server *server);

#endif
