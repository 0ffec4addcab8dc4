/*
 * The questions: SHOW COLUMNS, the plan until it shows them, then the other vtgates. VEXPLAIN PLAN
 * runs nothing, so that a session without autocommit is not left in a transaction. All the while
 * the session's locks are kept alive.
 */
#include "proxy/visible.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/ask.h"
#include "proxy/everywhere.h"
#include "proxy/locks.h"
#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/server.h"
#include "proxy/session.h"
#include "proxy/vtgates.h"
#include "proxy/warm.h"
#include "proxy/worker.h"

#define LOOK_MS         100  /* between two looks at the plan */
#define COLUMNS_MAX     4096 /* MySQL's own limit for a table */
#define COLUMN_NAME_MAX 260  /* 64 characters of four bytes, and some */

struct visible {
    char keyspace[65], name[COLUMN_NAME_MAX], reference[2 * COLUMN_NAME_MAX], uuid[64];
    bool created;
    void (*done)(struct session *s);
    int64_t since_ms;
    char (*columns)[COLUMN_NAME_MAX]; /* of the table as it is now; owned */
    size_t column_count, column_cap;
    struct everywhere *everywhere; /* what the other vtgates know; or NULL */
    bool blind;                    /* the others cannot be asked: they only get some time */
    struct loop_timer timer;
};

static void look(struct session *s);

static void on_timer(void *arg)
{
    struct session *s = arg;

    if (locks_due(s, clock_ms()))
        locks_keep(s, look);
    else
        look(s);
}

void visible_forget(struct session *s)
{
    struct visible *v = s->visible;

    if (!v)
        return;
    s->visible = NULL;
    loop_timer_stop(&v->timer);
    everywhere_drop(v->everywhere);
    free(v->columns);
    free(v);
}

static void finish(struct session *s)
{
    void (*done)(struct session * s) = s->visible->done;

    warm_soon(s->worker->server); /* with what they know now vtgates have thrown their plans away */
    visible_forget(s);
    done(s);
}

static void wait_ms(struct session *s, int64_t ms)
{
    session_set_state(s, SESSION_MIGRATING);
    loop_timer_set(&s->visible->timer, ms);
}

__attribute__((format(printf, 3, 4))) static void ask(struct session *s, ask_callback *done,
                                                      const char *format, ...)
{
    char sql[64 + sizeof(s->visible->reference)];
    va_list args;

    va_start(args, format);
    int len = vsnprintf(sql, sizeof(sql), format, args);
    va_end(args);
    ask_start(s, sql, (size_t)len, done);
}

/* --- the others ------------------------------------------------------------------------------ */

static void wait_blindly(struct session *s)
{
    const struct server *server = s->worker->server;
    struct visible *v = s->visible;

    everywhere_drop(v->everywhere);
    v->everywhere = NULL;
    v->blind = true;
    if (vtgates_count(server->vtgates) > 1 && server->config->ddl_settle_ms > 0)
        wait_ms(s, server->config->ddl_settle_ms);
    else
        finish(s);
}

/* This vtgate knows; the others are asked. */
static void ask_others(struct session *s)
{
    struct server *server = s->worker->server;
    struct visible *v = s->visible;
    int64_t left = v->since_ms + server->config->ddl_visible_ms - clock_ms();

    if (vtgates_count(server->vtgates) < 2 || v->column_count == 0 || left <= 0) {
        wait_blindly(s);
        return;
    }
    v->everywhere = everywhere_ask(server, v->keyspace, v->name, v->columns, sizeof(v->columns[0]),
                                   v->column_count, left);
    wait_ms(s, LOOK_MS / 2);
}

static void look_everywhere(struct session *s)
{
    switch (everywhere_state(s->visible->everywhere)) {
    case EVERYWHERE_ASKING:
        wait_ms(s, LOOK_MS / 2);
        break;
    case EVERYWHERE_CANNOT_TELL:
        wait_blindly(s);
        break;
    default:
        finish(s);
    }
}

/* --- this vtgate ----------------------------------------------------------------------------- */

static void look_again(struct session *s)
{
    const struct visible *v = s->visible;

    if (clock_ms() - v->since_ms < s->worker->server->config->ddl_visible_ms) {
        wait_ms(s, LOOK_MS);
        return;
    }
    log_warn("ddl_not_visible", "session:u keyspace:s table:s uuid:s vtgate:s", s->id, v->keyspace,
             v->name, v->uuid, vtgate_name(s->vtgate));
    finish(s);
}

static void on_plan(struct session *s, const struct answer *a)
{
    const struct visible *v = s->visible;
    const uint8_t *at = a ? a->rows_at : NULL;
    struct bytes plan;

    if (a && !a->failed && a->columns && answer_row(a, &at, &plan, 1) && plan.p &&
        everywhere_plan_shows(plan, v->columns, sizeof(v->columns[0]), v->column_count))
        ask_others(s);
    else
        look_again(s); /* "table not found", as long as it is unknown */
}

static void add_column(struct visible *v, struct bytes name)
{
    if (v->column_count == v->column_cap) {
        v->column_cap = v->column_cap ? 2 * v->column_cap : 16;
        v->columns = memory_resize(v->columns, v->column_cap * sizeof(*v->columns));
    }
    memset(v->columns[v->column_count], 0, sizeof(*v->columns));
    bytes_to_text(v->columns[v->column_count++], sizeof(*v->columns), name);
}

static void on_columns(struct session *s, const struct answer *a)
{
    struct visible *v = s->visible;
    struct bytes row[1];

    if (a && !a->failed && a->columns) {
        for (const uint8_t *at = a->rows_at;
             v->column_count < COLUMNS_MAX && answer_row(a, &at, row, 1);)
            add_column(v, row[0]);
    }
    if (v->column_count > 0)
        look(s);
    else if (a && a->failed && v->created && visible_says_not_found(a))
        look_again(s);
    else
        ask_others(s); /* no right to see it, or gone again */
}

static void look(struct session *s)
{
    const struct visible *v = s->visible;

    if (v->blind)
        finish(s);
    else if (v->everywhere)
        look_everywhere(s);
    else if (v->column_count > 0)
        ask(s, on_plan, "VEXPLAIN PLAN SELECT * FROM %s", v->reference);
    else
        ask(s, on_columns, "SHOW COLUMNS FROM %s", v->reference);
}

bool visible_says_not_found(const struct answer *a)
{
    return a->code == 1146 || a->code == 1109 ||
           (a->code == 1105 && memmem(a->message.p, a->message.len, "not found", 9));
}

void visible_wait(struct session *s, const struct visible_table *t, void (*done)(struct session *s))
{
    struct visible *v = s->visible = memory_zalloc(sizeof(*v));

    snprintf(v->keyspace, sizeof(v->keyspace), "%s", t->keyspace);
    snprintf(v->name, sizeof(v->name), "%s", t->name);
    snprintf(v->reference, sizeof(v->reference), "%s", t->reference);
    snprintf(v->uuid, sizeof(v->uuid), "%s", t->uuid);
    v->created = t->created;
    v->done = done;
    v->since_ms = clock_ms();
    loop_timer_init(&v->timer, &s->worker->loop, on_timer, s);
    look(s);
}
