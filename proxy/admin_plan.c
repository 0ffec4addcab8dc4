/*
 * DEPLOY PLAN, RESUME PLAN, CANCEL PLAN, SHOW PLANS, SHOW PLAN.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/admin_commands.h"
#include "proxy/admin_transition.h"
#include "proxy/deploy_plan.h"
#include "proxy/server.h"

static struct admin_table *steps_of(const struct deploy_plan *p)
{
    static const char *const NAMES[] = {"Step",  "Kind", "Keyspace",  "What",
                                        "State", "Uuid", "Transition"};
    struct admin_table *table = admin_table_create(NAMES, 7);
    struct plan_step_row row;

    for (size_t i = 0; plan_step(p, i, &row); i++) {
        char step[24], transition[24];

        snprintf(step, sizeof(step), "%zu", i + 1);
        snprintf(transition, sizeof(transition), "%" PRIu64, row.transition);
        admin_table_row(table, (const char *const[]){step, row.kind, row.keyspace, row.what,
                                                     row.state, *row.uuid ? row.uuid : NULL,
                                                     row.transition ? transition : NULL});
    }
    return table;
}

static void on_ended(void *arg, struct deploy_plan *p)
{
    struct admin_request *rq = arg;
    struct plan_row row;

    plan_describe(p, &row);
    if (*row.text)
        admin_reply_error(rq, 1105, "HY000", "plan %" PRIu64 ": %s", row.id, row.text);
    else
        admin_reply_table(rq, steps_of(p));
}

void admin_deploy_plan(struct admin_request *rq, struct lexer *lx)
{
    struct token t = lexer_next(lx), word = lexer_next(lx);
    struct arena a = {NULL};
    struct admin_error error;
    char why[PLAN_TEXT_MAX];
    bool dry_run = false, ok = t.kind == TOKEN_STRING && !t.unterminated;

    if (!ok)
        admin_parse_refuse(&error, &t, "the plan as JSON, or the name of a file, in quotes");
    if (ok && token_is(&word, "DRY")) {
        word = lexer_next(lx);
        ok = dry_run = token_is(&word, "RUN");
        if (!ok)
            admin_parse_refuse(&error, &word, "RUN");
        word = lexer_next(lx);
    }
    while (ok && word.kind == TOKEN_SEMICOLON)
        word = lexer_next(lx);
    if (ok && word.kind != TOKEN_END)
        ok = admin_parse_refuse(&error, &word, "DRY RUN, or nothing more");
    if (!ok) {
        admin_refuse(rq, &error);
        return;
    }
    char *text = arena_alloc(&a, t.len + 1);

    text[lexer_unescape(text, t.text, t.len, t.text[-1])] = '\0';
    const char *json = admin_transition_source(rq, text, &a);

    if (json &&
        !plan_start(rq->server->plans, json, dry_run, rq->user, rq->peer, on_ended, rq, why))
        admin_reply_error(rq, 1105, "HY000", "%s", why);
    arena_free(&a);
}

void admin_resume_plan(struct admin_request *rq, struct lexer *lx)
{
    char why[PLAN_TEXT_MAX];
    uint64_t id;

    if (admin_transition_id(rq, lx, "the id of a plan", &id) &&
        !plan_resume(rq->server->plans, id, on_ended, rq, why))
        admin_reply_error(rq, 1105, "HY000", "%s", why);
}

void admin_cancel_plan(struct admin_request *rq, struct lexer *lx)
{
    char why[PLAN_TEXT_MAX];
    uint64_t id;

    if (!admin_transition_id(rq, lx, "the id of a plan", &id))
        return;
    if (plan_cancel(rq->server->plans, id, why))
        admin_reply_ok(rq, 1, NULL);
    else
        admin_reply_error(rq, 1105, "HY000", "%s", why);
}

void admin_show_plan(struct admin_request *rq, struct lexer *lx)
{
    uint64_t id;

    if (!admin_transition_id(rq, lx, "the id of a plan", &id))
        return;
    const struct deploy_plan *p = plans_find(rq->server->plans, id);

    if (p)
        admin_reply_table(rq, steps_of(p));
    else
        admin_reply_error(rq, 1105, "HY000", "Unknown plan: %" PRIu64, id);
}

void admin_show_plans(struct admin_request *rq, struct lexer *lx)
{
    static const char *const NAMES[] = {"Id", "User", "Started", "State", "Step", "Steps", "Text"};
    struct admin_table *table;

    if (!admin_expect_end(rq, lx))
        return;
    table = admin_table_create(NAMES, 7);
    for (const struct deploy_plan *p = plans_next(rq->server->plans, NULL); p;
         p = plans_next(rq->server->plans, p)) {
        struct plan_row row;
        char id[24], user[160], at[24], steps[24];

        plan_describe(p, &row);
        snprintf(id, sizeof(id), "%" PRIu64, row.id);
        snprintf(user, sizeof(user), "%s@%s", row.user, row.peer);
        snprintf(at, sizeof(at), "%zu", row.at < row.steps ? row.at + 1 : row.steps);
        snprintf(steps, sizeof(steps), "%zu", row.steps);
        admin_table_row(
            table, (const char *const[]){id, user, row.started, row.state, at, steps, row.text});
    }
    admin_reply_table(rq, table);
}
