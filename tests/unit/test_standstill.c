#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/executor.h"
#include "proxy/standstill.h"

#define LIMIT_MS 3000

static struct bytes text(const char *t)
{
    return (struct bytes){(const uint8_t *)t, strlen(t)};
}

static struct executor_row row(const char *shard, enum migration_status status, int64_t looked)
{
    return (struct executor_row){
        .uuid = text("u"), .shard = text(shard), .status = status, .looked = looked};
}

static void note(struct standstill **s, const char *shard, enum migration_status status,
                 int64_t looked, int64_t now_ms)
{
    struct executor_row r = row(shard, status, looked);

    standstill_row(s, &r, now_ms);
}

static void the_one_that_stands(void **state)
{
    (void)state;
    struct standstill *s = NULL;
    int64_t ms;

    assert_null(standstill_find(s, LIMIT_MS, 1000, &ms));
    for (int64_t now = 1000; now <= 6000; now += 500) {
        note(&s, "-80", MIGRATION_RUNNING, 0, now);
        note(&s, "80-", MIGRATION_RUNNING, now / 1000, now);
        const char *found = standstill_find(s, LIMIT_MS, now, &ms);

        if (now < 4000) {
            assert_null(found);
        } else {
            assert_string_equal(found, "-80");
            assert_int_equal(ms, now - 1000);
        }
    }
    assert_null(standstill_find(s, 0, 6000, &ms)); /* off */
    note(&s, "-80", MIGRATION_RUNNING, 6, 6500);
    assert_null(standstill_find(s, LIMIT_MS, 6500, &ms));
    standstill_free(s);
}

/* Queued, and complete, nothing has to move. */
static void only_what_runs(void **state)
{
    (void)state;
    static const enum migration_status OTHERS[] = {MIGRATION_QUEUED, MIGRATION_READY,
                                                   MIGRATION_COMPLETE};
    struct standstill *s = NULL;
    int64_t ms;

    for (size_t i = 0; i < sizeof(OTHERS) / sizeof(*OTHERS); i++) {
        for (int64_t now = 1000; now <= 6000; now += 500)
            note(&s, "-", OTHERS[i], 0, now);
        assert_null(standstill_find(s, LIMIT_MS, 6000, &ms));
    }
    note(&s, "-", MIGRATION_RUNNING, 0, 7000);
    assert_null(standstill_find(s, LIMIT_MS, 7500, &ms));
    standstill_free(s);
}

static void what_was_away_counts_anew(void **state)
{
    (void)state;
    struct standstill *s = NULL;
    int64_t ms;

    note(&s, "-", MIGRATION_RUNNING, 5, 1000);
    note(&s, "-", MIGRATION_RUNNING, 5, 95000);
    assert_null(standstill_find(s, LIMIT_MS, 95000, &ms));
    note(&s, "-", MIGRATION_RUNNING, 5, 98000);
    assert_string_equal(standstill_find(s, LIMIT_MS, 98000, &ms), "-");
    standstill_free(s);
}

static void many_shards(void **state)
{
    (void)state;
    struct standstill *s = NULL;
    char name[16];
    int64_t ms;

    for (int i = 0; i < 200; i++) {
        snprintf(name, sizeof(name), "s%d", i);
        note(&s, name, MIGRATION_RUNNING, 1, 1000 + i);
    }
    assert_string_equal(standstill_find(s, LIMIT_MS, 5000, &ms), "s0");
    standstill_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_one_that_stands),
        cmocka_unit_test(only_what_runs),
        cmocka_unit_test(what_was_away_counts_anew),
        cmocka_unit_test(many_shards),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
