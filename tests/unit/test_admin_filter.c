/*
 * LIKE and WHERE of the SHOW commands: which rows pass, and what is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "proxy/admin_filter.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const char *const NAMES[] = {"Id", "User", "Target", "Commands"};
static const char *const ROWS[][4] = {
    {"1", "app", "commerce", "10"},
    {"2", "APP", "commerce/-80", "9"},
    {"3", "reader%", NULL, "100"},
    {"12", "a_b", "x\\y", "0.5"},
};

static struct lexer over(const char *text)
{
    struct lexer lx;

    lexer_init(&lx, text, strlen(text));
    return lx;
}

/* passed: the first characters of the ids of the rows that pass, 12 being 'c'. */
static const struct {
    const char *text, *passed;
} PASSED[] = {
    {"", "123c"},
    {";", "123c"},
    {"LIKE '1%'", "1c"},
    {"like '_'", "123"},
    {"LIKE '1'", "1"},
    {"LIKE '%'", "123c"},
    {"LIKE ''", ""},
    {"WHERE user = 'app'", "12"},
    {"WHERE `User` = app", "12"},
    {"where USER like 'a%' ;", "12c"},
    {"WHERE user LIKE 'a\\_b'", "c"},
    {"WHERE user LIKE '%\\%'", "3"},
    {"WHERE user LIKE 'a\\%b'", ""},
    {"WHERE user LIKE '%e%a%e%'", "3"},
    {"WHERE target LIKE 'x%y'", "c"},
    {"WHERE target = 'commerce'", "1"},
    {"WHERE target != 'commerce'", "2c"},
    {"WHERE target <> 'commerce'", "2c"},
    {"WHERE commands > 9", "13"},
    {"WHERE commands >= 9.0", "123"},
    {"WHERE commands < 10", "2c"},
    {"WHERE commands <= 10", "12c"},
    {"WHERE commands > -1", "123c"},
    {"WHERE commands = 1e1", "1"},
    {"WHERE user = 'app' AND id = 2", "2"},
    {"LIKE '1%' WHERE commands < 5", "c"},
};

static void rows_pass(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(PASSED); i++) {
        struct lexer lx = over(PASSED[i].text);
        struct admin_filter filter;
        struct admin_error error;
        char passed[8] = "";

        if (!admin_filter_parse(&lx, &filter, &error))
            fail_msg("%s: refused", PASSED[i].text);
        assert_null(admin_filter_unknown(&filter, NAMES, COUNT(NAMES)));
        for (size_t r = 0; r < COUNT(ROWS); r++) {
            if (admin_filter_passes(&filter, NAMES, ROWS[r], COUNT(NAMES)))
                strncat(passed, r == 3 ? "c" : ROWS[r][0], 1);
        }
        if (strcmp(passed, PASSED[i].passed) != 0)
            fail_msg("%s: %s", PASSED[i].text, passed);
    }
}

static void mistakes_are_refused(void **state)
{
    static const char *const TEXTS[] = {
        "nonsense",          "LIKE",        "LIKE 'x",          "LIKE 'a' 'b'",  "WHERE",
        "WHERE id",          "WHERE id =",  "WHERE id ~ 1",     "WHERE id = =",  "WHERE id = 1 AND",
        "WHERE id = 1 OR 1", "WHERE 1 = 1", "WHERE id ! = 1",   "; LIKE 'a'",    "WHERE id = -x",
        "WHERE id = - 'x'",  "WHERE = 1",   "WHERE id LIKE '%", "WHERE id = @x",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(TEXTS); i++) {
        struct lexer lx = over(TEXTS[i]);
        struct admin_filter filter;
        struct admin_error error;

        if (admin_filter_parse(&lx, &filter, &error))
            fail_msg("%s: taken", TEXTS[i]);
        assert_true(*error.expected != '\0');
    }
}

static void bounds_are_kept(void **state)
{
    char text[2000] = "WHERE id = 0";
    struct admin_filter filter;
    struct admin_error error;
    struct lexer lx;

    (void)state;
    for (size_t i = 1; i < ADMIN_CONDITIONS_MAX; i++)
        strcat(text, " AND id = 0");
    lx = over(text);
    assert_true(admin_filter_parse(&lx, &filter, &error));
    assert_int_equal(filter.n, ADMIN_CONDITIONS_MAX);
    strcat(text, " AND id = 0");
    lx = over(text);
    assert_false(admin_filter_parse(&lx, &filter, &error));
    strcpy(text, "LIKE '");
    memset(text + 6, 'x', 256);
    strcpy(text + 262, "'");
    lx = over(text);
    assert_false(admin_filter_parse(&lx, &filter, &error));
    strcpy(text + 261, "'");
    lx = over(text);
    assert_true(admin_filter_parse(&lx, &filter, &error));
}

static void unknown_columns_are_named(void **state)
{
    struct lexer lx = over("WHERE id = 1 AND nosuch = 2");
    struct admin_filter filter;
    struct admin_error error;

    (void)state;
    assert_true(admin_filter_parse(&lx, &filter, &error));
    assert_string_equal(admin_filter_unknown(&filter, NAMES, COUNT(NAMES)), "nosuch");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_pass),
        cmocka_unit_test(mistakes_are_refused),
        cmocka_unit_test(bounds_are_kept),
        cmocka_unit_test(unknown_columns_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
