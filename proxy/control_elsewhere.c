/*
 * Two questions at most: whose is it, and then the statement that leaves the wish. Between them,
 * and after them, the command is planned anew (as after the question for PREPARE's variable), so
 * that nothing of it has to be kept but what was found out.
 */
#include "proxy/control_elsewhere.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/target.h"
#include "proxy/ask.h"
#include "proxy/keeper.h"
#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/script.h"
#include "proxy/server.h"
#include "proxy/session.h"
#include "proxy/worker.h"

#define COLUMNS_MAX 128   /* SHOW VITESS_MIGRATIONS has about 60 */
#define OLD_MS      10000 /* what was found out is not true any more */

struct elsewhere_found {
    char keyspace[65];
    struct control_statement asked;
    bool complete, told, managed;
    struct manager manager;
    int64_t asked_ms;
    uint16_t code; /* vtgate's error, or 0 */
    char state[6], message[300];
};

/* --- whose it is ----------------------------------------------------------------------------- */

bool manager_read(struct manager *m, const char *uuid, const char *context, const char *options,
                  const char *status, const char *postponed)
{
    static const size_t PREFIX = sizeof(DDL_CONTEXT_PREFIX) - 1;
    bool user_postponed, own = context && strncmp(context, DDL_CONTEXT_PREFIX, PREFIX) == 0;

    if (!status || !postponed || strcmp(postponed, "1") != 0 ||
        migration_status_is_terminal(migration_status_parse(status, strlen(status))))
        return false;
    if (own)
        snprintf(m->instance, sizeof(m->instance), "%.8s", context + PREFIX);
    else if (!options || !ddl_mark_parse(options, strlen(options), m->instance, &user_postponed))
        return false;
    snprintf(m->uuid, sizeof(m->uuid), "%s", uuid ? uuid : "");
    m->threshold_s = ddl_threshold_s(options ? options : "", options ? strlen(options) : 0);
    return true;
}

unsigned manager_threshold_s(const struct manager *m, bool complete)
{
    return complete ? ddl_threshold_now_s(m->threshold_s)
                    : ddl_threshold_postponed_s(m->threshold_s);
}

void manager_format(const struct manager *m, const struct server *server, bool complete, char *dst,
                    size_t size)
{
    bool own = strncmp(m->instance, server->instance, 8) == 0;

    snprintf(dst, size, "migration '%s' is managed by %s%s, which %s%s", m->uuid,
             own ? "this shim" : "the shim of instance ", own ? "" : m->instance,
             own ? "takes it over and " : "",
             complete ? "cuts it over as soon as all shards are ready and the transactions on its "
                        "table have ended"
                      : "cuts it over at COMPLETE, unless it has begun to");
}

static void read_rows(struct elsewhere_found *f, const struct answer *a)
{
    static const char *const NAMES[] = {"migration_uuid", "migration_context", "options",
                                        "migration_status", "postpone_completion"};
    enum { UUID, CONTEXT, OPTIONS, STATUS, POSTPONED, USED };
    struct bytes row[COLUMNS_MAX];
    int column[USED];

    for (int i = 0; i < USED; i++) {
        column[i] = answer_column(a, NAMES[i]);
        if (column[i] < 0 || column[i] >= COLUMNS_MAX)
            return;
    }
    for (const uint8_t *at = a->rows_at; !f->managed && answer_row(a, &at, row, COLUMNS_MAX);) {
        char text[USED][1200];

        for (int i = 0; i < USED; i++)
            bytes_to_text(text[i], sizeof(text[i]), row[column[i]]);
        f->managed = manager_read(&f->manager, text[UUID], text[CONTEXT], text[OPTIONS],
                                  text[STATUS], text[POSTPONED]);
    }
}

/* --- asking ---------------------------------------------------------------------------------- */

static void plan_again(struct session *s)
{
    if (s->script)
        script_retry(s);
    else
        query_next(s);
}

static void keep_error(struct elsewhere_found *f, const struct answer *a)
{
    f->code = a ? a->code : 1105;
    snprintf(f->state, sizeof(f->state), "%s", a ? a->state : "HY000");
    if (a)
        bytes_to_text(f->message, sizeof(f->message), a->message);
    else
        snprintf(f->message, sizeof(f->message), "vtshim: malformed answer of vtgate");
}

static void on_rows(struct session *s, const struct answer *a)
{
    if (!a || a->failed)
        keep_error(s->elsewhere, a);
    else if (a->columns)
        read_rows(s->elsewhere, a);
    plan_again(s);
}

static void look_soon(void *context, void *arg)
{
    (void)arg;
    keeper_look_soon(context);
}

static void on_told(struct session *s, const struct answer *a)
{
    struct server *server = s->worker->server;
    struct elsewhere_found *f = s->elsewhere;

    f->told = true;
    if (!a || a->failed)
        keep_error(f, a);
    else if (strncmp(f->manager.instance, server->instance, 8) == 0)
        mailbox_post(&server->mailbox, look_soon, server, NULL);
    plan_again(s);
}

static void look(struct session *s, const struct control_statement *c, bool all)
{
    struct sql_name keyspace = target_keyspace(s->database);
    struct elsewhere_found *f = s->elsewhere = memory_zalloc(sizeof(*f));
    char sql[600];
    int n;

    f->asked = *c;
    f->asked_ms = clock_ms();
    f->complete = strcmp(c->verb, "postpone") != 0;
    snprintf(f->keyspace, sizeof(f->keyspace), "%.*s", (int)keyspace.len, keyspace.text);
    if (all)
        n = snprintf(sql, sizeof(sql),
                     "SHOW VITESS_MIGRATIONS FROM `%s` WHERE postpone_completion = 1 AND "
                     "migration_status IN ('queued', 'ready', 'running')",
                     f->keyspace);
    else
        n = snprintf(sql, sizeof(sql), "SHOW VITESS_MIGRATIONS FROM `%s` LIKE '%s'", f->keyspace,
                     c->uuid);
    ask_start(s, sql, (size_t)n, on_rows);
}

static void tell(struct session *s)
{
    const struct elsewhere_found *f = s->elsewhere;
    char sql[200];
    int n = snprintf(sql, sizeof(sql), "ALTER VITESS_MIGRATION '%s' CUTOVER_THRESHOLD '%us'",
                     f->asked.uuid, manager_threshold_s(&f->manager, f->complete));

    log_info("migration_control", "verb:s uuid:s keyspace:s user:s session:u manager:s",
             f->asked.verb, f->asked.uuid, f->keyspace, s->user, s->id, f->manager.instance);
    ask_start(s, sql, (size_t)n, on_told);
}

/* --- the answer ------------------------------------------------------------------------------ */

void control_elsewhere_forget(struct session *s)
{
    free(s->elsewhere);
    s->elsewhere = NULL;
}

static bool is_about(const struct elsewhere_found *f, const struct control_statement *c)
{
    return f && clock_ms() - f->asked_ms < OLD_MS && strcmp(f->asked.verb, c->verb) == 0 &&
           strcmp(f->asked.uuid, c->uuid) == 0;
}

enum elsewhere control_elsewhere(struct session *s, const struct control_statement *c,
                                 uint16_t *code, char state[6], char *info, size_t size)
{
    bool all = strcmp(c->verb, "complete all") == 0;
    bool one = strcmp(c->verb, "complete") == 0 || strcmp(c->verb, "postpone") == 0;
    struct sql_name keyspace = target_keyspace(s->database);
    enum elsewhere result = ELSEWHERE_NOBODY;

    if (!(all || (one && *c->uuid)) || !s->worker->server->config->ddl_intercept ||
        keyspace.len == 0 || keyspace.len > 64 || strchr(keyspace.text, '`'))
        return ELSEWHERE_NOBODY;
    if (!is_about(s->elsewhere, c)) {
        control_elsewhere_forget(s);
        look(s, c, all);
        return ELSEWHERE_ASKING;
    }
    struct elsewhere_found *f = s->elsewhere;

    if (!f->code && f->managed && !all && !f->told) {
        tell(s);
        return ELSEWHERE_ASKING;
    }
    if (f->code) {
        *code = f->code;
        snprintf(state, 6, "%s", f->state);
        snprintf(info, size, "%s", f->message);
        result = ELSEWHERE_FAILED;
    } else if (f->managed && all) {
        snprintf(info, size, "%s", f->manager.uuid);
        result = ELSEWHERE_ALL;
    } else if (f->managed) {
        manager_format(&f->manager, s->worker->server, f->complete, info, size);
        result = ELSEWHERE_TOLD;
    }
    control_elsewhere_forget(s);
    return result;
}
