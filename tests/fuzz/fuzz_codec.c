/*
 * Any bytes as compressed frames, cut anywhere: the same contents come out, and the same end, whole
 * or in pieces. What is packed comes out again.
 *
 * The first byte is the kind in its lowest bit and, for the rest, how much is taken out at a time;
 * the second seeds the cuts.
 */
#include "protocol/packet.h"
#include "proxy/codec.h"

#include "tests/fuzz/fuzz.h"

#define FRAME_HEADER 7u
#define CLAIM_MAX    (1u << 18)

/* Takes out what is ready, in parts of `step`; the contents are counted and summed up. */
struct contents {
    uint64_t bytes, sum;
    bool broken;
};

static bool drain(struct codec *c, uint8_t *into, size_t step, struct contents *out)
{
    while (codec_is_ready(c)) {
        size_t n = SIZE_MAX;

        if (!codec_give(c, into, step, &n)) {
            CHECK(n == 0);
            return false;
        }
        CHECK(n > 0 && n <= step);
        for (size_t i = 0; i < n; i++)
            out->sum = out->sum * 31 + into[i];
        out->bytes += n;
    }
    return true;
}

static struct contents unpack(enum codec_kind kind, const uint8_t *data, size_t len, size_t step,
                              uint32_t seed, bool cut)
{
    struct codec *c = codec_create(kind, 0);
    struct contents out = {.bytes = 0};
    uint8_t *into = malloc(step);

    CHECK(into);
    while (len > 0 && !out.broken) {
        size_t n = cut ? fuzz_piece(&seed, len) : len;
        uint8_t *piece = fuzz_copy(data, n);

        out.broken = !codec_take(c, piece, n) || !drain(c, into, step, &out);
        free(piece);
        data += n;
        len -= n;
    }
    CHECK(!out.broken || !codec_take(c, (const uint8_t *)"\1\0\0\0\0\0\0x", FRAME_HEADER + 1));
    free(into);
    codec_destroy(c);
    return out;
}

/* The bytes as packets: codec_pack takes nothing else, but takes it in any pieces. */
static void make_packets(struct buffer *plain, const uint8_t *data, size_t len, uint32_t *seed)
{
    buffer_init(plain, 8 * (len + 1));
    for (size_t at = 0; at < len;) {
        size_t n = fuzz_piece(seed, len - at);

        packet_append(plain, (uint8_t)at, data + at, n);
        at += n;
    }
    CHECK(!plain->failed);
}

static void round_trip(enum codec_kind kind, const uint8_t *data, size_t len, uint32_t seed)
{
    struct codec *c = codec_create(kind, 1);
    struct buffer plain, packed;
    uint64_t sum = 0;

    make_packets(&plain, data, len, &seed);
    buffer_init(&packed, 64 * (plain.len + 1));
    for (size_t at = 0; at < plain.len;) {
        size_t n = fuzz_piece(&seed, plain.len - at);

        codec_pack(c, plain.data + at, n, &packed);
        at += n;
    }
    codec_destroy(c);
    CHECK(!packed.failed);
    for (size_t i = 0; i < plain.len; i++)
        sum = sum * 31 + plain.data[i];
    struct contents out = unpack(kind, packed.data, packed.len, 1 + seed % 100, seed, true);

    CHECK(!out.broken && out.bytes == plain.len && out.sum == sum);
    buffer_release(&plain);
    buffer_release(&packed);
}

/* Such frames are the unit test's: making room for them takes the sanitizers longer than all else.
 */
static bool claims_much(const uint8_t *p, size_t len)
{
    while (len >= FRAME_HEADER) {
        size_t frame = FRAME_HEADER + load_u24(p);

        if (load_u24(p + 4) > CLAIM_MAX)
            return true;
        if (frame > len)
            break;
        p += frame;
        len -= frame;
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || claims_much(data + 2, size - 2))
        return 0;
    enum codec_kind kind = data[0] & 1 ? CODEC_ZSTD : CODEC_ZLIB;
    size_t step = (size_t)1 << (4 + (data[0] >> 1) % 16);
    struct contents whole = unpack(kind, data + 2, size - 2, step, 0, false);
    struct contents pieces = unpack(kind, data + 2, size - 2, 1 << 16, data[1], true);

    CHECK(whole.broken == pieces.broken);
    CHECK(whole.bytes == pieces.bytes && whole.sum == pieces.sum);
    if (data[1] % 4 == 0) /* making a compressor takes longer than all the rest */
        round_trip(kind, data + 2, size - 2, data[1]);
    return 0;
}
