/*
 * Options that every TCP connection of the shim has, towards clients and towards vtgate. Accepted
 * ones inherit them from their listener.
 */
#ifndef VTSHIM_PROXY_SOCKETS_H
#define VTSHIM_PROXY_SOCKETS_H

#include <stddef.h>
#include <stdint.h>

/*
 * No delay of small packets, and keepalive as Go has it by default, and so vtgate: a peer that is
 * silent for 15 s is probed every 15 s, and after 9 probes without an answer it is gone (150 s).
 * Nothing happens to a unix socket.
 */
void socket_tune(int fd);

/* The two by themselves, for connections that may not live long enough for the second: a login and
   a query are over before the first probe would be due. */
void socket_no_delay(int fd, int family);
void socket_keep_alive(int fd);

/* Since when a peer has taken nothing of what waits for it, by looks. All zero: not looked yet. */
struct socket_stall {
    int64_t since_ms;
    uint64_t taken; /* at the last look; 0: nothing waited */
};

/* The look: `waiting` bytes wait. For how many milliseconds it has taken nothing of them; what
   began to wait since the last look counts from this one on. otherwise: of a unix socket, how much
   the peer has taken, or anything that grows with that; nobody counts it there. */
int64_t socket_stall_look(struct socket_stall *stall, int fd, uint64_t otherwise, size_t waiting,
                          int64_t now_ms);

#endif
