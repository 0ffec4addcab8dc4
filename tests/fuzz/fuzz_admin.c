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
#define ADMIN_COMMAND(words, syntax, help, right, handler) #handler,
#include "proxy/admin_commands.def"
#undef ADMIN_COMMAND
};

/* Everything that the arguments of one command may say. */
struct said {
    bool ok, truncated;
    struct admin_hold hold;
    int64_t timeout_ms;
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

static bool is_hold(const char *handler)
{
    return strcmp(handler, "admin_hold") == 0 || strcmp(handler, "admin_explain_hold") == 0;
}

static void parse(const char *handler, const char *text, size_t len, size_t skip, struct said *s)
{
    struct admin_error error;
    struct lexer lx;

    memset(s, 0, sizeof(*s));
    s->hold.seconds = s->timeout_ms = UNREAD;
    lexer_init(&lx, text, len);
    lx.pos += skip;
    if (is_hold(handler))
        s->ok = admin_parse_hold(&lx, MAX_S, &s->hold, &error);
    else if (strcmp(handler, "admin_release") == 0)
        s->ok = admin_parse_release(&lx, &s->id, &error);
    else if (strcmp(handler, "admin_show_hold") == 0)
        s->ok = admin_parse_hold_id(&lx, &s->id, &error);
    else if (strcmp(handler, "admin_wait_hold") == 0)
        s->ok = admin_parse_wait(&lx, &s->id, &s->timeout_ms, &error);
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
    const struct hold *h = &s->hold.hold;

    CHECK(strnlen(h->keyspace, sizeof(h->keyspace)) < sizeof(h->keyspace));
    CHECK(strnlen(h->table, sizeof(h->table)) < sizeof(h->table));
    CHECK(strnlen(h->reason, sizeof(h->reason)) < sizeof(h->reason));
    CHECK(strnlen(s->vtgate, sizeof(s->vtgate)) < sizeof(s->vtgate));
    CHECK(!s->ok || (s->hold.seconds >= 1 && s->hold.seconds <= MAX_S));
    CHECK(!s->ok || (s->timeout_ms >= 1 && s->timeout_ms <= INT64_C(86400000)));
    CHECK(strnlen(h->vtgate, sizeof(h->vtgate)) < sizeof(h->vtgate));
    CHECK(h->max_wait_ms >= 0 && h->max_wait_ms <= INT64_C(86400000));
    CHECK(h->ramp_ms >= 0 && h->ramp_ms <= INT64_C(86400000));
    CHECK(h->max_parked <= 1000000 && h->rate >= 0 && h->rate <= 1000000);
    CHECK(h->kinds <= HOLD_EVERYTHING);
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

/* As REASON wants it. At most HOLD_REASON_MAX characters of it, so that it is read as a whole. */
static char *write_reason(char *end, const char *reason)
{
    size_t n = 0;

    end += sprintf(end, " REASON '");
    for (const char *p = reason; *p && n + 2 < HOLD_REASON_MAX; p++) {
        /* \% and \_ keep their backslash, so that it must not be escaped in front of them, nor be the
           last. */
        if (*p == '\\' && (p[1] == '%' || p[1] == '_') && n + 3 >= HOLD_REASON_MAX)
            break;
        if (*p == '\'' || (*p == '\\' && p[1] != '%' && p[1] != '_')) {
            *end++ = '\\';
            n++;
        }
        *end++ = *p;
        n++;
    }
    *end++ = '\'';
    return end;
}

static char *write_scope(char *end, const struct hold *h)
{
    switch (h->scope) {
    case HOLD_ALL:
        return end + sprintf(end, "ALL");
    case HOLD_KEYSPACE:
        return end + sprintf(end, "KEYSPACE `%s`", h->keyspace);
    case HOLD_TABLE:
        return end + sprintf(end, "TABLE `%s`.`%s`", h->keyspace, h->table);
    default:
        return end + sprintf(end, "VTGATE '%s'", h->vtgate);
    }
}

static char *write_limits(char *end, const struct hold *h)
{
    char kinds[HOLD_KINDS_MAX];

    hold_format_kinds(h, kinds, sizeof(kinds));
    if (h->kinds)
        end += sprintf(end, " ONLY %s", kinds);
    if (h->max_wait_ms)
        end += sprintf(end, " MAX_WAIT %.3f", (double)h->max_wait_ms / 1000);
    if (h->ramp_ms)
        end += sprintf(end, " RAMP %.3f", (double)h->ramp_ms / 1000);
    if (h->max_parked)
        end += sprintf(end, " MAX_PARKED %" PRIu64, h->max_parked);
    if (h->rate)
        end += sprintf(end, " RATE %" PRId64, h->rate);
    return end;
}

static void check_hold_again(const struct said *s)
{
    const struct hold *h = &s->hold.hold, *g;
    char text[4 * HOLD_REASON_MAX + HOLD_VTGATE_MAX], *end;
    static struct said again;

    if (((h->scope == HOLD_KEYSPACE || h->scope == HOLD_TABLE) && !is_plain(h->keyspace)) ||
        (h->scope == HOLD_TABLE && !is_plain(h->table)) || strpbrk(h->vtgate, "'\\"))
        return;
    end = write_limits(write_scope(text, h), h);
    end += sprintf(end, " FOR %" PRId64 "%s%s", s->hold.seconds, s->hold.sticky ? " STICKY" : "",
                   s->hold.local ? " LOCAL" : "");
    end = write_reason(end, h->reason);
    parse("admin_hold", text, (size_t)(end - text), 0, &again);
    g = &again.hold.hold;
    CHECK(again.ok && again.hold.seconds == s->hold.seconds && again.hold.sticky == s->hold.sticky);
    CHECK(again.hold.local == s->hold.local);
    CHECK(hold_is_same(g, h) && g->max_wait_ms == h->max_wait_ms && g->ramp_ms == h->ramp_ms);
    CHECK(g->max_parked == h->max_parked && g->rate == h->rate);
    CHECK(strncmp(g->reason, h->reason, strlen(g->reason)) == 0);
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
    if (is_hold(handler))
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
