/*
 * Framing: every MySQL packet is a 3-byte payload length, a sequence number and the payload; a
 * payload of 0xffffff bytes goes on in the next packet. (MySQL Source Code Documentation, "MySQL
 * Packets".)
 *
 * A cursor walks a stream of bytes cut anywhere. It keeps the header and the first PACKET_PREFIX
 * bytes of each payload, which is enough to tell what a packet is; the rest is only counted.
 */
#ifndef VTSHIM_PROTOCOL_PACKET_H
#define VTSHIM_PROTOCOL_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/bytes.h"

#define PACKET_HEADER      4u
#define PACKET_MAX_PAYLOAD 0xffffffu
#define PACKET_PREFIX      32u

/* Capability flags (include/mysql_com.h; the documentation's "Capabilities Flags" page). */
enum capability {
    CAP_LONG_PASSWORD = 1u << 0,
    CAP_FOUND_ROWS = 1u << 1,
    CAP_LONG_FLAG = 1u << 2,
    CAP_CONNECT_WITH_DB = 1u << 3,
    CAP_COMPRESS = 1u << 5,
    CAP_LOCAL_FILES = 1u << 7,
    CAP_PROTOCOL_41 = 1u << 9,
    CAP_SSL = 1u << 11,
    CAP_TRANSACTIONS = 1u << 13,
    CAP_SECURE_CONNECTION = 1u << 15,
    CAP_MULTI_STATEMENTS = 1u << 16,
    CAP_MULTI_RESULTS = 1u << 17,
    CAP_PS_MULTI_RESULTS = 1u << 18,
    CAP_PLUGIN_AUTH = 1u << 19,
    CAP_CONNECT_ATTRS = 1u << 20,
    CAP_PLUGIN_AUTH_LENENC = 1u << 21,
    CAP_SESSION_TRACK = 1u << 23,
    CAP_DEPRECATE_EOF = 1u << 24,
    CAP_OPTIONAL_METADATA = 1u << 25,
    CAP_ZSTD_COMPRESSION = 1u << 26,
    CAP_QUERY_ATTRIBUTES = 1u << 27,
    CAP_MARIADB_PROGRESS = 1u << 29 /* of MariaDB's clients; for Oracle's the bit is reserved */
};

/* Server status flags ("SERVER_STATUS_flags_enum"). */
enum server_status {
    STATUS_IN_TRANSACTION = 1u << 0,
    STATUS_AUTOCOMMIT = 1u << 1,
    STATUS_MORE_RESULTS = 1u << 3,
    STATUS_CURSOR_EXISTS = 1u << 6,
    STATUS_LAST_ROW_SENT = 1u << 7,
    STATUS_IN_READ_ONLY_TRANSACTION = 1u << 13,
    STATUS_SESSION_CHANGED = 1u << 14
};

struct packet_cursor {
    uint32_t left;       /* payload bytes of the current packet not seen yet */
    uint32_t length;     /* payload length of the current packet */
    uint8_t header_have; /* header bytes seen, PACKET_HEADER once in the payload */
    uint8_t prefix_have; /* valid bytes in prefix */
    uint8_t sequence;    /* the current packet's */
    bool continued;      /* the current packet carries on the previous, full one */
    uint8_t header[PACKET_HEADER];
    uint8_t prefix[PACKET_PREFIX];
};

void packet_cursor_init(struct packet_cursor *c);

/*
 * Walks data[0..len) up to the end of the current packet. Returns how many bytes belong to it
 * (never more than len). *complete tells whether the packet ended there: its length, sequence,
 * continued and prefix are then valid until the next call, which starts the next packet.
 */
size_t packet_cursor_feed(struct packet_cursor *c, const uint8_t *data, size_t len, bool *complete);

/*
 * The same for a packet that is whole at data and has a payload: data[0..PACKET_HEADER + length) is
 * there, length is the one in its header.
 */
void packet_cursor_take(struct packet_cursor *c, const uint8_t *data, uint32_t length);

/* How many bytes of the current or, at a boundary, of the next packet's header are still to come.
   The last of them is the sequence number. */
size_t packet_cursor_header_left(const struct packet_cursor *c);

/* Whether no packet has been begun: the stream stands between two of them. */
bool packet_cursor_at_boundary(const struct packet_cursor *c);

/*
 * Appends payload as one packet (or several, from 0xffffff bytes on) with sequence numbers from
 * `sequence` on. Returns the next free sequence number.
 */
uint8_t packet_append(struct buffer *out, uint8_t sequence, const void *payload, size_t len);

/*
 * Begins a packet in place: call packet_end with the returned mark once its payload was appended.
 * The payload must stay under PACKET_MAX_PAYLOAD: packet_end sets out->failed otherwise.
 */
size_t packet_begin(struct buffer *out);
void packet_end(struct buffer *out, size_t mark, uint8_t sequence);

#endif
