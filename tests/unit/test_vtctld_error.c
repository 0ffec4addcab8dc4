/*
 * vtctld's refusals become errors of MySQL: each form that Vitess writes, and texts that only look
 * like one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "proxy/vtctld_error.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define RESULT   "schema change failed, ExecuteResult: "

static const struct {
    const char *text;
    enum grpc_status status;
    uint16_t code;
    const char *state, *error;
} CASES[] = {
    {"failed to parse sql: alter table t add, got error: Code: INVALID_ARGUMENT syntax error at "
     "position 18 ",
     GRPC_UNKNOWN, 1105, "HY000", "syntax error at position 18"},
    {"failed to parse sql: select 'got error: Code: INVALID_ARGUMENT x', got error: Code: "
     "INVALID_ARGUMENT y near 'z'",
     GRPC_UNKNOWN, 1105, "HY000", "y near 'z'"},
    {"failed to parse sql: x, got error: something else", GRPC_INVALID_ARGUMENT, 1105, "HY000",
     "vtshim: vtctld: failed to parse sql: x, got error: something else (INVALID_ARGUMENT)"},
    {RESULT "{   \"FailedShards\": [     {       \"Shard\": \"-80\",       \"Err\": \"rpc error: "
            "Duplicate column "
            "name 'b' (errno 1060) (sqlstate 42S21)\"     }   ],   \"SuccessShards\": null }",
     GRPC_UNKNOWN, 1060, "42S21",
     "vtshim: vtctld: shard -80: rpc error: Duplicate column name 'b' (errno 1060) (sqlstate "
     "42S21)"},
    {RESULT "{ \"FailedShards\": null, \"ExecutorErr\": \"lockErr in ApplySchemaKeyspace commerce: "
            "deadline\" }",
     GRPC_UNKNOWN, 1105, "HY000",
     "vtshim: vtctld: lockErr in ApplySchemaKeyspace commerce: deadline"},
    {RESULT "{ \"FailedShards\": [], \"ExecutorErr\": \"\" }", GRPC_UNKNOWN, 1105, "HY000",
     "vtshim: vtctld: " RESULT "{ \"FailedShards\": [], \"ExecutorErr\": \"\" } (UNKNOWN)"},
    {RESULT "{ \"FailedShards\": [ 5, {\"Err\": {}} ]", GRPC_UNKNOWN, 1105, "HY000",
     "vtshim: vtctld: " RESULT "{ \"FailedShards\": [ 5, {\"Err\": {}} ] (UNKNOWN)"},
    {"auth failure: caller \"e2e\" provided invalid credentials", GRPC_PERMISSION_DENIED, 1105,
     "HY000",
     "vtshim: vtctld: auth failure: caller \"e2e\" provided invalid credentials "
     "(PERMISSION_DENIED)"},
    {"(errno 99999) (sqlstate 42S21)", GRPC_OK, 1105, "HY000",
     "vtshim: vtctld: (errno 99999) (sqlstate 42S21) (OK)"},
    {"(errno 1060) (sqlstate 42", GRPC_OK, 1105, "HY000",
     "vtshim: vtctld: (errno 1060) (sqlstate 42 (OK)"},
    {"", GRPC_UNAVAILABLE, 1105, "HY000", "vtshim: vtctld:  (UNAVAILABLE)"},
};

static void refusals_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(CASES); i++) {
        struct vtctld_error e;

        vtctld_error_read(&e, CASES[i].status, CASES[i].text);
        assert_string_equal(e.text, CASES[i].error);
        assert_int_equal(e.code, CASES[i].code);
        assert_string_equal(e.state, CASES[i].state);
    }
}

static void long_texts_are_cut(void **state)
{
    struct vtctld_error e;
    char text[4000];

    (void)state;
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    vtctld_error_read(&e, GRPC_UNKNOWN, text);
    assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refusals_are_read),
        cmocka_unit_test(long_texts_are_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
