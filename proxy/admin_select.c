/*
 * The values are constants: nothing here asks the server.
 */
#include "proxy/admin_select.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static const struct admin_variable VARIABLES[] = {
    {"version", "8.4.0-vtshim-" VTSHIM_VERSION},
    {"version_comment", "vtshim admin port"},
    {"max_allowed_packet", "1048576"},
    {"autocommit", "1"},
    {"auto_increment_increment", "1"},
    {"character_set_client", "utf8mb4"},
    {"character_set_connection", "utf8mb4"},
    {"character_set_results", "utf8mb4"},
    {"character_set_server", "utf8mb4"},
    {"character_set_database", "utf8mb4"}, /* with the three above: a command line's \s */
    {"collation_database", "utf8mb4_0900_ai_ci"},
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

const struct admin_variable *admin_variables(size_t *n)
{
    *n = sizeof(VARIABLES) / sizeof(VARIABLES[0]);
    return VARIABLES;
}

static void copy_token(char *dst, const struct token *t)
{
    snprintf(dst, ADMIN_TEXT_MAX, "%.*s",
             (int)(t->len < ADMIN_TEXT_MAX ? t->len : ADMIN_TEXT_MAX - 1), t->text);
}

/* @@name, @@session.name, @@global.name */
static bool set_variable(struct admin_column *it, const struct token *t)
{
    char text[ADMIN_TEXT_MAX];

    copy_token(text, t);
    copy_token(it->name, t);
    const char *name = strrchr(text, '.') ? strrchr(text, '.') + 1 : text + strspn(text, "@");

    for (size_t i = 0; i < sizeof(VARIABLES) / sizeof(VARIABLES[0]); i++) {
        if (strcasecmp(name, VARIABLES[i].name) == 0) {
            snprintf(it->value, ADMIN_TEXT_MAX, "%s", VARIABLES[i].value);
            return true;
        }
    }
    return false;
}

/* VERSION(), USER(), CURRENT_USER(), DATABASE(), SCHEMA() */
static bool set_function(const char *account, struct admin_column *it, const struct token *t,
                         struct lexer *lx)
{
    struct token open = lexer_next(lx), close = lexer_next(lx);

    if (!token_is_char(&open, '(') || !token_is_char(&close, ')'))
        return false;
    snprintf(it->name, ADMIN_TEXT_MAX, "%.*s()", (int)(t->len < 64 ? t->len : 64), t->text);
    if (token_is(t, "VERSION"))
        snprintf(it->value, ADMIN_TEXT_MAX, "%s", VARIABLES[0].value);
    else if (token_is(t, "USER") || token_is(t, "CURRENT_USER"))
        snprintf(it->value, ADMIN_TEXT_MAX, "%s", account);
    else if (token_is(t, "DATABASE") || token_is(t, "SCHEMA"))
        it->value[0] = '\0';
    else
        return false;
    return true;
}

static bool read_column(const char *account, struct admin_column *it, struct lexer *lx,
                        struct token *t, struct admin_error *error)
{
    bool ok = true;

    if (t->kind == TOKEN_VARIABLE) {
        ok = set_variable(it, t);
    } else if (t->kind == TOKEN_NUMBER || t->kind == TOKEN_STRING) {
        copy_token(it->name, t);
        copy_token(it->value, t);
    } else {
        ok = t->kind == TOKEN_WORD && set_function(account, it, t, lx);
    }
    if (!ok)
        return admin_parse_refuse(error, t,
                                  "a system variable or constant of the admin port (SHOW HELP "
                                  "lists its commands)");
    *t = lexer_next(lx);
    if (token_is(t, "AS")) {
        *t = lexer_next(lx);
        if (t->kind != TOKEN_WORD && t->kind != TOKEN_QUOTED && t->kind != TOKEN_STRING)
            return admin_parse_refuse(error, t, "a column's name");
        copy_token(it->name, t);
        *t = lexer_next(lx);
    }
    return true;
}

bool admin_select_parse(struct lexer *lx, const char *account,
                        struct admin_column columns[ADMIN_SELECT_MAX], size_t *n,
                        struct admin_error *error)
{
    struct token t = lexer_next(lx);

    for (*n = 0;; t = lexer_next(lx)) {
        if (*n == ADMIN_SELECT_MAX)
            return admin_parse_refuse(error, &t, "fewer columns");
        if (!read_column(account, &columns[*n], lx, &t, error))
            return false;
        ++*n;
        if (!token_is_char(&t, ','))
            break;
    }
    if (token_is(&t, "LIMIT")) {
        lexer_next(lx);
        t = lexer_next(lx);
    }
    return t.kind == TOKEN_END || t.kind == TOKEN_SEMICOLON ||
           admin_parse_refuse(error, &t, "',' or the end");
}
