/*
 * epoll and two lists. Invariants: a watch is in the kernel's set exactly while its events are not
 * 0, and queued exactly while it is owed something; timers are sorted.
 *
 * Without a timer a turn reads no clock and sets none: while sessions only pass bytes on, that is
 * how it is.
 */
#include "proxy/loop.h"

#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "proxy/syscalls.h"

static int64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

bool loop_init(struct loop *l)
{
    memset(l, 0, sizeof(*l));
    TAILQ_INIT(&l->owed);
    TAILQ_INIT(&l->timers);
    l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    return l->epoll_fd >= 0;
}

void loop_fini(struct loop *l)
{
    close(l->epoll_fd);
}

/* --- sockets --------------------------------------------------------------------------------- */

void loop_watch_init(struct loop_watch *w, struct loop *l, int fd, loop_watch_fn *fn, void *arg)
{
    *w = (struct loop_watch){.loop = l, .fd = fd, .fn = fn, .arg = arg};
}

void loop_watch_set(struct loop_watch *w, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.ptr = w};
    int op = !w->events ? EPOLL_CTL_ADD : events ? EPOLL_CTL_MOD : EPOLL_CTL_DEL;

    if (w->fd < 0 || w->events == events)
        return;
    if (epoll_ctl(w->loop->epoll_fd, op, w->fd, &e) == 0) {
        w->events = events;
        return;
    }
    shutdown(w->fd, SHUT_RDWR);
    loop_watch_owe(w, events);
}

void loop_watch_owe(struct loop_watch *w, uint32_t ready)
{
    struct loop *l = w->loop;

    if (w->fd < 0 || ready == 0)
        return;
    if (!w->owed) {
        TAILQ_INSERT_TAIL(&l->owed, w, link);
        l->owed_count++;
    }
    w->owed |= ready;
}

static uint32_t unqueue(struct loop_watch *w)
{
    uint32_t owed = w->owed;

    if (owed) {
        TAILQ_REMOVE(&w->loop->owed, w, link);
        w->loop->owed_count--;
    }
    w->owed = 0;
    return owed;
}

void loop_watch_end(struct loop_watch *w)
{
    struct loop *l = w->loop;

    if (w->fd < 0)
        return;
    unqueue(w);
    /* The rest of this batch may have an event for it. */
    for (int i = l->at + 1; w->events && i < l->n; i++) {
        if (l->batch[i].data.ptr == w)
            l->batch[i].data.ptr = NULL;
    }
    /* Closing would not do: a process that is just being started (restart.c) has a copy of the
       descriptor for a moment, and as long the kernel would tell of it. */
    if (w->events)
        epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, w->fd, NULL);
    w->fd = -1;
    w->events = 0;
}

static void dispatch(const struct epoll_event *e)
{
    struct loop_watch *w = e->data.ptr;
    uint32_t ready = e->events;

    if (!w)
        return;
    if (ready & (EPOLLERR | EPOLLHUP))
        ready |= EPOLLIN | EPOLLOUT;
    ready &= w->events; /* an earlier callback of this batch may have changed them */
    if (ready)
        w->fn(w, ready);
}

/* Those that are owed something now; what they are owed anew is for the next turn. */
static void run_owed(struct loop *l)
{
    for (size_t n = l->owed_count; n > 0 && !TAILQ_EMPTY(&l->owed); n--) {
        struct loop_watch *w = TAILQ_FIRST(&l->owed);

        w->fn(w, unqueue(w));
    }
}

/* --- timers ---------------------------------------------------------------------------------- */

void loop_timer_init(struct loop_timer *t, struct loop *l, loop_timer_fn *fn, void *arg)
{
    *t = (struct loop_timer){.loop = l, .fn = fn, .arg = arg};
}

void loop_timer_set(struct loop_timer *t, int64_t ms)
{
    struct loop *l = t->loop;
    struct loop_timer *before;

    loop_timer_stop(t);
    t->due_us = now_us() + ms * 1000;
    /* Most are set for the same time as the one before them: the place is near the end. */
    TAILQ_FOREACH_REVERSE(before, &l->timers, loop_timers, link)
    {
        if (before->due_us <= t->due_us)
            break;
    }
    if (before)
        TAILQ_INSERT_AFTER(&l->timers, before, t, link);
    else
        TAILQ_INSERT_HEAD(&l->timers, t, link);
}

void loop_timer_stop(struct loop_timer *t)
{
    if (t->due_us)
        TAILQ_REMOVE(&t->loop->timers, t, link);
    t->due_us = 0;
}

bool loop_timer_is_set(const struct loop_timer *t)
{
    return t->due_us != 0;
}

static void run_timers(struct loop *l)
{
    struct loop_timer *t = TAILQ_FIRST(&l->timers);
    int64_t now = t ? now_us() : 0;

    while ((t = TAILQ_FIRST(&l->timers)) != NULL && t->due_us <= now) {
        loop_timer_stop(t);
        t->fn(t->arg);
    }
}

/* For epoll_wait: milliseconds, rounded up so that a timer is not woken for in vain. */
static int wait_ms(const struct loop *l)
{
    const struct loop_timer *first = TAILQ_FIRST(&l->timers);

    if (!TAILQ_EMPTY(&l->owed))
        return 0;
    if (!first)
        return -1;
    int64_t ms = (first->due_us - now_us() + 999) / 1000;

    return ms < 0 ? 0 : ms > INT_MAX ? INT_MAX : (int)ms;
}

void loop_turn(struct loop *l)
{
    l->n = syscall_epoll_wait(l->epoll_fd, l->batch, LOOP_BATCH,
                              wait_ms(l)); /* -1: a signal; no events */
    for (l->at = 0; l->at < l->n; l->at++)
        dispatch(&l->batch[l->at]);
    l->n = 0;
    run_timers(l);
    run_owed(l);
}
