/*
 * Packing and unpacking of compressed frames. Each frame stands for itself. A few KiB may hold many
 * frames of 16 MiB each: frames are unpacked as long as their contents are one frame's at the most,
 * the others wait packed. So memory is bounded by the largest frame on each side of the unpacking,
 * and by the largest packet (16 MiB) on the way to the client; and what comes out does not depend
 * on how the bytes came in.
 */
#include "proxy/codec.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "protocol/packet.h"
#include "proxy/memory.h"

#define FRAME_HEADER  7u
#define FRAME_MAX     0xffffffu
#define COMPRESS_MIN  50u /* MIN_COMPRESS_LENGTH in include/my_compress.h */
#define DEFAULT_LEVEL 3

struct codec {
    enum codec_kind kind;
    int level;
    uint8_t sequence;     /* of the next frame to the client */
    bool broken;          /* a frame could not be unpacked */
    struct buffer packed; /* from the socket: frames, the last one perhaps not whole */
    size_t unpacked;      /* of packed, from its beginning */
    struct buffer plain;  /* the contents of frames */
    size_t given;         /* of plain */
    struct buffer tail;   /* to the client: the beginning of a packet that is not whole yet */
    ZSTD_CCtx *compressor;
    ZSTD_DCtx *decompressor;
};

struct codec *codec_create(enum codec_kind kind, int level)
{
    struct codec *c = memory_zalloc(sizeof(*c));

    c->kind = kind;
    c->level = level >= 1 && level <= 22 ? level : DEFAULT_LEVEL;
    buffer_init(&c->packed, FRAME_HEADER + FRAME_MAX + CODEC_TAKE_MAX);
    buffer_init(&c->plain, FRAME_MAX);
    buffer_init(&c->tail, 2 * FRAME_MAX);
    return c;
}

void codec_destroy(struct codec *c)
{
    if (!c)
        return;
    buffer_wipe(&c->packed);
    buffer_wipe(&c->plain);
    buffer_wipe(&c->tail);
    ZSTD_freeCCtx(c->compressor);
    ZSTD_freeDCtx(c->decompressor);
    free(c);
}

/* --- unpacking ------------------------------------------------------------------------------- */

static bool inflate_frame(struct codec *c, const uint8_t *data, size_t len, uint8_t *into,
                          size_t size)
{
    if (c->kind == CODEC_ZLIB) {
        uLongf n = size;

        return uncompress(into, &n, data, len) == Z_OK && n == size;
    }
    if (!c->decompressor && !(c->decompressor = ZSTD_createDCtx()))
        return false;
    return ZSTD_decompressDCtx(c->decompressor, into, size, data, len) == size;
}

/* The first whole frame that is not unpacked yet, or NULL; *size is what it will take in plain. */
static const uint8_t *next_frame(const struct codec *c, size_t *size)
{
    size_t have = c->packed.len - c->unpacked;

    if (have < FRAME_HEADER)
        return NULL;
    const uint8_t *f = c->packed.data + c->unpacked;

    if (have - FRAME_HEADER < load_u24(f))
        return NULL;
    *size = load_u24(f + 4) ? load_u24(f + 4) : load_u24(f);
    return f;
}

static bool unpack_frame(struct codec *c, const uint8_t *f, size_t size)
{
    size_t len = load_u24(f);

    c->sequence = (uint8_t)(f[3] + 1);
    c->unpacked += FRAME_HEADER + len;
    if (load_u24(f + 4) == 0) {
        buffer_bytes(&c->plain, f + FRAME_HEADER, len);
    } else {
        uint8_t *into = buffer_reserve(&c->plain, size);

        if (!into || !inflate_frame(c, f + FRAME_HEADER, len, into, size))
            return false;
        c->plain.len += size;
    }
    return !c->plain.failed;
}

/* Unpacks what fits beside what has not been taken yet. */
static void unpack(struct codec *c)
{
    const uint8_t *f;
    size_t size;

    while (!c->broken && (f = next_frame(c, &size)) && size <= FRAME_MAX - c->plain.len)
        c->broken = !unpack_frame(c, f, size);
    if (c->unpacked == c->packed.len) {
        buffer_release(&c->packed);
        c->unpacked = 0;
    }
}

bool codec_take(struct codec *c, const uint8_t *data, size_t len)
{
    if (c->unpacked > 0) {
        buffer_consume(&c->packed, c->unpacked);
        c->unpacked = 0;
    }
    buffer_bytes(&c->packed, data, len);
    c->broken = c->broken || c->packed.failed;
    unpack(c);
    return c->given < c->plain.len || !c->broken;
}

bool codec_is_ready(const struct codec *c)
{
    return c->given < c->plain.len || c->broken;
}

bool codec_give(struct codec *c, void *into, size_t size, size_t *given)
{
    size_t left = c->plain.len - c->given, n = left < size ? left : size;

    if (n > 0)
        memcpy(into, c->plain.data + c->given, n);
    *given = n;
    c->given += n;
    if (c->given == c->plain.len) {
        buffer_release(&c->plain);
        c->given = 0;
        unpack(c);
    }
    return n > 0 || !c->broken;
}

/* --- packing --------------------------------------------------------------------------------- */

/* The compressed length, or 0 when that is no gain. */
static size_t deflate_into(struct codec *c, const uint8_t *data, size_t len, uint8_t *into,
                           size_t size)
{
    size_t n = 0;

    if (c->kind == CODEC_ZLIB) {
        uLongf out = size;

        n = compress2(into, &out, data, len, Z_DEFAULT_COMPRESSION) == Z_OK ? out : 0;
    } else if (c->compressor || (c->compressor = ZSTD_createCCtx())) {
        n = ZSTD_compressCCtx(c->compressor, into, size, data, len, c->level);
        if (ZSTD_isError(n))
            n = 0;
    }
    return n < len ? n : 0;
}

static void pack_frame(struct codec *c, const uint8_t *data, size_t len, struct buffer *out)
{
    size_t bound = c->kind == CODEC_ZLIB ? compressBound(len) : ZSTD_compressBound(len);
    uint8_t *frame = buffer_reserve(out, FRAME_HEADER + (bound > len ? bound : len));
    size_t n = 0;

    if (!frame)
        return;
    if (len >= COMPRESS_MIN)
        n = deflate_into(c, data, len, frame + FRAME_HEADER, bound);
    if (n == 0)
        memcpy(frame + FRAME_HEADER, data, len);
    size_t payload = n ? n : len, plain = n ? len : 0;

    for (size_t i = 0; i < 3; i++) {
        frame[i] = (uint8_t)(payload >> (8 * i));
        frame[4 + i] = (uint8_t)(plain >> (8 * i));
    }
    frame[3] = c->sequence++;
    out->len += FRAME_HEADER + payload;
}

/* How much of data[0..len), which begins with a packet, is whole packets. */
static size_t whole_packets(const uint8_t *data, size_t len)
{
    size_t used = 0;

    while (len - used >= PACKET_HEADER) {
        size_t n = PACKET_HEADER + load_u24(data + used);

        if (n > len - used)
            break;
        used += n;
    }
    return used;
}

static void pack(struct codec *c, const uint8_t *data, size_t len, struct buffer *out)
{
    while (len > 0) {
        size_t n = len < FRAME_MAX ? len : FRAME_MAX;

        pack_frame(c, data, n, out);
        data += n;
        len -= n;
    }
}

void codec_pack(struct codec *c, const uint8_t *data, size_t len, struct buffer *out)
{
    if (c->tail.len > 0) {
        buffer_bytes(&c->tail, data, len);
        size_t n = whole_packets(c->tail.data, c->tail.len);

        pack(c, c->tail.data, n, out);
        if (n == c->tail.len)
            buffer_release(&c->tail);
        else
            buffer_consume(&c->tail, n);
        return;
    }
    size_t n = whole_packets(data, len);

    pack(c, data, n, out);
    buffer_bytes(&c->tail, data + n, len - n);
}
