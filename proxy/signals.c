/*
 * The signals that the process knows, a row each.
 */
#include "proxy/signals.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "proxy/audit.h"
#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/reload.h"
#include "proxy/restart.h"
#include "proxy/server.h"
#include "proxy/systemd.h"

/* The first signal lets commands and transactions finish; the second does not. */
static void on_end_signal(evutil_socket_t number, short what, void *arg)
{
    struct server *server = arg;

    (void)what;
    if (server->stopped)
        return; /* it cannot end any sooner */
    if (server->draining)
        event_base_loopbreak(server->base);
    else
        server_shut_down(server, (int)number, false);
}

static void on_reload_signal(evutil_socket_t number, short what, void *arg)
{
    struct server *server = arg;
    char error[RELOAD_ERROR_SIZE];

    (void)number;
    (void)what;
    if (server->draining)
        return;
    systemd_notify("RELOADING=1\nMONOTONIC_USEC=%" PRId64, clock_us());
    reload_run(server, NULL, NULL, NULL, error, sizeof(error));
    systemd_notify("READY=1");
}

/* After a rotation. */
static void on_reopen_signal(evutil_socket_t number, short what, void *arg)
{
    const struct server *server = arg;

    (void)number;
    (void)what;
    log_set_file(server->config->log_file);
    audit_reopen(server->audit, server->config->audit_file);
    log_info("files_reopened", "");
}

static void on_restart_signal(evutil_socket_t number, short what, void *arg)
{
    struct server *server = arg;

    (void)number;
    (void)what;
    restart_begin(server->restart);
}

static const struct {
    int number;
    event_callback_fn handler;
} SIGNALS[] = {
    {SIGTERM, on_end_signal},    {SIGINT, on_end_signal},      {SIGHUP, on_reload_signal},
    {SIGUSR1, on_reopen_signal}, {SIGUSR2, on_restart_signal},
};

#define COUNT (sizeof(SIGNALS) / sizeof(*SIGNALS))

struct signals {
    struct event *events[COUNT];
};

struct signals *signals_create(struct server *server)
{
    struct signals *s = memory_zalloc(sizeof(*s));

    for (size_t i = 0; i < COUNT; i++) {
        s->events[i] = evsignal_new(server->base, SIGNALS[i].number, SIGNALS[i].handler, server);
        event_add(s->events[i], NULL);
    }
    return s;
}

void signals_destroy(struct signals *s)
{
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < COUNT; i++)
        sigaddset(&set, SIGNALS[i].number);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    for (size_t i = 0; s && i < COUNT; i++)
        event_free(s->events[i]);
    free(s);
}
