/*
 * Reading a statement token by token: what classify.c, classify_ddl.c and classify_set.c share. For
 * them alone.
 */
#ifndef VTSHIM_PLANNER_CLASSIFY_SCAN_H
#define VTSHIM_PLANNER_CLASSIFY_SCAN_H

#include "planner/classify.h"

/* One statement being read: the token in hand, which stays on the ';' or the end once it is there.
 */
struct scan {
    struct lexer lx;
    struct token t;
    bool has_body; /* a stored program: may be compound, and then does not end at a ';' */
};

static inline bool scan_at_end(const struct scan *s)
{
    return s->t.kind == TOKEN_END || s->t.kind == TOKEN_SEMICOLON;
}

static inline void scan_advance(struct scan *s)
{
    if (!scan_at_end(s))
        s->t = lexer_next(&s->lx);
}

/* Past the word in hand if it is `word`. */
static inline bool scan_accept(struct scan *s, const char *word)
{
    if (!token_is(&s->t, word))
        return false;
    scan_advance(s);
    return true;
}

static inline bool scan_accept_char(struct scan *s, char c)
{
    if (!token_is_char(&s->t, c))
        return false;
    scan_advance(s);
    return true;
}

static inline void scan_skip_to_word(struct scan *s, const char *word)
{
    while (!scan_at_end(s) && !token_is(&s->t, word))
        scan_advance(s);
}

static inline struct sql_name scan_name(const struct token *t)
{
    return (struct sql_name){.text = t->text, .len = t->len};
}

/* One part of a name: word, `quoted`, or "quoted" as under ANSI_QUOTES. */
static inline bool scan_accept_identifier(struct scan *s, struct sql_name *name)
{
    bool ansi = s->t.kind == TOKEN_STRING && s->t.text[-1] == '"';
    if (s->t.kind != TOKEN_WORD && s->t.kind != TOKEN_QUOTED && !ansi)
        return false;
    *name = scan_name(&s->t);
    scan_advance(s);
    return true;
}

/* [IF [NOT] EXISTS] [keyspace.]name */
static inline void scan_accept_table(struct scan *s, struct statement *out)
{
    if (scan_accept(s, "IF")) {
        scan_accept(s, "NOT");
        scan_accept(s, "EXISTS");
    }
    scan_accept_char(s, '.'); /* ".t" is a table of the current database */
    struct sql_name second;
    if (!scan_accept_identifier(s, &out->name) || !scan_accept_char(s, '.'))
        return;
    if (scan_accept_identifier(s, &second)) {
        out->qualifier = out->name;
        out->name = second;
    }
}

/* Each reads on behind the statement's first word, and fills in *out, whose kind is that of the
   word. */
typedef void classify_fn(struct scan *s, struct statement *out);

/* classify_ddl.c */
classify_fn classify_create, classify_alter, classify_drop, classify_rename, classify_truncate;

/* classify_set.c */
classify_fn classify_set;

#endif
