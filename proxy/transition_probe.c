/*
 * Probes: statements of the user's that have to succeed on every vtgate once it has the change, and
 * may say which shards they are to touch. They run as control.user, straight on the vtgates, so
 * that no hold concerns them. With shards to be touched a probe runs as VEXPLAIN QUERIES, which
 * really runs it and lists each query that went to a shard.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/server.h"
#include "proxy/transition_internal.h"
#include "proxy/vtgates.h"

/* Whether the comma separated list has that item. */
static bool has_item(const char *list, const char *item)
{
    size_t n = strlen(item);

    for (const char *at = list; *at; at += strspn(at, ", ")) {
        size_t len = strcspn(at, ", ");

        if (len == n && memcmp(at, item, n) == 0)
            return true;
        at += len;
    }
    return false;
}

static void add_item(char *list, size_t size, const char *item)
{
    size_t n = strlen(list);

    if (!has_item(list, item))
        snprintf(list + n, size - n, "%s%s", n ? "," : "", item);
}

/* Each list has all that the other has. */
static bool same_items(const char *a, const char *b)
{
    const char *lists[] = {a, b};

    for (size_t i = 0; i < 2; i++) {
        for (const char *at = lists[i]; *at; at += strspn(at, ", ")) {
            size_t len = strcspn(at, ", ");
            char item[128];

            snprintf(item, sizeof(item), "%.*s", (int)(len < 127 ? len : 127), at);
            if (len && !has_item(lists[1 - i], item))
                return false;
            at += len;
        }
    }
    return true;
}

/* t->attempt counts through the vtgates, and for each through the probes. */
static const struct transition_probe *current_probe(const struct transition *t)
{
    return &t->order.probes[t->attempt % t->order.probe_count];
}

static void run_next(struct transition *t);

static void on_probed(struct transition *t, const struct control_query *q)
{
    const struct transition_probe *p = current_probe(t);
    const struct control_result *r = &q->results[q->n - 1];
    char shards[1024] = "";
    size_t number = (size_t)(p - t->order.probes) + 1;

    if (q->code) {
        transition_fail(t, 1105, "HY000", "probe %zu failed on %s: %u (%s) %.250s", number,
                        vtgate_name(q->vtgate), q->code, q->state, q->error);
        return;
    }
    for (size_t i = 0; p->shards && i < r->rows; i++) {
        const char *shard = control_result_value(r, i, "shard");

        if (shard)
            add_item(shards, sizeof(shards), shard);
    }
    if (p->shards && !same_items(shards, p->shards)) {
        transition_fail(t, 1105, "HY000", "probe %zu on %s touched shards '%.150s', not '%.150s'",
                        number, vtgate_name(q->vtgate), shards, p->shards);
        return;
    }
    if (t->step == STEP_PROBE)
        transition_say(t, "probe", vtgate_name(q->vtgate), "probe %zu: ok%s%s", number,
                       p->shards ? ", shards " : "", shards);
    t->attempt++;
    run_next(t);
}

static void run_next(struct transition *t)
{
    struct vtgates *vs = t->server->vtgates;
    size_t n = t->order.probe_count;

    /* A vtgate that is down serves nobody. */
    while (n && t->attempt / n < vtgates_count(vs) &&
           !vtgate_is_healthy(vtgates_at(vs, t->attempt / n)))
        t->attempt += (unsigned)n;
    if (!n || t->attempt / n >= vtgates_count(vs)) {
        t->probed(t);
        return;
    }
    const struct transition_probe *p = current_probe(t);
    struct control_query *q = control_query_create();

    q->vtgate = vtgates_at(vs, t->attempt / n);
    if (*t->order.keyspace)
        control_query_add(q, "USE `%s`", t->order.keyspace);
    control_query_add(q, "%s%s", p->shards ? "VEXPLAIN QUERIES " : "", p->sql);
    transition_query(t, q, on_probed);
}

void transition_probe_then(struct transition *t, void (*then)(struct transition *t))
{
    t->probed = then;
    run_next(t);
}

void transition_probe(struct transition *t)
{
    transition_probe_then(t, transition_next);
}
