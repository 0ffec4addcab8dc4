/*
 * Listening sockets: which addresses a name stands for, those that the process has inherited, the
 * file of a unix socket, and the pause after accept(2) has failed.
 */
#include "proxy/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/server.h"
#include "proxy/sockets.h"

#define ADDRESSES_MAX   16
#define BACKLOG         1024
#define PAUSE_US        100000
#define LOG_INTERVAL_MS 1000
#define INHERITED_MAX   512

struct listening {
    TAILQ_ENTRY(listening) link; /* in all */
    struct evconnlistener *accepting;
    struct event *pause;
    bool keep_file; /* of a unix socket: it is somebody else's to remove */
    bool held;      /* listener_hold */
    const char *configured;
};

struct listener {
    const struct endpoint *endpoint;
    struct listening sockets[ADDRESSES_MAX];
    size_t n;
    bool given;     /* the evconnlisteners belong to an evhttp */
    dev_t unix_dev; /* of the file, if it is a unix socket */
    ino_t unix_ino;
};

/* An error callback is told nothing but the evconnlistener and the argument of whoever accepts:
   this is how it finds the rest. */
static TAILQ_HEAD(, listening) all = TAILQ_HEAD_INITIALIZER(all);

static uint64_t failures, failures_logged;
static int64_t last_log_ms;

uint64_t listener_failures(void)
{
    return failures;
}

/* --- accept(2) fails ------------------------------------------------------------------------- */

static void on_pause_over(evutil_socket_t fd, short what, void *arg)
{
    struct listening *s = arg;

    (void)fd;
    (void)what;
    if (!s->held)
        evconnlistener_enable(s->accepting);
}

/* Out of descriptors, usually. The connection stays in the queue, so that the socket is readable
   again at once: without a pause the loop would do nothing else. */
static void on_accept_error(struct evconnlistener *accepting, void *arg)
{
    static const struct timeval PAUSE = {0, PAUSE_US};
    const char *error = strerror(errno);
    int64_t now = clock_ms();
    struct listening *s;

    (void)arg;
    failures++;
    if (last_log_ms == 0 || now - last_log_ms >= LOG_INTERVAL_MS) {
        log_warn("accept_failed", "error:s times:u", error, failures - failures_logged);
        failures_logged = failures;
        last_log_ms = now;
    }
    TAILQ_FOREACH(s, &all, link)
    {
        if (s->accepting != accepting)
            continue;
        evconnlistener_disable(accepting);
        event_add(s->pause, &PAUSE);
        return;
    }
}

/* --- inherited sockets ------------------------------------------------------------------------ */

static struct listener_socket inherited[INHERITED_MAX]; /* fd -1: taken */
static size_t inherited_count;

void listener_inherit(int fd, bool keep_file)
{
    if (inherited_count < INHERITED_MAX)
        inherited[inherited_count++] = (struct listener_socket){.fd = fd, .keep_file = keep_file};
    else
        close(fd);
}

static bool is_same_address(const struct sockaddr *a, const struct sockaddr *b, socklen_t len)
{
    if (a->sa_family != b->sa_family)
        return false;
    if (a->sa_family == AF_UNIX)
        return strcmp(((const struct sockaddr_un *)(const void *)a)->sun_path,
                      ((const struct sockaddr_un *)(const void *)b)->sun_path) == 0;
    if (a->sa_family == AF_INET6) {
        const struct sockaddr_in6 *x = (const void *)a, *y = (const void *)b;

        return x->sin6_port == y->sin6_port &&
               memcmp(&x->sin6_addr, &y->sin6_addr, sizeof(x->sin6_addr)) == 0;
    }
    return memcmp(a, b, len) == 0;
}

/* The inherited socket that listens on that address, or NULL. */
static struct listener_socket *find_inherited(const struct sockaddr *sa, socklen_t len)
{
    for (size_t i = 0; i < inherited_count; i++) {
        struct sockaddr_storage own = {.ss_family = AF_UNSPEC};
        socklen_t own_len = sizeof(own);

        if (inherited[i].fd >= 0 &&
            getsockname(inherited[i].fd, (struct sockaddr *)&own, &own_len) == 0 &&
            is_same_address((const struct sockaddr *)&own, sa, len))
            return &inherited[i];
    }
    return NULL;
}

void listener_drop_inherited(void)
{
    for (size_t i = 0; i < inherited_count; i++) {
        if (inherited[i].fd < 0)
            continue;
        log_warn("inherited_socket_unused", "fd:d", (int64_t)inherited[i].fd);
        close(inherited[i].fd);
    }
    inherited_count = 0;
}

size_t listener_sockets(struct listener_socket *sockets, size_t max)
{
    struct listening *s;
    size_t n = 0;

    TAILQ_FOREACH(s, &all, link)
    {
        if (n < max)
            sockets[n++] = (struct listener_socket){
                .fd = evconnlistener_get_fd(s->accepting),
                .keep_file = s->keep_file,
                .configured = s->configured,
                .paused = event_pending(s->pause, EV_TIMEOUT, NULL) || s->held,
            };
    }
    return n;
}

void listener_format_address(int fd, char text[LISTENER_ADDRESS_MAX])
{
    struct sockaddr_storage own = {.ss_family = AF_UNSPEC};
    socklen_t len = sizeof(own);
    char host[64] = "?", port[8] = "?";

    getsockname(fd, (struct sockaddr *)&own, &len);
    if (own.ss_family == AF_UNIX) {
        snprintf(text, LISTENER_ADDRESS_MAX, "unix:%.108s",
                 ((const struct sockaddr_un *)(const void *)&own)->sun_path);
        return;
    }
    getnameinfo((const struct sockaddr *)&own, len, host, sizeof(host), port, sizeof(port),
                NI_NUMERICHOST | NI_NUMERICSERV);
    snprintf(text, LISTENER_ADDRESS_MAX, own.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host,
             port);
}

/* --- addresses ------------------------------------------------------------------------------- */

static bool add_socket(struct listener *l, struct event_base *base, const struct sockaddr *sa,
                       socklen_t len, bool v6_only, evconnlistener_cb callback, void *arg)
{
    struct listening *s = &l->sockets[l->n];
    unsigned flags = LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE |
                     (v6_only && sa->sa_family == AF_INET6 ? LEV_OPT_BIND_IPV6ONLY : 0);

    struct listener_socket *ready = find_inherited(sa, len);

    if (ready) {
        evutil_make_socket_nonblocking(ready->fd);
        s->accepting = evconnlistener_new(base, callback, arg, flags, BACKLOG, ready->fd);
        s->keep_file = ready->keep_file;
        ready->fd = -1;
    } else {
        s->accepting = evconnlistener_new_bind(base, callback, arg, flags, BACKLOG,
                                               (const struct sockaddr *)sa, (int)len);
    }
    if (!s->accepting)
        return false;
    evconnlistener_set_error_cb(s->accepting, on_accept_error);
    socket_tune(evconnlistener_get_fd(s->accepting)); /* what it accepts inherits the options */
    s->pause = evtimer_new(base, on_pause_over, s);
    s->configured = l->endpoint->text;
    TAILQ_INSERT_TAIL(&all, s, link);
    l->n++;
    return true;
}

/* Whether an earlier entry of the list is the same address. */
static bool is_repeated(const struct addrinfo *list, const struct addrinfo *ai)
{
    for (; list != ai; list = list->ai_next) {
        if (list->ai_addrlen == ai->ai_addrlen &&
            memcmp(list->ai_addr, ai->ai_addr, ai->ai_addrlen) == 0)
            return true;
    }
    return false;
}

static bool has_ipv4(const struct addrinfo *list)
{
    for (; list; list = list->ai_next) {
        if (list->ai_family == AF_INET)
            return true;
    }
    return false;
}

static void warn_address(const struct listener *l, const struct addrinfo *ai, const char *error)
{
    char ip[NI_MAXHOST] = "?";

    getnameinfo(ai->ai_addr, ai->ai_addrlen, ip, sizeof(ip), NULL, 0, NI_NUMERICHOST);
    log_warn("listen_address_failed", "address:s ip:s error:s", l->endpoint->text, ip, error);
}

static bool open_tcp(struct listener *l, struct event_base *base, evconnlistener_cb callback,
                     void *arg)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    const char *error = NULL;
    char port[8];

    snprintf(port, sizeof(port), "%u", (unsigned)l->endpoint->port);
    int rc = getaddrinfo(l->endpoint->host, port, &hints, &list);

    if (rc != 0) {
        log_error("listen_failed", "address:s error:s", l->endpoint->text, gai_strerror(rc));
        return false;
    }
    /* [::] alone takes IPv4 as well; beside an IPv4 address of its own it must not. */
    bool v6_only = has_ipv4(list);

    for (const struct addrinfo *ai = list; ai && l->n < ADDRESSES_MAX; ai = ai->ai_next) {
        if (is_repeated(list, ai) ||
            add_socket(l, base, ai->ai_addr, ai->ai_addrlen, v6_only, callback, arg))
            continue;
        error = strerror(errno);
        if (list->ai_next)
            warn_address(l, ai, error);
    }
    freeaddrinfo(list);
    if (l->n == 0)
        log_error("listen_failed", "address:s error:s", l->endpoint->text, error);
    return l->n > 0;
}

/* --- unix sockets ---------------------------------------------------------------------------- */

/*
 * Makes way for a socket of our own: removes one that nobody listens on any more, and nothing else.
 * Returns NULL, or what is in the way.
 */
static const char *clear_path(const struct sockaddr_un *un)
{
    struct stat st;

    if (lstat(un->sun_path, &st) != 0)
        return errno == ENOENT ? NULL : strerror(errno);
    if (!S_ISSOCK(st.st_mode))
        return "a file that is not a socket is in its place";
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return strerror(errno);
    int error = connect(fd, (const struct sockaddr *)un, sizeof(*un)) == 0 ? EADDRINUSE : errno;

    close(fd);
    if (error == EAGAIN) /* somebody listens, whose queue is full */
        error = EADDRINUSE;
    if (error != ECONNREFUSED)
        return strerror(error);
    return unlink(un->sun_path) == 0 || errno == ENOENT ? NULL : strerror(errno);
}

static bool open_unix(struct listener *l, struct event_base *base, evconnlistener_cb callback,
                      void *arg)
{
    const char *path = l->endpoint->host, *error = NULL;
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct stat st;

    if (strlen(path) >= sizeof(un.sun_path)) {
        error = strerror(ENAMETOOLONG);
    } else {
        memcpy(un.sun_path, path, strlen(path) + 1);
        if (!find_inherited((const struct sockaddr *)&un, sizeof(un)))
            error = clear_path(&un);
    }
    if (!error &&
        !add_socket(l, base, (const struct sockaddr *)&un, sizeof(un), false, callback, arg))
        error = strerror(errno);
    if (error) {
        log_error("listen_failed", "address:s error:s", l->endpoint->text, error);
        return false;
    }
    if (lstat(path, &st) == 0) {
        l->unix_dev = st.st_dev;
        l->unix_ino = st.st_ino;
    }
    return true;
}

/* Before the socket is closed: afterwards the path may be a successor's, who found nobody there. */
static void remove_file(const struct listener *l)
{
    struct stat st;

    if (lstat(l->endpoint->host, &st) == 0 && S_ISSOCK(st.st_mode) && st.st_dev == l->unix_dev &&
        st.st_ino == l->unix_ino)
        unlink(l->endpoint->host);
}

/* --- the listener ---------------------------------------------------------------------------- */

struct listener *listener_open(struct event_base *base, const struct endpoint *e,
                               evconnlistener_cb callback, void *arg)
{
    struct listener *l = memory_zalloc(sizeof(*l));

    l->endpoint = e;
    if (e->is_unix ? open_unix(l, base, callback, arg) : open_tcp(l, base, callback, arg))
        return l;
    free(l);
    return NULL;
}

void listener_hold(struct listener *l, bool hold)
{
    for (size_t i = 0; i < l->n; i++) {
        struct listening *s = &l->sockets[i];

        if (hold)
            evconnlistener_disable(s->accepting);
        else if (s->held && !event_pending(s->pause, EV_TIMEOUT, NULL))
            evconnlistener_enable(s->accepting);
        s->held = hold;
    }
}

bool listener_open_early(const struct endpoint *e)
{
    struct event_base *base = event_base_new();
    struct listener *l = base ? listener_open(base, e, NULL, NULL) : NULL;

    if (l) {
        for (size_t i = 0; i < l->n; i++) {
            int fd = fcntl(evconnlistener_get_fd(l->sockets[i].accepting), F_DUPFD_CLOEXEC, 0);

            if (fd >= 0)
                listener_inherit(fd, l->sockets[i].keep_file);
        }
        listener_give_away(l); /* its file stays for the socket's second descriptor */
        listener_close(l);
    }
    if (base)
        event_base_free(base);
    return l;
}

void listener_give(struct listener *l, struct evhttp *http)
{
    l->given = true;
    for (size_t i = 0; i < l->n; i++) {
        evhttp_bind_listener(http, l->sockets[i].accepting);
        evconnlistener_set_error_cb(l->sockets[i].accepting, on_accept_error); /* it clears that */
    }
}

void listener_give_away(struct listener *l)
{
    for (size_t i = 0; i < l->n; i++)
        l->sockets[i].keep_file = true;
}

void listener_close(struct listener *l)
{
    if (l->endpoint->is_unix && !l->sockets[0].keep_file)
        remove_file(l);
    for (size_t i = 0; i < l->n; i++) {
        TAILQ_REMOVE(&all, &l->sockets[i], link);
        event_free(l->sockets[i].pause);
        if (!l->given)
            evconnlistener_free(l->sockets[i].accepting);
    }
    free(l);
}
