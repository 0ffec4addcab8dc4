#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/cut_looks.h"
#include "proxy/executor.h"

#define POLL_MS  50
#define TABLETS  2
#define EVENTS   256
#define NEVER_MS INT64_MAX

/* vttablet's timer as it is written: ticks that come sooner are dropped, each restarts the
 * interval. */
struct tablet {
    int64_t events[EVENTS], own_ms, interval_ms, looked_ms, indicator, first_after_drain_ms;
    size_t n;
    bool silent;
};

static void ask(struct tablet *t, int64_t now_ms)
{
    static const int64_t AFTER[] = {1000, 5000, 10000, 20000};

    for (size_t i = 0; i < 4 && t->n < EVENTS; i++)
        t->events[t->n++] = now_ms + AFTER[i];
}

static void run(struct tablet *t, int64_t now_ms, int64_t drained_ms)
{
    bool event = now_ms >= t->own_ms;

    for (size_t i = 0; i < t->n; i++)
        event = event || t->events[i] == now_ms;
    if (!event)
        return;
    t->own_ms = now_ms + t->interval_ms;
    if (t->silent || now_ms - t->looked_ms < 1020)
        return;
    t->looked_ms = now_ms;
    t->indicator++;
    if (now_ms > drained_ms && t->first_after_drain_ms == NEVER_MS)
        t->first_after_drain_ms = now_ms;
}

static void rows_of(struct executor_row *rows, const struct tablet *t, enum migration_status status)
{
    static const char *const SHARDS[TABLETS] = {"-80", "80-"};

    for (size_t i = 0; i < TABLETS; i++)
        rows[i] = (struct executor_row){.uuid = {(const uint8_t *)"u", 1},
                                        .shard = {(const uint8_t *)SHARDS[i], strlen(SHARDS[i])},
                                        .status = status,
                                        .looked = t[i].indicator};
}

/* Whatever the tablets' phases, both look at one moment after the drain, and soon. */
static void tablets_are_brought_in_step(void **state)
{
    (void)state;
    static const int64_t INTERVALS[] = {2000, 60000};

    for (size_t k = 0; k < 2; k++) {
        for (int64_t phase = 0; phase < 2000; phase += 70) {
            struct tablet t[TABLETS] = {{.own_ms = 10000 + 130,
                                         .interval_ms = INTERVALS[k],
                                         .looked_ms = 10000 + 130 - 2000},
                                        {.own_ms = 10000 + phase,
                                         .interval_ms = INTERVALS[k],
                                         .looked_ms = 10000 + phase - 2000}};
            struct cut_looks *l = cut_looks_create(10000);
            struct executor_row rows[TABLETS];
            int64_t drained_ms = NEVER_MS, now;

            ask(&t[1], 10000 - 4000 + phase); /* of something else */
            t[0].first_after_drain_ms = t[1].first_after_drain_ms = NEVER_MS;
            for (now = 10000; now < 30000 && t[0].first_after_drain_ms + 0 == NEVER_MS; now += 10) {
                enum cut_looks_next next = CUT_LOOKS_WAIT;

                run(&t[0], now, drained_ms);
                run(&t[1], now, drained_ms);
                rows_of(rows, t, MIGRATION_RUNNING);
                if (now % POLL_MS == 0 && drained_ms == NEVER_MS)
                    next = cut_looks_note(l, rows, TABLETS, now);
                assert_int_not_equal(next, CUT_LOOKS_NONE);
                if (next == CUT_LOOKS_ASK || next == CUT_LOOKS_DRAIN) {
                    ask(&t[0], now); /* COMPLETE asks, too */
                    ask(&t[1], now);
                }
                if (next == CUT_LOOKS_DRAIN)
                    drained_ms = now + 100;
            }
            for (; now < 40000 && t[1].first_after_drain_ms == NEVER_MS; now += 10)
                run(&t[1], now, drained_ms);
            cut_looks_free(l);
            assert_true(drained_ms < 10000 + 7500);
            assert_true(t[0].first_after_drain_ms - drained_ms <= 700);
            assert_true(t[1].first_after_drain_ms - drained_ms <= 700);
        }
    }
}

/* What else had the tablets look, each by itself, seldom comes between: the looks that cut over are
   at one moment, and not long after the drain. */
static void what_else_asks_seldom_comes_between(void **state)
{
    (void)state;
    enum { RUNS = 1000, OTHERS = 8, DRAIN_TAKES_MS = 250 };
    uint64_t seed = 1;
    size_t apart = 0, late = 0;

    for (size_t k = 0; k < RUNS; k++) {
        struct tablet t[TABLETS] = {{.own_ms = NEVER_MS, .interval_ms = 60000},
                                    {.own_ms = NEVER_MS, .interval_ms = 60000}};
        struct cut_looks *l = cut_looks_create(10000);
        struct executor_row rows[TABLETS];
        int64_t drained_ms = NEVER_MS;

        for (size_t i = 0; i < TABLETS; i++) {
            t[i].first_after_drain_ms = NEVER_MS;
            for (size_t n = 0; n < OTHERS; n++) {
                seed = seed * 6364136223846793005U + 1442695040888963407U;
                t[i].events[t[i].n++] = 10000 + (int64_t)(seed >> 33) % 800 * 10;
            }
        }
        for (int64_t now = 10000; now < 30000; now += 10) {
            run(&t[0], now, drained_ms);
            run(&t[1], now, drained_ms);
            rows_of(rows, t, MIGRATION_RUNNING);
            if (now % POLL_MS || drained_ms != NEVER_MS) {
                if (now != drained_ms)
                    continue;
                ask(&t[0], now); /* COMPLETE */
                ask(&t[1], now);
                continue;
            }
            enum cut_looks_next next = cut_looks_note(l, rows, TABLETS, now);

            if (next == CUT_LOOKS_ASK) {
                ask(&t[0], now);
                ask(&t[1], now);
            } else if (next == CUT_LOOKS_DRAIN) {
                drained_ms = now + DRAIN_TAKES_MS;
            }
        }
        cut_looks_free(l);
        int64_t spread = t[0].first_after_drain_ms - t[1].first_after_drain_ms;

        apart += spread > 150 || spread < -150;
        late += t[0].first_after_drain_ms - drained_ms > 550 ||
                t[1].first_after_drain_ms - drained_ms > 550;
    }
    print_message("of %d: apart %zu, late %zu\n", RUNS, apart, late);
    assert_in_range(apart, 0, RUNS / 20);
    assert_in_range(late, 0, RUNS / 20);
}

static void a_tablet_that_does_not_look_is_told_of_once(void **state)
{
    (void)state;
    struct tablet t[TABLETS] = {{.interval_ms = 1500}, {.silent = true, .interval_ms = 1500}};
    struct cut_looks *l = cut_looks_create(10000);
    struct executor_row rows[TABLETS];
    int64_t none_ms = 0, drain_ms = 0;

    for (int64_t now = 10000; now < 30000 && !drain_ms; now += 10) {
        run(&t[0], now, NEVER_MS);
        rows_of(rows, t, MIGRATION_RUNNING);
        if (now % POLL_MS)
            continue;
        switch (cut_looks_note(l, rows, TABLETS, now)) {
        case CUT_LOOKS_NONE:
            assert_int_equal(none_ms, 0);
            none_ms = now;
            break;
        case CUT_LOOKS_DRAIN:
            drain_ms = now;
            break;
        default:
            break;
        }
    }
    cut_looks_free(l);
    assert_true(none_ms > 10000);
    assert_true(drain_ms > none_ms);
}

static void what_does_not_run_is_not_waited_for(void **state)
{
    (void)state;
    struct tablet t[TABLETS] = {0};
    struct cut_looks *l = cut_looks_create(10000);
    struct executor_row rows[TABLETS];
    enum cut_looks_next next = CUT_LOOKS_WAIT;
    int64_t now = 10000;
    int asked = 0;

    rows_of(rows, t, MIGRATION_READY);
    for (; now < 12000 && next != CUT_LOOKS_DRAIN; now += POLL_MS) {
        next = cut_looks_note(l, rows, TABLETS, now);
        asked += next == CUT_LOOKS_ASK;
    }
    cut_looks_free(l);
    assert_int_equal(next, CUT_LOOKS_DRAIN);
    assert_in_range(asked, 2, 3);
    assert_in_range(now, 10500, 10800);
}

/* Rows that were not seen for a while tell that the tablets have looked, not when. */
static void a_look_seen_late_is_no_look_in_step(void **state)
{
    (void)state;
    struct tablet t[TABLETS] = {0};
    struct cut_looks *l = cut_looks_create(10000);
    struct executor_row rows[TABLETS];

    rows_of(rows, t, MIGRATION_RUNNING);
    assert_int_equal(cut_looks_note(l, rows, TABLETS, 10000), CUT_LOOKS_ASK);
    t[0].indicator = t[1].indicator = 1;
    rows_of(rows, t, MIGRATION_RUNNING);
    for (int64_t now = 11500; now < 13100; now += POLL_MS)
        assert_int_not_equal(cut_looks_note(l, rows, TABLETS, now), CUT_LOOKS_DRAIN);
    cut_looks_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tablets_are_brought_in_step),
        cmocka_unit_test(what_else_asks_seldom_comes_between),
        cmocka_unit_test(a_tablet_that_does_not_look_is_told_of_once),
        cmocka_unit_test(what_does_not_run_is_not_waited_for),
        cmocka_unit_test(a_look_seen_late_is_no_look_in_step),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
