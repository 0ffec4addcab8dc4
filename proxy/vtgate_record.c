/*
 * What a vtgate's pages say, kept with what it said before: counters, digests, and what changed.
 */
#include <stdlib.h>
#include <string.h>

#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/server.h"
#include "proxy/vtgate_watch_internal.h"
#include "proxy/vtgates.h"

#define HITS_MIN 100 /* statements in a minute below which no share is told */

/* --- /debug/vars ----------------------------------------------------------------------------- */

static uint64_t number(const json_t *object, const char *name)
{
    json_int_t n = json_integer_value(json_object_get(object, name));

    return n > 0 ? (uint64_t)n : 0;
}

/* The share of hits since the oldest sample, which is a minute old once there are enough. */
static void measure_hits(struct watched *g, int64_t now)
{
    struct vtgate_plans *p = &g->view.plans;
    const struct plan_sample *newest = &g->samples[(g->sample + PLAN_SAMPLES - 1) % PLAN_SAMPLES];

    if (newest->at_ms && (p->hits < newest->hits || p->misses < newest->misses)) {
        memset(g->samples, 0, sizeof(g->samples)); /* it was restarted */
        g->sample = 0;
        newest = &g->samples[PLAN_SAMPLES - 1];
    }
    const struct plan_sample *oldest = &g->samples[g->sample];

    if (!oldest->at_ms)
        oldest = &g->samples[0];
    uint64_t hits = oldest->at_ms ? p->hits - oldest->hits : 0;
    uint64_t all = oldest->at_ms ? hits + p->misses - oldest->misses : 0;

    p->hit_percent = all >= HITS_MIN ? (int64_t)(hits * 100 / all) : -1;
    if (newest->at_ms && now - newest->at_ms < PLAN_SAMPLE_MS)
        return;
    g->samples[g->sample] = (struct plan_sample){now, p->hits, p->misses};
    g->sample = (g->sample + 1) % PLAN_SAMPLES;
}

static void judge_hits(struct watched *g)
{
    const struct server *server = g->watch->server;
    struct vtgate_plans *p = &g->view.plans;
    bool cold = p->hit_percent >= 0 && p->hit_percent < server->config->vtgate_web_min_hit_percent;

    if (cold != p->cold)
        log_event(cold ? LOG_LEVEL_WARN : LOG_LEVEL_INFO,
                  cold ? "vtgate_plans_cold" : "vtgate_plans_warm",
                  "vtgate:s hit_percent:d length:u misses:u evictions:u",
                  vtgate_name(vtgates_at(server->vtgates, g->index)), p->hit_percent, p->length,
                  p->misses, p->evictions);
    p->cold = cold;
}

bool vtgate_record_vars(struct watched *g, const json_t *page)
{
    const json_t *counts = json_object_get(page, "VtgateVSchemaCounts");
    struct vtgate_plans *p = &g->view.plans;

    if (!json_is_object(counts) || !json_is_integer(json_object_get(page, "QueryPlanCacheHits")))
        return false;
    g->view.reloads = number(counts, "Reload");
    g->view.watch_errors = number(counts, "WatchError");
    p->length = number(page, "QueryPlanCacheLength");
    p->hits = number(page, "QueryPlanCacheHits");
    p->misses = number(page, "QueryPlanCacheMisses");
    p->evictions = number(page, "QueryPlanCacheEvictions");
    vtgate_traffic_read(&g->view.traffic, page);
    measure_hits(g, clock_ms());
    judge_hits(g);
    return true;
}

/* --- what changed ---------------------------------------------------------------------------- */

static void tell(struct watched *g, enum vtgate_change change, const char *ks, const json_t *tables)
{
    struct vtgate_watch_subscriber *s;

    LIST_FOREACH(s, &g->watch->subscribers, link)
    {
        s->changed(s->arg, g->index, change, ks, tables);
    }
}

/* The names under which two objects differ. */
static void add_different(json_t *names, json_t *before, json_t *after)
{
    const char *name;
    json_t *value;

    json_object_foreach(after, name, value)
    {
        if (!json_equal(value, json_object_get(before, name)))
            json_array_append_new(names, json_string(name));
    }
    json_object_foreach(before, name, value)
    {
        if (!json_object_get(after, name))
            json_array_append_new(names, json_string(name));
    }
}

/* The tables of a keyspace that are concerned, as an array; an empty one stands for all: sharding
   or a vindex has changed, which may concern any. */
static json_t *changed_tables(const json_t *before, const json_t *after)
{
    json_t *names = json_array();

    if (json_equal(json_object_get(before, "sharded"), json_object_get(after, "sharded")) &&
        json_equal(json_object_get(before, "foreign_key_mode"),
                   json_object_get(after, "foreign_key_mode")))
        add_different(names, json_object_get(before, "tables"), json_object_get(after, "tables"));
    return names;
}

static void tell_changes(struct watched *g, json_t *forms, json_t *columns, const json_t *rules)
{
    json_t *value, *names = json_array();
    size_t i;

    add_different(names, g->forms, forms);
    json_array_foreach(names, i, value)
    {
        const char *ks = json_string_value(value);
        json_t *tables = changed_tables(json_object_get(g->forms, ks), json_object_get(forms, ks));

        tell(g, VTGATE_CHANGE_VSCHEMA, ks, tables);
        json_decref(tables);
    }
    json_array_clear(names);
    add_different(names, g->columns, columns);
    json_array_foreach(names, i, value)
    {
        const char *ks = json_string_value(value);
        json_t *tables = json_array();

        add_different(tables, json_object_get(g->columns, ks), json_object_get(columns, ks));
        tell(g, VTGATE_CHANGE_COLUMNS, ks, tables);
        json_decref(tables);
    }
    json_decref(names);
    if (!json_equal(g->rules, rules))
        tell(g, VTGATE_CHANGE_RULES, NULL, NULL);
}

/* --- /debug/vschema -------------------------------------------------------------------------- */

static void free_keyspaces(struct vtgate_view *v)
{
    for (size_t i = 0; i < v->keyspace_count; i++)
        free(v->keyspaces[i].name);
    free(v->keyspaces);
    v->keyspaces = NULL;
    v->keyspace_count = 0;
}

static const struct vtgate_keyspace *find(const struct vtgate_view *v, const char *name)
{
    for (size_t i = 0; i < v->keyspace_count; i++) {
        if (strcmp(v->keyspaces[i].name, name) == 0)
            return &v->keyspaces[i];
    }
    return NULL;
}

static int compare_keyspaces(const void *a, const void *b)
{
    return strcmp(((const struct vtgate_keyspace *)a)->name,
                  ((const struct vtgate_keyspace *)b)->name);
}

static void take_keyspaces(struct watched *g, json_t *found, json_t *forms, json_t *columns)
{
    struct vtgate_view *v = &g->view, fresh = {.keyspaces = NULL};
    const char *name;
    json_t *keyspace;

    fresh.keyspaces = memory_zalloc((json_object_size(found) + 1) * sizeof(*fresh.keyspaces));
    json_object_foreach(found, name, keyspace)
    {
        struct vtgate_keyspace *k = &fresh.keyspaces[fresh.keyspace_count++];
        const struct vtgate_keyspace *before = find(v, name);

        k->name = memory_copy(name, strlen(name));
        vschema_form_digest(json_object_get(forms, name), k->digest);
        vschema_form_digest(json_object_get(columns, name), k->columns);
        k->broken = *vschema_form_error(keyspace) != '\0';
        k->since_ms =
            before && strcmp(before->digest, k->digest) == 0 ? before->since_ms : clock_ms();
        if (k->broken && !(before && before->broken))
            log_warn("vtgate_vschema_broken", "vtgate:s keyspace:s",
                     vtgate_name(vtgates_at(g->watch->server->vtgates, g->index)), name);
    }
    qsort(fresh.keyspaces, fresh.keyspace_count, sizeof(*fresh.keyspaces), compare_keyspaces);
    free_keyspaces(v);
    v->keyspaces = fresh.keyspaces;
    v->keyspace_count = fresh.keyspace_count;
}

/* How long ago another vtgate was first seen with the same. */
static int64_t later_than_first(const struct watched *g, int64_t now)
{
    const struct vtgate_watch *w = g->watch;
    int64_t first = now;

    for (size_t i = 0; i < w->n; i++) {
        const struct vtgate_view *other = &w->items[i].view;

        if (&w->items[i] != g && strcmp(other->digest, g->view.digest) == 0 &&
            other->since_ms < first)
            first = other->since_ms;
    }
    return now - first;
}

/* Whoever shows something new is not the only one for long: the others are looked at, too. */
static void look_at_others(struct watched *g)
{
    static const struct timeval NOW = {0, 0};
    struct vtgate_watch *w = g->watch;

    for (size_t i = 0; i < w->n; i++) {
        struct watched *other = &w->items[i];

        if (other != g && other->view.configured && other->view.reachable && !other->call)
            evtimer_add(other->timer, &NOW);
    }
}

static void take_digest(struct watched *g)
{
    struct vtgate_view *v = &g->view;
    json_t *all = json_array();
    char digest[VSCHEMA_DIGEST_SIZE];

    for (size_t i = 0; i < v->keyspace_count; i++)
        json_array_append_new(all,
                              json_pack("[s,s]", v->keyspaces[i].name, v->keyspaces[i].digest));
    json_array_append_new(all, json_string(v->rules));
    vschema_form_digest(all, digest);
    json_decref(all);
    if (strcmp(digest, v->digest) == 0)
        return;
    bool is_first = !*v->digest;

    memcpy(v->digest, digest, sizeof(digest));
    v->since_ms = clock_ms();
    v->refresh_ms = is_first ? 0 : later_than_first(g, v->since_ms);
    if (is_first)
        return;
    log_info("vtgate_vschema", "vtgate:s digest:s reloads:u later_ms:d",
             vtgate_name(vtgates_at(g->watch->server->vtgates, g->index)), digest, v->reloads,
             v->refresh_ms);
    look_at_others(g);
}

bool vtgate_record_vschema(struct watched *g, const json_t *page)
{
    json_t *found = json_object_get(page, "keyspaces"), *keyspace;
    const char *name;

    if (!json_is_object(found) || !json_object_get(page, "routing_rules"))
        return false;
    json_t *forms = json_object(), *columns = json_object();
    json_t *rules = vschema_form_rules_of_vtgate(page);

    json_object_foreach(found, name, keyspace)
    {
        json_object_set_new(forms, name, vschema_form_of_vtgate(keyspace));
        json_object_set_new(columns, name, vschema_form_columns(keyspace));
    }
    take_keyspaces(g, found, forms, columns);
    vschema_form_digest(rules, g->view.rules);
    take_digest(g);
    if (g->forms)
        tell_changes(g, forms, columns, rules);
    json_decref(g->forms);
    json_decref(g->columns);
    json_decref(g->rules);
    g->forms = forms;
    g->columns = columns;
    g->rules = rules;
    return true;
}

void vtgate_record_fini(struct watched *g)
{
    free_keyspaces(&g->view);
    json_decref(g->forms);
    json_decref(g->columns);
    json_decref(g->rules);
}

/* --- drift ----------------------------------------------------------------------------------- */

void vtgate_record_drift(struct vtgate_watch *w)
{
    size_t different = 0;

    for (size_t i = 0; i < w->n; i++) {
        bool is_new =
            watched_is_known(&w->items[i]) && vtgate_is_healthy(vtgates_at(w->server->vtgates, i));

        for (size_t j = 0; is_new && j < i; j++) {
            is_new = !(watched_is_known(&w->items[j]) &&
                       vtgate_is_healthy(vtgates_at(w->server->vtgates, j)) &&
                       strcmp(w->items[i].view.digest, w->items[j].view.digest) == 0);
        }
        different += is_new ? 1 : 0;
    }
    if ((different > 1) != (w->drift > 1)) {
        int64_t now = clock_ms();

        if (different > 1)
            log_info("vtgates_differ", "vschemas:u", (uint64_t)different);
        else
            log_info("vtgates_agree", "after_ms:d", now - w->drift_since_ms);
        w->drift_since_ms = now;
    }
    w->drift = different;
}
