/*
 * The event loop of a worker: readiness of sockets, timers, and calls that somebody is owed in the
 * next turn. Linux's epoll, level-triggered, with nothing between it and the callbacks: this is the
 * data path of every packet.
 *
 * A loop, and all that belongs to it, is used by one thread; other threads reach it through a
 * mailbox. Watches and timers are embedded in their owners, who end them before their memory goes.
 */
#ifndef VTSHIM_PROXY_LOOP_H
#define VTSHIM_PROXY_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/queue.h>

#define LOOP_BATCH 256 /* events taken in one turn */

struct loop_watch;
struct loop_timer;

/* `ready`: one or both of EPOLLIN and EPOLLOUT, of those that are watched. An error or a hang-up
   counts as both: the next read or write says what it is. */
typedef void loop_watch_fn(struct loop_watch *w, uint32_t ready);
typedef void loop_timer_fn(void *arg);

struct loop_watch {
    struct loop *loop;
    int fd;          /* -1: ended, or never begun */
    uint32_t events; /* EPOLLIN, EPOLLOUT: what is watched; 0: nothing, not even a hang-up */
    uint32_t owed;   /* what `fn` is going to be called with in the next turn; 0: not queued */
    loop_watch_fn *fn;
    void *arg;
    TAILQ_ENTRY(loop_watch) link; /* of loop->owed */
};

struct loop_timer {
    struct loop *loop;
    int64_t due_us; /* CLOCK_MONOTONIC; 0: stopped */
    loop_timer_fn *fn;
    void *arg;
    TAILQ_ENTRY(loop_timer) link; /* of loop->timers */
};

struct loop {
    int epoll_fd;
    int at, n; /* of `batch`: the event under way, how many there are */
    struct epoll_event batch[LOOP_BATCH];
    TAILQ_HEAD(loop_watches, loop_watch) owed;
    size_t owed_count;
    TAILQ_HEAD(loop_timers, loop_timer) timers; /* the first to be due first */
};

/* False when the system refuses. */
bool loop_init(struct loop *l);
void loop_fini(struct loop *l);

/* Waits until something is ready or due, calls what is, and returns. */
void loop_turn(struct loop *l);

/* Nothing is watched yet. The fd stays the caller's. */
void loop_watch_init(struct loop_watch *w, struct loop *l, int fd, loop_watch_fn *fn, void *arg);

/*
 * Watches for these events (EPOLLIN, EPOLLOUT, both, 0) from now on. A socket that the kernel
 * refuses to watch is shut down, so that its owner, who is called, finds its end.
 */
void loop_watch_set(struct loop_watch *w, uint32_t events);

/* Calls w->fn with `ready` in the next turn, whatever the socket says then. */
void loop_watch_owe(struct loop_watch *w, uint32_t ready);

/*
 * No callback comes any more, not even for an event that was fetched already. To be called before
 * the fd is closed. Idempotent.
 */
void loop_watch_end(struct loop_watch *w);

/* A timer runs once, between the sockets of a turn and the next; setting it again moves it. */
void loop_timer_init(struct loop_timer *t, struct loop *l, loop_timer_fn *fn, void *arg);
void loop_timer_set(struct loop_timer *t, int64_t ms);
void loop_timer_stop(struct loop_timer *t); /* idempotent */
bool loop_timer_is_set(const struct loop_timer *t);

#endif
