/*
 * A column's definition: its type and attributes. An attribute that is not known fails the clause.
 */
#include "planner/alter_scan.h"

/* ON DELETE | UPDATE, MATCH: behind REFERENCES t (c). */
static bool scan_reference_option(struct ddl_scan *s)
{
    if (token_is(&s->t, "MATCH")) {
        scan_advance(s);
        scan_value(s);
        return true;
    }
    if (!token_is(&s->t, "ON") || !(scan_next_is(s, "DELETE") || scan_next_is(s, "UPDATE")))
        return false;
    scan_advance(s);
    scan_advance(s);
    if (scan_accept(s, "SET")) {
        if (!scan_accept(s, "NULL"))
            scan_expect(s, "DEFAULT");
    } else if (scan_accept(s, "NO")) {
        scan_expect(s, "ACTION");
    } else if (!scan_accept(s, "CASCADE")) {
        scan_expect(s, "RESTRICT");
    }
    return true;
}

void scan_references(struct ddl_scan *s)
{
    struct sql_name qualifier;

    scan_table(s, &qualifier);
    if (token_is_char(&s->t, '('))
        scan_parentheses(s);
    while (!s->failed && scan_reference_option(s))
        continue;
}

/* DEFAULT: a literal with its sign or introducer, NOW(6), an expression in parentheses. */
void scan_default(struct ddl_scan *s, struct ddl_column *c)
{
    c->has_default = true;
    if (token_is_char(&s->t, '(')) {
        c->fallback = scan_parentheses(s);
        return;
    }
    if (!scan_accept_char(s, '-'))
        scan_accept_char(s, '+');
    bool word = s->t.kind == TOKEN_WORD;

    c->default_is_null = token_is(&s->t, "NULL");
    c->fallback = scan_value(s);
    if (word && s->t.kind == TOKEN_STRING) /* b'0', x'00', _utf8mb4'x' */
        c->fallback = scan_value(s);
    else if (word && token_is_char(&s->t, '('))
        scan_parentheses(s);
}

/* ON UPDATE CURRENT_TIMESTAMP[(6)] */
static bool scan_on_update(struct ddl_scan *s)
{
    if (!token_is(&s->t, "ON") || !scan_next_is(s, "UPDATE"))
        return false;
    scan_advance(s);
    scan_advance(s);
    scan_name(s);
    if (token_is_char(&s->t, '('))
        scan_parentheses(s);
    return true;
}

static bool scan_generated(struct ddl_scan *s, struct ddl_column *c)
{
    if (scan_accept(s, "GENERATED")) {
        scan_expect(s, "ALWAYS");
        scan_expect(s, "AS");
    } else if (!scan_accept(s, "AS")) {
        return false;
    }
    scan_parentheses(s);
    c->generated = true;
    return true;
}

static bool scan_check(struct ddl_scan *s)
{
    if (token_is(&s->t, "CONSTRAINT")) {
        scan_advance(s);
        if (!token_is(&s->t, "CHECK"))
            scan_name(s);
    }
    if (!scan_accept(s, "CHECK"))
        return false;
    scan_parentheses(s);
    if (token_is(&s->t, "NOT") && scan_next_is(s, "ENFORCED"))
        scan_advance(s);
    scan_accept(s, "ENFORCED");
    return true;
}

/* Those that are a word alone, and nothing that matters. */
static bool scan_plain_attribute(struct ddl_scan *s)
{
    static const char *const WORDS[] = {"SIGNED",  "BINARY", "VISIBLE",    "INVISIBLE",
                                        "VIRTUAL", "STORED", "PERSISTENT", "PRECISION"};

    for (size_t i = 0; i < sizeof(WORDS) / sizeof(*WORDS); i++) {
        if (scan_accept(s, WORDS[i]))
            return true;
    }
    return false;
}

/* Those that have a value, and nothing that matters. */
static bool scan_valued_attribute(struct ddl_scan *s)
{
    static const char *const WORDS[] = {"COMMENT",          "COLUMN_FORMAT",
                                        "STORAGE",          "SRID",
                                        "ENGINE_ATTRIBUTE", "SECONDARY_ENGINE_ATTRIBUTE"};

    for (size_t i = 0; i < sizeof(WORDS) / sizeof(*WORDS); i++) {
        if (scan_accept(s, WORDS[i])) {
            scan_accept_char(s, '=');
            scan_value(s);
            return true;
        }
    }
    return false;
}

static bool scan_charset(struct ddl_scan *s, struct ddl_column *c)
{
    if (scan_accept(s, "COLLATE")) {
        c->collation = scan_value(s);
        return true;
    }
    if (token_is(&s->t, "CHARACTER") && scan_next_is(s, "SET"))
        scan_advance(s);
    else if (!token_is(&s->t, "CHARSET"))
        return false;
    scan_advance(s);
    c->charset = scan_value(s);
    return true;
}

/* [UNIQUE | PRIMARY] [KEY] */
static bool scan_key(struct ddl_scan *s, struct ddl_column *c)
{
    if (scan_accept(s, "UNIQUE")) {
        scan_accept(s, "KEY");
        c->unique = true;
    } else if (scan_accept(s, "PRIMARY")) {
        scan_expect(s, "KEY");
        c->primary = true;
    } else if (scan_accept(s, "KEY")) {
        c->primary = true;
    } else {
        return false;
    }
    return true;
}

static bool scan_attribute(struct ddl_scan *s, struct ddl_column *c)
{
    if (scan_accept(s, "UNSIGNED") || scan_accept(s, "ZEROFILL")) {
        c->is_unsigned = true; /* ZEROFILL implies it */
    } else if (token_is(&s->t, "NOT") && scan_next_is(s, "NULL")) {
        scan_advance(s);
        scan_advance(s);
        c->not_null = true;
    } else if (scan_accept(s, "NULL")) {
        c->not_null = false;
    } else if (scan_accept(s, "DEFAULT")) {
        scan_default(s, c);
    } else if (scan_accept(s, "AUTO_INCREMENT")) {
        c->auto_increment = true;
    } else if (scan_accept(s, "REFERENCES")) {
        c->references = true;
        scan_references(s);
    } else {
        return scan_key(s, c) || scan_charset(s, c) || scan_generated(s, c) || scan_on_update(s) ||
               scan_check(s) || scan_valued_attribute(s) || scan_plain_attribute(s);
    }
    return true;
}

/* The type: a word, with a second one in CHARACTER VARYING, NATIONAL CHAR, LONG VARBINARY, DOUBLE
   PRECISION. */
static void scan_type(struct ddl_scan *s, struct ddl_column *c)
{
    c->national =
        token_is(&s->t, "NATIONAL") || token_is(&s->t, "NCHAR") || token_is(&s->t, "NVARCHAR");
    if (scan_accept(s, "NATIONAL") && scan_at_end(s))
        s->failed = true;
    bool is_long = token_is(&s->t, "LONG");

    if (s->t.kind != TOKEN_WORD)
        s->failed = true;
    c->type = scan_name(s);
    if (is_long) /* LONG, LONG VARCHAR, LONG VARBINARY: rare enough to leave to vtgate */
        s->failed = true;
    c->varying = scan_accept(s, "VARYING");
    if (token_is_char(&s->t, '('))
        c->arguments = scan_parentheses(s);
}

void scan_column(struct ddl_scan *s, struct ddl_action *a)
{
    struct ddl_column *c = &a->column;

    scan_type(s, c);
    if (ddl_name_is(c->type, "SERIAL")) /* BIGINT UNSIGNED NOT NULL AUTO_INCREMENT UNIQUE */
        c->is_unsigned = c->not_null = c->auto_increment = c->unique = true;
    while (!s->failed && scan_attribute(s, c))
        continue;
    if (c->primary)
        c->not_null = true;
    if (scan_accept(s, "FIRST"))
        a->first = true;
    else if (scan_accept(s, "AFTER"))
        a->after = scan_name(s);
}
