/* Answers that the shim makes, and its reading of those it asked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/reply.h"
#include "protocol/response.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void assert_wire(struct buffer *b, const char *wire, size_t len)
{
    assert_false(b->failed);
    assert_int_equal(b->len, len);
    assert_memory_equal(b->data, wire, len);
    buffer_release(b);
}
#define ASSERT_WIRE(buffer, text) assert_wire(buffer, text, sizeof(text) - 1)

static void packets_are_byte_exact(void **state)
{
    (void)state;
    struct buffer b;

    buffer_init(&b, 1000);
    reply_ok(&b, 1, 0, STATUS_AUTOCOMMIT, 0, 0, NULL);
    ASSERT_WIRE(&b, "\x07\0\0\x01"
                    "\0\0\0\x02\0\0\0");
    reply_ok(&b, 2, CAP_SESSION_TRACK, 3, 300, 5, "");
    ASSERT_WIRE(&b, "\x09\0\0\x02"
                    "\0\xfc\x2c\x01\0\x03\0\x05\0");
    reply_ok(&b, 3, 0, 2, 1, 0, "Rows: 1");
    ASSERT_WIRE(&b, "\x0f\0\0\x03"
                    "\0\x01\0\x02\0\0\0"
                    "\x07Rows: 1");
    reply_error(&b, 1, 1205, "HY000", "try again");
    ASSERT_WIRE(&b, "\x12\0\0\x01"
                    "\xff\xb5\x04#HY000try again");
    reply_eof(&b, 5, 0x22);
    ASSERT_WIRE(&b, "\x05\0\0\x05"
                    "\xfe\0\0\x22\0");
}

static void progress_is_byte_exact(void **state)
{
    (void)state;
    struct buffer b;

    buffer_init(&b, 1000);
    reply_progress(&b, 7, 1, 2, 80500, "copy rows");
    ASSERT_WIRE(&b, "\x13\0\0\x07"
                    "\xff\xff\xff\x01\x01\x02\x74\x3a\x01"
                    "\x09"
                    "copy rows");
    reply_progress(&b, 255, 2, 2, 100000, "");
    ASSERT_WIRE(&b, "\x0a\0\0\xff"
                    "\xff\xff\xff\x01\x02\x02\xa0\x86\x01\0");
}

/* Each is cut at 512 bytes or before the character that would be cut. */
static const struct {
    const char *unit; /* repeated */
    size_t lead;      /* x's before it */
    size_t want;
} messages[] = {
    {"x", 0, 512},
    {"\xc3\xa9", 0, 512}, /* e acute, 2 bytes */
    {"\xc3\xa9", 1, 511},
    {"\xe2\x82\xac", 0, 510}, /* the Euro sign, 3 bytes */
    {"\xe2\x82\xac", 1, 511},
    {"\xe2\x82\xac", 2, 512},
    {"\xf0\x9f\x98\x80", 0, 512}, /* an emoji, 4 bytes */
    {"\xf0\x9f\x98\x80", 1, 509},
    {"\xf0\x9f\x98\x80", 2, 510},
    {"\xf0\x9f\x98\x80", 3, 511},
};

static void long_messages_are_cut_between_characters(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(messages); i++) {
        char text[1000];
        size_t n = messages[i].lead, unit = strlen(messages[i].unit);
        struct buffer b;

        memset(text, 'x', n);
        for (; n + unit < sizeof text; n += unit)
            memcpy(text + n, messages[i].unit, unit);
        text[n] = '\0';
        buffer_init(&b, 1000);
        reply_error(&b, 1, 1105, "HY000", text);
        assert_int_equal(b.len - PACKET_HEADER - 9, messages[i].want);
        buffer_release(&b);
    }
}

static void errors_have_codes_and_states(void **state)
{
    (void)state;
    for (int i = 0; i < SHIM_ERROR_COUNT; i++) {
        const struct shim_error_row *row = shim_error_row((enum shim_error)i);

        assert_true(row->code >= 1000);
        assert_int_equal(strlen(row->state), 5);
        assert_true(strlen(row->text) > 0 && strlen(row->doc) > 0 && strlen(row->name) > 0);
    }
}

/* Result sets */

static const char *const NAMES[] = {"id", "Migration_Status", "message"};
static const char *const ROWS[][3] = {
    {"1", "complete", NULL},
    {NULL, NULL, NULL},
    {"", "", ""},
    {"4", "failed", "a message of some words"},
};

static void build_rows(struct buffer *b, uint32_t capabilities, bool with_error)
{
    uint8_t sequence = 1;

    buffer_init(b, 10000);
    reply_columns(b, &sequence, capabilities, STATUS_AUTOCOMMIT, NAMES, COUNT(NAMES));
    for (size_t i = 0; i < COUNT(ROWS); i++)
        reply_row(b, &sequence, ROWS[i], COUNT(NAMES));
    if (with_error)
        reply_error(b, sequence++, 1317, "70100", "interrupted");
    else
        reply_rows_end(b, &sequence, capabilities, STATUS_AUTOCOMMIT | STATUS_IN_TRANSACTION);
    assert_false(b->failed);
    assert_int_equal(sequence, 1 + 1 + 3 + 4 + 1 + !(capabilities & CAP_DEPRECATE_EOF));
}

static void the_tracker_agrees(void **state)
{
    (void)state;
    for (int new = 0; new < 2; new ++) {
        struct buffer b;
        struct response r;

        build_rows(&b, new ? CAP_DEPRECATE_EOF : 0, false);
        response_init(&r, SHAPE_RESULT, new);
        assert_int_equal(response_feed(&r, b.data, b.len), b.len);
        assert_int_equal(r.state, RESPONSE_DONE);
        assert_int_equal(r.status, STATUS_AUTOCOMMIT | STATUS_IN_TRANSACTION);
        buffer_release(&b);
    }
}

static void rows_come_out_as_they_went_in(void **state)
{
    (void)state;
    for (int new = 0; new < 2; new ++) {
        struct buffer b;
        struct answer a;
        struct bytes values[3];

        build_rows(&b, new ? CAP_DEPRECATE_EOF : 0, false);
        assert_true(answer_parse(&a, b.data, b.len, new));
        assert_false(a.failed);
        assert_int_equal(a.columns, 3);
        assert_int_equal(a.status, STATUS_AUTOCOMMIT | STATUS_IN_TRANSACTION);
        assert_int_equal(answer_column(&a, "id"), 0);
        assert_int_equal(answer_column(&a, "migration_STATUS"), 1);
        assert_int_equal(answer_column(&a, "messag"), -1);
        const uint8_t *at = a.rows_at;
        for (size_t i = 0; i < COUNT(ROWS); i++) {
            assert_true(answer_row(&a, &at, values, 3));
            for (size_t k = 0; k < 3; k++) {
                assert_int_equal(values[k].p == NULL, ROWS[i][k] == NULL);
                assert_int_equal(values[k].len, ROWS[i][k] ? strlen(ROWS[i][k]) : 0);
                if (values[k].len > 0)
                    assert_memory_equal(values[k].p, ROWS[i][k], values[k].len);
            }
        }
        assert_false(answer_row(&a, &at, values, 3));

        at = a.rows_at; /* fewer or more values than columns */
        struct bytes one, five[5];
        assert_true(answer_row(&a, &at, &one, 1));
        assert_true(answer_row(&a, &at, five, 5));
        assert_null(five[3].p);
        assert_null(five[4].p);
        buffer_release(&b);
    }
}

static void half_an_answer_is_none(void **state)
{
    (void)state;
    for (int new = 0; new < 2; new ++) {
        struct buffer b;
        struct answer a;

        build_rows(&b, new ? CAP_DEPRECATE_EOF : 0, false);
        for (size_t len = 0; len < b.len; len++) {
            uint8_t *cut = malloc(len ? len : 1);

            assert_non_null(cut);
            memcpy(cut, b.data, len);
            if (answer_parse(&a, cut, len, new))
                fail_msg("%zu of %zu bytes", len, b.len);
            free(cut);
        }
        buffer_release(&b);
    }
}

static void an_error_is_an_answer(void **state)
{
    (void)state;
    static const struct {
        const char *wire;
        size_t len;
        uint16_t code;
        const char *state, *message;
    } cases[] = {
        {"\x0f\0\0\x01"
         "\xff\x28\x04#42000syntax",
         19, 1064, "42000", "syntax"},
        {"\x0d\0\0\x01"
         "\xff\x10\x04no state..",
         17, 1040, "HY000", "no state.."},
        {"\x03\0\0\x01"
         "\xff\x10\x04",
         7, 1040, "HY000", ""},
        {"\x07\0\0\x01"
         "\xff\x10\x04#420",
         11, 1040, "HY000", "#420"},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct answer a;

        assert_true(answer_parse(&a, (const uint8_t *)cases[i].wire, cases[i].len, true));
        assert_true(a.failed);
        assert_int_equal(a.code, cases[i].code);
        assert_string_equal(a.state, cases[i].state);
        assert_int_equal(a.message.len, strlen(cases[i].message));
        assert_memory_equal(a.message.p, cases[i].message, a.message.len);
        assert_int_equal(answer_column(&a, "x"), -1);
        const uint8_t *at = a.rows_at;
        assert_false(answer_row(&a, &at, NULL, 0));
    }
}

static void an_error_behind_rows_is_seen(void **state)
{
    (void)state;
    for (int new = 0; new < 2; new ++) {
        struct buffer b;
        struct answer a;

        build_rows(&b, new ? CAP_DEPRECATE_EOF : 0, true);
        assert_true(answer_parse(&a, b.data, b.len, new));
        assert_true(a.failed);
        assert_int_equal(a.code, 1317);
        assert_int_equal(a.columns, 0);
        buffer_release(&b);
    }
}

static void an_ok_is_an_answer(void **state)
{
    (void)state;
    struct buffer b;
    struct answer a;

    buffer_init(&b, 100);
    reply_ok(&b, 1, 0, STATUS_AUTOCOMMIT, 70000, 0, "done");
    assert_true(answer_parse(&a, b.data, b.len, true));
    assert_false(a.failed);
    assert_int_equal(a.columns, 0);
    assert_int_equal(a.status, STATUS_AUTOCOMMIT);
    buffer_release(&b);
}

static void a_big_value_spoils_no_other(void **state)
{
    (void)state;
    size_t big = 0x1000010;
    char *text = malloc(big + 9);
    struct buffer b;
    struct answer a;
    struct bytes value;
    uint8_t sequence = 1;

    assert_non_null(text);
    memset(text, 0xff, big + 9);
    memcpy(text, "\xfe\x10\0\0\x01\0\0\0\0", 9);
    buffer_init(&b, 2 * big);
    reply_columns(&b, &sequence, 0, 2, NAMES, 1);
    sequence = packet_append(&b, sequence, text, big + 9);
    reply_rows_end(&b, &sequence, 0, 2);
    assert_true(answer_parse(&a, b.data, b.len, false));
    assert_false(a.failed); /* the row's tail begins as an ERR does */
    const uint8_t *at = a.rows_at;
    assert_false(answer_row(&a, &at, &value, 1)); /* but it cannot be read */
    buffer_release(&b);
    free(text);
}

/* ("Binary Protocol Resultset Row": a zero, the bitmap of NULLs from its third bit on, the values.)
 */
static void binary_rows(void **state)
{
    (void)state;
    static const struct {
        const char *values[8];
        size_t columns, len;
        const char *payload;
    } cases[] = {
        {{"ab", NULL, ""},
         3,
         6,
         "\0\x08\x02"
         "ab\0"},
        {{NULL}, 1, 2, "\0\x04"},
        {{"1", "2", "3", "4", "5", "6", NULL},
         7,
         15,
         "\0\0\x01\x01"
         "1\x01"
         "2\x01"
         "3\x01"
         "4\x01"
         "5\x01"
         "6"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct buffer b;
        uint8_t sequence = 7;

        buffer_init(&b, 256);
        reply_binary_row(&b, &sequence, cases[i].values, cases[i].columns);
        assert_int_equal(b.len, 4 + cases[i].len);
        assert_int_equal(load_u24(b.data), cases[i].len);
        assert_int_equal(b.data[3], 7);
        assert_int_equal(sequence, 8);
        assert_memory_equal(b.data + 4, cases[i].payload, cases[i].len);
        buffer_release(&b);
    }
}

static void what_does_not_fit_fails(void **state)
{
    (void)state;
    for (size_t max = 0; max < 20; max++) {
        struct buffer b;
        uint8_t sequence = 1;

        buffer_init(&b, max);
        reply_columns(&b, &sequence, 0, 2, NAMES, 3);
        reply_row(&b, &sequence, ROWS[0], 3);
        reply_rows_end(&b, &sequence, CAP_DEPRECATE_EOF, 2);
        assert_true(b.failed);
        buffer_release(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packets_are_byte_exact),
        cmocka_unit_test(binary_rows),
        cmocka_unit_test(progress_is_byte_exact),
        cmocka_unit_test(long_messages_are_cut_between_characters),
        cmocka_unit_test(errors_have_codes_and_states),
        cmocka_unit_test(the_tracker_agrees),
        cmocka_unit_test(rows_come_out_as_they_went_in),
        cmocka_unit_test(half_an_answer_is_none),
        cmocka_unit_test(an_error_is_an_answer),
        cmocka_unit_test(an_error_behind_rows_is_seen),
        cmocka_unit_test(an_ok_is_an_answer),
        cmocka_unit_test(a_big_value_spoils_no_other),
        cmocka_unit_test(what_does_not_fit_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
