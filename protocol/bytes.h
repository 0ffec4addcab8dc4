/*
 * Reading and writing MySQL's wire integers and strings. All integers on the wire are little
 * endian. (MySQL Source Code Documentation, "Protocol Basics", "Integer Types", "String Types".)
 *
 * Both ends have one sticky failure flag: do all the reads (or writes), then ask once.
 */
#ifndef VTSHIM_PROTOCOL_BYTES_H
#define VTSHIM_PROTOCOL_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A borrowed run of bytes. */
struct bytes {
    const uint8_t *p;
    size_t len;
};

/* Whether they are that text. */
bool bytes_are(struct bytes b, const char *text);

/* Copies them to dst[size] with a NUL behind them: as much as there is room for, or (a name, of
   which a part is worse than nothing) all or an empty text. b.p may be NULL: an empty text. */
void bytes_to_text(char *dst, size_t size, struct bytes b);
void bytes_to_name(char *dst, size_t size, struct bytes b);

static inline uint32_t load_u16(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static inline uint32_t load_u24(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16;
}

static inline uint32_t load_u32(const uint8_t *p)
{
    return load_u24(p) | (uint32_t)p[3] << 24;
}

/* The byte that two hexadecimal digits (of either case) are; -1 if they are none. The second one is
   not looked at when the first is none: a NUL may be the end. */
int bytes_hex_byte(const void *digits);

/*
 * Reads from borrowed memory. A read beyond the end sets `failed`, returns 0 or an empty run and
 * leaves every later read failing too.
 */
struct reader {
    const uint8_t *pos, *end;
    bool failed;
};

void reader_init(struct reader *r, const void *data, size_t len);
size_t reader_left(const struct reader *r);
uint8_t reader_u8(struct reader *r);
uint16_t reader_u16(struct reader *r);
uint32_t reader_u24(struct reader *r);
uint32_t reader_u32(struct reader *r);
uint64_t reader_u64(struct reader *r);

/* A length-encoded integer. 0xfb (NULL in a text row) and 0xff are no integers: they fail. */
uint64_t reader_lenenc(struct reader *r);

/* Exactly n bytes. */
struct bytes reader_take(struct reader *r, uint64_t n);

/* A length-encoded string, bytes up to a NUL (which is consumed; its absence fails), the rest. */
struct bytes reader_lenenc_string(struct reader *r);
struct bytes reader_nul_string(struct reader *r);
struct bytes reader_rest(struct reader *r);

/* A text row's value: NULL (0xfb) gives true in *is_null and an empty run. */
struct bytes reader_text_value(struct reader *r, bool *is_null);

/*
 * A growable run of bytes that it owns. `max` bounds it: a write that would pass it sets `failed`
 * and writes nothing. Running out of memory ends the process: every size is bounded beforehand.
 */
struct buffer {
    uint8_t *data;
    size_t len, cap, max;
    bool failed;
};

void buffer_init(struct buffer *b, size_t max);

/* Frees the memory; the buffer is empty and usable afterwards, with the same max. */
void buffer_release(struct buffer *b);

/* As buffer_release, but overwrites the contents first: for passwords. */
void buffer_wipe(struct buffer *b);

/* Makes room for n more bytes and returns where they go, or NULL (and failed) beyond max. The
 * caller writes them and adds to len. */
uint8_t *buffer_reserve(struct buffer *b, size_t n);

/* Drops the first n bytes. */
void buffer_consume(struct buffer *b, size_t n);

void buffer_u8(struct buffer *b, uint8_t v);
void buffer_u16(struct buffer *b, uint16_t v);
void buffer_u24(struct buffer *b, uint32_t v);
void buffer_u32(struct buffer *b, uint32_t v);
void buffer_u64(struct buffer *b, uint64_t v);
void buffer_zeros(struct buffer *b, size_t n);
void buffer_bytes(struct buffer *b, const void *p, size_t n);
void buffer_text(struct buffer *b, const char *text); /* without its NUL */
void buffer_lenenc(struct buffer *b, uint64_t v);
void buffer_lenenc_bytes(struct buffer *b, const void *p, size_t n);
void buffer_lenenc_text(struct buffer *b, const char *text);

#endif
