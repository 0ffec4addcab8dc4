/*
 * MySQL's compressed protocol, between stream.c's bytes and its socket. ("Compression" in the MySQL
 * Source Code Documentation: a frame is 3 bytes of length, a sequence number, 3 bytes of length
 * before compression, 0 if it is not compressed.) zlib or zstd.
 */
#ifndef VTSHIM_PROXY_CODEC_H
#define VTSHIM_PROXY_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/bytes.h"

enum codec_kind { CODEC_ZLIB, CODEC_ZSTD };

struct codec;

/* level: zstd's, 1 to 22 (anything else counts as 3). */
struct codec *codec_create(enum codec_kind kind, int level);
void codec_destroy(struct codec *c); /* NULL is fine */

/* Bytes from the socket. False: they are no frames, or their contents do not fit what they say. */
bool codec_take(struct codec *c, const uint8_t *data, size_t len);

/* Moves up to `size` unpacked bytes into `into`; returns how many. */
size_t codec_give(struct codec *c, void *into, size_t size);

/* How many unpacked bytes wait for codec_give. */
size_t codec_pending(const struct codec *c);

/*
 * Appends data, the next bytes of a row of packets, as frames to *out. As MySQL's server does it, a
 * packet is in one frame where one can hold it (and else in two: connector/python reads no more);
 * what has come of a packet that is not whole yet is kept for the next call.
 */
void codec_pack(struct codec *c, const uint8_t *data, size_t len, struct buffer *out);

#endif
