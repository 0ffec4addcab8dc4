/* The rules of ddl.policy. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "config/policy.h"
#include "config/check.h"

static void patterns(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *text;
        bool matches;
    } cases[] = {
        {"*", "", true},
        {"*", "x", true},
        {"", "", true},
        {"", "x", false},
        {"a", "A", true},
        {"a?c", "abc", true},
        {"a?c", "ac", false},
        {"a*", "abc", true},
        {"*c", "abcc", true},
        {"*b*", "abc", true},
        {"*b", "abc", false},
        {"a*b*c", "axxbyybzc", true},
        {"a*b*c", "axxbyybz", false},
        {"tmp_*_old", "tmp_1_old", true},
        {"**", "x", true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        if (policy_matches(cases[i].pattern, cases[i].text) != cases[i].matches)
            fail_msg("%s %s", cases[i].pattern, cases[i].text);
    }
}

static void mistakes(void **state)
{
    (void)state;
    static const char *const cases[] = {"",
                                        "  ",
                                        "hurry",
                                        "wait table",
                                        "wait t=x",
                                        "wait table=",
                                        "wait target=x",
                                        "wait user",
                                        "keyspace=a wait"};
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct policy_rule rule;
        struct config_error err = {""};
        if (policy_parse(cases[i], &rule, &err) || strncmp(err.text, "ddl.policy: ", 12) != 0)
            fail_msg("\"%s\": %s", cases[i], err.text);
    }
}

static void finding(void **state)
{
    (void)state;
    static const struct {
        const char *keyspace, *table, *user;
        bool shard;
        enum policy_action action;
    } cases[] = {
        {"ks", "t", "app", false, POLICY_WAIT},
        {"ks", "big_t", "app", false, POLICY_ASYNC},
        {"other", "big_t", "app", false, POLICY_WAIT},
        {"ks", "t", "intern", false, POLICY_REJECT},
        {"ks", "big_t", "intern", false, POLICY_ASYNC}, /* the first that matches */
        {"ks", "t", "app", true, POLICY_REJECT},
        {"ks", "t", "dba", true, POLICY_WAIT},
        {"ks", "alembic_version", "app", false, POLICY_DIRECT},
        {"ks", "databasechangelog", "app", false, POLICY_DIRECT},
        {"books", "alembic_version", "app", false, POLICY_WAIT},
        {"ks", "", "app", false, POLICY_WAIT},
        {"safe", "t", "app", false, POLICY_REJECT},
        {"", "t", "app", false, POLICY_REJECT},
    };
    struct config *c = config_create_default();
    struct config_error err;
    assert_true(option_set_text(c, "vtgate", "127.0.0.1:1", &err));
    assert_true(option_set_text(c, "ddl.policy",
                                "async keyspace=ks table=big_*, reject user=intern,"
                                "reject target=shard user=app, wait keyspace=books,"
                                "reject keyspace=safe",
                                &err));
    assert_true(config_check(c, &err));
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        enum policy_action got =
            policy_find(c, cases[i].keyspace, cases[i].table, cases[i].user, cases[i].shard);
        if (got != cases[i].action)
            fail_msg("%zu: %s", i, policy_action_name(got));
    }
    assert_true(option_set_text(c, "ddl.policy", "hurry", &err));
    assert_false(config_check(c, &err));
    config_destroy(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(patterns), cmocka_unit_test(mistakes),
                                       cmocka_unit_test(finding)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
