/*
 * One thread and its event loop. Sessions live and die on the worker that they were given to; what
 * other threads want of them comes through the mailbox.
 */
#ifndef VTSHIM_PROXY_WORKER_H
#define VTSHIM_PROXY_WORKER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "planner/hold.h"
#include "proxy/kept.h"
#include "proxy/loop.h"
#include "proxy/mailbox.h"
#include "proxy/metrics.h"
#include "proxy/retry.h"
#include "proxy/slow_transactions.h"

struct server;
struct session;
struct shapes;

/* Large enough for a result of 1,000 short rows in one read, small enough to stay in the L2 cache.
 */
#define WORKER_SCRATCH (256u << 10)

TAILQ_HEAD(session_list, session);

/* A release under way: park.c. */
struct park_round {
    int64_t since_us;     /* when it began; 0: none is */
    uint64_t released;    /* sessions so far */
    double share;         /* of all that wait behind the hold, those that wait here */
    struct session *next; /* while one is being resumed: who waits behind it */
};

#define WORKER_SAMPLES 2 /* of columns, of shapes */

struct worker {
    struct server *server;
    unsigned index;
    pthread_t thread;
    struct loop loop;
    struct mailbox mailbox;
    struct loop_watch wake; /* of the mailbox */
    uint8_t *scratch;       /* WORKER_SCRATCH bytes; anybody's until the next read */
    struct metrics metrics;
    int64_t looked_us; /* when the command now looked at was; 0: it is not measured */
    struct session_list sessions;
    struct session_list parked; /* in the order in which they parked */
    struct session_list dead;   /* closed in this loop turn, freed at its end */
    struct hold_set *holds;     /* never NULL */
    struct loop_timer park_timer;
    struct park_round park_round;
    struct retry_list retrying;
    struct loop_timer retry_timer;
    struct kept_stock kept;
    struct slow_transactions slow;
    int64_t suspected_ms;  /* see changes_note_error */
    struct shapes *shapes; /* what statements come */
    uint32_t random;       /* of the choice of samples */
    /* Samples of the commands that are passed on, by kind (query_watch.c): commands until each is
       due, counted when `sample_in`, which begins as sample_step, has run down to the nearest. */
    uint32_t sample_due[WORKER_SAMPLES], sample_step, sample_in;
    bool draining, ended;
};

/* Makes the loop and its thread. False when the system refuses. */
bool worker_start(struct worker *w, struct server *server, unsigned index);

/* Ends the loop, closes the sessions left, joins the thread, frees everything. */
void worker_stop(struct worker *w);

/* A connection for the worker, given to it by the control loop. Allocated; the worker frees it. */
struct new_connection {
    int fd;
    struct sockaddr_storage peer;
    socklen_t peer_len;
};

/* mailbox_fn: context is the worker, arg a struct new_connection. */
void worker_take_connection(void *context, void *arg);

/* mailbox_fn: the worker closes sessions as soon as they are idle outside of a transaction. */
void worker_drain(void *context, void *arg);

/* How often the control loop posts worker_sweep, for time limits, in milliseconds. */
#define WORKER_SWEEP_MS 500

/* mailbox_fn: looks all sessions over for time limits. */
void worker_sweep(void *context, void *arg);

/* The session's memory is freed at the end of this turn of the loop. */
void worker_bury(struct worker *w, struct session *s);

#endif
