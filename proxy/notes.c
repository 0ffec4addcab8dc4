/*
 * The notes of a session, and the statements that ask for them.
 */
#include "proxy/notes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/lexer.h"
#include "protocol/reply.h"
#include "proxy/memory.h"
#include "proxy/session.h"

struct note {
    enum note_level level;
    uint16_t code;
    char *text; /* owned */
};

struct notes {
    size_t n, counted, errors;
    struct note items[NOTES_MAX];
};

void notes_add(struct session *s, enum note_level level, uint16_t code, const char *text)
{
    if (!s->notes)
        s->notes = memory_zalloc(sizeof(*s->notes));
    struct notes *notes = s->notes;

    notes->counted++;
    notes->errors += level == NOTE_ERROR;
    if (notes->n < NOTES_MAX)
        notes->items[notes->n++] =
            (struct note){.level = level, .code = code, .text = memory_copy(text, strlen(text))};
}

uint16_t notes_count(const struct session *s)
{
    size_t n = s->notes ? s->notes->counted : 0;

    return (uint16_t)(n < UINT16_MAX ? n : UINT16_MAX);
}

void notes_clear(struct session *s)
{
    if (!s->notes)
        return;
    for (size_t i = 0; i < s->notes->n; i++)
        free(s->notes->items[i].text);
    free(s->notes);
    s->notes = NULL;
}

/* --- what is asked --------------------------------------------------------------------------- */

struct asked {
    bool count, errors;
    const char *column; /* COUNT: its name */
    uint64_t offset, limit;
};

static bool next_is(struct lexer *lx, const char *word)
{
    struct token t = lexer_next(lx);

    return token_is(&t, word);
}

static bool next_is_char(struct lexer *lx, char c)
{
    struct token t = lexer_next(lx);

    return token_is_char(&t, c);
}

static bool at_end(struct token t)
{
    return t.kind == TOKEN_END || t.kind == TOKEN_SEMICOLON;
}

static bool is_number(const struct token *t, uint64_t *out)
{
    char text[21];

    if (t->kind != TOKEN_NUMBER || t->len >= sizeof(text))
        return false;
    memcpy(text, t->text, t->len);
    text[t->len] = '\0';
    char *end;

    *out = strtoull(text, &end, 10);
    return *end == '\0';
}

/* [LIMIT [offset,] rows] */
static bool parse_limit(struct lexer *lx, struct asked *a)
{
    struct token t = lexer_next(lx);

    a->limit = UINT64_MAX;
    if (at_end(t))
        return true;
    if (!token_is(&t, "LIMIT"))
        return false;
    t = lexer_next(lx);
    if (!is_number(&t, &a->limit))
        return false;
    t = lexer_next(lx);
    if (at_end(t))
        return true;
    a->offset = a->limit;
    struct token rows = lexer_next(lx);

    return token_is_char(&t, ',') && is_number(&rows, &a->limit) && at_end(lexer_next(lx));
}

static bool parse_show(struct lexer *lx, struct asked *a)
{
    struct token t = lexer_next(lx);

    if (token_is(&t, "COUNT")) {
        if (!next_is_char(lx, '(') || !next_is_char(lx, '*') || !next_is_char(lx, ')'))
            return false;
        a->count = true;
        t = lexer_next(lx);
    }
    a->errors = token_is(&t, "ERRORS");
    if (!a->errors && !token_is(&t, "WARNINGS"))
        return false;
    a->column = a->errors ? "@@session.error_count" : "@@session.warning_count";
    return a->count ? at_end(lexer_next(lx)) : parse_limit(lx, a);
}

/* SELECT @@warning_count, alone. */
static bool parse_select(struct lexer *lx, struct asked *a)
{
    static const struct {
        const char *name;
        bool errors;
    } NAMES[] = {{"@@warning_count", false},
                 {"@@session.warning_count", false},
                 {"@@error_count", true},
                 {"@@session.error_count", true}};
    struct token t = lexer_next(lx);

    for (size_t i = 0; i < sizeof(NAMES) / sizeof(*NAMES); i++) {
        if (t.kind == TOKEN_VARIABLE && t.len == strlen(NAMES[i].name) &&
            strncasecmp(t.text, NAMES[i].name, t.len) == 0) {
            a->count = true;
            a->errors = NAMES[i].errors;
            a->column = NAMES[i].name;
            return at_end(lexer_next(lx));
        }
    }
    return false;
}

static bool parse(const char *text, size_t len, struct asked *a)
{
    struct lexer lx;

    *a = (struct asked){.count = false};
    lexer_init(&lx, text, len);
    if (next_is(&lx, "SHOW"))
        return parse_show(&lx, a);
    lexer_init(&lx, text, len);
    return next_is(&lx, "SELECT") && parse_select(&lx, a);
}

/* --- the answer ------------------------------------------------------------------------------ */

static void write_count(const struct session *s, const struct asked *a, struct buffer *out,
                        uint8_t *sequence, uint16_t status)
{
    const char *names[] = {a->column};
    char text[24];
    const char *values[] = {text};

    snprintf(text, sizeof(text), "%zu", a->errors ? s->notes->errors : s->notes->counted);
    reply_typed_columns(out, sequence, s->capabilities, status, names, 1u << 0, 1);
    reply_row(out, sequence, values, 1);
}

static void write_rows(const struct session *s, const struct asked *a, struct buffer *out,
                       uint8_t *sequence, uint16_t status)
{
    static const char *const NAMES[] = {"Level", "Code", "Message"};
    static const char *const LEVELS[] = {"Note", "Warning", "Error"};
    uint64_t seen = 0;

    reply_typed_columns(out, sequence, s->capabilities, status, NAMES, 1u << 1, 3);
    for (size_t i = 0; i < s->notes->n; i++) {
        const struct note *n = &s->notes->items[i];
        char code[8];
        const char *values[] = {LEVELS[n->level], code, n->text};

        if (a->errors && n->level != NOTE_ERROR)
            continue;
        if (seen++ < a->offset || seen - a->offset > a->limit)
            continue;
        snprintf(code, sizeof(code), "%u", n->code);
        reply_row(out, sequence, values, 3);
    }
}

bool notes_answer(struct session *s, const char *text, size_t len, uint8_t *sequence, bool more)
{
    uint16_t status = s->status & (uint16_t)~STATUS_MORE_RESULTS;
    struct buffer out;
    struct asked a;

    if (!s->notes || !parse(text, len, &a))
        return false;
    buffer_init(&out, 1u << 20);
    if (a.count)
        write_count(s, &a, &out, sequence, status);
    else
        write_rows(s, &a, &out, sequence, status);
    if (more)
        status |= STATUS_MORE_RESULTS;
    reply_rows_end(&out, sequence, s->capabilities, status);
    session_send_client(s, out.data, out.len);
    buffer_release(&out);
    return true;
}
