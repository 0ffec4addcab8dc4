/*
 * systemd's variables and datagrams, with a socket of our own in its place.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proxy/systemd.h"

static int manager(struct sockaddr_un *un, size_t len)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)un, (socklen_t)len), 0);
    return fd;
}

static void check_heard(int fd, const char *expected)
{
    char text[600];
    ssize_t n = recv(fd, text, sizeof(text) - 1, 0);

    if (!expected) {
        assert_true(n < 0);
        return;
    }
    assert_true(n > 0);
    text[n] = '\0';
    assert_string_equal(text, expected);
}

static void notifies_a_path(void **state)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};

    (void)state;
    snprintf(un.sun_path, sizeof(un.sun_path), "/tmp/test_systemd-%d", (int)getpid());
    int fd = manager(&un, sizeof(un));

    setenv("NOTIFY_SOCKET", un.sun_path, 1);
    systemd_notify("READY=1\nMAINPID=%d", 42);
    check_heard(fd, "READY=1\nMAINPID=42");
    unsetenv("NOTIFY_SOCKET");
    systemd_notify("READY=1");
    check_heard(fd, NULL);
    setenv("NOTIFY_SOCKET", "relative", 1);
    systemd_notify("READY=1");
    check_heard(fd, NULL);
    close(fd);
    unlink(un.sun_path);
    setenv("NOTIFY_SOCKET", un.sun_path, 1);
    systemd_notify("READY=1"); /* nobody there: no harm */
    unsetenv("NOTIFY_SOCKET");
}

static void notifies_an_abstract_name(void **state)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    char name[64];

    (void)state;
    int n = snprintf(name, sizeof(name), "@test_systemd-%d", (int)getpid());

    memcpy(un.sun_path + 1, name + 1, (size_t)n - 1);
    int fd = manager(&un, offsetof(struct sockaddr_un, sun_path) + (size_t)n);

    setenv("NOTIFY_SOCKET", name, 1);
    systemd_notify("WATCHDOG=1");
    check_heard(fd, "WATCHDOG=1");
    unsetenv("NOTIFY_SOCKET");
    close(fd);
}

static void reads_the_watchdog(void **state)
{
    char pid[24];

    (void)state;
    unsetenv("WATCHDOG_PID");
    unsetenv("WATCHDOG_USEC");
    assert_int_equal(systemd_watchdog_ms(), 0);
    setenv("WATCHDOG_USEC", "30000000", 1);
    assert_int_equal(systemd_watchdog_ms(), 30000);
    setenv("WATCHDOG_PID", "1", 1);
    assert_int_equal(systemd_watchdog_ms(), 0);
    snprintf(pid, sizeof(pid), "%d", (int)getpid());
    setenv("WATCHDOG_PID", pid, 1);
    assert_int_equal(systemd_watchdog_ms(), 30000);
    setenv("WATCHDOG_USEC", "soon", 1);
    assert_int_equal(systemd_watchdog_ms(), 0);
}

static void counts_sockets_of_this_process_only(void **state)
{
    static const struct {
        const char *fds;
        size_t n;
    } cases[] = {{"2", 2}, {"0", 0}, {"-1", 0}, {"many", 0}, {"257", 0}, {"", 0}};
    char pid[24];

    (void)state;
    snprintf(pid, sizeof(pid), "%d", (int)getpid());
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        setenv("LISTEN_PID", pid, 1);
        setenv("LISTEN_FDS", cases[i].fds, 1);
        assert_int_equal(systemd_listen_fds(), cases[i].n);
        assert_null(getenv("LISTEN_FDS"));
        assert_null(getenv("LISTEN_PID"));
    }
    setenv("LISTEN_PID", "1", 1);
    setenv("LISTEN_FDS", "2", 1);
    assert_int_equal(systemd_listen_fds(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(notifies_a_path),
        cmocka_unit_test(notifies_an_abstract_name),
        cmocka_unit_test(reads_the_watchdog),
        cmocka_unit_test(counts_sockets_of_this_process_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
