/*
 * PROXY headers. Version 1 is a line of text, version 2 is binary.
 */
#include "protocol/proxy_header.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define V1_MAX     107u
#define V2_FIXED   16u
#define V2_VERSION 0x20u
#define V2_LOCAL   0x00u
#define V2_PROXY   0x01u
#define V2_TCP4    0x11u
#define V2_TCP6    0x21u

static const uint8_t V2_SIGNATURE[12] = "\r\n\r\n\0\r\nQUIT\n";
static const char V1_SIGNATURE[6] = "PROXY ";

/* Whether data begins, as far as it goes, with the signature. */
static bool may_begin(const uint8_t *data, size_t len, const void *signature, size_t size)
{
    return memcmp(data, signature, len < size ? len : size) == 0;
}

static bool parse_port(const char *text, uint16_t *port)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);

    if (*text < '0' || *text > '9' || *end || n > 65535)
        return false;
    *port = (uint16_t)n;
    return true;
}

static enum proxy_result parse_v1(const uint8_t *data, size_t len, struct proxy_address *out,
                                  size_t *used)
{
    char line[V1_MAX + 1], *fields[6], *rest = line;
    const uint8_t *end = memchr(data, '\n', len < V1_MAX ? len : V1_MAX);
    size_t n = 0;

    if (!end)
        return len < V1_MAX ? PROXY_MORE : PROXY_BAD;
    if (end == data || end[-1] != '\r')
        return PROXY_BAD;
    *used = (size_t)(end - data) + 1;
    memcpy(line, data, *used - 2);
    line[*used - 2] = '\0';
    while (n < 6 && (fields[n] = strsep(&rest, " ")))
        n++;
    if (n >= 2 && strcmp(fields[1], "UNKNOWN") == 0)
        return PROXY_DONE;
    if (n != 6 || rest)
        return PROXY_BAD;
    bool v6 = strcmp(fields[1], "TCP6") == 0;

    if (!v6 && strcmp(fields[1], "TCP4") != 0)
        return PROXY_BAD;
    if (inet_pton(v6 ? AF_INET6 : AF_INET, fields[2], out->source) != 1 ||
        inet_pton(v6 ? AF_INET6 : AF_INET, fields[3], out->destination) != 1 ||
        !parse_port(fields[4], &out->source_port) || !parse_port(fields[5], &out->destination_port))
        return PROXY_BAD;
    out->family = v6 ? PROXY_IPV6 : PROXY_IPV4;
    return PROXY_DONE;
}

static uint16_t big_u16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static enum proxy_result parse_v2(const uint8_t *data, size_t len, struct proxy_address *out,
                                  size_t *used)
{
    if (len < V2_FIXED)
        return PROXY_MORE;
    uint8_t command = data[12] & 0x0f;
    size_t body = big_u16(data + 14);
    const uint8_t *p = data + V2_FIXED;

    if ((data[12] & 0xf0) != V2_VERSION || command > V2_PROXY || body > PROXY_HEADER_MAX - V2_FIXED)
        return PROXY_BAD;
    if (len < V2_FIXED + body)
        return PROXY_MORE;
    *used = V2_FIXED + body;
    if (command == V2_LOCAL || (data[13] != V2_TCP4 && data[13] != V2_TCP6))
        return PROXY_DONE;
    size_t size = data[13] == V2_TCP4 ? 4 : 16;

    if (body < 2 * size + 4)
        return PROXY_BAD;
    memcpy(out->source, p, size);
    memcpy(out->destination, p + size, size);
    out->source_port = big_u16(p + 2 * size);
    out->destination_port = big_u16(p + 2 * size + 2);
    out->family = size == 4 ? PROXY_IPV4 : PROXY_IPV6;
    return PROXY_DONE;
}

enum proxy_result proxy_header_parse(const uint8_t *data, size_t len, struct proxy_address *out,
                                     size_t *used)
{
    memset(out, 0, sizeof(*out));
    *used = 0;
    if (may_begin(data, len, V1_SIGNATURE, sizeof(V1_SIGNATURE)))
        return len < sizeof(V1_SIGNATURE) ? PROXY_MORE : parse_v1(data, len, out, used);
    if (may_begin(data, len, V2_SIGNATURE, sizeof(V2_SIGNATURE)))
        return parse_v2(data, len, out, used);
    return PROXY_BAD;
}

static void append_v1(struct buffer *out, const struct proxy_address *a)
{
    int family = a->family == PROXY_IPV6 ? AF_INET6 : AF_INET;
    char source[INET6_ADDRSTRLEN], destination[INET6_ADDRSTRLEN], line[160];

    if (a->family == PROXY_UNKNOWN) {
        buffer_text(out, "PROXY UNKNOWN\r\n");
        return;
    }
    inet_ntop(family, a->source, source, sizeof(source));
    inet_ntop(family, a->destination, destination, sizeof(destination));
    snprintf(line, sizeof(line), "PROXY %s %s %s %u %u\r\n", family == AF_INET6 ? "TCP6" : "TCP4",
             source, destination, (unsigned)a->source_port, (unsigned)a->destination_port);
    buffer_text(out, line);
}

static void append_big_u16(struct buffer *out, uint16_t v)
{
    buffer_u8(out, (uint8_t)(v >> 8));
    buffer_u8(out, (uint8_t)v);
}

static void append_v2(struct buffer *out, const struct proxy_address *a)
{
    size_t size = a->family == PROXY_IPV6 ? 16 : 4;
    bool local = a->family == PROXY_UNKNOWN;

    buffer_bytes(out, V2_SIGNATURE, sizeof(V2_SIGNATURE));
    buffer_u8(out, V2_VERSION | (local ? V2_LOCAL : V2_PROXY));
    buffer_u8(out, local ? 0 : size == 4 ? V2_TCP4 : V2_TCP6);
    append_big_u16(out, local ? 0 : (uint16_t)(2 * size + 4));
    if (local)
        return;
    buffer_bytes(out, a->source, size);
    buffer_bytes(out, a->destination, size);
    append_big_u16(out, a->source_port);
    append_big_u16(out, a->destination_port);
}

void proxy_header_append(struct buffer *out, int version, const struct proxy_address *address)
{
    if (version == 1)
        append_v1(out, address);
    else
        append_v2(out, address);
}
