/*
 * The process as a whole: configuration, workers, and the control loop on the main thread, which
 * accepts connections and runs the admin and HTTP ports, signals and timers.
 */
#ifndef VTSHIM_PROXY_SERVER_H
#define VTSHIM_PROXY_SERVER_H

#include <event2/event.h>
#include <event2/listener.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "config/options.h"
#include "proxy/mailbox.h"
#include "proxy/metrics.h"
#include "proxy/tls.h"

struct worker;
struct vtgates;
struct holds;
struct migrations;
struct networks;
struct quota;
struct admin;
struct http;
struct vtgate_control;

struct server {
    const struct config *config; /* immutable; outlives every thread */
    struct tls_contexts tls;
    struct event_base *base; /* the control loop */
    struct mailbox mailbox;  /* to the control loop */
    struct worker *workers;
    unsigned worker_count;
    struct vtgates *vtgates;
    struct holds *holds;
    struct migrations *migrations;
    struct networks *proxy_networks; /* proxy_protocol.from */
    struct quota *quota;
    struct admin *admin;
    struct http *http;
    struct vtgate_control *control;
    struct evconnlistener **listeners;
    size_t listener_count;
    struct event *signals[4];
    struct event *drain_timer;
    int64_t started_ms, drain_until_ms; /* CLOCK_MONOTONIC */
    unsigned next_worker;
    bool draining;                 /* control loop only; workers have their own copy */
    _Atomic uint64_t next_session; /* ids of sessions, from 1 on */
    _Atomic uint64_t sessions;     /* open now */
    _Atomic uint64_t parked;       /* parked now, all workers */
    _Atomic uint64_t refused; /* connections over limits.max_connections; control loop writes */
};

/* What only trying tells about a configuration: certificates, networks. *error says what is wrong.
 */
bool server_check(const struct config *config, char *error, size_t size);

/* Runs until a signal ends it. config must have passed config_check. Returns the exit status. */
int server_run(const struct config *config);

/*
 * Calls fn(worker, arg) on each worker's thread and then done(server, arg) on the control loop.
 * Control loop only. fn runs on several threads at a time: arg must allow it.
 */
void server_broadcast(struct server *server, mailbox_fn *fn, mailbox_fn *done, void *arg);

/* The sum of a counter over all workers. Any thread. */
uint64_t server_metric(const struct server *server, const struct metric_row *row);

/* A listener on the control loop, or NULL after a line in the log. */
struct evconnlistener *server_listen(struct server *server, const struct endpoint *e,
                                     evconnlistener_cb callback, void *arg);

/* CLOCK_MONOTONIC in milliseconds and microseconds. */
int64_t clock_ms(void);
int64_t clock_us(void);

#endif
