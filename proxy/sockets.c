/*
 * Socket options. A failure is no reason to refuse the connection: it only works less well.
 */
#include "proxy/sockets.h"

#include <linux/tcp.h> /* for what netinet/tcp.h's tcp_info does not have */
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

#define KEEPALIVE_IDLE_S     15
#define KEEPALIVE_INTERVAL_S 15
#define KEEPALIVE_PROBES     9

static void set_int(int fd, int level, int option, int value)
{
    setsockopt(fd, level, option, &value, sizeof(value));
}

static bool is_tcp(int fd)
{
    int family = AF_UNSPEC;
    socklen_t size = sizeof(family);

    return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size) == 0 && family != AF_UNIX;
}

void socket_no_delay(int fd, int family)
{
    if (family != AF_UNIX)
        set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
}

static void keep_alive(int fd)
{
    set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
    set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S);
    set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES);
    set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
}

void socket_keep_alive(int fd)
{
    if (is_tcp(fd))
        keep_alive(fd);
}

void socket_tune(int fd)
{
    if (!is_tcp(fd))
        return;
    set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    keep_alive(fd);
}

/*
 * How much the peer has taken of what it was sent: a number that is not 0, and another one when it
 * has taken more. How much waits here does not tell: a socket is not writable again before a third
 * of its buffer, which may be megabytes, is free. Of a unix socket, whose buffer is small and of
 * which nobody counts it, `otherwise`.
 */
static uint64_t taken_by_peer(int fd, uint64_t otherwise)
{
    struct tcp_info info = {.tcpi_bytes_acked = 0};
    socklen_t size = sizeof(info);

    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 && info.tcpi_bytes_acked > 0)
        return info.tcpi_bytes_acked;
    return otherwise;
}

int64_t socket_stall_look(struct socket_stall *stall, int fd, uint64_t otherwise, size_t waiting,
                          int64_t now_ms)
{
    uint64_t taken = waiting ? taken_by_peer(fd, otherwise) : 0;

    if (taken == 0 || stall->taken == 0 || taken > stall->taken)
        stall->since_ms = now_ms;
    stall->taken = taken;
    return now_ms - stall->since_ms;
}
