#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proxy/copy_rate.h"
#include "proxy/executor.h"

static struct bytes text(const char *t)
{
    struct bytes b = {(const uint8_t *)t, 0};

    while (t[b.len])
        b.len++;
    return b;
}

static void note(struct copy_rates *rates, const char *keyspace, uint64_t rows, uint64_t bytes,
                 int64_t ms, bool at_least)
{
    copy_rates_note(rates, keyspace,
                    &(struct copied){.rows = rows, .bytes = bytes, .ms = ms, .at_least = at_least});
}

static void rates_are_means(void **state)
{
    (void)state;
    struct copy_rates *rates = copy_rates_create();
    struct copy_rate rate;

    assert_false(copy_rates_get(rates, "ks", &rate));
    note(rates, "ks", 5000, 0, 1000, false);
    assert_true(copy_rates_get(rates, "ks", &rate));
    assert_int_equal((int)rate.rows_per_s, 5000);
    assert_int_equal((int)rate.bytes_per_s, 0);
    note(rates, "ks", 30000, 300000, 2000, false);
    assert_true(copy_rates_get(rates, "ks", &rate));
    assert_int_equal((int)(rate.rows_per_s + 0.5), 8000); /* 5000 * 0.7 + 15000 * 0.3 */
    assert_int_equal((int)rate.bytes_per_s, 150000);
    assert_int_equal((int)rate.copies, 2);
    note(rates, "ks", 30000, 300000, 0, false); /* no time at all tells nothing */
    assert_true(copy_rates_get(rates, "ks", &rate));
    assert_int_equal((int)rate.copies, 2);
    copy_rates_destroy(rates);
}

/* Of a copy whose end was not seen only so much is known: it was that fast, or faster. */
static void lower_bounds_give_way(void **state)
{
    (void)state;
    struct copy_rates *rates = copy_rates_create();
    static const struct {
        uint64_t rows;
        bool at_least;
        int rows_per_s, copies;
        bool bound;
    } notes[] = {
        {100, true, 100, 1, true},     {50, true, 100, 1, true},    {200, true, 200, 2, true},
        {1000, false, 1000, 1, false}, {500, true, 1000, 1, false}, {2000, true, 1300, 2, false},
        {1300, false, 1300, 3, false},
    };
    for (size_t i = 0; i < sizeof(notes) / sizeof(*notes); i++) {
        struct copy_rate rate = {.rows_per_s = 0};

        note(rates, "ks", notes[i].rows, notes[i].rows * 10, 1000, notes[i].at_least);
        assert_true(copy_rates_get(rates, "ks", &rate));
        assert_int_equal((int)(rate.rows_per_s + 0.5), notes[i].rows_per_s);
        assert_int_equal((int)(rate.bytes_per_s + 0.5), notes[i].rows_per_s * 10);
        assert_int_equal((int)rate.copies, notes[i].copies);
        assert_int_equal(rate.at_least, notes[i].bound);
    }
    copy_rates_destroy(rates);
}

static void the_oldest_is_forgotten(void **state)
{
    (void)state;
    struct copy_rates *rates = copy_rates_create();
    struct copy_rate rate;
    char name[16];
    size_t n;

    for (int i = 0; i < COPY_RATE_KEYSPACES_MAX; i++) {
        snprintf(name, sizeof(name), "ks%d", i);
        note(rates, name, 1000, 0, 1000, false);
    }
    note(rates, "ks0", 1000, 0, 1000, false);
    note(rates, "another", 1000, 0, 1000, false);
    assert_true(copy_rates_get(rates, "ks0", &rate));
    assert_false(copy_rates_get(rates, "ks1", &rate));
    assert_true(copy_rates_get(rates, "another", &rate));
    free(copy_rates_copy(rates, &n));
    assert_int_equal((int)n, COPY_RATE_KEYSPACES_MAX);
    copy_rates_destroy(rates);
}

struct poll {
    int64_t ms;
    uint64_t rows;
    bool ready;
    const char *throttle;
};

static void a_copy_is_measured(void **state)
{
    (void)state;
    static const struct {
        struct poll polls[5];
        int rows_per_s; /* 0: nothing is measured */
    } cases[] = {
        {{{0, 0, false, "0"},
          {1000, 1000, false, "0"},
          {2000, 5000, false, "0"},
          {3000, 9000, false, "0"},
          {9000, 9500, true, "0"}},
         3000},
        {{{0, 0, false, "0"}, {5000, 20000, false, "0"}, {6000, 30000, true, "0"}}, 4000},
        {{{0, 1000, false, "0.0"},
          {1000, 5000, false, ""},
          {8000, 5000, false, "0"},
          {9000, 5000, true, "0"}},
         4000}, /* no rows for a while: waiting to be ready */
        {{{0, 1000, false, "0"}, {1000, 5000, true, "0"}}, 4000}, /* all of it between two looks */
        {{{0, 5000, true, "0"}}, 0},                              /* not seen under way */
        {{{0, 10, false, "0"}, {1000, 900, false, "0"}, {2000, 900, true, "0"}}, 0}, /* too few */
        {{{0, 1, false, "0"}, {400, 9000, false, "0"}, {800, 9000, true, "0"}}, 0},  /* too short */
        {{{0, 1000, false, "0"}, {1000, 5000, false, "0.5"}, {2000, 9000, true, "0"}}, 0},
        {{{0, 5000, false, "0"},
          {1000, 1000, false, "0"},
          {2000, 9000, false, "0"},
          {3000, 9000, true, "0"}},
         0}, /* begun anew */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct copy_rates *rates = copy_rates_create();
        struct copy_watch *watch = NULL;
        struct copy_rate rate = {.rows_per_s = 0};

        for (size_t p = 0; p < 5 && cases[i].polls[p].throttle; p++) {
            const struct poll *poll = &cases[i].polls[p];
            struct executor_row row = {.uuid = text("u"),
                                       .shard = text("-80"),
                                       .status = MIGRATION_RUNNING,
                                       .ready = poll->ready,
                                       .rows_copied = poll->rows,
                                       .user_throttle = text(poll->throttle)};

            copy_watch_row(&watch, rates, "ks", &row, 10, poll->ms);
            copy_watch_row(&watch, rates, "ks", &row, 10, poll->ms); /* seen twice: no matter */
        }
        assert_int_equal(copy_rates_get(rates, "ks", &rate), cases[i].rows_per_s != 0);
        assert_int_equal((int)(rate.rows_per_s + 0.5), cases[i].rows_per_s);
        assert_int_equal((int)(rate.bytes_per_s + 0.5), cases[i].rows_per_s * 10);
        copy_watch_free(watch);
        copy_rates_destroy(rates);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rates_are_means), cmocka_unit_test(lower_bounds_give_way),
        cmocka_unit_test(the_oldest_is_forgotten), cmocka_unit_test(a_copy_is_measured)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
