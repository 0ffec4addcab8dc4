/* What vtgate's counters say of its traffic, and when a deploy breaches a limit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/vtgate_traffic.h"

static struct vtgate_traffic read_text(const char *text)
{
    struct vtgate_traffic t;
    json_t *json = json_loads(text, 0, NULL);

    assert_non_null(json);
    vtgate_traffic_read(&t, json);
    json_decref(json);
    return t;
}

#define VARS                                                                                       \
    "{\"VtgateApi\":{\"Histograms\":{\"Execute.ks.primary\":{\"500000\":90,\"1000000\":5,"         \
    "\"5000000\":4,\"inf\":1,\"Count\":100},\"Prepare.ks.primary\":{\"500000\":10,\"Count\":10}}}" \
    ","                                                                                            \
    "\"VtgateApiErrorCounts\":{\"Execute.ks.primary.RESOURCE_EXHAUSTED\":2,"                       \
    "\"Execute.ks.primary.UNKNOWN\":3},\"QueryExecutions\":{\"SELECT.Scatter.PRIMARY\":25,"        \
    "\"SELECT.Unsharded.PRIMARY\":75},\"VttabletCall\":{\"Histograms\":{"                          \
    "\"Execute.ks.-80.primary\":{\"Count\":30},\"Commit.ks.-80.primary\":{\"Count\":10},"          \
    "\"Execute.ks.80-.primary\":{\"Count\":60}}}}"

static void reading(void **state)
{
    (void)state;
    struct vtgate_traffic t = read_text(VARS), none = read_text("{}");

    assert_int_equal(t.statements, 110);
    assert_int_equal(t.errors, 5);
    assert_int_equal(t.row_limits, 2);
    assert_int_equal(t.shard_count, 2);
    assert_int_equal((int)traffic_scatter_percent(&t), 25);
    assert_int_equal((int)traffic_shard_percent(&t, "ks.-80"), 40);
    assert_int_equal((int)traffic_shard_percent(&t, "ks.80-"), 60);
    assert_int_equal((int)traffic_shard_percent(&t, "ks.other"), 0);
    assert_int_equal((int)traffic_p99_ms(&t), 5);
    assert_int_equal(none.statements, 0);
    assert_int_equal((int)traffic_error_percent(&none), -1);
    assert_int_equal((int)traffic_p99_ms(&none), -1);
}

/* The difference of two readings; a vtgate that was started again counts from 0. */
static void differences(void **state)
{
    (void)state;
    struct vtgate_traffic first = read_text(VARS), second = first, sum = {.statements = 0};

    second.statements += 50;
    second.shards[0].calls += 7;
    second.buckets[0] += 50;
    vtgate_traffic_add(&sum, &second, &first);
    assert_int_equal(sum.statements, 50);
    assert_int_equal(sum.errors, 0);
    assert_int_equal(sum.shard_count, 2);
    assert_int_equal(sum.shards[0].calls, 7);
    assert_int_equal(sum.buckets[0], 50);
    first.statements = 1000;
    vtgate_traffic_add(&sum, &second, &first);
    assert_int_equal(sum.statements, 50 + second.statements);
}

static struct vtgate_traffic usual(void)
{
    return (struct vtgate_traffic){.statements = 1000,
                                   .errors = 1,
                                   .planned = 1000,
                                   .scattered = 50,
                                   .buckets = {900, 95, 5},
                                   .shards = {{"ks.-80", 500}, {"ks.80-", 500}},
                                   .shard_count = 2};
}

static void breaches(void **state)
{
    (void)state;
    static const struct traffic_limits LIMITS = {1, 3, 10, 25};
    struct vtgate_traffic before = usual(), after;
    char why[200];

    after = usual();
    assert_false(traffic_breaches(&before, &after, &LIMITS, why, sizeof(why)));
    after.errors = 30;
    assert_true(traffic_breaches(&before, &after, &LIMITS, why, sizeof(why)));
    assert_string_equal(why, "3.00 % of the statements fail, it was 0.10 %");
    after.row_limits = 4;
    assert_true(traffic_breaches(&before, &after, &LIMITS, why, sizeof(why)));
    assert_non_null(strstr(why, "--max_memory_rows"));
    after = usual();
    after.buckets[0] = 800;
    after.buckets[4] = 100;
    assert_true(traffic_breaches(&before, &after, &LIMITS, why, sizeof(why)));
    assert_string_equal(why, "99 % of the statements take up to 50.0 ms, it was 1.0 ms");
    after = usual();
    after.scattered = 160;
    assert_true(traffic_breaches(&before, &after, &LIMITS, why, sizeof(why)));
    assert_string_equal(why, "16.0 % of the statements go to all shards, it was 5.0 %");
    after = usual();
    after.shards[0].calls = 1500;
    after.shards[1].calls = 300;
    assert_true(traffic_breaches(&before, &after, &LIMITS, why, sizeof(why)));
    assert_string_equal(why, "shard ks.-80 has 83.3 % of the calls, it had 50.0 %");
    after.statements = TRAFFIC_ENOUGH - 1; /* too few to tell */
    assert_false(traffic_breaches(&before, &after, &LIMITS, why, sizeof(why)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reading),
        cmocka_unit_test(differences),
        cmocka_unit_test(breaches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
