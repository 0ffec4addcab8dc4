/*
 * Reading vtgate's plan of an INSERT for its sequence (go/vt/vtgate/engine/insert.go, description):
 *
 *   "AutoIncrement": "select next :n values from seq:Values::(null)",
 *   "Query": "insert into t(id, c) values (:_id_0, :__seq0)",
 *   "VindexValues": { "hash": ":__seq0" }
 *
 * The sequence's value stands in the query, or, for the column of a vindex, among VindexValues.
 */
#include <stdio.h>
#include <string.h>

#include "planner/lexer.h"
#include "planner/preflight.h"

static const char SEQUENCE[] = ":__seq0";

/* The text of a JSON string behind `key`, as it stands there. */
static struct sql_name find_value(const char *plan, size_t len, const char *key)
{
    const char *at = memmem(plan, len, key, strlen(key));

    if (!at)
        return (struct sql_name){NULL, 0};
    at += strlen(key);
    const char *close = memchr(at, '"', (size_t)(plan + len - at));

    return (struct sql_name){at, close ? (size_t)(close - at) : 0};
}

static void copy(char dst[65], struct sql_name name)
{
    snprintf(dst, 65, "%.*s", (int)(name.len < 64 ? name.len : 64), name.len ? name.text : "");
}

/* The name behind "from". */
static void find_sequence(struct sql_name select, char out[65])
{
    struct lexer lx;
    struct token t;

    lexer_init(&lx, select.text, select.len);
    do {
        t = lexer_next(&lx);
        if (token_is(&t, "FROM")) {
            t = lexer_next(&lx);
            copy(out, (struct sql_name){t.text, t.len});
            return;
        }
    } while (t.kind != TOKEN_END);
}

/* The column of the list in the INSERT at whose place the sequence's value stands. */
static bool find_in_query(struct sql_name query, char out[65])
{
    const char *values = memmem(query.text, query.len, " values (", 9);
    const char *seq = memmem(query.text, query.len, SEQUENCE, sizeof(SEQUENCE) - 1);
    size_t place = 0;
    struct lexer lx;

    if (!values || !seq || seq < values)
        return false;
    for (const char *p = values; p < seq; p++)
        place += *p == ',';
    lexer_init(&lx, query.text, (size_t)(values - query.text));
    struct token t = lexer_next(&lx);

    while (t.kind != TOKEN_END && !token_is_char(&t, '('))
        t = lexer_next(&lx);
    for (t = lexer_next(&lx); place > 0 && t.kind != TOKEN_END; t = lexer_next(&lx))
        place -= token_is_char(&t, ',');
    if (t.kind != TOKEN_WORD && t.kind != TOKEN_QUOTED)
        return false;
    copy(out, (struct sql_name){t.text, t.len});
    return true;
}

/* "hash": ":__seq0": the first column of that vindex. */
static bool find_in_vindexes(const char *plan, size_t len, const struct vindex_use *vindexes,
                             size_t count, char out[65])
{
    for (size_t i = 0; i < count; i++) {
        char pattern[128];
        int n = snprintf(pattern, sizeof(pattern), "\"%s\": \"%s\"", vindexes[i].vindex, SEQUENCE);

        if (memmem(plan, len, pattern, (size_t)n)) {
            memcpy(out, vindexes[i].column, sizeof(vindexes[i].column));
            return true;
        }
    }
    return false;
}

bool preflight_sequence(const char *plan, size_t len, const struct vindex_use *vindexes,
                        size_t vindex_count, struct vindex_use *out)
{
    struct sql_name select = find_value(plan, len, "\"AutoIncrement\": \"");
    struct sql_name query = find_value(plan, len, "\"Query\": \"");

    *out = (struct vindex_use){.column = ""};
    if (select.len == 0 || query.len == 0)
        return false;
    if (!find_in_query(query, out->column) &&
        !find_in_vindexes(plan, len, vindexes, vindex_count, out->column))
        return false;
    find_sequence(select, out->vindex);
    return true;
}
