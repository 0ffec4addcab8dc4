/*
 * After direct DDL: the answer waits until the session's vtgate plans with the table's columns, as
 * after a migration (migration_see.c tells why). A migration tool writes into its new table at
 * once.
 */
#include <string.h>

#include "proxy/everywhere.h"
#include "proxy/gate_internal.h"
#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/server.h"
#include "proxy/vtgates.h"
#include "proxy/worker.h"

#define LOOK_MS     100
#define COLUMNS_MAX 4096 /* MySQL's own limit for a table is 4096 */

static void done(struct session *s)
{
    char info[sizeof(s->gate->info)];

    memcpy(info, s->gate->info, sizeof(info));
    gate_answer_ok(s, info);
}

static void wait_ms(struct session *s, int64_t ms)
{
    session_set_state(s, SESSION_MIGRATING);
    loop_timer_set(&s->gate->timer, ms);
}

/* The others will know in a moment: nobody can be asked. */
static void wait_blindly(struct session *s)
{
    const struct server *server = s->worker->server;

    everywhere_drop(s->gate->everywhere);
    s->gate->everywhere = NULL;
    s->gate->seen = true;
    if (vtgates_count(server->vtgates) > 1 && server->config->ddl_settle_ms > 0)
        wait_ms(s, server->config->ddl_settle_ms);
    else
        done(s);
}

/* This vtgate knows; the others are asked. */
static void settle(struct session *s)
{
    struct server *server = s->worker->server;
    struct gate *g = s->gate;
    int64_t left = g->seeing_ms + server->config->ddl_visible_ms - clock_ms();

    if (vtgates_count(server->vtgates) < 2 || g->column_count == 0 || left <= 0) {
        wait_blindly(s);
        return;
    }
    g->everywhere = everywhere_ask(server, g->keyspace, g->table, g->columns, sizeof(g->columns[0]),
                                   g->column_count, left);
    wait_ms(s, LOOK_MS / 2);
}

static void look_everywhere(struct session *s)
{
    switch (everywhere_state(s->gate->everywhere)) {
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
    const struct gate *g = s->gate;

    if (clock_ms() - g->seeing_ms < s->worker->server->config->ddl_visible_ms) {
        wait_ms(s, LOOK_MS);
        return;
    }
    log_warn("ddl_not_visible", "session:u table:s vtgate:s", s->id, g->table,
             vtgate_name(s->vtgate));
    done(s);
}

static void on_plan(struct session *s, const struct answer *a)
{
    struct gate *g = s->gate;
    const uint8_t *at = a ? a->rows_at : NULL;
    struct bytes row[1];

    if (a && !a->failed && a->columns && answer_row(a, &at, row, 1) && row[0].p &&
        everywhere_plan_shows(row[0], g->columns, sizeof(g->columns[0]), g->column_count)) {
        settle(s);
    } else {
        look_again(s);
    }
}

static void on_columns(struct session *s, const struct answer *a)
{
    struct gate *g = s->gate;
    struct bytes row[1];

    if (a && !a->failed && a->columns) {
        g->columns = memory_zalloc(COLUMNS_MAX * sizeof(*g->columns));
        for (const uint8_t *at = a->rows_at;
             g->column_count < COLUMNS_MAX && answer_row(a, &at, row, 1);) {
            size_t n = row[0].len < sizeof(*g->columns) ? row[0].len : 0;

            if (n)
                memcpy(g->columns[g->column_count++], row[0].p, n);
        }
    }
    if (g->column_count > 0)
        gate_see_again(s);
    else if (a && a->failed && gate_says_not_found(a))
        look_again(s); /* a new table, which vtgate has not heard of yet */
    else
        settle(s); /* no right to see it */
}

void gate_see_again(struct session *s)
{
    struct gate *g = s->gate;

    if (g->seen)
        done(s);
    else if (g->everywhere)
        look_everywhere(s);
    else if (g->column_count > 0)
        gate_ask(s, on_plan, "VEXPLAIN PLAN SELECT * FROM %s", g->reference);
    else
        gate_ask(s, on_columns, "SHOW COLUMNS FROM %s", g->reference);
}

void gate_see(struct session *s)
{
    struct gate *g = s->gate;
    bool columns = g->st.object == DDL_OBJECT_TABLE && *g->reference &&
                   (g->st.verb == DDL_CREATE || g->st.verb == DDL_ALTER);

    g->seeing_ms = clock_ms();
    if (columns)
        gate_see_again(s);
    else
        done(s);
}
