/*
 * The beginning of a migration: its names, context and strategy, whether the shim manages it, and
 * whether there is one already that it joins.
 */
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/ddl.h"
#include "planner/ddl_tables.h"
#include "planner/target.h"
#include "proxy/audit_session.h"
#include "proxy/memory.h"
#include "proxy/migration.h"
#include "proxy/migration_internal.h"
#include "proxy/migration_lock.h"
#include "proxy/server.h"
#include "proxy/worker.h"

/* DDL_CONTEXT_PREFIX with any separator at its end. */
#define SAME_CONTEXT_PREFIX "vtshim_"

/* Somebody has to be able to cut it over, whatever becomes of this session: that is control.user.
 */
bool migration_can_manage(const struct session *s)
{
    const struct config *c = s->worker->server->config;

    return c->ddl_cutover != CONFIG_CUTOVER_VITESS && *c->control_user != '\0';
}

bool migration_is_managed(const struct config *c, bool alters, const char *strategy)
{
    return c->ddl_cutover != CONFIG_CUTOVER_VITESS && *c->control_user && alters &&
           (strncmp(strategy, "vitess", 6) == 0 || strncmp(strategy, "online", 6) == 0);
}

bool migration_is_managed_kind(const struct session *s)
{
    const struct migration *m = s->migration;

    return migration_is_managed(s->worker->server->config, strcmp(m->record.verb, "alter") == 0,
                                m->strategy);
}

/* What the user wrote comes behind: it may end in a comment. */
void migration_managed_strategy(char *dst, size_t size, const char *strategy, const char *instance,
                                bool postponed)
{
    size_t name = strcspn(strategy, " \t");
    char mark[40];

    ddl_mark_format(mark, instance, postponed);
    snprintf(dst, size, "%.*s --postpone-completion%s %s", (int)name, strategy, strategy + name,
             mark);
}

static void manage(struct session *s, bool managed)
{
    s->migration->managed = managed;
    s->migration->record.managed = s->migration->managed;
    if (s->migration->managed)
        atomic_fetch_add(&s->worker->server->tracking, 1);
}

void migration_choose_strategy(struct session *s)
{
    struct migration *m = s->migration;
    char own[sizeof(m->strategy)];

    manage(s, migration_is_managed_kind(s));
    if (!m->managed)
        return;
    memcpy(own, m->strategy, sizeof(own));
    migration_managed_strategy(m->strategy, sizeof(m->strategy), own, s->worker->server->instance,
                               m->record.postponed);
}

static void set_names(struct session *s, const struct statement *ddl)
{
    static const char *const VERBS[] = {
        [DDL_NONE] = "ddl",  [DDL_CREATE] = "create", [DDL_ALTER] = "alter",
        [DDL_DROP] = "drop", [DDL_RENAME] = "rename", [DDL_TRUNCATE] = "truncate"};
    struct migration_record *r = &s->migration->record;
    struct sql_name keyspace = ddl->qualifier;

    if (keyspace.len == 0)
        keyspace = target_keyspace(s->database);
    /* Keyspace names have no backtick (topo validates them): one would end the quoting above. */
    if (keyspace.len > 0 && keyspace.len < sizeof(r->keyspace) &&
        !memchr(keyspace.text, '`', keyspace.len))
        memcpy(r->keyspace, keyspace.text, keyspace.len);
    bytes_to_text(r->table, sizeof(r->table),
                  (struct bytes){(const uint8_t *)ddl->name.text, ddl->name.len});
    snprintf(r->verb, sizeof(r->verb), "%s", VERBS[ddl->verb]);
    snprintf(r->user, sizeof(r->user), "%s", s->user);
}

/*
 * Generated, but for one that the user asked for. One that the shim does not manage has another
 * separator behind the prefix, so that keeper.c does not take it for one that was left behind when
 * its user, or an operator, postpones its completion.
 */
void migration_set_context(struct session *s, const char *wanted)
{
    struct migration *m = s->migration;
    unsigned char random[8];
    char digest[17];

    if (RAND_bytes(random, sizeof(random)) != 1)
        memory_exhausted(); /* the generator fails for nothing else once seeded by the kernel */
    ddl_digest_format(digest, s->user, m->record.keyspace, m->ddl, m->len);
    ddl_context_format(m->context, s->worker->server->instance, digest, random);
    if (!migration_is_managed_kind(s))
        m->context[sizeof(DDL_CONTEXT_PREFIX) - 2] = '_';
    if (*wanted)
        snprintf(m->context, sizeof(m->context), "%s", wanted);
    snprintf(m->record.context, sizeof(m->record.context), "%s", m->context);
}

/* Follows a migration that is there already. */
static void attach(struct session *s, const char *context)
{
    struct migration *m = s->migration;

    snprintf(m->context, sizeof(m->context), "%s", context);
    snprintf(m->record.context, sizeof(m->record.context), "%s", m->context);
    m->executor = &executor_vtgate; /* to watch it, the session's own connection is enough */
    m->adopted = m->submitted = m->record.attached = true;
    migration_publish(s, "attached", false);
    migration_log(s, "ddl_attached");
    m->executor->locate(s);
}

/* At once, or when those of its table that came first have ended. */
static void submit(struct session *s)
{
    migration_choose_strategy(s);
    migration_relate(s);
}

bool migration_same_found(const struct answer *a, char context[64])
{
    struct bytes row[EXECUTOR_COLUMNS_MAX];
    int column = a && !a->failed && a->columns ? answer_column(a, "migration_context") : -1;
    const uint8_t *at = a ? a->rows_at : NULL;

    if (column < 0 || column >= EXECUTOR_COLUMNS_MAX ||
        !answer_row(a, &at, row, EXECUTOR_COLUMNS_MAX) || !row[column].p || row[column].len >= 64 ||
        memchr(row[column].p, '\'', row[column].len))
        return false;
    bytes_to_text(context, 64, row[column]);
    return true;
}

static void on_same_found(struct session *s, const struct answer *a)
{
    char context[64];

    if (migration_same_found(a, context))
        attach(s, context);
    else
        submit(s);
}

/* The instance may be another, and the separator before it: see set_context. Vitess shows
   migrations outside of transactions only. */
bool migration_ask_same(struct session *s, const char *keyspace, const char *ddl, size_t len,
                        ask_callback *done)
{
    char digest[17];

    if (!*keyspace || s->status & STATUS_IN_TRANSACTION)
        return false;
    ddl_digest_format(digest, s->user, keyspace, ddl, len);
    ask_format(s, done,
               "SHOW VITESS_MIGRATIONS FROM `%s` WHERE migration_context LIKE "
               "'" SAME_CONTEXT_PREFIX "________:%s:%%' AND migration_status IN "
               "('queued', 'ready', 'running')",
               keyspace, digest);
    return true;
}

/*
 * A tool that lost its connection, or was restarted, sends the same statement again: it waits for
 * what that has begun instead of starting another. With a context of the user's own Vitess itself
 * takes the same statement for the same migration.
 */
static void look_for_same(struct session *s, const struct migration_request *request)
{
    const struct migration *m = s->migration;

    if (*request->same)
        attach(s, request->same);
    else if (*request->context ||
             !migration_ask_same(s, m->record.keyspace, m->ddl, m->len, on_same_found))
        submit(s);
}

static void add_record(struct session *s, const struct statement *ddl)
{
    struct migration *m = s->migration;
    char more[MIGRATION_MORE_MAX][MIGRATION_NAME_MAX];
    size_t n = migration_more_tables(&m->record, m->ddl, m->len, more, MIGRATION_MORE_MAX);

    migrations_add(s->worker->server->migrations, &m->record, more, n);
    if (ddl_names_more(ddl)) {
        struct names mentions;

        names_collect(&mentions, m->ddl, m->len, true);
        migrations_mention(s->worker->server->migrations, m->record.id, &mentions);
    }
}

void migration_start(struct session *s, const struct statement *ddl, uint8_t sequence, bool more,
                     const struct migration_request *request)
{
    struct migration *m = migration_create(s);

    if (s->worker->server->config->ddl_executor == CONFIG_EXECUTOR_VTCTLD &&
        !ddl_strategy_is_direct(request->strategy)) /* vtctld takes online ones only */
        m->executor = &executor_vtctld;
    m->ddl = memory_copy(ddl->text, ddl->len);
    m->len = ddl->len;
    m->sequence = sequence;
    m->more = more;
    snprintf(m->strategy, sizeof(m->strategy), "%s", request->strategy);
    m->async = request->async;
    m->row_bytes = request->row_bytes;
    m->own_context = *request->context != '\0';
    set_names(s, ddl);
    migration_set_context(s, request->context);
    m->record.threshold_s = ddl_threshold_s(m->strategy, strlen(m->strategy));
    m->record.postponed =
        migration_is_managed_kind(s) && strstr(m->strategy, "postpone-completion") != NULL;
    m->has_columns = ddl->object == DDL_OBJECT_TABLE && ddl->name.len > 0 &&
                     ddl->name.len < sizeof(m->record.table) &&
                     (ddl->verb == DDL_CREATE || ddl->verb == DDL_ALTER);
    m->record.session = s->id;
    m->record.started_ms = clock_ms();
    m->record.eta_s = -1;
    snprintf(m->record.status, sizeof(m->record.status), "submitting");
    add_record(s, ddl);
    metrics_add(&s->worker->metrics.ddl_started, 1);
    migration_log(s, "ddl_started");
    audit_migration_started(s);
    look_for_same(s, request);
}

void migration_adopt(struct session *s, const struct migration_record *r)
{
    struct migration *m = migration_create(s);

    m->record = *r;
    m->record.session = s->id;
    snprintf(m->context, sizeof(m->context), "%s", r->context);
    m->adopted = m->submitted = true;
    m->settled = true;
    manage(s, migration_can_manage(s) && strcmp(r->verb, "alter") == 0);
    m->record.eta_s = -1;
    m->later = r->postponed;
    if (!m->record.id)
        migrations_add(s->worker->server->migrations, &m->record, NULL, 0);
    migration_publish(s, "adopted", false);
    migration_log(s, "ddl_adopted");
    m->executor->locate(s);
}
