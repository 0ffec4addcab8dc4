/*
 * Which tables routing rules show to be on their way to a keyspace.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "proxy/topo_moving.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct {
    const char *routing, *keyspace;
    size_t max;
    const char *found; /* "from.table ..", in the rules' order */
} CASES[] = {
    /* as MoveTables create leaves them, and as they are when writes are switched */
    {"{'demo': ['commerce.demo'], 'aside.demo': ['commerce.demo'], 'aside.demo@replica': "
     "['commerce.demo']}",
     "aside", 8, "commerce.demo"},
    {"{'demo': ['aside.demo'], 'commerce.demo': ['aside.demo']}", "commerce", 8, "aside.demo"},
    {"{'demo': ['aside.demo'], 'commerce.demo': ['aside.demo']}", "aside", 8, ""},
    /* others to the same keyspace, and more than there is room for */
    {"{'a.x': ['b.x'], 'a.y': ['c.y'], 'd.z': ['b.z']}", "a", 8, "b.x c.y"},
    {"{'a.x': ['b.x'], 'a.y': ['c.y'], 'a.z': ['b.z']}", "a", 2, "b. c."},
    {"{'a.x': ['b.x'], 'a.y': ['b.y']}", "a", 1, "b."},
    /* none of a workflow */
    {"{'a.x': ['a.x'], 'a.y': ['b.z'], 'a.v': ['b.v', 'c.v'], 'a.w': [], 'a.u': 'an error'}", "a",
     8, ""},
    {"{'a.': ['b.'], '.x': ['b.x'], 'ax': ['b.x'], 'a.q': ['bq'], 'a.r': [5]}", "a", 8, ""},
    {"{}", "a", 8, ""},
};

static json_t *read(const char *text)
{
    char json[512];

    snprintf(json, sizeof(json), "%s", text);
    for (char *c = json; *c; c++)
        *c = *c == '\'' ? '"' : *c;
    return json_loads(json, 0, NULL);
}

static void tables_on_their_way(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(CASES); i++) {
        struct topo_moving moving[8];
        json_t *routing = read(CASES[i].routing);
        char found[256] = "";

        assert_non_null(routing);
        size_t n = topo_moving_read(routing, CASES[i].keyspace, moving, CASES[i].max);

        for (size_t k = 0; k < n; k++)
            snprintf(found + strlen(found), sizeof(found) - strlen(found), "%s%s.%s", k ? " " : "",
                     moving[k].from, moving[k].table);
        if (strcmp(found, CASES[i].found) != 0)
            fail_msg("%s: %s", CASES[i].routing, found);
        json_decref(routing);
    }
    struct topo_moving one;

    assert_int_equal(topo_moving_read(NULL, "a", &one, 1), 0); /* rules are not known */
}

static void names_that_are_too_long(void **state)
{
    char text[512], longest[HOLD_NAME_MAX], longer[HOLD_NAME_MAX + 1];
    struct topo_moving one;

    (void)state;
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    snprintf(text, sizeof(text), "{'a.%s': ['b.%s']}", longest, longest);
    json_t *routing = read(text);

    assert_int_equal(topo_moving_read(routing, "a", &one, 1), 1);
    assert_string_equal(one.table, longest);
    json_decref(routing);
    snprintf(text, sizeof(text), "{'a.%s': ['b.%s']}", longer, longer);
    routing = read(text);
    assert_int_equal(topo_moving_read(routing, "a", &one, 1), 0);
    json_decref(routing);
    snprintf(text, sizeof(text), "{'a.x': ['%s.x']}", longer);
    routing = read(text);
    assert_int_equal(topo_moving_read(routing, "a", &one, 1), 0);
    json_decref(routing);
}

static void where_a_rule_leads(void **state)
{
    json_t *routing = read("{'a.x': ['b.x'], 'a.y': ['b.y', 'c.y']}");

    (void)state;
    assert_true(topo_moving_leads(routing, "a", "b", "x"));
    assert_false(topo_moving_leads(routing, "b", "a", "x"));
    assert_false(topo_moving_leads(routing, "a", "c", "x"));
    assert_false(topo_moving_leads(routing, "a", "b", "y"));
    assert_false(topo_moving_leads(NULL, "a", "b", "x"));
    json_decref(routing);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_on_their_way),
        cmocka_unit_test(names_that_are_too_long),
        cmocka_unit_test(where_a_rule_leads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
