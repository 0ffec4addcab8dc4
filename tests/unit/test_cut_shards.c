/*
 * A cut-over shard by shard: when each begins, waits, has failed, and when nobody need be held up.
 */
#include "proxy/cut_shards.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/executor.h"

static struct bytes bytes(const char *text)
{
    return (struct bytes){.p = (const uint8_t *)text, .len = strlen(text)};
}

static struct executor_row row(const char *shard, uint32_t attempts, const char *stage)
{
    return (struct executor_row){.uuid = bytes("u1"),
                                 .shard = bytes(shard),
                                 .message = bytes(""),
                                 .status = MIGRATION_RUNNING,
                                 .attempts = attempts,
                                 .stage = bytes(stage)};
}

#define FIRST  "waiting for post-sentry pos: MySQL56/0-1:2"
#define SECOND "waiting for post-lock pos: MySQL56/0-1:3"

static void test_progress(void **state)
{
    struct executor_row before[] = {row("-80", 0, ""), row("80-", 2, SECOND)};
    struct executor_row now = row("80-", 3, FIRST), other = row("c0-", 1, FIRST);

    (void)state;
    before[1].message = bytes("it was in vain");
    struct cut_shards *c = cut_shards_create(before, 2, 4920);

    assert_true(cut_shards_are_followed(c));
    assert_int_equal(cut_shards_progress(c, &before[1]), CUT_WAITING);
    now.message = bytes("it was in vain");
    assert_int_equal(cut_shards_progress(c, &now), CUT_UNDER_WAY);
    now.message = bytes("it was in vain again");
    assert_int_equal(cut_shards_progress(c, &now), CUT_FAILED);
    now.stage = bytes("cut-over complete");
    assert_int_equal(cut_shards_progress(c, &now), CUT_SWAPPED);
    now.status = MIGRATION_COMPLETE;
    assert_int_equal(cut_shards_progress(c, &now), CUT_DONE);
    assert_int_equal(cut_shards_progress(c, &other), CUT_WAITING); /* never seen before */
    cut_shards_free(c);
}

static void test_each_wait_is_told_once(void **state)
{
    struct executor_row before[] = {row("-80", 0, ""), row("80-", 0, "")};
    struct executor_row both[] = {row("-80", 1, FIRST), row("80-", 1, FIRST)};
    struct cut_shards *c = cut_shards_create(before, 2, 4920);

    (void)state;
    assert_null(cut_shards_new_wait(c, before, 2));
    assert_string_equal(cut_shards_new_wait(c, both, 2), "-80");
    assert_string_equal(cut_shards_new_wait(c, both, 2), "80-");
    assert_null(cut_shards_new_wait(c, both, 2));
    both[1].stage = bytes("locking tables");
    assert_null(cut_shards_new_wait(c, both, 2));
    both[1].stage = bytes(SECOND);
    assert_string_equal(cut_shards_new_wait(c, both, 2), "80-");
    assert_null(cut_shards_new_wait(c, both, 2));
    cut_shards_free(c);
}

/* From the time at which the earlier of two shards can have begun its first wait: when the look
   before the one that showed it there was asked for. */
static void test_the_gap(void **state)
{
    struct executor_row before[] = {row("-80", 0, ""), row("80-", 0, "")};
    struct executor_row rows[] = {row("-80", 1, FIRST), row("80-", 1, "sentry table created: x")};
    struct cut_shards *c = cut_shards_create(before, 2, 4920);

    (void)state;
    assert_int_equal(cut_shards_gap(c, before, 2, 5000, 5080), 0);
    assert_int_equal(cut_shards_gap(c, rows, 2, 5080, 5160), 0); /* not all are there */
    rows[1].stage = bytes(FIRST);
    assert_int_equal(cut_shards_gap(c, rows, 2, 5160, 5180), 0); /* it may be over at once */
    assert_int_equal(cut_shards_gap(c, rows, 2, 5200, 5220), 0);
    assert_int_equal(cut_shards_gap(c, rows, 2, 5260, 5280), 6000 - CUT_GAP_LEAD_MS - 5280);
    assert_int_equal(cut_shards_gap(c, rows, 2, 5400, 5480), 6000 - CUT_GAP_LEAD_MS - 5480);
    assert_int_equal(cut_shards_gap(c, rows, 2, 5500, 6000 - CUT_GAP_LEAD_MS - 50), 0);
    assert_int_equal(cut_shards_gap(c, rows, 2, 7000, 7080), 0);
    cut_shards_free(c);
}

/* Nobody knows where it is; and when it is shown again it may have been there since. */
static void test_no_gap_while_one_is_not_shown(void **state)
{
    struct executor_row before[] = {row("-80", 0, ""), row("80-", 0, "")};
    struct executor_row rows[] = {row("-80", 1, FIRST), row("80-", 1, FIRST)};
    struct cut_shards *c = cut_shards_create(before, 2, 4920);

    (void)state;
    assert_int_equal(cut_shards_gap(c, before, 2, 5000, 5040), 0);
    assert_int_equal(cut_shards_gap(c, before, 1, 5200, 5240), 0);
    assert_int_equal(cut_shards_gap(c, rows, 1, 5280, 5320), 0);
    assert_int_equal(cut_shards_gap(c, rows, 2, 5360, 5370), 0);
    assert_int_equal(cut_shards_gap(c, rows, 2, 5450, 5460), 6000 - CUT_GAP_LEAD_MS - 5460);
    cut_shards_free(c);
}

static void test_no_gap_when_one_is_ahead_or_behind(void **state)
{
    static const char *const STAGES[] = {"post-sentry pos reached", "locking tables", SECOND, ""};

    (void)state;
    for (size_t i = 0; i < sizeof(STAGES) / sizeof(STAGES[0]); i++) {
        struct executor_row before[] = {row("-80", 0, ""), row("80-", 0, "")};
        struct executor_row rows[] = {row("-80", 1, FIRST), row("80-", 1, STAGES[i])};
        struct cut_shards *c = cut_shards_create(before, 2, 4920);

        assert_int_equal(cut_shards_gap(c, rows, 2, 5000, 5080), 0);
        rows[1].stage = bytes(FIRST);
        rows[1].attempts = 0; /* what stands there is of an earlier attempt */
        assert_int_equal(cut_shards_gap(c, rows, 2, 5000, 5080), 0);
        rows[1].attempts = 1;
        rows[1].status = MIGRATION_COMPLETE;
        assert_int_equal(cut_shards_gap(c, rows, 2, 5000, 5080), 0);
        cut_shards_free(c);
    }
}

static void test_when_a_gap_is_safe(void **state)
{
    (void)state;
    assert_true(cut_shards_gap_is_safe(0, 0));
    assert_true(cut_shards_gap_is_safe(300, 0));
    assert_false(cut_shards_gap_is_safe(301, 0)); /* transactions have been slow */
    assert_true(cut_shards_gap_is_safe(0, CUT_GAP_LEAD_MS / 2));
    assert_false(
        cut_shards_gap_is_safe(0, CUT_GAP_LEAD_MS / 2 + 1)); /* the others would hold too late */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_progress),
        cmocka_unit_test(test_each_wait_is_told_once),
        cmocka_unit_test(test_the_gap),
        cmocka_unit_test(test_no_gap_while_one_is_not_shown),
        cmocka_unit_test(test_no_gap_when_one_is_ahead_or_behind),
        cmocka_unit_test(test_when_a_gap_is_safe),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
