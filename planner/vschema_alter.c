/*
 * One statement: its words are read into a record, which then changes the value.
 */
#include "planner/vschema_alter.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "planner/lexer.h"

struct reader {
    struct lexer lx;
    struct token t;
    struct vschema *v; /* names go into its arena */
    char *error;
};

struct alter {
    enum {
        CREATE_VINDEX,
        DROP_VINDEX,
        ADD_TABLE,
        DROP_TABLE,
        ADD_SEQUENCE,
        DROP_SEQUENCE,
        ON_ADD_VINDEX,
        ON_DROP_VINDEX,
        ON_ADD_AUTO,
        ON_DROP_AUTO
    } what;
    const char *keyspace, *name; /* the table's or vindex's, as written before and after the dot */
    const char *vindex, *column, *sequence;
    const char *type;                 /* "": not given */
    struct vschema_vindex definition; /* owner and params of WITH */
    struct vschema_column_vindex columns;
};

static bool fail(char *error, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool fail(char *error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(error, VSCHEMA_ALTER_ERROR_SIZE, format, args);
    va_end(args);
    return false;
}

/* --- reading --------------------------------------------------------------------------------- */

static bool syntax(struct reader *r, const char *expected)
{
    if (r->t.kind == TOKEN_END)
        return fail(r->error, "expected %s at the end", expected);
    return fail(r->error, "expected %s near '%.*s'", expected, (int)(r->t.len < 64 ? r->t.len : 64),
                r->t.text);
}

static void advance(struct reader *r)
{
    r->t = lexer_next(&r->lx);
}

static bool accept(struct reader *r, const char *word)
{
    if (!token_is(&r->t, word))
        return false;
    advance(r);
    return true;
}

static bool accept_char(struct reader *r, char c)
{
    if (!token_is_char(&r->t, c))
        return false;
    advance(r);
    return true;
}

/* Doubled backticks of a quoted name stand for one. */
static const char *token_name(struct reader *r)
{
    char *name = arena_alloc(&r->v->arena, r->t.len + 1);
    size_t n = 0;

    for (size_t i = 0; i < r->t.len; i++) {
        name[n++] = r->t.text[i];
        if (r->t.kind == TOKEN_QUOTED && r->t.text[i] == '`')
            i++;
    }
    name[n] = '\0';
    return name;
}

static bool read_name(struct reader *r, const char **name, const char *what)
{
    if ((r->t.kind != TOKEN_WORD && r->t.kind != TOKEN_QUOTED) || r->t.unterminated || !r->t.len)
        return syntax(r, what);
    *name = token_name(r);
    advance(r);
    return true;
}

/* t or ks.t */
static bool read_qualified(struct reader *r, const char **keyspace, const char **name,
                           const char *what)
{
    *keyspace = "";
    if (!read_name(r, name, what))
        return false;
    if (!accept_char(r, '.'))
        return true;
    *keyspace = *name;
    return read_name(r, name, what);
}

static bool read_value(struct reader *r, const char **value)
{
    if (r->t.kind == TOKEN_STRING && !r->t.unterminated) {
        char *text = arena_alloc(&r->v->arena, r->t.len + 1);

        text[lexer_unescape(text, r->t.text, r->t.len, r->t.text[-1])] = '\0';
        *value = text;
        advance(r);
        return true;
    }
    if (r->t.kind == TOKEN_NUMBER) {
        *value = arena_copy(&r->v->arena, r->t.text, r->t.len);
        advance(r);
        return true;
    }
    const char *keyspace, *name;

    if (!read_qualified(r, &keyspace, &name, "a value"))
        return false;
    *value = *keyspace ? arena_format(&r->v->arena, "%s.%s", keyspace, name) : name;
    return true;
}

/* Of a parameter that is said twice the last counts, as in Vitess's map. */
static void set_param(struct reader *r, struct vschema_vindex *definition, const char *key,
                      const char *value)
{
    for (size_t i = 0; i < definition->param_count; i++) {
        if (strcmp(definition->params[i].key, key) == 0) {
            definition->params[i].value = value;
            return;
        }
    }
    vschema_add_param(r->v, definition, key, value);
}

/* [USING type] [WITH key = value, ...] */
static bool read_definition(struct reader *r, struct alter *a)
{
    a->type = "";
    a->definition = (struct vschema_vindex){.owner = ""};
    if (accept(r, "USING") && !read_name(r, &a->type, "a vindex type"))
        return false;
    if (!accept(r, "WITH"))
        return true;
    do {
        const char *key, *value;

        if (!read_name(r, &key, "a parameter"))
            return false;
        if (!accept_char(r, '='))
            return syntax(r, "=");
        if (!read_value(r, &value))
            return false;
        if (strcmp(key, "owner") == 0)
            a->definition.owner = value;
        else
            set_param(r, &a->definition, key, value);
    } while (accept_char(r, ','));
    return true;
}

static bool read_columns(struct reader *r, struct alter *a)
{
    if (!accept_char(r, '('))
        return syntax(r, "(");
    do {
        const char *column;

        if (!read_name(r, &column, "a column"))
            return false;
        vschema_add_vindex_column(r->v, &a->columns, column);
    } while (accept_char(r, ','));
    return accept_char(r, ')') || syntax(r, ")");
}

/* ALTER VSCHEMA ON t ... */
static bool read_on(struct reader *r, struct alter *a)
{
    const char *keyspace;

    if (!read_qualified(r, &a->keyspace, &a->name, "a table"))
        return false;
    bool add = accept(r, "ADD");

    if (!add && !accept(r, "DROP"))
        return syntax(r, "ADD or DROP");
    if (accept(r, "VINDEX")) {
        a->what = add ? ON_ADD_VINDEX : ON_DROP_VINDEX;
        return read_name(r, &a->vindex, "a vindex") &&
               (!add || (read_columns(r, a) && read_definition(r, a)));
    }
    if (!accept(r, "AUTO_INCREMENT"))
        return syntax(r, "VINDEX or AUTO_INCREMENT");
    a->what = add ? ON_ADD_AUTO : ON_DROP_AUTO;
    if (!add)
        return true;
    if (!read_name(r, &a->column, "a column"))
        return false;
    if (!accept(r, "USING"))
        return syntax(r, "USING");
    if (!read_qualified(r, &keyspace, &a->sequence, "a sequence"))
        return false;
    if (*keyspace)
        a->sequence = arena_format(&r->v->arena, "%s.%s", keyspace, a->sequence);
    return true;
}

static bool read_alter(struct reader *r, struct alter *a)
{
    advance(r);
    if (!accept(r, "ALTER") || !accept(r, "VSCHEMA"))
        return syntax(r, "ALTER VSCHEMA");
    if (accept(r, "ON"))
        return read_on(r, a);
    if (accept(r, "CREATE")) {
        a->what = CREATE_VINDEX;
        if (!accept(r, "VINDEX"))
            return syntax(r, "VINDEX");
        return read_qualified(r, &a->keyspace, &a->name, "a vindex") && read_definition(r, a);
    }
    bool add = accept(r, "ADD");

    if (!add && !accept(r, "DROP"))
        return syntax(r, "ON, CREATE, ADD or DROP");
    if (!add && accept(r, "VINDEX"))
        a->what = DROP_VINDEX;
    else if (accept(r, "TABLE"))
        a->what = add ? ADD_TABLE : DROP_TABLE;
    else if (accept(r, "SEQUENCE"))
        a->what = add ? ADD_SEQUENCE : DROP_SEQUENCE;
    else
        return syntax(r, add ? "TABLE or SEQUENCE" : "VINDEX, TABLE or SEQUENCE");
    return read_qualified(r, &a->keyspace, &a->name, "a name");
}

/* Names end up in messages and JSON, which are UTF-8. */
static bool is_utf8(const char *text, size_t len)
{
    const unsigned char *at = (const unsigned char *)text, *end = at + len;

    while (at < end) {
        size_t more = *at < 0x80       ? 0
                      : *at >> 5 == 6  ? 1
                      : *at >> 4 == 14 ? 2
                      : *at >> 3 == 30 ? 3
                                       : 9;
        const unsigned char *first = at++;

        if (more > 3 || more > (size_t)(end - at))
            return false;
        for (size_t i = 0; i < more; i++) {
            if (*at++ >> 6 != 2)
                return false;
        }
        /* Longer than it need be, a surrogate, or beyond Unicode. */
        if (*first == 0xc0 || *first == 0xc1 || (*first == 0xe0 && first[1] < 0xa0) ||
            (*first == 0xed && first[1] > 0x9f) || (*first == 0xf0 && first[1] < 0x90) ||
            *first > 0xf4 || (*first == 0xf4 && first[1] > 0x8f))
            return false;
    }
    return true;
}

static bool read_all(struct reader *r, struct alter *a)
{
    if (!is_utf8(r->lx.pos, (size_t)(r->lx.end - r->lx.pos)))
        return fail(r->error, "the statement is not UTF-8");
    if (!read_alter(r, a))
        return false;
    while (r->t.kind == TOKEN_SEMICOLON)
        advance(r);
    return r->t.kind == TOKEN_END || syntax(r, "nothing more");
}

/* --- changing -------------------------------------------------------------------------------- */

/* The first vindex makes a keyspace sharded. */
static void define_vindex(struct vschema *v, const char *name, const struct alter *a)
{
    if (v->vindex_count == 0)
        v->sharded = true;
    struct vschema_vindex *vindex = vschema_add_vindex(v, name);

    vindex->type = arena_string(&v->arena, a->type);
    vindex->owner = a->definition.owner;
    vindex->params = a->definition.params;
    vindex->param_count = a->definition.param_count;
}

static bool create_vindex(struct vschema *v, const struct alter *a, const char *keyspace,
                          char *error)
{
    if (vschema_find_vindex(v, a->name))
        return fail(error, "vindex %s already exists in keyspace %s", a->name, keyspace);
    define_vindex(v, a->name, a);
    return true;
}

static bool drop_vindex(struct vschema *v, const struct alter *a, const char *keyspace, char *error)
{
    const struct vschema_vindex *vindex = vschema_find_vindex(v, a->name);

    if (!vindex)
        return fail(error, "vindex %s does not exist in keyspace %s", a->name, keyspace);
    for (size_t i = 0; i < v->table_count; i++) {
        for (size_t k = 0; k < v->tables[i].vindex_count; k++) {
            if (strcmp(v->tables[i].vindexes[k].name, a->name) == 0)
                return fail(error, "vindex %s is still defined on table %s", a->name,
                            v->tables[i].name);
        }
    }
    vschema_remove_vindex(v, vindex);
    return true;
}

static bool add_table(struct vschema *v, const struct alter *a, const char *keyspace, char *error)
{
    bool sequence = a->what == ADD_SEQUENCE;

    if (v->sharded)
        return fail(error, "%s: unsupported on sharded keyspace %s",
                    sequence ? "ADD SEQUENCE" : "ADD TABLE", keyspace);
    if (vschema_find_table(v, a->name))
        return fail(error, "vschema already contains table %s in keyspace %s", a->name, keyspace);
    struct vschema_table *t = vschema_add_table(v, a->name);

    if (sequence)
        t->type = "sequence";
    return true;
}

static bool drop_table(struct vschema *v, const struct alter *a, const char *keyspace, char *error)
{
    const struct vschema_table *t = vschema_find_table(v, a->name);

    if (a->what == DROP_SEQUENCE && v->sharded)
        return fail(error, "DROP SEQUENCE: unsupported on sharded keyspace %s", keyspace);
    if (!t)
        return fail(error, "vschema does not contain table %s in keyspace %s", a->name, keyspace);
    vschema_remove_table(v, t);
    return true;
}

static bool same_definition(const struct vschema_vindex *vindex, const struct alter *a)
{
    if (strcmp(vindex->type, a->type) != 0 || strcmp(vindex->owner, a->definition.owner) != 0 ||
        vindex->param_count != a->definition.param_count)
        return false;
    for (size_t i = 0; i < vindex->param_count; i++) {
        const char *value = vschema_find_param(&a->definition, vindex->params[i].key);

        if (!value || strcmp(value, vindex->params[i].value) != 0)
            return false;
    }
    return true;
}

static bool on_add_vindex(struct vschema *v, const struct alter *a, const char *keyspace,
                          char *error)
{
    const struct vschema_vindex *vindex = vschema_find_vindex(v, a->vindex);
    struct vschema_table *t;

    if (vindex && *a->type && !same_definition(vindex, a))
        return fail(error, "vindex %s is defined differently in keyspace %s", a->vindex, keyspace);
    if (!vindex && !*a->type)
        return fail(error, "vindex %s does not exist in keyspace %s", a->vindex, keyspace);
    if (!vindex)
        define_vindex(v, a->vindex, a);
    t = vschema_find_table(v, a->name);
    for (size_t i = 0; t && i < t->vindex_count; i++) {
        if (strcmp(t->vindexes[i].name, a->vindex) == 0)
            return fail(error, "vindex %s already defined on table %s", a->vindex, a->name);
    }
    if (!t)
        t = vschema_add_table(v, a->name);
    struct vschema_column_vindex *cv = vschema_add_column_vindex(v, t, a->vindex);

    cv->columns = a->columns.columns;
    cv->column_count = a->columns.column_count;
    return true;
}

static bool on_drop_vindex(struct vschema *v, const struct alter *a, const char *keyspace,
                           char *error)
{
    struct vschema_table *t = vschema_find_table(v, a->name);

    if (!t)
        return fail(error, "table %s.%s not defined in vschema", keyspace, a->name);
    for (size_t i = 0; i < t->vindex_count; i++) {
        if (strcmp(t->vindexes[i].name, a->vindex) != 0)
            continue;
        memmove(&t->vindexes[i], &t->vindexes[i + 1],
                (t->vindex_count - i - 1) * sizeof(*t->vindexes));
        if (--t->vindex_count == 0)
            vschema_remove_table(v, t);
        return true;
    }
    return fail(error, "vindex %s not defined in table %s.%s", a->vindex, keyspace, a->name);
}

static bool on_auto(struct vschema *v, const struct alter *a, const char *keyspace, char *error)
{
    struct vschema_table *t = vschema_find_table(v, a->name);
    bool add = a->what == ON_ADD_AUTO;

    if (!t)
        return fail(error, "vschema does not contain table %s in keyspace %s", a->name, keyspace);
    if (t->has_auto_increment == add)
        return fail(error,
                    add ? "table %s in keyspace %s already has an auto_increment"
                        : "table %s in keyspace %s has no auto_increment",
                    a->name, keyspace);
    t->has_auto_increment = add;
    t->auto_column = add ? a->column : "";
    t->auto_sequence = add ? a->sequence : "";
    return true;
}

bool vschema_alter(struct vschema *v, const char *keyspace, const char *sql, size_t len,
                   char error[VSCHEMA_ALTER_ERROR_SIZE])
{
    static bool (*const APPLY[])(struct vschema * v, const struct alter *a, const char *keyspace,
                                 char *error) = {
        [CREATE_VINDEX] = create_vindex, [DROP_VINDEX] = drop_vindex,
        [ADD_TABLE] = add_table,         [DROP_TABLE] = drop_table,
        [ADD_SEQUENCE] = add_table,      [DROP_SEQUENCE] = drop_table,
        [ON_ADD_VINDEX] = on_add_vindex, [ON_DROP_VINDEX] = on_drop_vindex,
        [ON_ADD_AUTO] = on_auto,         [ON_DROP_AUTO] = on_auto,
    };
    struct reader r = {.v = v, .error = error};
    struct alter a = {.what = CREATE_VINDEX, .keyspace = "", .type = ""};

    lexer_init(&r.lx, sql, len);
    if (!read_all(&r, &a))
        return false;
    if (*a.keyspace && strcmp(a.keyspace, keyspace) != 0)
        return fail(error, "the statement is about keyspace %s, not %s", a.keyspace, keyspace);
    if (!APPLY[a.what](v, &a, keyspace, error))
        return false;
    vschema_sort(v);
    return true;
}

bool vschema_alter_keyspace(const char *sql, size_t len, char dst[65])
{
    char error[VSCHEMA_ALTER_ERROR_SIZE];
    struct reader r = {.v = vschema_create(), .error = error};
    struct alter a = {.what = CREATE_VINDEX, .keyspace = ""};

    lexer_init(&r.lx, sql, len);
    bool understood = read_all(&r, &a);

    snprintf(dst, 65, "%s", understood ? a.keyspace : "");
    vschema_free(r.v);
    return understood;
}
