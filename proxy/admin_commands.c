/*
 * Finding the handler of an admin command, and the commands that change something.
 */
#include "proxy/admin_commands.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/holds.h"
#include "proxy/memory.h"
#include "proxy/reload.h"
#include "proxy/server.h"
#include "proxy/vtgates.h"

struct command_row {
    const char *words, *syntax, *help;
    admin_handler *handler;
};

static const struct command_row COMMANDS[] = {
#define ADMIN_COMMAND(first, form, text, fn)                                                       \
    {.words = first, .syntax = form, .help = text, .handler = fn},
#include "proxy/admin_commands.def"
#undef ADMIN_COMMAND
};

#define COMMAND_ROWS (sizeof(COMMANDS) / sizeof(COMMANDS[0]))

void admin_syntax_error(struct admin_request *rq, const struct token *near, const char *expected)
{
    if (near->kind == TOKEN_END)
        admin_reply_error(rq, 1064, "42000",
                          "You have an error in your syntax: expected %s at the end", expected);
    else
        admin_reply_error(rq, 1064, "42000",
                          "You have an error in your syntax: expected %s near '%.*s'", expected,
                          (int)(near->len < 64 ? near->len : 64), near->text);
}

bool admin_expect_end(struct admin_request *rq, struct lexer *lx)
{
    struct token t = lexer_next(lx);

    while (t.kind == TOKEN_SEMICOLON)
        t = lexer_next(lx);
    if (t.kind == TOKEN_END)
        return true;
    admin_syntax_error(rq, &t, "nothing more");
    return false;
}

/* Whether the text begins with these words; *lx then stands behind them. */
static bool match_words(struct lexer *lx, const char *words)
{
    struct lexer at = *lx;

    while (*words) {
        char word[32];
        size_t n = strcspn(words, " ");
        struct token t = lexer_next(&at);

        snprintf(word, sizeof(word), "%.*s", (int)n, words);
        if (!token_is(&t, word))
            return false;
        words += n + strspn(words + n, " ");
    }
    *lx = at;
    return true;
}

void admin_command(struct admin_request *rq, const char *sql, size_t len)
{
    struct lexer lx;

    lexer_init(&lx, sql, len);
    for (size_t i = 0; i < COMMAND_ROWS; i++) {
        if (match_words(&lx, COMMANDS[i].words)) {
            COMMANDS[i].handler(rq, &lx);
            return;
        }
    }
    struct token first = lexer_next(&lx);

    admin_syntax_error(rq, &first, "a command of vtshim's admin port (HELP lists them)");
}

void admin_help(struct admin_request *rq, struct lexer *lx)
{
    static const char *const NAMES[] = {"Command", "Help"};

    if (!admin_expect_end(rq, lx))
        return;
    struct admin_table *t = admin_table_create(NAMES, 2);

    for (size_t i = 0; i < COMMAND_ROWS; i++)
        admin_table_row(t, (const char *const[]){COMMANDS[i].syntax, COMMANDS[i].help});
    admin_reply_table(rq, t);
}

void admin_accept(struct admin_request *rq, struct lexer *lx)
{
    (void)lx;
    admin_reply_ok(rq, 0, NULL);
}

/* --- HOLD ------------------------------------------------------------------------------------ */

static bool read_name(struct admin_request *rq, struct lexer *lx, const char *what, char *dst)
{
    struct token t = lexer_next(lx);

    if ((t.kind != TOKEN_WORD && t.kind != TOKEN_QUOTED) || t.len == 0 || t.len >= HOLD_NAME_MAX) {
        admin_syntax_error(rq, &t, what);
        return false;
    }
    memcpy(dst, t.text, t.len);
    dst[t.len] = '\0';
    return true;
}

static bool read_scope(struct admin_request *rq, struct lexer *lx, struct hold *h)
{
    struct token t = lexer_next(lx);

    if (token_is(&t, "ALL")) {
        h->scope = HOLD_ALL;
        return true;
    }
    if (token_is(&t, "KEYSPACE")) {
        h->scope = HOLD_KEYSPACE;
        return read_name(rq, lx, "a keyspace", h->keyspace);
    }
    if (!token_is(&t, "TABLE")) {
        admin_syntax_error(rq, &t, "ALL, KEYSPACE or TABLE");
        return false;
    }
    h->scope = HOLD_TABLE;
    if (!read_name(rq, lx, "keyspace.table", h->keyspace))
        return false;
    t = lexer_next(lx);
    if (!token_is_char(&t, '.')) {
        admin_syntax_error(rq, &t, "'.' and a table");
        return false;
    }
    return read_name(rq, lx, "a table", h->table);
}

static bool read_seconds(struct admin_request *rq, struct lexer *lx, int64_t *seconds)
{
    int64_t max = rq->server->config->hold_max_ttl_s;
    struct token t = lexer_next(lx);
    char digits[16], *end = digits;

    snprintf(digits, sizeof(digits), "%.*s", (int)(t.len < 15 ? t.len : 15), t.text);
    *seconds = t.kind == TOKEN_NUMBER ? strtoll(digits, &end, 10) : 0;
    if (t.kind != TOKEN_NUMBER || *end || *seconds < 1 || *seconds > max) {
        char expected[96];

        snprintf(expected, sizeof(expected),
                 "a number of seconds from 1 to %" PRId64 " (hold.max_ttl_s)", max);
        admin_syntax_error(rq, &t, expected);
        return false;
    }
    return true;
}

static bool read_options(struct admin_request *rq, struct lexer *lx, struct hold *h,
                         int64_t *seconds)
{
    for (;;) {
        struct token t = lexer_next(lx);

        if (t.kind == TOKEN_END)
            return true;
        if (t.kind == TOKEN_SEMICOLON)
            return admin_expect_end(rq, lx);
        if (token_is(&t, "FOR")) {
            if (!read_seconds(rq, lx, seconds))
                return false;
        } else if (token_is(&t, "REASON")) {
            t = lexer_next(lx);
            if (t.kind != TOKEN_STRING || t.unterminated) {
                admin_syntax_error(rq, &t, "the reason in quotes");
                return false;
            }
            if (t.len >= sizeof(h->reason))
                t.len = sizeof(h->reason) - 1;
            h->reason[lexer_unescape(h->reason, t.text, t.len, t.text[-1])] = '\0';
        } else {
            admin_syntax_error(rq, &t, "FOR seconds, or REASON 'text'");
            return false;
        }
    }
}

struct pending_hold {
    struct admin_request *rq;
    uint64_t id;
    int64_t seconds;
    char scope[2 * HOLD_NAME_MAX + 16];
};

static void on_held(void *arg)
{
    static const char *const NAMES[] = {"Id", "Scope", "Expires_in_s"};
    struct pending_hold *p = arg;
    struct admin_table *t = admin_table_create(NAMES, 3);
    char id[24], seconds[24];

    snprintf(id, sizeof(id), "%" PRIu64, p->id);
    snprintf(seconds, sizeof(seconds), "%" PRId64, p->seconds);
    admin_table_row(t, (const char *const[]){id, p->scope, seconds});
    admin_reply_table(p->rq, t);
    free(p);
}

void admin_hold(struct admin_request *rq, struct lexer *lx)
{
    struct hold h = {.reason = ""};
    int64_t seconds = rq->server->config->hold_default_ttl_s;

    if (!read_scope(rq, lx, &h) || !read_options(rq, lx, &h, &seconds))
        return;
    snprintf(h.owner, sizeof(h.owner), "%s@%s", rq->user, rq->peer);
    struct pending_hold *p = memory_zalloc(sizeof(*p));

    p->rq = rq;
    p->seconds = seconds;
    hold_format_scope(&h, p->scope, sizeof(p->scope));
    /* The answer comes when every worker acts by it: the callback is never called from inside. */
    p->id = holds_add(rq->server->holds, &h, seconds * 1000, on_held, p);
}

/* --- RELEASE --------------------------------------------------------------------------------- */

struct pending_release {
    struct admin_request *rq;
    uint64_t id;
    size_t removed;
};

static void on_released(void *arg)
{
    struct pending_release *p = arg;

    if (p->removed == 0 && p->id != 0)
        admin_reply_error(p->rq, 1094, "HY000", "Unknown hold id: %" PRIu64, p->id);
    else
        admin_reply_ok(p->rq, p->removed, NULL);
    free(p);
}

void admin_release(struct admin_request *rq, struct lexer *lx)
{
    struct token t = lexer_next(lx);
    char digits[24] = "", *end = digits;
    uint64_t id = 0;

    if (!token_is(&t, "ALL")) {
        snprintf(digits, sizeof(digits), "%.*s", (int)(t.len < 20 ? t.len : 20), t.text);
        id = t.kind == TOKEN_NUMBER ? strtoull(digits, &end, 10) : 0;
        if (id == 0 || *end) {
            admin_syntax_error(rq, &t, "ALL or the id of a hold");
            return;
        }
    }
    if (!admin_expect_end(rq, lx))
        return;
    struct pending_release *p = memory_zalloc(sizeof(*p));

    p->rq = rq;
    p->id = id;
    p->removed = holds_remove(rq->server->holds, id, on_released, p);
}

/* --- DRAIN, RESUME --------------------------------------------------------------------------- */

static void set_draining(struct admin_request *rq, struct lexer *lx, bool draining)
{
    struct token t = lexer_next(lx);
    char name[300];

    if (t.kind != TOKEN_STRING || t.unterminated || t.len >= sizeof(name)) {
        admin_syntax_error(rq, &t, "a vtgate in quotes, as SHOW VTGATES names it");
        return;
    }
    name[lexer_unescape(name, t.text, t.len, t.text[-1])] = '\0';
    if (!admin_expect_end(rq, lx))
        return;
    struct vtgate *v = vtgates_find(rq->server->vtgates, name);

    if (!v) {
        admin_reply_error(rq, 1105, "HY000", "Unknown vtgate '%s'; SHOW VTGATES lists them", name);
        return;
    }
    vtgate_set_draining(v, draining);
    admin_reply_ok(rq, 1, NULL);
}

void admin_drain_vtgate(struct admin_request *rq, struct lexer *lx)
{
    set_draining(rq, lx, true);
}

void admin_resume_vtgate(struct admin_request *rq, struct lexer *lx)
{
    set_draining(rq, lx, false);
}

/* --- RELOAD ---------------------------------------------------------------------------------- */

struct pending_reload {
    struct admin_request *rq;
    struct admin_table *changes;
};

static void on_setting_changed(void *arg, const struct option_row *row, const char *old_value,
                               const char *new_value)
{
    struct pending_reload *p = arg;

    admin_table_row(p->changes, (const char *const[]){row->key, old_value, new_value,
                                                      row->reloadable ? "now" : "restart"});
}

static void on_reloaded(void *arg)
{
    struct pending_reload *p = arg;

    admin_reply_table(p->rq, p->changes);
    free(p);
}

void admin_reload(struct admin_request *rq, struct lexer *lx)
{
    static const char *const NAMES[] = {"Setting", "Old", "New", "Effect"};
    char error[RELOAD_ERROR_SIZE];

    if (!admin_expect_end(rq, lx))
        return;
    struct pending_reload *p = memory_zalloc(sizeof(*p));

    p->rq = rq;
    p->changes = admin_table_create(NAMES, 4);
    if (reload_run(rq->server, on_setting_changed, on_reloaded, p, error, sizeof(error)))
        return;
    admin_table_destroy(p->changes);
    free(p);
    admin_reply_error(rq, 1105, "HY000", "nothing is changed: %s", error);
}
