/* Statements without their literals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "planner/digest.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void literals_are_replaced(void **state)
{
    static const struct {
        const char *sql, *want;
    } rows[] = {
        {"", ""},
        {"  -- nothing 'secret'\n", ""},
        {"ALTER TABLE t ADD COLUMN c varchar(20) DEFAULT 'secret'",
         "ALTER TABLE t ADD COLUMN c varchar(?) DEFAULT ?"},
        {"alter\ttable `a b`.`t``x`  /* secret */ add c int", "alter table `a b`.`t``x` add c int"},
        {"CREATE TABLE t (id bigint, e enum('x','y'), PRIMARY KEY (id))",
         "CREATE TABLE t(id bigint, e enum(?, ?), PRIMARY KEY(id))"},
        {"/*!50000 ALTER TABLE t COMMENT \"secret\" */", "ALTER TABLE t COMMENT ?"},
        {"ALTER TABLE t COMMENT 'sec''ret\\' still", "ALTER TABLE t COMMENT ?"},
        {"ALTER TABLE t ADD c int DEFAULT -1.5e3", "ALTER TABLE t ADD c int DEFAULT - ?"},
        {"ALTER VITESS_MIGRATION 'u' CANCEL;", "ALTER VITESS_MIGRATION ? CANCEL;"},
        {"SET @a = 0x41, @@b = x'41'", "SET @a = ?, @@b = x ?"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char text[200];
        size_t n = statement_digest(text, sizeof text, rows[i].sql, strlen(rows[i].sql));

        assert_string_equal(text, rows[i].want);
        assert_int_equal(n, strlen(rows[i].want));
    }
}

/* Whatever the size: no more is written than fits, and what is missing is told. */
static void long_ones_are_cut(void **state)
{
    static const char SQL[] = "ALTER TABLE averylongname ADD COLUMN other int DEFAULT 'secret'";
    char whole[200];

    (void)state;
    size_t all = statement_digest(whole, sizeof whole, SQL, sizeof SQL - 1);

    for (size_t size = 4; size < 100; size++) {
        char text[101];

        memset(text, '#', sizeof text);
        size_t n = statement_digest(text, size, SQL, sizeof SQL - 1);

        assert_true(n < size);
        assert_int_equal(text[n], '\0');
        for (size_t i = size; i < sizeof text; i++)
            assert_int_equal(text[i], '#');
        if (n == all) {
            assert_string_equal(text, whole);
        } else {
            assert_memory_equal(text + n - 3, "...", 3);
            assert_memory_equal(text, whole, n - 3);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(literals_are_replaced),
        cmocka_unit_test(long_ones_are_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
