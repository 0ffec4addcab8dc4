/*
 * What each vtgate serves with, as its own web pages tell (vtgate_web.*): /debug/vars is read every
 * vtgate_web.interval_ms, /debug/vschema when its counter VtgateVSchemaCounts.Reload has moved,
 * when somebody asks for a look, and every VTGATE_WATCH_FULL_MS, because the reload of a schema
 * (SchemaTracker) moves the same counter and a counter may be missed in a restart.
 *
 * Where no vtgate has a web address (vtgate_web_host) the watch exists, knows nothing and says so.
 * Everything here is of the control loop only. A vtgate that is down (vtgate_is_healthy) accepts no
 * sessions and is left out of all comparisons; one that is being drained still has some.
 */
#ifndef VTSHIM_PROXY_VTGATE_WATCH_H
#define VTSHIM_PROXY_VTGATE_WATCH_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "proxy/vschema_form.h"
#include "proxy/vtgate_traffic.h"

#define VTGATE_WATCH_FULL_MS 30000

struct server;
struct vtgate_watch;

struct vtgate_watch *vtgate_watch_create(struct server *server);
/* Nothing is asked any more, and no callback comes after this; the loop needs a turn to free what
   libevent holds. NULL is fine. */
void vtgate_watch_stop(struct vtgate_watch *w);
void vtgate_watch_destroy(struct vtgate_watch *w);

/* Whether any vtgate has a web address at all. */
bool vtgate_watch_configured(const struct vtgate_watch *w);

/* --- records --------------------------------------------------------------------------------- */

/* A vtgate's plan cache: counters since its start, and over the last minute. */
struct vtgate_plans {
    uint64_t length, hits, misses, evictions;
    int64_t hit_percent; /* over the last minute; -1: too few statements to tell */
    bool cold;           /* hit_percent is below vtgate_web.min_hit_percent */
};

/* One keyspace as a vtgate has it. */
struct vtgate_keyspace {
    char *name;
    char digest[VSCHEMA_DIGEST_SIZE];  /* of vschema_form_of_vtgate */
    char columns[VSCHEMA_DIGEST_SIZE]; /* of vschema_form_columns */
    int64_t since_ms;                  /* since when this digest (CLOCK_MONOTONIC) */
    bool broken;                       /* vtgate itself reports an error about it */
};

struct vtgate_view {
    bool configured; /* it has a web address */
    bool reachable;  /* its pages could be read the last time */
    int64_t seen_ms; /* when they were read the last time; 0: never */
    int64_t took_ms; /* how long that took */
    uint64_t failures;
    uint64_t reloads, watch_errors; /* VtgateVSchemaCounts */
    struct vtgate_plans plans;
    struct vtgate_traffic traffic;    /* counters since its start */
    char digest[VSCHEMA_DIGEST_SIZE]; /* of all keyspaces' and the rules' digests; "": not known */
    int64_t since_ms;                 /* since when that */
    int64_t refresh_ms; /* how long after the first vtgate it showed its VSchema's last change */
    char rules[VSCHEMA_DIGEST_SIZE];
    struct vtgate_keyspace *keyspaces; /* in the order of their names */
    size_t keyspace_count;
};

/* The record of vtgate i (as vtgates_at); valid until the next turn of the loop. */
const struct vtgate_view *vtgate_watch_view(const struct vtgate_watch *w, size_t i);

/* The VSchemas of a vtgate that is up and known, whichever: an object of keyspaces' forms; NULL:
   none is known. Valid until the next turn of the loop. */
const json_t *vtgate_watch_forms(const struct vtgate_watch *w);

/* The columns that vtgate i knows of that table, as in vschema_form_columns; NULL: none, or the
   vtgate is down or not known. Valid until the next turn of the loop. */
const json_t *vtgate_watch_columns(const struct vtgate_watch *w, size_t i, const char *ks,
                                   const char *table);

/* The rules of tables, {from: [to ..]}, of a vtgate that is up and known, whichever; NULL likewise.
 */
const json_t *vtgate_watch_routing(const struct vtgate_watch *w);

/* How many different VSchemas the vtgates that are up and known serve with: 1 is as it should be,
   0: none is known. *since_ms: since when there is more than one. */
size_t vtgate_watch_drift(const struct vtgate_watch *w, int64_t *since_ms);

/* --- looking now ----------------------------------------------------------------------------- */

/* A look at all vtgates, owned by whoever asks for it. */
struct vtgate_look {
    LIST_ENTRY(vtgate_look) link;
    uint64_t number; /* 0: not under way */
    void (*done)(void *arg);
    void *arg;
};

/* Reads all pages of all vtgates anew, beginning after this call, and calls done when each has
   answered or failed (within 2 x vtgate_web.timeout_ms or so). Never from inside of this call. */
void vtgate_watch_look(struct vtgate_watch *w, struct vtgate_look *look, void (*done)(void *arg),
                       void *arg);
/* The same of /debug/vschema alone, which under load takes half the time: what vtgate_watch_shows
   judges by is new, counters may be as old as vtgate_web.interval_ms. */
void vtgate_watch_glance(struct vtgate_watch *w, struct vtgate_look *look, void (*done)(void *arg),
                         void *arg);
/* done is not called any more. One that is not under way is fine. */
void vtgate_watch_look_cancel(struct vtgate_look *look);

/* --- questions ------------------------------------------------------------------------------- */

enum vtgate_shows {
    VTGATES_SHOW,     /* all that are up show it */
    VTGATES_SHOW_NOT, /* at least one shows something else */
    VTGATES_UNKNOWN,  /* nobody shows something else, but of at least one it is not known */
};

/*
 * Whether all vtgates serve keyspace ks with what `form` says (of vschema_form_of_topo; NULL: the
 * keyspace is not in their VSchema), or their rules are `form` (of vschema_form_rules_of_topo).
 * Judged by what was read last: look first. why[0..size) then names a vtgate and what differs.
 */
enum vtgate_shows vtgate_watch_shows(const struct vtgate_watch *w, const char *ks,
                                     const json_t *form, char *why, size_t size);
enum vtgate_shows vtgate_watch_shows_rules(const struct vtgate_watch *w, const json_t *form,
                                           char *why, size_t size);
/* The same by a digest: of vschema_form_digest of such a form. */
enum vtgate_shows vtgate_watch_shows_digest(const struct vtgate_watch *w, const char *ks,
                                            const char *digest, char *why, size_t size);

/* Whether on all vtgates "from.table" leads to "to.table" alone, by a routing rule. */
enum vtgate_shows vtgate_watch_shows_route(const struct vtgate_watch *w, const char *from,
                                           const char *to, const char *table);

/* Whether all vtgates know exactly these columns (names, any order, ASCII case aside) of the table.
 */
enum vtgate_shows vtgate_watch_shows_columns(const struct vtgate_watch *w, const char *ks,
                                             const char *table, const char *const *columns,
                                             size_t n, char *why, size_t size);

/* --- changes --------------------------------------------------------------------------------- */

enum vtgate_change {
    VTGATE_CHANGE_VSCHEMA, /* the VSchema of a keyspace */
    VTGATE_CHANGE_RULES,   /* routing rules; ks is NULL */
    VTGATE_CHANGE_COLUMNS, /* columns of tables of a keyspace */
};

/* Called for each change that a vtgate shows, with the tables it is about as far as that can be
   told (names in an array, borrowed). The first VSchema that a vtgate shows is no change. */
typedef void vtgate_watch_changed_fn(void *arg, size_t vtgate, enum vtgate_change change,
                                     const char *ks, const json_t *tables);

struct vtgate_watch_subscriber {
    LIST_ENTRY(vtgate_watch_subscriber) link;
    vtgate_watch_changed_fn *changed;
    void *arg;
};

/* The subscriber is its owner's, until it is taken off the list (LIST_REMOVE of link), which must
   not happen from inside of a call. */
void vtgate_watch_subscribe(struct vtgate_watch *w, struct vtgate_watch_subscriber *s);

#endif
