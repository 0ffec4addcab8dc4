/*
 * The grammar of the admin commands, on the planner's lexer.
 */
#include "proxy/admin_parse.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/options.h"

static const char *const COMMANDS[] = {
#define ADMIN_COMMAND(words, syntax, help, right, handler) words,
#include "proxy/admin_commands.def"
#undef ADMIN_COMMAND
};

bool admin_parse_refuse(struct admin_error *error, const struct token *near, const char *expected)
{
    error->near = *near;
    snprintf(error->expected, sizeof(error->expected), "%s", expected);
    return false;
}

void admin_error_format(const struct admin_error *error, char text[ADMIN_ERROR_MAX])
{
    const struct token *near = &error->near;

    if (near->kind == TOKEN_END)
        snprintf(text, ADMIN_ERROR_MAX, "You have an error in your syntax: expected %s at the end",
                 error->expected);
    else
        snprintf(text, ADMIN_ERROR_MAX, "You have an error in your syntax: expected %s near '%.*s'",
                 error->expected, (int)(near->len < 64 ? near->len : 64), near->text);
}

/* SHOW GLOBAL VARIABLES and its like: there is only one of each here. */
static bool is_scope(const struct token *t, const char *word)
{
    return (strcmp(word, "VARIABLES") == 0 || strcmp(word, "STATUS") == 0) &&
           (token_is(t, "GLOBAL") || token_is(t, "SESSION") || token_is(t, "LOCAL"));
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
        if (is_scope(&t, word))
            t = lexer_next(&at);
        if (!token_is(&t, word))
            return false;
        words += n + strspn(words + n, " ");
    }
    *lx = at;
    return true;
}

/* name [. name]*: false when it is none or too long. */
static bool read_key(struct lexer *lx, char key[ADMIN_KEY_MAX])
{
    size_t n = 0;

    for (;;) {
        struct token t = lexer_next(lx);

        if (t.kind != TOKEN_WORD || n + t.len + 2 > ADMIN_KEY_MAX)
            return false;
        memcpy(key + n, t.text, t.len);
        n += t.len;
        key[n] = '\0';
        struct lexer ahead = *lx;

        t = lexer_next(&ahead);
        if (!token_is_char(&t, '.'))
            return true;
        key[n++] = '.';
        *lx = ahead;
    }
}

/* SET of one of the shim's settings, and not of a variable that a driver sets unasked: what has a
   dot in its name, or is known. */
static bool is_setting(struct lexer at)
{
    char key[ADMIN_KEY_MAX];
    struct token t = lexer_next(&at);

    if (!token_is(&t, "SET") || !read_key(&at, key))
        return false;
    t = lexer_next(&at);
    return token_is_char(&t, '=') && (strchr(key, '.') || option_find(key));
}

bool admin_parse_set_hidden(struct lexer behind_set, char key[ADMIN_KEY_MAX])
{
    if (!read_key(&behind_set, key))
        *key = '\0';
    const struct option_row *row = option_find(key);

    return !row || row->type == OPTION_SECRET || row->type == OPTION_USERS;
}

/* A minus and the number right behind it as one; else the minus as it is. */
static struct token negative(struct lexer *lx, const struct token *minus)
{
    struct lexer ahead = *lx;
    struct token t = lexer_next(&ahead);

    if (t.kind != TOKEN_NUMBER || t.text != minus->text + 1)
        return *minus;
    *lx = ahead;
    t.text--;
    t.len++;
    return t;
}

bool admin_parse_set(struct lexer *lx, char key[ADMIN_KEY_MAX], char value[ADMIN_SETTING_MAX],
                     struct admin_error *error)
{
    struct token t = {.kind = TOKEN_END, .text = lx->pos};

    if (!read_key(lx, key))
        return admin_parse_refuse(error, &t, "a setting, as SHOW OPTIONS names them");
    t = lexer_next(lx);
    if (!token_is_char(&t, '='))
        return admin_parse_refuse(error, &t, "=");
    t = lexer_next(lx);
    if (token_is_char(&t, '-')) /* no setting is negative: its bounds say so better */
        t = negative(lx, &t);
    if (t.len >= ADMIN_SETTING_MAX || t.unterminated ||
        (t.kind != TOKEN_STRING && t.kind != TOKEN_NUMBER && t.kind != TOKEN_WORD))
        return admin_parse_refuse(error, &t, "a value; in quotes, if it is not one word");
    const struct option_row *row = option_find(key);

    if (t.kind == TOKEN_STRING)
        value[lexer_unescape(value, t.text, t.len, t.text[-1])] = '\0';
    else if (token_is(&t, "DEFAULT") && row && row->fallback)
        snprintf(value, ADMIN_SETTING_MAX, "%s", row->fallback);
    else
        snprintf(value, ADMIN_SETTING_MAX, "%.*s", (int)t.len, t.text);
    return admin_parse_end(lx, error);
}

int admin_parse_command(struct lexer *lx, struct admin_error *error)
{
    bool setting = is_setting(*lx);

    for (size_t i = 0; setting && i < sizeof(COMMANDS) / sizeof(COMMANDS[0]); i++) {
        if (strcmp(COMMANDS[i], "SET OPTION") == 0) {
            lexer_next(lx);
            return (int)i;
        }
    }
    for (size_t i = 0; i < sizeof(COMMANDS) / sizeof(COMMANDS[0]); i++) {
        if (match_words(lx, COMMANDS[i]))
            return (int)i;
    }
    struct token t = lexer_next(lx);

    if (token_is(&t, "SHOW")) /* which the mistake is not */
        t = lexer_next(lx);
    admin_parse_refuse(error, &t, "a command of vtshim's admin port (SHOW HELP lists them)");
    return -1;
}

bool admin_parse_end(struct lexer *lx, struct admin_error *error)
{
    struct token t = lexer_next(lx);

    while (t.kind == TOKEN_SEMICOLON)
        t = lexer_next(lx);
    return t.kind == TOKEN_END || admin_parse_refuse(error, &t, "nothing more");
}

bool admin_parse_name(struct lexer *lx, const char *what, char dst[HOLD_NAME_MAX],
                      struct admin_error *error)
{
    struct token t = lexer_next(lx);

    if ((t.kind != TOKEN_WORD && t.kind != TOKEN_QUOTED) || t.len == 0 || t.len >= HOLD_NAME_MAX)
        return admin_parse_refuse(error, &t, what);
    memcpy(dst, t.text, t.len);
    dst[t.len] = '\0';
    return true;
}

/* --- DRAIN, RESUME, RELOAD -------------------------------------------------------------------- */

bool admin_parse_vtgate_name(struct lexer *lx, char name[ADMIN_VTGATE_MAX],
                             struct admin_error *error)
{
    struct token t = lexer_next(lx);

    if (t.kind != TOKEN_STRING || t.unterminated || t.len >= ADMIN_VTGATE_MAX)
        return admin_parse_refuse(error, &t, "a vtgate in quotes, as SHOW VTGATES names it");
    name[lexer_unescape(name, t.text, t.len, t.text[-1])] = '\0';
    return true;
}

bool admin_parse_vtgate(struct lexer *lx, char name[ADMIN_VTGATE_MAX], struct admin_error *error)
{
    return admin_parse_vtgate_name(lx, name, error) && admin_parse_end(lx, error);
}

/* A shard is no word of SQL: "ks/-80" is read as it is. */
bool admin_parse_target(struct lexer *lx, char target[ADMIN_TARGET_MAX], struct admin_error *error)
{
    struct token t = lexer_next(lx);

    if (t.kind == TOKEN_WORD) {
        while (lx->pos < lx->end && !memchr(" \t\r\n;", *lx->pos, 5))
            lx->pos++;
        t.len = (size_t)(lx->pos - t.text);
    }
    if (t.kind == TOKEN_END || t.kind == TOKEN_SEMICOLON || t.unterminated || t.len == 0 ||
        t.len >= ADMIN_TARGET_MAX)
        return admin_parse_refuse(error, &t, "a keyspace, or keyspace/shard");
    memcpy(target, t.text, t.len);
    target[t.len] = '\0';
    return admin_parse_end(lx, error);
}

/* --- migrations ------------------------------------------------------------------------------ */

/* What is made of letters, digits and these few more can stand in a statement as it is. */
static bool is_simple(const struct token *t, const char *more, size_t size)
{
    if (t->len == 0 || t->len >= size)
        return false;
    for (size_t i = 0; i < t->len; i++) {
        char c = t->text[i];

        if (!((c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
              strchr(more, c)))
            return false;
    }
    return true;
}

bool admin_parse_migration(struct lexer *lx, char uuid[ADMIN_UUID_MAX],
                           char keyspace[HOLD_NAME_MAX], struct admin_error *error)
{
    struct token t = lexer_next(lx);

    *keyspace = '\0';
    if (t.kind != TOKEN_STRING || t.unterminated || !is_simple(&t, "_-", ADMIN_UUID_MAX))
        return admin_parse_refuse(error, &t, "a migration's uuid in quotes");
    memcpy(uuid, t.text, t.len);
    uuid[t.len] = '\0';
    struct lexer ahead = *lx;

    t = lexer_next(&ahead);
    if (!token_is(&t, "IN"))
        return true;
    *lx = ahead;
    if (!admin_parse_name(lx, "a keyspace", keyspace, error))
        return false;
    t = (struct token){.kind = TOKEN_QUOTED, .text = keyspace, .len = strlen(keyspace)};
    return !strchr(keyspace, '`') || admin_parse_refuse(error, &t, "a keyspace");
}

bool admin_parse_force(struct lexer *lx, bool *force, struct admin_error *error)
{
    struct lexer ahead = *lx;
    struct token t = lexer_next(&ahead);

    *force = token_is(&t, "FORCE");
    if (*force)
        *lx = ahead;
    return admin_parse_end(lx, error);
}

bool admin_parse_throttle(struct lexer *lx, char options[ADMIN_THROTTLE_MAX],
                          struct admin_error *error)
{
    struct token expire = {.len = 0}, ratio = {.len = 0}, t;

    *options = '\0';
    for (t = lexer_next(lx); t.kind != TOKEN_END && t.kind != TOKEN_SEMICOLON; t = lexer_next(lx)) {
        if (token_is(&t, "EXPIRE")) {
            expire = t = lexer_next(lx);
            if (t.kind != TOKEN_STRING || !is_simple(&t, ".", 16))
                return admin_parse_refuse(error, &t, "a duration in quotes, such as '10m'");
        } else if (token_is(&t, "RATIO")) {
            ratio = t = lexer_next(lx);
            if (t.kind != TOKEN_NUMBER || !is_simple(&t, ".", 16))
                return admin_parse_refuse(error, &t, "a number from 0 to 1");
        } else {
            return admin_parse_refuse(error, &t, "EXPIRE 'duration', or RATIO number");
        }
    }
    size_t n = 0;

    if (expire.len)
        n = (size_t)snprintf(options, ADMIN_THROTTLE_MAX, " EXPIRE '%.*s'", (int)expire.len,
                             expire.text);
    if (ratio.len)
        snprintf(options + n, ADMIN_THROTTLE_MAX - n, " RATIO %.*s", (int)ratio.len, ratio.text);
    return t.kind == TOKEN_END || admin_parse_end(lx, error);
}

bool admin_parse_kill(struct lexer *lx, uint32_t *id, bool *query_only, struct admin_error *error)
{
    struct token t = lexer_next(lx);
    char digits[24] = "", *end = digits;

    *query_only = token_is(&t, "QUERY");
    if (*query_only || token_is(&t, "CONNECTION"))
        t = lexer_next(lx);
    snprintf(digits, sizeof(digits), "%.*s", (int)(t.len < 11 ? t.len : 11), t.text);
    unsigned long long n = t.kind == TOKEN_NUMBER ? strtoull(digits, &end, 10) : 0;

    if (n == 0 || n > UINT32_MAX || *end)
        return admin_parse_refuse(error, &t, "the id of a connection to this port");
    *id = (uint32_t)n;
    return admin_parse_end(lx, error);
}
