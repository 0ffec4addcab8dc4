/*
 * The system calls of the workers' hot path, without what libc adds to them: each is a point where
 * a thread can be cancelled, for which libc changes the thread's state atomically before and
 * after, as soon as there is more than one thread (nptl/cancellation.c of glibc). No thread of the
 * shim is ever cancelled. Results and errno are those of recv(2), send(2) and epoll_wait(2).
 */
#ifndef VTSHIM_PROXY_SYSCALLS_H
#define VTSHIM_PROXY_SYSCALLS_H

#include <stddef.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static inline ssize_t syscall_receive(int fd, void *into, size_t size)
{
    return syscall(SYS_recvfrom, fd, into, size, 0, NULL, NULL);
}

static inline ssize_t syscall_send(int fd, const void *data, size_t len)
{
    return syscall(SYS_sendto, fd, data, len, MSG_NOSIGNAL, NULL, 0);
}

static inline int syscall_epoll_wait(int epoll_fd, struct epoll_event *events, int max, int wait_ms)
{
    return (int)syscall(SYS_epoll_pwait, epoll_fd, events, max, wait_ms, NULL, (size_t)0);
}

#endif
