/*
 * Compressed frames: what is packed comes out again however the bytes are cut, however much a few
 * of them hold, and what is in front of a broken frame is not lost with it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/packet.h"
#include "proxy/codec.h"

#define COUNT(a)  (sizeof(a) / sizeof((a)[0]))
#define FRAME_MAX 0xffffffu

static const enum codec_kind KINDS[] = {CODEC_ZLIB, CODEC_ZSTD};

/* What a peer sends: packets with so much payload, each packed by itself; short ones stay as they
 * are. */
static const size_t RUNS[] = {1, 49, 50, 51, 0, 700, 3, 4, 2000, 5};

static void make_plain(struct buffer *plain)
{
    buffer_init(plain, 1u << 20);
    for (size_t i = 0; i < COUNT(RUNS); i++) {
        size_t mark = packet_begin(plain);

        for (size_t k = 0; k < RUNS[i]; k++)
            buffer_u8(plain, (uint8_t)(k % 7 * i));
        packet_end(plain, mark, (uint8_t)i);
    }
}

static void pack_runs(enum codec_kind kind, const struct buffer *plain, struct buffer *packed)
{
    struct codec *c = codec_create(kind, 0);
    size_t at = 0;

    buffer_init(packed, 1u << 20);
    for (size_t i = 0; i < COUNT(RUNS); at += PACKET_HEADER + RUNS[i++])
        codec_pack(c, plain->data + at, PACKET_HEADER + RUNS[i], packed);
    assert_false(packed->failed);
    codec_destroy(c);
}

/* Gives what is ready, `step` bytes at a time. False: a broken frame. */
static bool drain(struct codec *c, size_t step, struct buffer *out)
{
    while (codec_is_ready(c)) {
        size_t n;

        if (!codec_give(c, buffer_reserve(out, step), step, &n))
            return false;
        assert_true(n <= step);
        out->len += n;
    }
    return true;
}

/* Unpacks data in pieces that end at `cut` and every `step` bytes; false at a broken frame. */
static bool unpack(enum codec_kind kind, const uint8_t *data, size_t len, size_t cut, size_t step,
                   struct buffer *out)
{
    struct codec *c = codec_create(kind, 0);
    bool ok = true;

    buffer_init(out, 8u << 20);
    for (size_t at = 0; at < len && ok;) {
        size_t n = at < cut && cut - at < step ? cut - at : step;

        if (n > len - at)
            n = len - at;
        uint8_t *piece = malloc(n);

        memcpy(piece, data + at, n);
        ok = codec_take(c, piece, n) && drain(c, step % 13 + 1, out);
        free(piece);
        at += n;
    }
    codec_destroy(c);
    return ok;
}

static void every_split_gives_the_same(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNT(KINDS); k++) {
        struct buffer plain, packed, out;

        make_plain(&plain);
        pack_runs(KINDS[k], &plain, &packed);
        for (size_t cut = 0; cut <= packed.len; cut++) {
            assert_true(unpack(KINDS[k], packed.data, packed.len, cut, SIZE_MAX, &out));
            assert_int_equal(out.len, plain.len);
            assert_memory_equal(out.data, plain.data, plain.len);
            buffer_release(&out);
        }
        for (size_t step = 1; step < 60; step++) {
            assert_true(unpack(KINDS[k], packed.data, packed.len, 0, step, &out));
            assert_int_equal(out.len, plain.len);
            assert_memory_equal(out.data, plain.data, plain.len);
            buffer_release(&out);
        }
        buffer_release(&packed);
        buffer_release(&plain);
    }
}

/* 48 MiB arrive in one piece, as when a client sends a large value of zeros. */
static void a_little_may_hold_much(void **state)
{
    (void)state;
    enum { FRAMES = 3 };
    uint8_t *zeros = calloc(1, FRAME_MAX), *into = malloc(FRAME_MAX);

    assert_true(zeros && into);
    memcpy(zeros, (const uint8_t[]){0xfb, 0xff, 0xff},
           3); /* a packet as large as a frame can hold */
    for (size_t k = 0; k < COUNT(KINDS); k++) {
        struct codec *c = codec_create(KINDS[k], 0);
        struct buffer packed;
        size_t total = 0, n;

        buffer_init(&packed, 256u << 20);
        for (size_t i = 0; i < FRAMES; i++)
            codec_pack(c, zeros, FRAME_MAX, &packed);
        codec_pack(c, (const uint8_t *)"\3\0\0\0end", 7, &packed);
        assert_in_range(packed.len, 1, CODEC_TAKE_MAX);
        assert_true(codec_take(c, packed.data, packed.len));
        while (codec_is_ready(c)) {
            assert_true(codec_give(c, into, FRAME_MAX, &n));
            total += n;
        }
        assert_int_equal(total, (size_t)FRAMES * FRAME_MAX + 7);
        assert_memory_equal(into + PACKET_HEADER, "end", 3);
        buffer_release(&packed);
        codec_destroy(c);
    }
    free(into);
    free(zeros);
}

/* However a packet comes, it is sent as one frame: mysql-connector-python reads no more than two.
 */
static void a_packet_is_one_frame(void **state)
{
    (void)state;
    for (size_t step = 1; step < 3000; step += 97) {
        struct codec *c = codec_create(CODEC_ZLIB, 0);
        struct buffer plain, packed;
        size_t frames = 0;

        make_plain(&plain);
        buffer_init(&packed, 1u << 20);
        for (size_t at = 0; at < plain.len; at += step)
            codec_pack(c, plain.data + at, plain.len - at < step ? plain.len - at : step, &packed);
        for (size_t at = 0; at < packed.len; at += 7 + load_u24(packed.data + at))
            frames++;
        assert_in_range(frames, 1, COUNT(RUNS));
        buffer_release(&plain);
        buffer_release(&packed);
        codec_destroy(c);
    }
}

static const struct {
    const char *what;
    uint8_t frame[16];
    size_t len;
} BROKEN[] = {
    {"no zlib or zstd", {5, 0, 0, 0, 9, 0, 0, 'h', 'e', 'l', 'l', 'o'}, 12},
    {"nothing", {0, 0, 0, 0, 9, 0, 0}, 7},
    /* zlib's "a" */
    {"longer than it says", {9, 0, 0, 0, 2, 0, 0, 0x78, 0x9c, 0x4b, 4, 0, 0, 0x62, 0, 0x62}, 16},
};

/* However they are cut: first what stands before it, then the failure, and never more. */
static void a_broken_frame_is_told_behind_the_bytes_before_it(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNT(KINDS); k++) {
        for (size_t i = 0; i < COUNT(BROKEN); i++) {
            struct buffer wire, out;

            buffer_init(&wire, 1000);
            buffer_bytes(&wire, "\3\0\0\0\0\0\0abc", 10);
            buffer_bytes(&wire, BROKEN[i].frame, BROKEN[i].len);
            buffer_bytes(&wire, "\3\0\0\0\0\0\0def", 10);
            for (size_t cut = 0; cut <= wire.len; cut++) {
                if (unpack(KINDS[k], wire.data, wire.len, cut, SIZE_MAX, &out))
                    fail_msg("%s, cut at %zu", BROKEN[i].what, cut);
                assert_int_equal(out.len, 3);
                assert_memory_equal(out.data, "abc", 3);
                buffer_release(&out);
            }
            buffer_release(&wire);
        }
    }
}

static void an_empty_frame_is_nothing(void **state)
{
    (void)state;
    struct codec *c = codec_create(CODEC_ZLIB, 0);

    assert_true(codec_take(c, (const uint8_t *)"\0\0\0\7\0\0\0", 7));
    assert_false(codec_is_ready(c));
    assert_true(codec_take(c, (const uint8_t *)"\1\0\0\7\0\0\0x", 8));
    assert_true(codec_is_ready(c));
    codec_destroy(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_split_gives_the_same),
        cmocka_unit_test(a_little_may_hold_much),
        cmocka_unit_test(a_packet_is_one_frame),
        cmocka_unit_test(a_broken_frame_is_told_behind_the_bytes_before_it),
        cmocka_unit_test(an_empty_frame_is_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
