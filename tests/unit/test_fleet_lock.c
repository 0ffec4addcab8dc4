/*
 * Locks of a fleet: who has one, who is refused, and that whoever is refused may give back those
 * that he has.
 */
#include "proxy/fleet_lock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/etcd.h"
#include "proxy/fleet.h"
#include "proxy/memory.h"
#include "proxy/server.h"

#define KEYS_MAX 8

/* --- an etcd that is made up ----------------------------------------------------------------- */

static char put[KEYS_MAX][160]; /* "": deleted */
static size_t put_count;
static int64_t now_ms;

int64_t clock_ms(void)
{
    return now_ms;
}

const char *etcd_member(const struct etcd *e)
{
    (void)e;
    return "own-00000001";
}

void etcd_put(struct etcd *e, const char *key, const char *value, int64_t ttl_s)
{
    (void)e, (void)value, (void)ttl_s;
    assert_true(put_count < KEYS_MAX);
    snprintf(put[put_count++], sizeof(put[0]), "%s", key);
}

void etcd_delete(struct etcd *e, const char *key)
{
    (void)e;
    for (size_t i = 0; i < put_count; i++) {
        if (strcmp(put[i], key) == 0)
            *put[i] = '\0';
    }
}

bool fleet_is_in_touch(const struct server *server)
{
    (void)server;
    return true;
}

static size_t keys(void)
{
    size_t n = 0;

    for (size_t i = 0; i < put_count; i++)
        n += *put[i] != '\0';
    return n;
}

/* All keys of this shim, and before them, if it is not NULL, that one of another. */
static void show(struct fleet_locks *ls, const char *other)
{
    struct etcd_view *view = memory_zalloc(sizeof(*view) + (KEYS_MAX + 1) * sizeof(view->items[0]));
    static char what[] = "DEPLOY PLAN by sre";

    if (other)
        view->items[view->n++] =
            (struct etcd_item){.key = (char *)(uintptr_t)other, .value = what, .created = 1};
    for (size_t i = 0; i < put_count; i++) {
        if (*put[i])
            view->items[view->n++] =
                (struct etcd_item){.key = put[i], .value = what, .created = 10 + (int64_t)i};
    }
    fleet_locks_see(ls, view);
    free(view);
}

/* --- a plan of two keyspaces ----------------------------------------------------------------- */

struct plan {
    struct fleet_locks *all;
    struct fleet_lock *locks[2];
    size_t n;
    char error[FLEET_LOCK_TEXT_MAX];
};

/* As deploy_plan_lock.c: one after the other; at a refusal it gives back what it has. */
static void on_locked(void *arg, const char *error)
{
    struct plan *p = arg;

    if (!error) {
        if (p->n < 2) {
            p->locks[p->n] = fleet_lock_take(p->all, "plan two", "", 0, on_locked, p);
            p->n++;
        }
        return;
    }
    snprintf(p->error, sizeof(p->error), "%s", error);
    p->n--;
    while (p->n > 0)
        fleet_lock_release(p->locks[--p->n]);
}

static struct config config;
static struct server server = {.config = &config};

static struct plan begin(void)
{
    put_count = 0;
    now_ms = 1000;
    config.fleet_lease_s = 2;
    return (struct plan){.all = fleet_locks_create(&server, NULL)};
}

static void take_first(struct plan *p)
{
    p->locks[0] = fleet_lock_take(p->all, "plan one", "", 0, on_locked, p);
    p->n = 1;
    show(p->all, NULL);
    assert_int_equal(p->n, 2);
    assert_true(fleet_lock_stands(p->locks[0]));
}

static void test_both_are_had(void **state)
{
    struct plan p = begin();

    (void)state;
    take_first(&p);
    show(p.all, "locks/plan three/other-00000002.1");
    assert_true(fleet_lock_stands(p.locks[1]));
    assert_string_equal(p.error, "");
    fleet_lock_release(p.locks[0]);
    fleet_lock_release(p.locks[1]);
    assert_int_equal(keys(), 0);
    fleet_locks_destroy(p.all);
}

/* The first lock is the next one in the list, and is gone when the second has been refused. */
static void test_refused_gives_back_the_others(void **state)
{
    struct plan p = begin();

    (void)state;
    take_first(&p);
    show(p.all, "locks/plan two/other-00000002.1");
    assert_string_equal(p.error, "DEPLOY PLAN by sre, on other-00000002");
    assert_int_equal(p.n, 0);
    assert_int_equal(keys(), 0);
    fleet_locks_destroy(p.all);
}

static void test_no_answer_gives_back_the_others(void **state)
{
    struct plan p = begin();

    (void)state;
    take_first(&p);
    fleet_locks_check(p.all);
    assert_string_equal(p.error, "");
    now_ms += 60000;
    fleet_locks_check(p.all);
    assert_string_equal(p.error, "the fleet's etcd does not answer");
    assert_int_equal(p.n, 0);
    assert_int_equal(keys(), 0);
    fleet_locks_destroy(p.all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_are_had),
        cmocka_unit_test(test_refused_gives_back_the_others),
        cmocka_unit_test(test_no_answer_gives_back_the_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
