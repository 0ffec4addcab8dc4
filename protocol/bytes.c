/*
 * Wire integers and strings, and the growable buffer. Knows nothing of packets.
 */
#include "protocol/bytes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool bytes_are(struct bytes b, const char *text)
{
    return b.len == strlen(text) && memcmp(b.p, text, b.len) == 0;
}

void bytes_to_text(char *dst, size_t size, struct bytes b)
{
    size_t n = !b.p ? 0 : b.len < size ? b.len : size - 1;

    if (n)
        memcpy(dst, b.p, n);
    dst[n] = '\0';
}

void bytes_to_name(char *dst, size_t size, struct bytes b)
{
    bytes_to_text(dst, size, b.len < size ? b : (struct bytes){NULL, 0});
}

static int hex_digit(uint8_t c)
{
    uint8_t lower = c | 0x20;

    if (c >= '0' && c <= '9')
        return c - '0';
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

int bytes_hex_byte(const void *digits)
{
    const uint8_t *p = digits;
    int high = hex_digit(p[0]), low = high < 0 ? -1 : hex_digit(p[1]);

    return low < 0 ? -1 : high << 4 | low;
}

void reader_init(struct reader *r, const void *data, size_t len)
{
    r->pos = data;
    r->end = len ? r->pos + len : r->pos;
    r->failed = false;
}

size_t reader_left(const struct reader *r)
{
    return (size_t)(r->end - r->pos);
}

struct bytes reader_take(struct reader *r, uint64_t n)
{
    struct bytes out = {r->pos, 0};

    if (r->failed || n > reader_left(r)) {
        r->failed = true;
        return out;
    }
    out.len = (size_t)n;
    if (n > 0)
        r->pos += n;
    return out;
}

static uint64_t reader_int(struct reader *r, size_t n)
{
    struct bytes b = reader_take(r, n);
    uint64_t v = 0;

    for (size_t i = 0; i < b.len; i++)
        v |= (uint64_t)b.p[i] << (8 * i);
    return v;
}

uint8_t reader_u8(struct reader *r)
{
    return (uint8_t)reader_int(r, 1);
}

uint16_t reader_u16(struct reader *r)
{
    return (uint16_t)reader_int(r, 2);
}

uint32_t reader_u24(struct reader *r)
{
    return (uint32_t)reader_int(r, 3);
}

uint32_t reader_u32(struct reader *r)
{
    return (uint32_t)reader_int(r, 4);
}

uint64_t reader_u64(struct reader *r)
{
    return reader_int(r, 8);
}

uint64_t reader_lenenc(struct reader *r)
{
    uint8_t first = reader_u8(r);

    if (first < 0xfb)
        return first;
    if (first == 0xfc)
        return reader_int(r, 2);
    if (first == 0xfd)
        return reader_int(r, 3);
    if (first == 0xfe)
        return reader_int(r, 8);
    r->failed = true;
    return 0;
}

struct bytes reader_lenenc_string(struct reader *r)
{
    return reader_take(r, reader_lenenc(r));
}

struct bytes reader_nul_string(struct reader *r)
{
    size_t left = reader_left(r);
    const uint8_t *nul = left && !r->failed ? memchr(r->pos, 0, left) : NULL;

    if (!nul) {
        r->failed = true;
        return (struct bytes){r->pos, 0};
    }
    struct bytes out = {r->pos, (size_t)(nul - r->pos)};
    r->pos = nul + 1;
    return out;
}

struct bytes reader_rest(struct reader *r)
{
    return reader_take(r, reader_left(r));
}

struct bytes reader_text_value(struct reader *r, bool *is_null)
{
    *is_null = reader_left(r) > 0 && *r->pos == 0xfb;
    if (*is_null) {
        reader_u8(r);
        return (struct bytes){r->pos, 0};
    }
    return reader_lenenc_string(r);
}

void buffer_init(struct buffer *b, size_t max)
{
    *b = (struct buffer){.max = max};
}

void buffer_release(struct buffer *b)
{
    free(b->data);
    buffer_init(b, b->max);
}

void buffer_wipe(struct buffer *b)
{
    if (b->data)
        explicit_bzero(b->data, b->cap);
    buffer_release(b);
}

uint8_t *buffer_reserve(struct buffer *b, size_t n)
{
    if (b->failed || n > b->max || b->len > b->max - n) {
        b->failed = true;
        return NULL;
    }
    if (b->len + n > b->cap) {
        size_t cap = b->cap ? b->cap : 256;

        while (cap < b->len + n)
            cap *= 2;
        if (cap > b->max)
            cap = b->max;
        uint8_t *data = realloc(b->data, cap);

        if (!data) {
            fputs("vtshim: out of memory\n", stderr);
            abort();
        }
        b->data = data;
        b->cap = cap;
    }
    return b->data + b->len;
}

void buffer_consume(struct buffer *b, size_t n)
{
    if (n >= b->len) {
        b->len = 0;
        return;
    }
    memmove(b->data, b->data + n, b->len - n);
    b->len -= n;
}

static void buffer_int(struct buffer *b, uint64_t v, size_t n)
{
    uint8_t *p = buffer_reserve(b, n);

    if (!p)
        return;
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)(v >> (8 * i));
    b->len += n;
}

void buffer_u8(struct buffer *b, uint8_t v)
{
    buffer_int(b, v, 1);
}

void buffer_u16(struct buffer *b, uint16_t v)
{
    buffer_int(b, v, 2);
}

void buffer_u24(struct buffer *b, uint32_t v)
{
    buffer_int(b, v, 3);
}

void buffer_u32(struct buffer *b, uint32_t v)
{
    buffer_int(b, v, 4);
}

void buffer_u64(struct buffer *b, uint64_t v)
{
    buffer_int(b, v, 8);
}

void buffer_zeros(struct buffer *b, size_t n)
{
    uint8_t *p = n ? buffer_reserve(b, n) : NULL;

    if (!p)
        return;
    memset(p, 0, n);
    b->len += n;
}

void buffer_bytes(struct buffer *b, const void *bytes, size_t n)
{
    uint8_t *p = n ? buffer_reserve(b, n) : NULL;

    if (!p)
        return;
    memcpy(p, bytes, n);
    b->len += n;
}

void buffer_text(struct buffer *b, const char *text)
{
    buffer_bytes(b, text, strlen(text));
}

void buffer_lenenc(struct buffer *b, uint64_t v)
{
    if (v < 0xfb) {
        buffer_u8(b, (uint8_t)v);
    } else if (v <= 0xffff) {
        buffer_u8(b, 0xfc);
        buffer_u16(b, (uint16_t)v);
    } else if (v <= 0xffffff) {
        buffer_u8(b, 0xfd);
        buffer_u24(b, (uint32_t)v);
    } else {
        buffer_u8(b, 0xfe);
        buffer_u64(b, v);
    }
}

void buffer_lenenc_bytes(struct buffer *b, const void *p, size_t n)
{
    buffer_lenenc(b, n);
    buffer_bytes(b, p, n);
}

void buffer_lenenc_text(struct buffer *b, const char *text)
{
    buffer_lenenc_bytes(b, text, strlen(text));
}
