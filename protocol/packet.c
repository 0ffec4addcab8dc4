/*
 * Framing in both directions. Does not look into payloads beyond keeping their first bytes.
 */
#include "protocol/packet.h"

#include <string.h>

void packet_cursor_init(struct packet_cursor *c)
{
    memset(c, 0, sizeof(*c));
}

bool packet_cursor_at_boundary(const struct packet_cursor *c)
{
    return c->header_have == 0 || (c->header_have == PACKET_HEADER && c->left == 0);
}

static void cursor_start(struct packet_cursor *c)
{
    c->continued = c->header_have == PACKET_HEADER && c->length == PACKET_MAX_PAYLOAD;
    c->header_have = 0;
    c->prefix_have = 0;
}

size_t packet_cursor_feed(struct packet_cursor *c, const uint8_t *data, size_t len, bool *complete)
{
    size_t used = 0;

    *complete = false;
    if (c->header_have == PACKET_HEADER && c->left == 0)
        cursor_start(c);
    if (c->header_have < PACKET_HEADER) {
        while (c->header_have < PACKET_HEADER && used < len)
            c->header[c->header_have++] = data[used++];
        if (c->header_have < PACKET_HEADER)
            return used;
        c->length = c->left = load_u24(c->header);
        c->sequence = c->header[3];
    }
    size_t take = len - used < c->left ? len - used : c->left;

    if (c->prefix_have < PACKET_PREFIX && take > 0) {
        size_t room = PACKET_PREFIX - c->prefix_have;
        size_t n = take < room ? take : room;

        memcpy(c->prefix + c->prefix_have, data + used, n);
        c->prefix_have = (uint8_t)(c->prefix_have + n);
    }
    c->left -= (uint32_t)take;
    *complete = c->left == 0;
    return used + take;
}

size_t packet_cursor_header_left(const struct packet_cursor *c)
{
    return packet_cursor_at_boundary(c) ? PACKET_HEADER : PACKET_HEADER - c->header_have;
}

void packet_cursor_take(struct packet_cursor *c, const uint8_t *data, uint32_t length)
{
    c->continued = c->header_have == PACKET_HEADER && c->length == PACKET_MAX_PAYLOAD;
    c->left = 0;
    c->length = length;
    c->header_have = PACKET_HEADER;
    c->prefix_have = (uint8_t)(length < PACKET_PREFIX ? length : PACKET_PREFIX);
    c->sequence = data[3];
    memcpy(c->header, data, PACKET_HEADER);
    memcpy(c->prefix, data + PACKET_HEADER, c->prefix_have);
}

uint8_t packet_append(struct buffer *out, uint8_t sequence, const void *payload, size_t len)
{
    const uint8_t *p = payload;

    for (;;) {
        size_t n = len < PACKET_MAX_PAYLOAD ? len : PACKET_MAX_PAYLOAD;

        buffer_u24(out, (uint32_t)n);
        buffer_u8(out, sequence++);
        buffer_bytes(out, p, n);
        if (n < PACKET_MAX_PAYLOAD)
            return sequence;
        p += n;
        len -= n;
    }
}

size_t packet_begin(struct buffer *out)
{
    size_t mark = out->len;

    buffer_zeros(out, PACKET_HEADER);
    return mark;
}

void packet_end(struct buffer *out, size_t mark, uint8_t sequence)
{
    if (out->failed)
        return;
    size_t n = out->len - mark - PACKET_HEADER;

    if (n >= PACKET_MAX_PAYLOAD) {
        out->failed = true;
        return;
    }
    uint8_t *h = out->data + mark;

    h[0] = (uint8_t)n;
    h[1] = (uint8_t)(n >> 8);
    h[2] = (uint8_t)(n >> 16);
    h[3] = sequence;
}
