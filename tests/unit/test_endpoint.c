/*
 * config/endpoint.c: what is an address, and when two are the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config/options.h"

#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void test_endpoint_accepts(void **state)
{
    static const struct {
        const char *text, *host;
        uint16_t port;
        bool is_unix;
    } cases[] = {
        {"127.0.0.1:3306", "127.0.0.1", 3306, false},
        {"vtgate-1.example.com:15306", "vtgate-1.example.com", 15306, false},
        {"vtgate_1:1", "vtgate_1", 1, false},
        {"host.:65535", "host.", 65535, false},
        {"0.0.0.0:00080", "0.0.0.0", 80, false},
        {"[::1]:3306", "::1", 3306, false},
        {"[::]:3306", "::", 3306, false},
        {"[fe80::1%eth0]:3306", "fe80::1%eth0", 3306, false},
        {"[::ffff:1.2.3.4]:3306", "::ffff:1.2.3.4", 3306, false},
        {"unix:/run/vtshim.sock", "/run/vtshim.sock", 0, true},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct endpoint e;
        struct config_error err = {""};
        assert_true(endpoint_parse(cases[i].text, &e, &err));
        assert_string_equal(e.host, cases[i].host);
        assert_string_equal(e.text, cases[i].text);
        assert_int_equal(e.port, cases[i].port);
        assert_int_equal(e.is_unix, cases[i].is_unix);
        endpoint_fini(&e);
        assert_null(e.text);
    }
}

static void test_endpoint_refuses(void **state)
{
    static const char not_host[] = "the host is neither a name nor an IP address";
    static const char no_port[] = "the port is missing";
    static const char bad_port[] = "the port must be 1 to 65535";
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"", no_port},
        {"localhost", no_port},
        {"[::1]", no_port},
        {":3306", "the host is missing"},
        {"localhost:", bad_port},
        {"localhost:0", bad_port},
        {"localhost:65536", bad_port},
        {"localhost:123456", bad_port},
        {"localhost:99999999999999999999", bad_port},
        {"localhost:-1", bad_port},
        {"localhost:+1", bad_port},
        {"localhost:mysql", bad_port},
        {"::1:3306", "write an IPv6 address in brackets"},
        {"[::1:3306", not_host},
        {"[]:3306", not_host},
        {"[127.0.0.1]:3306", not_host},
        {"[::1%]:3306", not_host},
        {"[::1%a%b;]:3306", not_host},
        {"[::1]x:3306", not_host},
        {"]:3306", not_host},
        {"127.0.0.256:3306", not_host},
        {"127.1:3306", not_host},
        {"-host:3306", not_host},
        {".host:3306", not_host},
        {"a..b:3306", not_host},
        {"a/b:3306", not_host},
        {"user@host:3306", not_host},
        {"h\xc3\xb6st:3306", not_host},
        {"a b:3306", "blanks and control characters"},
        {"a:3306\n", "blanks and control characters"},
        {"unix:", "must be followed by an absolute path"},
        {"unix:run/x", "must be followed by an absolute path"},
        {"unix:/a,b", "must not contain a comma"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct endpoint e;
        struct config_error err = {""};
        assert_false(endpoint_parse(cases[i].text, &e, &err));
        assert_non_null(strstr(err.text, cases[i].error));
        assert_null(e.text);
        assert_null(e.host);
    }
}

static void test_endpoint_lengths(void **state)
{
    char path[128] = "unix:/", host[300] = "";
    struct endpoint e;
    struct config_error err;
    (void)state;
    memset(path + 6, 'p', 106); /* 107 bytes of path */
    assert_true(endpoint_parse(path, &e, &err));
    endpoint_fini(&e);
    path[6 + 106] = 'p';
    assert_false(endpoint_parse(path, &e, &err));
    assert_non_null(strstr(err.text, "longer than the 107 bytes"));
    memset(host, 'h', 253);
    memcpy(host + 253, ":1", 3);
    assert_true(endpoint_parse(host, &e, &err));
    endpoint_fini(&e);
    memcpy(host + 253, "h:1", 4);
    assert_false(endpoint_parse(host, &e, &err));
}

static void test_endpoint_equal(void **state)
{
    static const struct {
        const char *a, *b;
        bool equal;
    } cases[] = {
        {"a:1", "a:1", true},          {"a:1", "A:01", true},        {"a:1", "a:2", false},
        {"a:1", "b:1", false},         {"unix:/a", "a:1", false},    {"unix:/a", "unix:/a", true},
        {"unix:/a", "unix:/A", false}, {"[::1]:1", "[::1]:1", true},
    };
    const struct endpoint none = {0};
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct endpoint a, b;
        struct config_error err;
        assert_true(endpoint_parse(cases[i].a, &a, &err));
        assert_true(endpoint_parse(cases[i].b, &b, &err));
        assert_int_equal(endpoint_equal(&a, &b), cases[i].equal);
        assert_false(endpoint_equal(&a, &none));
        endpoint_fini(&a);
        endpoint_fini(&b);
    }
    assert_true(endpoint_equal(&none, &none));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_endpoint_accepts),
        cmocka_unit_test(test_endpoint_refuses),
        cmocka_unit_test(test_endpoint_lengths),
        cmocka_unit_test(test_endpoint_equal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
