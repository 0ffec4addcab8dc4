/*
 * PROXY headers: each form is read, each cut of it waits for more, and what we write is what we
 * read.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/proxy_header.h"

#define BYTES(text) (const uint8_t *)(text), sizeof(text) - 1
#define SIGNATURE   "\r\n\r\n\0\r\nQUIT\n"
#define COUNT(a)    (sizeof(a) / sizeof((a)[0]))

static const struct {
    const uint8_t *wire;
    size_t len;
    enum proxy_family family;
    uint8_t first, last; /* of the source address */
    uint16_t source_port, destination_port;
} HEADERS[] = {
    {BYTES("PROXY TCP4 192.0.2.7 192.0.2.1 56324 3306\r\n"), PROXY_IPV4, 192, 7, 56324, 3306},
    {BYTES("PROXY TCP6 2001:db8::9 ::1 65535 0\r\n"), PROXY_IPV6, 0x20, 9, 65535, 0},
    {BYTES("PROXY UNKNOWN\r\n"), PROXY_UNKNOWN, 0, 0, 0, 0},
    {BYTES("PROXY UNKNOWN ff ff 1 2\r\n"), PROXY_UNKNOWN, 0, 0, 0, 0},
    {BYTES(SIGNATURE "\x21\x11\x00\x0c\x0a\x01\x02\x03\x0a\x00\x00\x01\x30\x39\x0c\xea"),
     PROXY_IPV4, 10, 3, 12345, 3306},
    {BYTES(SIGNATURE "\x21\x21\x00\x24\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x05"
                     "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x00\x50\x01\xbb"),
     PROXY_IPV6, 0x20, 5, 80, 443},
    {BYTES(SIGNATURE "\x20\x00\x00\x00"), PROXY_UNKNOWN, 0, 0, 0, 0},   /* LOCAL */
    {BYTES(SIGNATURE "\x21\x31\x00\x02zz"), PROXY_UNKNOWN, 0, 0, 0, 0}, /* a unix socket */
    /* with a TLV behind the addresses */
    {BYTES(SIGNATURE "\x21\x11\x00\x10\x7f\0\0\x01\x7f\0\0\x01\x00\x01\x00\x02\x04\x00\x01\x00"),
     PROXY_IPV4, 127, 1, 1, 2},
};

static uint8_t *exact_copy(const uint8_t *p, size_t len)
{
    uint8_t *copy = malloc(len ? len : 1);

    memcpy(copy, p, len);
    return copy;
}

static void headers_are_read_and_cuts_wait(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(HEADERS); i++) {
        for (size_t len = 0; len <= HEADERS[i].len; len++) {
            uint8_t *wire = exact_copy(HEADERS[i].wire, len);
            struct proxy_address a;
            size_t used;
            enum proxy_result r = proxy_header_parse(wire, len, &a, &used);

            assert_int_equal(r, len < HEADERS[i].len ? PROXY_MORE : PROXY_DONE);
            free(wire);
            if (r != PROXY_DONE)
                continue;
            assert_int_equal(used, len);
            assert_int_equal(a.family, HEADERS[i].family);
            if (a.family == PROXY_UNKNOWN)
                continue;
            assert_int_equal(a.source[0], HEADERS[i].first);
            assert_int_equal(a.source[a.family == PROXY_IPV4 ? 3 : 15], HEADERS[i].last);
            assert_int_equal(a.source_port, HEADERS[i].source_port);
            assert_int_equal(a.destination_port, HEADERS[i].destination_port);
        }
    }
}

static void what_follows_is_left_alone(void **state)
{
    static const char WIRE[] = "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\nPROXY";
    struct proxy_address a;
    size_t used;

    (void)state;
    assert_int_equal(proxy_header_parse(BYTES(WIRE), &a, &used), PROXY_DONE);
    assert_int_equal(used, strlen(WIRE) - 5);
}

static void other_things_are_refused(void **state)
{
    static const struct {
        const uint8_t *wire;
        size_t len;
    } ROWS[] = {
        {BYTES("\x20\x00\x00\x01login")},
        {BYTES("PROXZ")},
        {BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n")},
        {BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n")},
        {BYTES("PROXY TCP4 1.2.3 5.6.7.8 1 2\r\n")},
        {BYTES("PROXY TCP4 ::1 ::1 1 2\r\n")},
        {BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 1 65536\r\n")},
        {BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 -1 2\r\n")},
        {BYTES("PROXY TCP9 1.2.3.4 5.6.7.8 1 2\r\n")},
        {BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n")},
        {BYTES("PROXY \r\n")},
        {BYTES(SIGNATURE "\x11\x11\x00\x0c")},         /* version 1 in a binary header */
        {BYTES(SIGNATURE "\x22\x11\x00\x0c")},         /* an unknown command */
        {BYTES(SIGNATURE "\x21\x11\xff\xff")},         /* too long */
        {BYTES(SIGNATURE "\x21\x11\x00\x04\1\2\3\4")}, /* too short for its family */
    };
    struct proxy_address a;
    size_t used;

    (void)state;
    for (size_t i = 0; i < COUNT(ROWS); i++)
        assert_int_equal(proxy_header_parse(ROWS[i].wire, ROWS[i].len, &a, &used), PROXY_BAD);
    char endless[200];

    memset(endless, 'x', sizeof(endless));
    memcpy(endless, "PROXY ", 6);
    assert_int_equal(proxy_header_parse((uint8_t *)endless, 106, &a, &used), PROXY_MORE);
    assert_int_equal(proxy_header_parse((uint8_t *)endless, 107, &a, &used), PROXY_BAD);
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(HEADERS); i++) {
        struct proxy_address a, b;
        size_t used;

        proxy_header_parse(HEADERS[i].wire, HEADERS[i].len, &a, &used);
        for (int version = 1; version <= 2; version++) {
            struct buffer out;

            buffer_init(&out, 1024);
            proxy_header_append(&out, version, &a);
            assert_int_equal(proxy_header_parse(out.data, out.len, &b, &used), PROXY_DONE);
            assert_int_equal(used, out.len);
            assert_memory_equal(&a, &b, sizeof(a));
            buffer_release(&out);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_are_read_and_cuts_wait),
        cmocka_unit_test(what_follows_is_left_alone),
        cmocka_unit_test(other_things_are_refused),
        cmocka_unit_test(what_is_written_is_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
