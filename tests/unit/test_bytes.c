/* Wire integers, strings and the growable buffer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/bytes.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const struct {
    uint64_t value;
    const char *wire;
    size_t len;
} lenencs[] = {
    {0, "\x00", 1},
    {0xfa, "\xfa", 1},
    {0xfb, "\xfc\xfb\x00", 3},
    {0xff, "\xfc\xff\x00", 3},
    {0xffff, "\xfc\xff\xff", 3},
    {0x10000, "\xfd\x00\x00\x01", 4},
    {0xffffff, "\xfd\xff\xff\xff", 4},
    {0x1000000, "\xfe\x00\x00\x00\x01\x00\x00\x00\x00", 9},
    {UINT64_MAX, "\xfe\xff\xff\xff\xff\xff\xff\xff\xff", 9},
};

/* A text is cut where it does not fit, a name is not taken at all. */
static void bytes_are_copied(void **state)
{
    (void)state;
    static const struct {
        struct bytes from;
        const char *text, *name;
    } cases[] = {
        {{(const uint8_t *)"abc", 3}, "abc", "abc"},
        {{(const uint8_t *)"abcd", 4}, "abc", ""},
        {{(const uint8_t *)"", 0}, "", ""},
        {{NULL, 0}, "", ""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char dst[4];

        bytes_to_text(dst, sizeof(dst), cases[i].from);
        assert_string_equal(dst, cases[i].text);
        bytes_to_name(dst, sizeof(dst), cases[i].from);
        assert_string_equal(dst, cases[i].name);
    }
}

static void lenenc_is_written_and_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(lenencs); i++) {
        struct buffer b;
        struct reader r;

        buffer_init(&b, 100);
        buffer_lenenc(&b, lenencs[i].value);
        assert_int_equal(b.len, lenencs[i].len);
        assert_memory_equal(b.data, lenencs[i].wire, b.len);
        reader_init(&r, b.data, b.len);
        assert_true(reader_lenenc(&r) == lenencs[i].value);
        assert_false(r.failed);
        assert_int_equal(reader_left(&r), 0);
        for (size_t cut = 0; cut < b.len; cut++) {
            reader_init(&r, b.data, cut);
            assert_true(reader_lenenc(&r) == 0);
            assert_true(r.failed);
        }
        buffer_release(&b);
    }
}

static void lenenc_refuses_null_and_err(void **state)
{
    (void)state;
    static const char *const bad[] = {"\xfb\x01\x02\x03", "\xff\x01\x02\x03"};

    for (size_t i = 0; i < COUNT(bad); i++) {
        struct reader r;

        reader_init(&r, bad[i], 4);
        assert_true(reader_lenenc(&r) == 0);
        assert_true(r.failed);
        reader_init(&r, bad[i], 4);
        assert_int_equal(reader_lenenc_string(&r).len, 0);
        assert_true(r.failed);
    }
}

static void integers_are_little_endian(void **state)
{
    (void)state;
    static const uint8_t wire[] = {1,   2,   3,   4,   5,   6,   7,    8,    9,
                                   0xa, 0xb, 0xc, 0xd, 0xe, 0xf, 0x10, 0x11, 0x12};
    struct buffer b;
    struct reader r;

    reader_init(&r, wire, sizeof wire);
    assert_int_equal(reader_u8(&r), 0x01);
    assert_int_equal(reader_u16(&r), 0x0302);
    assert_int_equal(reader_u24(&r), 0x060504);
    assert_int_equal(reader_u32(&r), 0x0a090807);
    assert_true(reader_u64(&r) == UINT64_C(0x1211100f0e0d0c0b));
    assert_false(r.failed);
    assert_int_equal(load_u16(wire), 0x0201);
    assert_int_equal(load_u24(wire), 0x030201);
    assert_int_equal(load_u32(wire), 0x04030201);

    buffer_init(&b, sizeof wire);
    buffer_u8(&b, 0x01);
    buffer_u16(&b, 0x0302);
    buffer_u24(&b, 0x060504);
    buffer_u32(&b, 0x0a090807);
    buffer_u64(&b, UINT64_C(0x1211100f0e0d0c0b));
    assert_false(b.failed);
    assert_int_equal(b.len, sizeof wire);
    assert_memory_equal(b.data, wire, sizeof wire);
    buffer_release(&b);
}

static void a_failed_reader_stays_failed(void **state)
{
    (void)state;
    bool is_null;
    struct reader r;

    reader_init(&r, "\xfb\x00\x03", 3);
    assert_int_equal(reader_u32(&r), 0);
    assert_true(r.failed);
    assert_int_equal(reader_u8(&r), 0);
    assert_int_equal(reader_u64(&r), 0);
    assert_int_equal(reader_take(&r, 1).len, 0);
    assert_int_equal(reader_take(&r, 0).len, 0);
    assert_int_equal(reader_nul_string(&r).len, 0);
    assert_int_equal(reader_rest(&r).len, 0);
    assert_int_equal(reader_text_value(&r, &is_null).len, 0);
    assert_true(r.failed);
}

static void a_huge_length_is_refused(void **state)
{
    (void)state;
    struct reader r;

    reader_init(&r,
                "\xfe\xff\xff\xff\xff\xff\xff\xff\xff"
                "abc",
                12);
    assert_int_equal(reader_lenenc_string(&r).len, 0);
    assert_true(r.failed);
    reader_init(&r, "abc", 3);
    assert_int_equal(reader_take(&r, UINT64_MAX).len, 0);
    assert_true(r.failed);
}

static void an_empty_reader_fails_at_the_first_byte(void **state)
{
    (void)state;
    struct reader r;

    reader_init(&r, NULL, 0);
    assert_int_equal(reader_left(&r), 0);
    assert_int_equal(reader_rest(&r).len, 0);
    assert_false(r.failed);
    assert_int_equal(reader_nul_string(&r).len, 0);
    assert_true(r.failed);
}

static void strings_are_read(void **state)
{
    (void)state;
    bool is_null;
    struct reader r;

    reader_init(&r,
                "ab\0"
                "\x03"
                "cde"
                "\xfb"
                "\x00"
                "\x01"
                "f"
                "rest",
                15);
    struct bytes nul = reader_nul_string(&r);
    assert_int_equal(nul.len, 2);
    assert_memory_equal(nul.p, "ab", 2);
    struct bytes counted = reader_lenenc_string(&r);
    assert_int_equal(counted.len, 3);
    assert_memory_equal(counted.p, "cde", 3);
    assert_int_equal(reader_text_value(&r, &is_null).len, 0);
    assert_true(is_null);
    assert_int_equal(reader_text_value(&r, &is_null).len, 0);
    assert_false(is_null);
    assert_int_equal(reader_text_value(&r, &is_null).len, 1);
    assert_false(is_null);
    assert_int_equal(reader_rest(&r).len, 4);
    assert_false(r.failed);

    reader_init(&r, "no nul", 6);
    assert_int_equal(reader_nul_string(&r).len, 0);
    assert_true(r.failed);
}

static void a_buffer_grows_up_to_its_max(void **state)
{
    (void)state;
    struct buffer b;

    buffer_init(&b, 1000);
    for (size_t i = 0; i < 1000; i++)
        buffer_u8(&b, (uint8_t)i);
    assert_false(b.failed);
    assert_int_equal(b.len, 1000);
    assert_true(b.cap <= 1000);
    buffer_u8(&b, 0);
    assert_true(b.failed);
    assert_int_equal(b.len, 1000);
    buffer_consume(&b, 500);
    buffer_u8(&b, 0); /* the failure stays, though there is room again */
    assert_true(b.failed);
    assert_int_equal(b.len, 500);
    buffer_release(&b);
    assert_false(b.failed);
    assert_int_equal(b.max, 1000);
    buffer_text(&b, "usable again");
    assert_int_equal(b.len, 12);
    buffer_release(&b);
}

static void a_write_beyond_max_writes_nothing(void **state)
{
    (void)state;
    static const uint8_t data[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    static const size_t maxima[] = {0, 1, 7};

    for (size_t i = 0; i < COUNT(maxima); i++) {
        struct buffer b;

        buffer_init(&b, maxima[i]);
        buffer_bytes(&b, data, sizeof data);
        assert_true(b.failed);
        assert_int_equal(b.len, 0);
        buffer_release(&b);
        buffer_u64(&b, 1);
        assert_true(b.failed);
        assert_int_equal(b.len, 0);
        buffer_release(&b);
        buffer_zeros(&b, SIZE_MAX);
        assert_true(b.failed);
        buffer_release(&b);
    }
}

static void nothing_can_be_written(void **state)
{
    (void)state;
    struct buffer b;

    buffer_init(&b, 0);
    buffer_bytes(&b, NULL, 0);
    buffer_zeros(&b, 0);
    buffer_text(&b, "");
    assert_false(b.failed);
    assert_null(b.data);
    buffer_lenenc_text(&b, ""); /* its length is a byte */
    assert_true(b.failed);
    buffer_release(&b);
}

static void consume_drops_the_front(void **state)
{
    (void)state;
    struct buffer b;

    buffer_init(&b, 100);
    buffer_consume(&b, 0);
    buffer_text(&b, "abcdef");
    buffer_consume(&b, 0);
    assert_int_equal(b.len, 6);
    buffer_consume(&b, 2);
    assert_int_equal(b.len, 4);
    assert_memory_equal(b.data, "cdef", 4);
    buffer_consume(&b, 99);
    assert_int_equal(b.len, 0);
    buffer_wipe(&b);
    assert_null(b.data);
    assert_int_equal(b.cap, 0);
}

static void counted_text(void **state)
{
    (void)state;
    struct buffer b;
    char text[0xfc] = "";

    memset(text, 'x', 0xfb);
    buffer_init(&b, 1000);
    buffer_lenenc_text(&b, "hello");
    buffer_lenenc_text(&b, text);
    assert_int_equal(b.len, 6 + 3 + 0xfb);
    assert_memory_equal(b.data, "\x05hello\xfc\xfb\x00xx", 11);
    buffer_release(&b);
}

static void hex_digits(void **state)
{
    (void)state;
    static const struct {
        const char *digits;
        int value;
    } cases[] = {{"00", 0},
                 {"09", 9},
                 {"a0", 0xa0},
                 {"fF", 0xff},
                 {"Af", 0xaf},
                 {"/0", -1},
                 {"0/", -1},
                 {":0", -1},
                 {"0:", -1},
                 {"g0", -1},
                 {"0G", -1},
                 {"@0", -1},
                 {"0`", -1},
                 {" 0", -1},
                 {"\x10"
                  "0",
                  -1},
                 {"0\xff", -1},
                 {"7", -1},
                 {"", -1}};

    for (size_t i = 0; i < COUNT(cases); i++)
        if (bytes_hex_byte(cases[i].digits) != cases[i].value)
            fail_msg("'%s'", cases[i].digits);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_are_copied),
        cmocka_unit_test(lenenc_is_written_and_read),
        cmocka_unit_test(lenenc_refuses_null_and_err),
        cmocka_unit_test(integers_are_little_endian),
        cmocka_unit_test(a_failed_reader_stays_failed),
        cmocka_unit_test(a_huge_length_is_refused),
        cmocka_unit_test(an_empty_reader_fails_at_the_first_byte),
        cmocka_unit_test(strings_are_read),
        cmocka_unit_test(a_buffer_grows_up_to_its_max),
        cmocka_unit_test(a_write_beyond_max_writes_nothing),
        cmocka_unit_test(nothing_can_be_written),
        cmocka_unit_test(consume_drops_the_front),
        cmocka_unit_test(counted_text),
        cmocka_unit_test(hex_digits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
