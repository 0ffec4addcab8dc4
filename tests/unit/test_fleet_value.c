/* What shims tell each other: written and read again, and what is no hold refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/fleet_value.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void holds_are_read_as_written(void **state)
{
    static const struct hold cases[] = {
        {.scope = HOLD_ALL, .owner = "sre@::1"},
        {.scope = HOLD_KEYSPACE, .keyspace = "k\"s\\", .kinds = HOLD_READS | HOLD_DDL},
        {.scope = HOLD_TABLE,
         .keyspace = "ks",
         .table = "t\xc3\xa4",
         .reason = "line\nbreak",
         .max_wait_ms = 1,
         .max_parked = 1000000,
         .rate = 1000000,
         .ramp_ms = 86400000,
         .retries_pass = true},
        {.scope = HOLD_VTGATE, .vtgate = "[::1]:15306"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char *text = fleet_hold_write(&cases[i], 5000);
        struct hold h;
        int64_t ttl_ms = 0;

        assert_true(fleet_hold_read(text, &h, &ttl_ms));
        assert_true(hold_is_same(&h, &cases[i]) && ttl_ms == 5000);
        assert_string_equal(h.reason, cases[i].reason);
        assert_int_equal(h.max_wait_ms, cases[i].max_wait_ms);
        assert_int_equal(h.max_parked, cases[i].max_parked);
        assert_int_equal(h.rate, cases[i].rate);
        assert_int_equal(h.ramp_ms, cases[i].ramp_ms);
        assert_int_equal(h.retries_pass, cases[i].retries_pass);
        assert_true(h.id == 0 && h.connection == 0 && h.released == 0);
        free(text);
    }
}

static void bytes_that_are_no_utf8_do_not_get_in(void **state)
{
    struct hold h = {.scope = HOLD_ALL, .reason = "caf\xe9"};
    char *text = fleet_hold_write(&h, 1);
    int64_t ttl_ms;

    (void)state;
    assert_true(fleet_hold_read(text, &h, &ttl_ms));
    assert_string_equal(h.reason, "caf?");
    free(text);
}

static void what_is_no_hold_is_refused(void **state)
{
    static const char *const cases[] = {
        "",
        "[]",
        "{}",
        "{\"scope\":\"all\"}", /* for how long? */
        "{\"scope\":\"all\",\"ttl_ms\":0}",
        "{\"scope\":\"all\",\"ttl_ms\":-1}",
        "{\"scope\":\"all\",\"ttl_ms\":86400001}",
        "{\"scope\":\"all\",\"ttl_ms\":\"5\"}",
        "{\"scope\":\"galaxy\",\"ttl_ms\":5}",
        "{\"scope\":\"keyspace\",\"ttl_ms\":5}",
        "{\"scope\":\"table\",\"keyspace\":\"ks\",\"ttl_ms\":5}",
        "{\"scope\":\"vtgate\",\"ttl_ms\":5}",
        "{\"scope\":\"all\",\"ttl_ms\":5,\"kinds\":16}",
        "{\"scope\":\"all\",\"ttl_ms\":5,\"reason\":7}",
        "{\"scope\":\"all\",\"ttl_ms\":5,\"ttl_ms\":6}",
        "{\"scope\":\"keyspace\",\"ttl_ms\":5,\"keyspace\":"
        "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct hold h;
        int64_t ttl_ms;

        if (fleet_hold_read(cases[i], &h, &ttl_ms))
            fail_msg("%s", cases[i]);
    }
    struct hold h;
    int64_t ttl_ms;

    assert_true(fleet_hold_read("{\"scope\":\"all\",\"ttl_ms\":5,\"later\":[1]}", &h, &ttl_ms));
}

static void members_say_what_they_act_by(void **state)
{
    json_t *member = json_object();
    struct fleet_drain drain = {.in_the_way = 9};

    (void)state;
    fleet_member_note(member, "holds/a.1", 7, &(struct fleet_drain){.in_the_way = -1});
    fleet_member_note(member, "holds/b.2", 8,
                      &(struct fleet_drain){.in_the_way = 3, .excess_ms = 70});
    char *text = fleet_member_write(member);
    json_t *read = fleet_member_read(text);

    assert_int_equal(json_object_size(read), 2);
    assert_true(fleet_member_has(read, "holds/a.1", 7, &drain));
    assert_true(drain.in_the_way == -1 && drain.excess_ms == 0);
    assert_true(fleet_member_has(read, "holds/b.2", 6, &drain));
    assert_true(drain.in_the_way == 3 && drain.excess_ms == 70);
    assert_false(fleet_member_has(read, "holds/b.2", 9, &drain));
    assert_false(fleet_member_has(read, "holds/c.3", 1, &drain));
    json_decref(read);
    json_decref(member);
    free(text);
    assert_null(fleet_member_read("nothing"));
    assert_false(fleet_member_has(NULL, "holds/a.1", 0, &drain));
    read = fleet_member_read("{\"holds/a.1\":[\"7\",1],\"holds/b.2\":5}");
    assert_false(fleet_member_has(read, "holds/a.1", 0, &drain));
    assert_false(fleet_member_has(read, "holds/b.2", 0, &drain));
    json_decref(read);
    read = fleet_member_read("{\"holds/a.1\":[7,0]}"); /* an older shim's, which does not tell */
    assert_true(fleet_member_has(read, "holds/a.1", 7, &drain));
    assert_true(drain.in_the_way == 0 && drain.excess_ms == INT32_MAX);
    json_decref(read);
}

static void what_members_say_is_bounded(void **state)
{
    static const struct {
        const char *text;
        int64_t in_the_way, excess_ms;
    } cases[] = {
        {"{\"h\":[7,-1,0]}", -1, 0},
        {"{\"h\":[7,-2,-1]}", -1, 0},
        {"{\"h\":[7,-9223372036854775808,-9223372036854775808]}", -1, 0},
        {"{\"h\":[7,4294967296,4294967296]}", FLEET_IN_THE_WAY_MAX, INT32_MAX},
        {"{\"h\":[7,9223372036854775807,9223372036854775807]}", FLEET_IN_THE_WAY_MAX, INT32_MAX},
        {"{\"h\":[7,1000000,2147483647]}", FLEET_IN_THE_WAY_MAX, INT32_MAX},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct fleet_drain drain = {.in_the_way = 9};
        json_t *member = fleet_member_read(cases[i].text);

        assert_true(fleet_member_has(member, "h", 7, &drain));
        assert_int_equal(drain.in_the_way, cases[i].in_the_way);
        assert_int_equal(drain.excess_ms, cases[i].excess_ms);
        json_decref(member);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holds_are_read_as_written),
        cmocka_unit_test(bytes_that_are_no_utf8_do_not_get_in),
        cmocka_unit_test(what_is_no_hold_is_refused),
        cmocka_unit_test(members_say_what_they_act_by),
        cmocka_unit_test(what_members_say_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
