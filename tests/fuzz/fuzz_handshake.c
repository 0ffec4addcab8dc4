/*
 * Any bytes as each packet of the connection phase. Results must lie inside of the payload; what
 * is parsed, changed or written again must be read as the same.
 */
#include "protocol/handshake.h"

#include "tests/fuzz/fuzz.h"

static void check_inside(struct bytes b, const uint8_t *data, size_t size)
{
    CHECK(b.len == 0 || (b.p >= data && b.p + b.len <= data + size));
}

static bool same(struct bytes a, struct bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

static void fuzz_greeting(uint8_t *data, size_t size)
{
    struct greeting g, again;
    struct buffer b;

    if (!greeting_parse(data, size, &g))
        return;
    check_inside(g.version, data, size);
    check_inside(g.plugin, data, size);
    CHECK(g.capabilities_at_low + 2 <= size && g.capabilities_at_high + 2 <= size);
    uint32_t other = g.capabilities ^ (CAP_SSL | CAP_COMPRESS | CAP_DEPRECATE_EOF);
    greeting_set_capabilities(data, &g, other);
    CHECK(greeting_parse(data, size, &again));
    CHECK(again.capabilities == other);
    CHECK(same(again.version, g.version) && same(again.plugin, g.plugin));

    buffer_init(&b, size + 100);
    g.capabilities |= CAP_PLUGIN_AUTH;
    greeting_append(&b, &g);
    CHECK(!b.failed);
    CHECK(greeting_parse(b.data, b.len, &again));
    CHECK(same(again.version, g.version));
    CHECK(again.capabilities == g.capabilities && again.connection_id == g.connection_id);
    CHECK(again.charset == g.charset && again.status == g.status);
    CHECK(memcmp(again.salt, g.salt, SALT_LENGTH) == 0);
    /* A name without its NUL gets one. */
    CHECK(same(again.plugin, g.plugin));
    buffer_release(&b);
}

static void fuzz_response(uint8_t *data, size_t size)
{
    struct handshake_response hr, again;
    uint32_t capabilities;

    if (ssl_request_parse(data, size, &capabilities))
        CHECK(size == SSL_REQUEST_LENGTH && capabilities & CAP_SSL);
    if (!handshake_response_parse(data, size, &hr))
        return;
    CHECK(size > SSL_REQUEST_LENGTH && hr.capabilities & CAP_PROTOCOL_41);
    check_inside(hr.user, data, size);
    check_inside(hr.auth, data, size);
    check_inside(hr.database, data, size);
    check_inside(hr.plugin, data, size);
    check_inside(hr.attributes, data, size);
    check_inside(handshake_attribute(&hr, "_pid"), data, size);
    handshake_response_set_capabilities(data, hr.capabilities ^ (CAP_SSL | CAP_COMPRESS));
    CHECK(handshake_response_parse(data, size, &again));
    CHECK(again.capabilities == (hr.capabilities ^ (CAP_SSL | CAP_COMPRESS)));
    CHECK(same(again.user, hr.user) && same(again.auth, hr.auth));
    CHECK(same(again.database, hr.database) && same(again.plugin, hr.plugin));
}

static void fuzz_switch(const uint8_t *data, size_t size)
{
    struct bytes plugin, rest;

    if (!auth_switch_parse(data, size, &plugin, &rest))
        return;
    CHECK(data[0] == 0xfe);
    check_inside(plugin, data, size);
    check_inside(rest, data, size);
    CHECK(size == 1 || 1 + plugin.len + 1 + rest.len == size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy = fuzz_copy(data, size);

    fuzz_greeting(copy, size);
    memcpy(copy, data, size);
    fuzz_response(copy, size);
    fuzz_switch(data, size);
    free(copy);
    return 0;
}
