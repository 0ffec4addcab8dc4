/*
 * The small texts of an online schema change: literals, states, context tags. What is sent when is
 * decided elsewhere.
 */
#include "planner/ddl.h"

#include "planner/names.h"

#include <stdio.h>
#include <string.h>

#include "planner/ascii.h"
#include "planner/lexer.h"

size_t ddl_quote(char *dst, size_t size, const char *text, size_t len)
{
    size_t n = 0;
    if (size < 3) /* '' and the NUL */
        goto too_long;
    dst[n++] = '\'';
    for (size_t i = 0; i < len; i++) {
        bool escape = text[i] == '\'' || text[i] == '\\';
        /* Room for this character, the closing quote and the NUL. */
        if (size - n < (escape ? 4U : 3U))
            goto too_long;
        if (escape)
            dst[n++] = text[i]; /* '' and \\ : doubling serves for both */
        dst[n++] = text[i];
    }
    dst[n++] = '\'';
    dst[n] = '\0';
    return n;

too_long:
    if (size > 0)
        dst[0] = '\0';
    return 0;
}

bool ddl_use(char *dst, size_t size, const char *target)
{
    size_t n = 0;

    if (!target || !*target) /* vtgate takes that for no target */
        return snprintf(dst, size, "USE") < (int)size;
    if (size < sizeof("USE ``"))
        return false;
    n = (size_t)snprintf(dst, size, "USE `");
    for (const char *p = target; *p; p++) {
        if (n + 4 > size) /* a doubled backtick, the closing one, the NUL */
            return false;
        if (*p == '`')
            dst[n++] = '`';
        dst[n++] = *p;
    }
    dst[n++] = '`';
    dst[n] = '\0';
    return true;
}

static const char *const status_names[] = {
    [MIGRATION_UNKNOWN] = "unknown", [MIGRATION_REQUESTED] = "requested",
    [MIGRATION_QUEUED] = "queued",   [MIGRATION_READY] = "ready",
    [MIGRATION_RUNNING] = "running", [MIGRATION_COMPLETE] = "complete",
    [MIGRATION_FAILED] = "failed",   [MIGRATION_CANCELLED] = "cancelled",
};
#define STATUSES (sizeof status_names / sizeof *status_names)

static bool equals_ignoring_case(const char *text, size_t len, const char *name)
{
    if (strlen(name) != len)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (ascii_upper(text[i]) != ascii_upper(name[i]))
            return false;
    }
    return true;
}

enum migration_status migration_status_parse(const char *text, size_t len)
{
    for (size_t i = 0; i < STATUSES; i++) {
        if (equals_ignoring_case(text, len, status_names[i]))
            return (enum migration_status)i;
    }
    return MIGRATION_UNKNOWN;
}

const char *migration_status_name(enum migration_status status)
{
    return status_names[(size_t)status < STATUSES ? status : MIGRATION_UNKNOWN];
}

bool migration_status_is_terminal(enum migration_status status)
{
    return status == MIGRATION_COMPLETE || status == MIGRATION_FAILED ||
           status == MIGRATION_CANCELLED;
}

bool migration_status_any_lost(const enum migration_status *states, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (states[i] == MIGRATION_FAILED || states[i] == MIGRATION_CANCELLED)
            return true;
    }
    return false;
}

enum migration_status migration_status_aggregate(const enum migration_status *states, size_t n,
                                                 size_t expected)
{
    bool failed = false, cancelled = false;
    /* Those still under way; a shard without a row has been asked and has not answered yet. */
    enum migration_status least = n < expected ? MIGRATION_REQUESTED : MIGRATION_COMPLETE;
    if (expected == 0)
        return MIGRATION_UNKNOWN;
    for (size_t i = 0; i < n; i++) {
        failed = failed || states[i] == MIGRATION_FAILED;
        cancelled = cancelled || states[i] == MIGRATION_CANCELLED;
        if (states[i] < least) /* the enum is in order of advance up to COMPLETE */
            least = states[i];
    }
    if (least != MIGRATION_COMPLETE)
        return least;
    if (failed)
        return MIGRATION_FAILED;
    return cancelled ? MIGRATION_CANCELLED : MIGRATION_COMPLETE;
}

/* FNV-1a, 64 bits (RFC 9923). */
#define FNV_START 0xcbf29ce484222325u
#define FNV_PRIME 0x100000001b3u

static uint64_t fnv(uint64_t h, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        h = (h ^ (unsigned char)text[i]) * FNV_PRIME;
    return (h ^ 0xff) * FNV_PRIME; /* 0xff is in no UTF-8 text: what follows is another part */
}

static void hex_format(char *dst, uint64_t value, size_t digits)
{
    for (size_t i = digits; i-- > 0; value >>= 4)
        dst[i] = "0123456789abcdef"[value & 15];
    dst[digits] = '\0';
}

void ddl_instance_format(char dst[9], const char *name)
{
    uint64_t h = fnv(FNV_START, name, strlen(name));

    hex_format(dst, h ^ h >> 32, 8);
}

void ddl_digest_format(char dst[17], const char *user, const char *keyspace, const char *sql,
                       size_t len)
{
    uint64_t h = fnv(FNV_START, user, strlen(user));
    struct lexer lx;

    h = fnv(h, keyspace, strlen(keyspace));
    lexer_init(&lx, sql, len);
    for (struct token t = lexer_next(&lx); t.kind != TOKEN_END; t = lexer_next(&lx)) {
        if (t.kind != TOKEN_SEMICOLON)
            h = fnv(h, t.text, t.len);
    }
    hex_format(dst, h, 16);
}

void ddl_context_format(char dst[64], const char instance[9], const char digest[17],
                        const unsigned char random[8])
{
    uint64_t number = 0;

    for (size_t i = 0; i < 8; i++)
        number = number << 8 | random[i];
    snprintf(dst, 64, DDL_CONTEXT_PREFIX "%.8s:%.16s:", instance, digest);
    hex_format(dst + strlen(dst), number, 16);
}

#define MARK_POSTPONED ":postponed"

void ddl_mark_format(char dst[40], const char instance[9], bool postponed)
{
    snprintf(dst, 40, DDL_MARK_PREFIX "%.8s%s", instance, postponed ? MARK_POSTPONED : "");
}

bool ddl_mark_parse(const char *options, size_t len, char instance[9], bool *postponed)
{
    static const size_t PREFIX = sizeof(DDL_MARK_PREFIX) - 1, TAIL = sizeof(MARK_POSTPONED) - 1;
    const char *end = options + len;
    const char *at = len ? memmem(options, len, DDL_MARK_PREFIX, PREFIX) : NULL;

    if (!at || (size_t)(end - at) < PREFIX + 8)
        return false;
    memcpy(instance, at + PREFIX, 8);
    instance[8] = '\0';
    at += PREFIX + 8;
    *postponed = (size_t)(end - at) >= TAIL && memcmp(at, MARK_POSTPONED, TAIL) == 0;
    return true;
}

#define THRESHOLD_S     10 /* defaultCutOverThreshold in go/vt/vttablet/onlineddl/executor.go */
#define THRESHOLD_MAX_S 30 /* maxCutOverThreshold */

unsigned ddl_threshold_s(const char *options, size_t len)
{
    static const char FLAG[] = "-cut-over-threshold=";
    const char *at = len ? memmem(options, len, FLAG, sizeof(FLAG) - 1) : NULL;
    const char *end = options + len;
    unsigned seconds = 0;

    if (!at)
        return THRESHOLD_S;
    for (at += sizeof(FLAG) - 1; at < end && (*at == '"' || *at == '\''); at++)
        continue;
    while (at < end && ascii_is(*at, ASCII_DIGIT) && seconds <= THRESHOLD_MAX_S)
        seconds = seconds * 10 + (unsigned)(*at++ - '0');
    return at < end && *at == 's' && seconds > 0 && seconds <= THRESHOLD_MAX_S ? seconds
                                                                               : THRESHOLD_S;
}

unsigned ddl_threshold_postponed_s(unsigned submitted_s)
{
    return submitted_s < THRESHOLD_MAX_S ? submitted_s + 1 : submitted_s - 1;
}

unsigned ddl_threshold_now_s(unsigned submitted_s)
{
    return submitted_s + 1 < THRESHOLD_MAX_S ? submitted_s + 2 : submitted_s - 2;
}

bool ddl_strategy_is_direct(const char *strategy)
{
    return strncasecmp(strategy, "direct", 6) == 0 &&
           (strategy[6] == '\0' || strategy[6] == ' ' || strategy[6] == '\t');
}

/* A version-4 UUID (RFC 9562), with '_' between its parts. */
void ddl_uuid_format(char dst[64], const unsigned char random[16])
{
    size_t n = 0;

    for (size_t i = 0; i < 16; i++) {
        unsigned byte = random[i];

        if (i == 4 || i == 6 || i == 8 || i == 10)
            dst[n++] = '_';
        if (i == 6)
            byte = (byte & 0x0fU) | 0x40U; /* the version */
        if (i == 8)
            byte = (byte & 0x3fU) | 0x80U; /* the variant */
        hex_format(dst + n, byte, 2);
        n += 2;
    }
}

/* The text between `before` and `after` in text[0..len); false when there is none. */
static bool find_between(const char *text, size_t len, const char *before, const char *after,
                         struct sql_name *out)
{
    const char *from = memmem(text, len, before, strlen(before));

    if (!from)
        return false;
    from += strlen(before);
    const char *to = memmem(from, len - (size_t)(from - text), after, strlen(after));

    *out = (struct sql_name){from, to ? (size_t)(to - from) : 0};
    return to != NULL;
}

bool ddl_plan_selects(const char *plan, size_t len, const struct sql_name *columns, size_t count)
{
    struct sql_name list;
    struct names names;
    size_t items = 1;

    if (!find_between(plan, len, "\"Query\": \"select ", " from ", &list))
        return true; /* a plan of another kind */
    if (memchr(list.text, '*', list.len))
        return true;
    for (size_t i = 0; i < list.len; i++)
        items += list.text[i] == ',';
    if (items != count)
        return false;
    names_collect(&names, list.text, list.len, true);
    for (size_t i = 0; i < count; i++) {
        if (!names_may_contain(&names, columns[i].text, columns[i].len))
            return false;
    }
    return true;
}
