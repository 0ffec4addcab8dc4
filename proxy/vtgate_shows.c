/*
 * Questions about what all vtgates serve with, answered from what was read last.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "proxy/server.h"
#include "proxy/topo_moving.h"
#include "proxy/vtgate_watch_internal.h"
#include "proxy/vtgates.h"

/* One vtgate's answer: whether it shows what is asked for; else what differs. */
typedef bool shows_fn(const struct watched *g, const void *question, char *what, size_t size);

/* Asks those that are up. */
static enum vtgate_shows ask_all(const struct vtgate_watch *w, shows_fn *shows,
                                 const void *question, char *why, size_t size)
{
    enum vtgate_shows result = VTGATES_SHOW;
    char what[400];

    *why = '\0';
    for (size_t i = 0; i < w->n; i++) {
        const struct watched *g = &w->items[i];
        struct vtgate *v = vtgates_at(w->server->vtgates, i);

        if (!vtgate_is_healthy(v))
            continue;
        if (!watched_is_known(g)) {
            if (result == VTGATES_SHOW)
                snprintf(why, size, "vtgate %s: %s", vtgate_name(v),
                         g->view.configured ? "its web pages cannot be read"
                                            : "its web address is not configured");
            result = VTGATES_UNKNOWN;
        } else if (!shows(g, question, what, sizeof(what))) {
            snprintf(why, size, "vtgate %s: %s", vtgate_name(v), what);
            return VTGATES_SHOW_NOT;
        }
    }
    return result;
}

/* --- VSchemas -------------------------------------------------------------------------------- */

struct keyspace_question {
    const char *ks, *digest;
    const json_t *form;
};

static bool shows_keyspace(const struct watched *g, const void *question, char *what, size_t size)
{
    const struct keyspace_question *q = question;
    const json_t *form = json_object_get(g->forms, q->ks);

    if (!form || !q->form) {
        snprintf(what, size, "%s keyspace %s", form ? "still has" : "does not know", q->ks);
        return !form && !q->form;
    }
    return !vschema_form_differs(q->form, form, what, size);
}

enum vtgate_shows vtgate_watch_shows(const struct vtgate_watch *w, const char *ks,
                                     const json_t *form, char *why, size_t size)
{
    struct keyspace_question q = {.ks = ks, .form = form};

    return ask_all(w, shows_keyspace, &q, why, size);
}

static bool shows_rules(const struct watched *g, const void *question, char *what, size_t size)
{
    return !vschema_form_differs(question, g->rules, what, size);
}

enum vtgate_shows vtgate_watch_shows_rules(const struct vtgate_watch *w, const json_t *form,
                                           char *why, size_t size)
{
    return ask_all(w, shows_rules, form, why, size);
}

struct route_question {
    const char *from, *to, *table;
};

static bool shows_route(const struct watched *g, const void *question, char *what, size_t size)
{
    const struct route_question *q = question;

    snprintf(what, size, "it does not lead there");
    return topo_moving_leads(json_object_get(g->rules, "routing"), q->from, q->to, q->table);
}

enum vtgate_shows vtgate_watch_shows_route(const struct vtgate_watch *w, const char *from,
                                           const char *to, const char *table)
{
    struct route_question q = {from, to, table};
    char why[512];

    return ask_all(w, shows_route, &q, why, sizeof(why));
}

static bool shows_digest(const struct watched *g, const void *question, char *what, size_t size)
{
    const struct keyspace_question *q = question;
    const char *digest = "none";

    for (size_t i = 0; i < g->view.keyspace_count; i++) {
        if (strcmp(g->view.keyspaces[i].name, q->ks) == 0)
            digest = g->view.keyspaces[i].digest;
    }
    snprintf(what, size, "keyspace %s has digest %s, expected %s", q->ks, digest, q->digest);
    return strcmp(digest, q->digest) == 0;
}

enum vtgate_shows vtgate_watch_shows_digest(const struct vtgate_watch *w, const char *ks,
                                            const char *digest, char *why, size_t size)
{
    struct keyspace_question q = {.ks = ks, .digest = digest};

    return ask_all(w, shows_digest, &q, why, size);
}

/* --- columns --------------------------------------------------------------------------------- */

struct columns_question {
    const char *ks, *table;
    const char *const *columns;
    size_t n;
};

static bool is_asked_for(const struct columns_question *q, const char *name)
{
    for (size_t i = 0; i < q->n; i++) {
        if (strcasecmp(q->columns[i], name) == 0)
            return true;
    }
    return false;
}

static bool shows_columns(const struct watched *g, const void *question, char *what, size_t size)
{
    const struct columns_question *q = question;
    const json_t *all = json_object_get(json_object_get(g->columns, q->ks), q->table), *one;
    size_t i;

    if (!all) {
        snprintf(what, size, "does not know the columns of %s.%s", q->ks, q->table);
        return false;
    }
    json_array_foreach(all, i, one)
    {
        const char *name = json_string_value(json_array_get(one, 0));

        if (!is_asked_for(q, name)) {
            snprintf(what, size, "%s.%s still has column %s", q->ks, q->table, name);
            return false;
        }
    }
    snprintf(what, size, "%s.%s has %zu columns, expected %zu", q->ks, q->table,
             json_array_size(all), q->n);
    return json_array_size(all) == q->n;
}

enum vtgate_shows vtgate_watch_shows_columns(const struct vtgate_watch *w, const char *ks,
                                             const char *table, const char *const *columns,
                                             size_t n, char *why, size_t size)
{
    struct columns_question q = {ks, table, columns, n};

    return ask_all(w, shows_columns, &q, why, size);
}
