/*
 * What planner/retry.h needs to know of a statement that vtgate has refused, and the table of what
 * goes wrong, which all workers have in common.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "planner/target.h"
#include "planner/trouble.h"
#include "proxy/changes.h"
#include "proxy/flights.h"
#include "proxy/memory.h"
#include "proxy/retry_internal.h"
#include "proxy/server.h"
#include "proxy/session.h"
#include "proxy/statements.h"
#include "proxy/worker.h"

#define LASTING_MS 30000 /* silence after which an error that was given up on is forgotten */
#define TEXT_KEY   128   /* bytes of vtgate's text that tell one trouble from another */

_Static_assert((int)RETRY_UNSURE_NEVER == (int)CONFIG_UNSURE_NEVER &&
                   (int)RETRY_UNSURE_AWAY == (int)CONFIG_UNSURE_AWAY &&
                   (int)RETRY_UNSURE_ALWAYS == (int)CONFIG_UNSURE_ALWAYS,
               "the setting is the planner's");

/* --- what goes wrong ------------------------------------------------------------------------- */

struct retries *retries_create(void)
{
    struct retries *rs = memory_zalloc(sizeof(*rs));

    pthread_mutex_init(&rs->lock, NULL);
    return rs;
}

void retries_destroy(struct retries *rs)
{
    if (!rs)
        return;
    pthread_mutex_destroy(&rs->lock);
    free(rs);
}

void retry_suspect(const struct server *server)
{
    atomic_store(&server->retries->suspect_until_ms, clock_ms() + server->config->retry_suspect_ms);
}

static int64_t quiet_ms(const struct config *c)
{
    return 2 * c->retry_max_delay_ms + 500;
}

static void note(const struct server *server, uint64_t key, int64_t now, bool lasting)
{
    struct retries *rs = server->retries;

    if (!key)
        return;
    pthread_mutex_lock(&rs->lock);
    trouble_note(&rs->troubles, key, now, quiet_ms(server->config), LASTING_MS, lasting);
    atomic_store(&rs->generation, rs->troubles.generation);
    pthread_mutex_unlock(&rs->lock);
}

static struct trouble look_up(const struct server *server, uint64_t key, int64_t now)
{
    struct retries *rs = server->retries;
    struct trouble found = {.key = 0};

    if (!key)
        return found;
    pthread_mutex_lock(&rs->lock);
    found = trouble_find(&rs->troubles, key, now, quiet_ms(server->config), LASTING_MS);
    pthread_mutex_unlock(&rs->lock);
    return found;
}

void retry_end_troubles(const struct server *server, const struct retry *r)
{
    pthread_mutex_lock(&server->retries->lock);
    trouble_end(&server->retries->troubles, r->error_key);
    if (r->away_key)
        trouble_end(&server->retries->troubles, r->away_key);
    pthread_mutex_unlock(&server->retries->lock);
}

/* --- the facts ------------------------------------------------------------------------------- */

static bool is_off(const struct session *s)
{
    const struct string_list *users = &s->worker->server->config->retry_users_off;

    for (size_t i = 0; i < users->n; i++) {
        if (s->user && strcmp(users->items[i], s->user) == 0)
            return true;
    }
    return !s->worker->server->config->retry_enabled;
}

static void know_text(struct retry *r, struct retry_facts *f, const char *text, size_t len)
{
    struct statement st;

    classify_next(text, len, &st);
    f->statement = retry_statement(text, len, true);
    r->kind = st.kind;
    names_collect(&r->names, text, len, true);
}

static void know_prepared(struct retry *r, struct retry_facts *f, struct prepared *p)
{
    r->kind = p ? p->kind : STATEMENT_OTHER;
    f->statement = p ? p->retry : RETRY_NEVER;
    r->names = (struct names){.everything = true};
    if (!p)
        return;
    r->names = p->names;
    f->proven = p->runs > p->refused + 1; /* the one that failed is among the runs */
    p->refused++;
}

/* What the command is that was answered with an error. */
static void know_statement(struct session *s, struct retry_facts *f)
{
    const char *text = (const char *)s->kept->bytes + PACKET_HEADER + 1;
    size_t len = s->kept->len - PACKET_HEADER - 1;
    struct retry *r = s->retry;

    if (s->command == COM_STMT_EXECUTE) {
        know_prepared(
            r, f,
            len >= 4 ? statements_get(s->statements, load_u32(s->kept->bytes + PACKET_HEADER + 1))
                     : NULL);
        return;
    }
    know_text(r, f, text, len);
    if (r->kind == STATEMENT_EXECUTE) {
        struct statement st;

        classify_next(text, len, &st);
        know_prepared(r, f, statements_get_named(s->statements, st.name));
    }
    if (s->command == COM_STMT_PREPARE && f->statement != RETRY_NEVER)
        f->statement = RETRY_READ; /* preparing changes nothing */
}

bool retry_is_held(const struct session *s)
{
    const struct plan_facts facts = query_facts(s);
    const struct hold_subject subject = {
        .kind = s->retry->kind,
        .database = facts.database,
        .vtgate = facts.vtgate,
        .served = facts.served,
        .names = &s->retry->names,
        .in_transaction = facts.in_transaction,
        .autocommit = facts.autocommit,
        .touched = facts.touched,
    };

    return hold_set_find(s->worker->holds, &subject) != NULL;
}

bool retry_is_in_transition(const struct session *s)
{
    const struct hold_set *holds = s->worker->holds;
    const struct names *names = &s->retry->names;

    for (size_t i = 0; i < holds->n && !(s->status & STATUS_IN_TRANSACTION); i++) {
        const struct hold *h = &holds->items[i];

        if (h->scope == HOLD_TABLE && h->kinds == HOLD_TRANSACTIONS && !h->released &&
            names_may_contain(names, h->table, strlen(h->table)))
            return true;
    }
    return flights_concern(s->worker->server->flights, names);
}

/* One was seen lately that may be of what the statement names. */
static bool is_suspected(const struct session *s, int64_t now)
{
    const struct server *server = s->worker->server;
    const struct change_subject subject = {.database = s->database, .names = &s->retry->names};

    return atomic_load(&server->retries->suspect_until_ms) > now &&
           change_may_be(changes_now(server->changes), &subject, now,
                         server->config->retry_suspect_ms);
}

static void know_troubles(struct session *s, const char *text, size_t len, struct retry_facts *f)
{
    const struct server *server = s->worker->server;
    uint64_t seed = (uint64_t)(uintptr_t)s->vtgate;
    const struct retry_match *m = &f->match;
    struct retry *r = s->retry;

    r->error = m->error;
    r->wrapped = m->wrapped;
    r->away_key = 0;
    if (m->target) {
        r->error_key = trouble_key(seed + m->error + 1, m->target, m->target_len);
        if (retry_error_is_away(m->error))
            r->away_key = trouble_key(seed, m->target, m->target_len);
    } else {
        r->error_key =
            trouble_key(seed + m->error + 1, text, len < TEXT_KEY ? len : (size_t)TEXT_KEY);
    }
    struct trouble error = look_up(server, r->error_key, f->now_ms);
    struct trouble away = look_up(server, r->away_key, f->now_ms);

    f->lasting = error.lasting;
    f->trouble_ms = error.first_ms;
    f->away_before = away.key != 0 && away.generation <= s->kept->generation;
    f->suspected = is_suspected(s, f->now_ms);
}

static struct retry_limits limits(const struct config *c)
{
    return (struct retry_limits){
        .budget_ms = c->retry_budget_ms,
        .doubtful_ms =
            c->retry_doubtful_ms < c->retry_budget_ms ? c->retry_doubtful_ms : c->retry_budget_ms,
        .wait_ms = c->hold_max_wait_ms,
        .attempts = (unsigned)c->retry_max_attempts,
        .first_delay_ms = c->retry_first_delay_ms,
        .max_delay_ms = c->retry_max_delay_ms,
        .unsure_writes = (enum retry_unsure)c->retry_unsure_writes,
    };
}

/* Any number will do that differs between sessions and tries. */
static uint32_t chance(const struct session *s)
{
    return (uint32_t)((s->id * 0x9e3779b97f4a7c15U + (uint64_t)clock_us()) * 0xbf58476d1ce4e5b9U >>
                      32);
}

struct retry_decision retry_judge(struct session *s, const char *text, size_t len,
                                  struct retry_match match)
{
    const struct server *server = s->worker->server;
    struct retry_limits l = limits(server->config);
    struct retry *r = s->retry;
    struct retry_facts f = {.match = match, .now_ms = clock_ms(), .random = chance(s)};

    if (!r->first_ms)
        r->first_ms = r->started_ms = f.now_ms;
    if (r->held)
        r->started_ms = f.now_ms; /* what was waited for behind a hold does not count */
    r->held = false;
    know_statement(s, &f);
    know_troubles(s, text, len, &f);
    f.disabled = is_off(s);
    f.in_transaction = s->kept->in_transaction;
    f.first = s->kept->first;
    f.restartable = s->plain_begin;
    f.transactions = server->config->retry_in_transactions;
    f.one_shard = target_is_shard(s->database);
    f.transition = retry_is_held(s) || retry_is_in_transition(s);
    f.started_ms = r->started_ms;
    f.attempts = r->attempts;
    struct retry_decision d = retry_decide(&f, &l);

    if (retry_match_is_sure(&match))
        retry_suspect(server);
    note(server, r->away_key, f.now_ms, false);
    note(server, r->error_key, f.now_ms,
         d.action == RETRY_PASS && d.reason == RETRY_OUTCOME_BUDGET);
    return d;
}
