/* What is UTF-8 stays as it is; of the rest each byte is shown as unknown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "proxy/json_text.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void only_what_is_no_utf8_is_replaced(void **state)
{
    static const struct {
        const char *text, *expected;
    } cases[] = {
        {"", ""},
        {"plain", "plain"},
        {"t\xc3\xa4", "t\xc3\xa4"},
        {"caf\xe9", "caf?"},
        {"\xc3\xa4 and then cut \xe2\x82", "\xc3\xa4 and then cut ??"},
        {"\xff\xf0\x9f\x98\x80\xff", "?\xf0\x9f\x98\x80?"},
        {"\xe2\x82\x41", "??A"},
        {"\xc0\x80 \xed\xa0\x80", "?? ???"}, /* overlong, a surrogate */
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        json_t *value = json_text(cases[i].text);

        assert_non_null(value);
        assert_string_equal(json_string_value(value), cases[i].expected);
        json_decref(value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_is_no_utf8_is_replaced),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
