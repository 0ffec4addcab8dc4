/*
 * Three times in each of systemd's intervals every worker is called on.
 */
#include "proxy/watchdog.h"

#include <event2/event.h>
#include <stdlib.h>

#include "proxy/memory.h"
#include "proxy/restart.h"
#include "proxy/server.h"
#include "proxy/systemd.h"

struct watchdog {
    struct server *server;
    struct event *timer;
    bool asked; /* the workers' answer is still to come */
};

static void come_by(void *context, void *arg)
{
    (void)context;
    (void)arg;
}

static void all_came_by(void *context, void *arg)
{
    struct watchdog *w = arg;

    (void)context;
    w->asked = false;
    if (!restart_is_over(w->server->restart))
        systemd_notify("WATCHDOG=1");
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct watchdog *w = arg;

    (void)fd;
    (void)what;
    if (w->asked || w->server->stopped)
        return;
    w->asked = true;
    server_broadcast(w->server, come_by, all_came_by, w);
}

struct watchdog *watchdog_create(struct server *server)
{
    int64_t ms = systemd_watchdog_ms() / 3;
    struct timeval interval = {ms / 1000, ms % 1000 * 1000};

    if (ms <= 0)
        return NULL;
    struct watchdog *w = memory_zalloc(sizeof(*w));

    w->server = server;
    w->timer = event_new(server->base, -1, EV_PERSIST, on_timer, w);
    event_add(w->timer, &interval);
    return w;
}

void watchdog_destroy(struct watchdog *w)
{
    if (!w)
        return;
    event_free(w->timer);
    free(w);
}
