/*
 * What vtgate_watch.c (asking), vtgate_record.c (what was read) and vtgate_shows.c (questions about
 * it) share. For them only.
 */
#ifndef VTSHIM_PROXY_VTGATE_WATCH_INTERNAL_H
#define VTSHIM_PROXY_VTGATE_WATCH_INTERNAL_H

#include <event2/event.h>
#include <jansson.h>
#include <stdint.h>
#include <sys/queue.h>

#include "proxy/vtgate_watch.h"

#define PLAN_SAMPLES   7
#define PLAN_SAMPLE_MS 10000 /* from sample to sample: together a minute */

struct web_call;

/* The plan cache's counters at a time. */
struct plan_sample {
    int64_t at_ms; /* 0: none */
    uint64_t hits, misses;
};

/* One vtgate. */
struct watched {
    struct vtgate_watch *watch;
    size_t index;
    struct vtgate_view view;
    json_t *forms;   /* keyspace -> vschema_form_of_vtgate; NULL: nothing read yet */
    json_t *columns; /* keyspace -> vschema_form_columns */
    json_t *rules;   /* vschema_form_rules_of_vtgate */
    struct plan_sample samples[PLAN_SAMPLES];
    size_t sample; /* where the next one goes */
    struct event *timer;
    struct web_call *call;    /* under way, or NULL */
    uint64_t looking, looked; /* the last look when the poll under way, the one before, began */
    bool full, full_wanted; /* it reads the VSchema, whatever the counters say; the next one will */
    bool vars_wanted;       /* ... and the counters before */
    int64_t began_ms, full_ms, vars_ms; /* of the poll under way; when which page was read last */
    unsigned fails;                     /* in a row */
};

struct vtgate_watch {
    struct server *server;
    struct watched *items;
    size_t n;
    bool stopped;
    uint64_t looks;     /* asked for so far */
    struct event *kick; /* ends looks at nothing */
    LIST_HEAD(, vtgate_look) pending;
    LIST_HEAD(, vtgate_watch_subscriber) subscribers;
    size_t drift; /* different VSchemas */
    int64_t drift_since_ms;
};

/* vtgate_record.c: takes over the counters, and the VSchema, of a page that was read. False: the
   page has not the form it should. */
bool vtgate_record_vars(struct watched *g, const json_t *page);
bool vtgate_record_vschema(struct watched *g, const json_t *page);
void vtgate_record_fini(struct watched *g);
/* Counts the different VSchemas anew. */
void vtgate_record_drift(struct vtgate_watch *w);

/* Whether it is known what that vtgate serves with. */
static inline bool watched_is_known(const struct watched *g)
{
    return g->forms && g->view.reachable;
}

#endif
