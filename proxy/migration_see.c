/*
 * After the last shard: vtgate learns of new columns from the tablets, a second or so later (its
 * schema tracker), and until then answers 1054 to who names them. The client gets its OK when the
 * session's own vtgate plans "SELECT *" with the columns that the table has, and the others know
 * them, too (everywhere.h). VEXPLAIN PLAN runs nothing, so that a session without autocommit is not
 * left in a transaction.
 */
#include <string.h>

#include "proxy/everywhere.h"
#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/migration_internal.h"
#include "proxy/server.h"
#include "proxy/vtgates.h"
#include "proxy/worker.h"

#define LOOK_MS     100  /* between two looks at the plan */
#define COLUMNS_MAX 4096 /* MySQL's own limit for a table is 4096 */

static void wait_ms(struct session *s, int64_t ms)
{
    session_set_state(s, SESSION_MIGRATING);
    loop_timer_set(&s->migration->timer, ms);
}

static void done(struct session *s)
{
    migration_answer_ok(s, s->migration->info);
}

/* The others will know in a moment: nobody can be asked. */
static void wait_blindly(struct session *s)
{
    const struct server *server = s->worker->server;
    struct migration *m = s->migration;

    everywhere_drop(m->everywhere);
    m->everywhere = NULL;
    m->settled = true;
    if (vtgates_count(server->vtgates) > 1 && server->config->ddl_settle_ms > 0)
        wait_ms(s, server->config->ddl_settle_ms);
    else
        done(s);
}

/* This vtgate knows; the others are asked. */
static void settle(struct session *s)
{
    struct server *server = s->worker->server;
    struct migration *m = s->migration;
    int64_t left = m->seeing_ms + server->config->ddl_visible_ms - clock_ms();

    if (vtgates_count(server->vtgates) < 2 || m->column_count == 0 || left <= 0) {
        wait_blindly(s);
        return;
    }
    m->everywhere = everywhere_ask(server, m->record.keyspace, m->record.table, m->columns,
                                   sizeof(m->columns[0]), m->column_count, left);
    wait_ms(s, LOOK_MS / 2);
}

static void look_everywhere(struct session *s)
{
    switch (everywhere_state(s->migration->everywhere)) {
    case EVERYWHERE_ASKING:
        wait_ms(s, LOOK_MS / 2);
        break;
    case EVERYWHERE_CANNOT_TELL:
        wait_blindly(s);
        break;
    default:
        done(s);
    }
}

static void look_again(struct session *s)
{
    struct migration *m = s->migration;

    if (clock_ms() - m->seeing_ms < s->worker->server->config->ddl_visible_ms) {
        wait_ms(s, LOOK_MS);
        return;
    }
    log_warn("ddl_not_visible", "session:u uuid:s vtgate:s", s->id, m->uuids[0],
             vtgate_name(s->vtgate));
    done(s);
}

static void on_plan(struct session *s, const struct answer *a)
{
    struct migration *m = s->migration;
    struct bytes plan;
    const uint8_t *at = a ? a->rows_at : NULL;

    if (!a || a->failed || !a->columns || !answer_row(a, &at, &plan, 1) || !plan.p) {
        look_again(s); /* "table not found", as long as it is unknown */
        return;
    }
    if (everywhere_plan_shows(plan, m->columns, sizeof(m->columns[0]), m->column_count))
        settle(s);
    else
        look_again(s);
}

static void on_columns(struct session *s, const struct answer *a)
{
    struct migration *m = s->migration;
    struct bytes row[1];

    if (a && !a->failed && a->columns) {
        m->columns = memory_zalloc(COLUMNS_MAX * sizeof(*m->columns));
        for (const uint8_t *at = a->rows_at;
             m->column_count < COLUMNS_MAX && answer_row(a, &at, row, 1);)
            bytes_to_text(m->columns[m->column_count++], sizeof(m->columns[0]), row[0]);
    }
    if (m->column_count > 0)
        migration_see(s);
    else
        settle(s); /* no right to see it, or gone again */
}

void migration_see(struct session *s)
{
    struct migration *m = s->migration;

    if (m->settled || !m->has_columns || m->uuid_count > 1)
        done(s);
    else if (m->everywhere)
        look_everywhere(s);
    else if (m->column_count > 0)
        migration_ask(s, on_plan, "VEXPLAIN PLAN SELECT * FROM `%s`.`%s`", m->record.keyspace,
                      m->record.table);
    else
        migration_ask(s, on_columns, "SHOW COLUMNS FROM `%s`.`%s`", m->record.keyspace,
                      m->record.table);
}
