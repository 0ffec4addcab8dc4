/* Which keyspace a session is at, and whether it is all of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "planner/target.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const struct {
    const char *target, *keyspace;
    bool is_shard;
} targets[] = {
    {"ks", "ks", false},
    {"ks@primary", "ks", false},
    {"ks@replica|zone1-0000000100", "ks", false},
    {"ks:-80", "ks", true},
    {"ks/-80", "ks", true},
    {"ks:80-@primary", "ks", true},
    {"ks/80-@rdonly", "ks", true},
    {"ks[00]", "ks", true},
    {"ks[00-80]@replica", "ks", true},
    {"a-b.c_1", "a-b.c_1", false},
    {"@replica", "", false},
    {":-80", "", true},
    {"", "", false},
    {NULL, "", false},
};

static void targets_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(targets); i++) {
        const char *target = targets[i].target, *want = targets[i].keyspace;
        struct sql_name keyspace = target_keyspace(target);

        if (!keyspace.text || keyspace.len != strlen(want) ||
            memcmp(keyspace.text, want, keyspace.len) != 0 || (target && keyspace.text != target))
            fail_msg("%s: not %s", target ? target : "NULL", want);
        if (target_is_shard(target) != targets[i].is_shard)
            fail_msg("%s: a shard, or not", target ? target : "NULL");
    }
}

/* As written: names of keyspaces differ by their case. None is none's. */
static void targets_are_of_a_keyspace(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(targets); i++) {
        const char *target = targets[i].target;
        bool is_ks = strcmp(targets[i].keyspace, "ks") == 0;

        if (target_is_of(target, "ks") != is_ks || target_is_of(target, "KS") ||
            target_is_of(target, "k") || target_is_of(target, "ks2") || target_is_of(target, ""))
            fail_msg("%s", target ? target : "NULL");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(targets_are_read),
        cmocka_unit_test(targets_are_of_a_keyspace),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
