/*
 * The process as a whole: configuration, workers, and the control loop on the main thread, which
 * accepts connections and runs the admin and HTTP ports, signals and timers.
 */
#ifndef VTSHIM_PROXY_SERVER_H
#define VTSHIM_PROXY_SERVER_H

#include <event2/event.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "config/options.h"
#include "proxy/mailbox.h"
#include "proxy/metrics.h"
#include "proxy/tls.h"

struct listener;
struct worker;
struct vtgates;
struct vtgate_watch;
struct topo_watch;
struct columns_watch;
struct holds;
struct audit;
struct migrations;
struct flights;
struct retries;
struct changes;
struct traffic;
struct digests;
struct networks;
struct quota;
struct plans;
struct admin;
struct http;
struct vtgate_control;
struct reload_source;
struct keeper;
struct transitions;
struct fleet;
struct vtctld;
struct restart;
struct signals;
struct watchdog;
struct memory_limit;

struct server {
    /* These three are immutable. A reload (reload.c) puts others in their place and destroys the
       old ones when every thread has begun a new turn of its loop: do not keep them across turns.
     */
    _Atomic(const struct config *) config;
    _Atomic(struct tls_contexts *) tls;
    _Atomic(struct networks *) proxy_networks; /* proxy_protocol.from */
    const struct reload_source *source;        /* where a reload gets the settings */
    struct config *reloaded; /* owned; NULL while config is the one of the start */
    struct event_base *base; /* the control loop */
    struct mailbox mailbox;  /* to the control loop */
    struct event *wake;      /* of the mailbox */
    struct event *sweep;     /* has the workers look their sessions over */
    struct worker *workers;
    unsigned worker_count;
    struct vtgates *vtgates;
    struct vtgate_watch *watch;    /* what they serve with; control loop only */
    struct columns_watch *columns; /* control loop only */
    struct topo_watch *topo;       /* NULL: no topo.addresses; control loop only */
    struct holds *holds;
    struct migrations *migrations;
    struct copy_rates *copy_rates;
    struct flights *flights; /* VSchema changes */
    struct retries *retries;
    struct changes *changes;
    struct traffic *traffic; /* columns that statements name */
    struct digests *digests; /* statements, sampled */
    struct audit *audit;
    LIST_HEAD(, cutover) cutovers;      /* cutover.c */
    LIST_HEAD(, hold_drain) drains;     /* hold_drain.c */
    LIST_HEAD(, everywhere) everywhere; /* everywhere.c */
    struct quota *quota;
    struct plans *plans; /* deploy_plan.h; control loop only */
    struct admin *admin;
    struct http *http;
    struct vtgate_control *control;
    struct vtctld *vtctld; /* NULL: no vtctld.addresses */
    struct listener **listeners;
    size_t listener_count;
    char instance[9]; /* see ddl_instance_format */
    struct keeper *keeper;
    struct fleet *fleet; /* NULL: no fleet.etcd */
    struct signals *signals;
    struct restart *restart;
    struct watchdog *watchdog;       /* NULL: nobody watches */
    struct transitions *transitions; /* control loop only */
    struct memory_limit *memory_limit;
    struct event *drain_timer;
    int64_t started_ms, drain_until_ms; /* CLOCK_MONOTONIC */
    int64_t ask_again_ms;               /* systemd, for more time to end */
    unsigned next_worker;
    bool draining;                 /* control loop only; workers have their own copy */
    bool withdrawn;                /* control loop only: DRAIN; not ready, but all goes on */
    bool warming;                  /* control loop only: warm_soon */
    bool stopped;                  /* control loop only: the other threads have ended */
    size_t broadcasts;             /* control loop only: under way */
    _Atomic uint64_t next_session; /* ids of sessions, from 1 on */
    _Atomic uint64_t sessions;     /* open now */
    uint64_t most_sessions;        /* control loop only: see trim_memory */
    uint64_t last_sessions;        /* likewise */
    _Atomic unsigned tracking;     /* whoever needs to know what transactions touch */
    _Atomic bool memory_tight;     /* see memory_limit.h: nothing is kept that can be spared */
    _Atomic uint64_t parked;       /* parked now, all workers */
    _Atomic int64_t fence_us;      /* see server_is_fenced */
    _Atomic uint64_t refused; /* connections over limits.max_connections; control loop writes */
};

/* What only trying tells about a configuration: certificates, networks. *error says what is wrong.
 */
bool server_check(const struct config *config, char *error, size_t size);

/*
 * Runs until a signal ends it. config must have passed config_check and stays valid until this
 * returns; source is asked at each reload. Returns the exit status.
 */
int server_run(const struct config *config, const struct reload_source *source);

/*
 * Calls fn(worker, arg) on each worker's thread and then done(server, arg) on the control loop,
 * never from inside of this call. Control loop only. fn runs on several threads at a time: arg must
 * allow it. Once the workers have ended, at the very end of the process, only done is called.
 */
void server_broadcast(struct server *server, mailbox_fn *fn, mailbox_fn *done, void *arg);

/* Stops accepting and lets commands and transactions finish, for timeouts.shutdown_s; then the
   control loop ends. Idempotent. Control loop only. */
void server_drain(struct server *server);

/* The same as the end of the process, with its line in the log; wait: however long it takes. Again:
   another time limit. signal_number: 0 for a command. */
void server_shut_down(struct server *server, int signal_number, bool wait);

/* Another process goes on with the listening sockets: closes them here, and drains. */
void server_hand_over(struct server *server);

/* The control loop's own events, from its start on: its mailbox, and the sweep of the sessions. For
   server_parts.c. */
void server_housekeep(struct server *server);

/* Allows two descriptors a session, as far as the hard limit lets it: the soft one is usually 1024.
 */
void server_raise_descriptor_limit(const struct config *config);

/* The sum of a counter over all workers. Any thread. */
uint64_t server_metric(const struct server *server, const struct metric_row *row);

/* CLOCK_MONOTONIC in milliseconds and microseconds. */
int64_t clock_ms(void);
int64_t clock_us(void);

/* Whether the fleet may have holds that this shim does not know of: it has not been heard there for
   longer than the others wait for it (etcd.h). Any thread; without a fleet it costs a load. */
static inline bool server_is_fenced(const struct server *server)
{
    int64_t fence = atomic_load_explicit(&server->fence_us, memory_order_relaxed);

    return fence != INT64_MAX && clock_us() > fence;
}

#endif
