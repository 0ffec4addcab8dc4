/* The set of names: nothing mentioned is missed, and hardly anything else is found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "planner/names.h"

static const struct {
    const char *sql, *name;
    bool found;
} cases[] = {
    {"SELECT c FROM sbtest1 WHERE id=1", "sbtest1", true},
    {"SELECT c FROM sbtest1 WHERE id=1", "SbTest1", true},
    {"SELECT c FROM SBTEST1", "sbtest1", true},
    {"SELECT c FROM sbtest1", "sbtest2", false},
    {"SELECT c FROM sbtest1", "sbtest", false},
    {"SELECT * FROM ks.t1, `ks2` . `t2`", "t1", true},
    {"SELECT * FROM ks.t1, `ks2` . `t2`", "ks2", true},
    {"SELECT * FROM ks.t1, `ks2` . `t2`", "t2", true},
    {"SELECT * FROM `we``ird`", "we`ird", true},
    {"SELECT * FROM `a table`", "a table", true},
    {"SELECT * FROM \"ansi\"", "ansi", true},
    {"SELECT * FROM \"an\"\"si\"", "an\"si", true},
    {"SELECT 'stringy'", "stringy", false},
    {"SELECT @uservar", "uservar", false},
    {"SELECT 1 /* t1 */ -- t1\n # t1", "t1", false},
    {"SELECT * FROM /*!40000 t1 */", "t1", true},
    {"SELECT * FROM ks.2nd", "2nd", true},
    {"SELECT * FROM caf\xc3\xa9", "caf\xc3\xa9", true},
    {"INSERT INTO t(a)VALUES(1);DELETE FROM u", "u", true},
    {"SELECT 'unterminated", "anything", true},
    {"SELECT /* unterminated", "anything", true},
    {"", "t", false},
};

static void names_of_each_text(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct names n;
        names_collect(&n, cases[i].sql, strlen(cases[i].sql), true);
        if (names_may_contain(&n, cases[i].name, strlen(cases[i].name)) != cases[i].found)
            fail_msg("%s: %s", cases[i].sql, cases[i].name);
    }
}

static void a_part_matches_everything(void **state)
{
    (void)state;
    struct names n;
    names_collect(&n, "SELECT 1", 8, false);
    assert_true(n.everything);
    assert_true(names_may_contain(&n, "t", 1));
}

static void added_names_are_found(void **state)
{
    (void)state;
    struct names n = {.everything = false};
    assert_false(names_may_contain(&n, "t", 1));
    names_add(&n, "My`Table", 8);
    assert_true(names_may_contain(&n, "mY`tABLE", 8));
    assert_false(names_may_contain(&n, "my``table", 9));
}

static void few_false_positives(void **state)
{
    (void)state;
    struct names n = {.everything = false};
    char name[32];
    for (int i = 0; i < 50; i++)
        names_add(&n, name, (size_t)snprintf(name, sizeof name, "column_%d", i));
    int found = 0;
    for (int i = 0; i < 10000; i++)
        found += names_may_contain(&n, name, (size_t)snprintf(name, sizeof name, "table_%d", i));
    assert_true(found < 300); /* 3 %; about 1 % is to be expected */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_each_text),
        cmocka_unit_test(a_part_matches_everything),
        cmocka_unit_test(added_names_are_found),
        cmocka_unit_test(few_false_positives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
