/*
 * Commands about the process and its settings: SET, LOG LEVEL, DRAIN, RESUME, SHUTDOWN, and the end
 * of a client's session.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/admin_commands.h"
#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/reload.h"
#include "proxy/server.h"
#include "proxy/session.h"
#include "proxy/worker.h"

/* --- settings -------------------------------------------------------------------------------- */

struct pending_set {
    struct admin_request *rq;
    struct admin_table *changes;
};

static void on_changed(void *arg, const struct option_row *row, const char *old_value,
                       const char *new_value)
{
    struct pending_set *p = arg;

    admin_table_row(p->changes, (const char *const[]){row->key, old_value, new_value});
}

static void on_set(void *arg)
{
    struct pending_set *p = arg;

    admin_reply_table(p->rq, p->changes);
    free(p);
}

static void set(struct admin_request *rq, const char *key, const char *value)
{
    static const char *const NAMES[] = {"Setting", "Old", "New"};
    struct pending_set *p = memory_zalloc(sizeof(*p));
    char error[RELOAD_ERROR_SIZE];

    p->rq = rq;
    p->changes = admin_table_create(NAMES, 3);
    if (reload_set(rq->server, key, value, on_changed, on_set, p, error, sizeof(error)))
        return;
    admin_table_destroy(p->changes);
    free(p);
    admin_reply_error(rq, 1231, "42000", "%s", error);
}

void admin_set(struct admin_request *rq, struct lexer *lx)
{
    char key[ADMIN_KEY_MAX], *value = memory_zalloc(ADMIN_SETTING_MAX);
    struct admin_error error;

    if (admin_parse_set(lx, key, value, &error))
        set(rq, key, value);
    else
        admin_refuse(rq, &error);
    free(value);
}

void admin_log_level(struct admin_request *rq, struct lexer *lx)
{
    struct token t = lexer_next(lx);
    char level[16] = "";

    if (t.kind == TOKEN_WORD && t.len < sizeof(level))
        memcpy(level, t.text, t.len);
    if (admin_expect_end(rq, lx))
        set(rq, "log.level", level);
}

/* --- taking part, and the end ----------------------------------------------------------------- */

static void withdraw(struct admin_request *rq, struct lexer *lx, bool withdrawn)
{
    if (!admin_expect_end(rq, lx))
        return;
    if (rq->server->withdrawn != withdrawn)
        log_info(withdrawn ? "withdrawn" : "resumed", "by:s", rq->user);
    rq->server->withdrawn = withdrawn;
    admin_reply_ok(rq, 0, NULL);
}

void admin_drain(struct admin_request *rq, struct lexer *lx)
{
    withdraw(rq, lx, true);
}

void admin_resume(struct admin_request *rq, struct lexer *lx)
{
    withdraw(rq, lx, false);
}

void admin_shutdown(struct admin_request *rq, struct lexer *lx)
{
    struct lexer ahead = *lx;
    struct token t = lexer_next(&ahead);
    struct server *server = rq->server;
    bool wait = token_is(&t, "WAIT");

    if (wait)
        *lx = ahead;
    if (!admin_expect_end(rq, lx))
        return;
    admin_reply_ok(rq, 0, NULL); /* before the port stops reading */
    server_shut_down(server, 0, wait);
}

/* --- KILL SESSION ---------------------------------------------------------------------------- */

struct pending_kill {
    struct admin_request *rq;
    uint64_t id;
    bool found; /* written by the one worker that has the session; the mailboxes order it */
};

static void kill_on_worker(void *context, void *arg)
{
    struct worker *w = context;
    struct pending_kill *p = arg;
    struct session *s, *next;

    for (s = TAILQ_FIRST(&w->sessions); s; s = next) {
        next = TAILQ_NEXT(s, link);
        if (s->id != p->id || s->inner)
            continue;
        p->found = true;
        log_info("kill", "session:u user:s by:s query_only:u state:s", s->id, s->user, p->rq->user,
                 (uint64_t)0, session_state_name(s->state));
        session_client_gone(s, CLOSE_KILLED);
    }
}

static void on_killed(void *context, void *arg)
{
    struct pending_kill *p = arg;

    (void)context;
    if (p->found)
        admin_reply_ok(p->rq, 1, NULL);
    else
        admin_reply_error(p->rq, 1094, "HY000", "Unknown session id: %" PRIu64, p->id);
    free(p);
}

void admin_kill_session(struct admin_request *rq, struct lexer *lx)
{
    struct admin_error error;
    uint64_t id;

    if (!admin_parse_release(lx, &id, &error) || id == 0) {
        admin_reply_error(rq, 1064, "42000",
                          "You have an error in your syntax: expected the id of a session, as SHOW "
                          "SESSIONS has it");
        return;
    }
    struct pending_kill *p = memory_zalloc(sizeof(*p));

    p->rq = rq;
    p->id = id;
    server_broadcast(rq->server, kill_on_worker, on_killed, p);
}
