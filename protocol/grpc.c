/*
 * Frames and texts of gRPC.
 */
#include "protocol/grpc.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define TIMEOUT_DIGITS_MAX 99999999

const char *grpc_status_name(enum grpc_status status)
{
    static const char *const NAMES[] = {
#define X(NAME, number) [number] = #NAME,
        GRPC_STATUSES(X)
#undef X
    };
    size_t i = (size_t)status;

    return i < sizeof(NAMES) / sizeof(NAMES[0]) ? NAMES[i] : "UNKNOWN";
}

enum grpc_status grpc_status_parse(struct bytes value)
{
    unsigned n = 0;

    if (value.len == 0 || value.len > 2)
        return GRPC_UNKNOWN;
    for (size_t i = 0; i < value.len; i++) {
        if (value.p[i] < '0' || value.p[i] > '9')
            return GRPC_UNKNOWN;
        n = 10 * n + (unsigned)(value.p[i] - '0');
    }
    return n <= GRPC_UNAUTHENTICATED ? (enum grpc_status)n : GRPC_UNKNOWN;
}

enum grpc_status grpc_status_of_http(unsigned http)
{
    switch (http) {
    case 400:
        return GRPC_INTERNAL;
    case 401:
        return GRPC_UNAUTHENTICATED;
    case 403:
        return GRPC_PERMISSION_DENIED;
    case 404:
        return GRPC_UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504:
        return GRPC_UNAVAILABLE;
    default:
        return GRPC_UNKNOWN;
    }
}

size_t grpc_message_decode(char *dst, size_t size, struct bytes value)
{
    size_t n = 0;

    for (size_t i = 0; i < value.len && n + 1 < size; i++) {
        uint8_t c = value.p[i];
        int escaped = c == '%' && value.len - i > 2 ? bytes_hex_byte(value.p + i + 1) : -1;

        if (escaped >= 0) {
            c = (uint8_t)escaped;
            i += 2;
        }
        dst[n++] = c < 0x20 || c == 0x7f ? ' ' : (char)c;
    }
    dst[n] = '\0';
    return n;
}

void grpc_timeout_format(char dst[16], int64_t ms)
{
    if (ms < 1)
        ms = 1;
    if (ms <= TIMEOUT_DIGITS_MAX)
        snprintf(dst, 16, "%" PRId64 "m", ms);
    else if (ms / 1000 <= TIMEOUT_DIGITS_MAX)
        snprintf(dst, 16, "%" PRId64 "S", ms / 1000);
    else
        snprintf(dst, 16, "%dS", TIMEOUT_DIGITS_MAX);
}

void grpc_frame(struct buffer *out, const void *message, size_t len)
{
    const uint8_t head[5] = {0, (uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8),
                             (uint8_t)len};

    if (len > UINT32_MAX) {
        out->failed = true;
        return;
    }
    buffer_bytes(out, head, sizeof(head));
    buffer_bytes(out, message, len);
}

void grpc_collector_init(struct grpc_collector *c, size_t max)
{
    memset(c, 0, sizeof(*c));
    buffer_init(&c->message, max);
}

void grpc_collector_release(struct grpc_collector *c)
{
    buffer_release(&c->message);
}

static void read_head(struct grpc_collector *c)
{
    c->want = (size_t)c->head[1] << 24 | (size_t)c->head[2] << 16 | (size_t)c->head[3] << 8 |
              (size_t)c->head[4];
    if (c->head[0] != 0)
        c->error = "the answer is compressed, which was not offered";
    else if (c->want > c->message.max)
        c->error = "the answer is too large";
}

bool grpc_collect(struct grpc_collector *c, const uint8_t *data, size_t len)
{
    while (!c->error && len > 0 && c->head_len < sizeof(c->head)) {
        c->head[c->head_len++] = *data++;
        len--;
        if (c->head_len == sizeof(c->head))
            read_head(c);
    }
    if (!c->error && len > c->want - c->message.len)
        c->error = "the answer has more than one message";
    if (!c->error && len > 0)
        buffer_bytes(&c->message, data, len);
    return !c->error;
}

bool grpc_collector_whole(const struct grpc_collector *c)
{
    return !c->error && c->head_len == sizeof(c->head) && c->message.len == c->want;
}
