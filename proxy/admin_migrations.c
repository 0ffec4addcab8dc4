/*
 * SHOW MIGRATIONS and SHOW MIGRATION 'uuid'. What is shown is the record that each session keeps of
 * its migration (migrations.h), and how many sessions its cut-over holds up, which the workers are
 * asked for. Vitess is asked only for a migration that is none of this shim's.
 */
#include "proxy/admin_migrations.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/admin_commands.h"
#include "proxy/control_query.h"
#include "proxy/holds.h"
#include "proxy/memory.h"
#include "proxy/server.h"
#include "proxy/session.h"
#include "proxy/vtgate_control.h"
#include "proxy/worker.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

const char *admin_in_the_way(struct admin_values *ns, const struct migration_record *r)
{
    char *text = admin_value(ns);

    char sessions[ADMIN_VALUE_MAX - 40];

    if (r->blockers.n == 0)
        return NULL;
    migration_blockers_format(&r->blockers, sessions, sizeof(sessions));
    snprintf(text, ADMIN_VALUE_MAX, "%" PRIu32 ", session%s %s", r->blockers.n,
             r->blockers.n == 1 ? "" : "s", sessions);
    return text;
}

/* --- sessions held up by cut-overs ----------------------------------------------------------- */

/* cutover.c names the migration as the owner of its hold. */
uint64_t admin_cutover_hold(const struct server *server, uint64_t migration)
{
    const struct hold_set *holds = holds_now(server->holds);
    char owner[48];

    snprintf(owner, sizeof(owner), "migration %" PRIu64, migration);
    for (size_t i = 0; i < holds->n; i++) {
        if (strcmp(holds->items[i].owner, owner) == 0)
            return holds->items[i].id;
    }
    return 0;
}

void parked_init(struct parked_count *p, size_t n)
{
    pthread_mutex_init(&p->lock, NULL);
    p->n = n;
    p->holds = memory_zalloc((n + 1) * sizeof(*p->holds));
    p->counts = memory_zalloc((n + 1) * sizeof(*p->counts));
}

void parked_fini(struct parked_count *p)
{
    pthread_mutex_destroy(&p->lock);
    free(p->holds);
    free(p->counts);
}

void parked_collect(const struct worker *w, struct parked_count *p)
{
    const struct session *s;

    pthread_mutex_lock(&p->lock);
    TAILQ_FOREACH(s, &w->parked, parked_link)
    {
        for (size_t i = 0; i < p->n; i++)
            p->counts[i] += p->holds[i] == s->parked_by;
    }
    pthread_mutex_unlock(&p->lock);
}

/* --- SHOW MIGRATIONS ------------------------------------------------------------------------- */

struct listing {
    struct admin_request *rq;
    struct migration_record *records;
    struct parked_count parked;
};

static void listing_row(struct admin_table *t, const struct migration_record *r, size_t parked,
                        int64_t now)
{
    struct admin_values ns = {.n = 0};
    bool runs = r->ended_ms == 0;

    admin_table_row(t, (const char *const[]){
                           admin_number(&ns, (int64_t)r->id),
                           admin_words(r->uuid),
                           r->keyspace,
                           r->table,
                           r->verb,
                           r->status,
                           admin_number(&ns, r->shards),
                           admin_number(&ns, r->shards_complete),
                           admin_number(&ns, r->progress),
                           r->user,
                           admin_number(&ns, (int64_t)r->session),
                           admin_seconds(&ns, now - r->started_ms),
                           runs ? NULL : admin_seconds(&ns, r->ended_ms - r->started_ms),
                           admin_words(r->message),
                           r->context,
                           admin_words(r->stage),
                           admin_number_or_null(&ns, r->eta_s, runs && r->eta_s >= 0),
                           admin_number(&ns, (int64_t)r->rows_copied),
                           admin_number(&ns, (int64_t)r->table_rows),
                           admin_number(&ns, r->shards_ready),
                           runs ? admin_words(r->throttled) : NULL,
                           admin_number(&ns, r->attempts),
                           admin_number(&ns, (int64_t)parked),
                           admin_number(&ns, r->drains),
                           admin_in_the_way(&ns, r),
                           admin_number_or_null(&ns, r->queue, r->queue > 0),
                       });
}

static void listing_collect(void *context, void *arg)
{
    parked_collect(context, &((struct listing *)arg)->parked);
}

static void listing_collected(void *context, void *arg)
{
    static const char *const NAMES[] = {
        "Id",       "Uuid",     "Keyspace", "Table",       "Verb",       "Status", "Shards",
        "Complete", "Progress", "User",     "Session",     "Age_s",      "Took_s", "Message",
        "Context",  "Stage",    "Eta_s",    "Rows_copied", "Table_rows", "Ready",  "Throttled",
        "Attempts", "Parked",   "Drains",   "In_the_way",  "Queue"};
    struct listing *l = arg;
    struct admin_table *t = admin_table_create(NAMES, COUNT(NAMES));
    int64_t now = clock_ms();

    (void)context;
    for (size_t i = 0; i < l->parked.n; i++)
        listing_row(t, &l->records[i], l->parked.counts[i], now);
    admin_reply_table(l->rq, t);
    parked_fini(&l->parked);
    free(l->records);
    free(l);
}

void admin_show_migrations(struct admin_request *rq, struct lexer *lx)
{
    size_t n;

    if (!admin_expect_end(rq, lx))
        return;
    struct listing *l = memory_zalloc(sizeof(*l));

    l->rq = rq;
    l->records = migrations_copy(rq->server->migrations, &n);
    parked_init(&l->parked, n);
    for (size_t i = 0; i < n; i++)
        l->parked.holds[i] = admin_cutover_hold(rq->server, l->records[i].id);
    server_broadcast(rq->server, listing_collect, listing_collected, l);
}

/* --- SHOW MIGRATION: shard by shard ---------------------------------------------------------- */

static void reply_shards(struct admin_request *rq, const struct migration_shard *shards, size_t n)
{
    static const char *const NAMES[] = {"Uuid",       "Shard",     "Status",   "Stage",
                                        "Progress",   "Eta_s",     "Ready",    "Rows_copied",
                                        "Table_rows", "Throttled", "Attempts", "Message"};
    struct admin_table *t = admin_table_create(NAMES, COUNT(NAMES));

    for (size_t i = 0; i < n; i++) {
        const struct migration_shard *s = &shards[i];
        struct admin_values ns = {.n = 0};

        admin_table_row(t, (const char *const[]){
                               s->uuid,
                               s->shard,
                               s->status,
                               admin_words(s->stage),
                               admin_number(&ns, s->progress),
                               admin_number_or_null(&ns, s->eta_s, s->eta_s >= 0),
                               s->ready ? "yes" : "no",
                               admin_number(&ns, (int64_t)s->rows_copied),
                               admin_number(&ns, (int64_t)s->table_rows),
                               admin_words(s->throttled),
                               admin_number(&ns, s->attempts),
                               admin_words(s->message),
                           });
    }
    admin_reply_table(rq, t);
}

/* --- SHOW MIGRATION: somebody else's --------------------------------------------------------- */

struct pending_look {
    struct admin_request *rq;
    struct control_query *query;
};

static void reply_vitess(struct admin_request *rq, const struct control_result *r)
{
    /* Ours and Vitess's. */
    static const char *const NAMES[][2] = {
        {"Uuid", "migration_uuid"},       {"Shard", "shard"},
        {"Status", "migration_status"},   {"Stage", "stage"},
        {"Progress", "progress"},         {"Eta_s", "eta_seconds"},
        {"Ready", "ready_to_complete"},   {"Rows_copied", "rows_copied"},
        {"Table_rows", "table_rows"},     {"Throttled", "reason_throttled"},
        {"Attempts", "cutover_attempts"}, {"Message", "message"}};
    const char *names[COUNT(NAMES)], *values[COUNT(NAMES)];

    for (size_t c = 0; c < COUNT(NAMES); c++)
        names[c] = NAMES[c][0];
    struct admin_table *t = admin_table_create(names, COUNT(NAMES));

    for (size_t i = 0; i < r->rows; i++) {
        for (size_t c = 0; c < COUNT(NAMES); c++)
            values[c] = control_result_value(r, i, NAMES[c][1]);
        admin_table_row(t, values);
    }
    admin_reply_table(rq, t);
}

static void on_looked(void *context, void *arg)
{
    struct pending_look *p = arg;
    const struct control_query *q = p->query;

    (void)context;
    if (q->code)
        admin_reply_error(p->rq, q->code, q->state, "%s", q->error);
    else if (q->results[0].rows == 0)
        admin_reply_error(p->rq, 1105, "HY000", "Unknown migration in that keyspace");
    else
        reply_vitess(p->rq, &q->results[0]);
    control_query_destroy(p->query);
    free(p);
}

static void look_in_vitess(struct admin_request *rq, const char *uuid, const char *keyspace)
{
    struct pending_look *p = memory_zalloc(sizeof(*p));

    p->rq = rq;
    p->query = control_query_create();
    control_query_add(p->query, "SHOW VITESS_MIGRATIONS FROM `%s` LIKE '%s'", keyspace, uuid);
    vtgate_control_run(rq->server->control, p->query, &rq->server->mailbox, on_looked, rq->server,
                       p);
}

void admin_show_migration(struct admin_request *rq, struct lexer *lx)
{
    char uuid[ADMIN_UUID_MAX], keyspace[HOLD_NAME_MAX];
    struct migration_record record;
    struct migration_shard *shards;
    struct admin_error error;
    struct lexer ahead;
    size_t n;

    if (!admin_parse_migration(lx, uuid, keyspace, &error)) {
        admin_refuse(rq, &error);
        return;
    }
    ahead = *lx;
    struct token t = lexer_next(&ahead);
    bool follow = token_is(&t, "FOLLOW");

    if (follow)
        *lx = ahead;
    if (!admin_expect_end(rq, lx))
        return;
    if (!migrations_find(rq->server->migrations, uuid, &record, &shards, &n)) {
        if (*keyspace && !follow) {
            look_in_vitess(rq, uuid, keyspace);
            return;
        }
        admin_reply_error(
            rq, 1105, "HY000",
            "Unknown migration '%s': SHOW MIGRATIONS lists those of this shim; for another "
            "say where it is, as in SHOW MIGRATION '%s' IN keyspace",
            uuid, uuid);
        return;
    }
    if (follow && !admin_can_stream(rq))
        admin_reply_error(rq, 1235, "42000",
                          "FOLLOW sends row by row, which this port does not do: ask again");
    else if (follow)
        admin_follow(rq, uuid);
    else
        reply_shards(rq, shards, n);
    free(shards);
}
