/*
 * Any bytes as a PROXY header. A header is found at one length only, waits at each shorter one and
 * does not depend on what follows; what is none stays none. What was read is read again from what
 * either version writes.
 */
#include "protocol/proxy_header.h"

#include "tests/fuzz/fuzz.h"

static enum proxy_result parse(const uint8_t *data, size_t len, struct proxy_address *a,
                               size_t *used)
{
    uint8_t *copy = fuzz_copy(data, len);
    enum proxy_result result = proxy_header_parse(copy, len, a, used);

    free(copy);
    return result;
}

static void write_again(const struct proxy_address *a, int version)
{
    struct proxy_address again;
    struct buffer b;
    size_t used;

    buffer_init(&b, PROXY_HEADER_MAX);
    proxy_header_append(&b, version, a);
    CHECK(!b.failed);
    CHECK(parse(b.data, b.len, &again, &used) == PROXY_DONE && used == b.len);
    CHECK(memcmp(a, &again, sizeof(again)) == 0);
    buffer_release(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct proxy_address whole, part;
    size_t used, part_used;
    enum proxy_result result = parse(data, size, &whole, &used);
    size_t most = size < PROXY_HEADER_MAX ? size : PROXY_HEADER_MAX;
    bool was_bad = false;

    CHECK(result != PROXY_DONE || (used > 0 && used <= most));
    CHECK(result != PROXY_MORE || size < PROXY_HEADER_MAX);
    for (size_t len = 0; len <= most; len++) {
        enum proxy_result r = parse(data, len, &part, &part_used);

        CHECK(!was_bad || r == PROXY_BAD);
        was_bad = r == PROXY_BAD;
        if (result == PROXY_DONE)
            CHECK(r == (len < used ? PROXY_MORE : PROXY_DONE));
        else
            CHECK(r != PROXY_DONE);
        if (r == PROXY_DONE)
            CHECK(part_used == used && memcmp(&part, &whole, sizeof(part)) == 0);
    }
    if (result == PROXY_DONE) {
        write_again(&whole, 1);
        write_again(&whole, 2);
    }
    return 0;
}
