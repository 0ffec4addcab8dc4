/*
 * Any bytes as a collected answer: values lie inside of it, and the response tracker agrees on
 * where a readable answer ends. What the shim itself answers is read as it was written.
 *
 * The first byte's lowest bit is DEPRECATE_EOF.
 */
#include "protocol/reply.h"
#include "protocol/response.h"

#include "tests/fuzz/fuzz.h"

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
    CHECK(used <= size);
    if (r.state == RESPONSE_DONE && !(r.status & STATUS_MORE_RESULTS) && !r.results)
        CHECK(a.failed == r.failed && (!a.failed || a.code == r.error_code));
    CHECK(strlen(a.state) == (a.failed ? 5 : 0) || memchr(a.state, 0, 5));
    CHECK(a.message.len <= size);
    answer_column(&a, "migration_uuid");
    size_t rows = 0;
    for (const uint8_t *at = a.rows_at; answer_row(&a, &at, values, VALUES); rows++) {
        CHECK(at > data && at <= data + size);
        for (size_t i = 0; i < VALUES; i++) {
            CHECK(!values[i].p ||
                  (values[i].p >= data && values[i].p + values[i].len <= data + size));
        }
    }
    CHECK(rows <= size / PACKET_HEADER);
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

    CHECK(text);
    memcpy(text, data, size);
    text[size] = '\0';
    size_t len = strlen(text);
    buffer_init(&b, 4 * size + 2000);
    reply_columns(&b, &sequence, capabilities, 2, (const char *const[]){"x", text}, 2);
    reply_row(&b, &sequence, row, 2);
    reply_rows_end(&b, &sequence, capabilities, 0x22);
    CHECK(!b.failed);
    CHECK(answer_parse(&a, b.data, b.len, deprecate_eof));
    CHECK(!a.failed && a.columns == 2 && a.status == 0x22);
    CHECK(answer_column(&a, text) >= 0);
    const uint8_t *at = a.rows_at;
    CHECK(answer_row(&a, &at, values, 2));
    CHECK(!values[0].p && values[1].len == len && memcmp(values[1].p, text, len) == 0);
    CHECK(!answer_row(&a, &at, values, 2));
    buffer_release(&b);

    reply_error(&b, 1, 1205, "HY000", text);
    CHECK(answer_parse(&a, b.data, b.len, deprecate_eof));
    CHECK(a.failed && a.code == 1205 && a.message.len <= 512 && a.message.len <= len);
    CHECK(a.message.len == 0 || memcmp(a.message.p, text, a.message.len) == 0);
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
