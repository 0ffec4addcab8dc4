/*
 * Prepared statements on the admin port, for drivers that know no other: the text is kept, its
 * question marks are replaced by the values as literals, and what comes of it runs as any command.
 * A statement says nothing of its columns before it is executed, as MySQL's own for SHOW once did:
 * they are in each answer.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/lexer.h"
#include "protocol/command.h"
#include "proxy/admin_internal.h"
#include "proxy/memory.h"

#define STATEMENTS_MAX 64
#define TEXT_MAX       (64u << 10)
#define PARAMS_MAX     16

/* MySQL's types, "Command Phase: COM_STMT_EXECUTE"; the high byte of a type has the sign. */
enum {
    TYPE_TINY = 1,
    TYPE_SHORT = 2,
    TYPE_LONG = 3,
    TYPE_DOUBLE = 5,
    TYPE_NULL = 6,
    TYPE_LONGLONG = 8
};
#define TYPE_UNSIGNED 0x8000u

struct admin_statement {
    LIST_ENTRY(admin_statement) link;
    uint32_t id;
    char *text;
    size_t len;
    unsigned params;
    uint16_t types[PARAMS_MAX]; /* of the last execution that told them */
};

static struct admin_statement *find(struct admin_client *c, uint32_t id)
{
    struct admin_statement *s;

    LIST_FOREACH(s, &c->statements, link)
    {
        if (s->id == id)
            return s;
    }
    return NULL;
}

static void forget(struct admin_client *c, struct admin_statement *s)
{
    LIST_REMOVE(s, link);
    c->statement_count--;
    free(s->text);
    free(s);
}

void admin_prepared_forget_all(struct admin_client *c)
{
    while (!LIST_EMPTY(&c->statements))
        forget(c, LIST_FIRST(&c->statements));
}

/* --- COM_STMT_PREPARE ------------------------------------------------------------------------ */

static unsigned count_params(const char *text, size_t len)
{
    struct lexer lx;
    unsigned n = 0;

    lexer_init(&lx, text, len);
    for (struct token t = lexer_next(&lx); t.kind != TOKEN_END; t = lexer_next(&lx))
        n += token_is_char(&t, '?');
    return n;
}

static void prepare(struct admin_request *rq, const char *text, size_t len)
{
    struct admin_client *c = rq->sink_arg;
    unsigned params = count_params(text, len);

    if (c->statement_count == STATEMENTS_MAX) {
        admin_reply_error(rq, 1461, "42000",
                          "Can't create more than max_prepared_stmt_count statements (current "
                          "value: %d)",
                          STATEMENTS_MAX);
        return;
    }
    if (len > TEXT_MAX || params > PARAMS_MAX) {
        admin_reply_error(rq, 1390, "HY000",
                          "Prepared statement contains too many placeholders, or is too long");
        return;
    }
    struct admin_statement *s = memory_zalloc(sizeof(*s));

    s->id = ++c->last_statement;
    s->text = memory_copy(text, len);
    s->len = len;
    s->params = params;
    LIST_INSERT_HEAD(&c->statements, s, link);
    c->statement_count++;
    admin_reply_prepared(rq, s->id, params);
}

/* --- COM_STMT_EXECUTE ------------------------------------------------------------------------ */

static void append_number(struct buffer *out, struct reader *in, size_t size, bool is_unsigned)
{
    uint64_t value = 0;
    char text[24];

    for (size_t i = 0; i < size; i++)
        value |= (uint64_t)reader_u8(in) << (8 * i);
    if (!is_unsigned && size < 8 && value >> (8 * size - 1))
        value |= UINT64_MAX << (8 * size);
    if (is_unsigned)
        snprintf(text, sizeof(text), "%" PRIu64, value);
    else
        snprintf(text, sizeof(text), "%" PRId64, (int64_t)value);
    buffer_bytes(out, text, strlen(text));
}

/* What drivers of languages that know no integers (node's) send for every number. */
static bool append_double(struct buffer *out, struct reader *in)
{
    uint64_t bits = 0;
    double value;
    char text[32];

    for (size_t i = 0; i < 8; i++)
        bits |= (uint64_t)reader_u8(in) << (8 * i);
    memcpy(&value, &bits, sizeof(value));
    if (!isfinite(value))
        return false;
    snprintf(text, sizeof(text), "%.15g", value);
    buffer_bytes(out, text, strlen(text));
    return true;
}

static void append_text(struct buffer *out, struct reader *in)
{
    struct bytes value = reader_lenenc_string(in);

    buffer_u8(out, '\'');
    for (size_t i = 0; !in->failed && i < value.len; i++) {
        if (value.p[i] == '\'' || value.p[i] == '\\')
            buffer_u8(out, '\\');
        buffer_u8(out, value.p[i]);
    }
    buffer_u8(out, '\'');
}

/* False: a type that no command has a use for. */
static bool append_value(struct buffer *out, struct reader *in, uint16_t type)
{
    bool is_unsigned = type & TYPE_UNSIGNED;

    switch (type & 0xff) {
    case TYPE_TINY:
        append_number(out, in, 1, is_unsigned);
        return true;
    case TYPE_SHORT:
        append_number(out, in, 2, is_unsigned);
        return true;
    case TYPE_LONG:
        append_number(out, in, 4, is_unsigned);
        return true;
    case TYPE_LONGLONG:
        append_number(out, in, 8, is_unsigned);
        return true;
    case TYPE_DOUBLE:
        return append_double(out, in);
    case TYPE_NULL:
        buffer_bytes(out, "NULL", 4);
        return true;
    case 15:  /* VARCHAR */
    case 246: /* NEWDECIMAL */
    case 249: /* the BLOBs */
    case 250:
    case 251:
    case 252:
    case 253: /* VAR_STRING */
    case 254: /* STRING */
        append_text(out, in);
        return true;
    default:
        return false;
    }
}

/* The command with its values. False: the packet is malformed, or has a type that is not known. */
static bool substitute(struct admin_statement *s, struct reader *in, struct buffer *out)
{
    const char *copied = s->text;
    struct bytes nulls = reader_take(in, s->params ? (s->params + 7) / 8 : 0);
    struct lexer lx;
    unsigned n = 0;

    if (s->params && reader_u8(in)) {
        for (unsigned i = 0; i < s->params; i++)
            s->types[i] = reader_u16(in);
    }
    lexer_init(&lx, s->text, s->len);
    for (struct token t = lexer_next(&lx); t.kind != TOKEN_END && !in->failed;
         t = lexer_next(&lx)) {
        if (!token_is_char(&t, '?'))
            continue;
        buffer_bytes(out, copied, (size_t)(t.text - copied));
        copied = t.text + t.len;
        if (nulls.p[n / 8] >> n % 8 & 1)
            buffer_bytes(out, "NULL", 4);
        else if (!append_value(out, in, s->types[n]))
            return false;
        n++;
    }
    buffer_bytes(out, copied, (size_t)(s->text + s->len - copied));
    return !in->failed && !out->failed;
}

static void execute(struct admin_request *rq, struct admin_statement *s, struct reader *in)
{
    struct buffer text;

    reader_take(in, 5); /* cursor flags, of which none is obeyed, and the iteration count */
    buffer_init(&text, 2 * TEXT_MAX);
    if (substitute(s, in, &text)) {
        rq->binary = true;
        admin_command(rq, text.len ? (const char *)text.data : "", text.len);
    } else {
        admin_reply_error(rq, 1210, "HY000", "Incorrect arguments to mysqld_stmt_execute");
    }
    buffer_release(&text);
}

void admin_prepared_command(struct admin_request *rq, const uint8_t *payload, size_t len)
{
    struct admin_client *c = rq->sink_arg;
    struct reader in;

    reader_init(&in, payload + 1, len - 1);
    if (payload[0] == COM_STMT_PREPARE) {
        prepare(rq, (const char *)payload + 1, len - 1);
        return;
    }
    uint32_t id = reader_u32(&in);
    struct admin_statement *s = in.failed ? NULL : find(c, id);

    if (payload[0] == COM_STMT_CLOSE) {
        if (s)
            forget(c, s);
        admin_reply_nothing(rq);
    } else if (payload[0] == COM_STMT_SEND_LONG_DATA) {
        admin_reply_nothing(rq); /* a value of that kind is then missing from the execution */
    } else if (!s) {
        admin_reply_error(
            rq, 1243, "HY000",
            "Unknown prepared statement handler (%" PRIu32 ") given to the admin port", id);
    } else if (payload[0] == COM_STMT_RESET) {
        admin_reply_ok(rq, 0, NULL);
    } else {
        execute(rq, s, &in);
    }
}
