/*
 * Tells what a statement is from its first words, and picks out the few names and settings the
 * shim acts upon. The words are in statements.def.
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
#include "planner/classify_word.h"

/* One statement being read: the token in hand, which stays on the ';' or the end once it is there.
 */
struct scan {
    struct lexer lx;
    struct token t;
    bool has_body; /* a stored program: may be compound, and then does not end at a ';' */
};

typedef void parse_fn(struct scan *s, struct statement *out);

/* Reading tokens */

static bool at_end(const struct scan *s)
{
    return s->t.kind == TOKEN_END || s->t.kind == TOKEN_SEMICOLON;
}

static void advance(struct scan *s)
{
    if (!at_end(s))
        s->t = lexer_next(&s->lx);
}

/* Past the word in hand if it is `word`. */
static bool accept(struct scan *s, const char *word)
{
    if (!token_is(&s->t, word))
        return false;
    advance(s);
    return true;
}

static bool accept_char(struct scan *s, char c)
{
    if (!token_is_char(&s->t, c))
        return false;
    advance(s);
    return true;
}

static void skip_to_word(struct scan *s, const char *word)
{
    while (!at_end(s) && !token_is(&s->t, word))
        advance(s);
}

static struct sql_name token_name(const struct token *t)
{
    return (struct sql_name){.text = t->text, .len = t->len};
}

/* One part of a name: word, `quoted`, or "quoted" as under ANSI_QUOTES. */
static bool accept_identifier(struct scan *s, struct sql_name *name)
{
    bool ansi = s->t.kind == TOKEN_STRING && s->t.text[-1] == '"';
    if (s->t.kind != TOKEN_WORD && s->t.kind != TOKEN_QUOTED && !ansi)
        return false;
    *name = token_name(&s->t);
    advance(s);
    return true;
}

/* [IF [NOT] EXISTS] [keyspace.]name */
static void parse_name(struct scan *s, struct statement *out)
{
    if (accept(s, "IF")) {
        accept(s, "NOT");
        accept(s, "EXISTS");
    }
    accept_char(s, '.'); /* ".t" is a table of the current database */
    struct sql_name second;
    if (!accept_identifier(s, &out->name) || !accept_char(s, '.'))
        return;
    if (accept_identifier(s, &second)) {
        out->qualifier = out->name;
        out->name = second;
    }
}

/* CREATE, ALTER, DROP */

enum { VERB_CREATE = 1, VERB_ALTER = 2, VERB_DROP = 4 };
enum prefix_kind { PREFIX_NONE, PREFIX_WORD, PREFIX_TEMPORARY, PREFIX_ASSIGNED, PREFIX_SECURITY };

struct object {
    enum statement_kind kind;
    enum ddl_object object;
    bool has_body;
};

static enum prefix_kind find_prefix(const struct token *t)
{
#define PREFIX(word, prefix)                                                                       \
    if (token_is(t, #word))                                                                        \
        return PREFIX_##prefix;
#include "planner/statements.def"
    return PREFIX_NONE;
}

static struct object find_object(const struct token *t, unsigned verb)
{
    enum { CREATE = VERB_CREATE, ALTER = VERB_ALTER, DROP = VERB_DROP };
#define OBJECT(word, verbs, kind, target)                                                          \
    if ((verb & (verbs)) != 0 && token_is(t, #word))                                               \
        return (struct object){STATEMENT_##kind, DDL_OBJECT_##target, false};
#define PROGRAM(word)                                                                              \
    if (token_is(t, #word))                                                                        \
        return (struct object){STATEMENT_DIRECT_DDL, DDL_OBJECT_OTHER, verb != DROP};
#include "planner/statements.def"
    return (struct object){STATEMENT_DIRECT_DDL, DDL_OBJECT_OTHER, false};
}

/* Past what may stand between the verb and the object; true if TEMPORARY was there. */
static bool skip_prefixes(struct scan *s)
{
    bool temporary = false;
    for (enum prefix_kind prefix; (prefix = find_prefix(&s->t)) != PREFIX_NONE;) {
        advance(s);
        if (prefix == PREFIX_TEMPORARY) {
            temporary = true;
        } else if (prefix == PREFIX_SECURITY) {
            accept(s, "SECURITY"); /* DEFINER | INVOKER */
            advance(s);
        } else if (prefix == PREFIX_ASSIGNED) {
            /* [=] x, for a DEFINER also user@host, user @ 'host', CURRENT_USER() */
            accept_char(s, '=');
            advance(s);
            while (!at_end(s) && s->t.kind != TOKEN_WORD)
                advance(s);
        }
    }
    return temporary;
}

/* ALTER DATABASE may leave out the name: ALTER DATABASE [DEFAULT] CHARACTER SET utf8mb4. */
static void parse_database(struct scan *s, struct statement *out)
{
    static const char *const options[] = {"DEFAULT", "CHARACTER", "CHARSET",
                                          "COLLATE", "READ",      "ENCRYPTION"};
    bool alter = out->verb == DDL_ALTER;
    for (size_t i = 0; alter && i < sizeof options / sizeof *options; i++) {
        if (token_is(&s->t, options[i]))
            return;
    }
    parse_name(s, out);
}

/* ALTER VSCHEMA ON t ..., ADD|DROP TABLE t, ADD|DROP SEQUENCE t; a vindex is no table. */
static void parse_vschema(struct scan *s, struct statement *out)
{
    while (!at_end(s)) {
        if (accept(s, "VINDEX"))
            return;
        if (accept(s, "ON") || accept(s, "TABLE") || accept(s, "SEQUENCE")) {
            parse_name(s, out);
            return;
        }
        advance(s);
    }
}

/* ALTER TABLE t DISABLE | ENABLE KEYS, which every dump has around its rows: nothing to InnoDB, but
   a copy of the whole table to an online strategy. */
static bool switches_keys(struct scan *s)
{
    return (accept(s, "DISABLE") || accept(s, "ENABLE")) && accept(s, "KEYS") && at_end(s);
}

static void parse_object(struct scan *s, struct statement *out, enum ddl_verb verb, unsigned bit)
{
    bool temporary = skip_prefixes(s);
    if (s->t.kind != TOKEN_WORD) {
        out->kind = STATEMENT_OTHER;
        return;
    }
    struct object found = find_object(&s->t, bit);
    out->kind = found.kind;
    s->has_body = found.has_body;
    advance(s);
    if (found.kind == STATEMENT_DEALLOCATE) {
        accept_identifier(s, &out->name);
        return;
    }
    if (found.kind == STATEMENT_VSCHEMA) {
        parse_vschema(s, out);
        return;
    }
    if (found.kind == STATEMENT_MIGRATION)
        return;

    out->verb = verb;
    out->object = found.object;
    switch (found.object) {
    case DDL_OBJECT_TABLE:
        out->temporary = temporary;
        parse_name(s, out);
        if (temporary || (verb == DDL_ALTER && switches_keys(s)))
            out->kind = STATEMENT_DIRECT_DDL;
        break;
    case DDL_OBJECT_VIEW:
        parse_name(s, out);
        break;
    case DDL_OBJECT_INDEX:
        skip_to_word(s, "ON");
        advance(s);
        parse_name(s, out);
        break;
    case DDL_OBJECT_DATABASE:
        parse_database(s, out);
        break;
    case DDL_OBJECT_OTHER:
        break;
    }
}

static void parse_create(struct scan *s, struct statement *out)
{
    parse_object(s, out, DDL_CREATE, VERB_CREATE);
}

static void parse_alter(struct scan *s, struct statement *out)
{
    parse_object(s, out, DDL_ALTER, VERB_ALTER);
}

static void parse_drop(struct scan *s, struct statement *out)
{
    parse_object(s, out, DDL_DROP, VERB_DROP);
}

static void parse_rename(struct scan *s, struct statement *out)
{
    out->verb = DDL_RENAME;
    if (accept(s, "TABLE") || accept(s, "TABLES")) {
        out->object = DDL_OBJECT_TABLE;
        parse_name(s, out);
    }
}

static void parse_truncate(struct scan *s, struct statement *out)
{
    out->verb = DDL_TRUNCATE;
    out->object = DDL_OBJECT_TABLE;
    accept(s, "TABLE");
    parse_name(s, out);
}

/* SET */

enum scope { SCOPE_NONE, SCOPE_SESSION, SCOPE_GLOBAL };

static enum scope find_scope(const struct sql_name *n)
{
    static const struct {
        const char *word;
        enum scope scope;
    } scopes[] = {
        {"SESSION", SCOPE_SESSION}, {"LOCAL", SCOPE_SESSION},       {"GLOBAL", SCOPE_GLOBAL},
        {"PERSIST", SCOPE_GLOBAL},  {"PERSIST_ONLY", SCOPE_GLOBAL},
    };
    for (size_t i = 0; i < sizeof scopes / sizeof *scopes; i++) {
        if (ascii_equals(n->text, n->len, scopes[i].word, strlen(scopes[i].word)))
            return scopes[i].scope;
    }
    return SCOPE_NONE;
}

static bool is_ddl_strategy(const struct sql_name *n)
{
    static const char name[] = "DDL_STRATEGY";
    return ascii_equals(n->text, n->len, name, sizeof name - 1);
}

static struct sql_name without_backticks(struct sql_name n)
{
    if (n.len >= 2 && n.text[0] == '`' && n.text[n.len - 1] == '`')
        return (struct sql_name){.text = n.text + 1, .len = n.len - 2};
    return n;
}

/* The text of @@name or @@scope.name: the scope, and whether the name is ddl_strategy. */
static bool variable_is_ddl_strategy(const struct token *t, enum scope *scope)
{
    struct sql_name n = {.text = t->text + 2, .len = t->len - 2};
    n = without_backticks(n);
    const char *dot = memchr(n.text, '.', n.len);
    if (dot != NULL) {
        struct sql_name prefix = {.text = n.text, .len = (size_t)(dot - n.text)};
        prefix = without_backticks(prefix);
        *scope = find_scope(&prefix);
        if (*scope == SCOPE_NONE)
            return false;
        n = (struct sql_name){.text = dot + 1, .len = (size_t)(t->text + t->len - dot - 1)};
        n = without_backticks(n);
    }
    return is_ddl_strategy(&n);
}

/* The left side of one assignment; true if it is ddl_strategy. */
static bool parse_set_variable(struct scan *s, enum scope *scope)
{
    bool found = false;
    *scope = SCOPE_NONE;
    if (s->t.kind == TOKEN_VARIABLE) {
        if (s->t.len > 2 && s->t.text[1] == '@')
            found = variable_is_ddl_strategy(&s->t, scope);
        advance(s);
        return found;
    }
    if (s->t.kind == TOKEN_WORD) {
        struct sql_name word = token_name(&s->t);
        *scope = find_scope(&word);
        if (*scope != SCOPE_NONE)
            advance(s);
    }
    if (s->t.kind == TOKEN_WORD || s->t.kind == TOKEN_QUOTED) {
        struct sql_name name = token_name(&s->t);
        found = is_ddl_strategy(&name);
        advance(s);
    }
    return found;
}

/* To the ',' that ends this assignment, or the end of the statement. */
static void skip_expression(struct scan *s)
{
    size_t depth = 0;
    while (!at_end(s) && (depth > 0 || !token_is_char(&s->t, ','))) {
        if (token_is_char(&s->t, '('))
            depth++;
        else if (token_is_char(&s->t, ')') && depth > 0)
            depth--;
        advance(s);
    }
}

/* DEFAULT, or the empty string: vtgate knows only the latter as the way back to its default. */
static bool accept_default(struct scan *s)
{
    if (s->t.kind != TOKEN_STRING || s->t.len > 0)
        return accept(s, "DEFAULT");
    advance(s);
    return true;
}

static void parse_set(struct scan *s, struct statement *out)
{
    bool for_session = false;
    do {
        enum scope scope;
        bool found = parse_set_variable(s, &scope);
        accept_char(s, ':'); /* := */
        if (found && accept_char(s, '=')) {
            bool is_default = accept_default(s) && (at_end(s) || token_is_char(&s->t, ','));
            out->sets_ddl_strategy = true;
            if (scope != SCOPE_GLOBAL) {
                for_session = true;
                out->ddl_strategy_default = is_default;
            }
        }
        skip_expression(s);
    } while (accept_char(s, ','));
    out->sets_global = out->sets_ddl_strategy && !for_session;
}

/* The others */

/* USE [keyspace][@tablet_type]; vtgate takes the type for a part of the name. */
static void parse_use(struct scan *s, struct statement *out)
{
    if (s->t.kind == TOKEN_VARIABLE) {
        out->name = token_name(&s->t);
        return;
    }
    bool word = s->t.kind == TOKEN_WORD;
    if (accept_identifier(s, &out->name) && word && s->t.kind == TOKEN_VARIABLE &&
        s->t.text == out->name.text + out->name.len)
        out->name.len += s->t.len;
}

/* Its keyspace, which COMMIT and ROLLBACK do not say again. */
static bool parse_transition(struct scan *s, struct statement *out, enum transition_verb verb)
{
    if (!accept(s, "TRANSITION"))
        return false;
    out->transition = verb;
    accept_identifier(s, &out->name);
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
    accept(s, "WORK");
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
    if (!accept_identifier(s, &out->name) || !accept(s, "FROM"))
        return;
    while (s->t.kind == TOKEN_WORD) /* a character set: N'..', _utf8mb4'..' */
        advance(s);
    if (s->t.kind == TOKEN_STRING)
        out->body = token_name(&s->t);
    else if (s->t.kind == TOKEN_VARIABLE && s->t.text[1] != '@')
        out->variable = token_name(&s->t);
}

static void parse_execute(struct scan *s, struct statement *out)
{
    accept_identifier(s, &out->name);
}

static void parse_deallocate(struct scan *s, struct statement *out)
{
    accept(s, "PREPARE");
    accept_identifier(s, &out->name);
}

/* EXPLAIN [FORMAT = x] ALTER TABLE ... : vtgate has no answer to it, the shim has. */
static void parse_explain(struct scan *s, struct statement *out)
{
    struct statement ddl = {.kind = STATEMENT_OTHER};
    const char *begin;

    if (accept(s, "FORMAT") && accept_char(s, '='))
        advance(s);
    begin = s->t.text;
    if (accept(s, "ALTER"))
        parse_alter(s, &ddl);
    else if (accept(s, "CREATE"))
        parse_create(s, &ddl);
    else if (accept(s, "DROP"))
        parse_drop(s, &ddl);
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
    while (accept_char(s, '('))
        continue;
    enum lock_function lock = find_lock_function(&s->t);

    if (lock == LOCK_NONE)
        return;
    advance(s);
    if (token_is_char(&s->t, '('))
        out->lock = lock;
}

/* WITH ctes SELECT|UPDATE|DELETE: the first such word that is not inside a cte's parentheses. */
static void parse_with(struct scan *s, struct statement *out)
{
    static const char *const writes[] = {"UPDATE", "DELETE", "INSERT", "REPLACE"};
    size_t depth = 0;
    for (; !at_end(s); advance(s)) {
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
    while (accept_char(s, '('))
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

static parse_fn *const parsers[] = {
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
        while (!at_end(s))
            advance(s);
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
        advance(&s);
        if (parsers[first] != NULL)
            parsers[first](&s, out);
    } else if (!at_end(&s)) {
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
