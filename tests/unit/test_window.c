/* Times of day in which a cut-over may begin. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config/window.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define AT(h, m, s)  (INT64_C(1800057600) + (h)*3600 + (m)*60 + (s)) /* 2027-01-16T00:00:00Z */

static void texts(void **state)
{
    static const struct {
        const char *text;
        bool ok;
        int from, to;
    } rows[] = {
        {"02:00-04:00", true, 120, 240},
        {"22:30-01:00", true, 1350, 60},
        {"00:00-00:00", true, 0, 0},
        {"23:59-00:00", true, 1439, 0},
        {"", false, 0, 0},
        {"2:00-4:00", false, 0, 0},
        {"02:00", false, 0, 0},
        {"02:00-", false, 0, 0},
        {"24:00-01:00", false, 0, 0},
        {"02:60-04:00", false, 0, 0},
        {"02:00-04:00 ", false, 0, 0},
        {" 02:00-04:00", false, 0, 0},
        {"02-00-04:00", false, 0, 0},
        {"02:00-04:00Z", false, 0, 0},
        {"-2:00-04:00", false, 0, 0},
        {"0", false, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct window w = {-1, -1};

        assert_int_equal(window_parse(&w, rows[i].text), rows[i].ok);
        if (rows[i].ok) {
            assert_int_equal(w.from, rows[i].from);
            assert_int_equal(w.to, rows[i].to);
        }
    }
}

static void times(void **state)
{
    static const struct {
        const char *text;
        int64_t now;
        bool within;
    } rows[] = {
        {"02:00-04:00", AT(1, 59, 59), false},
        {"02:00-04:00", AT(2, 0, 0), true},
        {"02:00-04:00", AT(3, 59, 59), true},
        {"02:00-04:00", AT(4, 0, 0), false},
        {"22:30-01:00", AT(22, 29, 59), false},
        {"22:30-01:00", AT(22, 30, 0), true},
        {"22:30-01:00", AT(0, 59, 59), true},
        {"22:30-01:00", AT(1, 0, 0), false},
        {"05:00-05:00", AT(4, 0, 0), true},
        {"02:00-04:00", AT(2, 0, 0) - INT64_C(86400) * 30000, true},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct window w;

        assert_true(window_parse(&w, rows[i].text));
        assert_int_equal(window_contains(&w, rows[i].now), rows[i].within);
    }
}

static void lists(void **state)
{
    char early[] = "02:00-04:00", late[] = "22:30-01:00", wrong[] = "always";
    char *two[] = {early, late}, *bad[] = {wrong};
    struct string_list none = {NULL, 0}, both = {two, 2}, useless = {bad, 1};
    int64_t wait = -1;

    (void)state;
    assert_true(windows_open(&none, AT(12, 0, 0), &wait));
    assert_true(windows_open(&useless, AT(12, 0, 0), &wait));
    assert_true(windows_open(&both, AT(3, 0, 0), &wait));
    assert_true(windows_open(&both, AT(23, 0, 0), &wait));
    assert_false(windows_open(&both, AT(1, 0, 0), &wait));
    assert_int_equal(wait, 3600);
    assert_false(windows_open(&both, AT(4, 0, 1), &wait));
    assert_int_equal(wait, 18 * 3600 + 1800 - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts),
        cmocka_unit_test(times),
        cmocka_unit_test(lists),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
