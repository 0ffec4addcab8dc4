/*
 * Finding the hints, and reading key=value pairs.
 */
#include "planner/hint.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "planner/ascii.h"

static const char MARK[] = "vtshim";

/* A run of text being read. */
struct run {
    const char *at, *end;
};

static bool is_separator(char c)
{
    return ascii_is(c, ASCII_BLANK) || c == ',';
}

static bool word_is(struct sql_name word, const char *expected)
{
    return ddl_same_name(word, (struct sql_name){expected, strlen(expected)});
}

__attribute__((format(printf, 2, 3))) static void refuse(struct hints *h, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(h->error, sizeof(h->error), format, args);
    va_end(args);
}

/* A value: bare, up to a blank, or in quotes. */
static struct sql_name next_value(struct run *r, struct hints *h)
{
    const char *from = r->at;

    if (r->at < r->end && (*r->at == '\'' || *r->at == '"')) {
        const char *close = memchr(from + 1, *from, (size_t)(r->end - from - 1));

        if (!close) {
            refuse(h, "a quote is not closed");
            r->at = r->end;
            return (struct sql_name){NULL, 0};
        }
        r->at = close + 1;
        return (struct sql_name){from + 1, (size_t)(close - from - 1)};
    }
    while (r->at < r->end && !ascii_is(*r->at, ASCII_BLANK))
        r->at++;
    return (struct sql_name){from, (size_t)(r->at - from)};
}

static void set_wait(struct hints *h, struct sql_name value)
{
    if (word_is(value, "yes") || word_is(value, "true") || word_is(value, "on") ||
        word_is(value, "1"))
        h->wait = HINT_WAIT_YES;
    else if (word_is(value, "no") || word_is(value, "false") || word_is(value, "off") ||
             word_is(value, "0"))
        h->wait = HINT_WAIT_NO;
    else
        refuse(h, "wait=%.*s is neither yes nor no", (int)(value.len < 40 ? value.len : 40),
               value.text);
}

static void set_context(struct hints *h, struct sql_name value)
{
    bool fits = value.len > 0 && value.len <= 60;

    for (size_t i = 0; fits && i < value.len; i++)
        fits = (ascii_is(value.text[i], ASCII_WORD) && (unsigned char)value.text[i] < 0x80 &&
                value.text[i] != '$') ||
               strchr(":.-", value.text[i]);
    if (fits && value.len >= 6 && ascii_equals(value.text, 6, "VTSHIM", 6))
        refuse(h, "context= must not begin with vtshim, by which the shim knows its own");
    else if (fits)
        h->context = value;
    else
        refuse(h, "context= takes 1 to 60 letters, digits and characters of _:.-");
}

static void set_allow(struct hints *h, struct sql_name value)
{
    struct run r = {value.text, value.text + value.len};

    while (r.at < r.end) {
        const char *from = r.at;

        while (r.at < r.end && *r.at != ',')
            r.at++;
        size_t len = (size_t)(r.at - from);
        enum preflight_rule rule = preflight_rule_find(from, len);

        r.at += r.at < r.end;
        if (word_is((struct sql_name){from, len}, "all"))
            h->allow = RULES_ALL;
        else if (rule < RULE_COUNT)
            h->allow |= RULE_BIT(rule);
        else
            refuse(h, "allow=%.*s is no rule of the preflight", (int)(len < 40 ? len : 40), from);
    }
}

static void set_strategy(struct hints *h, struct sql_name value)
{
    if (value.len > 0 && value.len <= 512)
        h->strategy = value;
    else
        refuse(h, "strategy= takes 1 to 512 bytes");
}

static const struct {
    const char *key;
    void (*set)(struct hints *h, struct sql_name value);
} KEYS[] = {
    {"strategy", set_strategy},
    {"wait", set_wait},
    {"context", set_context},
    {"allow", set_allow},
};

static void set(struct hints *h, struct sql_name key, bool has_value, struct sql_name value)
{
    if (!has_value && word_is(key, "allow_long_unavailability")) {
        h->allow_long_unavailability = true;
        return;
    }
    if (!has_value && word_is(key, "no_retry")) {
        h->no_retry = true;
        return;
    }
    for (size_t i = 0; has_value && i < sizeof(KEYS) / sizeof(*KEYS); i++) {
        if (word_is(key, KEYS[i].key)) {
            KEYS[i].set(h, value);
            return;
        }
    }
    refuse(h, "%.*s is not known, or lacks its value", (int)(key.len < 60 ? key.len : 60),
           key.len ? key.text : "");
}

/* The inside of a hint. */
static void parse_pairs(struct run r, struct hints *h)
{
    h->present = true;
    while (!*h->error) {
        while (r.at < r.end && is_separator(*r.at))
            r.at++;
        if (r.at == r.end)
            return;
        struct sql_name key = {r.at, 0}, value = {NULL, 0};

        while (r.at < r.end && !is_separator(*r.at) && *r.at != '=')
            r.at++;
        key.len = (size_t)(r.at - key.text);
        bool has_value = r.at < r.end && *r.at == '=';

        if (has_value) {
            r.at++;
            value = next_value(&r, h);
        }
        if (!*h->error)
            set(h, key, has_value, value);
    }
}

/* "!99999 ": code for no server that there is. */
static bool is_dead_version(const char *at, const char *end)
{
    return end - at >= 6 && at[0] == '!' && at[1] == '9' && at[2] == '9' &&
           ascii_is(at[3], ASCII_DIGIT) && ascii_is(at[4], ASCII_DIGIT) &&
           ascii_is(at[5], ASCII_DIGIT);
}

/* A comment's inside: "vtshim ...", "!99999 vtshim ..." or "+ vtshim(...)". */
static void parse_comment(struct run r, struct hints *h)
{
    bool dressed = r.at < r.end && *r.at == '+';

    r.at += dressed ? 1 : is_dead_version(r.at, r.end) ? 6 : 0;
    while (r.at < r.end && ascii_is(*r.at, ASCII_BLANK))
        r.at++;
    if ((size_t)(r.end - r.at) < sizeof(MARK) - 1 ||
        !word_is((struct sql_name){r.at, sizeof(MARK) - 1}, MARK))
        return;
    r.at += sizeof(MARK) - 1;
    if (!dressed) {
        if (r.at == r.end || ascii_is(*r.at, ASCII_BLANK))
            parse_pairs(r, h);
        return;
    }
    while (r.end > r.at && ascii_is(r.end[-1], ASCII_BLANK))
        r.end--;
    if (r.at < r.end && *r.at == '(' && r.end[-1] == ')' && r.end - r.at >= 2)
        parse_pairs((struct run){r.at + 1, r.end - 1}, h);
}

/* At "/" "*": past it, its inside read. False: it does not end. */
static bool next_comment(struct run *r, struct hints *h)
{
    const char *close = memmem(r->at + 2, (size_t)(r->end - r->at - 2), "*/", 2);

    if (!close)
        return false;
    parse_comment((struct run){r->at + 2, close}, h);
    r->at = close + 2;
    return true;
}

/* At a quote: past the text in it, as lexer.h has it. */
static void skip_quoted(struct run *r)
{
    char quote = *r->at++;

    while (r->at < r->end) {
        if (*r->at == '\\' && quote != '`')
            r->at++;
        else if (*r->at == quote && r->end - r->at >= 2 && r->at[1] == quote)
            r->at++;
        else if (*r->at == quote)
            break;
        if (r->at < r->end)
            r->at++;
    }
    if (r->at < r->end)
        r->at++;
}

/* "#", "//", and "--" before a blank. */
static bool at_line_comment(const struct run *r)
{
    size_t left = (size_t)(r->end - r->at);

    return *r->at == '#' || (left >= 2 && r->at[0] == '/' && r->at[1] == '/') ||
           (left >= 2 && r->at[0] == '-' && r->at[1] == '-' &&
            (left == 2 || ascii_is(r->at[2], ASCII_BLANK)));
}

static void skip_line(struct run *r)
{
    const char *newline = memchr(r->at, '\n', (size_t)(r->end - r->at));

    r->at = newline ? newline + 1 : r->end;
}

void hints_parse(const char *sql, size_t len, struct hints *h)
{
    struct run r = {sql, sql + len};

    if (len == 0 || !memmem(sql, len, "/*", 2))
        return;
    while (r.at < r.end) {
        if (*r.at == '\'' || *r.at == '"' || *r.at == '`') {
            skip_quoted(&r);
        } else if (at_line_comment(&r)) {
            skip_line(&r);
        } else if (r.end - r.at >= 3 && r.at[0] == '/' && r.at[1] == '*' &&
                   (r.at[2] != '!' || is_dead_version(r.at + 2, r.end))) {
            if (!next_comment(&r, h))
                return;
        } else {
            r.at++; /* also into a version comment: what stands in it is code */
        }
    }
}
