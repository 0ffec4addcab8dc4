/*
 * The PROXY protocol, versions 1 and 2: how a balancer in front tells who the client is. ("The
 * PROXY protocol", haproxy.org/download/2.8/doc/proxy-protocol.txt.) Pure: addresses are bytes.
 */
#ifndef VTSHIM_PROTOCOL_PROXY_HEADER_H
#define VTSHIM_PROTOCOL_PROXY_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/bytes.h"

/* The longest header that is accepted: version 2 with addresses and some TLVs. Version 1 has at
   most 107 bytes. */
#define PROXY_HEADER_MAX 1024u

enum proxy_family { PROXY_UNKNOWN, PROXY_IPV4, PROXY_IPV6 };

struct proxy_address {
    enum proxy_family family;
    uint8_t source[16], destination[16]; /* network order; 4 bytes used for IPV4 */
    uint16_t source_port, destination_port;
};

enum proxy_result {
    PROXY_MORE, /* what is here may become a header */
    PROXY_DONE, /* *used bytes are one */
    PROXY_BAD   /* it is none */
};

/*
 * Looks for a header at the head of data. DONE with family UNKNOWN (version 1 "UNKNOWN", version 2
 * LOCAL or another family): the address of the connection itself holds.
 */
enum proxy_result proxy_header_parse(const uint8_t *data, size_t len, struct proxy_address *out,
                                     size_t *used);

/* Appends a header of version 1 or 2. */
void proxy_header_append(struct buffer *out, int version, const struct proxy_address *address);

#endif
