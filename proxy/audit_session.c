/*
 * Entries of the audit log about sessions.
 */
#include "proxy/audit_session.h"

#include "planner/control.h"
#include "planner/digest.h"
#include "proxy/audit.h"
#include "proxy/gate_internal.h"
#include "proxy/migration_internal.h"
#include "proxy/server.h"
#include "proxy/worker.h"

#define DIGEST_MAX 1024

static struct audit_entry entry_of(const struct session *s, const char *event)
{
    return (struct audit_entry){
        .event = event, .user = s->user, .peer = s->peer, .session = s->id, .duration_ms = -1};
}

static struct audit *audit_of(const struct session *s)
{
    return s->worker->server->audit;
}

static void add_migration(struct audit_entry *e, const struct migration_record *r)
{
    e->keyspace = r->keyspace;
    e->table = r->table;
    e->verb = r->verb;
    e->context = r->context;
    e->uuid = r->uuid;
}

void audit_migration_started(struct session *s)
{
    struct audit_entry e = entry_of(s, "ddl");
    char digest[DIGEST_MAX];

    add_migration(&e, &s->migration->record);
    statement_digest(digest, sizeof(digest), s->migration->ddl, s->migration->len);
    e.verdict = "managed";
    e.statement = digest;
    audit_write(audit_of(s), &e);
}

void audit_migration_ended(struct session *s)
{
    const struct migration_record *r = &s->migration->record;
    struct audit_entry e = entry_of(s, "ddl_end");

    add_migration(&e, r);
    e.shards = r->shards;
    e.outcome = r->status;
    e.code = r->code;
    e.duration_ms = r->ended_ms - r->started_ms;
    audit_write(audit_of(s), &e);
}

void audit_passed(struct session *s, const struct plan *plan, const char *text, size_t len)
{
    struct audit_entry e = entry_of(s, "ddl");
    char digest[DIGEST_MAX], table[HOLD_NAME_MAX];

    if (plan->name.text) {
        bytes_to_text(table, sizeof(table),
                      (struct bytes){(const uint8_t *)plan->name.text, plan->name.len});
        e.table = table;
    }
    if (text) {
        statement_digest(digest, sizeof(digest), text, len);
        e.statement = digest;
    }
    e.keyspace = s->database;
    e.verdict = "passed";
    e.reason = plan->passed;
    audit_write(audit_of(s), &e);
}

/* One line about the DDL at the gate. */
static void write_gate(struct session *s, struct audit_entry *e, bool with_statement)
{
    const struct gate *g = s->gate;
    char digest[DIGEST_MAX];

    e->keyspace = g->keyspace;
    e->table = g->table;
    if (with_statement) {
        statement_digest(digest, sizeof(digest), g->st.text, g->st.len);
        e->statement = digest;
    }
    audit_write(audit_of(s), e);
}

void audit_refused(struct session *s, const char *reason, unsigned code)
{
    struct audit_entry e = entry_of(s, "ddl");

    e.verdict = "refused";
    e.reason = reason;
    e.code = code;
    write_gate(s, &e, true);
}

void audit_direct_started(struct session *s)
{
    struct audit_entry e = entry_of(s, "ddl");

    e.verdict = "direct";
    write_gate(s, &e, true);
}

void audit_direct_ended(struct session *s, unsigned code)
{
    struct audit_entry e = entry_of(s, "ddl_end");

    e.shards = s->gate->direct_done;
    e.outcome = code ? "failed" : "complete";
    e.code = code;
    e.duration_ms = clock_ms() - s->gate->started_ms;
    write_gate(s, &e, false);
}

static void write_control(struct session *s, const char *text, size_t len, const char *verdict,
                          const char *outcome)
{
    struct audit_entry e = entry_of(s, "control");
    struct control_statement c;
    char digest[DIGEST_MAX];

    control_statement_parse(&c, text, len);
    statement_digest(digest, sizeof(digest), text, len);
    e.keyspace = s->database;
    e.verb = c.verb;
    e.uuid = c.uuid;
    e.verdict = verdict;
    e.outcome = outcome;
    e.statement = digest;
    audit_write(audit_of(s), &e);
}

void audit_controlled(struct session *s, const char *text, size_t len, bool succeeded)
{
    write_control(s, text ? text : "", text ? len : 0, "passed", succeeded ? "ok" : "error");
}

void audit_managed(struct session *s, const char *text, size_t len, bool taken)
{
    write_control(s, text ? text : "", text ? len : 0, taken ? "managed" : "refused",
                  taken ? "ok" : NULL);
}

void audit_denied(struct session *s, const struct statement *st)
{
    write_control(s, st->text ? st->text : "", st->text ? st->len : 0, "refused", NULL);
}
