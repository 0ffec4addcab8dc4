/*
 * The classifier on arbitrary bytes. Holds: a text is cut into statements that cover it; every name
 * reported lies inside its statement and is one that names_collect finds; what classify_quick says
 * of a prefix stays true of the whole, and PLAIN is never a statement the shim acts upon.
 */

#include "planner/classify.h"
#include "planner/ddl_tables.h"
#include "planner/names.h"
#include "tests/fuzz/fuzz.h"

static bool is_plain(enum statement_kind kind)
{
    switch (kind) {
    case STATEMENT_EMPTY:
    case STATEMENT_OTHER:
    case STATEMENT_READ:
    case STATEMENT_WRITE:
    case STATEMENT_END_TRANSACTION:
    case STATEMENT_SAVEPOINT:
    case STATEMENT_SHOW:
        return true;
    default:
        return false;
    }
}

/* The name lies in the statement, and a hold on it would find the statement. */
static void check_name(const struct statement *st, struct sql_name name, const struct names *names)
{
    if (name.len == 0)
        return;
    CHECK(name.text >= st->text && name.text + name.len <= st->text + st->len);
    if (name.text > st->text && (name.text[-1] == '`' || name.text[-1] == '"')) {
        char *plain = malloc(name.len);
        size_t n = 0;
        for (size_t i = 0; i < name.len; i++) {
            plain[n++] = name.text[i];
            if (name.text[i] == name.text[-1])
                i++;
        }
        CHECK(names_may_contain(names, plain, n));
        free(plain);
    } else {
        CHECK(names_may_contain(names, name.text, name.len));
    }
}

/* Every table of a DDL lies in the statement, and a text without the keyspace's name is no longer
   than with it. */
static void check_tables(const struct statement *st)
{
    struct ddl_table tables[3];
    size_t n = ddl_tables(st, tables, 3);
    char *keyspace = malloc(st->len + 1), *text = malloc(st->len + 1);
    for (size_t i = 0; i < n && i < 3; i++) {
        const struct sql_name *name = &tables[i].name;
        CHECK(name->text >= st->text && name->text + name->len <= st->text + st->len);
        if (i > 0)
            continue;
        size_t len = tables[i].qualifier.len;
        memcpy(keyspace, tables[i].qualifier.text ? tables[i].qualifier.text : "", len);
        keyspace[len] = '\0';
        size_t left = ddl_unqualify(text, st->text, st->len, keyspace);
        CHECK(left <= st->len && text[left] == '\0');
    }
    free(keyspace);
    free(text);
}

static void check_statement(const struct statement *st)
{
    if (st->kind == STATEMENT_ONLINE_DDL)
        check_tables(st);
    struct names names;
    names_collect(&names, st->text, st->len, true);
    if (st->kind == STATEMENT_USE) /* ks@replica is more than a name */
        CHECK(st->qualifier.len == 0);
    else
        check_name(st, st->name, &names);
    check_name(st, st->qualifier, &names);
    if (st->body.len > 0)
        CHECK(st->kind == STATEMENT_PREPARE && st->body.text > st->text &&
              st->body.text + st->body.len <= st->text + st->len);
    CHECK(!st->sets_global || st->sets_ddl_strategy);
    CHECK(!st->ddl_strategy_default || (st->sets_ddl_strategy && !st->sets_global));
    CHECK(!st->sets_ddl_strategy || st->kind == STATEMENT_SET);
    CHECK(st->lock == LOCK_NONE || st->kind == STATEMENT_READ);
    CHECK((st->verb != DDL_NONE) ==
          (st->kind == STATEMENT_ONLINE_DDL || st->kind == STATEMENT_DIRECT_DDL));
    CHECK(strcmp(statement_kind_name(st->kind), "unknown") != 0);

    /* Read again by itself it is the same; only "--;" turns into a comment when cut before the ';'.
     */
    if (st->len < 2 || memcmp(st->text + st->len - 2, "--", 2) != 0) {
        struct statement again;
        CHECK(classify_next(st->text, st->len, &again) == st->len);
        CHECK(again.kind == st->kind && again.text == st->text && again.len == st->len);
        CHECK(again.name.len == st->name.len && again.truncated == st->truncated);
    }
}

/* Quick's answer for every prefix of the text, against the first statement of the whole. */
static void check_quick(const char *sql, size_t size, const struct statement *first)
{
    enum quick_kind whole = classify_quick(sql, size, true), last = QUICK_UNDECIDED;
    size_t step = 1 + size / 256;
    for (size_t n = 0; n <= size; n += step) {
        enum quick_kind quick = classify_quick(sql, n, false);
        CHECK(last == QUICK_UNDECIDED || quick == last);
        CHECK(quick == QUICK_UNDECIDED || quick == whole);
        last = quick;
    }
    if (whole == QUICK_PLAIN)
        CHECK(is_plain(first->kind) && first->lock == LOCK_NONE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *sql = (const char *)data, *previous = sql;
    size_t at = 0, rest_with_tokens = 0;
    while (at < size) {
        struct statement st;
        size_t used = classify_next(sql + at, size - at, &st);
        CHECK(used > 0 && used <= size - at);
        CHECK(st.text >= previous && st.text + st.len <= sql + at + used);
        CHECK(at + used == size || sql[at + used - 1] == ';');
        check_statement(&st);
        if (at == 0)
            check_quick(sql, size, &st);
        else
            rest_with_tokens += st.kind != STATEMENT_EMPTY;
        previous = st.text + st.len;
        at += used;
    }
    CHECK(classify_is_multi(sql, size) == (rest_with_tokens > 0));
    return 0;
}
