/*
 * The parts of the process: made in the order in which they need each other, ended in that in which
 * they let go of each other.
 */
#include "proxy/server_parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
#include "proxy/topo_watch.h"
#include "proxy/transition.h"
#include "proxy/vtctld.h"
#include "proxy/vtgate_control.h"
#include "proxy/vtgate_watch.h"
#include "proxy/vtgates.h"
#include "proxy/watchdog.h"
#include "proxy/worker.h"

/* --- start ----------------------------------------------------------------------------------- */

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

/* What is only known and counted, and needs no thread. */
static void make_registries(struct server *server)
{
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
}

bool server_parts_start(struct server *server)
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
    make_registries(server);
    set_instance(server);
    server_housekeep(server);
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

/* --- end ------------------------------------------------------------------------------------- */

/* Nothing new comes in, and who only waits is told. */
static void close_doors(struct server *server)
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
}

/* vtctld's thread before the workers, to which its answers go; the workers before the control
   thread, whose answers (to KILL) therefore go to the control loop. */
static void end_threads(struct server *server)
{
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

/* Whoever has something under way, before what it is about. */
static void destroy_work(struct server *server)
{
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
}

/* The others of make_registries, and the watches that fill them. */
static void destroy_registries(struct server *server)
{
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
}

/* The control loop itself. */
static void destroy_loop(struct server *server)
{
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

/* The control loop's last turns come when nobody else is running, and before anything that its
   callbacks use is gone. */
void server_parts_stop(struct server *server)
{
    close_doors(server);
    end_threads(server);
    if (server->base)
        deliver_rest(server);
    destroy_work(server);
    destroy_registries(server);
    destroy_loop(server);
}
