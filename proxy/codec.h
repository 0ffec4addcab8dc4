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

/* How many bytes codec_take takes at a time. */
#define CODEC_TAKE_MAX (1u << 20)

/* Bytes from the socket, when codec_is_ready has said no. False: the first of them are no frame, or
   its contents do not fit what it says. */
bool codec_take(struct codec *c, const uint8_t *data, size_t len);

/* Whether codec_give has something to tell: bytes, or that the next frame is broken. */
bool codec_is_ready(const struct codec *c);

/* Moves up to `size` unpacked bytes into `into`; *given is how many. False: the bytes end with a
   broken frame, and all in front of it have been given. */
bool codec_give(struct codec *c, void *into, size_t size, size_t *given);

/*
 * Appends data, the next bytes of a row of packets, as frames to *out. As MySQL's server does it, a
 * packet is in one frame where one can hold it (and else in two: connector/python reads no more);
 * what has come of a packet that is not whole yet is kept for the next call.
 */
void codec_pack(struct codec *c, const uint8_t *data, size_t len, struct buffer *out);

#endif
