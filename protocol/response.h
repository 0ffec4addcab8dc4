/*
 * Follows the server's answer to one command through a stream of bytes cut anywhere, to know where
 * it ends, which status flags it leaves and whether it failed. Looks only at packet headers and at
 * the first bytes of the packets that matter. ("Command Phase", "Text Resultset", "OK_Packet",
 * "EOF_Packet", "ERR_Packet" in the MySQL Source Code Documentation.)
 */
#ifndef VTSHIM_PROTOCOL_RESPONSE_H
#define VTSHIM_PROTOCOL_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/command.h"
#include "protocol/packet.h"

enum response_state {
    RESPONSE_FIRST,       /* waiting for the first packet of a result */
    RESPONSE_DEFINITIONS, /* counted definitions (columns, or a prepared statement's parameters) */
    RESPONSE_DEFINITIONS_EOF, /* the EOF packet behind them */
    RESPONSE_ROWS,            /* rows, or FIELD_LIST's definitions, up to EOF or OK */
    RESPONSE_INFILE, /* the server waits for the client's file; the client ends it with an empty
                        packet */
    RESPONSE_AUTH,   /* authentication packets up to OK or ERR */
    RESPONSE_STREAM, /* without end */
    RESPONSE_TAIL,   /* inside of a payload that goes on in another packet: then `after` */
    RESPONSE_DONE,
    RESPONSE_BROKEN /* not MySQL's protocol: the connection cannot be followed any more */
};

struct response {
    struct packet_cursor cursor;
    enum response_state state;
    enum response_state after; /* TAIL: the state once the payload has ended */
    enum response_shape shape;
    bool deprecate_eof; /* CAP_DEPRECATE_EOF was negotiated */
    bool failed;        /* it ended with ERR */
    bool results;       /* at least one whole result was seen before the end */
    uint16_t status;    /* flags of the last OK or EOF packet; valid if status_valid */
    bool status_valid;
    uint16_t error_code;         /* if failed */
    uint64_t definitions;        /* still to come in DEFINITIONS */
    uint64_t second_definitions; /* PREPARE: column definitions behind the parameters' */
    uint32_t statement_id;       /* PREPARE: from COM_STMT_PREPARE_OK */
    uint64_t packets;            /* complete ones so far */
};

/* Starts following the answer to a command of that shape. With SHAPE_NONE it is DONE at once. */
void response_init(struct response *r, enum response_shape shape, bool deprecate_eof);

/*
 * Takes data[0..len) and returns how many bytes belong to the response: len, or less when it ended
 * (DONE), broke (BROKEN) or now waits for the client (INFILE) before them.
 */
size_t response_feed(struct response *r, const uint8_t *data, size_t len);

/* The client's file has ended: an OK or ERR follows. */
void response_infile_sent(struct response *r);

#endif
