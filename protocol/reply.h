/*
 * Answers as a server makes them (OK, ERR, EOF, text result sets), and the reading of a whole
 * answer that was collected: for the admin port and for the questions the shim itself asks.
 */
#ifndef VTSHIM_PROTOCOL_REPLY_H
#define VTSHIM_PROTOCOL_REPLY_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/bytes.h"
#include "protocol/packet.h"

/* The errors the shim itself reports (errors.def). */
enum shim_error {
#define SHIM_ERROR(NAME, code, state, text, doc) SHIM_ERROR_##NAME,
#include "protocol/errors.def"
#undef SHIM_ERROR
    SHIM_ERROR_COUNT
};

struct shim_error_row {
    const char *name;
    uint16_t code;
    const char *state; /* SQLSTATE, 5 characters */
    const char *text;  /* a printf format; its arguments are the caller's */
    const char *doc;
};

const struct shim_error_row *shim_error_row(enum shim_error error);

/* The error's text with the arguments of its format; cut to fit. */
void shim_error_format(char *dst, size_t size, enum shim_error error, ...);
void shim_error_vformat(char *dst, size_t size, enum shim_error error, va_list args);

/* Each appends one packet with that sequence number. */
void reply_ok(struct buffer *out, uint8_t sequence, uint32_t capabilities, uint16_t status,
              uint64_t affected, uint16_t warnings, const char *info);
/* message is cut at 512 bytes, as MySQL does. */
void reply_error(struct buffer *out, uint8_t sequence, uint16_t code, const char *state,
                 const char *message);
void reply_eof(struct buffer *out, uint8_t sequence, uint16_t status);

/*
 * A progress packet, any number of which may come before the answer to a command: an ERR packet of
 * code 0xffff to a client of MariaDB that asked for them (CAP_MARIADB_PROGRESS), garbage to any
 * other. (MariaDB Knowledge Base, "ERR_Packet"; the byte 0x01 before the stage, the number of
 * strings, is missing there: cli_report_progress of Connector/C reads it.) percent_1000 is the
 * percent of this stage times 1000.
 */
void reply_progress(struct buffer *out, uint8_t sequence, uint8_t stage, uint8_t stages,
                    uint32_t percent_1000, const char *text);

/*
 * A text result set, in pieces: begin with the column names, then rows of `columns` values each
 * (NULL pointer: SQL NULL), then end. The sequence number is kept in *sequence. All columns are
 * VARCHAR in utf8mb4 (character set 45).
 */
void reply_columns(struct buffer *out, uint8_t *sequence, uint32_t capabilities, uint16_t status,
                   const char *const *names, size_t columns);
/* The same with a bit set in `numbers` for each column that is a BIGINT (in the text protocol). */
void reply_typed_columns(struct buffer *out, uint8_t *sequence, uint32_t capabilities,
                         uint16_t status, const char *const *names, uint32_t numbers,
                         size_t columns);
void reply_row(struct buffer *out, uint8_t *sequence, const char *const *values, size_t columns);
/* COM_STMT_PREPARE_OK: parameters without a name, and no columns: those are in each result. */
void reply_prepared(struct buffer *out, uint8_t *sequence, uint32_t capabilities, uint16_t status,
                    uint32_t id, unsigned params);
/* The same row in the binary protocol: for COM_STMT_EXECUTE. */
void reply_binary_row(struct buffer *out, uint8_t *sequence, const char *const *values,
                      size_t columns);
void reply_rows_end(struct buffer *out, uint8_t *sequence, uint32_t capabilities, uint16_t status);

/* A collected answer to one COM_QUERY: its first result. Values are borrowed from the bytes. */
struct answer {
    bool failed; /* ERR, perhaps behind some rows; code, state and message tell */
    uint16_t code;
    char state[6];
    struct bytes message;
    uint16_t status;  /* flags of the OK, or of the OK or EOF behind the rows */
    uint64_t columns; /* 0: an OK or ERR packet, no rows */
    const uint8_t *names_at, *rows_at, *end;
    bool deprecate_eof;
};

/* False when data is not one whole answer. */
bool answer_parse(struct answer *a, const uint8_t *data, size_t len, bool deprecate_eof);

/* The index of a column by its name (ASCII case ignored), or -1. */
int answer_column(const struct answer *a, const char *name);

/*
 * The rows in turn: *at starts as a->rows_at; false after the last. Fills at most `max` values; the
 * payload of a row must lie in one packet (questions of the shim ask for small values).
 * NULL values have p == NULL.
 */
bool answer_row(const struct answer *a, const uint8_t **at, struct bytes *values, size_t max);

#endif
