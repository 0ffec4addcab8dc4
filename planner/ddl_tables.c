/*
 * Names of tables in DDL, found among its tokens.
 */
#include "planner/ddl_tables.h"

#include <string.h>

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
