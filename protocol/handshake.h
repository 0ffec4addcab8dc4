/*
 * The connection phase: the server's greeting (HandshakeV10), the client's SSLRequest and
 * HandshakeResponse41, AuthSwitchRequest. ("Connection Phase" in the MySQL Source Code
 * Documentation.) Parses payloads without their packet header; results borrow from the payload.
 */
#ifndef VTSHIM_PROTOCOL_HANDSHAKE_H
#define VTSHIM_PROTOCOL_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/bytes.h"
#include "protocol/packet.h"

#define SALT_LENGTH        20u
#define SSL_REQUEST_LENGTH 32u

struct greeting {
    struct bytes version;
    uint32_t connection_id;
    uint32_t capabilities;
    uint8_t charset;
    uint16_t status;
    uint8_t salt[SALT_LENGTH];
    struct bytes plugin;     /* empty without CAP_PLUGIN_AUTH */
    size_t connection_id_at; /* offsets in the payload: 4 bytes, and 2 bytes each */
    size_t capabilities_at_low, capabilities_at_high;
};

/* False when the payload is no protocol-10 greeting of a 4.1 server. */
bool greeting_parse(const uint8_t *payload, size_t len, struct greeting *out);

/* Overwrites the capability flags inside of the payload that `g` was parsed from. */
void greeting_set_capabilities(uint8_t *payload, const struct greeting *g, uint32_t capabilities);

/* The same for the connection id. */
void greeting_set_connection_id(uint8_t *payload, const struct greeting *g, uint32_t id);

/* Appends a greeting's payload (no packet header) for a server of our own. */
void greeting_append(struct buffer *out, const struct greeting *g);

struct handshake_response {
    uint32_t capabilities;
    uint32_t max_packet;
    uint8_t charset;
    struct bytes user;
    struct bytes auth;       /* the plugin's first answer; may be empty */
    struct bytes database;   /* empty: none asked for */
    struct bytes plugin;     /* empty: not told */
    uint8_t zstd_level;      /* with CAP_ZSTD_COMPRESSION, as the last byte; else 0 */
    struct bytes attributes; /* connection attributes: lenenc names and values in turn */
};

/*
 * Reads COM_CHANGE_USER's payload behind the command byte ("COM_CHANGE_USER" in the documentation)
 * as if it were such a response with these capabilities. False when it is malformed.
 */
bool change_user_parse(const uint8_t *payload, size_t len, uint32_t capabilities,
                       struct handshake_response *out);

/* Whether the payload is an SSLRequest; its capability flags then go into *capabilities. */
bool ssl_request_parse(const uint8_t *payload, size_t len, uint32_t *capabilities);

/* False when it is malformed or of a client without CAP_PROTOCOL_41. */
bool handshake_response_parse(const uint8_t *payload, size_t len, struct handshake_response *out);

/* The value of a connection attribute; empty when it is not there. */
struct bytes handshake_attribute(const struct handshake_response *hr, const char *name);

/* Appends the payload of such a response; empty members are left out as the flags allow. */
void handshake_response_append(struct buffer *out, const struct handshake_response *hr);

/* Overwrites the capability flags of an SSLRequest's or HandshakeResponse41's payload. */
void handshake_response_set_capabilities(uint8_t *payload, uint32_t capabilities);

/* Appends an AuthSwitchRequest's payload: 0xfe, the plugin's name, the salt and a NUL. */
void auth_switch_append(struct buffer *out, const char *plugin, const uint8_t salt[SALT_LENGTH]);

/* Reads an AuthSwitchRequest's payload. An old-style one (0xfe alone) gives an empty plugin. */
bool auth_switch_parse(const uint8_t *payload, size_t len, struct bytes *plugin,
                       struct bytes *data);

#endif
