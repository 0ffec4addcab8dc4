/*
 * Any bytes as a collected answer: values lie inside of it, and the response tracker agrees on
 * where a readable answer ends. What the shim itself answers is read as it was written.
 *
 * The first byte's lowest bit is DEPRECATE_EOF.
 */
#include "protocol/reply.h"
#include "protocol/response.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define VALUES 8

static void fuzz_parse(const uint8_t *data, size_t size, bool deprecate_eof)
{
    struct answer a;
    struct bytes values[VALUES];

    if (!answer_parse(&a, data, size, deprecate_eof))
        return;
    struct response r;

    response_init(&r, SHAPE_RESULT, deprecate_eof);
    size_t used = response_feed(&r, data, size);
    assert(used <= size);
    if (r.state == RESPONSE_DONE && !(r.status & STATUS_MORE_RESULTS) && !r.results)
        assert(a.failed == r.failed && (!a.failed || a.code == r.error_code));
    assert(strlen(a.state) == (a.failed ? 5 : 0) || memchr(a.state, 0, 5));
    assert(a.message.len <= size);
    answer_column(&a, "migration_uuid");
    size_t rows = 0;
    for (const uint8_t *at = a.rows_at; answer_row(&a, &at, values, VALUES); rows++) {
        assert(at > data && at <= data + size);
        for (size_t i = 0; i < VALUES; i++) {
            assert(!values[i].p ||
                   (values[i].p >= data && values[i].p + values[i].len <= data + size));
        }
    }
    assert(rows <= size / PACKET_HEADER);
}

/* The bytes as a text of lines: column names first, then a row for each other line. */
static void fuzz_round_trip(const uint8_t *data, size_t size, bool deprecate_eof)
{
    uint32_t capabilities = deprecate_eof ? CAP_DEPRECATE_EOF : 0;
    char *text = malloc(size + 1);
    const char *row[2] = {NULL, text};
    uint8_t sequence = 1;
    struct buffer b;
    struct answer a;
    struct bytes values[2];

    assert(text);
    memcpy(text, data, size);
    text[size] = '\0';
    size_t len = strlen(text);
    buffer_init(&b, 4 * size + 2000);
    reply_columns(&b, &sequence, capabilities, 2, (const char *const[]){"x", text}, 2);
    reply_row(&b, &sequence, row, 2);
    reply_rows_end(&b, &sequence, capabilities, 0x22);
    assert(!b.failed);
    assert(answer_parse(&a, b.data, b.len, deprecate_eof));
    assert(!a.failed && a.columns == 2 && a.status == 0x22);
    assert(answer_column(&a, text) >= 0);
    const uint8_t *at = a.rows_at;
    assert(answer_row(&a, &at, values, 2));
    assert(!values[0].p && values[1].len == len && memcmp(values[1].p, text, len) == 0);
    assert(!answer_row(&a, &at, values, 2));
    buffer_release(&b);

    reply_error(&b, 1, 1205, "HY000", text);
    assert(answer_parse(&a, b.data, b.len, deprecate_eof));
    assert(a.failed && a.code == 1205 && a.message.len <= 512 && a.message.len <= len);
    assert(a.message.len == 0 || memcmp(a.message.p, text, a.message.len) == 0);
    buffer_release(&b);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    fuzz_parse(data + 1, size - 1, data[0] & 1);
    fuzz_round_trip(data + 1, size - 1, data[0] & 1);
    return 0;
}
