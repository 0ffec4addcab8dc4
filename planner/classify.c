/*
 * Tells what a statement is from its first words, and picks out the few names and settings the
 * shim acts upon. The words are in statements.def; what follows those of DDL is read in
 * classify_ddl.c, SET in classify_set.c.
 *
 * It does not check syntax: of a text that vtgate will refuse it may say anything, as long as a
 * text that vtgate executes is told rightly. A statement ends at the first ';' outside of strings,
 * quoted names and comments, or with the text.
 *
 * Invariant: every name in struct statement lies inside the text and is one that names_collect
 * finds.
 */
#include "planner/classify.h"

#include <string.h>

#include "planner/ascii.h"
#include "planner/classify_scan.h"
#include "planner/classify_word.h"

/* USE [keyspace][@tablet_type]; vtgate takes the type for a part of the name. */
static void parse_use(struct scan *s, struct statement *out)
{
    if (s->t.kind == TOKEN_VARIABLE) {
        out->name = scan_name(&s->t);
        return;
    }
    bool word = s->t.kind == TOKEN_WORD;
    if (scan_accept_identifier(s, &out->name) && word && s->t.kind == TOKEN_VARIABLE &&
        s->t.text == out->name.text + out->name.len)
        out->name.len += s->t.len;
}

/* Its keyspace, which COMMIT and ROLLBACK do not say again. */
static bool parse_transition(struct scan *s, struct statement *out, enum transition_verb verb)
{
    if (!scan_accept(s, "TRANSITION"))
        return false;
    out->transition = verb;
    scan_accept_identifier(s, &out->name);
    return true;
}

static void parse_begin(struct scan *s, struct statement *out)
{
    parse_transition(s, out, TRANSITION_BEGIN);
}

static void parse_commit(struct scan *s, struct statement *out)
{
    parse_transition(s, out, TRANSITION_COMMIT);
}

static void parse_rollback(struct scan *s, struct statement *out)
{
    if (parse_transition(s, out, TRANSITION_ROLLBACK))
        return;
    scan_accept(s, "WORK");
    if (token_is(&s->t, "TO"))
        out->kind = STATEMENT_SAVEPOINT;
}

static void parse_start(struct scan *s, struct statement *out)
{
    if (token_is(&s->t, "TRANSACTION"))
        out->kind = STATEMENT_BEGIN;
}

static void parse_revert(struct scan *s, struct statement *out)
{
    if (token_is(&s->t, "VITESS_MIGRATION"))
        out->kind = STATEMENT_MIGRATION;
}

/* PREPARE name FROM 'text' | @variable */
static void parse_prepare(struct scan *s, struct statement *out)
{
    if (!scan_accept_identifier(s, &out->name) || !scan_accept(s, "FROM"))
        return;
    while (s->t.kind == TOKEN_WORD) /* a character set: N'..', _utf8mb4'..' */
        scan_advance(s);
    if (s->t.kind == TOKEN_STRING)
        out->body = scan_name(&s->t);
    else if (s->t.kind == TOKEN_VARIABLE && s->t.text[1] != '@')
        out->variable = scan_name(&s->t);
}

static void parse_execute(struct scan *s, struct statement *out)
{
    scan_accept_identifier(s, &out->name);
}

static void parse_deallocate(struct scan *s, struct statement *out)
{
    scan_accept(s, "PREPARE");
    scan_accept_identifier(s, &out->name);
}

/* EXPLAIN [FORMAT = x] ALTER TABLE ... : vtgate has no answer to it, the shim has. */
static void parse_explain(struct scan *s, struct statement *out)
{
    struct statement ddl = {.kind = STATEMENT_OTHER};
    const char *begin;

    if (scan_accept(s, "FORMAT") && scan_accept_char(s, '='))
        scan_advance(s);
    begin = s->t.text;
    if (scan_accept(s, "ALTER"))
        classify_alter(s, &ddl);
    else if (scan_accept(s, "CREATE"))
        classify_create(s, &ddl);
    else if (scan_accept(s, "DROP"))
        classify_drop(s, &ddl);
    s->has_body = false;
    if (ddl.kind != STATEMENT_ONLINE_DDL)
        return;
    out->kind = STATEMENT_EXPLAIN_DDL;
    out->verb = ddl.verb;
    out->object = ddl.object;
    out->qualifier = ddl.qualifier;
    out->name = ddl.name;
    out->body.text = begin; /* its length is known at the end */
}

/* The lock function that is called at this word, if any. */
static enum lock_function find_lock_function(const struct token *t)
{
    if (token_is(t, "GET_LOCK"))
        return LOCK_GET;
    if (token_is(t, "RELEASE_LOCK"))
        return LOCK_RELEASE;
    return token_is(t, "RELEASE_ALL_LOCKS") ? LOCK_RELEASE_ALL : LOCK_NONE;
}

/* SELECT [(..]GET_LOCK(..); "SELECT get_lock FROM t" is a column. */
static void parse_select(struct scan *s, struct statement *out)
{
    while (scan_accept_char(s, '('))
        continue;
    enum lock_function lock = find_lock_function(&s->t);

    if (lock == LOCK_NONE)
        return;
    scan_advance(s);
    if (token_is_char(&s->t, '('))
        out->lock = lock;
}

/* WITH ctes SELECT|UPDATE|DELETE: the first such word that is not inside a cte's parentheses. */
static void parse_with(struct scan *s, struct statement *out)
{
    static const char *const writes[] = {"UPDATE", "DELETE", "INSERT", "REPLACE"};
    size_t depth = 0;
    for (; !scan_at_end(s); scan_advance(s)) {
        if (token_is_char(&s->t, '(')) {
            depth++;
        } else if (token_is_char(&s->t, ')') && depth > 0) {
            depth--;
        } else if (depth == 0 && s->t.kind == TOKEN_WORD) {
            if (token_is(&s->t, "SELECT") || token_is(&s->t, "FOR")) /* (SELECT ..) FOR UPDATE */
                return;
            for (size_t i = 0; i < sizeof writes / sizeof *writes; i++) {
                if (token_is(&s->t, writes[i])) {
                    out->kind = STATEMENT_WRITE;
                    return;
                }
            }
        }
    }
}

static void parse_parenthesised(struct scan *s, struct statement *out)
{
    while (scan_accept_char(s, '('))
        continue;
    if (token_is(&s->t, "SELECT") || token_is(&s->t, "WITH") || token_is(&s->t, "VALUES") ||
        token_is(&s->t, "TABLE"))
        out->kind = STATEMENT_READ;
}

/* By the row of the first word. */
static const enum statement_kind first_word_kinds[] = {
    [ROW_UNKNOWN] = STATEMENT_OTHER,
#define KEYWORD(word, kind, quick, parse) [ROW_##word] = STATEMENT_##kind,
#include "planner/statements.def"
};

static classify_fn *const parsers[] = {
    [ROW_UNKNOWN] = NULL,
#define KEYWORD(word, kind, quick, parse) [ROW_##word] = parse,
#include "planner/statements.def"
};

/*
 * How deep we are in a stored program's body: the ';' that ends the statement is not inside of
 * BEGIN
 * .. END or CASE .. END. An END that closes IF, LOOP, REPEAT or WHILE needs no counting in a block;
 * a body that starts with one of those extends to the end of the text.
 */
struct body {
    size_t blocks, cases;
    bool open_ended;
    bool fresh;     /* at the start of a statement of the body, where END may close a block */
    bool after_end; /* END CASE opens nothing */
};

static void follow_body(struct body *b, const struct token *t, const struct token *next)
{
    bool fresh = b->fresh, after_end = b->after_end;
    b->fresh = t->kind == TOKEN_SEMICOLON;
    b->after_end = token_is(t, "END");
    if (token_is(t, "BEGIN")) {
        b->blocks++;
        b->fresh = true;
    } else if (token_is(t, "CASE")) {
        b->cases += !after_end;
    } else if (b->after_end) {
        if (token_is(next, "IF") || token_is(next, "LOOP") || token_is(next, "REPEAT") ||
            token_is(next, "WHILE"))
            return;
        if (b->cases > 0)
            b->cases--;
        else if (fresh && b->blocks > 0)
            b->blocks--;
    } else if (b->blocks == 0 && b->cases == 0 &&
               (token_is(t, "THEN") || token_is(t, "LOOP") || token_is(t, "REPEAT") ||
                token_is(t, "WHILE"))) {
        b->open_ended = true;
    }
}

/* To the ';' that ends the statement, or the end of the text. */
static void skip_to_end(struct scan *s)
{
    struct body body = {.blocks = 0};
    if (!s->has_body) {
        while (!scan_at_end(s))
            scan_advance(s);
        return;
    }
    while (s->t.kind != TOKEN_END) {
        bool inside = body.blocks > 0 || body.cases > 0 || body.open_ended;
        if (s->t.kind == TOKEN_SEMICOLON && !inside)
            return;
        struct token next = lexer_next(&s->lx);
        follow_body(&body, &s->t, &next);
        s->t = next;
    }
}

size_t classify_next(const char *sql, size_t len, struct statement *out)
{
    struct scan s = {.has_body = false};
    lexer_init(&s.lx, sql, len);
    const char *begin = s.lx.pos;
    while (s.lx.pos < s.lx.end && ascii_is(*s.lx.pos, ASCII_BLANK))
        s.lx.pos++;
    *out = (struct statement){.kind = STATEMENT_EMPTY, .text = s.lx.pos};

    s.t = lexer_next(&s.lx);
    if (s.t.kind == TOKEN_WORD) {
        enum first_word_row first = classify_first_word(s.t.text, s.t.len);
        out->kind = first_word_kinds[first];
        scan_advance(&s);
        if (parsers[first] != NULL)
            parsers[first](&s, out);
    } else if (!scan_at_end(&s)) {
        out->kind = STATEMENT_OTHER;
        if (token_is_char(&s.t, '('))
            parse_parenthesised(&s, out);
    }
    skip_to_end(&s);
    out->len = (size_t)(s.t.text - out->text);
    if (out->kind == STATEMENT_EXPLAIN_DDL)
        out->body.len = (size_t)(s.t.text - out->body.text);
    out->truncated = s.lx.truncated || s.lx.in_version_comment;
    return (size_t)(s.lx.pos - begin);
}

bool classify_is_multi(const char *sql, size_t len)
{
    if (len == 0 || memchr(sql, ';', len) == NULL)
        return false;
    struct statement first;
    size_t at = classify_next(sql, len, &first);
    struct token t;
    do { /* each statement is read from its beginning, as classify_next does */
        struct lexer lx;
        lexer_init(&lx, sql + at, len - at);
        t = lexer_next(&lx);
        at = (size_t)(lx.pos - sql);
    } while (t.kind == TOKEN_SEMICOLON);
    return t.kind != TOKEN_END;
}

const char *statement_kind_name(enum statement_kind kind)
{
    static const char *const names[] = {
        [STATEMENT_EMPTY] = "empty",
        [STATEMENT_OTHER] = "other",
        [STATEMENT_READ] = "read",
        [STATEMENT_WRITE] = "write",
        [STATEMENT_BEGIN] = "begin",
        [STATEMENT_END_TRANSACTION] = "end_transaction",
        [STATEMENT_SAVEPOINT] = "savepoint",
        [STATEMENT_SET] = "set",
        [STATEMENT_USE] = "use",
        [STATEMENT_SHOW] = "show",
        [STATEMENT_EXPLAIN_DDL] = "explain_ddl",
        [STATEMENT_ONLINE_DDL] = "online_ddl",
        [STATEMENT_DIRECT_DDL] = "direct_ddl",
        [STATEMENT_VSCHEMA] = "vschema",
        [STATEMENT_MIGRATION] = "migration",
        [STATEMENT_PREPARE] = "prepare",
        [STATEMENT_EXECUTE] = "execute",
        [STATEMENT_DEALLOCATE] = "deallocate",
        [STATEMENT_LOCK] = "lock",
        [STATEMENT_KILL] = "kill",
    };
    return (size_t)kind < sizeof names / sizeof *names ? names[kind] : "unknown";
}
