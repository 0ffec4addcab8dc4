/* The workers' event loop, on socket pairs: what is called, when, and above all when no more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxy/loop.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define PAIRS        4

/* One end is watched; what is written to the other makes it readable. */
struct end {
    struct loop_watch watch;
    int other;
    size_t calls;
    uint32_t ready; /* of the last call */
    void (*then)(struct end *e);
};

static struct loop loop;
static struct end ends[PAIRS];

static void on_ready(struct loop_watch *w, uint32_t ready)
{
    struct end *e = w->arg;
    char bytes[16];

    e->calls++;
    e->ready = ready;
    if (ready & EPOLLIN)
        assert_true(recv(w->fd, bytes, sizeof bytes, MSG_DONTWAIT) < 16);
    if (e->then)
        e->then(e);
}

static void open_end(struct end *e)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    loop_watch_init(&e->watch, &loop, fds[0], on_ready, e);
    e->other = fds[1];
}

static void close_end(struct end *e)
{
    int fd = e->watch.fd;

    loop_watch_end(&e->watch);
    loop_watch_end(&e->watch);
    if (fd >= 0)
        close(fd);
}

static int begin(void **state)
{
    (void)state;
    memset(ends, 0, sizeof ends);
    assert_true(loop_init(&loop));
    for (size_t i = 0; i < PAIRS; i++)
        open_end(&ends[i]);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    for (size_t i = 0; i < PAIRS; i++) {
        close_end(&ends[i]);
        close(ends[i].other);
    }
    loop_fini(&loop);
    return 0;
}

static void push(struct end *e)
{
    assert_int_equal(send(e->other, "x", 1, MSG_NOSIGNAL), 1);
}

/* A turn that must not wait: something is owed to the last end. */
static void turn_now(void)
{
    struct end *last = &ends[PAIRS - 1];

    loop_watch_owe(&last->watch, EPOLLOUT);
    loop_turn(&loop);
}

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void sockets_that_are_watched_are_told(void **state)
{
    (void)state;
    push(&ends[0]);
    push(&ends[1]);
    loop_watch_set(&ends[0].watch, EPOLLIN);
    loop_watch_set(&ends[2].watch, EPOLLIN | EPOLLOUT);
    loop_turn(&loop);
    assert_int_equal(ends[0].calls, 1);
    assert_int_equal(ends[0].ready, EPOLLIN);
    assert_int_equal(ends[1].calls, 0);
    assert_int_equal(ends[2].ready, EPOLLOUT);
    loop_watch_set(&ends[2].watch, EPOLLIN);
    loop_watch_set(&ends[1].watch, EPOLLIN);
    loop_turn(&loop);
    assert_int_equal(ends[1].calls, 1);
    assert_int_equal(ends[2].calls, 1);
}

static void what_is_left_is_told_again(void **state)
{
    (void)state;
    loop_watch_set(&ends[0].watch, EPOLLOUT);
    for (size_t i = 1; i < 4; i++) {
        loop_turn(&loop);
        assert_int_equal(ends[0].calls, i);
    }
    loop_watch_set(&ends[0].watch, 0);
    turn_now();
    assert_int_equal(ends[0].calls, 3);
}

static void a_hang_up_is_told_to_who_watches(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        close(ends[i].other);
        ends[i].other = dup(2); /* for finish() */
    }
    loop_watch_set(&ends[0].watch, EPOLLIN);
    loop_watch_set(&ends[1].watch, EPOLLOUT);
    loop_watch_set(&ends[2].watch, EPOLLIN);
    loop_watch_set(&ends[2].watch, 0);
    loop_turn(&loop);
    assert_int_equal(ends[0].ready, EPOLLIN);
    assert_int_equal(ends[1].ready, EPOLLOUT);
    assert_int_equal(ends[2].calls, 0);
}

/* The callbacks of one batch end each other's watches: whichever comes first is the only one. */
static void end_all_others(struct end *e)
{
    for (size_t i = 0; i < PAIRS; i++) {
        if (&ends[i] != e)
            close_end(&ends[i]);
    }
}

static void no_event_outlives_its_watch(void **state)
{
    (void)state;
    size_t calls = 0;

    for (size_t i = 0; i < PAIRS; i++) {
        push(&ends[i]);
        ends[i].then = end_all_others;
        loop_watch_set(&ends[i].watch, EPOLLIN);
    }
    loop_turn(&loop);
    for (size_t i = 0; i < PAIRS; i++)
        calls += ends[i].calls;
    assert_int_equal(calls, 1);
}

/* The same memory watches another socket at once: the old one's event is not for it. */
static void open_others_anew(struct end *e)
{
    for (size_t i = 0; i < PAIRS; i++) {
        if (&ends[i] != e) {
            close_end(&ends[i]);
            close(ends[i].other);
            open_end(&ends[i]);
            loop_watch_set(&ends[i].watch, EPOLLIN);
        }
    }
}

static void no_event_is_told_to_a_successor(void **state)
{
    (void)state;
    size_t calls = 0;

    for (size_t i = 0; i < PAIRS; i++) {
        push(&ends[i]);
        ends[i].then = open_others_anew;
        loop_watch_set(&ends[i].watch, EPOLLIN);
    }
    loop_turn(&loop);
    for (size_t i = 0; i < PAIRS; i++) {
        ends[i].then = NULL;
        calls += ends[i].calls;
    }
    assert_int_equal(calls, 1);
    for (size_t i = 0; i < PAIRS; i++) {
        ends[i].calls = 0;
        push(&ends[i]);
    }
    loop_turn(&loop);
    for (size_t i = 0; i < PAIRS; i++)
        assert_int_equal(ends[i].calls, 1);
}

static void stop_watching_others(struct end *e)
{
    for (size_t i = 0; i < PAIRS; i++) {
        if (&ends[i] != e)
            loop_watch_set(&ends[i].watch, 0);
    }
}

static void what_is_not_wanted_any_more_is_not_told(void **state)
{
    (void)state;
    size_t calls = 0;

    for (size_t i = 0; i < PAIRS; i++) {
        push(&ends[i]);
        ends[i].then = stop_watching_others;
        loop_watch_set(&ends[i].watch, EPOLLIN);
    }
    loop_turn(&loop);
    for (size_t i = 0; i < PAIRS; i++)
        calls += ends[i].calls;
    assert_int_equal(calls, 1);
}

static void owe_again(struct end *e)
{
    loop_watch_owe(&e->watch, EPOLLIN);
}

static void what_is_owed_comes_in_the_next_turn(void **state)
{
    (void)state;
    ends[0].then = owe_again;
    loop_watch_owe(&ends[0].watch, EPOLLIN);
    loop_watch_owe(&ends[0].watch, EPOLLOUT);
    loop_watch_owe(&ends[1].watch, EPOLLIN);
    loop_watch_end(&ends[1].watch);
    for (size_t i = 1; i < 4; i++) {
        loop_turn(&loop);
        assert_int_equal(ends[0].calls, i);
        assert_int_equal(ends[0].ready, i == 1 ? EPOLLIN | EPOLLOUT : EPOLLIN);
    }
    assert_int_equal(ends[1].calls, 0);
    loop_watch_owe(&ends[1].watch, EPOLLIN); /* it has ended */
    loop_turn(&loop);
    assert_int_equal(ends[1].calls, 0);
}

static void a_socket_that_cannot_be_watched_ends(void **state)
{
    (void)state;
    int real = loop.epoll_fd;

    loop.epoll_fd = -1;
    loop_watch_set(&ends[0].watch, EPOLLIN);
    loop.epoll_fd = real;
    assert_int_equal(ends[0].watch.events, 0);
    loop_turn(&loop);
    assert_int_equal(ends[0].calls, 1);
    assert_int_equal(recv(ends[0].watch.fd, (char[1]){0}, 1, MSG_DONTWAIT), 0);
}

static char order[16];

static void note(void *arg)
{
    strcat(order, arg);
}

static void timers_run_when_they_are_due(void **state)
{
    (void)state;
    static char *const names[] = {"a", "b", "c", "d", "e"};
    static const int64_t due[] = {30, 10, 20, 10, 15};
    struct loop_timer timers[COUNT(names)];
    int64_t began = now_ms();

    order[0] = '\0';
    for (size_t i = 0; i < COUNT(names); i++) {
        loop_timer_init(&timers[i], &loop, note, names[i]);
        assert_false(loop_timer_is_set(&timers[i]));
        loop_timer_set(&timers[i], due[i]);
    }
    loop_timer_stop(&timers[4]);
    loop_timer_stop(&timers[4]);
    loop_timer_set(&timers[3], 25); /* moved */
    while (loop_timer_is_set(&timers[0]))
        loop_turn(&loop);
    assert_string_equal(order, "bcda");
    assert_true(now_ms() - began >= 29);
    assert_false(loop_timer_is_set(&timers[1]));
}

static struct loop_timer self;
static int left;

static void set_again(void *arg)
{
    (void)arg;
    if (--left > 0)
        loop_timer_set(&self, 0);
}

static void a_timer_may_set_itself(void **state)
{
    (void)state;
    left = 5;
    loop_timer_init(&self, &loop, set_again, NULL);
    loop_timer_set(&self, 0);
    for (int turns = 0; left > 0; turns++) {
        assert_true(turns < 5);
        loop_turn(&loop);
    }
    assert_false(loop_timer_is_set(&self));
}

static void a_timer_does_not_wait_for_sockets(void **state)
{
    (void)state;
    struct loop_timer timer;

    order[0] = '\0';
    loop_timer_init(&timer, &loop, note, "x");
    loop_timer_set(&timer, 5);
    loop_watch_set(&ends[0].watch, EPOLLOUT); /* ready in every turn */
    while (loop_timer_is_set(&timer))
        loop_turn(&loop);
    assert_string_equal(order, "x");
    assert_true(ends[0].calls > 0);
}

/* As while a process is being started: its copy must not bring back a watch that has ended. */
static void a_copy_of_the_descriptor_tells_nothing(void **state)
{
    (void)state;
    loop_watch_set(&ends[0].watch, EPOLLIN);
    loop_watch_set(&ends[1].watch, EPOLLOUT);
    int copy = dup(ends[0].watch.fd);

    assert_true(copy >= 0);
    close_end(&ends[0]);
    assert_int_equal(write(ends[0].other, "x", 1), 1);
    loop_turn(&loop);
    assert_int_equal(ends[0].calls, 0);
    assert_int_equal(ends[1].calls, 1);
    close(copy);
}

#define LOOP_TEST(name) cmocka_unit_test_setup_teardown(name, begin, finish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOOP_TEST(sockets_that_are_watched_are_told),
        LOOP_TEST(what_is_left_is_told_again),
        LOOP_TEST(a_hang_up_is_told_to_who_watches),
        LOOP_TEST(no_event_outlives_its_watch),
        LOOP_TEST(a_copy_of_the_descriptor_tells_nothing),
        LOOP_TEST(no_event_is_told_to_a_successor),
        LOOP_TEST(what_is_not_wanted_any_more_is_not_told),
        LOOP_TEST(what_is_owed_comes_in_the_next_turn),
        LOOP_TEST(a_socket_that_cannot_be_watched_ends),
        LOOP_TEST(timers_run_when_they_are_due),
        LOOP_TEST(a_timer_may_set_itself),
        LOOP_TEST(a_timer_does_not_wait_for_sockets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
