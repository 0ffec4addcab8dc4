/*
 * The grammar of the commands about holds.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/admin_parse.h"

#define DURATION_MAX_S 86400
#define PARKED_MAX     1000000 /* as hold.max_parked */
#define RATE_MAX       1000000

/* --- numbers ---------------------------------------------------------------------------------- */

/* A whole number from 1 to max, at most 19 digits; *n is left alone when it is none. */
static bool read_number(struct lexer *lx, int64_t max, const char *what, int64_t *n,
                        struct admin_error *error)
{
    struct token t = lexer_next(lx);
    char digits[24], *end = digits, expected[sizeof(error->expected)];

    snprintf(digits, sizeof(digits), "%.*s", (int)(t.len < 19 ? t.len : 19), t.text);
    int64_t number = t.kind == TOKEN_NUMBER ? strtoll(digits, &end, 10) : 0;

    if (t.kind == TOKEN_NUMBER && t.len < 19 && !*end && number >= 1 && number <= max) {
        *n = number;
        return true;
    }
    snprintf(expected, sizeof(expected), "%s from 1 to %" PRId64, what, max);
    return admin_parse_refuse(error, &t, expected);
}

static bool read_seconds(struct lexer *lx, int64_t max, int64_t *seconds, struct admin_error *error)
{
    if (read_number(lx, max, "a number of seconds", seconds, error))
        return true;
    size_t n = strlen(error->expected);

    snprintf(error->expected + n, sizeof(error->expected) - n, " (hold.max_ttl_s)");
    return false;
}

/* Seconds, with a fraction perhaps, as milliseconds. */
static bool read_duration(struct lexer *lx, int64_t *ms, struct admin_error *error)
{
    struct token t = lexer_next(lx);
    char text[16], *end = text;
    double seconds = 0;

    snprintf(text, sizeof(text), "%.*s", (int)(t.len < 15 ? t.len : 15), t.text);
    if (t.kind == TOKEN_NUMBER && strspn(text, "0123456789.") == t.len)
        seconds = strtod(text, &end);
    if (*end || seconds < 0.001 || seconds > DURATION_MAX_S)
        return admin_parse_refuse(error, &t, "seconds from 0.001 to 86400");
    *ms = (int64_t)(seconds * 1000 + 0.5);
    return true;
}

/* --- HOLD ------------------------------------------------------------------------------------- */

static bool read_scope(struct lexer *lx, struct hold *h, struct admin_error *error)
{
    struct token t = lexer_next(lx);

    if (token_is(&t, "ALL")) {
        h->scope = HOLD_ALL;
        return true;
    }
    if (token_is(&t, "KEYSPACE")) {
        h->scope = HOLD_KEYSPACE;
        return admin_parse_name(lx, "a keyspace", h->keyspace, error);
    }
    if (token_is(&t, "VTGATE")) {
        h->scope = HOLD_VTGATE;
        return admin_parse_vtgate_name(lx, h->vtgate, error);
    }
    if (!token_is(&t, "TABLE"))
        return admin_parse_refuse(error, &t, "ALL, KEYSPACE, TABLE or VTGATE");
    h->scope = HOLD_TABLE;
    if (!admin_parse_name(lx, "keyspace.table", h->keyspace, error))
        return false;
    t = lexer_next(lx);
    if (!token_is_char(&t, '.'))
        return admin_parse_refuse(error, &t, "'.' and a table");
    return admin_parse_name(lx, "a table", h->table, error);
}

static bool read_kinds(struct lexer *lx, struct hold *h, struct admin_error *error)
{
    struct lexer ahead;

    h->kinds = 0;
    do {
        struct token t = lexer_next(lx);
        unsigned kind = hold_kind_find(&t);

        if (!kind)
            return admin_parse_refuse(error, &t, "READS, WRITES, TRANSACTIONS or DDL");
        h->kinds |= kind;
        ahead = *lx;
        t = lexer_next(&ahead);
        if (!token_is_char(&t, ','))
            return true;
        *lx = ahead;
    } while (true);
}

static bool read_reason(struct lexer *lx, struct hold *h, struct admin_error *error)
{
    struct token t = lexer_next(lx);

    if (t.kind != TOKEN_STRING || t.unterminated)
        return admin_parse_refuse(error, &t, "the reason in quotes");
    if (t.len >= sizeof(h->reason)) {
        t.len = sizeof(h->reason) - 1;
        while (t.len > 0 && (t.text[t.len] & 0xc0) == 0x80)
            t.len--; /* not in the middle of a character: SHOW HOLDS has to be UTF-8 */
    }
    h->reason[lexer_unescape(h->reason, t.text, t.len, t.text[-1])] = '\0';
    return true;
}

/* What follows the scope: one option, whose word is *t. */
static bool read_option(struct lexer *lx, const struct token *t, int64_t max, struct admin_hold *h,
                        struct admin_error *error)
{
    if (token_is(t, "ONLY"))
        return read_kinds(lx, &h->hold, error);
    if (token_is(t, "FOR"))
        return read_seconds(lx, max, &h->seconds, error);
    if (token_is(t, "MAX_WAIT"))
        return read_duration(lx, &h->hold.max_wait_ms, error);
    if (token_is(t, "RAMP"))
        return read_duration(lx, &h->hold.ramp_ms, error);
    if (token_is(t, "RATE"))
        return read_number(lx, RATE_MAX, "sessions a second", &h->hold.rate, error);
    if (token_is(t, "REASON"))
        return read_reason(lx, &h->hold, error);
    if (token_is(t, "STICKY")) {
        h->sticky = true;
        return true;
    }
    if (token_is(t, "LOCAL")) {
        h->local = true;
        return true;
    }
    int64_t n = 0;

    if (!token_is(t, "MAX_PARKED"))
        return admin_parse_refuse(error, t,
                                  "ONLY kinds, FOR seconds, MAX_WAIT, MAX_PARKED, RATE, RAMP, "
                                  "STICKY, LOCAL, REASON 'text'");
    if (!read_number(lx, PARKED_MAX, "sessions", &n, error))
        return false;
    h->hold.max_parked = (uint64_t)n;
    return true;
}

bool admin_parse_hold(struct lexer *lx, int64_t max, struct admin_hold *h,
                      struct admin_error *error)
{
    if (!read_scope(lx, &h->hold, error))
        return false;
    for (;;) {
        struct token t = lexer_next(lx);

        if (t.kind == TOKEN_END)
            return true;
        if (t.kind == TOKEN_SEMICOLON)
            return admin_parse_end(lx, error);
        if (!read_option(lx, &t, max, h, error))
            return false;
    }
}

/* --- RELEASE, SHOW HOLD, WAIT HOLD ------------------------------------------------------------ */

static bool read_id(struct lexer *lx, const char *what, bool or_all, uint64_t *id,
                    struct admin_error *error)
{
    struct token t = lexer_next(lx);
    char digits[24], *end = digits;

    *id = 0;
    if (or_all && token_is(&t, "ALL"))
        return true;
    snprintf(digits, sizeof(digits), "%.*s", (int)(t.len < 20 ? t.len : 20), t.text);
    *id = t.kind == TOKEN_NUMBER && t.len <= 20 ? strtoull(digits, &end, 10) : 0;
    return (*id != 0 && !*end) || admin_parse_refuse(error, &t, what);
}

bool admin_parse_release(struct lexer *lx, uint64_t *id, struct admin_error *error)
{
    return read_id(lx, "ALL or the id of a hold", true, id, error) && admin_parse_end(lx, error);
}

bool admin_parse_hold_id(struct lexer *lx, uint64_t *id, struct admin_error *error)
{
    return read_id(lx, "the id of a hold", false, id, error) && admin_parse_end(lx, error);
}

bool admin_parse_wait(struct lexer *lx, uint64_t *id, int64_t *timeout_ms,
                      struct admin_error *error)
{
    if (!read_id(lx, "the id of a hold", false, id, error))
        return false;
    struct lexer ahead = *lx;
    struct token t = lexer_next(&ahead);

    if (t.kind != TOKEN_END && t.kind != TOKEN_SEMICOLON && !read_duration(lx, timeout_ms, error))
        return false;
    return admin_parse_end(lx, error);
}
