/*
 * Each shape twice, for the cache admits what comes twice; the most frequent first, should the time
 * not do for all. Those of sessions without a target come before the others, while the connection
 * has none yet.
 *
 * A tablet runs equal reads that come at one time once, for all of them (its consolidator,
 * go/vt/vttablet/tabletserver/query_executor.go), what vtgate asks it for a PREPARE ("where 1 !=
 * 1") among them. If that one is cut off all of them have its error. So only what no user's
 * statement is equal to is cut off: texts that read, with literals of our own. Nor are statements
 * in a transaction, of which vtgate would forget that it has begun on the tablet.
 */
#include "proxy/control_warm.h"

#include <mysql.h>
#include <stdio.h>
#include <string.h>

#include "planner/sample.h"
#include "proxy/server.h"

#define TIMES       2
#define READ_MS     100
#define READ_ONLY   1792 /* ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION */
#define INTERRUPTED 1317 /* ER_QUERY_INTERRUPTED: cut off by READ_MS, after it was planned */

static bool say(MYSQL *m, const char *sql)
{
    if (mysql_query(m, sql) != 0)
        return false;
    MYSQL_RES *res = mysql_store_result(m);

    if (res)
        mysql_free_result(res);
    return res || mysql_field_count(m) == 0;
}

static bool use(MYSQL *m, const char *target)
{
    char sql[600];
    size_t n = (size_t)snprintf(sql, sizeof(sql), "USE `");

    for (; *target && n < sizeof(sql) - 4; target++) {
        if (*target == '`')
            sql[n++] = '`';
        sql[n++] = *target;
    }
    snprintf(sql + n, sizeof(sql) - n, "`");
    return say(m, sql);
}

/* Until it is said again. */
static bool limit(MYSQL *m, struct control_warm *w, int ms)
{
    char sql[40];

    snprintf(sql, sizeof(sql), "SET query_timeout = %d", ms);
    if (ms != w->query_ms && !say(m, sql))
        return false;
    w->query_ms = ms;
    return true;
}

static bool prepare(MYSQL *m, const struct shape *s)
{
    MYSQL_STMT *stmt = mysql_stmt_init(m);
    bool ok = stmt && mysql_stmt_prepare(stmt, s->text, (unsigned long)s->len) == 0;

    if (stmt)
        mysql_stmt_close(stmt);
    return ok;
}

/* Whether that error came from a tablet: vtgate had a plan by then. */
static bool was_planned(MYSQL *m)
{
    unsigned code = mysql_errno(m);

    return code == 0 || code == READ_ONLY || code == INTERRUPTED ||
           strstr(mysql_error(m), "target: ") != NULL;
}

/* Every statement that writes has a transaction of its own: what became of the last one, which may
   have been ended by an error, does not matter so. */
static bool run(MYSQL *m, const struct shape *s)
{
    bool writes = sample_writes(s->text, s->len);

    if (writes && !(say(m, "ROLLBACK") && say(m, "START TRANSACTION READ ONLY") &&
                    m->server_status & SERVER_STATUS_IN_TRANS))
        return false;
    bool planned = say(m, s->text) || was_planned(m);

    if (writes)
        say(m, "ROLLBACK");
    return planned;
}

static bool plan(MYSQL *m, struct control_warm *w, const struct shape *s)
{
    bool reads = !s->prepared && !sample_writes(s->text, s->len);
    bool planned = limit(m, w, reads ? READ_MS : 0);

    for (int i = 0; i < TIMES && planned; i++)
        planned = s->prepared ? prepare(m, s) : run(m, s);
    return planned;
}

/* The shapes that have a target, or those that have none. */
static void plan_all(struct control_warm *w, MYSQL *m, int64_t until_ms, bool targeted)
{
    const char *target = "";

    for (size_t i = 0; i < w->shapes->n && !w->cut; i++) {
        const struct shape *s = &w->shapes->items[i];

        if (w->left_out[i] || (*s->target != '\0') != targeted)
            continue;
        w->cut = clock_ms() >= until_ms;
        if (w->cut)
            break;
        bool there = strcmp(s->target, target) == 0 || use(m, s->target);

        if (there)
            target = s->target;
        if (there && plan(m, w, s))
            w->planned++;
        else
            w->refused++;
    }
}

void control_warm_run(MYSQL *m, void *arg)
{
    struct control_warm *w = arg;
    int64_t began = clock_ms();

    w->query_ms = -1;
    w->reached = m && limit(m, w, 0);
    for (int targeted = 0; w->reached && targeted <= 1; targeted++)
        plan_all(w, m, began + w->limit_ms, targeted == 1);
    w->took_ms = clock_ms() - began;
}
