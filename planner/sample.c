/*
 * Copies a statement token by token, with the blanks between them, but for its literals.
 */
#include "planner/sample.h"

#include <stdio.h>
#include <string.h>

#include "planner/ascii.h"
#include "planner/lexer.h"

#define LITERALS_MAX 128
#define DIGITS_MAX   18 /* more may be another type than INT64 */
#define NUMBERS_FROM 1000
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum literal_type { LITERAL_INT, LITERAL_DECIMAL, LITERAL_STRING };

struct literal {
    enum literal_type type;
    const char *text;
    size_t len;
};

struct sampler {
    char *dst;
    size_t size, n;
    bool failed;
    const char *copied; /* the input up to here is in dst, or was left out */
    struct literal literals[LITERALS_MAX];
    size_t count;
    struct token last, before; /* the two tokens before the one at hand */
    bool ordering;             /* between ORDER BY or GROUP BY and the end of that */
};

/* --- writing --------------------------------------------------------------------------------- */

static void put(struct sampler *s, const char *text, size_t len)
{
    if (s->failed || len >= s->size - s->n) {
        s->failed = true;
        return;
    }
    memcpy(s->dst + s->n, text, len);
    s->n += len;
    s->dst[s->n] = '\0';
}

/* Where a token begins and ends in the input, its quotes included. */
static const char *token_begin(const struct token *t)
{
    return t->kind == TOKEN_STRING || t->kind == TOKEN_QUOTED ? t->text - 1 : t->text;
}

static const char *token_end(const struct token *t)
{
    return t->text + t->len + (t->kind == TOKEN_STRING || t->kind == TOKEN_QUOTED ? 1 : 0);
}

/* The blanks before a token. Comments are part of the key, and may have anything in them; only
   vtgate's own directives are copied. */
static void put_gap(struct sampler *s, const char *to)
{
    const char *from = s->copied;
    size_t len = (size_t)(to - from), blanks = 0;

    while (blanks < len && ascii_is(from[blanks], ASCII_BLANK))
        blanks++;
    if (s->n > 0 && blanks < len && !(len - blanks > 5 && memcmp(from + blanks, "/*vt+", 5) == 0))
        s->failed = true;
    else if (s->n > 0)
        put(s, from, len);
    else if (blanks < len && memcmp(from + blanks, "/*", 2) != 0)
        s->failed = true; /* -- and #: vtgate takes only the others off */
}

/* --- literals -------------------------------------------------------------------------------- */

static bool number_type(const struct token *t, enum literal_type *type)
{
    size_t digits = 0, points = 0;

    for (size_t i = 0; i < t->len; i++) {
        digits += ascii_is(t->text[i], ASCII_DIGIT);
        points += t->text[i] == '.';
    }
    if (digits == 0 || digits > DIGITS_MAX || digits + points != t->len || points > 1)
        return false; /* 0x1f, 1e9, a large one */
    *type = points ? LITERAL_DECIMAL : LITERAL_INT;
    return true;
}

/* Equal literals get the same number, from 1 on. 0: there are too many. */
static size_t literal_number(struct sampler *s, enum literal_type type, const struct token *t)
{
    for (size_t i = 0; i < s->count; i++) {
        const struct literal *l = &s->literals[i];

        if (l->type == type && l->len == t->len && memcmp(l->text, t->text, t->len) == 0)
            return i + 1;
    }
    if (s->count == LITERALS_MAX)
        return 0;
    s->literals[s->count++] = (struct literal){type, t->text, t->len};
    return s->count;
}

/* What stands before a string and makes it something else than one: x'1f', date '2026-01-01'. */
static bool is_introduced(const struct sampler *s)
{
    static const char *const WORDS[] = {"X", "B", "N", "DATE", "TIME", "TIMESTAMP"};

    for (size_t i = 0; i < COUNT(WORDS); i++) {
        if (token_is(&s->last, WORDS[i]))
            return true;
    }
    return s->last.kind == TOKEN_WORD && s->last.text[0] == '_';
}

static bool is_alias(const struct sampler *s)
{
    return token_is(&s->last, "AS") || token_is(&s->last, "SEPARATOR") ||
           token_is(&s->last, "COLLATE");
}

static void put_literal(struct sampler *s, const struct token *t)
{
    enum literal_type type = LITERAL_STRING;
    char text[32];

    if (t->unterminated || (t->kind == TOKEN_NUMBER && !number_type(t, &type)) ||
        (t->kind == TOKEN_STRING && is_introduced(s))) {
        s->failed = true;
        return;
    }
    if ((t->kind == TOKEN_NUMBER && s->ordering) || (t->kind == TOKEN_STRING && is_alias(s))) {
        put(s, token_begin(t), (size_t)(token_end(t) - token_begin(t)));
        return;
    }
    size_t number = literal_number(s, type, t);
    const char *quote = type == LITERAL_STRING ? "'" : "";

    snprintf(text, sizeof(text), "%s%s%zu%s%s", quote, type == LITERAL_STRING ? "s" : "",
             NUMBERS_FROM + number, type == LITERAL_DECIMAL ? ".5" : "", quote);
    put(s, text, strlen(text));
    s->failed = s->failed || number == 0;
}

static bool is_literal(const struct token *t)
{
    return t->kind == TOKEN_STRING || t->kind == TOKEN_NUMBER;
}

/* Behind "IN (": the lexer's copy is put behind the last literal of a list that has nothing else;
   false: it is no such list. */
static bool skip_list(struct lexer *lx)
{
    struct lexer at = *lx;
    struct token t = lexer_next(&at);

    while (token_is_char(&t, ',')) {
        t = lexer_next(&at);
        if (token_is_char(&t, '-'))
            t = lexer_next(&at);
        if (!is_literal(&t))
            return false;
        *lx = at;
        t = lexer_next(&at);
    }
    return token_is_char(&t, ')');
}

/* --- statements ------------------------------------------------------------------------------ */

static bool is_sampled(const struct token *first)
{
    static const char *const WORDS[] = {"SELECT", "INSERT", "REPLACE", "UPDATE", "DELETE", "WITH"};

    for (size_t i = 0; i < COUNT(WORDS); i++) {
        if (token_is(first, WORDS[i]))
            return true;
    }
    return false;
}

/* Words of statements that do more than read rows or write them. */
static bool has_effects(const struct token *t)
{
    static const char *const WORDS[] = {"GET_LOCK", "RELEASE_LOCK", "RELEASE_ALL_LOCKS",
                                        "SLEEP",    "BENCHMARK",    "NEXT",
                                        "OUTFILE",  "DUMPFILE",     "LOAD_FILE"};

    for (size_t i = 0; i < COUNT(WORDS); i++) {
        if (token_is(t, WORDS[i]))
            return true;
    }
    return false;
}

static void follow_ordering(struct sampler *s, const struct token *t)
{
    if (token_is(t, "BY") && (token_is(&s->last, "ORDER") || token_is(&s->last, "GROUP")))
        s->ordering = true;
    else if (token_is_char(t, '(') || token_is_char(t, ')') || token_is(t, "LIMIT") ||
             token_is(t, "HAVING") || token_is(t, "UNION"))
        s->ordering = false;
}

/* One token; the lexer may be put behind more of them. */
static void take(struct sampler *s, struct lexer *lx, const struct token *t)
{
    bool in_list = token_is_char(&s->last, '(') && token_is(&s->before, "IN");

    put_gap(s, token_begin(t));
    s->copied = token_end(t);
    if (has_effects(t) || t->unterminated)
        s->failed = true;
    follow_ordering(s, t);
    if (!is_literal(t)) {
        put(s, token_begin(t), (size_t)(token_end(t) - token_begin(t)));
    } else {
        put_literal(s, t);
        if (in_list && skip_list(lx))
            s->copied = lx->pos;
    }
    s->before = s->last;
    s->last = *t;
}

size_t sample_text(char *dst, size_t size, const char *sql, size_t len)
{
    struct sampler s = {.dst = dst, .size = size, .copied = sql};
    struct lexer lx;

    if (size == 0 || len > SAMPLE_MAX || (len > 0 && memchr(sql, '\0', len)))
        return 0; /* a NUL would cut short what is planned */
    *dst = '\0';
    lexer_init(&lx, sql, len);
    for (struct token t = lexer_next(&lx); t.kind != TOKEN_END && !s.failed; t = lexer_next(&lx)) {
        if (s.n == 0 && !is_sampled(&t) && !token_is_char(&t, '('))
            return 0;
        if (s.last.kind == TOKEN_SEMICOLON)
            return 0; /* several statements */
        if (t.kind == TOKEN_SEMICOLON)
            s.last = t;
        else
            take(&s, &lx, &t);
    }
    return s.failed || lx.truncated ? 0 : s.n;
}

/* INSERT() and REPLACE() are functions, too. */
static bool is_call(const struct token *t, struct lexer ahead)
{
    struct token next = lexer_next(&ahead);

    return (token_is(t, "INSERT") || token_is(t, "REPLACE")) && token_is_char(&next, '(');
}

bool sample_writes(const char *sql, size_t len)
{
    struct lexer lx;

    lexer_init(&lx, sql, len);
    for (struct token t = lexer_next(&lx); t.kind != TOKEN_END; t = lexer_next(&lx)) {
        if ((token_is(&t, "INSERT") || token_is(&t, "REPLACE") || token_is(&t, "UPDATE") ||
             token_is(&t, "DELETE")) &&
            !is_call(&t, lx))
            return true;
    }
    return false;
}

/* Of put_literal's: not an alias in quotes, which is the user's. */
static bool is_own(const struct token *t)
{
    size_t from = t->kind == TOKEN_STRING, at = from;

    if (!is_literal(t) || t->len < from + 4 || (from && t->text[0] != 's'))
        return false;
    while (at < t->len && ascii_is(t->text[at], ASCII_DIGIT))
        at++;
    return at == t->len || t->kind == TOKEN_NUMBER;
}

bool sample_is_apart(const char *sql, size_t len)
{
    struct lexer lx;

    lexer_init(&lx, sql, len);
    for (struct token t = lexer_next(&lx); t.kind != TOKEN_END; t = lexer_next(&lx)) {
        if (is_own(&t))
            return true;
    }
    return false;
}

const char *sample_trim(const char *sql, size_t *len)
{
    while (*len > 0 && (ascii_is(sql[*len - 1], ASCII_BLANK) || sql[*len - 1] == ';'))
        --*len;
    while (*len > 0 && ascii_is(*sql, ASCII_BLANK)) {
        sql++;
        --*len;
    }
    return sql;
}
