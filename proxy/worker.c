/*
 * A worker's loop and its housekeeping: taking connections, freeing dead sessions, time limits.
 */
#include "proxy/worker.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/locks.h"
#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/park.h"
#include "proxy/server.h"
#include "proxy/session.h"
#include "proxy/sockets.h"

#define SWEEP_MS        500  /* how often sessions are looked over for time limits */
#define CLOSE_LINGER_MS 5000 /* how long a client may take to fetch the last bytes */

static void on_reap(evutil_socket_t fd, short what, void *arg)
{
    struct worker *w = arg;

    (void)fd;
    (void)what;
    while (!TAILQ_EMPTY(&w->dead)) {
        struct session *s = TAILQ_FIRST(&w->dead);

        TAILQ_REMOVE(&w->dead, s, link);
        session_free(s);
    }
}

void worker_bury(struct worker *w, struct session *s)
{
    if (TAILQ_EMPTY(&w->dead))
        event_active(&w->reap_event, EV_TIMEOUT, 1);
    TAILQ_INSERT_TAIL(&w->dead, s, link);
}

/* Whether the client has taken nothing of what waits for it for too long. */
static bool client_stalls(struct session *s, int64_t now)
{
    int64_t limit = s->worker->server->config->timeouts_write_s * 1000;
    size_t backlog = stream_backlog(&s->client);

    if (backlog == 0 || backlog < s->stalled_backlog || !s->stalled_ms)
        s->stalled_ms = now;
    s->stalled_backlog = backlog;
    return backlog > 0 && limit && now - s->stalled_ms > limit;
}

static void sweep_session(struct session *s, int64_t now)
{
    const struct config *c = s->worker->server->config;

    if (s->state == SESSION_CLOSING && now - s->since_ms > CLOSE_LINGER_MS) {
        session_close(s, s->closing);
        return;
    }
    if (s->state != SESSION_CLOSING && client_stalls(s, now)) {
        session_client_gone(s, CLOSE_WRITE_TIMEOUT);
        return;
    }
    if (s->worker->draining && session_at_rest(s)) {
        session_finish(s, CLOSE_SHUTDOWN);
        return;
    }
    if ((s->state == SESSION_IDLE || (s->state == SESSION_PARKED && !s->ask)) &&
        locks_due(s, now)) {
        locks_keep(s, s->state == SESSION_IDLE ? query_next : NULL);
        return;
    }
    /* The number of commands tells whether anything happened since the last look. */
    if (s->state != SESSION_IDLE || s->commands != s->swept_commands) {
        s->swept_commands = s->commands;
        s->since_ms = s->state == SESSION_CLOSING ? s->since_ms : now;
    } else if (c->timeouts_idle_s && now - s->since_ms > c->timeouts_idle_s * 1000) {
        session_finish(s, CLOSE_IDLE_TIMEOUT);
    }
}

static void on_sweep(evutil_socket_t fd, short what, void *arg)
{
    struct worker *w = arg;
    struct session *s, *next;
    int64_t now = clock_ms();

    (void)fd;
    (void)what;
    for (s = TAILQ_FIRST(&w->sessions); s; s = next) {
        next = TAILQ_NEXT(s, link);
        sweep_session(s, now);
    }
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;

    event_base_loop(w->base, EVLOOP_NO_EXIT_ON_EMPTY);
    return NULL;
}

bool worker_start(struct worker *w, struct server *server, unsigned index)
{
    struct timeval sweep = {SWEEP_MS / 1000, (SWEEP_MS % 1000) * 1000};

    memset(w, 0, sizeof(*w));
    w->server = server;
    w->index = index;
    w->base = event_base_new();
    if (!w->base)
        return false;
    if (!mailbox_init(&w->mailbox, w->base)) {
        event_base_free(w->base);
        return false;
    }
    w->scratch = memory_zalloc(WORKER_SCRATCH);
    w->holds = hold_set_create(0);
    TAILQ_INIT(&w->sessions);
    TAILQ_INIT(&w->dead);
    park_init(w);
    event_assign(&w->reap_event, w->base, -1, 0, on_reap, w);
    event_assign(&w->sweep_event, w->base, -1, EV_PERSIST, on_sweep, w);
    event_add(&w->sweep_event, &sweep);
    if (pthread_create(&w->thread, NULL, worker_main, w) != 0)
        return false;
    return true;
}

static void worker_end(void *context, void *arg)
{
    struct worker *w = context;

    (void)arg;
    while (!TAILQ_EMPTY(&w->parked))
        park_shut_down(TAILQ_FIRST(&w->parked));
    while (!TAILQ_EMPTY(&w->sessions))
        session_close(TAILQ_FIRST(&w->sessions), CLOSE_SHUTDOWN);
    event_base_loopbreak(w->base);
}

void worker_stop(struct worker *w)
{
    mailbox_post(&w->mailbox, worker_end, w, NULL);
    pthread_join(w->thread, NULL);
    on_reap(-1, 0, w);
    event_del(&w->sweep_event);
    event_del(&w->park_event);
    event_del(&w->reap_event);
    mailbox_fini(&w->mailbox);
    hold_set_release(w->holds);
    event_base_free(w->base);
    free(w->scratch);
}

void worker_take_connection(void *context, void *arg)
{
    struct worker *w = context;
    struct new_connection *c = arg;

    socket_tune(c->fd);
    metrics_add(&w->metrics.connections_accepted, 1);
    session_create(w, c->fd, &c->peer);
    free(c);
}

void worker_drain(void *context, void *arg)
{
    struct worker *w = context;

    (void)arg;
    w->draining = true;
    on_sweep(-1, 0, w);
}
