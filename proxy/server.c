/*
 * The control loop, calls to all workers, and the end of the process. What it consists of, and in
 * which order that is made and ended: server_parts.c.
 */
#include "proxy/server.h"

#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "proxy/accept.h"
#include "proxy/admin.h"
#include "proxy/http.h"
#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/memory_limit.h"
#include "proxy/networks.h"
#include "proxy/reload.h"
#include "proxy/restart.h"
#include "proxy/server_parts.h"
#include "proxy/systemd.h"
#include "proxy/watchdog.h"
#include "proxy/worker.h"

#define DRAIN_CHECK_MS 50
#define STOP_MARGIN_S  30   /* for the end itself: a health check under way, say */
#define ASK_MS         2000 /* between words to systemd that more time is needed */
#define TRIM_SESSIONS  500  /* how many have to leave before their memory is worth giving back */

int64_t clock_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t clock_ms(void)
{
    return clock_us() / 1000;
}

/* --- calls to all workers -------------------------------------------------------------------- */

struct broadcast {
    struct server *server;
    mailbox_fn *fn, *done;
    void *arg;
    _Atomic unsigned left;
};

static void broadcast_end(void *context, void *arg)
{
    struct broadcast *b = arg;

    b->server->broadcasts--;
    b->done(context, b->arg);
    free(b);
}

static void broadcast_run(void *context, void *arg)
{
    struct broadcast *b = arg;

    b->fn(context, b->arg);
    if (atomic_fetch_sub(&b->left, 1) == 1)
        mailbox_post(&b->server->mailbox, broadcast_end, b->server, b);
}

void server_broadcast(struct server *server, mailbox_fn *fn, mailbox_fn *done, void *arg)
{
    struct broadcast *b = memory_zalloc(sizeof(*b));

    b->server = server;
    b->fn = fn;
    b->done = done;
    b->arg = arg;
    server->broadcasts++;
    if (server->stopped) {
        mailbox_post(&server->mailbox, broadcast_end, server, b);
        return;
    }
    atomic_init(&b->left, server->worker_count);
    for (unsigned i = 0; i < server->worker_count; i++)
        mailbox_post(&server->workers[i].mailbox, broadcast_run, &server->workers[i], b);
}

static void nothing_more(void *context, void *arg)
{
    (void)context;
    (void)arg;
}

uint64_t server_metric(const struct server *server, const struct metric_row *row)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < server->worker_count; i++) {
        const char *metrics = (const char *)&server->workers[i].metrics;

        sum += metrics_get((const _Atomic uint64_t *)(const void *)(metrics + row->offset));
    }
    return sum;
}

/* --- ending ---------------------------------------------------------------------------------- */

/* systemd ends a process that takes longer to end than it has asked for. */
static void ask_for_time(struct server *server)
{
    int64_t now = clock_ms();

    if (now < server->ask_again_ms)
        return;
    server->ask_again_ms = now + ASK_MS;
    systemd_notify("EXTEND_TIMEOUT_USEC=%" PRId64,
                   STOP_MARGIN_S * INT64_C(1000000) + 10 * ASK_MS * 1000);
}

static void on_drain_timer(evutil_socket_t fd, short what, void *arg)
{
    struct server *server = arg;

    (void)fd;
    (void)what;
    if (atomic_load(&server->sessions) == 0 || clock_ms() >= server->drain_until_ms)
        event_base_loopbreak(server->base);
    else if (server->drain_until_ms == INT64_MAX)
        ask_for_time(server);
}

void server_drain(struct server *server)
{
    struct timeval tv = {0, DRAIN_CHECK_MS * 1000};

    if (server->draining)
        return;
    server->draining = true;
    server->drain_until_ms = clock_ms() + server->config->timeouts_shutdown_s * 1000;
    accept_close(server);
    server_broadcast(server, worker_drain, nothing_more, NULL);
    server->drain_timer = event_new(server->base, -1, EV_PERSIST, on_drain_timer, server);
    event_add(server->drain_timer, &tv);
}

void server_hand_over(struct server *server)
{
    accept_hand_over(server);
    if (server->http)
        http_hand_over(server->http);
    server->http = NULL;
    if (server->admin)
        admin_hand_over(server->admin);
    server_drain(server);
}

void server_shut_down(struct server *server, int signal_number, bool wait)
{
    int64_t limit = server->config->timeouts_shutdown_s;
    uint64_t sessions = atomic_load(&server->sessions);

    systemd_notify("STOPPING=1\nEXTEND_TIMEOUT_USEC=%" PRId64,
                   (limit + STOP_MARGIN_S) * INT64_C(1000000));
    server_drain(server); /* first: who reads of it finds the ports closed */
    if (signal_number)
        log_info("shutdown", "signal:d sessions:u limit_s:d", (int64_t)signal_number, sessions,
                 limit);
    else if (wait)
        log_info("shutdown", "by:s sessions:u limit_s:s", "SHUTDOWN WAIT", sessions, "none");
    else
        log_info("shutdown", "by:s sessions:u limit_s:d", "SHUTDOWN", sessions, limit);
    server->drain_until_ms = wait ? INT64_MAX : clock_ms() + limit * 1000;
}

/* --- housekeeping ---------------------------------------------------------------------------- */

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    struct server *server = arg;

    (void)fd;
    (void)what;
    mailbox_run(&server->mailbox);
}

/* What was freed the allocator keeps, most of it. When a crowd has left (and not while it is still
   leaving) the system gets it back. */
static void trim_memory(struct server *server)
{
    uint64_t now = atomic_load(&server->sessions);
    bool falling = now < server->last_sessions;

    server->last_sessions = now;
    if (now > server->most_sessions)
        server->most_sessions = now;
    if (falling || server->most_sessions - now < TRIM_SESSIONS || now > server->most_sessions / 2)
        return;
    malloc_trim(0);
    server->most_sessions = now;
}

/* A worker's loop has no timer of its own while its sessions only pass bytes on: it waits and
   wakes cheaper so. */
static void on_sweep(evutil_socket_t fd, short what, void *arg)
{
    struct server *server = arg;

    (void)fd;
    (void)what;
    for (unsigned i = 0; i < server->worker_count; i++)
        mailbox_post(&server->workers[i].mailbox, worker_sweep, &server->workers[i], NULL);
    trim_memory(server);
    memory_limit_look(server->memory_limit);
}

void server_housekeep(struct server *server)
{
    struct timeval interval = {WORKER_SWEEP_MS / 1000, (WORKER_SWEEP_MS % 1000) * 1000};

    server->wake =
        event_new(server->base, server->mailbox.wake_fd, EV_READ | EV_PERSIST, on_wake, server);
    event_add(server->wake, NULL);
    server->sweep = event_new(server->base, -1, EV_PERSIST, on_sweep, server);
    event_add(server->sweep, &interval);
}

/* --- start ----------------------------------------------------------------------------------- */

void server_raise_descriptor_limit(const struct config *c)
{
    struct rlimit limit;
    rlim_t want = (rlim_t)c->limits_max_connections * 2 + 256;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= want)
        return;
    limit.rlim_cur =
        limit.rlim_max == RLIM_INFINITY || want < limit.rlim_max ? want : limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < want)
        log_warn("descriptors_limited", "limit:u wanted:u", (uint64_t)limit.rlim_cur,
                 (uint64_t)want);
}

bool server_check(const struct config *config, char *error, size_t size)
{
    struct tls_contexts *tls;
    struct networks *networks;

    if (!reload_prepare(config, &tls, &networks, error, size))
        return false;
    networks_destroy(networks);
    tls_contexts_destroy(tls);
    return true;
}

int server_run(const struct config *config, const struct reload_source *source)
{
    struct server server = {.source = source, .started_ms = clock_ms()};
    int status = 1;

    atomic_init(&server.config, config);
    atomic_init(&server.fence_us, INT64_MAX);
    signal(SIGPIPE, SIG_IGN);
    if (server_parts_start(&server)) {
        char vtgates[1024];

        option_format(config, option_find("vtgate"), vtgates, sizeof(vtgates));
        log_info("ready", "version:s listen:s vtgate:s admin:s http:s workers:u", VTSHIM_VERSION,
                 config->listen.items[0].text, vtgates, config->admin.text, config->http.text,
                 (uint64_t)server.worker_count);
        reload_log_certificate(server.tls);
        server.watchdog = watchdog_create(&server);
        restart_ready(server.restart);
        event_base_loop(server.base, 0);
        log_info("stopped", "sessions:u", (uint64_t)atomic_load(&server.sessions));
        status = 0;
    }
    server_parts_stop(&server);
    log_close_file();
    libevent_global_shutdown();
    return status;
}
