/*
 * The table of types, and comparisons.
 */
#include "planner/column_type.h"

#include "planner/lexer.h"

struct type_row {
    const char *word;
    enum type_family family;
    uint64_t size; /* without arguments */
    bool lob;
};

static const struct type_row TYPES[] = {
    {"TINYINT", TYPE_INTEGER, 1, false},
    {"BOOL", TYPE_INTEGER, 1, false},
    {"BOOLEAN", TYPE_INTEGER, 1, false},
    {"SMALLINT", TYPE_INTEGER, 2, false},
    {"MEDIUMINT", TYPE_INTEGER, 3, false},
    {"INT", TYPE_INTEGER, 4, false},
    {"INTEGER", TYPE_INTEGER, 4, false},
    {"BIGINT", TYPE_INTEGER, 8, false},
    {"SERIAL", TYPE_INTEGER, 8, false},
    {"DECIMAL", TYPE_DECIMAL, 10, false},
    {"DEC", TYPE_DECIMAL, 10, false},
    {"NUMERIC", TYPE_DECIMAL, 10, false},
    {"FIXED", TYPE_DECIMAL, 10, false},
    {"FLOAT", TYPE_FLOAT, 4, false},
    {"DOUBLE", TYPE_FLOAT, 8, false},
    {"REAL", TYPE_FLOAT, 8, false},
    {"BIT", TYPE_BIT, 1, false},
    {"CHAR", TYPE_TEXT, 1, false},
    {"CHARACTER", TYPE_TEXT, 1, false},
    {"NCHAR", TYPE_TEXT, 1, false},
    {"VARCHAR", TYPE_TEXT, 1, false},
    {"NVARCHAR", TYPE_TEXT, 1, false},
    {"TINYTEXT", TYPE_TEXT, 255, true},
    {"TEXT", TYPE_TEXT, 65535, true},
    {"MEDIUMTEXT", TYPE_TEXT, 16777215, true},
    {"LONGTEXT", TYPE_TEXT, 4294967295, true},
    {"BINARY", TYPE_BINARY, 1, false},
    {"VARBINARY", TYPE_BINARY, 1, false},
    {"TINYBLOB", TYPE_BINARY, 255, true},
    {"BLOB", TYPE_BINARY, 65535, true},
    {"MEDIUMBLOB", TYPE_BINARY, 16777215, true},
    {"LONGBLOB", TYPE_BINARY, 4294967295, true},
    {"ENUM", TYPE_ENUM, 0, false},
    {"SET", TYPE_SET, 0, false},
    {"DATE", TYPE_DATE, 0, false},
    {"TIME", TYPE_TIME, 0, false},
    {"DATETIME", TYPE_DATETIME, 0, false},
    {"TIMESTAMP", TYPE_TIMESTAMP, 0, false},
    {"YEAR", TYPE_YEAR, 0, false},
    {"JSON", TYPE_JSON, 0, false},
    {"GEOMETRY", TYPE_GEOMETRY, 0, false},
    {"POINT", TYPE_GEOMETRY, 0, false},
    {"LINESTRING", TYPE_GEOMETRY, 0, false},
    {"POLYGON", TYPE_GEOMETRY, 0, false},
    {"MULTIPOINT", TYPE_GEOMETRY, 0, false},
    {"MULTILINESTRING", TYPE_GEOMETRY, 0, false},
    {"MULTIPOLYGON", TYPE_GEOMETRY, 0, false},
    {"GEOMETRYCOLLECTION", TYPE_GEOMETRY, 0, false},
};

/* The number that the next token is; false if it is none. */
static bool next_number(struct lexer *lx, uint64_t *out)
{
    struct token t = lexer_next(lx);
    uint64_t n = 0;

    if (t.kind != TOKEN_NUMBER || t.len > 10)
        return false;
    for (size_t i = 0; i < t.len; i++) {
        if (t.text[i] < '0' || t.text[i] > '9')
            return false;
        n = n * 10 + (uint64_t)(t.text[i] - '0');
    }
    *out = n;
    return true;
}

static void apply_arguments(struct column_type *type, struct sql_name arguments)
{
    struct lexer lx;
    uint64_t first, second = 0;

    lexer_init(&lx, arguments.text, arguments.len);
    if (type->family == TYPE_INTEGER || type->family == TYPE_YEAR || type->lob ||
        !next_number(&lx, &first))
        return; /* a display width, or members */
    struct token comma = lexer_next(&lx);

    if (token_is_char(&comma, ','))
        next_number(&lx, &second);
    if (type->family == TYPE_DECIMAL) {
        type->size = first > second ? first - second : 0;
        type->scale = second;
    } else if (type->family == TYPE_FLOAT) {
        if (type->size == 4 && !token_is_char(&comma, ',') && first > 24)
            type->size = 8; /* FLOAT(53) */
    } else {
        type->size = first;
    }
}

struct column_type column_type_of(const struct ddl_column *c)
{
    struct column_type type = {.family = TYPE_UNKNOWN};

    for (size_t i = 0; i < sizeof(TYPES) / sizeof(*TYPES); i++) {
        if (ddl_name_is(c->type, TYPES[i].word)) {
            type.family = TYPES[i].family;
            type.size = TYPES[i].size;
            type.lob = TYPES[i].lob;
        }
    }
    type.is_unsigned = c->is_unsigned;
    if (c->arguments.text)
        apply_arguments(&type, c->arguments);
    return type;
}

bool column_type_narrows(const struct ddl_column *from, const struct ddl_column *to)
{
    struct column_type a = column_type_of(from), b = column_type_of(to);

    if (a.family == TYPE_UNKNOWN || b.family == TYPE_UNKNOWN)
        return false;
    if (a.family == b.family && (a.family == TYPE_ENUM || a.family == TYPE_SET))
        return false; /* column_type_appends() says what there is to say */
    if (a.family != b.family) {
        /* Numbers and dates fit into long enough texts; everything else may lose something. */
        bool to_text = b.family == TYPE_TEXT && b.size >= 255;

        return !(to_text && a.family != TYPE_TEXT && a.family != TYPE_BINARY &&
                 a.family != TYPE_JSON && a.family != TYPE_GEOMETRY && a.family != TYPE_SET);
    }
    if (a.lob != b.lob && a.family == TYPE_TEXT)
        return a.lob ? b.size < a.size : b.size < 4 * a.size; /* characters take four bytes */
    return b.size < a.size || b.scale < a.scale;
}

static bool same_charset(const struct ddl_column *from, const struct ddl_column *to)
{
    return !from->charset.text || !to->charset.text || ddl_same_name(from->charset, to->charset);
}

bool column_type_differs(const struct ddl_column *from, const struct ddl_column *to)
{
    struct column_type a = column_type_of(from), b = column_type_of(to);

    if (a.family == TYPE_UNKNOWN || b.family == TYPE_UNKNOWN)
        return false;
    if (a.family != b.family || a.is_unsigned != b.is_unsigned || !same_charset(from, to))
        return true;
    if (a.family == TYPE_ENUM || a.family == TYPE_SET)
        return !column_type_appends(from, to);
    if (a.family == TYPE_TEXT || a.family == TYPE_BINARY)
        return b.size < a.size;
    return a.size != b.size || a.scale != b.scale;
}

/* Members are strings between commas. */
static bool next_member(struct lexer *lx, struct token *member)
{
    *member = lexer_next(lx);
    struct token comma = lexer_next(lx);

    (void)comma;
    return member->kind == TOKEN_STRING;
}

bool column_type_appends(const struct ddl_column *from, const struct ddl_column *to)
{
    struct lexer a, b;
    struct token x, y;

    lexer_init(&a, from->arguments.text, from->arguments.len);
    lexer_init(&b, to->arguments.text, to->arguments.len);
    while (next_member(&a, &x)) {
        struct sql_name left = {x.text, x.len};

        if (!next_member(&b, &y) || !ddl_same_name(left, (struct sql_name){y.text, y.len}))
            return false;
    }
    return true;
}

bool column_type_is_iterable(const struct ddl_column *c)
{
    switch (column_type_of(c).family) {
    case TYPE_FLOAT:
    case TYPE_JSON:
    case TYPE_GEOMETRY:
        return false;
    default:
        return true;
    }
}
