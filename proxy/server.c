/*
 * Start, control loop and end of the process.
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

#include "planner/ddl.h"
#include "planner/traffic.h"
#include "proxy/accept.h"
#include "proxy/admin.h"
#include "proxy/audit.h"
#include "proxy/changes.h"
#include "proxy/columns_watch.h"
#include "proxy/copy_rate.h"
#include "proxy/cutover.h"
#include "proxy/deploy_plan.h"
#include "proxy/digests.h"
#include "proxy/everywhere.h"
#include "proxy/fleet.h"
#include "proxy/flights.h"
#include "proxy/hold_drain.h"
#include "proxy/holds.h"
#include "proxy/http.h"
#include "proxy/keeper.h"
#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/memory_limit.h"
#include "proxy/migrations.h"
#include "proxy/networks.h"
#include "proxy/quota.h"
#include "proxy/reload.h"
#include "proxy/restart.h"
#include "proxy/retry.h"
#include "proxy/seccomp.h"
#include "proxy/signals.h"
#include "proxy/systemd.h"
#include "proxy/topo_watch.h"
#include "proxy/transition.h"
#include "proxy/vtctld.h"
#include "proxy/vtgate_control.h"
#include "proxy/vtgate_watch.h"
#include "proxy/vtgates.h"
#include "proxy/watchdog.h"
#include "proxy/worker.h"

#define DRAIN_CHECK_MS 50
#define STOP_MARGIN_S  30  /* for the end itself: a health check under way, say */
#define TRIM_SESSIONS  500 /* how many have to leave before their memory is worth giving back */

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

static void on_drain_timer(evutil_socket_t fd, short what, void *arg)
{
    struct server *server = arg;

    (void)fd;
    (void)what;
    if (atomic_load(&server->sessions) == 0 || clock_ms() >= server->drain_until_ms)
        event_base_loopbreak(server->base);
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
    log_info("shutdown", "signal:d sessions:u limit_s:d", (int64_t)signal_number, sessions,
             wait ? INT64_C(-1) : limit);
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

static void add_housekeeping(struct server *server)
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

static bool start_workers(struct server *server)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned n = (unsigned)server->config->workers;

    if (n == 0)
        n = cores > 0 ? (unsigned)cores : 1;
    server->workers = memory_zalloc(n * sizeof(*server->workers));
    for (unsigned i = 0; i < n; i++) {
        if (!worker_start(&server->workers[i], server, i))
            return false;
        server->worker_count++;
    }
    return true;
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

static bool prepare(struct server *server, char *error, size_t size)
{
    struct tls_contexts *tls;
    struct networks *networks;

    if (!reload_prepare(server->config, &tls, &networks, error, size))
        return false;
    atomic_init(&server->tls, tls);
    atomic_init(&server->proxy_networks, networks);
    return true;
}

/* Its name among other shims. */
static void set_instance(struct server *server)
{
    const struct config *c = server->config;
    char name[600], host[256] = "";

    gethostname(host, sizeof(host) - 1);
    snprintf(name, sizeof(name), "%s:%s", host, c->listen.items[0].text);
    ddl_instance_format(server->instance, *c->instance ? c->instance : name);
}

static bool start(struct server *server)
{
    char error[RELOAD_ERROR_SIZE];

    if (!prepare(server, error, sizeof(error))) {
        log_error("start_failed", "error:s", error);
        return false;
    }
    server->base = event_base_new();
    if (!server->base || !mailbox_init(&server->mailbox)) {
        log_error("start_failed", "error:s", strerror(errno));
        return false;
    }
    server_raise_descriptor_limit(server->config);
    server->restart = restart_create(server);
    server->vtgates = vtgates_create(server->config);
    server->migrations = migrations_create();
    server->copy_rates = copy_rates_create();
    server->flights = flights_create();
    server->retries = retries_create();
    server->changes = changes_create(server);
    server->traffic = memory_zalloc(sizeof(*server->traffic));
    server->digests = digests_create();
    server->audit = audit_create(server->config->audit_file);
    server->quota = quota_create();
    server->holds = holds_create(server);
    server->transitions = transitions_create(server);
    server->plans = plans_create(server);
    set_instance(server);
    add_housekeeping(server);
    server->signals = signals_create(server);
    bool failed;

    server->vtctld = vtctld_start(server, &failed);
    if (failed || !fleet_start(server) || !start_workers(server) || !accept_open(server))
        return false;
    server->memory_limit = memory_limit_create(server);
    server->keeper = keeper_create(server);
    server->watch = vtgate_watch_create(server);
    changes_listen(server->changes);
    server->topo = topo_watch_create(server);
    server->columns = columns_watch_create(server);
    server->control = vtgate_control_start(server);
    transitions_load(server->transitions);
    plans_load(server->plans);
    server->admin = server->config->admin.text ? admin_create(server) : NULL;
    server->http = server->config->http.text ? http_create(server) : NULL;
    return server->control && (server->admin || !server->config->admin.text) &&
           (server->http || !server->config->http.text) &&
           seccomp_apply((enum config_seccomp)server->config->run_seccomp);
}

/*
 * The answers of the other threads, which have ended, reach those who asked: nothing that a letter
 * carries is owned by anybody else. What they start in turn is a broadcast, if anything.
 */
static void deliver_rest(struct server *server)
{
    do {
        mailbox_run(&server->mailbox);
        event_base_loop(server->base, EVLOOP_NONBLOCK);
    } while (server->broadcasts > 0);
    event_base_loop(server->base, EVLOOP_NONBLOCK); /* the bytes of the last answers */
}

/*
 * The order matters. At first nothing new comes in. vtctld's thread ends before the workers, to
 * which its answers go; the workers before the control thread,
 * whose answers (to KILL) therefore go to the control loop. That loop's last turns come when nobody
 * else is running, and before anything that its callbacks use is gone.
 */
static void stop(struct server *server)
{
    accept_close(server);
    if (server->http)
        http_destroy(server->http);
    plans_stop(server->plans);
    transitions_stop(server->transitions);
    if (server->fleet)
        fleet_stop(server->fleet);
    if (server->admin)
        admin_stop(server->admin);
    if (server->drain_timer)
        event_free(server->drain_timer);
    if (server->vtctld)
        vtctld_stop(server->vtctld);
    if (server->sweep)
        event_free(server->sweep);
    for (unsigned i = 0; i < server->worker_count; i++)
        worker_stop(&server->workers[i]);
    if (server->control)
        vtgate_control_stop(server->control);
    server->control = NULL;
    server->stopped = true;
    vtgate_watch_stop(server->watch);
    topo_watch_stop(server->topo);
    if (server->base)
        deliver_rest(server);
    if (server->admin)
        admin_destroy(server->admin);
    watchdog_destroy(server->watchdog);
    memory_limit_destroy(server->memory_limit);
    if (server->keeper)
        keeper_destroy(server->keeper);
    cutover_stop_all(server);
    if (server->fleet)
        fleet_destroy(server->fleet);
    hold_drain_stop_all(server);
    plans_destroy(server->plans);
    transitions_destroy(server->transitions);
    everywhere_stop_all(server);
    if (server->vtctld)
        vtctld_destroy(server->vtctld);
    if (server->holds)
        holds_destroy(server->holds);
    if (server->migrations)
        migrations_destroy(server->migrations);
    copy_rates_destroy(server->copy_rates);
    flights_destroy(server->flights);
    retries_destroy(server->retries);
    changes_destroy(server->changes);
    vtgate_watch_destroy(server->watch);
    topo_watch_destroy(server->topo);
    columns_watch_destroy(server->columns);
    free(server->traffic);
    digests_destroy(server->digests);
    if (server->audit)
        audit_destroy(server->audit);
    if (server->quota)
        quota_destroy(server->quota);
    networks_destroy(server->proxy_networks);
    if (server->vtgates)
        vtgates_destroy(server->vtgates);
    free(server->workers);
    signals_destroy(server->signals);
    if (server->wake)
        event_free(server->wake);
    restart_destroy(server->restart);
    if (server->base) {
        mailbox_fini(&server->mailbox);
        event_base_free(server->base);
    }
    tls_contexts_destroy(server->tls);
    config_destroy(server->reloaded);
}

int server_run(const struct config *config, const struct reload_source *source)
{
    struct server server = {.source = source, .started_ms = clock_ms()};
    int status = 1;

    atomic_init(&server.config, config);
    atomic_init(&server.fence_us, INT64_MAX);
    signal(SIGPIPE, SIG_IGN);
    if (start(&server)) {
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
    stop(&server);
    log_close_file();
    libevent_global_shutdown();
    return status;
}
