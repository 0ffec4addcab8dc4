/*
 * The response tracker: one transition for each complete packet. Invariant: between two calls the
 * cursor stands inside of a packet or right behind one that was already acted upon. Within a call
 * it is left behind while packets are whole, and set once at the end: it is on the way of every
 * answer.
 */
#include "protocol/response.h"

#include <string.h>

#define HEADER_OK      0x00
#define HEADER_INFILE  0xfb
#define HEADER_EOF     0xfe
#define HEADER_ERR     0xff
#define EOF_MAX_LENGTH 9u /* a 0xfe packet shorter than this is EOF, not a row ("EOF_Packet") */
/* A table has 4096 at most, but a SELECT may have more than fit in 16 bits: MySQL sends 68,001 of
   them (mysql-test, main.mysql, bug 19216). */
#define COLUMNS_MAX 0xffffffu

#define AT_ONCE_MAX                                                                                \
    4096u /* bytes of an answer that are looked at a second time in vain at most                   \
           */

/* What is looked at of a complete packet. */
struct seen {
    const uint8_t *prefix; /* the payload's first bytes */
    uint32_t have;         /* how many: PACKET_PREFIX at most */
    uint32_t length;       /* of the payload */
};

void response_init(struct response *r, enum response_shape shape, bool deprecate_eof)
{
    static const enum response_state START[] = {
        [SHAPE_NONE] = RESPONSE_DONE,     [SHAPE_SIMPLE] = RESPONSE_FIRST,
        [SHAPE_SINGLE] = RESPONSE_FIRST,  [SHAPE_RESULT] = RESPONSE_FIRST,
        [SHAPE_PREPARE] = RESPONSE_FIRST, [SHAPE_FIELDS] = RESPONSE_ROWS,
        [SHAPE_ROWS] = RESPONSE_ROWS,     [SHAPE_AUTH] = RESPONSE_AUTH,
        [SHAPE_STREAM] = RESPONSE_FIRST,
    };
    memset(r, 0, sizeof(*r));
    r->shape = shape;
    r->state = START[shape];
    r->deprecate_eof = deprecate_eof;
}

void response_infile_sent(struct response *r)
{
    r->state = RESPONSE_FIRST;
}

static void response_error(struct response *r, const struct seen *packet)
{
    r->failed = true;
    if (packet->have >= 3)
        r->error_code = (uint16_t)load_u16(packet->prefix + 1);
    r->state = RESPONSE_DONE;
}

/* The status flags of an OK packet (or of the OK in EOF's clothes), or of an EOF packet. False: it
   has none. */
static bool read_status(const struct seen *packet, bool is_eof, uint16_t *status)
{
    const uint8_t *p = packet->prefix;
    struct reader in;

    /* Behind the warnings of an EOF; the same place in an OK whose two numbers are short. */
    if (packet->have >= 5 && (is_eof || (p[1] < 0xfb && p[2] < 0xfb))) {
        *status = (uint16_t)load_u16(p + 3);
        return true;
    }
    if (is_eof)
        return false;
    reader_init(&in, p, packet->have);
    reader_u8(&in);
    reader_lenenc(&in); /* affected rows */
    reader_lenenc(&in); /* last insert id */
    *status = reader_u16(&in);
    return !in.failed;
}

static bool response_take_status(struct response *r, const struct seen *packet, bool is_eof)
{
    uint16_t status;

    if (!read_status(packet, is_eof, &status))
        return false;
    r->status = status;
    r->status_valid = true;
    return true;
}

/* Whether a packet is an EOF, or with DEPRECATE_EOF an OK in its clothes, and not a row. */
static bool response_is_end(const struct response *r, const struct seen *packet, uint8_t first)
{
    uint32_t limit = r->deprecate_eof ? PACKET_MAX_PAYLOAD : EOF_MAX_LENGTH;

    return first == HEADER_EOF && packet->length < limit;
}

/* Whether that packet's flags are where an EOF has them. Some servers send a plain EOF, 5 bytes, in
   spite of DEPRECATE_EOF. */
static bool end_is_eof(const struct response *r, const struct seen *packet)
{
    return !r->deprecate_eof || packet->length <= 5;
}

static bool response_take_end(struct response *r, const struct seen *packet)
{
    return response_take_status(r, packet, end_is_eof(r, packet));
}

/* One result is complete: either the response is, or another result follows. */
static void response_end_result(struct response *r)
{
    bool more = r->shape == SHAPE_RESULT && r->status & STATUS_MORE_RESULTS;

    r->results = true;
    r->state = more ? RESPONSE_FIRST : RESPONSE_DONE;
}

static void response_first_of_result(struct response *r, const struct seen *packet, uint8_t first)
{
    struct reader in;

    if (first == HEADER_INFILE) {
        r->state = RESPONSE_INFILE;
        return;
    }
    reader_init(&in, packet->prefix, packet->have);
    r->definitions = reader_lenenc(&in);
    r->state = in.failed || r->definitions == 0 || r->definitions > COLUMNS_MAX
                   ? RESPONSE_BROKEN
                   : RESPONSE_DEFINITIONS;
}

static void response_first_of_prepare(struct response *r, const struct seen *packet)
{
    struct reader in;

    reader_init(&in, packet->prefix, packet->have);
    reader_u8(&in);
    r->statement_id = reader_u32(&in);
    uint16_t columns = reader_u16(&in);
    uint16_t parameters = reader_u16(&in);

    if (in.failed) {
        r->state = RESPONSE_BROKEN;
        return;
    }
    r->definitions = parameters ? parameters : columns;
    r->second_definitions = parameters ? columns : 0;
    r->state = r->definitions ? RESPONSE_DEFINITIONS : RESPONSE_DONE;
}

static void response_first(struct response *r, const struct seen *packet, uint8_t first)
{
    if (first == HEADER_ERR) {
        response_error(r, packet);
    } else if (r->shape == SHAPE_SINGLE) {
        r->state = RESPONSE_DONE;
    } else if (r->shape == SHAPE_STREAM) {
        r->state = RESPONSE_STREAM;
    } else if (r->shape == SHAPE_PREPARE) {
        if (first == HEADER_OK)
            response_first_of_prepare(r, packet);
        else
            r->state = RESPONSE_BROKEN;
    } else if (first == HEADER_OK || response_is_end(r, packet, first)) {
        if (first == HEADER_OK ? response_take_status(r, packet, false)
                               : response_take_end(r, packet))
            response_end_result(r);
        else
            r->state = RESPONSE_BROKEN;
    } else if (r->shape == SHAPE_RESULT) {
        response_first_of_result(r, packet, first);
    } else {
        r->state = RESPONSE_BROKEN;
    }
}

/* All definitions of one block, and the EOF behind them where there is one, are through. */
static void response_definitions_end(struct response *r)
{
    if (r->shape != SHAPE_PREPARE) {
        r->state = RESPONSE_ROWS;
    } else if (r->second_definitions) {
        r->definitions = r->second_definitions;
        r->second_definitions = 0;
        r->state = RESPONSE_DEFINITIONS;
    } else {
        r->state = RESPONSE_DONE;
    }
}

static void response_row(struct response *r, const struct seen *packet, uint8_t first)
{
    if (first == HEADER_ERR) {
        response_error(r, packet);
    } else if (response_is_end(r, packet, first)) {
        if (response_take_end(r, packet))
            response_end_result(r);
        else
            r->state = RESPONSE_BROKEN;
    }
}

/* Acts upon a packet that begins a payload. */
static void response_payload(struct response *r, const struct seen *packet, uint8_t first)
{
    switch (r->state) {
    case RESPONSE_FIRST:
        response_first(r, packet, first);
        break;
    case RESPONSE_DEFINITIONS:
        if (first == HEADER_ERR)
            response_error(r, packet);
        else if (--r->definitions == 0 && !r->deprecate_eof)
            r->state = RESPONSE_DEFINITIONS_EOF;
        else if (r->definitions == 0)
            response_definitions_end(r);
        break;
    case RESPONSE_DEFINITIONS_EOF:
        if (first != HEADER_EOF || !response_take_status(r, packet, true))
            r->state = RESPONSE_BROKEN;
        else if (r->shape == SHAPE_RESULT && r->status & STATUS_CURSOR_EXISTS)
            response_end_result(r); /* the rows come with COM_STMT_FETCH */
        else
            response_definitions_end(r);
        break;
    case RESPONSE_ROWS:
        response_row(r, packet, first);
        break;
    case RESPONSE_AUTH:
        if (first == HEADER_ERR)
            response_error(r, packet);
        else if (first == HEADER_OK) {
            response_take_status(r, packet, false);
            r->state = RESPONSE_DONE;
        }
        break;
    case RESPONSE_INFILE:
    case RESPONSE_STREAM:
    case RESPONSE_TAIL:
    case RESPONSE_DONE:
    case RESPONSE_BROKEN:
        break;
    }
}

static void response_packet(struct response *r, const struct seen *packet)
{
    bool goes_on = packet->length == PACKET_MAX_PAYLOAD;

    r->packets++;
    if (r->state == RESPONSE_TAIL) {
        if (!goes_on)
            r->state = r->after;
    } else if (packet->length == 0 && r->state != RESPONSE_ROWS) {
        r->state = RESPONSE_BROKEN; /* an empty packet starts no answer */
    } else {
        response_payload(r, packet, packet->have ? packet->prefix[0] : 0);
        if (goes_on && r->state != RESPONSE_BROKEN) {
            r->after = r->state;
            r->state = RESPONSE_TAIL;
        }
    }
}

/*
 * The hot loop: whole packets that decide nothing, rows and all definitions but the last, are
 * stepped over by their headers alone. Returns the bytes used.
 */
static size_t response_skip(struct response *r, const uint8_t *data, size_t len)
{
    const uint8_t *p = data;
    uint64_t most = r->state == RESPONSE_ROWS ? UINT64_MAX : r->definitions - 1;
    uint64_t left = most;

    while (len > PACKET_HEADER && left > 0) {
        size_t n = load_u32(p) & PACKET_MAX_PAYLOAD; /* one load; the fourth byte is there, too */

        /* Not an empty one, nor one that goes on; not EOF, OK or ERR. */
        if (n - 1 >= PACKET_MAX_PAYLOAD - 1 || p[PACKET_HEADER] >= HEADER_EOF ||
            n > len - PACKET_HEADER)
            break;
        p += PACKET_HEADER + n;
        len -= PACKET_HEADER + n;
        left--;
    }
    uint64_t packets = most - left;

    r->packets += packets;
    if (r->state == RESPONSE_DEFINITIONS)
        r->definitions -= packets;
    return (size_t)(p - data);
}

/* Whether the answer's next byte is still the server's, and says something. */
static bool response_goes_on(const struct response *r)
{
    return r->state != RESPONSE_DONE && r->state != RESPONSE_BROKEN &&
           r->state != RESPONSE_INFILE && r->state != RESPONSE_STREAM;
}

/* Packets that are whole, from between two of them on. Returns the bytes used: up to one that is
   not, or to the end of the answer. */
static size_t response_whole(struct response *r, const uint8_t *data, size_t len)
{
    const uint8_t *last = NULL;
    struct seen packet;
    size_t used = 0;

    while (response_goes_on(r)) {
        if (r->state == RESPONSE_ROWS || (r->state == RESPONSE_DEFINITIONS && r->definitions > 1)) {
            size_t skipped = response_skip(r, data + used, len - used);

            used += skipped;
            if (skipped > 0)
                last = NULL;
        }
        if (len - used <= PACKET_HEADER)
            break;
        packet.length = load_u24(data + used);
        if (packet.length == 0 || packet.length > len - used - PACKET_HEADER)
            break;
        last = data + used;
        packet.prefix = last + PACKET_HEADER;
        packet.have = packet.length < PACKET_PREFIX ? packet.length : PACKET_PREFIX;
        used += PACKET_HEADER + packet.length;
        response_packet(r, &packet);
    }
    if (last)
        packet_cursor_take(&r->cursor, last, load_u24(last));
    else if (used > 0)
        packet_cursor_init(&r->cursor);
    return used;
}

/* The payload's length of the packet at p, if it is whole, not empty, and not one of several; or 0.
 */
static inline size_t whole_packet(const uint8_t *p, const uint8_t *end)
{
    size_t left = (size_t)(end - p), n = left > PACKET_HEADER ? load_u24(p) : 0;

    return n < PACKET_MAX_PAYLOAD && n <= left - PACKET_HEADER ? n : 0;
}

/* Past the number of columns at p, their definitions, and the EOF behind them where there is one;
   or NULL. Counts the packets. */
static const uint8_t *skip_definitions(const struct response *r, const uint8_t *p,
                                       const uint8_t *end, uint64_t *packets)
{
    size_t n = whole_packet(p, end);

    if (n != 1 || p[PACKET_HEADER] - 1u >= 0xfa)
        return NULL; /* not a number of columns in one byte */
    *packets = 1u + p[PACKET_HEADER] + !r->deprecate_eof;
    p += PACKET_HEADER + n;
    for (uint64_t left = *packets - 1 - !r->deprecate_eof; left > 0; left--) {
        n = whole_packet(p, end);
        if (n == 0 || p[PACKET_HEADER] == HEADER_ERR)
            return NULL;
        p += PACKET_HEADER + n;
    }
    if (r->deprecate_eof)
        return p;
    n = whole_packet(p, end);
    if (n < 5 || n >= EOF_MAX_LENGTH || p[PACKET_HEADER] != HEADER_EOF ||
        load_u16(p + PACKET_HEADER + 3) & STATUS_CURSOR_EXISTS)
        return NULL;
    return p + PACKET_HEADER + n;
}

/*
 * The usual answer to a query for a few rows: one result without an error, here from its first byte
 * to its last. One pass that changes nothing; whatever looks different in any way is left to the
 * steps above. True: r is DONE.
 */
static bool response_at_once(struct response *r, const uint8_t *data, size_t len)
{
    const uint8_t *end = data + len;
    uint64_t packets;
    const uint8_t *p = skip_definitions(r, data, end, &packets);
    size_t n;

    if (!p)
        return false;
    for (;; p += PACKET_HEADER + n) { /* the rows */
        packets++;
        n = whole_packet(p, end);
        if (n == 0)
            return false;
        if (p[PACKET_HEADER] >= HEADER_EOF)
            break;
    }
    struct seen last = {p + PACKET_HEADER, n < PACKET_PREFIX ? (uint32_t)n : PACKET_PREFIX,
                        (uint32_t)n};
    uint16_t status;

    if (p + PACKET_HEADER + n != end || !response_is_end(r, &last, p[PACKET_HEADER]) ||
        !read_status(&last, end_is_eof(r, &last), &status) || status & STATUS_MORE_RESULTS)
        return false;
    r->status = status;
    r->status_valid = true;
    r->results = true;
    r->packets = packets;
    r->state = RESPONSE_DONE;
    packet_cursor_take(&r->cursor, p, (uint32_t)n);
    return true;
}

size_t response_feed(struct response *r, const uint8_t *data, size_t len)
{
    size_t used = 0;

    if (r->state == RESPONSE_FIRST && r->shape == SHAPE_RESULT && r->packets == 0 &&
        len <= AT_ONCE_MAX && packet_cursor_at_boundary(&r->cursor) &&
        response_at_once(r, data, len))
        return len;

    while (used < len && response_goes_on(r)) {
        bool complete = false;

        if (packet_cursor_at_boundary(&r->cursor)) {
            used += response_whole(r, data + used, len - used);
            if (used == len || !response_goes_on(r))
                break;
        }
        used += packet_cursor_feed(&r->cursor, data + used, len - used, &complete);
        if (complete) {
            struct seen packet = {r->cursor.prefix, r->cursor.prefix_have, r->cursor.length};

            response_packet(r, &packet);
        }
    }
    return r->state == RESPONSE_STREAM ? len : used;
}
