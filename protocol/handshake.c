/*
 * The connection phase's packets. No cryptography here.
 */
#include "protocol/handshake.h"

#include <string.h>

bool greeting_parse(const uint8_t *payload, size_t len, struct greeting *out)
{
    struct reader in;

    memset(out, 0, sizeof(*out));
    reader_init(&in, payload, len);
    if (reader_u8(&in) != 10)
        return false;
    out->version = reader_nul_string(&in);
    out->connection_id_at = (size_t)(in.pos - payload);
    out->connection_id = reader_u32(&in);
    struct bytes salt = reader_take(&in, 8);

    if (!in.failed)
        memcpy(out->salt, salt.p, 8);
    reader_u8(&in); /* filler */
    out->capabilities_at_low = (size_t)(in.pos - payload);
    out->capabilities = reader_u16(&in);
    out->charset = reader_u8(&in);
    out->status = reader_u16(&in);
    out->capabilities_at_high = (size_t)(in.pos - payload);
    out->capabilities |= (uint32_t)reader_u16(&in) << 16;
    uint8_t salt_len = reader_u8(&in);

    reader_take(&in, 10); /* reserved */
    if (in.failed || !(out->capabilities & CAP_PROTOCOL_41) ||
        !(out->capabilities & CAP_SECURE_CONNECTION))
        return false;
    /* "max(13, length of auth-plugin-data - 8)" bytes, the last of the 21 a NUL. */
    size_t rest = salt_len > 21 ? salt_len - 8u : 13u;
    salt = reader_take(&in, rest);
    if (in.failed)
        return false;
    memcpy(out->salt + 8, salt.p, SALT_LENGTH - 8);
    if (out->capabilities & CAP_PLUGIN_AUTH) {
        const uint8_t *nul = reader_left(&in) ? memchr(in.pos, 0, reader_left(&in)) : NULL;

        /* Servers before 5.5.10 left the name without its NUL. */
        out->plugin = nul ? reader_nul_string(&in) : reader_rest(&in);
    }
    return !in.failed;
}

void greeting_set_capabilities(uint8_t *payload, const struct greeting *g, uint32_t capabilities)
{
    payload[g->capabilities_at_low] = (uint8_t)capabilities;
    payload[g->capabilities_at_low + 1] = (uint8_t)(capabilities >> 8);
    payload[g->capabilities_at_high] = (uint8_t)(capabilities >> 16);
    payload[g->capabilities_at_high + 1] = (uint8_t)(capabilities >> 24);
}

void greeting_set_connection_id(uint8_t *payload, const struct greeting *g, uint32_t id)
{
    for (size_t i = 0; i < 4; i++)
        payload[g->connection_id_at + i] = (uint8_t)(id >> (8 * i));
}

void greeting_append(struct buffer *out, const struct greeting *g)
{
    buffer_u8(out, 10);
    buffer_bytes(out, g->version.p, g->version.len);
    buffer_u8(out, 0);
    buffer_u32(out, g->connection_id);
    buffer_bytes(out, g->salt, 8);
    buffer_u8(out, 0);
    buffer_u16(out, (uint16_t)g->capabilities);
    buffer_u8(out, g->charset);
    buffer_u16(out, g->status);
    buffer_u16(out, (uint16_t)(g->capabilities >> 16));
    buffer_u8(out, SALT_LENGTH + 1);
    buffer_zeros(out, 10);
    buffer_bytes(out, g->salt + 8, SALT_LENGTH - 8);
    buffer_u8(out, 0);
    buffer_bytes(out, g->plugin.p, g->plugin.len);
    buffer_u8(out, 0);
}

bool ssl_request_parse(const uint8_t *payload, size_t len, uint32_t *capabilities)
{
    if (len != SSL_REQUEST_LENGTH)
        return false;
    *capabilities = load_u32(payload);
    return *capabilities & CAP_SSL;
}

bool handshake_response_parse(const uint8_t *payload, size_t len, struct handshake_response *out)
{
    struct reader in;

    memset(out, 0, sizeof(*out));
    reader_init(&in, payload, len);
    out->capabilities = reader_u32(&in);
    out->max_packet = reader_u32(&in);
    out->charset = reader_u8(&in);
    reader_take(&in, 23); /* filler */
    if (in.failed || !(out->capabilities & CAP_PROTOCOL_41))
        return false;
    out->user = reader_nul_string(&in);
    if (out->capabilities & CAP_PLUGIN_AUTH_LENENC)
        out->auth = reader_lenenc_string(&in);
    else if (out->capabilities & CAP_SECURE_CONNECTION)
        out->auth = reader_take(&in, reader_u8(&in));
    else
        out->auth = reader_nul_string(&in);
    /* The rest is optional in practice: clients set the flag and send nothing. */
    if (out->capabilities & CAP_CONNECT_WITH_DB && reader_left(&in) > 0)
        out->database = reader_nul_string(&in);
    if (out->capabilities & CAP_PLUGIN_AUTH && reader_left(&in) > 0) {
        const uint8_t *nul = memchr(in.pos, 0, reader_left(&in));

        out->plugin = nul ? reader_nul_string(&in) : reader_rest(&in);
    }
    if (out->capabilities & CAP_CONNECT_ATTRS && reader_left(&in) > 0) {
        struct reader attributes = in; /* malformed ones are no reason to refuse a login */

        out->attributes = reader_lenenc_string(&attributes);
        if (!attributes.failed)
            in = attributes;
    }
    if (out->capabilities & CAP_ZSTD_COMPRESSION && reader_left(&in) > 0)
        out->zstd_level = reader_u8(&in);
    return !in.failed;
}

bool change_user_parse(const uint8_t *payload, size_t len, uint32_t capabilities,
                       struct handshake_response *out)
{
    struct reader in;

    memset(out, 0, sizeof(*out));
    reader_init(&in, payload, len);
    out->capabilities = capabilities;
    out->max_packet = PACKET_MAX_PAYLOAD;
    out->user = reader_nul_string(&in);
    out->auth = reader_take(&in, reader_u8(&in));
    out->database = reader_nul_string(&in);
    /* Older clients stop here. */
    if (reader_left(&in) >= 2)
        out->charset = (uint8_t)reader_u16(&in);
    if (capabilities & CAP_PLUGIN_AUTH && reader_left(&in) > 0)
        out->plugin = reader_nul_string(&in);
    if (capabilities & CAP_CONNECT_ATTRS && reader_left(&in) > 0)
        out->attributes = reader_lenenc_string(&in);
    if (out->database.len)
        out->capabilities |= CAP_CONNECT_WITH_DB;
    else
        out->capabilities &= ~(uint32_t)CAP_CONNECT_WITH_DB;
    return !in.failed;
}

struct bytes handshake_attribute(const struct handshake_response *hr, const char *name)
{
    struct reader in;

    reader_init(&in, hr->attributes.p, hr->attributes.len);
    while (reader_left(&in) > 0 && !in.failed) {
        struct bytes key = reader_lenenc_string(&in);
        struct bytes value = reader_lenenc_string(&in);

        if (!in.failed && key.len == strlen(name) && memcmp(key.p, name, key.len) == 0)
            return value;
    }
    return (struct bytes){NULL, 0};
}

void handshake_response_append(struct buffer *out, const struct handshake_response *hr)
{
    buffer_u32(out, hr->capabilities);
    buffer_u32(out, hr->max_packet);
    buffer_u8(out, hr->charset);
    buffer_zeros(out, 23);
    buffer_bytes(out, hr->user.p, hr->user.len);
    buffer_u8(out, 0);
    if (hr->capabilities & CAP_PLUGIN_AUTH_LENENC) {
        buffer_lenenc_bytes(out, hr->auth.p, hr->auth.len);
    } else {
        if (hr->auth.len > UINT8_MAX)
            out->failed = true;
        buffer_u8(out, (uint8_t)hr->auth.len);
        buffer_bytes(out, hr->auth.p, hr->auth.len);
    }
    if (hr->capabilities & CAP_CONNECT_WITH_DB) {
        buffer_bytes(out, hr->database.p, hr->database.len);
        buffer_u8(out, 0);
    }
    if (hr->capabilities & CAP_PLUGIN_AUTH) {
        buffer_bytes(out, hr->plugin.p, hr->plugin.len);
        buffer_u8(out, 0);
    }
    if (hr->capabilities & CAP_CONNECT_ATTRS)
        buffer_lenenc_bytes(out, hr->attributes.p, hr->attributes.len);
    if (hr->capabilities & CAP_ZSTD_COMPRESSION)
        buffer_u8(out, hr->zstd_level);
}

void handshake_response_set_capabilities(uint8_t *payload, uint32_t capabilities)
{
    for (size_t i = 0; i < 4; i++)
        payload[i] = (uint8_t)(capabilities >> (8 * i));
}

void auth_switch_append(struct buffer *out, const char *plugin, const uint8_t salt[SALT_LENGTH])
{
    buffer_u8(out, 0xfe);
    buffer_bytes(out, plugin, strlen(plugin) + 1);
    buffer_bytes(out, salt, SALT_LENGTH);
    buffer_u8(out, 0);
}

bool auth_switch_parse(const uint8_t *payload, size_t len, struct bytes *plugin, struct bytes *data)
{
    struct reader in;

    reader_init(&in, payload, len);
    if (reader_u8(&in) != 0xfe)
        return false;
    *plugin = *data = (struct bytes){payload, 0};
    if (reader_left(&in) == 0)
        return !in.failed;
    *plugin = reader_nul_string(&in);
    *data = reader_rest(&in);
    return !in.failed;
}
