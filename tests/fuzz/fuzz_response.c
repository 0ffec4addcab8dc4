/*
 * Follows any bytes as the response to each kind of command: whole and in pieces they must give the
 * same end, which lies behind a packet and which nothing that follows can change.
 *
 * The first byte is the shape and, in its highest bit, DEPRECATE_EOF; the second seeds the cuts.
 */
#include "protocol/response.h"

#include "tests/fuzz/fuzz.h"

static bool is_over(const struct response *r)
{
    return r->state == RESPONSE_DONE || r->state == RESPONSE_BROKEN;
}

/* Takes up to n bytes, answering each LOCAL INFILE request. */
static size_t feed(struct response *r, const uint8_t *p, size_t n)
{
    size_t used = 0;

    for (;;) {
        size_t k = response_feed(r, p + used, n - used);

        CHECK(k <= n - used);
        used += k;
        if (r->state != RESPONSE_INFILE) {
            CHECK(used == n || is_over(r));
            return used;
        }
        CHECK(response_feed(r, p + used, n - used) == 0);
        response_infile_sent(r);
    }
}

static size_t feed_pieces(struct response *r, const uint8_t *p, size_t n, uint32_t seed)
{
    size_t at = 0;

    while (at < n && !is_over(r)) {
        at += feed(r, p + at, fuzz_piece(&seed, n - at));
    }
    return at;
}

/* Whether a packet's end is at `used`, and how many came before it. */
static bool is_packet_end(const uint8_t *p, size_t used, uint64_t *packets)
{
    size_t at = 0;

    for (*packets = 0; at < used; (*packets)++) {
        if (used - at < PACKET_HEADER)
            return false;
        at += PACKET_HEADER + load_u24(p + at);
    }
    return at == used;
}

static void check_over(struct response *r, const uint8_t *p, size_t used)
{
    static const uint8_t more[] = {7, 0, 0, 9, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 1, 0xff};
    struct response before = *r;
    uint64_t packets;

    CHECK(is_packet_end(p, used, &packets));
    CHECK(packets == r->packets);
    CHECK(response_feed(r, more, sizeof more) == 0);
    CHECK(r->state == before.state && r->packets == before.packets);
    CHECK(r->status == before.status && r->failed == before.failed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct response whole, pieces;

    if (size < 2)
        return 0;
    enum response_shape shape = (enum response_shape)((data[0] & 0x7f) % (SHAPE_STREAM + 1));
    bool deprecate_eof = data[0] & 0x80;
    const uint8_t *p = data + 2;
    size_t n = size - 2;

    response_init(&whole, shape, deprecate_eof);
    size_t used = feed(&whole, p, n);
    response_init(&pieces, shape, deprecate_eof);
    size_t used_pieces = feed_pieces(&pieces, p, n, data[1]);

    CHECK(used == used_pieces);
    CHECK(whole.state == pieces.state && whole.packets == pieces.packets);
    CHECK(whole.failed == pieces.failed && whole.error_code == pieces.error_code);
    CHECK(whole.status == pieces.status && whole.status_valid == pieces.status_valid);
    CHECK(whole.results == pieces.results && whole.statement_id == pieces.statement_id);
    CHECK(whole.definitions == pieces.definitions);
    CHECK(!whole.failed || whole.state == RESPONSE_DONE || whole.state == RESPONSE_TAIL);
    if (is_over(&whole) && shape != SHAPE_NONE)
        check_over(&whole, p, used);
    return 0;
}
