/*
 * The variables that systemd sets, and the datagrams that it expects.
 */
#include "proxy/systemd.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define LISTEN_MAX 256 /* more sockets than any configuration has endpoints for */

/* The value of a variable as a number from 1 to max; 0: it is not there, or is none. */
static int64_t number_of(const char *name, int64_t max)
{
    const char *text = getenv(name);
    char *end;
    long long n = text ? strtoll(text, &end, 10) : 0;

    return text && *text && !*end && n > 0 && n <= max ? n : 0;
}

/* A path, or with '@' a name in the abstract namespace. */
static socklen_t address_of(struct sockaddr_un *un, const char *path)
{
    size_t n = strlen(path);

    if ((*path != '/' && *path != '@') || n >= sizeof(un->sun_path))
        return 0;
    memset(un, 0, sizeof(*un));
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path, n);
    if (*path == '@')
        un->sun_path[0] = '\0';
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + (*path == '/'));
}

void systemd_notify(const char *format, ...)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un un;
    char text[512];
    socklen_t len = path ? address_of(&un, path) : 0;
    va_list args;

    if (!len)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return;
    ssize_t ignored = sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&un, len);

    (void)ignored;
    close(fd);
}

int64_t systemd_watchdog_ms(void)
{
    int64_t pid = number_of("WATCHDOG_PID", INT32_MAX);

    if (pid != 0 && pid != getpid())
        return 0;
    return number_of("WATCHDOG_USEC", INT64_MAX) / 1000;
}

size_t systemd_listen_fds(void)
{
    bool ours = number_of("LISTEN_PID", INT32_MAX) == getpid();
    int64_t n = ours ? number_of("LISTEN_FDS", LISTEN_MAX) : 0;

    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    return (size_t)n;
}
