/*
 * CREATE, ALTER, DROP and their like: what they are about, by the rows of statements.def, and its
 * name. Temporary tables, stored programs and whatever else Vitess cannot run online are told apart
 * here.
 */
#include "planner/classify_scan.h"

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
        scan_advance(s);
        if (prefix == PREFIX_TEMPORARY) {
            temporary = true;
        } else if (prefix == PREFIX_SECURITY) {
            scan_accept(s, "SECURITY"); /* DEFINER | INVOKER */
            scan_advance(s);
        } else if (prefix == PREFIX_ASSIGNED) {
            /* [=] x, for a DEFINER also user@host, user @ 'host', CURRENT_USER() */
            scan_accept_char(s, '=');
            scan_advance(s);
            while (!scan_at_end(s) && s->t.kind != TOKEN_WORD)
                scan_advance(s);
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
    scan_accept_table(s, out);
}

/* ALTER VSCHEMA ON t ..., ADD|DROP TABLE t, ADD|DROP SEQUENCE t; a vindex is no table. */
static void parse_vschema(struct scan *s, struct statement *out)
{
    while (!scan_at_end(s)) {
        if (scan_accept(s, "VINDEX"))
            return;
        if (scan_accept(s, "ON") || scan_accept(s, "TABLE") || scan_accept(s, "SEQUENCE")) {
            scan_accept_table(s, out);
            return;
        }
        scan_advance(s);
    }
}

/* ALTER TABLE t DISABLE | ENABLE KEYS, which every dump has around its rows: nothing to InnoDB, but
   a copy of the whole table to an online strategy. */
static bool switches_keys(struct scan *s)
{
    return (scan_accept(s, "DISABLE") || scan_accept(s, "ENABLE")) && scan_accept(s, "KEYS") &&
           scan_at_end(s);
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
    scan_advance(s);
    if (found.kind == STATEMENT_DEALLOCATE) {
        scan_accept_identifier(s, &out->name);
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
        scan_accept_table(s, out);
        if (temporary || (verb == DDL_ALTER && switches_keys(s)))
            out->kind = STATEMENT_DIRECT_DDL;
        break;
    case DDL_OBJECT_VIEW:
        scan_accept_table(s, out);
        break;
    case DDL_OBJECT_INDEX:
        scan_skip_to_word(s, "ON");
        scan_advance(s);
        scan_accept_table(s, out);
        break;
    case DDL_OBJECT_DATABASE:
        parse_database(s, out);
        break;
    case DDL_OBJECT_OTHER:
        break;
    }
}

void classify_create(struct scan *s, struct statement *out)
{
    parse_object(s, out, DDL_CREATE, VERB_CREATE);
}

void classify_alter(struct scan *s, struct statement *out)
{
    parse_object(s, out, DDL_ALTER, VERB_ALTER);
}

void classify_drop(struct scan *s, struct statement *out)
{
    parse_object(s, out, DDL_DROP, VERB_DROP);
}

void classify_rename(struct scan *s, struct statement *out)
{
    out->verb = DDL_RENAME;
    if (scan_accept(s, "TABLE") || scan_accept(s, "TABLES")) {
        out->object = DDL_OBJECT_TABLE;
        scan_accept_table(s, out);
    }
}

void classify_truncate(struct scan *s, struct statement *out)
{
    out->verb = DDL_TRUNCATE;
    out->object = DDL_OBJECT_TABLE;
    scan_accept(s, "TABLE");
    scan_accept_table(s, out);
}
