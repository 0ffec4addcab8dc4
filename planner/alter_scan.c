/*
 * Reading tokens for the DDL parser: one token of look-ahead, a flag for what was not understood.
 *
 * Invariants: each accepted token moves on; at the end nothing does, so that every loop that stops
 * at the end or on `failed` ends.
 */
#include "planner/alter_scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/ascii.h"

#define ACTIONS_MAX 16384
#define PARTS_MAX   65536

void scan_begin(struct ddl_scan *s, const char *sql, size_t len, struct ddl *d)
{
    *s = (struct ddl_scan){.ddl = d};
    lexer_init(&s->lx, sql, len);
    s->t = lexer_next(&s->lx);
    s->next = lexer_next(&s->lx);
}

bool scan_at_end(const struct ddl_scan *s)
{
    return s->t.kind == TOKEN_END || s->t.kind == TOKEN_SEMICOLON;
}

void scan_advance(struct ddl_scan *s)
{
    if (scan_at_end(s))
        return;
    s->t = s->next;
    if (!scan_at_end(s))
        s->next = lexer_next(&s->lx);
}

bool scan_accept(struct ddl_scan *s, const char *word)
{
    if (!token_is(&s->t, word))
        return false;
    scan_advance(s);
    return true;
}

bool scan_accept_char(struct ddl_scan *s, char c)
{
    if (!token_is_char(&s->t, c))
        return false;
    scan_advance(s);
    return true;
}

bool scan_next_is(const struct ddl_scan *s, const char *word)
{
    return token_is(&s->next, word);
}

void scan_expect(struct ddl_scan *s, const char *word)
{
    if (!scan_accept(s, word))
        s->failed = true;
}

struct sql_name scan_name(struct ddl_scan *s)
{
    struct sql_name name = {NULL, 0};
    bool ansi = s->t.kind == TOKEN_STRING && s->t.text[-1] == '"';

    if ((s->t.kind != TOKEN_WORD && s->t.kind != TOKEN_QUOTED && !ansi) || s->t.len == 0 ||
        s->t.unterminated) {
        s->failed = true;
        return name;
    }
    name = (struct sql_name){s->t.text, s->t.len};
    scan_advance(s);
    return name;
}

struct sql_name scan_value(struct ddl_scan *s)
{
    struct sql_name value = {s->t.text, s->t.len};

    if ((s->t.kind != TOKEN_WORD && s->t.kind != TOKEN_QUOTED && s->t.kind != TOKEN_STRING &&
         s->t.kind != TOKEN_NUMBER) ||
        s->t.unterminated) {
        s->failed = true;
        return (struct sql_name){NULL, 0};
    }
    scan_advance(s);
    return value;
}

struct sql_name scan_parentheses(struct ddl_scan *s)
{
    size_t depth = 1;

    if (!token_is_char(&s->t, '(')) {
        s->failed = true;
        return (struct sql_name){NULL, 0};
    }
    const char *from = s->t.text + 1;

    scan_advance(s);
    while (!scan_at_end(s)) {
        const char *at = s->t.text;

        if (token_is_char(&s->t, '('))
            depth++;
        else if (token_is_char(&s->t, ')'))
            depth--;
        scan_advance(s);
        if (depth == 0)
            return (struct sql_name){from, (size_t)(at - from)};
    }
    s->failed = true;
    return (struct sql_name){NULL, 0};
}

bool scan_condition(struct ddl_scan *s)
{
    if (!token_is(&s->t, "IF") || !(scan_next_is(s, "EXISTS") || scan_next_is(s, "NOT")))
        return false;
    scan_advance(s);
    scan_accept(s, "NOT");
    scan_expect(s, "EXISTS");
    return true;
}

struct sql_name scan_table(struct ddl_scan *s, struct sql_name *qualifier)
{
    struct sql_name first = scan_name(s);

    *qualifier = (struct sql_name){NULL, 0};
    if (!scan_accept_char(s, '.'))
        return first;
    *qualifier = first;
    return scan_name(s);
}

/* Room for one more. Memory runs out only when the machine's does: the counts are bounded. */
static void *grow(void *items, size_t n, size_t *cap, size_t size)
{
    if (n < *cap)
        return items;
    *cap = *cap ? 2 * *cap : 8;
    void *more = realloc(items, *cap * size);

    if (!more) {
        fputs("vtshim: out of memory\n", stderr);
        abort();
    }
    return more;
}

struct ddl_action *scan_action(struct ddl_scan *s, enum ddl_action_kind kind)
{
    struct ddl *d = s->ddl;

    if (d->n == ACTIONS_MAX) {
        s->failed = true;
        d->n--; /* the last one is overwritten: all of it counts as not understood */
    }
    d->actions = grow(d->actions, d->n, &d->cap, sizeof(*d->actions));
    memset(&d->actions[d->n], 0, sizeof(*d->actions));
    d->actions[d->n].kind = kind;
    return &d->actions[d->n++];
}

/* [INDEX parts] Each: column [(length)] [ASC | DESC], or (expression). */
static void scan_part(struct ddl_scan *s, struct ddl_index *index)
{
    struct ddl *d = s->ddl;
    struct sql_name name = {NULL, 0};

    if (token_is_char(&s->t, '(')) {
        scan_parentheses(s);
        index->expression = true;
    } else {
        name = scan_name(s);
        if (token_is_char(&s->t, '(')) {
            scan_parentheses(s);
            index->prefix = true;
        }
    }
    if (!scan_accept(s, "ASC"))
        scan_accept(s, "DESC");
    if (d->part_count == PARTS_MAX) {
        s->failed = true;
        return;
    }
    d->parts = grow(d->parts, d->part_count, &d->part_cap, sizeof(*d->parts));
    d->parts[d->part_count++] = name;
    index->parts++;
}

void scan_index_parts(struct ddl_scan *s, struct ddl_index *index)
{
    index->first_part = s->ddl->part_count;
    if (!scan_accept_char(s, '(')) {
        s->failed = true;
        return;
    }
    do
        scan_part(s, index);
    while (!s->failed && scan_accept_char(s, ','));
    if (!scan_accept_char(s, ')'))
        s->failed = true;
}

bool ddl_same_name(struct sql_name a, struct sql_name b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++) {
        if (ascii_upper(a.text[i]) != ascii_upper(b.text[i]))
            return false;
    }
    return true;
}

bool ddl_name_is_ascii(struct sql_name name)
{
    for (size_t i = 0; i < name.len; i++) {
        if ((unsigned char)name.text[i] >= 0x80)
            return false;
    }
    return true;
}

bool ddl_name_is(struct sql_name name, const char *upper)
{
    return ascii_equals(name.text, name.len, upper, strlen(upper));
}
