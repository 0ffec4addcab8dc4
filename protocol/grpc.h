/*
 * gRPC over HTTP/2, as far as it is bytes and texts: the frame around a message, the status in the
 * trailers, the deadline in the headers. (gRPC's doc/PROTOCOL-HTTP2.md and doc/statuscodes.md,
 * http-grpc-status-mapping.md.)
 */
#ifndef VTSHIM_PROTOCOL_GRPC_H
#define VTSHIM_PROTOCOL_GRPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/bytes.h"

/* GRPC_STATUS(NAME, number) */
#define GRPC_STATUSES(X)                                                                           \
    X(OK, 0)                                                                                       \
    X(CANCELLED, 1)                                                                                \
    X(UNKNOWN, 2)                                                                                  \
    X(INVALID_ARGUMENT, 3)                                                                         \
    X(DEADLINE_EXCEEDED, 4)                                                                        \
    X(NOT_FOUND, 5)                                                                                \
    X(ALREADY_EXISTS, 6)                                                                           \
    X(PERMISSION_DENIED, 7)                                                                        \
    X(RESOURCE_EXHAUSTED, 8)                                                                       \
    X(FAILED_PRECONDITION, 9)                                                                      \
    X(ABORTED, 10)                                                                                 \
    X(OUT_OF_RANGE, 11)                                                                            \
    X(UNIMPLEMENTED, 12)                                                                           \
    X(INTERNAL, 13)                                                                                \
    X(UNAVAILABLE, 14)                                                                             \
    X(DATA_LOSS, 15)                                                                               \
    X(UNAUTHENTICATED, 16)

enum grpc_status {
#define X(NAME, number) GRPC_##NAME = (number),
    GRPC_STATUSES(X)
#undef X
};

/* "UNAVAILABLE" ...; numbers without a name are "UNKNOWN". */
const char *grpc_status_name(enum grpc_status status);

/* The value of the header grpc-status. What is no number of the list is UNKNOWN. */
enum grpc_status grpc_status_parse(struct bytes value);

/* For an answer that is not gRPC's at all: of its HTTP status. */
enum grpc_status grpc_status_of_http(unsigned http);

/*
 * The value of the header grpc-message, percent-decoded ("%" and two hexadecimal digits; others are
 * kept as they are), with control characters made blanks. Writes at most size - 1 bytes and a NUL;
 * returns the length.
 */
size_t grpc_message_decode(char *dst, size_t size, struct bytes value);

/* The value of the header grpc-timeout: at most 8 digits and a unit. ms of 0 or less: "1m". */
void grpc_timeout_format(char dst[16], int64_t ms);

/* Appends a message with its frame: a byte for "not compressed", and the length. */
void grpc_frame(struct buffer *out, const void *message, size_t len);

/* The one message of a unary response, collected from the DATA frames as they come. */
struct grpc_collector {
    uint8_t head[5];
    size_t head_len;
    size_t want; /* bytes of the message, once the head is whole */
    struct buffer message;
    const char *error; /* a constant; NULL: all right so far */
};

/* A message longer than `max` is an error. */
void grpc_collector_init(struct grpc_collector *c, size_t max);
void grpc_collector_release(struct grpc_collector *c);

/* False when it is an error: c->error tells. Later calls are, too. */
bool grpc_collect(struct grpc_collector *c, const uint8_t *data, size_t len);

/* Whether a whole message is there, which may be empty. */
bool grpc_collector_whole(const struct grpc_collector *c);

#endif
