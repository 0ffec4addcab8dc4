/*
 * Asks the vtgates' web pages in turn, each by its own timer and at most one page at a time.
 */
#include "proxy/vtgate_watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/server.h"
#include "proxy/vtgate_watch_internal.h"
#include "proxy/vtgates.h"
#include "proxy/web_client.h"

#define PAGE_MAX     (16u << 20) /* bytes; a VSchema of 10,000 tables has about a third of it */
#define BACKOFF_MS   30000       /* the longest */
#define DRIFT_MS     200         /* while vtgates differ they are asked at least so often */
#define DRIFT_FOR_MS 30000       /* for so long */

/* --- timing ---------------------------------------------------------------------------------- */

static void poll_in(struct watched *g, int64_t ms)
{
    struct timeval tv = {ms / 1000, ms % 1000 * 1000};

    evtimer_add(g->timer, &tv);
}

static int64_t next_poll_ms(const struct watched *g)
{
    const struct vtgate_watch *w = g->watch;
    int64_t ms = w->server->config->vtgate_web_interval_ms;

    for (unsigned i = 0; i < g->fails && ms < BACKOFF_MS; i++)
        ms = ms * 2 < BACKOFF_MS ? ms * 2 : BACKOFF_MS;
    if (!g->fails && w->drift > 1 && clock_ms() - w->drift_since_ms < DRIFT_FOR_MS && ms > DRIFT_MS)
        ms = DRIFT_MS;
    return ms;
}

/* --- looks ----------------------------------------------------------------------------------- */

static bool all_looked(const struct vtgate_watch *w, uint64_t number)
{
    for (size_t i = 0; i < w->n; i++) {
        if (w->items[i].view.configured && w->items[i].looked < number)
            return false;
    }
    return true;
}

/* Ends those that have seen all. What they call may begin others or take some back, so the list is
   begun anew after each. */
static void end_looks(struct vtgate_watch *w)
{
    struct vtgate_look *look;

again:
    LIST_FOREACH(look, &w->pending, link)
    {
        if (!all_looked(w, look->number))
            continue;
        vtgate_watch_look_cancel(look);
        look->done(look->arg);
        goto again;
    }
}

static void on_kick(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    end_looks(arg);
}

static void look_soon(struct watched *g, bool vars)
{
    g->full_wanted = true;
    g->vars_wanted = g->vars_wanted || vars;
    if (!g->call)
        poll_in(g, 0);
}

static void begin_look(struct vtgate_watch *w, struct vtgate_look *look, bool vars,
                       void (*done)(void *arg), void *arg)
{
    *look = (struct vtgate_look){.number = ++w->looks, .done = done, .arg = arg};
    LIST_INSERT_HEAD(&w->pending, look, link);
    if (w->stopped)
        return;
    for (size_t i = 0; i < w->n; i++) {
        if (w->items[i].view.configured)
            look_soon(&w->items[i], vars);
    }
    if (!vtgate_watch_configured(w))
        event_active(w->kick, EV_TIMEOUT, 0);
}

void vtgate_watch_look(struct vtgate_watch *w, struct vtgate_look *look, void (*done)(void *arg),
                       void *arg)
{
    begin_look(w, look, true, done, arg);
}

void vtgate_watch_glance(struct vtgate_watch *w, struct vtgate_look *look, void (*done)(void *arg),
                         void *arg)
{
    begin_look(w, look, false, done, arg);
}

void vtgate_watch_look_cancel(struct vtgate_look *look)
{
    if (look->number == 0)
        return;
    LIST_REMOVE(look, link);
    look->number = 0;
}

/* --- polling --------------------------------------------------------------------------------- */

static void poll_end(struct watched *g, const char *error)
{
    struct vtgate_watch *w = g->watch;
    const char *name = vtgate_name(vtgates_at(w->server->vtgates, g->index));
    bool was_reachable = g->view.reachable;

    g->call = NULL;
    g->looked = g->looking;
    g->view.reachable = !error;
    if (error) {
        g->view.failures++;
        g->fails++;
        if (was_reachable || g->fails == 1)
            log_warn("vtgate_web_failed", "vtgate:s error:s", name, error);
    } else {
        g->view.seen_ms = clock_ms();
        g->view.took_ms = g->view.seen_ms - g->began_ms;
        if (g->fails)
            log_info("vtgate_web_up", "vtgate:s", name);
        g->fails = 0;
    }
    vtgate_record_drift(w);
    poll_in(g, g->full_wanted ? 0 : next_poll_ms(g));
    end_looks(w);
}

static void on_vars(void *arg, const char *body, size_t len, const char *error);
static void on_vschema(void *arg, const char *body, size_t len, const char *error);

static void get_page(struct watched *g, const char *path, web_done_fn *done)
{
    const struct server *server = g->watch->server;
    struct vtgate *v = vtgates_at(server->vtgates, g->index);
    char ip[VTGATE_IP_SIZE], host[300];
    uint16_t port;

    if (!vtgate_web_address(v, ip, &port)) {
        poll_end(g, "the host's address is not known");
        return;
    }
    snprintf(host, sizeof(host), "%s:%u", vtgate_web_host(v), (unsigned)port);
    struct web_request rq = {.ip = ip,
                             .port = port,
                             .host = host,
                             .path = path,
                             .timeout_ms = server->config->vtgate_web_timeout_ms,
                             .max_body = PAGE_MAX};

    g->call = web_call_start(server->base, &rq, NULL, done, g);
    if (!g->call)
        poll_end(g, "no descriptor");
}

/* The page as JSON, or NULL with *error. */
static json_t *parse(const char *body, size_t len, const char **error)
{
    json_t *page = body ? json_loadb(body, len, 0, NULL) : NULL;

    if (body && !page)
        *error = "not JSON: is --port of vtgate there?";
    return page;
}

static void on_vars(void *arg, const char *body, size_t len, const char *error)
{
    struct watched *g = arg;
    uint64_t reloads = g->view.reloads;
    json_t *page = parse(body, len, &error);

    g->call = NULL;
    g->vars_ms = clock_ms();
    if (page && !vtgate_record_vars(g, page))
        error = "/debug/vars is not that of a vtgate";
    json_decref(page);
    if (error)
        poll_end(g, error);
    else if (g->full || g->view.reloads != reloads || !g->forms ||
             clock_ms() - g->full_ms >= VTGATE_WATCH_FULL_MS)
        get_page(g, "/debug/vschema", on_vschema);
    else
        poll_end(g, NULL);
}

static void on_vschema(void *arg, const char *body, size_t len, const char *error)
{
    struct watched *g = arg;
    json_t *page = parse(body, len, &error);

    if (page && !vtgate_record_vschema(g, page))
        error = "/debug/vschema is not that of a vtgate";
    json_decref(page);
    if (!error)
        g->full_ms = clock_ms();
    poll_end(g, error);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct watched *g = arg;

    (void)fd;
    (void)what;
    g->looking = g->watch->looks;
    g->full = g->full_wanted;
    g->began_ms = clock_ms();
    /* glances must not keep the counters from being read */
    bool vars = !g->full || g->vars_wanted || g->began_ms - g->vars_ms >= next_poll_ms(g);

    g->full_wanted = g->vars_wanted = false;
    if (vars)
        get_page(g, "/debug/vars", on_vars);
    else
        get_page(g, "/debug/vschema", on_vschema);
}

/* --- beginning and end ----------------------------------------------------------------------- */

struct vtgate_watch *vtgate_watch_create(struct server *server)
{
    struct vtgate_watch *w = memory_zalloc(sizeof(*w));

    w->server = server;
    w->n = vtgates_count(server->vtgates);
    w->items = memory_zalloc(w->n * sizeof(*w->items));
    w->kick = evtimer_new(server->base, on_kick, w);
    LIST_INIT(&w->pending);
    LIST_INIT(&w->subscribers);
    for (size_t i = 0; i < w->n; i++) {
        struct watched *g = &w->items[i];

        g->watch = w;
        g->index = i;
        g->view.configured = vtgate_web_host(vtgates_at(server->vtgates, i)) != NULL;
        g->timer = evtimer_new(server->base, on_timer, g);
        if (g->view.configured)
            poll_in(g, 0);
    }
    return w;
}

void vtgate_watch_stop(struct vtgate_watch *w)
{
    if (!w)
        return;
    w->stopped = true;
    for (size_t i = 0; i < w->n; i++) {
        struct watched *g = &w->items[i];

        if (g->call)
            web_call_cancel(g->call);
        g->call = NULL;
        event_del(g->timer);
    }
    event_del(w->kick);
}

void vtgate_watch_destroy(struct vtgate_watch *w)
{
    if (!w)
        return;
    for (size_t i = 0; i < w->n; i++) {
        event_free(w->items[i].timer);
        vtgate_record_fini(&w->items[i]);
    }
    event_free(w->kick);
    free(w->items);
    free(w);
}

bool vtgate_watch_configured(const struct vtgate_watch *w)
{
    for (size_t i = 0; i < w->n; i++) {
        if (w->items[i].view.configured)
            return true;
    }
    return false;
}

const struct vtgate_view *vtgate_watch_view(const struct vtgate_watch *w, size_t i)
{
    return &w->items[i].view;
}

const json_t *vtgate_watch_forms(const struct vtgate_watch *w)
{
    for (size_t i = 0; i < w->n; i++) {
        if (watched_is_known(&w->items[i]))
            return w->items[i].forms;
    }
    return NULL;
}

const json_t *vtgate_watch_routing(const struct vtgate_watch *w)
{
    for (size_t i = 0; i < w->n; i++) {
        if (watched_is_known(&w->items[i]))
            return json_object_get(w->items[i].rules, "routing");
    }
    return NULL;
}

const json_t *vtgate_watch_columns(const struct vtgate_watch *w, size_t i, const char *ks,
                                   const char *table)
{
    const struct watched *g = &w->items[i];

    if (!watched_is_known(g) || !vtgate_is_healthy(vtgates_at(w->server->vtgates, i)))
        return NULL;
    return json_object_get(json_object_get(g->columns, ks), table);
}

size_t vtgate_watch_drift(const struct vtgate_watch *w, int64_t *since_ms)
{
    *since_ms = w->drift_since_ms;
    return w->drift;
}

void vtgate_watch_subscribe(struct vtgate_watch *w, struct vtgate_watch_subscriber *s)
{
    LIST_INSERT_HEAD(&w->subscribers, s, link);
}
