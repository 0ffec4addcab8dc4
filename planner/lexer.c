/*
 * The tokenizer: bytes of SQL in, tokens out, one at a time, nothing copied.
 *
 * It does not judge: no keyword is known here and no input is an error. Where the MySQL manual and
 * vtgate's own tokenizer (vitess go/vt/sqlparser/token.go) read a text differently, vtgate wins,
 * because it is vtgate that will execute what we let through.
 *
 * Invariants: pos only grows, never past end; every token but TOKEN_END consumes at least a byte;
 * a token's text lies inside the input.
 */
#include "planner/lexer.h"

#include <string.h>

#include "planner/ascii.h"

/* clang-format off */
enum { B = ASCII_BLANK, W = ASCII_WORD, D = ASCII_DIGIT | ASCII_WORD };
const uint8_t ascii_classes[256] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, B, B, B, B, B, 0, 0, /* \t \n \v \f \r */
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    B, 0, 0, 0, W, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, /* space, $ */
    D, D, D, D, D, D, D, D, D, D, 0, 0, 0, 0, 0, 0,
    0, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, /* A.. */
    W, W, W, W, W, W, W, W, W, W, W, 0, 0, 0, 0, W, /* ..Z, _ */
    0, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, /* a.. */
    W, W, W, W, W, W, W, W, W, W, W, 0, 0, 0, 0, 0, /* ..z */
    W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W,
    W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W,
    W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W,
    W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W,
    W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W,
    W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W,
    W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W,
    W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W,
};
/* clang-format on */

/* Version comments from this version on ("/" "*!99999") are meant for no server at all:
 * mariadb-dump opens its files with one that holds no SQL. */
#define NO_SERVER_VERSION 99000U
#define VERSION_DIGITS    5

/* The byte `ahead` of pos, or -1 past the end. */
static int peek(const struct lexer *lx, size_t ahead)
{
    return ahead < (size_t)(lx->end - lx->pos) ? (unsigned char)lx->pos[ahead] : -1;
}

static bool peek_is(const struct lexer *lx, size_t ahead, enum ascii_class wanted)
{
    return ahead < (size_t)(lx->end - lx->pos) && ascii_is(lx->pos[ahead], wanted);
}

/* Comments */

static void skip_line(struct lexer *lx)
{
    const char *newline = memchr(lx->pos, '\n', (size_t)(lx->end - lx->pos));
    lx->pos = newline == NULL ? lx->end : newline + 1;
}

/* Past the end marker of a comment whose opening is `opening` bytes long. */
static void skip_comment(struct lexer *lx, size_t opening)
{
    lx->pos += opening;
    while (lx->pos < lx->end) {
        const char *star = memchr(lx->pos, '*', (size_t)(lx->end - lx->pos));
        if (star == NULL)
            break;
        lx->pos = star + 1;
        if (peek(lx, 0) == '/') {
            lx->pos++;
            return;
        }
    }
    lx->pos = lx->end;
    lx->truncated = true;
}

/* A version comment that no server executes; inside it one level of comments may be nested. */
static void skip_dead_version_comment(struct lexer *lx)
{
    while (lx->pos < lx->end) {
        int c = peek(lx, 0), next = peek(lx, 1);
        if (c == '/' && next == '*') {
            skip_comment(lx, 2);
        } else if (c == '*' && next == '/') {
            lx->pos += 2;
            return;
        } else {
            lx->pos++;
        }
    }
    lx->truncated = true;
}

/* At "/" "*!": its contents are code from here on, or nothing at all. */
static void enter_version_comment(struct lexer *lx)
{
    unsigned version = 0;
    size_t digits = 0;
    lx->pos += 3;
    while (digits < VERSION_DIGITS && peek_is(lx, digits, ASCII_DIGIT)) {
        version = version * 10 + (unsigned)(peek(lx, digits) - '0');
        digits++;
    }
    if (digits == VERSION_DIGITS) { /* fewer are part of the code, as for vtgate */
        lx->pos += VERSION_DIGITS;
        if (version >= NO_SERVER_VERSION) {
            skip_dead_version_comment(lx);
            return;
        }
    }
    lx->in_version_comment = true;
}

bool lexer_skip_blanks(struct lexer *lx)
{
    for (;;) {
        const char *p = lx->pos, *end = lx->end;
        while (p < end && ascii_is(*p, ASCII_BLANK))
            p++;
        lx->pos = p;
        switch (peek(lx, 0)) {
        case '#':
            skip_line(lx);
            continue;
        case '-':
            if (peek(lx, 1) == '-' && (peek(lx, 2) < 0 || peek_is(lx, 2, ASCII_BLANK))) {
                skip_line(lx);
                continue;
            }
            return false;
        case '/':
            /* vtgate takes "//" for a comment, too. */
            if (peek(lx, 1) == '/' && !lx->in_version_comment) {
                skip_line(lx);
                continue;
            }
            if (peek(lx, 1) != '*')
                return false;
            /* Inside of a version comment, another one is an ordinary comment. */
            if (!lx->in_version_comment &&
                (peek(lx, 2) == '!' || (peek(lx, 2) == 'M' && peek(lx, 3) == '!')))
                return true;
            skip_comment(lx, 2);
            continue;
        default:
            return false;
        }
    }
}

/* Everything up to the next token, version comments' markers included. */
static void skip_to_token(struct lexer *lx)
{
    for (;;) {
        if (lexer_skip_blanks(lx)) {
            if (peek(lx, 2) == '!')
                enter_version_comment(lx);
            else
                skip_comment(lx, 2); /* for MariaDB only: neither vtgate nor MySQL looks inside */
        } else if (lx->in_version_comment && peek(lx, 0) == '*' && peek(lx, 1) == '/') {
            lx->pos += 2;
            lx->in_version_comment = false;
        } else {
            return;
        }
    }
}

/* Tokens. Each scan_... starts at lx->pos and leaves it behind the token. */

static struct token make_token(enum token_kind kind, const char *text, const char *end)
{
    return (struct token){.kind = kind, .text = text, .len = (size_t)(end - text)};
}

static struct token scan_punct(struct lexer *lx)
{
    lx->pos++;
    return make_token(TOKEN_PUNCT, lx->pos - 1, lx->pos);
}

static struct token scan_word(struct lexer *lx)
{
    const char *start = lx->pos, *p = start, *end = lx->end;
    while (p < end && ascii_is(*p, ASCII_WORD))
        p++;
    lx->pos = p;
    return make_token(TOKEN_WORD, start, p);
}

/* From an opening quote to the same closing one; doubled, or escaped in a string, it is content. */
static struct token scan_quoted(struct lexer *lx)
{
    const char *p = lx->pos, *end = lx->end;
    char quote = *p++;
    const char *start = p;
    enum token_kind kind = quote == '`' ? TOKEN_QUOTED : TOKEN_STRING;
    while (p < end) {
        char c = *p++;
        if (c == quote) {
            if (p == end || *p != quote) {
                lx->pos = p;
                return make_token(kind, start, p - 1);
            }
            p++;
        } else if (c == '\\' && kind == TOKEN_STRING && p < end) {
            p++;
        }
    }
    lx->pos = end;
    struct token t = make_token(kind, start, end);
    t.unterminated = lx->truncated = true;
    return t;
}

static bool is_carat(char c)
{
    return c == '.' || c == '\'' || c == '"' || c == '`';
}

/*
 * @name, @@name, @@scope.name; a lone @ at the end is a TOKEN_PUNCT. As vtgate's tokenizer does it
 * (go/vt/sqlparser/token.go, scanIdentifier with isVariable), not as MySQL's: behind the marks any
 * one byte belongs to the name, and then quotes and dots do, too. What vtgate takes for a name must
 * be one here, or DDL could hide behind it.
 */
static struct token scan_variable(struct lexer *lx)
{
    const char *start = lx->pos;
    size_t marks = peek(lx, 1) == '@' ? 2 : 1;
    bool unterminated = false;

    if ((size_t)(lx->end - lx->pos) <= marks)
        return scan_punct(lx);
    lx->pos += marks;
    if (peek(lx, 0) == '`') {
        unterminated = scan_quoted(lx).unterminated;
    } else {
        lx->pos++; /* whatever it is */
        while (peek_is(lx, 0, ASCII_WORD) || (lx->pos < lx->end && is_carat(*lx->pos)))
            lx->pos++;
    }
    struct token t = make_token(TOKEN_VARIABLE, start, lx->pos);
    t.unterminated = unterminated;
    return t;
}

/* How many digits follow from `ahead` on. */
static size_t count_digits(const struct lexer *lx, size_t ahead)
{
    size_t n = 0;
    while (peek_is(lx, ahead + n, ASCII_DIGIT))
        n++;
    return n;
}

static bool is_hex_digit(int c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Length of the exponent at `ahead`, 0 if there is none. */
static size_t exponent_length(const struct lexer *lx, size_t ahead)
{
    if (peek(lx, ahead) != 'e' && peek(lx, ahead) != 'E')
        return 0;
    size_t sign = peek(lx, ahead + 1) == '+' || peek(lx, ahead + 1) == '-' ? 1 : 0;
    size_t digits = count_digits(lx, ahead + 1 + sign);
    return digits == 0 ? 0 : 1 + sign + digits;
}

/* At a digit, or a '.' with a digit after it. Identifiers may begin with digits: 2nd_table, ks.1t.
 */
static struct token scan_number(struct lexer *lx)
{
    const char *start = lx->pos;
    bool fraction = *start == '.';
    size_t n = fraction ? 1 : 0;

    if (peek(lx, 0) == '0' && (peek(lx, 1) == 'x' || peek(lx, 1) == 'X') &&
        is_hex_digit(peek(lx, 2))) {
        n = 2;
        while (is_hex_digit(peek(lx, n)))
            n++;
    } else {
        n += count_digits(lx, n);
        if (!fraction && peek(lx, n) == '.') {
            fraction = true;
            n++;
            n += count_digits(lx, n);
        }
        n += exponent_length(lx, n);
    }
    if (peek_is(lx, n, ASCII_WORD)) {
        if (*start == '.')
            return scan_punct(lx);
        if (!fraction)
            return scan_word(lx);
    }
    lx->pos += n;
    return make_token(TOKEN_NUMBER, start, lx->pos);
}

void lexer_init(struct lexer *lx, const char *sql, size_t len)
{
    if (sql == NULL) /* no text at all; spares the callers of memchr a null pointer */
        sql = "";
    *lx = (struct lexer){.pos = sql, .end = sql + len};
}

struct token lexer_next(struct lexer *lx)
{
    skip_to_token(lx);
    int c = peek(lx, 0);
    if (c < 0) {
        if (lx->in_version_comment)
            lx->truncated = true;
        struct token t = make_token(TOKEN_END, lx->end, lx->end);
        t.unterminated = lx->truncated;
        return t;
    }
    if (ascii_is((char)c, ASCII_DIGIT) || (c == '.' && peek_is(lx, 1, ASCII_DIGIT)))
        return scan_number(lx);
    if (ascii_is((char)c, ASCII_WORD))
        return scan_word(lx);
    if (c == '\'' || c == '"' || c == '`')
        return scan_quoted(lx);
    if (c == '@')
        return scan_variable(lx);
    struct token t = scan_punct(lx);
    if (c == ';')
        t.kind = TOKEN_SEMICOLON;
    return t;
}

bool token_is(const struct token *t, const char *keyword)
{
    return t->kind == TOKEN_WORD && ascii_equals(t->text, t->len, keyword, strlen(keyword));
}

bool token_is_char(const struct token *t, char c)
{
    return t->kind == TOKEN_PUNCT && *t->text == c;
}

static char unescape_char(char c)
{
    switch (c) {
    case '0':
        return '\0';
    case 'b':
        return '\b';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case 'Z':
        return 0x1a;
    default:
        return c;
    }
}

size_t lexer_unescape(char *dst, const char *text, size_t len, char quote)
{
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\\' && i + 1 < len && text[i + 1] != '%' && text[i + 1] != '_')
            dst[n++] = unescape_char(text[++i]);
        else if (text[i] == quote && i + 1 < len && text[i + 1] == quote)
            dst[n++] = text[i++];
        else
            dst[n++] = text[i];
    }
    return n;
}
