/*
 * Any text as a command of the admin port: what is read is bounded and inside of the text, says
 * the same when a ';' is added, and a hold that is written out again is read as the same.
 */
#include "proxy/admin_select.h"

#include <inttypes.h>

#include "tests/fuzz/fuzz.h"

#define MAX_S  86400
#define COUNT  (sizeof(NAMES) / sizeof(NAMES[0]))
#define UNREAD 77

static const char *const NAMES[] = {
#define ADMIN_COMMAND(words, syntax, help, handler) #handler,
#include "proxy/admin_commands.def"
#undef ADMIN_COMMAND
};

/* Everything that the arguments of one command may say. */
struct said {
    bool ok, truncated;
    struct hold hold;
    int64_t seconds;
    uint64_t id;
    char vtgate[ADMIN_VTGATE_MAX];
    struct admin_column columns[ADMIN_SELECT_MAX];
    size_t n;
};

static void check_error(const struct admin_error *error, const char *text, size_t len)
{
    char message[ADMIN_ERROR_MAX];

    CHECK(error->near.text >= text && error->near.text + error->near.len <= text + len);
    CHECK(strnlen(error->expected, sizeof(error->expected)) < sizeof(error->expected));
    admin_error_format(error, message);
    size_t n = strnlen(message, sizeof(message));

    CHECK(n > 20 && n < sizeof(message));
}

static void parse(const char *handler, const char *text, size_t len, size_t skip, struct said *s)
{
    struct admin_error error;
    struct lexer lx;

    memset(s, 0, sizeof(*s));
    s->seconds = UNREAD;
    lexer_init(&lx, text, len);
    lx.pos += skip;
    if (strcmp(handler, "admin_hold") == 0)
        s->ok = admin_parse_hold(&lx, MAX_S, &s->hold, &s->seconds, &error);
    else if (strcmp(handler, "admin_release") == 0)
        s->ok = admin_parse_release(&lx, &s->id, &error);
    else if (strstr(handler, "_vtgate"))
        s->ok = admin_parse_vtgate(&lx, s->vtgate, &error);
    else if (strcmp(handler, "admin_select") == 0)
        s->ok = admin_select_parse(&lx, "sre@unix", s->columns, &s->n, &error);
    else
        s->ok = admin_parse_end(&lx, &error);
    if (!s->ok)
        check_error(&error, text, len);
    while (lexer_next(&lx).kind != TOKEN_END)
        ;
    s->truncated = lx.truncated;
}

static void check_said(const struct said *s)
{
    const struct hold *h = &s->hold;

    CHECK(strnlen(h->keyspace, sizeof(h->keyspace)) < sizeof(h->keyspace));
    CHECK(strnlen(h->table, sizeof(h->table)) < sizeof(h->table));
    CHECK(strnlen(h->reason, sizeof(h->reason)) < sizeof(h->reason));
    CHECK(strnlen(s->vtgate, sizeof(s->vtgate)) < sizeof(s->vtgate));
    CHECK(!s->ok || (s->seconds >= 1 && s->seconds <= MAX_S));
    CHECK(s->n <= ADMIN_SELECT_MAX);
    for (size_t i = 0; i < s->n; i++) {
        CHECK(strnlen(s->columns[i].name, ADMIN_TEXT_MAX) < ADMIN_TEXT_MAX);
        CHECK(strnlen(s->columns[i].value, ADMIN_TEXT_MAX) < ADMIN_TEXT_MAX);
    }
}

/* A name as it stands between backticks, where doubled ones are kept; or none that can. */
static bool is_plain(const char *name)
{
    return *name && !strchr(name, '`');
}

static void check_hold_again(const struct said *s)
{
    const struct hold *h = &s->hold;
    char text[3 * HOLD_REASON_MAX], *end = text;
    static struct said again;

    if ((h->scope != HOLD_ALL && !is_plain(h->keyspace)) ||
        (h->scope == HOLD_TABLE && !is_plain(h->table)))
        return;
    end += h->scope == HOLD_ALL        ? sprintf(end, "ALL")
           : h->scope == HOLD_KEYSPACE ? sprintf(end, "KEYSPACE `%s`", h->keyspace)
                                       : sprintf(end, "TABLE `%s`.`%s`", h->keyspace, h->table);
    end += sprintf(end, " FOR %" PRId64 " REASON '", s->seconds);
    size_t reason = 0;

    for (const char *p = h->reason; *p && reason + 2 < HOLD_REASON_MAX; p++) {
        /* \% and \_ keep their backslash, so that it must not be escaped in front of them. */
        if (*p == '\'' || (*p == '\\' && p[1] != '%' && p[1] != '_')) {
            *end++ = '\\';
            reason++;
        }
        *end++ = *p;
        reason++;
    }
    *end++ = '\'';
    parse("admin_hold", text, (size_t)(end - text), 0, &again);
    CHECK(again.ok && again.seconds == s->seconds && again.hold.scope == h->scope);
    CHECK(strcmp(again.hold.keyspace, h->keyspace) == 0);
    CHECK(strcmp(again.hold.table, h->table) == 0);
    CHECK(strncmp(again.hold.reason, h->reason, strlen(again.hold.reason)) == 0);
}

static void fuzz_arguments(const char *handler, const char *text, size_t len, size_t skip)
{
    static struct said s, again;

    parse(handler, text, len, skip, &s);
    check_said(&s);
    if (!s.ok || s.truncated)
        return;
    char *more = malloc(len + 2);

    CHECK(more);
    memcpy(more, text, len);
    memcpy(more + len, "\n;", 2);
    parse(handler, more, len + 2, skip, &again);
    free(more);
    CHECK(memcmp(&s, &again, sizeof(s)) == 0);
    if (strcmp(handler, "admin_hold") == 0)
        check_hold_again(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct admin_error error;
    struct lexer lx;
    char *text = (char *)fuzz_copy(data, size);

    lexer_init(&lx, text, size);
    int row = admin_parse_command(&lx, &error);

    CHECK(row < (int)COUNT);
    if (row < 0)
        check_error(&error, text, size);
    else
        fuzz_arguments(NAMES[row], text, size, (size_t)(lx.pos - text));
    free(text);
    return 0;
}
