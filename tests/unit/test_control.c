/* Statements that control migrations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "planner/control.h"

#define UUID "a2ab95c1_d732_11f0_8a5a_0242ac110002"

static const struct {
    const char *sql, *verb, *uuid;
} rows[] = {
    {"ALTER VITESS_MIGRATION '" UUID "' CANCEL", "cancel", UUID},
    {"alter vitess_migration \"" UUID "\" retry", "retry", UUID},
    {"ALTER /* x */ VITESS_MIGRATION '" UUID "' THROTTLE EXPIRE '1h' RATIO 0.9", "throttle", UUID},
    {"ALTER VITESS_MIGRATION CANCEL ALL", "cancel all", ""},
    {"ALTER VITESS_MIGRATION COMPLETE ALL", "complete all", ""},
    {"REVERT VITESS_MIGRATION '" UUID "'", "revert", UUID},
    {"/*!50000 REVERT */ VITESS_MIGRATION '" UUID "'", "revert", UUID},
    {"ALTER VITESS_MIGRATION 'no uuid, a secret' CANCEL", "cancel", ""},
    {"ALTER VITESS_MIGRATION '" UUID UUID "' CANCEL", "cancel", ""},
    {"ALTER VITESS_MIGRATION '" UUID, "", ""},
    {"ALTER VITESS_MIGRATION", "", ""},
    {"ALTER VITESS_MIGRATION '' averyveryveryveryverylongverb ALL", "averyveryveryvery all", ""},
    {"", "", ""},
};

static void statements(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct control_statement c;

        control_statement_parse(&c, rows[i].sql, strlen(rows[i].sql));
        assert_string_equal(c.uuid, rows[i].uuid);
        if (strlen(rows[i].verb) < 20)
            assert_string_equal(c.verb, rows[i].verb);
        assert_true(strlen(c.verb) < sizeof c.verb);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(statements)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
