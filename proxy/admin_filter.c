/*
 * Reading and applying of LIKE and WHERE.
 */
#include "proxy/admin_filter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "planner/ascii.h"

/* --- reading --------------------------------------------------------------------------------- */

/* The text of a value: of a string what it means (of LIKE's \% and \_ the lexer leaves the
   backslash), of a number or word what is there. */
static bool read_value(struct lexer *lx, char dst[ADMIN_CONDITION_MAX], struct admin_error *error)
{
    struct token t = lexer_next(lx);
    bool minus = token_is_char(&t, '-');

    if (minus)
        t = lexer_next(lx);
    bool ok = t.kind == TOKEN_STRING && !t.unterminated && !minus;

    if ((!ok && t.kind != TOKEN_NUMBER && (minus || t.kind != TOKEN_WORD)) ||
        t.len + minus >= ADMIN_CONDITION_MAX)
        return admin_parse_refuse(error, &t, "a value of at most 255 bytes");
    if (ok) {
        dst[lexer_unescape(dst, t.text, t.len, t.text[-1])] = '\0';
        return true;
    }
    snprintf(dst, ADMIN_CONDITION_MAX, "%s%.*s", minus ? "-" : "", (int)t.len, t.text);
    return true;
}

static bool read_comparison(struct lexer *lx, enum admin_comparison *comparison,
                            struct admin_error *error)
{
    struct token t = lexer_next(lx);
    struct lexer ahead = *lx;
    struct token next = lexer_next(&ahead);
    bool adjacent = next.kind == TOKEN_PUNCT && next.text == t.text + 1;

    if (token_is_char(&t, '='))
        *comparison = IS;
    else if (adjacent && ((token_is_char(&t, '!') && token_is_char(&next, '=')) ||
                          (token_is_char(&t, '<') && token_is_char(&next, '>'))))
        *comparison = IS_NOT;
    else if (token_is_char(&t, '<'))
        *comparison = adjacent && token_is_char(&next, '=') ? LESS_OR_IS : LESS;
    else if (token_is_char(&t, '>'))
        *comparison = adjacent && token_is_char(&next, '=') ? MORE_OR_IS : MORE;
    else if (token_is(&t, "LIKE"))
        *comparison = IS_LIKE;
    else
        return admin_parse_refuse(error, &t, "= != < <= > >= or LIKE");
    if (*comparison == IS_NOT || *comparison == LESS_OR_IS || *comparison == MORE_OR_IS)
        *lx = ahead;
    return true;
}

static bool read_condition(struct lexer *lx, struct admin_condition *c, struct admin_error *error)
{
    struct token t = lexer_next(lx);

    if ((t.kind != TOKEN_WORD && t.kind != TOKEN_QUOTED) || t.len == 0 ||
        t.len >= sizeof(c->column))
        return admin_parse_refuse(error, &t, "a column");
    snprintf(c->column, sizeof(c->column), "%.*s", (int)t.len, t.text);
    return read_comparison(lx, &c->comparison, error) && read_value(lx, c->value, error);
}

bool admin_filter_parse(struct lexer *lx, struct admin_filter *filter, struct admin_error *error)
{
    struct token t = lexer_next(lx);

    filter->n = 0;
    if (token_is(&t, "LIKE")) {
        struct admin_condition *c = &filter->items[filter->n++];

        *c = (struct admin_condition){.comparison = IS_LIKE};
        if (!read_value(lx, c->value, error))
            return false;
        t = lexer_next(lx);
    }
    if (token_is(&t, "WHERE")) {
        do {
            if (filter->n == ADMIN_CONDITIONS_MAX)
                return admin_parse_refuse(error, &t, "fewer conditions");
            if (!read_condition(lx, &filter->items[filter->n++], error))
                return false;
            t = lexer_next(lx);
        } while (token_is(&t, "AND"));
    }
    if (t.kind == TOKEN_SEMICOLON)
        return admin_parse_end(lx, error);
    return t.kind == TOKEN_END ||
           admin_parse_refuse(error, &t, filter->n ? "AND, or nothing more" : "nothing more");
}

/* --- applying -------------------------------------------------------------------------------- */

static size_t find_column(const char *name, const char *const *names, size_t columns)
{
    for (size_t i = 0; *name && i < columns; i++) {
        if (strcasecmp(name, names[i]) == 0)
            return i;
    }
    return *name ? columns : 0;
}

const char *admin_filter_unknown(const struct admin_filter *filter, const char *const *names,
                                 size_t columns)
{
    for (size_t i = 0; i < filter->n; i++) {
        if (find_column(filter->items[i].column, names, columns) == columns)
            return filter->items[i].column;
    }
    return NULL;
}

/* Goes back to the last % only: enough, and never slower than the product of the lengths. */
static bool is_like(const char *text, const char *pattern)
{
    const char *again = NULL, *behind = NULL;

    while (*text) {
        bool escaped = *pattern == '\\' && pattern[1];
        char want = escaped ? pattern[1] : *pattern;

        if (*pattern == '%') {
            behind = ++pattern;
            again = text;
        } else if ((want && ascii_lower(want) == ascii_lower(*text)) ||
                   (*pattern == '_' && !escaped)) {
            pattern += escaped ? 2 : 1;
            text++;
        } else if (behind) {
            pattern = behind;
            text = ++again;
        } else {
            return false;
        }
    }
    while (*pattern == '%')
        pattern++;
    return !*pattern;
}

static bool is_number(const char *text, double *value)
{
    char *end;

    *value = strtod(text, &end);
    return end != text && !*end;
}

static bool passes(const struct admin_condition *c, const char *value)
{
    double left, right;
    int order;

    if (!value)
        return false;
    if (c->comparison == IS_LIKE)
        return is_like(value, c->value);
    if (is_number(value, &left) && is_number(c->value, &right))
        order = left < right ? -1 : left > right;
    else
        order = strcasecmp(value, c->value);
    switch (c->comparison) {
    case IS:
        return order == 0;
    case IS_NOT:
        return order != 0;
    case LESS:
        return order < 0;
    case LESS_OR_IS:
        return order <= 0;
    case MORE:
        return order > 0;
    default:
        return order >= 0;
    }
}

bool admin_filter_passes(const struct admin_filter *filter, const char *const *names,
                         const char *const *values, size_t columns)
{
    for (size_t i = 0; i < filter->n; i++) {
        size_t column = find_column(filter->items[i].column, names, columns);

        if (column == columns || !passes(&filter->items[i], values[column]))
            return false;
    }
    return true;
}
