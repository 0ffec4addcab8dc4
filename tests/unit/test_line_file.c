/*
 * A file that takes nothing, and one whose thread hangs: lines are dropped and counted, nobody
 * waits, and no more than so many are kept.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/line_file.h"

#define KEPT 4096 /* as the guide has it */

struct heard {
    pthread_mutex_t gate; /* the file's thread hangs while somebody has it */
    char error[64];
    unsigned failures, resumptions;
    uint64_t dropped;
};

static void on_failed(void *arg, const char *path, const char *error)
{
    struct heard *h = arg;

    (void)path;
    pthread_mutex_lock(&h->gate);
    h->failures++;
    strncpy(h->error, error, sizeof(h->error) - 1);
    pthread_mutex_unlock(&h->gate);
}

static void on_resumed(void *arg, const char *path, uint64_t dropped)
{
    struct heard *h = arg;

    (void)path;
    pthread_mutex_lock(&h->gate);
    h->resumptions++;
    h->dropped = dropped;
    pthread_mutex_unlock(&h->gate);
}

static struct line_file *create(const char *path, struct heard *h)
{
    struct line_file_events events = {on_failed, on_resumed, h};

    memset(h, 0, sizeof(*h));
    pthread_mutex_init(&h->gate, NULL);
    return line_file_create(path, &events);
}

static void write_lines(struct line_file *f, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        line_file_write(f, strdup("a line\n"), 7);
}

static void wait_until_dropped(struct line_file *f, uint64_t n)
{
    for (int i = 0; i < 2000 && line_file_dropped(f) < n; i++)
        usleep(5000);
    assert_int_equal(line_file_dropped(f), n);
}

/* A disk that does not answer, say. */
static void test_hangs(void **state)
{
    struct heard h;
    struct line_file *f = create("", &h);

    (void)state;
    pthread_mutex_lock(&h.gate);
    line_file_reopen(f, "/nonexistent/file");
    usleep(20000); /* (the thread is in on_failed; if it is not yet, it takes no line before it) */
    write_lines(f, KEPT + 1000);
    assert_int_equal(line_file_dropped(f), 1000);
    pthread_mutex_unlock(&h.gate);
    wait_until_dropped(f, KEPT + 1000);
    line_file_destroy(f);
    assert_int_equal(h.failures, 1);
    pthread_mutex_destroy(&h.gate);
}

static void test_full_disk(void **state)
{
    char path[] = "/tmp/test_line_file-XXXXXX";
    struct heard h;
    struct line_file *f = create("/dev/full", &h);
    struct stat st;

    (void)state;
    write_lines(f, 5);
    wait_until_dropped(f, 5);
    close(mkstemp(path));
    line_file_reopen(f, path);
    write_lines(f, 3);
    line_file_destroy(f);
    assert_string_equal(h.error, strerror(ENOSPC));
    assert_int_equal(h.failures, 1);
    assert_int_equal(h.resumptions, 1);
    assert_int_equal(h.dropped, 5);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, 3 * 7);
    unlink(path);
    pthread_mutex_destroy(&h.gate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hangs),
        cmocka_unit_test(test_full_disk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
