/*
 * What slow transactions touched is remembered for half a minute, and not for much longer.
 */
#include "proxy/slow_transactions.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct hold of_table(const char *table)
{
    struct hold h = {.scope = HOLD_TABLE, .kinds = HOLD_TRANSACTIONS};

    snprintf(h.keyspace, sizeof(h.keyspace), "commerce");
    snprintf(h.table, sizeof(h.table), "%s", table);
    return h;
}

static bool touched(const struct slow_transactions *slow, const struct hold *h, int64_t now_ms)
{
    return slow_transactions_excess(slow, h, now_ms) > 0;
}

static void note(struct slow_transactions *slow, const char *sql, int64_t now_ms)
{
    struct names names, of = {.everything = false};

    names_collect(&names, sql, strlen(sql), true);
    hold_touch(&of, &names, "commerce");
    slow_transactions_note(slow, &of, 50, now_ms);
}

static void test_the_table_that_was_touched(void **state)
{
    struct slow_transactions slow = {.spans = {{.n = 0}}};
    struct hold demo = of_table("demo"), customer = of_table("customer");

    (void)state;
    assert_false(touched(&slow, &demo, 0));
    assert_false(touched(&slow, &demo, 1000000));
    note(&slow, "UPDATE demo SET v = 1 WHERE id = 2", 1000000);
    assert_true(touched(&slow, &demo, 1000000));
    assert_false(touched(&slow, &customer, 1000000));
    note(&slow, "SELECT * FROM customer", 1000001);
    assert_true(touched(&slow, &demo, 1000001));
    assert_true(touched(&slow, &customer, 1000001));
}

static void test_for_half_a_minute(void **state)
{
    struct hold demo = of_table("demo");

    (void)state;
    for (int64_t at = 0; at < 3 * SLOW_REMEMBERED_MS; at += 777) {
        struct slow_transactions slow = {.spans = {{.n = 0}}};

        note(&slow, "DELETE FROM demo", at);
        assert_true(touched(&slow, &demo, at + SLOW_REMEMBERED_MS - 1));
        assert_false(touched(&slow, &demo, at + SLOW_REMEMBERED_MS * 6 / 5 + 1));
        note(&slow, "SELECT 1", at + 2 * SLOW_REMEMBERED_MS);
        assert_false(touched(&slow, &demo, at + 2 * SLOW_REMEMBERED_MS));
    }
}

static void test_nobody_knows_what(void **state)
{
    struct slow_transactions slow = {.spans = {{.n = 0}}};
    struct hold demo = of_table("demo");

    (void)state;
    slow_transactions_note(&slow, NULL, 1, 5000);
    assert_true(touched(&slow, &demo, 6000));
    assert_false(touched(&slow, &demo, 6000 + 2 * SLOW_REMEMBERED_MS));
}

/* What is beyond half a second adds up, each with so much at most; many different sets of names
   become one, which errs towards too much. */
static void test_the_excess_adds_up(void **state)
{
    struct slow_transactions slow = {.spans = {{.n = 0}}};
    struct hold demo = of_table("demo"), other = of_table("other");
    char sql[64];

    (void)state;
    for (int i = 0; i < 3; i++)
        note(&slow, "SELECT * FROM demo", 1000);
    assert_int_equal(slow_transactions_excess(&slow, &demo, 1000), 150);
    note(&slow, "DELETE FROM demo", 8000);
    assert_int_equal(slow_transactions_excess(&slow, &demo, 8000), 200);
    slow_transactions_note(&slow, NULL, 60000, 8000);
    assert_int_equal(slow_transactions_excess(&slow, &demo, 8000), 200 + SLOW_EXCESS_MAX_MS);
    assert_int_equal(slow_transactions_excess(&slow, &other, 8000), SLOW_EXCESS_MAX_MS);
    for (int i = 0; i < 100; i++) {
        snprintf(sql, sizeof(sql), "SELECT * FROM t%d", i);
        note(&slow, sql, 16000);
    }
    note(&slow, "DELETE FROM demo", 16000);
    assert_in_range(slow_transactions_excess(&slow, &demo, 16000), 250 + SLOW_EXCESS_MAX_MS,
                    250 + SLOW_EXCESS_MAX_MS + 100 * 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_table_that_was_touched),
        cmocka_unit_test(test_for_half_a_minute),
        cmocka_unit_test(test_nobody_knows_what),
        cmocka_unit_test(test_the_excess_adds_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
