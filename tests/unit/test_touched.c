/* What a transaction has touched, told when somebody asks: no name is missed, however it was noted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "planner/hold.h"
#include "planner/touched.h"

static const struct hold ON_T = {
    .scope = HOLD_TABLE, .kinds = HOLD_TRANSACTIONS, .keyspace = "ks", .table = "t"};

static void add(struct touched *t, const char *text, const char *database)
{
    touched_add_text(t, text, strlen(text), database);
}

static void a_name_is_found(void **state)
{
    static const struct {
        const char *database, *text;
        bool found;
    } cases[] = {
        {"ks", "update T set a = 1", true},
        {"ks", "update `t` set a = 1", true},
        {"aside", "update t set a = 1", false},
        {"aside", "update ks.t set a = 1", true},
        {NULL, "update t set a = 1", true},
        {"ks", "update other set a = 't'", false},
        {"ks", "", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct touched *t = touched_create(false);

        assert_false(hold_is_touched(&ON_T, touched_names(t)));
        add(t, cases[i].text, cases[i].database);
        for (int twice = 0; twice < 2; twice++) {
            if (hold_is_touched(&ON_T, touched_names(t)) != cases[i].found)
                fail_msg("%s", cases[i].text);
        }
        free(t);
    }
}

/* More than there is room for, of all lengths; a text that is too long by itself; and one that is
   not a statement at all in front of the one that counts. */
static void none_is_lost(void **state)
{
    char text[1500];

    (void)state;
    for (size_t len = 10; len < sizeof(text) - 1; len += 97) {
        struct touched *t = touched_create(false);

        memset(text, ' ', len);
        memcpy(text, "select 1 +", 10);
        text[len] = '\0';
        add(t, "update t set a = 1", "ks");
        for (int i = 0; i < 100; i++)
            add(t, text, "ks");
        assert_true(hold_is_touched(&ON_T, touched_names(t)));
        free(t);

        t = touched_create(false);
        for (int i = 0; i < 100; i++)
            add(t, text, "ks");
        assert_false(hold_is_touched(&ON_T, touched_names(t)));
        memcpy(text + len - 2, " t", 2);
        add(t, text, "ks");
        assert_true(hold_is_touched(&ON_T, touched_names(t)));
        free(t);
    }
    struct touched *t = touched_create(false);

    add(t, "select 'never ends", "ks");
    assert_true(touched_names(t)->everything); /* misread, perhaps */
    free(t);
    t = touched_create(false);
    add(t, "select 1 -- to the end", "ks");
    add(t, "update t set a = 'x'", "ks");
    assert_true(hold_is_touched(&ON_T, touched_names(t)));
    free(t);
}

static void all_may_be_touched(void **state)
{
    static const struct names EVERYTHING = {.everything = true}, NOTHING = {.everything = false};
    struct touched *t = touched_create(true);

    (void)state;
    add(t, "select 1", "aside");
    assert_true(hold_is_touched(&ON_T, touched_names(t)));
    free(t);
    t = touched_create(false);
    touched_add_names(t, &NOTHING, "ks");
    assert_false(hold_is_touched(&ON_T, touched_names(t)));
    add(t, "update t set a = 1", "ks");
    touched_add_names(t, &NOTHING, "ks");
    assert_true(hold_is_touched(&ON_T, touched_names(t)));
    assert_false(touched_names(t)->everything);
    touched_add_names(t, &EVERYTHING, "ks");
    assert_true(touched_names(t)->everything);
    free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_is_found),
        cmocka_unit_test(none_is_lost),
        cmocka_unit_test(all_may_be_touched),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
