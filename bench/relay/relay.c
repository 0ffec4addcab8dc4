/*
 * usage: relay LISTEN-PORT BACKEND-PORT
 *
 * The bare relay that vtshim stands beside in the benchmark: one thread, one epoll, one buffer.
 * It accepts on 127.0.0.1, connects to the backend, and carries bytes both ways without looking at
 * them. What a peer does not take is kept, and the other side is not read until it has been sent.
 * Nothing that moves bytes between two sockets through user space can do with less.
 *
 * It is a measuring stick and nothing else: no TLS, no log, no limits; out of memory ends it.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define SCRATCH (256u << 10) /* as large as vtshim's */
#define TURN    256          /* events taken in one epoll_wait */

struct end {
    int fd;
    struct end *peer;
    uint32_t armed; /* the events epoll watches for */
    char *kept;     /* what the socket did not take yet */
    size_t kept_len, kept_sent;
};

struct pair {
    struct end client, backend;
    struct pair *next_dead;
    bool dead;
};

static int epoll_fd;
static uint16_t backend_port;
static char scratch[SCRATCH];
static struct pair *dead; /* freed at the end of the turn: an event for it may still be queued */

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static struct sockaddr_in loopback(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

/* The client's end is the first member of its pair, the backend's the second. */
static struct pair *pair_of(struct end *e)
{
    return (struct pair *)(void *)(e < e->peer ? e : e->peer);
}

static void pair_close(struct pair *p)
{
    if (p->dead)
        return;
    p->dead = true;
    close(p->client.fd);
    close(p->backend.fd);
    free(p->client.kept);
    free(p->backend.kept);
    p->next_dead = dead;
    dead = p;
}

static void arm(struct end *e, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = e};

    if (e->armed == events)
        return;
    e->armed = events;
    if (epoll_ctl(epoll_fd, EPOLL_CTL_MOD, e->fd, &event) != 0)
        die("epoll_ctl");
}

static void keep(struct end *to, const char *data, size_t len)
{
    to->kept = malloc(len);
    if (!to->kept)
        die("malloc");
    memcpy(to->kept, data, len);
    to->kept_len = len;
    to->kept_sent = 0;
    arm(to, to->armed | EPOLLOUT);
    arm(to->peer, to->peer->armed & ~(uint32_t)EPOLLIN);
}

/* False: the pair is closed. */
static bool carry(struct end *from)
{
    struct end *to = from->peer;
    ssize_t got = recv(from->fd, scratch, sizeof(scratch), 0);

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (got <= 0) {
        pair_close(pair_of(from));
        return false;
    }
    ssize_t sent = send(to->fd, scratch, (size_t)got, MSG_NOSIGNAL);

    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        pair_close(pair_of(from));
        return false;
    }
    if (sent < 0)
        sent = 0;
    if (sent < got)
        keep(to, scratch + sent, (size_t)(got - sent));
    return true;
}

static bool send_kept(struct end *to)
{
    ssize_t sent = send(to->fd, to->kept + to->kept_sent, to->kept_len - to->kept_sent, MSG_NOSIGNAL);

    if (sent < 0) {
        if (errno == EAGAIN || errno == EINTR)
            return true;
        pair_close(pair_of(to));
        return false;
    }
    to->kept_sent += (size_t)sent;
    if (to->kept_sent < to->kept_len)
        return true;
    free(to->kept);
    to->kept = NULL;
    arm(to, to->armed & ~(uint32_t)EPOLLOUT);
    arm(to->peer, to->peer->armed | EPOLLIN);
    return true;
}

static void on_end(struct end *e, uint32_t events)
{
    if (pair_of(e)->dead)
        return;
    if (events & EPOLLOUT && e->kept && !send_kept(e))
        return;
    if (events & EPOLLIN && e->armed & EPOLLIN) {
        carry(e);
        return;
    }
    if (events & (EPOLLERR | EPOLLHUP))
        pair_close(pair_of(e));
}

static void end_init(struct end *e, int fd, struct end *peer)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = e};
    int one = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    e->fd = fd;
    e->peer = peer;
    e->armed = EPOLLIN;
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
        die("epoll_ctl");
}

static void on_listener(int listener)
{
    struct sockaddr_in address = loopback(backend_port);
    int client, backend;

    while ((client = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        backend = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (backend < 0)
            die("socket");
        /* The server speaks first, so there is nothing to send before the connection stands. */
        if (connect(backend, (struct sockaddr *)&address, sizeof(address)) != 0 &&
            errno != EINPROGRESS) {
            close(client);
            close(backend);
            continue;
        }
        struct pair *p = calloc(1, sizeof(*p));

        if (!p)
            die("calloc");
        end_init(&p->client, client, &p->backend);
        end_init(&p->backend, backend, &p->client);
    }
}

static int listen_on(uint16_t port)
{
    struct sockaddr_in address = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int one = 1;

    if (fd < 0)
        die("socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
        die("bind");
    if (listen(fd, 4096) != 0)
        die("listen");
    return fd;
}

static void allow_many_files(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void bury(void)
{
    while (dead) {
        struct pair *p = dead;

        dead = p->next_dead;
        free(p);
    }
}

static uint16_t port_argument(const char *text)
{
    long port = strtol(text, NULL, 10);

    if (port < 1 || port > 65535) {
        fprintf(stderr, "relay: %s is no port\n", text);
        exit(2);
    }
    return (uint16_t)port;
}

int main(int argc, char **argv)
{
    struct epoll_event events[TURN], listening = {.events = EPOLLIN, .data.ptr = NULL};

    if (argc != 3) {
        fprintf(stderr, "usage: relay LISTEN-PORT BACKEND-PORT\n");
        return 2;
    }
    allow_many_files();
    backend_port = port_argument(argv[2]);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    int listener = listen_on(port_argument(argv[1]));

    if (epoll_fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &listening) != 0)
        die("epoll");
    for (;;) {
        int n = epoll_wait(epoll_fd, events, TURN, -1);

        if (n < 0 && errno != EINTR)
            die("epoll_wait");
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr)
                on_end(events[i].data.ptr, events[i].events);
            else
                on_listener(listener);
        }
        bury();
    }
}
