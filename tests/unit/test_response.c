/*
 * The response tracker: where each kind of answer ends, what it leaves and that nothing behind it
 * is taken.
 *
 * Answers are written as words, one or a few packets each, and built in the old form (EOF packets)
 * and in the one of CLIENT_DEPRECATE_EOF:
 *
 *   ok[+more]      an OK packet, with SERVER_MORE_RESULTS_EXISTS
 *   err            ERR 1064
 *   cols=N[+cursor] column count, N definitions; old form: an EOF behind them
 *   count=N, defs=N these pieces alone, no EOF
 *   end[+more|+cursor|+last] what ends rows: EOF; or an OK that begins with 0xfe
 *   eof            a plain EOF of 5 bytes in both forms
 *   row, null      a row; one that begins with NULL
 *   row16m, errfull .. long ones, see long_packets; endinfo: an end with a message
 *   prep=P,C       COM_STMT_PREPARE_OK with that many parameters and columns
 *   infile         a LOCAL INFILE request
 *   switch, data   AuthSwitchRequest, AuthMoreData
 *   text           COM_STATISTICS' answer
 *   empty, raw=XX  a packet without payload; one with this payload in hex
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/response.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define FULL         PACKET_MAX_PAYLOAD
#define HUGE         (3 * (size_t)FULL)

enum { OLD = 1, NEW = 2, BOTH = OLD | NEW };
enum { AUTO = STATUS_AUTOCOMMIT, TX = STATUS_AUTOCOMMIT | STATUS_IN_TRANSACTION };

struct answer_case {
    const char *words;
    enum response_shape shape;
    int modes;
    uint16_t status; /* the last one; 0: none was seen */
    bool failed;
};

static const struct answer_case ended[] = {
    /* One OK or ERR. */
    {"ok", SHAPE_SIMPLE, BOTH, AUTO, false},
    {"ok", SHAPE_RESULT, BOTH, AUTO, false},
    {"ok+tx", SHAPE_RESULT, BOTH, TX, false},
    {"err", SHAPE_SIMPLE, BOTH, 0, true},
    {"err", SHAPE_RESULT, BOTH, 0, true},
    {"err", SHAPE_PREPARE, BOTH, 0, true},
    {"err", SHAPE_FIELDS, BOTH, 0, true},
    {"err", SHAPE_ROWS, BOTH, 0, true},
    {"err", SHAPE_AUTH, BOTH, 0, true},
    {"err", SHAPE_SINGLE, BOTH, 0, true},
    {"text", SHAPE_SINGLE, BOTH, 0, false},
    /* COM_SET_OPTION, COM_DEBUG: the end of nothing. */
    {"end", SHAPE_SIMPLE, BOTH, AUTO, false},
    {"eof", SHAPE_SIMPLE, BOTH, AUTO, false},
    {"endinfo", SHAPE_SIMPLE, NEW, AUTO, false},
    /* Counts and ids of 9 bytes each. */
    {"raw=00feffffffffffffff7ffeffffffffffffff7f02000000", SHAPE_RESULT, BOTH, AUTO, false},
    /* More results belong to a query only. */
    {"ok+more", SHAPE_SIMPLE, BOTH, AUTO | STATUS_MORE_RESULTS, false},
    {"end+more", SHAPE_ROWS, BOTH, AUTO | STATUS_MORE_RESULTS, false},

    /* Result sets. */
    {"cols=1 end", SHAPE_RESULT, BOTH, AUTO, false},
    {"cols=2 row row end", SHAPE_RESULT, BOTH, AUTO, false},
    {"cols=2 row row end+tx", SHAPE_RESULT, BOTH, TX, false},
    {"cols=2 row eof", SHAPE_RESULT, BOTH, AUTO, false},
    {"cols=2 row endinfo", SHAPE_RESULT, NEW, AUTO, false},
    {"cols=2 null null end", SHAPE_RESULT, BOTH, AUTO, false},
    {"cols=300 row end", SHAPE_RESULT, BOTH, AUTO, false},
    {"cols=1 bin bin end", SHAPE_RESULT, BOTH, AUTO, false},
    {"cols=1 row err", SHAPE_RESULT, BOTH, AUTO, true},
    {"cols=1 err", SHAPE_RESULT, BOTH, AUTO, true},
    {"count=3 err", SHAPE_RESULT, BOTH, 0, true},
    {"count=3 defs=2 err", SHAPE_RESULT, BOTH, 0, true},
    /* Definitions of other sizes than usual: one that spans packets, some that begin like an end.
     */
    {"count=4 defs=2 rowfull defs=1 row end", SHAPE_RESULT, NEW, AUTO, false},
    {"count=4 defs=1 raw=fe00000200 raw=fd01 defs=1 row end", SHAPE_RESULT, NEW, AUTO, false},
    /* A row whose first value is of 0xfe, 0xfc or 0xfd in length's form, or of the length 0xfa. */
    {"cols=1 raw=fe00000001000000006162 end", SHAPE_RESULT, OLD, AUTO, false},
    {"cols=1 row300 row70000 row250 end", SHAPE_RESULT, BOTH, AUTO, false},

    /* Several results. */
    {"ok+more ok", SHAPE_RESULT, BOTH, AUTO, false},
    {"ok+more ok+more cols=1 row end", SHAPE_RESULT, BOTH, AUTO, false},
    {"cols=1 row end+more ok", SHAPE_RESULT, BOTH, AUTO, false},
    {"cols=1 row end+more cols=2 row row end", SHAPE_RESULT, BOTH, AUTO, false},
    {"cols=1 row end+more err", SHAPE_RESULT, BOTH, AUTO | STATUS_MORE_RESULTS, true},
    {"ok+more err", SHAPE_RESULT, BOTH, AUTO | STATUS_MORE_RESULTS, true},
    {"cols=1 end+more cols=1 err", SHAPE_RESULT, NEW, AUTO | STATUS_MORE_RESULTS, true},

    /* Cursors: no rows with EXECUTE, they come with FETCH. (sql/sql_cursor.cc) */
    {"cols=2+cursor", SHAPE_RESULT, OLD, AUTO | STATUS_CURSOR_EXISTS, false},
    {"cols=2 end+cursor", SHAPE_RESULT, NEW, AUTO | STATUS_CURSOR_EXISTS, false},
    {"bin bin end+cursor", SHAPE_ROWS, BOTH, AUTO | STATUS_CURSOR_EXISTS, false},
    {"bin end+last", SHAPE_ROWS, BOTH, AUTO | STATUS_LAST_ROW_SENT, false},
    {"end+last", SHAPE_ROWS, BOTH, AUTO | STATUS_LAST_ROW_SENT, false},
    {"bin err", SHAPE_ROWS, BOTH, 0, true},

    /* COM_STMT_PREPARE. Without definitions there is no EOF either. */
    {"prep=0,0", SHAPE_PREPARE, BOTH, 0, false},
    {"prep=1,0", SHAPE_PREPARE, BOTH, 0, false},
    {"prep=0,1", SHAPE_PREPARE, BOTH, 0, false},
    {"prep=1,1", SHAPE_PREPARE, BOTH, 0, false},
    {"prep=300,5", SHAPE_PREPARE, BOTH, 0, false},
    {"prep=2,300", SHAPE_PREPARE, BOTH, 0, false},

    /* COM_FIELD_LIST. */
    {"defs=3 end", SHAPE_FIELDS, BOTH, AUTO, false},
    {"end", SHAPE_FIELDS, BOTH, AUTO, false},
    {"defs=1 err", SHAPE_FIELDS, BOTH, 0, true},

    /* LOCAL INFILE; the client's file lies between the packets. */
    {"infile ok", SHAPE_RESULT, BOTH, AUTO, false},
    {"infile err", SHAPE_RESULT, BOTH, 0, true},
    {"infile ok+more cols=1 row end", SHAPE_RESULT, BOTH, AUTO, false},
    {"ok+more infile ok", SHAPE_RESULT, BOTH, AUTO, false},

    /* COM_CHANGE_USER. */
    {"ok", SHAPE_AUTH, BOTH, AUTO, false},
    {"switch ok", SHAPE_AUTH, BOTH, AUTO, false},
    {"switch data data ok", SHAPE_AUTH, BOTH, AUTO, false},
    {"switch data err", SHAPE_AUTH, BOTH, 0, true},

    /* Payloads that go on in other packets. */
    {"cols=1 row16m end", SHAPE_RESULT, BOTH, AUTO, false},
    {"cols=1 rowfull end", SHAPE_RESULT, BOTH, AUTO, false},
    {"cols=1 row rowfull row end", SHAPE_RESULT, BOTH, AUTO, false},
    {"cols=1 rowfull rowfull err", SHAPE_RESULT, BOTH, AUTO, true},
    {"cols=1 rowfull2 row end", SHAPE_RESULT, BOTH, AUTO, false},
    {"cols=2 rownull16m row end+more ok", SHAPE_RESULT, BOTH, AUTO, false},
    {"errfull", SHAPE_RESULT, BOTH, 0, true},
    {"cols=1 row errfull", SHAPE_RESULT, BOTH, AUTO, true},
    {"okfull", SHAPE_RESULT, BOTH, AUTO, false},
    {"okfull", SHAPE_SIMPLE, BOTH, AUTO, false},
};

/* Not MySQL's protocol. All of these end in RESPONSE_BROKEN with the last packet. */
static const struct {
    const char *words;
    enum response_shape shape;
    int modes;
} broken[] = {
    {"empty", SHAPE_SIMPLE, BOTH},
    {"empty", SHAPE_RESULT, BOTH},
    {"empty", SHAPE_PREPARE, BOTH},
    {"empty", SHAPE_AUTH, BOTH},
    {"count=2 empty", SHAPE_RESULT, BOTH},
    {"ok+more empty", SHAPE_RESULT, BOTH},
    {"text", SHAPE_SIMPLE, BOTH},
    {"infile", SHAPE_SIMPLE, BOTH},
    {"end", SHAPE_PREPARE, BOTH},
    {"row", SHAPE_PREPARE, BOTH},
    {"raw=00", SHAPE_RESULT, BOTH},
    {"raw=0000", SHAPE_RESULT, BOTH},
    {"raw=000000", SHAPE_RESULT, BOTH},
    {"raw=00000002", SHAPE_RESULT, BOTH},
    {"raw=00fe00", SHAPE_RESULT, BOTH},
    {"raw=fe", SHAPE_RESULT, BOTH},
    {"raw=fe000002", SHAPE_RESULT, BOTH},
    {"raw=fc01", SHAPE_RESULT, BOTH},
    {"raw=fc0000", SHAPE_RESULT, BOTH},
    {"raw=fe0000000100000000", SHAPE_RESULT, OLD}, /* 16777216 columns */
    {"raw=fe00000000000000ff", SHAPE_RESULT, OLD},
    {"raw=0001000000", SHAPE_PREPARE, BOTH},
    {"raw=0001000000010001", SHAPE_PREPARE, BOTH},
    {"count=1 defs=1 row", SHAPE_RESULT, OLD},
    {"count=1 defs=1 raw=fe", SHAPE_RESULT, OLD},
    {"cols=1 row raw=fe00", SHAPE_RESULT, BOTH},
    {"raw=fe", SHAPE_ROWS, BOTH},
};

/* Building answers */

struct build {
    struct buffer bytes;
    uint8_t sequence;
    size_t packets;
    bool deprecate_eof;
};

static void add(struct build *b, const void *payload, size_t len)
{
    b->sequence = packet_append(&b->bytes, b->sequence, payload, len);
    b->packets += 1 + len / FULL;
}

/* The rest of the payload is 0xff, so that its tail looks like an ERR. */
static void add_long(struct build *b, const char *head, size_t head_len, size_t len)
{
    uint8_t *payload = malloc(len);

    assert_non_null(payload);
    memset(payload, 0xff, len);
    memcpy(payload, head, head_len);
    add(b, payload, len);
    free(payload);
}

static void add_ok(struct build *b, uint8_t header, unsigned status)
{
    uint8_t ok[] = {header, 1, 0, (uint8_t)status, (uint8_t)(status >> 8), 0, 0};

    add(b, ok, sizeof ok);
}

static void add_eof(struct build *b, unsigned status)
{
    uint8_t eof[] = {0xfe, 0, 0, (uint8_t)status, (uint8_t)(status >> 8)};

    add(b, eof, sizeof eof);
}

static void add_end(struct build *b, unsigned status)
{
    if (b->deprecate_eof)
        add_ok(b, 0xfe, status);
    else
        add_eof(b, status);
}

static void add_count(struct build *b, unsigned long n)
{
    struct buffer payload;

    buffer_init(&payload, 9);
    buffer_lenenc(&payload, n);
    add(b, payload.data, payload.len);
    buffer_release(&payload);
}

static void add_definitions(struct build *b, unsigned long n)
{
    static const char definition[] = "\x03"
                                     "def"
                                     "\x00\x01t\x01t\x01"
                                     "c\x01"
                                     "c\x0c\x2d\x00"
                                     "\x00\x04\x00\x00\xfd\x00\x00\x00\x00\x00";

    while (n-- > 0)
        add(b, definition, sizeof definition - 1);
}

static void add_prepared(struct build *b, unsigned long parameters, unsigned long columns)
{
    uint8_t ok[] = {0,
                    0x78,
                    0x56,
                    0x34,
                    0x12,
                    (uint8_t)columns,
                    (uint8_t)(columns >> 8),
                    (uint8_t)parameters,
                    (uint8_t)(parameters >> 8),
                    0,
                    0,
                    0};

    add(b, ok, sizeof ok);
    add_definitions(b, parameters);
    if (parameters > 0 && !b->deprecate_eof)
        add_eof(b, AUTO);
    add_definitions(b, columns);
    if (columns > 0 && !b->deprecate_eof)
        add_eof(b, AUTO);
}

static void add_hex(struct build *b, const char *hex)
{
    uint8_t payload[64];
    size_t n = 0;

    for (; hex[0] && hex[1]; hex += 2, n++) {
        char digits[] = {hex[0], hex[1], '\0'};

        assert_true(n < sizeof payload);
        payload[n] = (uint8_t)strtoul(digits, NULL, 16);
    }
    add(b, payload, n);
}

static const struct {
    const char *word, *head;
    size_t head_len, len;
} long_packets[] = {
    {"row250", "\xfa", 1, 251},
    {"row300", "\xfc\x2c\x01", 3, 303},
    {"row70000", "\xfd\x70\x11\x01", 4, 70004},
    /* One value of 16 MiB: 0xfe begins the row. */
    {"row16m", "\xfe\x00\x00\x00\x01\x00\x00\x00\x00", 9, 9 + 0x1000000},
    /* Exactly one full packet, and an empty one; exactly two. */
    {"rowfull", "\xfd\xfb\xff\xff", 4, FULL},
    {"rowfull2", "\xfe\xf5\xff\xff\x01\x00\x00\x00\x00", 9, 2 * FULL},
    {"rownull16m", "\xfb\xfe\x00\x00\x00\x01\x00\x00\x00\x00", 10, 10 + 0x1000000},
    {"errfull", "\xff\x28\x04#42000", 9, FULL},
    {"okfull", "\x00\x00\x00\x02\x00\x00\x00", 7, FULL + 7},
};

static unsigned status_of(const char *word)
{
    return AUTO | (strstr(word, "+more") ? STATUS_MORE_RESULTS : 0u) |
           (strstr(word, "+cursor") ? STATUS_CURSOR_EXISTS : 0u) |
           (strstr(word, "+last") ? STATUS_LAST_ROW_SENT : 0u) |
           (strstr(word, "+tx") ? STATUS_IN_TRANSACTION : 0u);
}

static bool starts(const char *word, const char *prefix)
{
    return strncmp(word, prefix, strlen(prefix)) == 0;
}

static void add_word(struct build *b, const char *word)
{
    const char *equals = strchr(word, '=');
    unsigned long n = equals ? strtoul(equals + 1, NULL, 10) : 0;

    for (size_t i = 0; i < COUNT(long_packets); i++) {
        if (strcmp(word, long_packets[i].word) == 0) {
            add_long(b, long_packets[i].head, long_packets[i].head_len, long_packets[i].len);
            return;
        }
    }
    if (starts(word, "ok")) {
        add_ok(b, 0x00, status_of(word));
    } else if (strcmp(word, "endinfo") == 0) {
        add(b, "\xfe\x00\x00\x02\x00\x00\x00\x0cRows matched", 20);
    } else if (starts(word, "end")) {
        add_end(b, status_of(word));
    } else if (starts(word, "eof")) {
        add_eof(b, status_of(word));
    } else if (strcmp(word, "err") == 0) {
        add(b, "\xff\x28\x04#42000syntax", 15);
    } else if (starts(word, "cols=")) {
        add_count(b, n);
        add_definitions(b, n);
        if (!b->deprecate_eof)
            add_eof(b, status_of(word));
    } else if (starts(word, "count=")) {
        add_count(b, n);
    } else if (starts(word, "defs=")) {
        add_definitions(b, n);
    } else if (starts(word, "prep=")) {
        add_prepared(b, n, strtoul(strchr(word, ',') + 1, NULL, 10));
    } else if (starts(word, "raw=")) {
        add_hex(b, equals + 1);
    } else if (strcmp(word, "row") == 0) {
        add(b,
            "\x01"
            "1\x03two",
            6);
    } else if (strcmp(word, "bin") == 0) {
        add(b, "\x00\x00\x01\x00\x00\x00", 6);
    } else if (strcmp(word, "null") == 0) {
        add(b, "\xfb\x03two", 5);
    } else if (strcmp(word, "infile") == 0) {
        add(b, "\xfb/tmp/x", 7);
    } else if (strcmp(word, "switch") == 0) {
        add(b, "\xfemysql_native_password\0aaaaaaaaaaaaaaaaaaaa\0", 44);
    } else if (strcmp(word, "data") == 0) {
        add(b, "\x01\x04", 2);
    } else if (strcmp(word, "text") == 0) {
        add(b, "Uptime: 1  Threads: 2", 21);
    } else if (strcmp(word, "empty") == 0) {
        add(b, "", 0);
    } else {
        fail_msg("no such word: %s", word);
    }
}

static void build(struct build *b, const char *words, bool deprecate_eof)
{
    char *text = strdup(words), *rest = text;

    assert_non_null(text);
    *b = (struct build){.sequence = 1, .deprecate_eof = deprecate_eof};
    buffer_init(&b->bytes, HUGE);
    for (char *word; (word = strsep(&rest, " ")) != NULL;)
        add_word(b, word);
    free(text);
    assert_false(b->bytes.failed);
}

/* Feeding them */

/* Feeds p[0..n), sending the file when it is asked for; returns how much was taken. */
static size_t feed(struct response *r, const uint8_t *p, size_t n)
{
    size_t used = 0;

    for (;;) {
        used += response_feed(r, p + used, n - used);
        assert_true(used <= n);
        if (r->state != RESPONSE_INFILE)
            return used;
        response_infile_sent(r);
    }
}

struct outcome {
    size_t used;
    enum response_state state;
    bool failed, status_valid;
    uint16_t status, error_code;
    uint64_t packets;
    uint32_t statement_id;
};

static struct outcome outcome(const struct response *r, size_t used)
{
    return (struct outcome){used,      r->state,      r->failed,  r->status_valid,
                            r->status, r->error_code, r->packets, r->statement_id};
}

static void assert_same(const char *words, const char *how, size_t at, struct outcome got,
                        struct outcome want)
{
    if (got.used != want.used || got.state != want.state || got.failed != want.failed ||
        got.status_valid != want.status_valid || got.status != want.status ||
        got.error_code != want.error_code || got.packets != want.packets ||
        got.statement_id != want.statement_id)
        fail_msg("\"%s\" %s %zu: used %zu of %zu, state %d (%d), failed %d, status %x (%x), error "
                 "%d, packets %zu (%zu)",
                 words, how, at, got.used, want.used, got.state, want.state, got.failed, got.status,
                 want.status, got.error_code, (size_t)got.packets, (size_t)want.packets);
}

/* Cut at `cut`: the rest is only offered if the response still wants it. */
static struct outcome feed_cut(const struct answer_case *c, bool new, const uint8_t *p, size_t n,
                               size_t cut)
{
    struct response r;

    response_init(&r, c->shape, new);
    size_t used = feed(&r, p, cut);
    if (used == cut) {
        if (r.state == RESPONSE_DONE)
            fail_msg("\"%s\" ends at %zu already", c->words, cut);
        used += feed(&r, p + cut, n - cut);
    }
    return outcome(&r, used);
}

static struct outcome feed_steps(const struct answer_case *c, bool new, const uint8_t *p, size_t n,
                                 size_t step)
{
    struct response r;
    size_t at = 0;

    response_init(&r, c->shape, new);
    while (at < n) {
        size_t piece = n - at < step ? n - at : step;
        size_t used = feed(&r, p + at, piece);

        at += used;
        if (used < piece)
            break;
    }
    return outcome(&r, at);
}

/* At each byte; in long answers, at those around the packet headers. */
static void check_cuts(const struct answer_case *c, const struct build *b, struct outcome want)
{
    bool new = b->deprecate_eof;
    const uint8_t *p = b->bytes.data;
    size_t n = b->bytes.len;

    assert_same(c->words, "cut", 0, feed_cut(c, new, p, n, 0), want);
    if (n < 20000) {
        for (size_t cut = 1; cut < n; cut++)
            assert_same(c->words, "cut", cut, feed_cut(c, new, p, n, cut), want);
        return;
    }
    for (size_t at = 0; at < n; at += PACKET_HEADER + load_u24(p + at)) {
        size_t from = at < 8 ? 1 : at - 8;

        for (size_t cut = from; cut < n && cut < at + 2 * PACKET_PREFIX; cut++)
            assert_same(c->words, "cut", cut, feed_cut(c, new, p, n, cut), want);
    }
}

static void check_steps(const struct answer_case *c, const struct build *b, struct outcome want)
{
    static const size_t steps[] = {1, 2, 3, 5, 7, 64, 4099, 65536};

    for (size_t i = 0; i < COUNT(steps); i++) {
        if (b->bytes.len / steps[i] < 300000)
            assert_same(c->words, "steps of", steps[i],
                        feed_steps(c, b->deprecate_eof, b->bytes.data, b->bytes.len, steps[i]),
                        want);
    }
}

/* Whatever follows is none of the response's business. */
static void check_followed(const struct answer_case *c, struct build *b, struct outcome want)
{
    static const char *const others[] = {"ok", "err", "end", "row", "empty", "cols=1 row end"};

    for (size_t i = 0; i < COUNT(others); i++) {
        struct build follows;
        size_t len = b->bytes.len;

        build(&follows, others[i], b->deprecate_eof);
        buffer_bytes(&b->bytes, follows.bytes.data, follows.bytes.len);
        assert_same(c->words, "followed", i,
                    feed_cut(c, b->deprecate_eof, b->bytes.data, b->bytes.len, 0), want);
        b->bytes.len = len;
        buffer_release(&follows.bytes);
    }
}

static void check(const struct answer_case *c, bool new, enum response_state state)
{
    struct build b;
    struct response r;

    build(&b, c->words, new);
    struct outcome want = {
        .used = b.bytes.len,
        .state = state,
        .failed = c->failed,
        .status_valid = c->status != 0,
        .status = c->status,
        .error_code = c->failed ? 1064 : 0,
        .packets = b.packets,
        .statement_id = starts(c->words, "prep=") ? 0x12345678 : 0,
    };
    response_init(&r, c->shape, new);
    size_t used = feed(&r, b.bytes.data, b.bytes.len);
    struct outcome got = outcome(&r, used);

    if (state == RESPONSE_BROKEN) { /* only where it broke is promised */
        want.status = got.status;
        want.status_valid = got.status_valid;
        want.statement_id = got.statement_id;
    }
    assert_same(c->words, new ? "new form" : "old form", 0, got, want);
    check_cuts(c, &b, want);
    check_steps(c, &b, want);
    check_followed(c, &b, want);
    buffer_release(&b.bytes);
}

static void answers_end_where_they_end(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(ended); i++) {
        if (ended[i].modes & OLD) {
            struct answer_case c = ended[i];

            /* The EOF behind the definitions carries flags, too. */
            if (c.status == 0 && starts(c.words, "prep=") && strcmp(c.words, "prep=0,0") != 0)
                c.status = AUTO;
            check(&c, false, RESPONSE_DONE);
        }
        if (ended[i].modes & NEW) {
            struct answer_case c = ended[i];

            /* No flags before the ERR where the old form has an EOF. */
            if (c.failed && starts(c.words, "cols=") && !strstr(c.words, "+more"))
                c.status = 0;
            check(&c, true, RESPONSE_DONE);
        }
    }
}

static void other_things_break_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(broken); i++) {
        struct answer_case c = {.words = broken[i].words, .shape = broken[i].shape};

        if (broken[i].modes & OLD)
            check(&c, false, RESPONSE_BROKEN);
        if (broken[i].modes & NEW)
            check(&c, true, RESPONSE_BROKEN);
    }
}

static void no_response_is_none(void **state)
{
    (void)state;
    struct response r;

    response_init(&r, SHAPE_NONE, true);
    assert_int_equal(r.state, RESPONSE_DONE);
    assert_int_equal(response_feed(&r, (const uint8_t *)"\x01\x00\x00\x01\x00", 5), 0);
}

static void a_stream_takes_everything(void **state)
{
    (void)state;
    struct build b;
    struct response r;

    build(&b, "ok err end empty row", true);
    response_init(&r, SHAPE_STREAM, true);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(response_feed(&r, b.bytes.data, b.bytes.len), b.bytes.len);
    assert_int_equal(r.state, RESPONSE_STREAM);
    buffer_release(&b.bytes);
}

static void a_refused_stream_is_over(void **state)
{
    (void)state;
    struct build b;
    struct response r;

    build(&b, "err", true);
    response_init(&r, SHAPE_STREAM, true);
    assert_int_equal(response_feed(&r, b.bytes.data, b.bytes.len), b.bytes.len);
    assert_int_equal(r.state, RESPONSE_DONE);
    assert_true(r.failed);
    buffer_release(&b.bytes);
}

static void it_stops_at_a_file_request(void **state)
{
    (void)state;
    struct build b;
    struct response r;

    build(&b, "infile ok", false);
    response_init(&r, SHAPE_RESULT, false);
    size_t used = response_feed(&r, b.bytes.data, b.bytes.len);
    assert_int_equal(used, PACKET_HEADER + 7);
    assert_int_equal(r.state, RESPONSE_INFILE);
    assert_int_equal(response_feed(&r, b.bytes.data + used, b.bytes.len - used), 0);
    response_infile_sent(&r);
    assert_int_equal(response_feed(&r, b.bytes.data + used, b.bytes.len - used),
                     b.bytes.len - used);
    assert_int_equal(r.state, RESPONSE_DONE);
    buffer_release(&b.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_end_where_they_end), cmocka_unit_test(other_things_break_it),
        cmocka_unit_test(no_response_is_none),        cmocka_unit_test(a_stream_takes_everything),
        cmocka_unit_test(a_refused_stream_is_over),   cmocka_unit_test(it_stops_at_a_file_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
