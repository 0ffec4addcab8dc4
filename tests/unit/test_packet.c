/* Framing: packets written in one go and in place, and found again however the stream is cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/packet.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define FULL         PACKET_MAX_PAYLOAD

static uint8_t *payload; /* 2 * FULL + 1 bytes that all depend on their place */

static int make_payload(void **state)
{
    (void)state;
    payload = malloc(2 * FULL + 1);
    for (size_t i = 0; payload && i < 2 * FULL + 1; i++)
        payload[i] = (uint8_t)(i * 31 + (i >> 8) * 7);
    return payload ? 0 : -1;
}

static int free_payload(void **state)
{
    (void)state;
    free(payload);
    return 0;
}

static const struct {
    size_t len;
    size_t packets;
    uint32_t lengths[3];
} appended[] = {
    {0, 1, {0}},
    {1, 1, {1}},
    {PACKET_PREFIX, 1, {PACKET_PREFIX}},
    {PACKET_PREFIX + 1, 1, {PACKET_PREFIX + 1}},
    {FULL - 1, 1, {FULL - 1}},
    {FULL, 2, {FULL, 0}},
    {FULL + 1, 2, {FULL, 1}},
    {2 * FULL, 3, {FULL, FULL, 0}},
    {2 * FULL + 1, 3, {FULL, FULL, 1}},
};

static void append_splits_at_the_maximum(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(appended); i++) {
        struct buffer b;
        size_t at = 0, sent = 0;

        buffer_init(&b, 3 * (FULL + PACKET_HEADER));
        uint8_t next = packet_append(&b, 0xfe, payload, appended[i].len);
        assert_false(b.failed);
        assert_int_equal(next, (uint8_t)(0xfe + appended[i].packets)); /* wraps */
        for (size_t k = 0; k < appended[i].packets; k++) {
            assert_true(at + PACKET_HEADER <= b.len);
            uint32_t n = load_u24(b.data + at);
            assert_int_equal(n, appended[i].lengths[k]);
            assert_int_equal(b.data[at + 3], (uint8_t)(0xfe + k));
            assert_memory_equal(b.data + at + PACKET_HEADER, payload + sent, n);
            at += PACKET_HEADER + n;
            sent += n;
        }
        assert_int_equal(at, b.len);
        assert_int_equal(sent, appended[i].len);
        buffer_release(&b);
    }
}

/* The same packet, which is whole at p, in one step. */
static void take(struct packet_cursor *c, const uint8_t *p, uint32_t length)
{
    bool complete;

    if (length > 0) {
        packet_cursor_take(c, p, length);
        return;
    }
    assert_int_equal(packet_cursor_feed(c, p, PACKET_HEADER, &complete), PACKET_HEADER);
    assert_true(complete);
}

static void assert_same_packet(const struct packet_cursor *a, const struct packet_cursor *b)
{
    assert_true(packet_cursor_at_boundary(a));
    assert_int_equal(a->length, b->length);
    assert_int_equal(a->sequence, b->sequence);
    assert_int_equal(a->continued, b->continued);
    assert_int_equal(a->prefix_have, b->prefix_have);
    assert_memory_equal(a->prefix, b->prefix, b->prefix_have);
}

/* Feeds all of data in steps and checks each packet that is found against `lengths`. */
static void walk(const struct buffer *b, size_t step, const uint32_t *lengths, size_t packets)
{
    struct packet_cursor c, taken;
    size_t at = 0, found = 0, start = 0, sent = 0;

    packet_cursor_init(&c);
    packet_cursor_init(&taken);
    assert_true(packet_cursor_at_boundary(&c));
    while (at < b->len) {
        size_t n = b->len - at < step ? b->len - at : step;
        bool complete;
        size_t used = packet_cursor_feed(&c, b->data + at, n, &complete);

        assert_true(used > 0 && used <= n);
        assert_true(complete || used == n);
        at += used;
        if (!complete) {
            assert_int_equal(packet_cursor_at_boundary(&c), at == start);
            continue;
        }
        size_t kept = c.length < PACKET_PREFIX ? c.length : PACKET_PREFIX;
        assert_true(packet_cursor_at_boundary(&c));
        assert_true(found < packets);
        assert_int_equal(c.length, lengths[found]);
        assert_int_equal(at - start, PACKET_HEADER + c.length);
        assert_int_equal(c.sequence, found);
        assert_int_equal(c.continued, found > 0 && lengths[found - 1] == FULL);
        assert_int_equal(c.prefix_have, kept);
        assert_memory_equal(c.prefix, payload + sent, kept);
        take(&taken, b->data + start, lengths[found]);
        assert_same_packet(&taken, &c);
        sent = c.length == FULL ? sent + c.length : 0;
        start = at;
        found++;
    }
    assert_int_equal(found, packets);
}

static void cursor_finds_what_append_wrote(void **state)
{
    (void)state;
    static const size_t steps[] = {SIZE_MAX, FULL + PACKET_HEADER, FULL, 65536, 4099};

    for (size_t i = 0; i < COUNT(appended); i++) {
        struct buffer b;

        buffer_init(&b, 3 * (FULL + PACKET_HEADER));
        packet_append(&b, 0, payload, appended[i].len);
        for (size_t k = 0; k < COUNT(steps); k++)
            walk(&b, steps[k], appended[i].lengths, appended[i].packets);
        if (appended[i].len <= 1000)
            walk(&b, 1, appended[i].lengths, appended[i].packets);
        buffer_release(&b);
    }
}

static void cursor_finds_packets_behind_each_other(void **state)
{
    (void)state;
    static const uint32_t lengths[] = {0, 1, 31, 32, 33, 0, 0, 300, FULL, 0, 0, 5};
    struct buffer b;
    uint8_t sequence = 0;

    buffer_init(&b, FULL + 10000);
    for (size_t i = 0; i < COUNT(lengths); i++) {
        sequence = packet_append(&b, sequence, payload, lengths[i]);
        if (lengths[i] == FULL)
            i++; /* packet_append wrote the empty one behind it, too */
    }
    for (size_t step = 1; step < 50; step++) {
        struct packet_cursor c;
        bool complete;

        /* Around the big one only, which would take long in small steps. */
        packet_cursor_init(&c);
        assert_int_equal(packet_cursor_feed(&c, b.data, step, &complete),
                         step < PACKET_HEADER ? step : PACKET_HEADER);
    }
    walk(&b, SIZE_MAX, lengths, COUNT(lengths));
    walk(&b, 10007, lengths, COUNT(lengths));
    b.len = 8 * PACKET_HEADER + 1 + 31 + 32 + 33 + 300;
    for (size_t step = 1; step < b.len; step++)
        walk(&b, step, lengths, 8);
    buffer_release(&b);
}

static void no_bytes_change_nothing(void **state)
{
    (void)state;
    struct packet_cursor c;
    bool complete = true;

    packet_cursor_init(&c);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(packet_cursor_feed(&c, NULL, 0, &complete), 0);
        assert_false(complete);
        assert_true(packet_cursor_at_boundary(&c));
    }
    assert_int_equal(packet_cursor_feed(&c, (const uint8_t *)"\x02\x00\x00\x07", 4, &complete), 4);
    assert_false(complete);
    assert_false(packet_cursor_at_boundary(&c));
    assert_int_equal(packet_cursor_feed(&c, NULL, 0, &complete), 0);
    assert_false(complete);
    assert_int_equal(packet_cursor_feed(&c, (const uint8_t *)"abc", 3, &complete), 2);
    assert_true(complete);
    assert_int_equal(c.sequence, 7);
    assert_memory_equal(c.prefix, "ab", 2);
}

static void a_packet_is_made_in_place(void **state)
{
    (void)state;
    static const struct {
        size_t len;
        bool fits;
    } cases[] = {{0, true}, {1, true}, {0x1234, true}, {FULL - 1, true}, {FULL, false}};

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct buffer b;

        buffer_init(&b, FULL + 100);
        buffer_text(&b, "before");
        size_t mark = packet_begin(&b);
        buffer_bytes(&b, payload, cases[i].len);
        packet_end(&b, mark, 9);
        assert_int_equal(!b.failed, cases[i].fits);
        if (!b.failed) {
            assert_int_equal(load_u24(b.data + 6), cases[i].len);
            assert_int_equal(b.data[9], 9);
            assert_memory_equal(b.data, "before", 6);
        }
        buffer_release(&b);
    }
}

static void a_packet_that_does_not_fit_fails(void **state)
{
    (void)state;
    for (size_t max = 0; max < PACKET_HEADER + 3; max++) {
        struct buffer b;

        buffer_init(&b, max);
        size_t mark = packet_begin(&b);
        buffer_text(&b, "abc");
        packet_end(&b, mark, 0);
        assert_true(b.failed);
        buffer_release(&b);
        packet_append(&b, 0, "abc", 3);
        assert_true(b.failed);
        buffer_release(&b);
    }
}

static void cursor_knows_what_is_left_of_the_header(void **state)
{
    static const uint8_t packets[] = {2, 0, 0, 7, 'a', 'b', 0, 0, 0, 8, 1, 0, 0, 9, 'c'};
    static const size_t left[] = {4, 3, 2, 1, 0, 0, 4, 3, 2, 1, 4, 3, 2, 1, 0};
    struct packet_cursor c;
    bool complete;

    (void)state;
    packet_cursor_init(&c);
    for (size_t i = 0; i < sizeof(packets); i++) {
        assert_int_equal(packet_cursor_header_left(&c), left[i]);
        assert_int_equal(packet_cursor_feed(&c, packets + i, 1, &complete), 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cursor_knows_what_is_left_of_the_header),
        cmocka_unit_test(append_splits_at_the_maximum),
        cmocka_unit_test(cursor_finds_what_append_wrote),
        cmocka_unit_test(cursor_finds_packets_behind_each_other),
        cmocka_unit_test(no_bytes_change_nothing),
        cmocka_unit_test(a_packet_is_made_in_place),
        cmocka_unit_test(a_packet_that_does_not_fit_fails),
    };
    return cmocka_run_group_tests(tests, make_payload, free_payload);
}
