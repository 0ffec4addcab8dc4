/*
 * config/load.h: JSON text and files into settings; every error with its line, no secret in any.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config/lines.h"
#include "config/load.h"
#include "config/support.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *shown(const struct config *c, const char *key)
{
    static char buf[1024];
    option_format(c, option_find(key), buf, sizeof(buf));
    return buf;
}

/* Loads text over the defaults; *c becomes the result. */
static bool load(const char *text, struct config **c, struct config_error *err)
{
    *c = config_create_default();
    *err = (struct config_error){""};
    return config_load_text("f", text, strlen(text), *c, err);
}

/* ---- what is accepted ---- */

static const struct {
    const char *text, *key, *shown;
} accepted[] = {
    {"{}", "listen", "127.0.0.1:13306"},
    {" \r\n\t{ } \n", "listen", "127.0.0.1:13306"},
    {"{\"workers\": 4}", "workers", "4"},
    {"{\"tls.required\": true}", "tls.required", "true"},
    {"{\"ddl\": {\"intercept\": false}}", "ddl.intercept", "false"},
    {"{\"ddl\": {\"poll_interval_ms\": 50}}", "ddl.poll_interval_ms", "50"},
    {"{\"ddl.poll_interval_ms\": 60000}", "ddl.poll_interval_ms", "60000"},
    {"{\"ddl.timeout_s\": 9, \"ddl\": {\"strategy\": \"online\"}}", "ddl.timeout_s", "9"},
    {"{\"ddl.timeout_s\": 9, \"ddl\": {\"strategy\": \"online\"}}", "ddl.strategy", "online"},
    {"{\"ddl\": {}}", "ddl.strategy", "vitess"},
    {"{\"log\": {\"level\": \"warn\"}}", "log.level", "warn"},
    {"{\"admin\": \"\"}", "admin", ""},
    {"{\"admin\": \"unix:/a\"}", "admin", "unix:/a"},
    {"{\"listen\": \"a:1, b:2\"}", "listen", "a:1,b:2"},
    {"{\"listen\": [\"a:1\", \"[::1]:2\"]}", "listen", "a:1,[::1]:2"},
    {"{\"tls\": {\"cert\": \"gr\\u00fcn.pem\"}}", "tls.cert", "gr\xc3\xbcn.pem"},
    {"{\"\\u0077orkers\": 4}", "workers", "4"},
    {"{\"admin_users\": {}}", "admin_users", ""},
    {"{\"admin_users\": {\"o\": {\"password\": \"x\", \"role\": \"operator\", \"certificate\": "
     "\"o.example.com\"}, \"a\": {\"password\": \"x\"}}}",
     "admin_users", "o:******:operator,a:******"},
    {"{\"admin_users\": {\"ops\": \"hunter2\", \"listen\": \"x\"}}", "admin_users",
     "ops:******,listen:******"},
    {"{\"admin_users\": {\"o\": \"*0123456789abcdefABCDEF0123456789ABCDEF01\"}}", "admin_users",
     "o:******"},
    {"{\"admin_users\": {\"o\": \"$sha2$0123456789abcdef0123456789abcdef"
     "0123456789abcdef0123456789abcdef\"}}",
     "admin_users", "o:******"},
    {"{\"control\": {\"password\": \"hunter2\"}}", "control.password", "******"},
};

static void test_accepted(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(accepted); i++) {
        struct config *c;
        struct config_error err;
        bool ok = load(accepted[i].text, &c, &err);
        assert_string_equal(err.text, "");
        assert_true(ok);
        assert_string_equal(shown(c, accepted[i].key), accepted[i].shown);
        config_destroy(c);
    }
}

static void test_users_are_loaded(void **state)
{
    struct config *c;
    struct config_error err;
    (void)state;
    assert_true(
        load("{\"admin_users\": {\"ops\": \"hunter2\", \"dba\": \"pass,word\"}}", &c, &err));
    assert_int_equal(c->admin_users.n, 2);
    assert_string_equal(c->admin_users.items[0].name, "ops");
    assert_string_equal(c->admin_users.items[0].password, "hunter2");
    assert_string_equal(c->admin_users.items[1].password, "pass,word");
    config_destroy(c);
}

/* The text need not end in NUL, and what is behind it does not count. */
static void test_length_counts(void **state)
{
    struct config *c = config_create_default();
    struct config_error err;
    (void)state;
    assert_true(config_load_text("f", "{\"workers\": 4}garbage", 14, c, &err));
    assert_false(config_load_text("f", "{\"workers\": 4}", 13, c, &err));
    assert_string_equal(err.text, "f:1: not valid JSON: the text ends before its last object does");
    config_destroy(c);
}

/* ---- every type with a value of every other type ---- */

static void test_wrong_types(void **state)
{
    static const struct {
        const char *json, *name;
    } values[] = {
        {"{}", "an object"},
        {"[]", "a list"},
        {"\"x\"", "a string"},
        {"7", "an integer"},
        {"1.5", "a floating-point number"},
        {"true", "true"},
        {"false", "false"},
        {"null", "null"},
    };
    static const struct {
        const char *key, *expected;
        const char *fits; /* names of the values that are of the type */
    } types[] = {
        {"tls.required", "true or false", "true false"},
        {"workers", "an integer", "an integer"},
        {"ddl.strategy", "a string", "a string"},
        {"control.password", "a string", "a string"},
        {"log.level", "a string", "a string"},
        {"admin", "a string", "a string"},
        {"listen", "a list of strings or a string", "a list a string"},
        {"admin_users", "an object of user names and passwords", "an object"},
        {"ddl", "an object of settings", "an object"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(types); i++) {
        for (size_t j = 0; j < COUNT(values); j++) {
            char text[100], expected[200];
            struct config *c;
            struct config_error err;
            snprintf(text, sizeof(text), "{\n\"%s\": %s}", types[i].key, values[j].json);
            snprintf(expected, sizeof(expected), "f:2: %s: must be %s, not %s", types[i].key,
                     types[i].expected, values[j].name);
            bool ok = load(text, &c, &err);
            if (strstr(types[i].fits, values[j].name) == NULL) {
                assert_string_equal(err.text, expected);
                assert_false(ok);
            } else {
                assert_null(strstr(err.text, "must be a"));
            }
            config_destroy(c);
        }
    }
}

/* ---- what is refused, with its line ---- */

static const struct {
    const char *text, *error;
} refused[] = {
    /* unknown keys */
    {"{\n\n\"lisen\": \"a:1\"}", "f:3: lisen: unknown setting (did you mean listen?)"},
    {"{\"ddl\": {\n\"strategy\": \"online\",\n\"pol_interval_ms\": 1}}",
     "f:3: ddl.pol_interval_ms: unknown setting (did you mean ddl.poll_interval_ms?)"},
    {"{\"dll\": {\"strategy\": \"online\"}}", "f:1: dll: unknown setting (did you mean ddl?)"},
    {"{\"strategy\": \"online\"}", "f:1: strategy: unknown setting (did you mean ddl.strategy?)"},
    {"{\"frobnicate\": {\"deep\": {\"er\": 1}}}", "f:1: frobnicate: unknown setting"},
    {"{\"\": 1}", "f:1: \"\": unknown setting"},
    {"{\"ddl\": {\"\": 1}}", "f:1: ddl.: unknown setting (did you mean ddl?)"},
    {"{\"ddl\": {\"ddl\": {\"strategy\": \"x\"}}}", "f:1: ddl.ddl: unknown setting"},
    {"{\"a\\nb\\u001b\": 1}", "f:1: a?b?: unknown setting"},
    {"{\"listen\": [\"a:1\"], \"x\": \"\\\"}\\n\\\\\",\n \"y\": 1}", "f:1: x: unknown setting"},
    /* bounds */
    {"{\n\"ddl\": {\n\"poll_interval_ms\"\n:\n5}}",
     "f:3: ddl.poll_interval_ms: 5 is below the minimum 50 (milliseconds)"},
    {"{\"workers\": 65}", "f:1: workers: 65 is above the maximum 64 (threads)"},
    {"{\"workers\": -1}", "f:1: workers: -1 is below the minimum 0 (threads)"},
    {"{\"log\":\r\n{\"level\": \"loud\"}}",
     "f:2: log.level: \"loud\" is not one of debug, info, warn, error"},
    {"{\"workers\": 4.0}", "f:1: workers: must be an integer, not a floating-point number"},
    {"{\"workers\": 99999999999999999999}", "f:1: not valid JSON: a number is too large"},
    {"{\"workers\": 1e999}", "f:1: not valid JSON: a number is too large"},
    {"{\"ddl\": {\"strategy\": \"\"}}", "f:1: ddl.strategy: must not be empty"},
    /* endpoints */
    {"{\"admin\": \"localhost\"}",
     "f:1: admin: \"localhost\": the port is missing, write HOST:PORT"},
    {"{\"listen\": []}", "f:1: listen: has 0 entries, the minimum is 1"},
    {"{\"listen\": [\"\"]}", "f:1: listen: \"\": the port is missing, write HOST:PORT"},
    {"{\"listen\": [\"a:1\", 2]}", "f:1: listen: entry 2 must be a string, not an integer"},
    {"{\"vtgate\": [\n\"a:1\",\n\"a:0\"]}", "f:1: vtgate: \"a:0\": the port must be 1 to 65535"},
    /* the same setting twice */
    {"{\"ddl\": {\"strategy\": \"a\"},\n\"ddl.strategy\": \"b\"}",
     "f:2: ddl.strategy: is set twice, with a dot and as nested objects"},
    {"{\"ddl.strategy\": \"b\",\n\"ddl\": {\n\"strategy\": \"a\"}}",
     "f:3: ddl.strategy: is set twice, with a dot and as nested objects"},
    {"{\"workers\": 1,\n\"workers\": 2}",
     "f:2: not valid JSON: duplicate object key near '\"workers\"'"},
    /* users */
    {"{\"admin_users\": {\"ops\": 7}}",
     "f:1: admin_users: the password of ops must be a string, not an integer"},
    {"{\"admin_users\": {\"\": \"x\"}}", "f:1: admin_users: a user name must have 1 to 32 bytes"},
    {"{\"admin_users\": {\"ops\": \"\"}}",
     "f:1: admin_users: the password of ops must have 1 to 255 bytes"},
    {"{\"admin_users\": {\"ops\": \"*123\"}}",
     "f:1: admin_users: the password of ops begins with '*', so it must be a hash: '*' and 40 "
     "hexadecimal digits"},
    {"{\"admin_users\": {\"ops\": \"*0123456789abcdef0123456789abcdef0123456g\"}}",
     "f:1: admin_users: the password of ops begins with '*', so it must be a hash: '*' and 40 "
     "hexadecimal digits"},
    {"{\"admin_users\": {\"ops\": \"$sha2$abc\"}}",
     "f:1: admin_users: the password of ops begins with $sha2$, so it must be a hash: $sha2$ and "
     "64 hexadecimal digits"},
    {"{\"admin_users\": {\"ops\": {\"role\": \"viewer\"}}}",
     "f:1: admin_users: the password of ops must be a string, not left out"},
    {"{\"admin_users\": {\"ops\": {\"password\": \"x\", \"role\": \"root\"}}}",
     "f:1: admin_users: the role of ops must be viewer, operator or admin"},
    {"{\"admin_users\": {\"ops\": {\"password\": \"x\", \"rights\": \"all\"}}}",
     "f:1: admin_users: ops may have password, role and certificate (a string), not rights"},
    {"{\"admin_users\": {\"ops\": {\"password\": \"x\", \"certificate\": \"\"}}}",
     "f:1: admin_users: the certificate of ops must have 1 to 255 bytes"},
    {"{\"admin_users.ops\": \"x\"}", "f:1: admin_users.ops: unknown setting"},
    /* no configuration at all */
    {"[]", "f:1: must be an object of settings, not a list"},
    {"7", "f:1: must be an object of settings, not an integer"},
    {"", "f:1: not valid JSON: the text ends before its last object does"},
    {"{\n\"a\": 1", "f:2: not valid JSON: the text ends before its last object does"},
    {"{}\n{}", "f:2: not valid JSON: only blanks may follow the end of the object"},
    {"{\n'a': 1}", "f:2: not valid JSON: string or '}' expected"},
    {"{\"a\": 1,\n}", "f:2: not valid JSON: string or '}' expected"},
    {"// comment\n{}", "f:1: not valid JSON: invalid token"},
    {"{\"a\": \"x\ny\"}", "f:1: not valid JSON: unexpected newline"},
    {"{\n\"a\": \"\xff\"}", "f:2: not valid JSON: the text is not valid UTF-8"},
    {"{\n\"a\": \"\xc3\"}", "f:2: not valid JSON: the text is not valid UTF-8"},
    {"\xff\xfe{", "f:1: not valid JSON: the text is not valid UTF-8"},
    {"{\"a\": \"\\u0000\"}", "f:1: not valid JSON: \\u0000 is not allowed in a string"},
    {"{\"a\\u0000\": 1}", "f:1: not valid JSON: \\u0000 is not allowed in a key"},
    {"{\"a\": \"\\ud800\"}", "f:1: not valid JSON: invalid Unicode"},
};

static void test_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(refused); i++) {
        struct config *c;
        struct config_error err;
        bool ok = load(refused[i].text, &c, &err);
        assert_string_equal(err.text, refused[i].error);
        assert_false(ok);
        config_destroy(c);
    }
}

static void test_nul_byte(void **state)
{
    static const char text[] = "{\n\"workers\":\0 4}";
    struct config *c = config_create_default();
    struct config_error err;
    (void)state;
    assert_false(config_load_text("f", text, sizeof(text) - 1, c, &err));
    assert_string_equal(err.text, "f:2: not valid JSON: a NUL byte");
    config_destroy(c);
}

/* ---- secrets ---- */

/* Wherever the mistake is, the password next to it is not told. */
static void test_no_secret_in_errors(void **state)
{
    static const char *const texts[] = {
        "{\"control\": {\"password\": \"hunter2\" \"x\": 1}}",
        "{\"control\": {\"password\": \"hunter2",
        "{\"control\": {\"password\": \"hunter2\n\"}}",
        "{\"control\": {\"password\": hunter2}}",
        "{\"control\": {\"password\": \"hunter2\\x\"}}",
        "{\"control\": {\"password\": \"hunter2\\u0000\"}}",
        "{\"control\": {\"password\": \"hunter2\xff\"}}",
        "{\"control\": {\"password\": \"hunter2\\n\"}}",
        "{\"control\": {\"password\": [\"hunter2\"]}}",
        "{\"control\": {\"pasword\": \"hunter2\"}}",
        "{\"control\": \"hunter2\"}",
        "{\"control.password\" \"hunter2\"}",
        "{\"admin_users\": {\"ops\": \"*hunter2\"}}",
        "{\"admin_users\": {\"ops\": \"$sha2$hunter2\"}}",
        "{\"admin_users\": {\"ops\": [\"hunter2\"]}}",
        "{\"admin_users\": {\"ops\": \"hunter2\", \"dba\": \"\"}}",
        "{\"admin_users\": \"ops:hunter2\"}",
        "{\"admin_users\": [\"ops:hunter2\"]}",
        "{\"admin_users\": {\"ops\": \"hunter2\", \"ops\": \"hunter2\"}}",
    };
    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct config *c;
        struct config_error err;
        assert_false(load(texts[i], &c, &err));
        assert_true(strlen(err.text) > 10);
        assert_null(strstr(err.text, "hunter"));
        config_destroy(c);
    }
}

/* ---- sizes ---- */

static char *repeated(const char *before, const char *part, size_t n, const char *after)
{
    size_t len = strlen(part);
    char *text = config_alloc(strlen(before) + n * len + strlen(after) + 1, 1);
    char *p = stpcpy(text, before);
    for (size_t i = 0; i < n; i++) {
        p = stpcpy(p, part);
    }
    stpcpy(p, after);
    return text;
}

static void test_sizes(void **state)
{
    static const struct {
        const char *before, *part;
        size_t n;
        const char *after, *error; /* NULL: accepted; else how the error begins */
    } cases[] = {
        {"", "[", 1000000, "", "f:1: not valid JSON: objects and lists are nested too deeply"},
        {"", "{\"ddl\":", 100000, "", "f:1: not valid JSON: objects and lists are nested too deep"},
        {"{\"x\":", "[", 1500, "", "f:1: not valid JSON: the text ends before"},
        {"{}", " ", CONFIG_FILE_MAX - 2, "", NULL},
        {"{}", " ", CONFIG_FILE_MAX - 1, "", "f: is larger than 1048576 bytes"},
        {"{\"", "k", 500000, "\": 1}", "f:1: kkkkkkkk"},
        {"{\"", "\xc3\xbc", 500000, "\": 1}", "f:1: \xc3\xbc\xc3\xbc"},
        {"{\"ddl\": {\"", "k", 500000, "\": 1}}", "f:1: ddl.kkkkkk"},
        {"{\"log.level\": \"", "l", 500000, "\"}", "f:1: log.level: \"llllllll"},
        {"{\"listen\": \"", "l", 500000, "\"}", "f:1: listen: \"llllllll"},
        {"{\"listen\": \"", ",", 500000, "\"}", "f:1: listen: has 500001 entries"},
        {"{\"control.password\": \"", "p", 500000, "\"}",
         "f:1: control.password: is 500000 bytes long, the maximum is 255"},
        {"{\"admin_users\": {\"", "u", 33, "\": \"x\"}}", "f:1: admin_users: a user name must"},
        {"{\"admin_users\": {\"u\": \"", "p", 255, "\"}}", NULL},
        {"{\"admin_users\": {\"u\": \"", "p", 256, "\"}}", "f:1: admin_users: the password of u"},
        {"{", "\n", 1000000, "\"workers\": 99}", "f:1000001: workers: 99 is above"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char *text = repeated(cases[i].before, cases[i].part, cases[i].n, cases[i].after);
        struct config *c;
        struct config_error err;
        assert_int_equal(load(text, &c, &err), cases[i].error == NULL);
        if (cases[i].error != NULL) {
            assert_memory_equal(err.text, cases[i].error, strlen(cases[i].error));
        }
        config_destroy(c);
        free(text);
    }
}

/* A long file name leaves room for the line and what is wrong. */
static void test_long_name(void **state)
{
    char *name = repeated("/", "n", 5000, "");
    struct config *c = config_create_default();
    struct config_error err;
    (void)state;
    assert_false(config_load_text(name, "{\"lisen\": 1}", 12, c, &err));
    assert_non_null(strstr(err.text, "n:1: lisen: unknown setting (did you mean listen?)"));
    config_destroy(c);
    free(name);
}

/* ---- files ---- */

static void write_file(const char *path, const char *text, size_t size)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    for (size_t i = strlen(text); i < size; i++) {
        fputc(' ', f);
    }
    assert_int_equal(fclose(f), 0);
}

static void check_file(const char *path, const char *error)
{
    struct config *c = config_create_default();
    struct config_error err = {""};
    char expected[600] = "";
    if (error != NULL) {
        snprintf(expected, sizeof(expected), "%s%s", path, error);
    }
    bool ok = config_load_file(path, c, &err);
    assert_string_equal(err.text, expected);
    assert_int_equal(ok, error == NULL);
    config_destroy(c);
}

static void test_files(void **state)
{
    char folder[] = "/tmp/vtshim_test_load_XXXXXX", path[64];
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/vtshim.json", folder);
    check_file(path, ": cannot be read: No such file or directory");
    check_file(folder, ": cannot be read: Is a directory");
    write_file(path, "{\"workers\": 4}\n", 0);
    check_file(path, NULL);
    write_file(path, "{\n\"workers\": \"4\"}\n", 0);
    check_file(path, ":2: workers: must be an integer, not a string");
    write_file(path, "{}", CONFIG_FILE_MAX);
    check_file(path, NULL);
    write_file(path, "{}", CONFIG_FILE_MAX + 1);
    check_file(path, ": is larger than 1048576 bytes");
    write_file(path, "", 0);
    check_file(path, ":1: not valid JSON: the text ends before its last object does");
    check_file("/dev/zero", ": is larger than 1048576 bytes");
    check_file("/dev/null", ":1: not valid JSON: the text ends before its last object does");
    assert_int_equal(chmod(path, 0), 0);
    if (geteuid() != 0) { /* root may read everything */
        check_file(path, ": cannot be read: Permission denied");
    }
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
}

/* The file first, then the command line, then the rules: what main does. */
static void test_file_then_command_line(void **state)
{
    struct config *c;
    struct config_error err;
    (void)state;
    assert_true(load("{\"hold\": {\"max_ttl_s\": 10}, \"workers\": 2}", &c, &err));
    assert_true(option_set_text(c, "vtgate", "v:1", &err));
    assert_true(option_set_text(c, "workers", "3", &err));
    assert_false(config_check(c, &err));
    assert_string_equal(err.text, "hold.default_ttl_s: 60 is above hold.max_ttl_s, which is 10");
    assert_true(option_set_text(c, "hold.default_ttl_s", "10", &err));
    assert_true(config_check(c, &err));
    assert_int_equal(c->workers, 3);
    config_destroy(c);
}

/* ---- lines ---- */

static void test_lines_of_key(void **state)
{
    static const char text[] = "{\"s\": \"a\\\"b: {\\\\\",\n" /* 1 */
                               "\"list\": [{\"x\": 1},\n"     /* 2 */
                               "[\"x\"]],\n"                  /* 3 */
                               "\"a\": {\"b\": 1,\n"          /* 4 */
                               "\"a\" : 2},\n"                /* 5 */
                               "\"b\"\n"                      /* 6 */
                               ": {\"\\u0063\\\"\":\n"        /* 7 */
                               "1, \"x\": \"a\"}}\n";         /* 8 */
    static const struct {
        const char *path[2];
        size_t n, line;
    } cases[] = {
        {{"s"}, 1, 1},      {{"list"}, 1, 2},      {{"a"}, 1, 4},        {{"a", "b"}, 2, 4},
        {{"a", "a"}, 2, 5}, {{"b"}, 1, 6},         {{"b", "c\""}, 2, 7}, {{"b", "x"}, 2, 8},
        {{"x"}, 1, 0},      {{"b", "nope"}, 2, 0}, {{""}, 1, 0},         {{"s"}, 0, 0},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(lines_of_key(text, strlen(text), cases[i].path, cases[i].n),
                         cases[i].line);
    }
}

/* Not JSON at all: any answer, but nothing outside the text is read (the sanitizer watches). */
static void test_lines_stay_inside(void **state)
{
    static const char text[] = "{\"a\\\":{\"b\":[}]}\"\\";
    static const char *const path[] = {"a", "b"};
    (void)state;
    for (size_t len = 0; len < sizeof(text); len++) {
        char *exact = malloc(len > 0 ? len : 1);
        assert_non_null(exact);
        memcpy(exact, text, len);
        assert_true(lines_of_key(exact, len, path, 2) <= 1);
        free(exact);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_users_are_loaded),
        cmocka_unit_test(test_length_counts),
        cmocka_unit_test(test_wrong_types),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_nul_byte),
        cmocka_unit_test(test_no_secret_in_errors),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_long_name),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_file_then_command_line),
        cmocka_unit_test(test_lines_of_key),
        cmocka_unit_test(test_lines_stay_inside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
