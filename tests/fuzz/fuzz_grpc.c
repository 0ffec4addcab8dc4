/*
 * Any bytes as the DATA frames of a unary response, in pieces, and as its grpc-message and
 * grpc-status: nothing is read beyond them, a message never passes its bound, and what we frame is
 * what we collect. The decoded message as a refusal of vtctld.
 *
 * The first byte is the size of the pieces.
 */
#include "protocol/grpc.h"
#include "proxy/vtctld_error.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX 1000

static void fuzz_pieces(const uint8_t *data, size_t size, size_t piece)
{
    struct grpc_collector c;
    bool good = true;

    grpc_collector_init(&c, MAX);
    for (size_t at = 0; at < size; at += piece) {
        size_t n = piece < size - at ? piece : size - at;
        bool now = grpc_collect(&c, data + at, n);

        assert(good || !now); /* an error stays one */
        good = now;
        assert(c.message.len <= MAX && !c.message.failed);
    }
    if (grpc_collector_whole(&c)) {
        struct buffer again;

        buffer_init(&again, MAX + 5);
        grpc_frame(&again, c.message.data, c.message.len);
        assert(again.len == size && memcmp(again.data, data, size) == 0);
        buffer_release(&again);
    }
    grpc_collector_release(&c);
}

static void fuzz_refusal(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    struct vtctld_error e;

    assert(text);
    grpc_message_decode(text, size + 1, (struct bytes){data, size});
    vtctld_error_read(&e, GRPC_UNKNOWN, text);
    assert(e.code > 0 && strlen(e.state) == 5 && strlen(e.text) < sizeof(e.text));
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char decoded[64];

    if (size == 0)
        return 0;
    fuzz_pieces(data + 1, size - 1, (size_t)data[0] + 1);
    fuzz_refusal(data + 1, size - 1);
    size_t n = grpc_message_decode(decoded, sizeof(decoded), (struct bytes){data + 1, size - 1});
    assert(n < sizeof(decoded) && strlen(decoded) == n);
    assert(grpc_status_parse((struct bytes){data + 1, size - 1}) <= GRPC_UNAUTHENTICATED);
    return 0;
}
