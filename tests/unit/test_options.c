/*
 * config/options.h: the table itself, setting from text, showing, cloning and comparing, and
 * suggestions.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config/options.h"
#include "config/suggest.h"
#include "config/value.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *shown(const struct config *c, const char *key)
{
    static char buf[1024];
    option_format(c, option_find(key), buf, sizeof(buf));
    return buf;
}

/* ---- the table ---- */

static void test_table_is_sound(void **state)
{
    size_t n;
    const struct option_row *rows = options_table(&n);
    (void)state;
    assert_true(n > 30);
    for (size_t i = 0; i < n; i++) {
        assert_ptr_equal(option_find(rows[i].key), &rows[i]); /* so no key is there twice */
        assert_true(strlen(rows[i].key) < SUGGEST_KEY_MAX);
        assert_true(rows[i].min <= rows[i].max);
        assert_true(strchr(rows[i].key, '.') == strrchr(rows[i].key, '.'));
        assert_true(rows[i].type != OPTION_INT || rows[i].unit[0] != '\0');
        size_t len = strlen(rows[i].doc);
        assert_true(len > 10 && rows[i].doc[len - 1] == '.');
        assert_true(isupper((unsigned char)rows[i].doc[0]));
    }
    assert_null(option_find("lisen"));
    assert_null(option_find(""));
}

static void test_defaults_are_shown_as_written(void **state)
{
    size_t n;
    const struct option_row *rows = options_table(&n);
    struct config *c = config_create_default();
    (void)state;
    for (size_t i = 0; i < n; i++) {
        assert_string_equal(shown(c, rows[i].key), rows[i].fallback ? rows[i].fallback : "");
    }
    assert_int_equal(c->listen.n, 1);
    assert_string_equal(c->listen.items[0].host, "127.0.0.1");
    assert_int_equal(c->listen.items[0].port, 13306);
    assert_int_equal(c->limits_max_inspect_bytes, 16777216);
    assert_true(c->ddl_intercept);
    assert_int_equal(c->vtgate.n, 0);
    config_destroy(c);
    config_destroy(NULL);
}

static void test_words_are_their_enum(void **state)
{
    static const struct {
        const char *key, *word;
        int value;
    } cases[] = {{"log.level", "debug", CONFIG_LOG_DEBUG},
                 {"log.level", "info", CONFIG_LOG_INFO},
                 {"log.level", "warn", CONFIG_LOG_WARN},
                 {"log.level", "error", CONFIG_LOG_ERROR},
                 {"log.level", "ERROR", CONFIG_LOG_ERROR},
                 {"log.format", "text", CONFIG_LOG_TEXT},
                 {"log.format", "json", CONFIG_LOG_JSON},
                 {"vtgate_tls.mode", "off", CONFIG_TLS_OFF},
                 {"vtgate_tls.mode", "preferred", CONFIG_TLS_PREFERRED},
                 {"vtgate_tls.mode", "required", CONFIG_TLS_REQUIRED},
                 {"vtgate_tls.mode", "verify-ca", CONFIG_TLS_VERIFY_CA},
                 {"vtgate_tls.mode", "verify-identity", CONFIG_TLS_VERIFY_IDENTITY},
                 {"vtctld_tls.mode", "off", CONFIG_VTCTLD_TLS_OFF},
                 {"vtctld_tls.mode", "required", CONFIG_VTCTLD_TLS_REQUIRED},
                 {"vtctld_tls.mode", "verify-ca", CONFIG_VTCTLD_TLS_VERIFY_CA},
                 {"vtctld_tls.mode", "verify-identity", CONFIG_VTCTLD_TLS_VERIFY_IDENTITY},
                 {"etcd_tls.mode", "off", CONFIG_ETCD_TLS_OFF},
                 {"etcd_tls.mode", "required", CONFIG_ETCD_TLS_REQUIRED},
                 {"etcd_tls.mode", "verify-ca", CONFIG_ETCD_TLS_VERIFY_CA},
                 {"etcd_tls.mode", "verify-identity", CONFIG_ETCD_TLS_VERIFY_IDENTITY},
                 {"ddl.executor", "vtgate", CONFIG_EXECUTOR_VTGATE},
                 {"ddl.executor", "vtctld", CONFIG_EXECUTOR_VTCTLD},
                 {"ddl.on_disconnect", "detach", CONFIG_DISCONNECT_DETACH},
                 {"ddl.on_disconnect", "cancel", CONFIG_DISCONNECT_CANCEL},
                 {"ddl.progress", "off", CONFIG_PROGRESS_OFF},
                 {"ddl.progress", "mariadb", CONFIG_PROGRESS_MARIADB},
                 {"ddl.queue", "wait", CONFIG_QUEUE_WAIT},
                 {"ddl.queue", "refuse", CONFIG_QUEUE_REFUSE},
                 {"ddl.queue", "off", CONFIG_QUEUE_OFF}};
    struct config *c = config_create_default();
    struct config_error err;
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct option_row *row = option_find(cases[i].key);
        assert_true(option_set_text(c, cases[i].key, cases[i].word, &err));
        assert_int_equal(*(int *)value_field(c, row), cases[i].value);
    }
    config_destroy(c);
}

/* ---- setting from text ---- */

struct set_case {
    const char *key, *text;
    const char *shown; /* NULL: refused */
    const char *error;
};

static const struct set_case set_cases[] = {
    {"tls.required", "true", "true", NULL},
    {"tls.required", "ON", "true", NULL},
    {"tls.required", "yes", "true", NULL},
    {"tls.required", "1", "true", NULL},
    {"tls.required", "False", "false", NULL},
    {"tls.required", "off", "false", NULL},
    {"tls.required", "no", "false", NULL},
    {"tls.required", "0", "false", NULL},
    {"tls.required", "", NULL, "tls.required: \"\" is not true or false"},
    {"tls.required", "2", NULL, "tls.required: \"2\" is not true or false"},
    {"workers", "64", "64", NULL},
    {"workers", "007", "7", NULL},
    {"workers", "65", NULL, "workers: 65 is above the maximum 64 (threads)"},
    {"workers", "-1", NULL, "workers: -1 is below the minimum 0 (threads)"},
    {"workers", "", NULL, "workers: \"\" is not an integer; write the number of threads"},
    {"workers", "-", NULL, "workers: \"-\" is not an integer; write the number of threads"},
    {"workers", "4x", NULL, "workers: \"4x\" is not an integer; write the number of threads"},
    {"workers", " 4", NULL, "workers: \" 4\" is not an integer; write the number of threads"},
    {"workers", "4.0", NULL, "workers: \"4.0\" is not an integer; write the number of threads"},
    {"workers", "99999999999999999999", NULL,
     "workers: 9223372036854775807 is above the maximum 64 (threads)"},
    {"workers", "-99999999999999999999", NULL,
     "workers: -9223372036854775808 is below the minimum 0 (threads)"},
    {"ddl.poll_interval_ms", "5", NULL,
     "ddl.poll_interval_ms: 5 is below the minimum 50 (milliseconds)"},
    {"log.level", "verbose", NULL, "log.level: \"verbose\" is not one of debug, info, warn, error"},
    {"log.level", "", NULL, "log.level: \"\" is not one of debug, info, warn, error"},
    {"log.level", "debug info", NULL,
     "log.level: \"debug info\" is not one of debug, info, warn, error"},
    {"ddl.strategy", "online --postpone-completion", "online --postpone-completion", NULL},
    {"ddl.strategy", "", NULL, "ddl.strategy: must not be empty"},
    {"tls.cert", "", "", NULL},
    {"tls.cert", "a\nb", NULL, "tls.cert: must not contain control characters"},
    {"control.password", "hunter2", "******", NULL},
    {"control.password", "", "", NULL},
    {"control.password", "hunter2\n", NULL,
     "control.password: must not contain control characters"},
    {"admin", "", "", NULL},
    {"admin", "[::1]:3307", "[::1]:3307", NULL},
    {"admin", "localhost", NULL, "admin: \"localhost\": the port is missing, write HOST:PORT"},
    {"listen", "127.0.0.1:1, [::1]:2 ,unix:/run/x", "127.0.0.1:1,[::1]:2,unix:/run/x", NULL},
    {"listen", "", NULL, "listen: has 0 entries, the minimum is 1"},
    {"listen", "  ", NULL, "listen: has 0 entries, the minimum is 1"},
    {"listen", "a:1,,b:2", NULL, "listen: \"\": the port is missing, write HOST:PORT"},
    {"listen", "a:1,b:0", NULL, "listen: \"b:0\": the port must be 1 to 65535"},
    {"listen", "a:1,a:2,a:3,a:4,a:5,a:6,a:7,a:8,a:9,a:10,a:11,a:12,a:13,a:14,a:15,a:16,a:17", NULL,
     "listen: has 17 entries, the maximum is 16"},
    {"admin_users", "", "", NULL},
    {"admin_users", "root:hunter2", NULL,
     "admin_users: can only be set in the configuration file, for command lines can be read by "
     "others"},
    {"lisen", "x", NULL, "lisen: unknown setting (did you mean listen?)"},
    {"", "x", NULL, "\"\": unknown setting"},
    {"ddl", "x", NULL, "ddl: is a group of settings, not one of them"},
};

static void test_set_text(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(set_cases); i++) {
        const struct set_case *t = &set_cases[i];
        struct config *c = config_create_default(), *before = config_clone(c);
        struct config_error err = {""};
        bool ok = option_set_text(c, t->key, t->text, &err);
        if (t->shown != NULL) {
            assert_string_equal(err.text, "");
            assert_string_equal(shown(c, t->key), t->shown);
        } else {
            assert_string_equal(err.text, t->error);
            assert_true(option_find(t->key) == NULL ||
                        option_equal(c, before, option_find(t->key)));
        }
        assert_int_equal(ok, t->shown != NULL);
        config_destroy(c);
        config_destroy(before);
    }
}

/* Every integer: both bounds are allowed, one beyond is not. */
static void test_every_integer_bound(void **state)
{
    size_t n;
    const struct option_row *rows = options_table(&n);
    struct config *c = config_create_default();
    struct config_error err;
    (void)state;
    for (size_t i = 0; i < n; i++) {
        void *field = value_field(c, &rows[i]);
        if (rows[i].type == OPTION_INT) {
            assert_true(value_set_int(&rows[i], field, rows[i].min, &err));
            assert_false(value_set_int(&rows[i], field, rows[i].min - 1, &err));
            assert_non_null(strstr(err.text, "is below the minimum"));
            assert_true(value_set_int(&rows[i], field, rows[i].max, &err));
            assert_false(value_set_int(&rows[i], field, rows[i].max + 1, &err));
            assert_non_null(strstr(err.text, "is above the maximum"));
            assert_int_equal(*(int64_t *)field, rows[i].max);
        }
    }
    config_destroy(c);
}

/* Every string: the longest is allowed, one byte more is not, and the error does not show it. */
static void test_every_string_bound(void **state)
{
    size_t n;
    const struct option_row *rows = options_table(&n);
    struct config *c = config_create_default();
    (void)state;
    for (size_t i = 0; i < n; i++) {
        struct config_error err;
        if (rows[i].type != OPTION_STRING && rows[i].type != OPTION_SECRET) {
            continue;
        }
        size_t max = (size_t)rows[i].max;
        char *text = config_alloc(max + 2, 1);
        memset(text, 'z', max);
        assert_true(option_set_text(c, rows[i].key, text, &err));
        text[max] = 'z';
        assert_false(option_set_text(c, rows[i].key, text, &err));
        assert_non_null(strstr(err.text, "bytes long, the maximum is"));
        assert_null(strstr(err.text, "zzz"));
        free(text);
    }
    config_destroy(c);
}

/* STRINGS, which no setting has yet. */
static void test_string_list(void **state)
{
    static const struct option_row row = {"x.names", OPTION_STRINGS, true, 0, NULL, 1, 3, "", ""};
    static const struct {
        const char *text, *shown, *error;
    } cases[] = {
        {"a", "a", NULL},
        {" a , b\t,c", "a,b,c", NULL},
        {"", NULL, "x.names: has 0 entries, the minimum is 1"},
        {"a,b,c,d", NULL, "x.names: has 4 entries, the maximum is 3"},
        {"a,,c", NULL, "x.names: entry 2 is empty"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct value_type *type = value_type_of(&row);
        struct string_list list = {0}, copy;
        struct config_error err = {""};
        char buf[64];
        struct text_out out = {buf, sizeof(buf), 0};
        assert_int_equal(value_set_text(&row, &list, cases[i].text, &err), !cases[i].error);
        assert_string_equal(err.text, cases[i].error ? cases[i].error : "");
        text_out_add(&out, "");
        type->format(&row, &list, &out);
        assert_string_equal(buf, cases[i].shown ? cases[i].shown : "");
        type->copy(&list, &copy);
        assert_true(type->equal(&list, &copy));
        type->fini(&copy);
        assert_int_equal(type->equal(&list, &copy), list.n == 0);
        type->fini(&list);
    }
}

/* ---- values ---- */

static void fill(struct config *c)
{
    static const struct user_entry users[] = {
        {.name = (char *)"ops", .password = (char *)"hunter2", .role = CONFIG_ROLE_ADMIN},
        {.name = (char *)"dba", .password = (char *)"swordfish", .role = CONFIG_ROLE_VIEWER},
    };
    struct config_error err;
    const struct option_row *row = option_find("admin_users");
    assert_true(option_set_text(c, "vtgate", "a:1,unix:/b", &err));
    assert_true(option_set_text(c, "control.password", "hunter2", &err));
    assert_true(value_set_users(row, value_field(c, row), users, COUNT(users), &err));
}

static void test_secrets_are_not_shown(void **state)
{
    struct config *c = config_create_default();
    (void)state;
    fill(c);
    assert_string_equal(shown(c, "control.password"), "******");
    assert_string_equal(shown(c, "admin_users"), "ops:******,dba:******:viewer");
    assert_string_equal(c->control_password, "hunter2");
    assert_string_equal(c->admin_users.items[1].password, "swordfish");
    config_destroy(c);
}

static void test_clone_and_equal(void **state)
{
    size_t n;
    const struct option_row *rows = options_table(&n);
    struct config *c = config_create_default(), *plain = config_clone(c);
    (void)state;
    fill(c);
    struct config *clone = config_clone(c);
    for (size_t i = 0; i < n; i++) {
        const char *key = rows[i].key;
        bool filled = strcmp(key, "vtgate") == 0 || strcmp(key, "control.password") == 0 ||
                      strcmp(key, "admin_users") == 0;
        assert_true(option_equal(c, clone, &rows[i]));
        assert_int_equal(option_equal(c, plain, &rows[i]), !filled);
    }
    config_destroy(c);
    assert_string_equal(clone->vtgate.items[1].host, "/b"); /* shares nothing with c */
    config_destroy(clone);
    config_destroy(plain);
}

/* A secret that changes is a change, though both are shown alike. */
static void test_equal_sees_secrets(void **state)
{
    struct config *a = config_create_default();
    struct config_error err;
    (void)state;
    fill(a);
    struct config *b = config_clone(a);
    b->admin_users.items[0].password[0] = 'H';
    assert_false(option_equal(a, b, option_find("admin_users")));
    b->admin_users.items[0].password[0] = 'h';
    assert_true(option_equal(a, b, option_find("admin_users")));
    b->admin_users.items[0].role = CONFIG_ROLE_VIEWER;
    assert_false(option_equal(a, b, option_find("admin_users")));
    assert_true(option_set_text(b, "control.password", "hunter3", &err));
    assert_false(option_equal(a, b, option_find("control.password")));
    config_destroy(a);
    config_destroy(b);
}

static void test_format_is_cut(void **state)
{
    struct config *c = config_create_default();
    char buf[8] = "xxxxxxx";
    (void)state;
    assert_int_equal(option_format(c, option_find("listen"), buf, sizeof(buf)), 15);
    assert_string_equal(buf, "127.0.0");
    assert_int_equal(option_format(c, option_find("listen"), NULL, 0), 15);
    assert_int_equal(option_format(c, option_find("tls.cert"), buf, sizeof(buf)), 0);
    assert_string_equal(buf, "");
    config_destroy(c);
}

static void test_bounds_in_words(void **state)
{
    static const struct {
        const char *key, *type, *bounds;
    } cases[] = {
        {"ddl.poll_interval_ms", "integer", "50 to 60000 milliseconds"},
        {"log.level", "word", "debug, info, warn, error"},
        {"ddl.strategy", "string", "1 to 1024 bytes"},
        {"control.password", "secret", "up to 255 bytes"},
        {"tls.required", "boolean", ""},
        {"admin", "endpoint", ""},
        {"vtgate", "list of endpoints", "1 to 64 entries"},
        {"admin_users", "users", "up to 256 entries"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char buf[64];
        const struct option_row *row = option_find(cases[i].key);
        assert_string_equal(option_type_name(row), cases[i].type);
        assert_int_equal(option_format_bounds(row, buf, sizeof(buf)), strlen(cases[i].bounds));
        assert_string_equal(buf, cases[i].bounds);
    }
}

/* ---- suggestions ---- */

static void test_suggestions(void **state)
{
    static const struct {
        const char *key, *known; /* NULL: nothing is close enough */
    } cases[] = {
        {"lisen", "listen"},
        {"listne", "listen"},
        {"Listen", "listen"},
        {"vtgates", "vtgate"},
        {"worker", "workers"},
        {"dll", "ddl"},
        {"tsl", "tls"},
        {"limit", "limits"},
        {"poll_interval_ms", "ddl.poll_interval_ms"},
        {"password", "control.password"},
        {"ddl_poll_interval_ms", "ddl.poll_interval_ms"},
        {"ddl.poll_interval", "ddl.poll_interval_ms"},
        {"hold.max_ttl", "hold.max_ttl_s"},
        {"vtgate-tls.mode", "vtgate_tls.mode"},
        {"", NULL},
        {"x", NULL},
        {"frobnicate", NULL},
        {"a_key_that_is_far_too_long_to_be_one_of_the_settings_that_are_known_here", NULL},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char buf[SUGGEST_KEY_MAX] = "";
        assert_int_equal(suggest_key(cases[i].key, buf), cases[i].known != NULL);
        assert_string_equal(buf, cases[i].known ? cases[i].known : "");
    }
    assert_true(suggest_is_group("ddl"));
    assert_false(suggest_is_group("dd"));
    assert_false(suggest_is_group("listen"));
    assert_false(suggest_is_group(""));
}

/* ---- error texts ---- */

static void test_errors_are_printable(void **state)
{
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"a\nb\x7f", "a?b?"},
        {"\x1b[31mred", "?[31mred"},
        {"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
        {"\xe2\x82\xac \xf0\x9f\x90\xac", "\xe2\x82\xac \xf0\x9f\x90\xac"},
        {"\xc3", "?"},
        {"\xe2\x82", "??"},
        {"\xc3z\x80\xff\xc0\xaf", "?z????"},
        {"\xc2\x9b", "??"}, /* a control character, too */
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct config_error err;
        assert_false(config_error_set(&err, "%s", cases[i].text));
        assert_string_equal(err.text, cases[i].error);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table_is_sound),
        cmocka_unit_test(test_defaults_are_shown_as_written),
        cmocka_unit_test(test_words_are_their_enum),
        cmocka_unit_test(test_set_text),
        cmocka_unit_test(test_every_integer_bound),
        cmocka_unit_test(test_every_string_bound),
        cmocka_unit_test(test_string_list),
        cmocka_unit_test(test_secrets_are_not_shown),
        cmocka_unit_test(test_clone_and_equal),
        cmocka_unit_test(test_equal_sees_secrets),
        cmocka_unit_test(test_format_is_cut),
        cmocka_unit_test(test_bounds_in_words),
        cmocka_unit_test(test_suggestions),
        cmocka_unit_test(test_errors_are_printable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
