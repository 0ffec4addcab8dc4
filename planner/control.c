/*
 * ALTER VITESS_MIGRATION ['uuid'] verb [ALL] ..., REVERT VITESS_MIGRATION 'uuid'.
 */
#include "planner/control.h"

#include <stdio.h>
#include <string.h>

#include "planner/ascii.h"
#include "planner/lexer.h"

static void copy_lower(char *dst, size_t size, const struct token *t)
{
    size_t n = t->len < size - 1 ? t->len : size - 1;

    for (size_t i = 0; i < n; i++)
        dst[i] = ascii_lower(t->text[i]);
    dst[n] = '\0';
}

/* A uuid, and not whatever else somebody writes between quotes: it goes into logs. */
static void copy_uuid(struct control_statement *out, const struct token *t)
{
    if (t->len >= sizeof(out->uuid) || t->unterminated)
        return;
    for (size_t i = 0; i < t->len; i++) {
        if (!strchr("0123456789abcdefABCDEF-_", t->text[i]) || t->text[i] == '\0')
            return;
    }
    memcpy(out->uuid, t->text, t->len);
    out->uuid[t->len] = '\0';
}

void control_statement_parse(struct control_statement *out, const char *sql, size_t len)
{
    struct lexer lx;

    memset(out, 0, sizeof(*out));
    lexer_init(&lx, sql, len);
    struct token first = lexer_next(&lx);

    lexer_next(&lx); /* VITESS_MIGRATION */
    struct token t = lexer_next(&lx);

    if (t.kind == TOKEN_STRING) {
        copy_uuid(out, &t);
        t = lexer_next(&lx);
    }
    if (token_is(&first, "REVERT")) {
        snprintf(out->verb, sizeof(out->verb), "revert");
        return;
    }
    if (t.kind != TOKEN_WORD)
        return;
    copy_lower(out->verb, 20, &t);
    t = lexer_next(&lx);
    if (token_is(&t, "ALL"))
        strcat(out->verb, " all");
}
