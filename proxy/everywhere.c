/*
 * Two references: the session's, and the control loop's while it asks. The state alone is shared.
 */
#include "proxy/everywhere.h"

#include <event2/event.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "planner/ddl.h"
#include "proxy/control_query.h"
#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/server.h"
#include "proxy/vtgate_control.h"
#include "proxy/vtgate_watch.h"
#include "proxy/vtgates.h"

#define LOOK_MS        100
#define NAME_MAX_BYTES 260 /* 64 characters of four bytes, and some */

struct everywhere {
    LIST_ENTRY(everywhere) link; /* of server->everywhere, as long as it asks */
    _Atomic unsigned references;
    _Atomic int state;
    struct server *server;
    char keyspace[NAME_MAX_BYTES], table[NAME_MAX_BYTES];
    char *columns;      /* owned: n strings, each in width bytes */
    const char **names; /* into columns; owned */
    size_t n, width;
    int64_t until_ms;
    /* The control loop's: */
    struct event *timer;
    struct vtgate_look look;
    struct control_query *query;
    size_t vtgate; /* by control.user: the one that is asked */
    char why[400];
};

enum everywhere_state everywhere_state(const struct everywhere *e)
{
    return (enum everywhere_state)atomic_load_explicit((_Atomic int *)(uintptr_t)&e->state,
                                                       memory_order_acquire);
}

static void release(struct everywhere *e)
{
    if (atomic_fetch_sub(&e->references, 1) > 1)
        return;
    free(e->columns);
    free(e->names);
    free(e);
}

void everywhere_drop(struct everywhere *e)
{
    if (e)
        release(e);
}

static void end(struct everywhere *e, enum everywhere_state state)
{
    if (state == EVERYWHERE_NOT_SEEN)
        log_warn("ddl_not_visible_everywhere", "keyspace:s table:s reason:s", e->keyspace, e->table,
                 e->why);
    vtgate_watch_look_cancel(&e->look);
    LIST_REMOVE(e, link);
    event_free(e->timer);
    atomic_store_explicit(&e->state, state, memory_order_release);
    release(e);
}

/* Whether anybody but the control loop still wants to know, and there is time. */
static bool goes_on(struct everywhere *e)
{
    if (atomic_load(&e->references) == 1)
        end(e, EVERYWHERE_CANNOT_TELL);
    else if (clock_ms() >= e->until_ms)
        end(e, EVERYWHERE_NOT_SEEN);
    else
        return true;
    return false;
}

static void look_later(struct everywhere *e)
{
    static const struct timeval PAUSE = {0, LOOK_MS * 1000};

    if (goes_on(e))
        evtimer_add(e->timer, &PAUSE);
}

/* --- by control.user ------------------------------------------------------------------------- */

bool everywhere_plan_shows(struct bytes plan, const void *columns, size_t width, size_t n)
{
    struct sql_name *names = memory_zalloc(n * sizeof(*names));

    for (size_t i = 0; i < n; i++) {
        const char *name = (const char *)columns + i * width;

        names[i] = (struct sql_name){name, strlen(name)};
    }
    bool seen = ddl_plan_selects((const char *)plan.p, plan.len, names, n);

    free(names);
    return seen;
}

static void ask_next(struct everywhere *e);

static void on_answer(void *context, void *arg)
{
    struct everywhere *e = arg;
    struct server *server = context;
    struct control_query *q = e->query;
    const struct control_result *r = &q->results[0];
    const char *plan = q->done == 1 && r->rows && r->columns ? r->values[0] : NULL;
    bool seen = plan && everywhere_plan_shows((struct bytes){(const uint8_t *)plan, strlen(plan)},
                                              e->columns, e->width, e->n);

    control_query_destroy(q);
    e->query = NULL;
    if (seen) {
        e->vtgate++;
        ask_next(e);
        return;
    }
    snprintf(e->why, sizeof(e->why), "vtgate %s does not plan with the new columns",
             vtgate_name(vtgates_at(server->vtgates, e->vtgate)));
    if (server->stopped)
        end(e, EVERYWHERE_NOT_SEEN);
    else
        look_later(e);
}

/* Those that are up, one after the other; one that has seen it is not asked again. */
static void ask_next(struct everywhere *e)
{
    struct server *server = e->server;
    size_t n = vtgates_count(server->vtgates);

    while (e->vtgate < n && !vtgate_is_healthy(vtgates_at(server->vtgates, e->vtgate)))
        e->vtgate++;
    if (e->vtgate == n) {
        end(e, EVERYWHERE_SEEN);
        return;
    }
    if (!server->control) {
        end(e, EVERYWHERE_CANNOT_TELL);
        return;
    }
    e->query = control_query_create();
    control_query_add(e->query, "VEXPLAIN PLAN SELECT * FROM `%s`.`%s`", e->keyspace, e->table);
    e->query->vtgate = vtgates_at(server->vtgates, e->vtgate);
    vtgate_control_run(server->control, e->query, &server->mailbox, on_answer, server, e);
}

/* --- by the web pages ------------------------------------------------------------------------ */

static void on_looked(void *arg)
{
    struct everywhere *e = arg;

    switch (vtgate_watch_shows_columns(e->server->watch, e->keyspace, e->table, e->names, e->n,
                                       e->why, sizeof(e->why))) {
    case VTGATES_SHOW:
        end(e, EVERYWHERE_SEEN);
        break;
    case VTGATES_SHOW_NOT:
        look_later(e);
        break;
    case VTGATES_UNKNOWN:
        if (!*e->server->config->control_user)
            end(e, EVERYWHERE_CANNOT_TELL);
        else if (goes_on(e))
            ask_next(e);
        break;
    }
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct everywhere *e = arg;

    (void)fd;
    (void)what;
    if (vtgate_watch_configured(e->server->watch))
        vtgate_watch_look(e->server->watch, &e->look, on_looked, e);
    else if (*e->server->config->control_user)
        ask_next(e);
    else
        end(e, EVERYWHERE_CANNOT_TELL);
}

static void begin(void *context, void *arg)
{
    struct server *server = context;
    struct everywhere *e = arg;

    LIST_INSERT_HEAD(&server->everywhere, e, link);
    e->timer = evtimer_new(server->base, on_timer, e);
    if (server->stopped)
        end(e, EVERYWHERE_CANNOT_TELL);
    else
        on_timer(-1, 0, e);
}

struct everywhere *everywhere_ask(struct server *server, const char *keyspace, const char *table,
                                  const void *columns, size_t width, size_t n, int64_t timeout_ms)
{
    struct everywhere *e = memory_zalloc(sizeof(*e));

    atomic_init(&e->references, 2);
    atomic_init(&e->state, EVERYWHERE_ASKING);
    e->server = server;
    snprintf(e->keyspace, sizeof(e->keyspace), "%s", keyspace);
    snprintf(e->table, sizeof(e->table), "%s", table);
    e->columns = memory_copy(columns, n * width);
    e->names = memory_zalloc((n + 1) * sizeof(*e->names));
    for (size_t i = 0; i < n; i++)
        e->names[i] = e->columns + i * width;
    e->n = n;
    e->width = width;
    e->until_ms = clock_ms() + timeout_ms;
    mailbox_post(&server->mailbox, begin, server, e);
    return e;
}

void everywhere_stop_all(struct server *server)
{
    while (!LIST_EMPTY(&server->everywhere))
        end(LIST_FIRST(&server->everywhere), EVERYWHERE_CANNOT_TELL);
}
