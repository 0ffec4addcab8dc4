/*
 * Finding the handler of an admin command, and the commands that are no SHOW.
 */
#include "proxy/admin_commands.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/admin_filter.h"
#include "proxy/admin_select.h"
#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/reload.h"
#include "proxy/server.h"
#include "proxy/vtgates.h"

struct command_row {
    const char *words, *syntax, *help;
    enum config_role right; /* the least role that may */
    admin_handler *handler;
};

static const struct command_row COMMANDS[] = {
#define ADMIN_COMMAND(first, form, text, role, fn)                                                 \
    {.words = first, .syntax = form, .help = text, .right = CONFIG_ROLE_##role, .handler = fn},
#include "proxy/admin_commands.def"
#undef ADMIN_COMMAND
};

#define AUDITED_MAX  512u
#define COMMAND_ROWS (sizeof(COMMANDS) / sizeof(COMMANDS[0]))

void admin_refuse(struct admin_request *rq, const struct admin_error *error)
{
    char text[ADMIN_ERROR_MAX];

    admin_error_format(error, text);
    admin_reply_error(rq, 1064, "42000", "%s", text);
}

bool admin_expect_end(struct admin_request *rq, struct lexer *lx)
{
    struct admin_error error;

    if (rq->filter ? admin_filter_parse(lx, rq->filter, &error) : admin_parse_end(lx, &error))
        return true;
    admin_refuse(rq, &error);
    return false;
}

/* KILL is everybody's, for their own (admin_control.c), but it ends something. */
static bool is_audited(const struct command_row *row)
{
    return row->right > CONFIG_ROLE_VIEWER || row->handler == admin_kill_query;
}

/* What the audit log gets of it: the text, but for the value of a SET that nobody may see. */
static char *audited(const struct command_row *row, const struct lexer *behind_words,
                     const char *sql, size_t len)
{
    char key[ADMIN_KEY_MAX], hidden[ADMIN_KEY_MAX + 16];

    if (row->handler != admin_set || !admin_parse_set_hidden(*behind_words, key))
        return memory_copy(sql, len < AUDITED_MAX ? len : AUDITED_MAX);
    int n = snprintf(hidden, sizeof(hidden), "SET %s = '******'", key);

    return memory_copy(hidden, (size_t)n);
}

static bool may_run(struct admin_request *rq, const struct command_row *row)
{
    if (rq->role >= row->right)
        return true;
    log_warn("admin_denied", "user:s peer:s role:s command:s", rq->user, rq->peer,
             config_role_name(rq->role), row->words);
    admin_reply_error(rq, 1227, "42000",
                      "Access denied; you need the role %s for this command, yours is %s",
                      config_role_name(row->right), config_role_name(rq->role));
    return false;
}

void admin_command(struct admin_request *rq, const char *sql, size_t len)
{
    struct admin_error error;
    struct lexer lx;

    lexer_init(&lx, sql, len);
    int row = admin_parse_command(&lx, &error);

    if (row < 0) {
        admin_refuse(rq, &error);
        return;
    }
    if (is_audited(&COMMANDS[row]))
        rq->audited = audited(&COMMANDS[row], &lx, sql, len);
    if (strncmp(COMMANDS[row].words, "SHOW", 4) == 0)
        rq->filter = memory_zalloc(sizeof(*rq->filter));
    if (may_run(rq, &COMMANDS[row]))
        COMMANDS[row].handler(rq, &lx);
}

bool admin_command_right(const char *text, size_t len, enum config_role *right)
{
    struct admin_error error;
    struct lexer lx;

    lexer_init(&lx, text, len);
    int row = admin_parse_command(&lx, &error);

    if (row >= 0)
        *right = COMMANDS[row].right;
    return row >= 0;
}

void admin_each_show(enum config_role role, void (*fn)(void *arg, const char *name), void *arg)
{
    for (size_t i = 0; i < COMMAND_ROWS; i++) {
        const struct command_row *row = &COMMANDS[i];

        if (strncmp(row->words, "SHOW ", 5) == 0 && strcmp(row->words, row->syntax) == 0 &&
            role >= row->right)
            fn(arg, row->words + 5);
    }
}

void admin_help(struct admin_request *rq, struct lexer *lx)
{
    static const char *const NAMES[] = {"Command", "Help", "Right"};
    struct admin_error error;

    /* HELP 'topic', as the mysql clients send it. */
    if (!rq->filter && !admin_parse_end(lx, &error)) {
        admin_parse_refuse(&error, &error.near,
                           "nothing more (SHOW HELP LIKE '%hold%' finds commands)");
        admin_refuse(rq, &error);
        return;
    }
    if (rq->filter && !admin_expect_end(rq, lx))
        return;
    struct admin_table *t = admin_table_create(NAMES, 3);

    for (size_t i = 0; i < COMMAND_ROWS; i++)
        admin_table_row(t, (const char *const[]){COMMANDS[i].syntax, COMMANDS[i].help,
                                                 config_role_name(COMMANDS[i].right)});
    admin_reply_table(rq, t);
}

void admin_accept(struct admin_request *rq, struct lexer *lx)
{
    (void)lx;
    admin_reply_ok(rq, 0, NULL);
}

void admin_select(struct admin_request *rq, struct lexer *lx)
{
    struct admin_column columns[ADMIN_SELECT_MAX];
    const char *names[ADMIN_SELECT_MAX], *values[ADMIN_SELECT_MAX];
    struct admin_error error;
    char account[ADMIN_TEXT_MAX];
    size_t n;

    snprintf(account, sizeof(account), "%s@%s", rq->user, rq->peer);
    if (!admin_select_parse(lx, account, columns, &n, &error)) {
        admin_refuse(rq, &error);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        names[i] = columns[i].name;
        values[i] = columns[i].value;
    }
    struct admin_table *table = admin_table_create(names, n);

    admin_table_row(table, values);
    admin_reply_table(rq, table);
}

/* --- DRAIN, RESUME --------------------------------------------------------------------------- */

static void set_draining(struct admin_request *rq, struct lexer *lx, bool draining)
{
    char name[ADMIN_VTGATE_MAX];
    struct admin_error error;

    if (!admin_parse_vtgate(lx, name, &error)) {
        admin_refuse(rq, &error);
        return;
    }
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
