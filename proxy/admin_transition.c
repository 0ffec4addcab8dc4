/*
 * DEPLOY VSCHEMA, DEPLOY ROUTING RULES, ROLLBACK TRANSITION, SHOW TRANSITIONS, SHOW TRANSITION.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/admin_commands.h"
#include "proxy/admin_transition.h"
#include "proxy/server.h"
#include "proxy/transition.h"

#define FILE_MAX (16u << 20) /* bytes; Vitess's own limit of a message */

/* --- the answer ------------------------------------------------------------------------------ */

static void add_lines(struct admin_table *table, const struct transition *t)
{
    size_t n;
    const struct transition_line *lines = transition_lines(t, &n);

    for (size_t i = 0; i < n; i++)
        admin_table_row(table,
                        (const char *const[]){lines[i].section, lines[i].item, lines[i].value});
}

static void add_result(struct admin_table *table, const struct transition_row *row)
{
    char item[32], text[TRANSITION_TEXT_MAX + 128];
    int n = snprintf(text, sizeof(text), "%s in %" PRId64 " ms", row->outcome, row->took_ms);

    if (row->held_ms >= 0)
        n += snprintf(text + n, sizeof(text) - (size_t)n, ", statements parked for %" PRId64 " ms",
                      row->held_ms);
    if (row->code)
        snprintf(text + n, sizeof(text) - (size_t)n, ": %s", row->text);
    snprintf(item, sizeof(item), "%" PRIu64, row->id);
    admin_table_row(table, (const char *const[]){"transition", item, text});
}

static struct admin_table *report(const struct transition *t)
{
    static const char *const NAMES[] = {"Section", "Item", "Value"};
    struct admin_table *table = admin_table_create(NAMES, 3);
    struct transition_row row;

    transition_describe(t, &row);
    add_lines(table, t);
    add_result(table, &row);
    return table;
}

static void on_done(void *arg, struct transition *t)
{
    struct admin_request *rq = arg;
    struct transition_row row;

    transition_describe(t, &row);
    if (row.code)
        admin_reply_error(rq, row.code, row.state, "transition %" PRIu64 ": %s", row.id, row.text);
    else
        admin_reply_table(rq, report(t));
}

/* --- orders ---------------------------------------------------------------------------------- */

const char *admin_transition_source(struct admin_request *rq, const char *name, struct arena *a)
{
    const char *folder = rq->server->config->transition_files;
    char path[8192];

    if (transition_source_is_json(name))
        return name;
    if (!*folder) {
        admin_reply_error(rq, 1105, "HY000",
                          "FROM takes JSON, or with transition.files the name of a file");
        return NULL;
    }
    if (*name == '/' || strstr(name, "..") || strlen(name) > 255) {
        admin_reply_error(rq, 1105, "HY000", "FROM: a file's name below transition.files");
        return NULL;
    }
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *f = fopen(path, "re");
    char *text = f ? arena_alloc(a, FILE_MAX + 1) : NULL;
    size_t len = f ? fread(text, 1, FILE_MAX + 1, f) : 0;
    int error = f && ferror(f) ? EIO : f ? 0 : errno;

    if (f)
        fclose(f);
    if (!error && len <= FILE_MAX && !memchr(text, '\0', len))
        return text;
    admin_reply_error(rq, 1105, "HY000", "file '%s': %s", name,
                      error ? strerror(error) : "it is larger than 16 MiB, or has a NUL in it");
    return NULL;
}

/* Takes over rq and frees the order. */
static void start(struct admin_request *rq, struct transition_order *order)
{
    char error[TRANSITION_TEXT_MAX];

    order->user = rq->user;
    order->peer = rq->peer;
    snprintf(rq->keyspace, sizeof(rq->keyspace), "%s", order->keyspace);
    if (!transition_start(rq->server->transitions, order, on_done, rq, error))
        admin_reply_error(rq, 1105, "HY000", "%s", error);
    transition_order_free(order);
}

static void deploy(struct admin_request *rq, struct lexer *lx, enum transition_what what)
{
    struct transition_order order = {.what = what};
    struct admin_error error;

    if (!transition_order_parse(lx, what, &order, &error)) {
        admin_refuse(rq, &error);
        transition_order_free(&order);
        return;
    }
    order.source = admin_transition_source(rq, order.source, &order.arena);
    if (order.source)
        start(rq, &order);
    else
        transition_order_free(&order);
}

void admin_deploy_vschema(struct admin_request *rq, struct lexer *lx)
{
    deploy(rq, lx, TRANSITION_VSCHEMA);
}

void admin_deploy_routing(struct admin_request *rq, struct lexer *lx)
{
    deploy(rq, lx, TRANSITION_ROUTING);
}

static void switch_over(struct admin_request *rq, struct lexer *lx, enum transition_what what)
{
    struct transition_order order = {.what = what};
    struct admin_error error;

    if (transition_order_parse_switch(lx, what, &order, &error)) {
        start(rq, &order);
        return;
    }
    admin_refuse(rq, &error);
    transition_order_free(&order);
}

void admin_switch_traffic(struct admin_request *rq, struct lexer *lx)
{
    switch_over(rq, lx, TRANSITION_TRAFFIC);
}

void admin_reparent(struct admin_request *rq, struct lexer *lx)
{
    switch_over(rq, lx, TRANSITION_PRIMARY);
}

bool admin_transition_id(struct admin_request *rq, struct lexer *lx, const char *what, uint64_t *id)
{
    struct token t = lexer_next(lx);
    struct admin_error error;
    char digits[24], *end = digits;

    snprintf(digits, sizeof(digits), "%.*s", (int)(t.len < 20 ? t.len : 20), t.text);
    *id = t.kind == TOKEN_NUMBER ? strtoull(digits, &end, 10) : 0;
    if (*id == 0 || *end) {
        admin_parse_refuse(&error, &t, what);
        admin_refuse(rq, &error);
        return false;
    }
    return admin_expect_end(rq, lx);
}

void admin_rollback_transition(struct admin_request *rq, struct lexer *lx)
{
    struct transition_order order;
    char error[TRANSITION_TEXT_MAX];
    uint64_t id;

    if (!admin_transition_id(rq, lx, "the id of a transition", &id))
        return;
    if (transition_inverse(rq->server->transitions, id, &order, error))
        start(rq, &order);
    else
        admin_reply_error(rq, 1105, "HY000", "%s", error);
}

/* --- SHOW ------------------------------------------------------------------------------------ */

static void reply_json(struct admin_request *rq, const struct transition *t)
{
    static const char *const NAMES[] = {"Transition"};
    struct admin_table *table = admin_table_create(NAMES, 1);
    char *json = transition_json(t);

    admin_table_row(table, (const char *const[]){json});
    admin_reply_table(rq, table);
    free(json);
}

void admin_show_transition(struct admin_request *rq, struct lexer *lx)
{
    struct lexer ahead = *lx;
    struct token number = lexer_next(&ahead), word = lexer_next(&ahead);
    bool json = token_is(&word, "JSON");
    struct lexer first;
    uint64_t id;

    if (json) { /* the id is read as if it were all */
        lexer_init(&first, number.text, number.len);
        if (!admin_expect_end(rq, &ahead))
            return;
    }
    if (!admin_transition_id(rq, json ? &first : lx, "the id of a transition", &id))
        return;
    const struct transition *t = transitions_find(rq->server->transitions, id);

    if (!t)
        admin_reply_error(rq, 1105, "HY000", "Unknown transition: %" PRIu64, id);
    else if (json)
        reply_json(rq, t);
    else
        admin_reply_table(rq, report(t));
}

void admin_show_transitions(struct admin_request *rq, struct lexer *lx)
{
    static const char *const NAMES[] = {"Id",      "What",    "Keyspace", "User",
                                        "Started", "Outcome", "Step",     "Changes",
                                        "Held_ms", "Took_ms", "Text"};
    struct admin_table *table;

    if (!admin_expect_end(rq, lx))
        return;
    table = admin_table_create(NAMES, sizeof(NAMES) / sizeof(NAMES[0]));
    for (const struct transition *t = transitions_next(rq->server->transitions, NULL); t;
         t = transitions_next(rq->server->transitions, t)) {
        struct transition_row row;
        char id[24], user[160], changes[24], held[24], took[24];

        transition_describe(t, &row);
        snprintf(id, sizeof(id), "%" PRIu64, row.id);
        snprintf(user, sizeof(user), "%s@%s", row.user, row.peer);
        snprintf(changes, sizeof(changes), "%zu", row.changes);
        snprintf(held, sizeof(held), "%" PRId64, row.held_ms);
        snprintf(took, sizeof(took), "%" PRId64, row.took_ms);
        admin_table_row(table,
                        (const char *const[]){id, row.verb, row.keyspace, user, row.started,
                                              row.outcome, row.step, changes,
                                              row.held_ms < 0 ? NULL : held, took, row.text});
    }
    admin_reply_table(rq, table);
}
