/*
 * Server-side packets, and reading a collected answer. The caller chose the capability flags.
 */
#include "protocol/reply.h"

#include <stdio.h>
#include <string.h>

#define TYPE_LONGLONG   0x08
#define TYPE_VAR_STRING 0xfd
#define CHARSET_BINARY  63
#define CHARSET_UTF8MB4 45
#define FLAGS_NUMBER    0x81 /* NOT_NULL, BINARY */
#define MESSAGE_MAX     512u

static const struct shim_error_row ERRORS[SHIM_ERROR_COUNT] = {
#define SHIM_ERROR(NAME, error_code, sqlstate, format, meaning)                                    \
    [SHIM_ERROR_##NAME] = {                                                                        \
        .name = #NAME, .code = error_code, .state = sqlstate, .text = format, .doc = meaning},
#include "protocol/errors.def"
#undef SHIM_ERROR
};

const struct shim_error_row *shim_error_row(enum shim_error error)
{
    return &ERRORS[error];
}

void shim_error_vformat(char *dst, size_t size, enum shim_error error, va_list args)
{
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* the formats are errors.def's */
    vsnprintf(dst, size, ERRORS[error].text, args);
#pragma GCC diagnostic pop
}

void shim_error_format(char *dst, size_t size, enum shim_error error, ...)
{
    va_list args;

    va_start(args, error);
    shim_error_vformat(dst, size, error, args);
    va_end(args);
}

static void ok_payload(struct buffer *out, uint8_t header, uint16_t status, uint64_t affected,
                       uint16_t warnings)
{
    buffer_u8(out, header);
    buffer_lenenc(out, affected);
    buffer_lenenc(out, 0); /* last insert id */
    buffer_u16(out, status);
    buffer_u16(out, warnings);
}

void reply_ok(struct buffer *out, uint8_t sequence, uint32_t capabilities, uint16_t status,
              uint64_t affected, uint16_t warnings, const char *info)
{
    size_t mark = packet_begin(out);

    (void)capabilities;
    ok_payload(out, 0x00, status, affected, warnings);
    /* Length-encoded with and without CLIENT_SESSION_TRACK: what servers send and clients read. */
    if (info && *info)
        buffer_lenenc_text(out, info);
    packet_end(out, mark, sequence);
}

void reply_error(struct buffer *out, uint8_t sequence, uint16_t code, const char *state,
                 const char *message)
{
    size_t mark = packet_begin(out);
    size_t len = strnlen(message, MESSAGE_MAX);

    /* Not in the middle of a UTF-8 character. */
    if (len == MESSAGE_MAX) {
        while (len > 0 && ((uint8_t)message[len] & 0xc0) == 0x80)
            len--;
    }
    buffer_u8(out, 0xff);
    buffer_u16(out, code);
    buffer_text(out, "#");
    buffer_bytes(out, state, 5);
    buffer_bytes(out, message, len);
    packet_end(out, mark, sequence);
}

void reply_eof(struct buffer *out, uint8_t sequence, uint16_t status)
{
    size_t mark = packet_begin(out);

    buffer_u8(out, 0xfe);
    buffer_u16(out, 0);
    buffer_u16(out, status);
    packet_end(out, mark, sequence);
}

void reply_progress(struct buffer *out, uint8_t sequence, uint8_t stage, uint8_t stages,
                    uint32_t percent_1000, const char *text)
{
    size_t mark = packet_begin(out);

    buffer_u8(out, 0xff);
    buffer_u16(out, 0xffff);
    buffer_u8(out, 1); /* one string */
    buffer_u8(out, stage);
    buffer_u8(out, stages);
    buffer_u24(out, percent_1000);
    buffer_lenenc_text(out, text);
    packet_end(out, mark, sequence);
}

static void reply_column(struct buffer *out, uint8_t sequence, const char *name, bool is_number)
{
    size_t mark = packet_begin(out);

    buffer_lenenc_text(out, "def");
    buffer_lenenc_text(out, ""); /* schema */
    buffer_lenenc_text(out, ""); /* table */
    buffer_lenenc_text(out, ""); /* original table */
    buffer_lenenc_text(out, name);
    buffer_lenenc_text(out, name);
    buffer_lenenc(out, 0x0c); /* length of the fixed fields */
    buffer_u16(out, is_number ? CHARSET_BINARY : CHARSET_UTF8MB4);
    buffer_u32(out, is_number ? 21 : 1024); /* column length */
    buffer_u8(out, is_number ? TYPE_LONGLONG : TYPE_VAR_STRING);
    buffer_u16(out, is_number ? FLAGS_NUMBER : 0);
    buffer_u8(out, 0);  /* decimals */
    buffer_u16(out, 0); /* filler */
    packet_end(out, mark, sequence);
}

void reply_columns(struct buffer *out, uint8_t *sequence, uint32_t capabilities, uint16_t status,
                   const char *const *names, size_t columns)
{
    reply_typed_columns(out, sequence, capabilities, status, names, 0, columns);
}

void reply_typed_columns(struct buffer *out, uint8_t *sequence, uint32_t capabilities,
                         uint16_t status, const char *const *names, uint32_t numbers,
                         size_t columns)
{
    size_t mark = packet_begin(out);

    buffer_lenenc(out, columns);
    packet_end(out, mark, (*sequence)++);
    for (size_t i = 0; i < columns; i++)
        reply_column(out, (*sequence)++, names[i], i < 32 && numbers >> i & 1);
    if (!(capabilities & CAP_DEPRECATE_EOF))
        reply_eof(out, (*sequence)++, status);
}

void reply_prepared(struct buffer *out, uint8_t *sequence, uint32_t capabilities, uint16_t status,
                    uint32_t id, unsigned params)
{
    size_t mark = packet_begin(out);

    buffer_u8(out, 0x00);
    buffer_u32(out, id);
    buffer_u16(out, 0); /* columns */
    buffer_u16(out, (uint16_t)params);
    buffer_u8(out, 0);
    buffer_u16(out, 0); /* warnings */
    packet_end(out, mark, (*sequence)++);
    for (unsigned i = 0; i < params; i++)
        reply_column(out, (*sequence)++, "?", false);
    if (params && !(capabilities & CAP_DEPRECATE_EOF))
        reply_eof(out, (*sequence)++, status);
}

void reply_row(struct buffer *out, uint8_t *sequence, const char *const *values, size_t columns)
{
    size_t mark = packet_begin(out);

    for (size_t i = 0; i < columns; i++) {
        if (values[i])
            buffer_lenenc_text(out, values[i]);
        else
            buffer_u8(out, 0xfb);
    }
    packet_end(out, mark, (*sequence)++);
}

/* ("Binary Protocol Resultset Row": the bitmap of NULLs begins at its third bit.) */
void reply_binary_row(struct buffer *out, uint8_t *sequence, const char *const *values,
                      size_t columns)
{
    size_t mark = packet_begin(out);

    buffer_u8(out, 0x00);
    for (size_t i = 0; i < (columns + 9) / 8; i++) {
        uint8_t nulls = 0;

        for (size_t bit = 0; bit < 8; bit++) {
            size_t column = i * 8 + bit - 2; /* wraps for the two bits in front: no column */

            if (column < columns && !values[column])
                nulls |= (uint8_t)(1u << bit);
        }
        buffer_u8(out, nulls);
    }
    for (size_t i = 0; i < columns; i++) {
        if (values[i])
            buffer_lenenc_text(out, values[i]);
    }
    packet_end(out, mark, (*sequence)++);
}

void reply_rows_end(struct buffer *out, uint8_t *sequence, uint32_t capabilities, uint16_t status)
{
    if (!(capabilities & CAP_DEPRECATE_EOF)) {
        reply_eof(out, (*sequence)++, status);
        return;
    }
    size_t mark = packet_begin(out);

    ok_payload(out, 0xfe, status, 0, 0);
    packet_end(out, mark, (*sequence)++);
}

/* The next packet's payload at *at; false at the end or when it is not whole. */
static bool next_packet(const uint8_t **at, const uint8_t *end, struct bytes *payload)
{
    size_t left = (size_t)(end - *at);

    if (left < PACKET_HEADER || load_u24(*at) > left - PACKET_HEADER)
        return false;
    payload->p = *at + PACKET_HEADER;
    payload->len = load_u24(*at);
    *at = payload->p + payload->len;
    return true;
}

static bool answer_parse_error(struct answer *a, struct bytes payload)
{
    struct reader in;

    reader_init(&in, payload.p + 1, payload.len - 1);
    a->failed = true;
    a->columns = 0; /* rows before it are not to be used */
    a->code = reader_u16(&in);
    memcpy(a->state, "HY000", sizeof(a->state));
    if (reader_left(&in) >= 6 && *in.pos == '#') {
        memcpy(a->state, in.pos + 1, 5);
        reader_take(&in, 6);
    }
    a->message = reader_rest(&in);
    return !in.failed;
}

/* An EOF, or with DEPRECATE_EOF an OK in its clothes: as in response.c. */
static bool is_end(const struct answer *a, struct bytes payload)
{
    size_t limit = a->deprecate_eof ? PACKET_MAX_PAYLOAD : 9;

    return payload.len > 0 && payload.len < limit && payload.p[0] == 0xfe;
}

/* Affected rows and insert id, or else the warnings of a plain EOF, then the status. */
static bool answer_parse_status(struct answer *a, struct bytes payload)
{
    struct reader in;

    reader_init(&in, payload.p, payload.len);
    if (reader_u8(&in) == 0xfe && (!a->deprecate_eof || payload.len <= 5)) {
        reader_u16(&in);
    } else {
        reader_lenenc(&in);
        reader_lenenc(&in);
    }
    a->status = reader_u16(&in);
    return !in.failed;
}

/* Walks the rows to what ends them, so that half an answer is not taken for a short one. */
static bool answer_parse_rows(struct answer *a)
{
    const uint8_t *at = a->rows_at;
    bool tail = false; /* of a row that fills the packet before */
    struct bytes payload;

    while (next_packet(&at, a->end, &payload)) {
        if (!tail && payload.len > 0 && payload.p[0] == 0xff)
            return answer_parse_error(a, payload);
        if (!tail && is_end(a, payload))
            return answer_parse_status(a, payload);
        tail = payload.len == PACKET_MAX_PAYLOAD;
    }
    return false;
}

bool answer_parse(struct answer *a, const uint8_t *data, size_t len, bool deprecate_eof)
{
    const uint8_t *at = data;
    struct bytes payload;
    struct reader in;

    memset(a, 0, sizeof(*a));
    a->deprecate_eof = deprecate_eof;
    a->end = len ? data + len : data;
    if (!next_packet(&at, a->end, &payload) || payload.len == 0)
        return false;
    if (payload.p[0] == 0xff)
        return answer_parse_error(a, payload);
    if (payload.p[0] == 0x00)
        return answer_parse_status(a, payload);
    reader_init(&in, payload.p, payload.len);
    a->columns = reader_lenenc(&in);
    a->names_at = at;
    for (uint64_t i = 0; !in.failed && i < a->columns; i++) {
        if (!next_packet(&at, a->end, &payload) || payload.len == 0)
            return false;
        if (payload.p[0] == 0xff)
            return answer_parse_error(a, payload);
    }
    if (!deprecate_eof && !(next_packet(&at, a->end, &payload) && is_end(a, payload)))
        return false;
    a->rows_at = at;
    return !in.failed && a->columns > 0 && answer_parse_rows(a);
}

static bool same_name(struct bytes b, const char *name)
{
    size_t len = strlen(name);

    if (b.len != len)
        return false;
    for (size_t i = 0; i < len; i++) {
        uint8_t x = b.p[i], y = (uint8_t)name[i];

        x = x >= 'A' && x <= 'Z' ? (uint8_t)(x | 0x20) : x;
        y = y >= 'A' && y <= 'Z' ? (uint8_t)(y | 0x20) : y;
        if (x != y)
            return false;
    }
    return true;
}

int answer_column(const struct answer *a, const char *name)
{
    const uint8_t *at = a->names_at;
    struct bytes payload;

    for (int i = 0; (uint64_t)i < a->columns && next_packet(&at, a->end, &payload); i++) {
        struct reader in;

        reader_init(&in, payload.p, payload.len);
        for (int skipped = 0; skipped < 4; skipped++) /* catalog, schema, table, original table */
            reader_lenenc_string(&in);
        if (same_name(reader_lenenc_string(&in), name) && !in.failed)
            return i;
    }
    return -1;
}

bool answer_row(const struct answer *a, const uint8_t **at, struct bytes *values, size_t max)
{
    struct bytes payload;
    struct reader in;

    if (!a->columns || !next_packet(at, a->end, &payload) || payload.len == 0)
        return false;
    if (payload.p[0] == 0xff || is_end(a, payload))
        return false;
    reader_init(&in, payload.p, payload.len);
    for (size_t i = 0; i < max; i++)
        values[i] = (struct bytes){NULL, 0};
    for (uint64_t i = 0; i < a->columns; i++) {
        bool is_null;
        struct bytes v = reader_text_value(&in, &is_null);

        if (i < max && !is_null)
            values[i] = v;
    }
    return !in.failed;
}
