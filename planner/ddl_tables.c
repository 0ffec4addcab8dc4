/*
 * Names of tables in DDL, found among its tokens.
 */
#include "planner/ddl_tables.h"

#include <string.h>

#define VIEWS_MAX 64 /* that are dropped by one statement */

static bool is_name(const struct token *t)
{
    return t->kind == TOKEN_WORD || t->kind == TOKEN_QUOTED;
}

static struct sql_name name_of(const struct token *t)
{
    return (struct sql_name){t->text, t->len};
}

/* "a" or "ks.a"; *t is then the token behind it. False: there is no name. */
static bool read_table(struct lexer *lx, struct token *t, struct ddl_table *table)
{
    if (!is_name(t))
        return false;
    *table = (struct ddl_table){.name = name_of(t)};
    *t = lexer_next(lx);
    if (!token_is_char(t, '.'))
        return true;
    *t = lexer_next(lx);
    if (!is_name(t))
        return false;
    table->qualifier = table->name;
    table->name = name_of(t);
    *t = lexer_next(lx);
    return true;
}

/* The list of DROP TABLE|VIEW [IF EXISTS] a [, b]... */
static size_t dropped_tables(const struct statement *st, struct ddl_table *tables, size_t max)
{
    struct ddl_table table;
    struct lexer lx;
    size_t n = 0;

    lexer_init(&lx, st->text, st->len);
    struct token t = lexer_next(&lx); /* DROP */

    lexer_next(&lx); /* TABLE or VIEW */
    t = lexer_next(&lx);
    if (token_is(&t, "IF")) {
        t = lexer_next(&lx); /* EXISTS */
        t = lexer_next(&lx);
    }
    while (read_table(&lx, &t, &table)) {
        if (n < max)
            tables[n] = table;
        n++;
        if (!token_is_char(&t, ','))
            break;
        t = lexer_next(&lx);
    }
    return n;
}

size_t ddl_tables(const struct statement *st, struct ddl_table *tables, size_t max)
{
    if (st->verb == DDL_DROP && st->object != DDL_OBJECT_INDEX)
        return dropped_tables(st, tables, max);
    if (st->name.len == 0)
        return 0;
    if (max > 0)
        tables[0] = (struct ddl_table){st->qualifier, st->name};
    return 1;
}

/* Appends to dst[0..*n); false: it does not fit. */
static bool append(char *dst, size_t size, size_t *n, const char *text, size_t len)
{
    if (len > size - *n)
        return false;
    memcpy(dst + *n, text, len);
    *n += len;
    return true;
}

size_t ddl_qualify_views(char *dst, size_t size, const struct statement *st,
                         struct sql_name keyspace)
{
    struct ddl_table views[VIEWS_MAX];
    const char *copied = st->text;
    size_t n = 0, count;

    if (st->verb != DDL_DROP || st->object != DDL_OBJECT_VIEW || keyspace.len == 0 ||
        memchr(keyspace.text, '`', keyspace.len))
        return 0;
    count = dropped_tables(st, views, VIEWS_MAX);
    if (count > VIEWS_MAX)
        return 0;
    for (size_t i = 0; i < count; i++) {
        const char *name = views[i].name.text;

        if (views[i].qualifier.len > 0)
            continue;
        if (name[-1] == '`')
            name--;
        if (!append(dst, size, &n, copied, (size_t)(name - copied)) ||
            !append(dst, size, &n, "`", 1) || !append(dst, size, &n, keyspace.text, keyspace.len) ||
            !append(dst, size, &n, "`.", 2))
            return 0;
        copied = name;
    }
    if (n == 0 || !append(dst, size, &n, copied, (size_t)(st->text + st->len - copied)))
        return 0;
    return n;
}

bool ddl_names_more(const struct statement *st)
{
    struct lexer lx;

    if (st->object == DDL_OBJECT_VIEW && st->verb != DDL_DROP)
        return true;
    lexer_init(&lx, st->text, st->len);
    for (struct token t = lexer_next(&lx); t.kind != TOKEN_END; t = lexer_next(&lx)) {
        if (token_is(&t, "LIKE") || token_is(&t, "REFERENCES") || token_is(&t, "SELECT"))
            return true;
    }
    return false;
}

static bool is_keyspace(const struct token *t, const char *keyspace)
{
    return is_name(t) && t->len == strlen(keyspace) && memcmp(t->text, keyspace, t->len) == 0;
}

size_t ddl_unqualify(char *dst, const char *text, size_t len, const char *keyspace)
{
    const char *copied = text; /* up to where text has been copied or dropped */
    bool after_dot = false;
    struct lexer lx;
    size_t n = 0;

    lexer_init(&lx, text, len);
    for (struct token t = lexer_next(&lx); t.kind != TOKEN_END;) {
        struct token next = lexer_next(&lx);

        if (!after_dot && token_is_char(&next, '.') && is_keyspace(&t, keyspace)) {
            const char *from = t.kind == TOKEN_QUOTED ? t.text - 1 : t.text;

            memcpy(dst + n, copied, (size_t)(from - copied));
            n += (size_t)(from - copied);
            copied = next.text + 1;
        }
        after_dot = token_is_char(&t, '.');
        t = next;
    }
    memcpy(dst + n, copied, (size_t)(text + len - copied));
    n += (size_t)(text + len - copied);
    dst[n] = '\0';
    return n;
}
