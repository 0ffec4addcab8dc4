/*
 * Digests of statements, by the lexer: what it takes for a literal is replaced, what it takes for a
 * comment does not come up.
 */
#include "planner/digest.h"

#include <stdbool.h>
#include <string.h>

#include "planner/lexer.h"

/* How a token is written: between these quotes. */
struct sql_text {
    const char *quote, *text;
    size_t len;
};

static struct sql_text token_text(const struct token *t)
{
    if (t->kind == TOKEN_STRING || t->kind == TOKEN_NUMBER || (t->unterminated && t->len > 0))
        return (struct sql_text){"", "?", 1};
    if (t->kind == TOKEN_QUOTED)
        return (struct sql_text){"`", t->text, t->len};
    return (struct sql_text){"", t->text, t->len};
}

/* No blank before these and behind those: "t.c", "int(?)". */
static bool is_tight(const struct token *last, const struct token *t)
{
    return token_is_char(t, ',') || token_is_char(t, ')') || token_is_char(t, '.') ||
           t->kind == TOKEN_SEMICOLON || token_is_char(last, '(') || token_is_char(last, '.') ||
           (token_is_char(t, '(') && last->kind == TOKEN_WORD);
}

size_t statement_digest(char *dst, size_t size, const char *sql, size_t len)
{
    struct token last = {.kind = TOKEN_END};
    struct lexer lx;
    size_t n = 0;

    lexer_init(&lx, sql, len);
    for (struct token t = lexer_next(&lx); t.kind != TOKEN_END; t = lexer_next(&lx)) {
        struct sql_text w = token_text(&t);
        size_t quotes = strlen(w.quote), blank = n > 0 && !is_tight(&last, &t);

        if (w.len > size || n + blank + w.len + 2 * quotes + 4 > size) {
            memcpy(dst + n, "...", 3);
            n += 3;
            break;
        }
        if (blank)
            dst[n++] = ' ';
        memcpy(dst + n, w.quote, quotes);
        memcpy(dst + n + quotes, w.text, w.len);
        memcpy(dst + n + quotes + w.len, w.quote, quotes);
        n += w.len + 2 * quotes;
        last = t;
    }
    dst[n] = '\0';
    return n;
}
