/*
 * Walks any bytes with packet_cursor_feed, cut anywhere: the packets must be those that their
 * headers tell, and what packet_append makes of the bytes must come out again.
 *
 * The first byte seeds the cuts.
 */
#include "protocol/packet.h"

#include "tests/fuzz/fuzz.h"

/* One whole packet at p, whose cursor has just told so. */
static void check_packet(const struct packet_cursor *c, const uint8_t *p, bool continued)
{
    size_t kept = c->length < PACKET_PREFIX ? c->length : PACKET_PREFIX;

    CHECK(c->length == load_u24(p));
    CHECK(c->sequence == p[3]);
    CHECK(c->prefix_have == kept);
    CHECK(memcmp(c->prefix, p + PACKET_HEADER, kept) == 0);
    CHECK(c->continued == continued);
    CHECK(packet_cursor_at_boundary(c));
}

static void walk(const uint8_t *data, size_t len, uint32_t seed)
{
    struct packet_cursor c, taken;
    size_t at = 0, start = 0;
    bool continued = false;

    packet_cursor_init(&c);
    packet_cursor_init(&taken);
    while (at < len) {
        size_t n = fuzz_piece(&seed, len - at);
        bool complete;
        size_t used = packet_cursor_feed(&c, data + at, n, &complete);

        CHECK(used <= n);
        CHECK(complete || used == n);
        at += used;
        if (!complete) {
            CHECK(packet_cursor_at_boundary(&c) == (at == start));
            continue;
        }
        check_packet(&c, data + start, continued);
        if (c.length > 0)
            packet_cursor_take(&taken, data + start, c.length);
        else
            taken = c;
        check_packet(&taken, data + start, continued);
        continued = c.length == PACKET_MAX_PAYLOAD;
        start += PACKET_HEADER + c.length;
        CHECK(at == start);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buffer b;

    if (size == 0)
        return 0;
    walk(data + 1, size - 1, data[0]);
    buffer_init(&b, size + 100);
    packet_append(&b, data[0], data + 1, size - 1);
    size_t mark = packet_begin(&b);
    buffer_u8(&b, 1);
    packet_end(&b, mark, 7);
    CHECK(!b.failed && b.len == size - 1 + 2 * PACKET_HEADER + 1);
    walk(b.data, b.len, data[0]);
    buffer_release(&b);
    return 0;
}
