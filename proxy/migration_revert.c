/*
 * First Vitess is asked what is to be reverted: table, and whether that is a change that is copied
 * (an ALTER of a table; the others are undone by renaming). Then it is a migration like others, but
 * for its context, which Vitess chooses: it is known by its uuid.
 */
#include "proxy/migration_revert.h"

#include <stdio.h>
#include <string.h>

#include "planner/control.h"
#include "planner/ddl.h"
#include "planner/target.h"
#include "proxy/audit_session.h"
#include "proxy/memory.h"
#include "proxy/migration.h"
#include "proxy/migration_internal.h"
#include "proxy/server.h"
#include "proxy/worker.h"

enum original { ORIGINAL_FOUND, ORIGINAL_UNKNOWN, ORIGINAL_NOT_SHOWN };

/* The migration that is to be reverted, on any of its shards. */
static enum original read_original(struct migration *m, const struct answer *a, bool *copied)
{
    static const char *const NAMES[] = {"mysql_table", "ddl_action", "is_view"};
    enum { TABLE, ACTION, VIEW, USED };
    struct bytes row[EXECUTOR_COLUMNS_MAX];
    const uint8_t *at = a ? a->rows_at : NULL;
    int column[USED];

    if (!a || a->failed || !a->columns)
        return ORIGINAL_NOT_SHOWN;
    for (int i = 0; i < USED; i++) {
        column[i] = answer_column(a, NAMES[i]);
        if (column[i] < 0 || column[i] >= EXECUTOR_COLUMNS_MAX)
            return ORIGINAL_NOT_SHOWN;
    }
    if (!answer_row(a, &at, row, EXECUTOR_COLUMNS_MAX))
        return ORIGINAL_UNKNOWN;
    bytes_to_text(m->record.table, sizeof(m->record.table), row[column[TABLE]]);
    *copied = bytes_are(row[column[ACTION]], "alter") && !bytes_are(row[column[VIEW]], "1");
    return ORIGINAL_FOUND;
}

/* Vitess would answer with a uuid, and tell only in that one's row that it failed. */
static void refuse_unknown(struct session *s)
{
    struct migration *m = s->migration;
    struct control_statement c;
    char text[200];

    control_statement_parse(&c, m->ddl, m->len);
    snprintf(text, sizeof(text), "Unknown migration '%s' in keyspace '%s'", c.uuid,
             m->record.keyspace);
    migration_keep_error(m, 1105, "HY000", (struct bytes){(const uint8_t *)text, strlen(text)});
    migration_refused(s);
}

static void on_original(struct session *s, const struct answer *a)
{
    struct migration *m = s->migration;
    bool copied = false;

    if (read_original(m, a, &copied) == ORIGINAL_UNKNOWN) {
        refuse_unknown(s);
        return;
    }
    snprintf(m->record.verb, sizeof(m->record.verb), "%s", copied ? "alter" : "revert");
    snprintf(m->strategy, sizeof(m->strategy), "vitess");
    m->record.threshold_s = ddl_threshold_s(m->strategy, strlen(m->strategy));
    migration_set_context(s, "");
    migration_choose_strategy(s);
    migrations_add(s->worker->server->migrations, &m->record, NULL, 0);
    metrics_add(&s->worker->metrics.ddl_started, 1);
    migration_log(s, "ddl_started");
    m->executor->submit(s);
}

bool migration_revert_start(struct session *s, const struct statement *st, uint8_t sequence,
                            bool more, bool binary)
{
    struct control_statement c;
    struct sql_name keyspace = target_keyspace(s->database);

    control_statement_parse(&c, st->text ? st->text : "", st->text ? st->len : 0);
    if (strcmp(c.verb, "revert") != 0 || !*c.uuid || s->strategy_own ||
        s->status & STATUS_IN_TRANSACTION || !s->worker->server->config->ddl_intercept ||
        !migration_can_manage(s) || keyspace.len == 0 || keyspace.text[keyspace.len] != '\0' ||
        keyspace.len >= sizeof(((struct migration_record *)0)->keyspace) ||
        strchr(keyspace.text, '`'))
        return false;
    struct migration *m = migration_create(s);

    m->ddl = memory_copy(st->text, st->len);
    m->len = st->len;
    m->sequence = sequence;
    m->more = more;
    m->binary = binary;
    m->async = m->reverting = m->own_context = m->settled = true;
    memcpy(m->record.keyspace, keyspace.text, keyspace.len);
    snprintf(m->record.user, sizeof(m->record.user), "%s", s->user);
    snprintf(m->record.status, sizeof(m->record.status), "submitting");
    m->record.session = s->id;
    m->record.started_ms = clock_ms();
    m->record.eta_s = -1;
    ask_format(s, on_original, "SHOW VITESS_MIGRATIONS FROM `%s` LIKE '%s'", m->record.keyspace,
               c.uuid);
    return true;
}

void migration_answer_reverting(struct session *s)
{
    static const char *const COLUMNS[] = {"uuid"};
    const struct migration *m = s->migration;
    uint16_t status = s->status & (uint16_t) ~(STATUS_IN_TRANSACTION | STATUS_MORE_RESULTS);
    uint8_t sequence = m->sequence;
    struct buffer out;

    audit_managed(s, m->ddl, m->len, true);
    buffer_init(&out, 16384);
    reply_columns(&out, &sequence, s->capabilities, status, COLUMNS, 1);
    if (m->binary)
        reply_binary_row(&out, &sequence, (const char *const[]){m->uuids[0]}, 1);
    else
        reply_row(&out, &sequence, (const char *const[]){m->uuids[0]}, 1);
    if (m->more)
        status |= STATUS_MORE_RESULTS;
    reply_rows_end(&out, &sequence, s->capabilities, status);
    migration_answer(s, &out, sequence, true);
}
