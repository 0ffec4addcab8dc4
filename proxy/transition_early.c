/*
 * Letting statements go on before vtctld is through with a switch of traffic. What it does last
 * (the reverse workflow's streams are started, this one's frozen, its state is read again) no
 * statement has to wait for: the tables are served where they were moved to from the moment that
 * the routing rules lead there, which is behind Vitess's point of no return (the journal) and
 * behind the target's tablets being told to allow writes. So the rules are asked for while the call
 * runs, and once every vtgate shows them the holds go; how the call ends is told as ever.
 *
 * Not for a Reshard, nor where vtgates cannot be looked at, nor where the rules led there before
 * the call: what they say then tells nothing about it.
 *
 * Sources: switchWrites in Vitess's go/vt/vtctl/workflow/server.go, changeWriteRoute in its
 * traffic_switcher.go.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/memory.h"
#include "proxy/server.h"
#include "proxy/transition_internal.h"
#include "vtctldata.pb-c.h"

#define ASK_MS  40 /* from answer to question, to vtctld */
#define LOOK_MS 20 /* likewise to the vtgates */

struct transition_early {
    struct event *timer;
    struct vtgate_look look;
    struct subject rules; /* that lead to the target; empty: not seen */
    const char *from, *to;
    const char *const *tables;
    size_t n;
};

/* A question, which may outlive its transition. */
struct question {
    struct server *server;
    uint64_t transition;
};

static bool leads(const struct routing_rules *rules, const char *from, const char *to,
                  const char *table)
{
    char name[2 * HOLD_NAME_MAX], target[2 * HOLD_NAME_MAX];

    snprintf(name, sizeof(name), "%s.%s", from, table);
    snprintf(target, sizeof(target), "%s.%s", to, table);
    const struct routing_rule *r = routing_find(rules, name);

    return r && r->to_count == 1 && strcmp(r->to[0], target) == 0;
}

/* Whether all tables of the one keyspace are served by the other. */
static bool lead(const struct transition_early *e, const struct routing_rules *rules)
{
    for (size_t i = 0; i < e->n; i++) {
        if (!leads(rules, e->from, e->to, e->tables[i]))
            return false;
    }
    return true;
}

static void wait(struct transition_early *e, int64_t ms)
{
    struct timeval tv = {0, ms * 1000};

    event_add(e->timer, &tv);
}

static void on_looked(void *arg)
{
    struct transition *t = arg;
    char why[256];

    if (subject_shows(t, &t->early->rules, why, sizeof(why)) != VTGATES_SHOW) {
        wait(t->early, LOOK_MS);
        return;
    }
    t->switched = true;
    transition_hold_let_go(t);
    transition_say(t, "early", "go on", "every vtgate has the new routing rules; vtctld goes on");
}

static void take_rules(struct transition *t, const struct vtctld_answer *answer)
{
    struct transition_early *e = t->early;

    if (answer->status != GRPC_OK || !subject_take(t, answer, &e->rules) ||
        !lead(e, e->rules.rules)) {
        subject_free(&e->rules);
        wait(e, ASK_MS);
        return;
    }
    vtgate_watch_glance(t->server->watch, &e->look, on_looked, t);
}

static void on_answer(void *context, void *arg)
{
    struct vtctld_answer *answer = arg;
    struct question *question = answer->arg;
    struct transition *t = transitions_find(question->server->transitions, question->transition);

    (void)context;
    free(question);
    if (t && t->early && !transition_is_stopped(t))
        take_rules(t, answer);
    vtctld_answer_free(answer);
}

static void ask(struct transition *t)
{
    Vtctldata__GetRoutingRulesRequest request = VTCTLDATA__GET_ROUTING_RULES_REQUEST__INIT;
    struct server *server = t->server;
    struct question *question = memory_zalloc(sizeof(*question));

    *question = (struct question){server, t->id};
    vtctld_call(server->vtctld, "GetRoutingRules", &request.base, server->config->vtctld_timeout_ms,
                &server->mailbox, on_answer, server, question);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct transition *t = arg;

    (void)fd;
    (void)what;
    if (t->early->rules.rules)
        vtgate_watch_glance(t->server->watch, &t->early->look, on_looked, t);
    else
        ask(t);
}

void transition_early_begin(struct transition *t, const char *from, const char *to,
                            const char *const *tables, size_t n)
{
    const struct routing_rules *before = transition_facts_get(t)->rules;
    struct transition_early *e = memory_zalloc(sizeof(*e));

    *e = (struct transition_early){.from = from, .to = to, .tables = tables, .n = n};
    if (n == 0 || !before || lead(e, before) || !vtgate_watch_configured(t->server->watch)) {
        free(e);
        return;
    }
    e->timer = evtimer_new(t->server->base, on_timer, t);
    t->early = e;
    wait(e, ASK_MS);
}

void transition_early_end(struct transition *t)
{
    struct transition_early *e = t->early;

    if (!e)
        return;
    t->early = NULL;
    vtgate_watch_look_cancel(&e->look);
    event_free(e->timer);
    subject_free(&e->rules);
    free(e);
}
