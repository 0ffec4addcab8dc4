/*
 * A worker's loop and its housekeeping: taking connections, freeing dead sessions, time limits.
 */
#include "proxy/worker.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/ask.h"
#include "proxy/gate.h"
#include "proxy/locks.h"
#include "proxy/memory.h"
#include "proxy/park.h"
#include "proxy/server.h"
#include "proxy/session.h"
#include "proxy/shapes.h"
#include "proxy/sockets.h"

#define CLOSE_LINGER_MS 5000 /* how long a client may take to fetch the last bytes */

static void reap(struct worker *w)
{
    while (!TAILQ_EMPTY(&w->dead)) {
        struct session *s = TAILQ_FIRST(&w->dead);

        TAILQ_REMOVE(&w->dead, s, link);
        session_free(s);
    }
}

void worker_bury(struct worker *w, struct session *s)
{
    TAILQ_INSERT_TAIL(&w->dead, s, link);
}

static bool client_stalls(struct session *s, int64_t now)
{
    int64_t limit = s->worker->server->config->timeouts_write_s * 1000;

    return limit && socket_stall_look(&s->stall, s->client.fd, s->client.taken + UINT64_C(1),
                                      stream_backlog(&s->client), now) > limit;
}

static void sweep_session(struct session *s, int64_t now)
{
    const struct config *c = s->worker->server->config;

    if (s->backend_new) {
        s->backend_new = false;
        socket_keep_alive(s->backend.fd);
    }
    if (s->state == SESSION_CLOSING && now - s->since_ms > CLOSE_LINGER_MS) {
        session_close(s, s->closing);
        return;
    }
    if (s->state != SESSION_CLOSING && client_stalls(s, now)) {
        session_client_gone(s, CLOSE_WRITE_TIMEOUT);
        return;
    }
    if (s->client_gone && !gate_is_changing(s) && ask_is_late(s, now)) {
        session_close(s, CLOSE_INNER_TIMEOUT);
        return;
    }
    if (s->worker->draining && (session_may_drain(s) || s->inner)) {
        session_finish(s, CLOSE_SHUTDOWN);
        return;
    }
    if ((s->state == SESSION_IDLE || (s->state == SESSION_PARKED && !s->ask)) &&
        locks_due(s, now)) {
        locks_keep(s, s->state == SESSION_IDLE ? query_next : NULL);
        return;
    }
    /* The number of commands tells whether anything happened since the last look. */
    if (s->commands != s->swept_commands)
        s->busy_s = (uint32_t)(now / 1000);
    if (s->state != SESSION_IDLE || s->commands != s->swept_commands) {
        s->swept_commands = s->commands;
        s->since_ms = s->state == SESSION_CLOSING ? s->since_ms : now;
    } else if (c->timeouts_idle_s && now - s->since_ms > c->timeouts_idle_s * 1000) {
        session_finish(s, CLOSE_IDLE_TIMEOUT);
    }
}

void worker_sweep(void *context, void *arg)
{
    struct worker *w = context;
    struct session *s, *next;
    int64_t now = clock_ms();

    (void)arg;
    for (s = TAILQ_FIRST(&w->sessions); s; s = next) {
        next = TAILQ_NEXT(s, link);
        sweep_session(s, now);
    }
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;

    while (!w->ended) {
        loop_turn(&w->loop);
        reap(w);
    }
    return NULL;
}

static void on_wake(struct loop_watch *wake, uint32_t ready)
{
    struct worker *w = wake->arg;

    (void)ready;
    mailbox_run(&w->mailbox);
}

bool worker_start(struct worker *w, struct server *server, unsigned index)
{
    memset(w, 0, sizeof(*w));
    w->server = server;
    w->index = index;
    if (!loop_init(&w->loop))
        return false;
    if (!mailbox_init(&w->mailbox)) {
        loop_fini(&w->loop);
        return false;
    }
    loop_watch_init(&w->wake, &w->loop, w->mailbox.wake_fd, on_wake, w);
    loop_watch_set(&w->wake, EPOLLIN);
    w->scratch = memory_zalloc(WORKER_SCRATCH);
    w->holds = hold_set_create(0);
    w->shapes = shapes_create();
    w->random = index + 1;
    TAILQ_INIT(&w->sessions);
    TAILQ_INIT(&w->dead);
    park_init(w);
    retry_init(w);
    return pthread_create(&w->thread, NULL, worker_main, w) == 0;
}

static void worker_end(void *context, void *arg)
{
    struct worker *w = context;

    (void)arg;
    while (!TAILQ_EMPTY(&w->parked))
        park_shut_down(TAILQ_FIRST(&w->parked));
    retry_shut_down_all(w);
    while (!TAILQ_EMPTY(&w->sessions))
        session_close(TAILQ_FIRST(&w->sessions), CLOSE_SHUTDOWN);
    w->ended = true;
}

void worker_stop(struct worker *w)
{
    mailbox_post(&w->mailbox, worker_end, w, NULL);
    pthread_join(w->thread, NULL);
    mailbox_fini(&w->mailbox);
    loop_fini(&w->loop);
    hold_set_release(w->holds);
    retry_fini(w);
    shapes_destroy(w->shapes);
    free(w->scratch);
}

void worker_take_connection(void *context, void *arg)
{
    struct worker *w = context;
    struct new_connection *c = arg;

    metrics_add(&w->metrics.connections_accepted, 1);
    session_create(w, c->fd, &c->peer);
    free(c);
}

void worker_drain(void *context, void *arg)
{
    struct worker *w = context;

    (void)arg;
    w->draining = true;
    worker_sweep(w, NULL);
}
