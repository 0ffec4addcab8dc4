/*
 * Collects the shapes, decides which of them may be run, and has one call to each vtgate made.
 */
#include "proxy/warm.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "planner/names.h"
#include "planner/sample.h"
#include "proxy/control_warm.h"
#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/server.h"
#include "proxy/shapes.h"
#include "proxy/vtgate_control.h"
#include "proxy/vtgate_watch.h"
#include "proxy/vtgates.h"

struct warm {
    struct server *server;
    struct vtgate *only;
    warm_done_fn *done;
    void *arg;
    struct shape_list *shapes;
    bool *left_out; /* for each of them */
    size_t left_out_count;
    struct control_warm calls[VTGATES_MAX];
    struct warm_result results[VTGATES_MAX];
    size_t n, answered;
};

static void finish(struct warm *w, const char *why)
{
    w->done(w->arg, w->results, w->n, why);
    if (w->shapes)
        shape_list_free(w->shapes);
    free(w->left_out);
    free(w);
}

/* --- what may be run ------------------------------------------------------------------------- */

/* Whether a statement may name a table of which vtgate keeps more than its rows. */
static bool names_special(const struct names *names, const json_t *tables)
{
    const char *table;
    json_t *value, *use;
    size_t i;

    json_object_foreach((json_t *)(uintptr_t)tables, table, value)
    {
        bool special = json_object_get(value, "auto_increment") != NULL;

        json_array_foreach(json_object_get(value, "column_vindexes"), i, use)
        {
            special = special || json_is_true(json_object_get(use, "owned"));
        }
        if (special && names_may_contain(names, table, strlen(table)))
            return true;
    }
    return false;
}

/* A text that writes may be run when it is known that all it does is in the transaction; one that
   reads when it can be cut off (control_warm.c). */
static bool is_left_out(const struct warm *w, const struct shape *s)
{
    const json_t *forms = vtgate_watch_forms(w->server->watch);
    const char *ks;
    json_t *form;
    struct names names;

    if (s->prepared)
        return false;
    if (!sample_writes(s->text, s->len))
        return !sample_is_apart(s->text, s->len);
    if (!forms)
        return true;
    names_collect(&names, s->text, s->len, true);
    json_object_foreach((json_t *)(uintptr_t)forms, ks, form)
    {
        if (names_special(&names, json_object_get(form, "tables")))
            return true;
    }
    return false;
}

/* --- the calls ------------------------------------------------------------------------------- */

static void on_called(void *context, void *arg)
{
    struct warm *w = arg;

    (void)context;
    if (++w->answered < w->n)
        return;
    for (size_t i = 0; i < w->n; i++) {
        const struct control_warm *c = &w->calls[i];
        struct warm_result *r = &w->results[i];

        r->reached = c->reached;
        r->cut = c->cut;
        r->planned = c->planned;
        r->refused = c->refused;
        r->left_out = w->left_out_count;
        r->took_ms = c->took_ms;
        log_info("vtgate_warmed", "vtgate:s reached:s planned:u refused:u left_out:u cut:s ms:d",
                 vtgate_name(r->vtgate), r->reached ? "yes" : "no", (uint64_t)r->planned,
                 (uint64_t)r->refused, (uint64_t)r->left_out, r->cut ? "yes" : "no", r->took_ms);
    }
    finish(w, NULL);
}

static void on_shapes(void *arg, struct shape_list *list)
{
    struct warm *w = arg;
    struct server *server = w->server;

    w->shapes = list;
    if (list->n == 0 || server->stopped || !server->control) {
        finish(w, "no statement has been counted (plans.sample)");
        return;
    }
    w->left_out = memory_zalloc(list->n * sizeof(*w->left_out));
    for (size_t i = 0; i < list->n; i++) {
        w->left_out[i] = is_left_out(w, &list->items[i]);
        w->left_out_count += w->left_out[i];
    }
    for (size_t i = 0; i < vtgates_count(server->vtgates); i++) {
        struct vtgate *v = vtgates_at(server->vtgates, i);

        if ((w->only && v != w->only) || !vtgate_is_healthy(v))
            continue;
        w->results[w->n].vtgate = v;
        w->calls[w->n++] = (struct control_warm){
            .shapes = list, .left_out = w->left_out, .limit_ms = server->config->plans_warm_ms};
    }
    size_t n = w->n;

    if (n == 0)
        finish(w, "no vtgate is up");
    for (size_t i = 0; i < n; i++) /* the last answer may come any time after the last call */
        vtgate_control_call(server->control, (struct vtgate *)(uintptr_t)w->results[i].vtgate,
                            control_warm_run, &w->calls[i], &server->mailbox, on_called, server, w);
}

static void on_nothing(void *context, void *arg)
{
    struct warm *w = arg;

    (void)context;
    finish(w, *w->server->config->control_user ? "plans.warm is 0" : "control.user is not set");
}

void warm_start(struct server *server, struct vtgate *only, warm_done_fn *done, void *arg)
{
    struct warm *w = memory_zalloc(sizeof(*w));

    w->server = server;
    w->only = only;
    w->done = done;
    w->arg = arg;
    if (!*server->config->control_user || server->config->plans_warm == 0)
        mailbox_post(&server->mailbox, on_nothing, server, w);
    else
        shapes_collect(server, (size_t)server->config->plans_warm, on_shapes, w);
}

static void on_warmed(void *arg, const struct warm_result *results, size_t n, const char *why)
{
    struct server *server = arg;

    (void)results;
    (void)n;
    (void)why;
    server->warming = false;
}

static void start(void *context, void *arg)
{
    struct server *server = context;

    (void)arg;
    if (server->warming || server->stopped || server->draining)
        return;
    server->warming = true;
    warm_start(server, NULL, on_warmed, server);
}

void warm_soon(struct server *server)
{
    mailbox_post(&server->mailbox, start, server, NULL);
}
