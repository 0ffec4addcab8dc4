/*
 * A tokenizer for the MySQL dialect, good enough to tell what a statement is and which names it
 * mentions. It never fails and never reads past `end`: what it cannot understand becomes
 * single-character tokens.
 *
 * Rules (MySQL manual, "Language Structure"; where vtgate's tokenizer reads a text differently, as
 * vtgate does): comments are "#" and "//" to end of line, "--" followed by a blank or the end,
 * C-style without nesting; the contents of version comments ("/" "*!NNNNN ... ") are code and are
 * tokenized as if the markers were blanks, except from version 99000 on, which no server reaches
 * (mariadb-dump's first line). Inside of one, C-style comments of any form are skipped. Hints
 * ("/" "*+ ... ", "/" "*vt+ ... ") and MariaDB's "/" "*M! ... " form are comments: neither vtgate
 * nor MySQL executes the latter, and taking it for code would hide what stands behind it.
 * Strings are in ' or " with doubled quotes and backslash escapes; identifiers in backticks double
 * the backtick. Words may begin with digits when a letter follows (2nd_table).
 */
#ifndef VTSHIM_PLANNER_LEXER_H
#define VTSHIM_PLANNER_LEXER_H

#include <stdbool.h>
#include <stddef.h>

enum token_kind {
    TOKEN_END,       /* no more input */
    TOKEN_WORD,      /* unquoted identifier or keyword */
    TOKEN_QUOTED,    /* `identifier`; text excludes the backticks, doubled ones are kept doubled */
    TOKEN_STRING,    /* '..' or ".."; text excludes the quotes, escapes are kept */
    TOKEN_NUMBER,    /* 12, 1.5, 0x1f, 1e9 */
    TOKEN_VARIABLE,  /* @name, @@name, @@session.name: text includes the @ signs; quoted user
                        variables (@`x`) too; quotes as vtgate's tokenizer takes them */
    TOKEN_SEMICOLON, /* ; */
    TOKEN_PUNCT      /* any other single character */
};

struct token {
    enum token_kind kind;
    const char *text; /* borrowed from the input */
    size_t len;
    bool unterminated; /* a string, quoted name or comment that the input ends inside of */
};

struct lexer {
    const char *pos, *end;
    bool in_version_comment; /* inside a version comment, so that its end marker is a blank */
    bool truncated;          /* input ended inside a comment, a string or a quoted name */
};

/* Starts over sql[0..len). The text is borrowed while the lexer is in use. */
void lexer_init(struct lexer *lx, const char *sql, size_t len);

/* Skips blanks and ordinary comments. True if it stopped at a version comment's opening or at
 * MariaDB's form of it, whose contents it leaves alone; lexer_next goes on by itself. */
bool lexer_skip_blanks(struct lexer *lx);

/* The next token; TOKEN_END for ever once the input is used up (unterminated: as lx->truncated). */
struct token lexer_next(struct lexer *lx);

/* Whether a TOKEN_WORD is `keyword` (given in upper case), ignoring ASCII case. */
bool token_is(const struct token *t, const char *keyword);

/* Whether a TOKEN_PUNCT is the character c. */
bool token_is_char(const struct token *t, char c);

/*
 * The value of a TOKEN_STRING: doubled quotes and backslash escapes undone, but for \% and \_,
 * which keep their backslash ("String Literals" in the MySQL manual). dst needs room for len bytes;
 * returns the length written. `quote` is the character that delimits the string: text[-1] of an
 * unmodified token.
 */
size_t lexer_unescape(char *dst, const char *text, size_t len, char quote);

#endif
