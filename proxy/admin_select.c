/*
 * SELECT on the admin port: the constants and system variables that clients and drivers read when
 * they connect, and nothing else.
 */
#include <stdio.h>
#include <string.h>

#include "proxy/admin_commands.h"

#define COLUMNS_MAX 64
#define TEXT_MAX    256

struct variable {
    const char *name, *value;
};

static const struct variable VARIABLES[] = {
    {"version", "8.4.0-vtshim-" VTSHIM_VERSION},
    {"version_comment", "vtshim admin port"},
    {"max_allowed_packet", "1048576"},
    {"autocommit", "1"},
    {"auto_increment_increment", "1"},
    {"character_set_client", "utf8mb4"},
    {"character_set_connection", "utf8mb4"},
    {"character_set_results", "utf8mb4"},
    {"character_set_server", "utf8mb4"},
    {"collation_server", "utf8mb4_0900_ai_ci"},
    {"collation_connection", "utf8mb4_0900_ai_ci"},
    {"interactive_timeout", "28800"},
    {"wait_timeout", "28800"},
    {"net_write_timeout", "60"},
    {"lower_case_table_names", "0"},
    {"sql_mode", ""},
    {"system_time_zone", "UTC"},
    {"time_zone", "SYSTEM"},
    {"transaction_isolation", "REPEATABLE-READ"},
    {"tx_isolation", "REPEATABLE-READ"},
    {"license", "Apache-2.0"},
};

struct item {
    char name[TEXT_MAX], value[TEXT_MAX];
};

static void copy_token(char *dst, const struct token *t)
{
    snprintf(dst, TEXT_MAX, "%.*s", (int)(t->len < TEXT_MAX ? t->len : TEXT_MAX - 1), t->text);
}

/* @@name, @@session.name, @@global.name */
static bool set_variable(struct item *it, const struct token *t)
{
    char text[TEXT_MAX];

    copy_token(text, t);
    copy_token(it->name, t);
    const char *name = strrchr(text, '.') ? strrchr(text, '.') + 1 : text + strspn(text, "@");

    for (size_t i = 0; i < sizeof(VARIABLES) / sizeof(VARIABLES[0]); i++) {
        if (strcasecmp(name, VARIABLES[i].name) == 0) {
            snprintf(it->value, TEXT_MAX, "%s", VARIABLES[i].value);
            return true;
        }
    }
    return false;
}

/* VERSION(), USER(), CURRENT_USER(), DATABASE(), CONNECTION_ID() */
static bool set_function(struct admin_request *rq, struct item *it, const struct token *t,
                         struct lexer *lx)
{
    struct token open = lexer_next(lx), close = lexer_next(lx);

    if (!token_is_char(&open, '(') || !token_is_char(&close, ')'))
        return false;
    snprintf(it->name, TEXT_MAX, "%.*s()", (int)(t->len < 64 ? t->len : 64), t->text);
    if (token_is(t, "VERSION"))
        snprintf(it->value, TEXT_MAX, "%s", VARIABLES[0].value);
    else if (token_is(t, "USER") || token_is(t, "CURRENT_USER"))
        snprintf(it->value, TEXT_MAX, "%s@%s", rq->user, rq->peer);
    else if (token_is(t, "DATABASE") || token_is(t, "SCHEMA"))
        it->value[0] = '\0';
    else
        return false;
    return true;
}

static bool read_item(struct admin_request *rq, struct item *it, struct lexer *lx, struct token *t)
{
    bool ok = true;

    if (t->kind == TOKEN_VARIABLE) {
        ok = set_variable(it, t);
    } else if (t->kind == TOKEN_NUMBER || t->kind == TOKEN_STRING) {
        copy_token(it->name, t);
        copy_token(it->value, t);
    } else {
        ok = t->kind == TOKEN_WORD && set_function(rq, it, t, lx);
    }
    if (!ok) {
        admin_syntax_error(rq, t, "a system variable or constant known to the admin port");
        return false;
    }
    *t = lexer_next(lx);
    if (token_is(t, "AS")) {
        *t = lexer_next(lx);
        copy_token(it->name, t);
        *t = lexer_next(lx);
    }
    return true;
}

void admin_select(struct admin_request *rq, struct lexer *lx)
{
    struct item items[COLUMNS_MAX];
    const char *names[COLUMNS_MAX], *values[COLUMNS_MAX];
    struct token t = lexer_next(lx);
    size_t n = 0;

    for (;;) {
        if (n == COLUMNS_MAX) {
            admin_syntax_error(rq, &t, "fewer columns");
            return;
        }
        if (!read_item(rq, &items[n], lx, &t))
            return;
        names[n] = items[n].name;
        values[n] = items[n].value;
        n++;
        if (!token_is_char(&t, ','))
            break;
        t = lexer_next(lx);
    }
    if (token_is(&t, "LIMIT")) {
        lexer_next(lx);
        t = lexer_next(lx);
    }
    if (t.kind != TOKEN_END && t.kind != TOKEN_SEMICOLON) {
        admin_syntax_error(rq, &t, "',' or the end");
        return;
    }
    struct admin_table *table = admin_table_create(names, n);

    admin_table_row(table, values);
    admin_reply_table(rq, table);
}
