/*
 * The list of vtgates. Fixed at the start; addresses change under a lock, counters are atomic.
 */
#include "proxy/vtgates.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/metrics.h"
#include "proxy/sockets.h"

#define ADDRESSES_MAX 16

struct address {
    struct sockaddr_storage sa;
    socklen_t len;
};

struct vtgate {
    const struct endpoint *endpoint; /* of the configuration */
    const char *web_host;            /* NULL: none */
    uint16_t web_port;
    pthread_mutex_t lock; /* addresses, next and web */
    struct address addresses[ADDRESSES_MAX];
    size_t n, next;
    struct address web;
    _Atomic uint64_t sessions;
    _Atomic bool healthy, draining;
};

struct vtgates {
    size_t n;
    _Atomic unsigned turn; /* where the search starts, so that equals take turns */
    struct vtgate items[];
};

static void set_web(struct vtgate *v, const struct config *c, size_t i)
{
    if (c->vtgate_web_addresses.n > i) {
        v->web_host = c->vtgate_web_addresses.items[i].host;
        v->web_port = c->vtgate_web_addresses.items[i].port;
    } else if (c->vtgate_web_port > 0 && !v->endpoint->is_unix) {
        v->web_host = v->endpoint->host;
        v->web_port = (uint16_t)c->vtgate_web_port;
    }
}

struct vtgates *vtgates_create(const struct config *config)
{
    const struct endpoints *endpoints = &config->vtgate;
    size_t n = endpoints->n < VTGATES_MAX ? endpoints->n : VTGATES_MAX;
    struct vtgates *vs = memory_zalloc(sizeof(*vs) + n * sizeof(vs->items[0]));

    vs->n = n;
    for (size_t i = 0; i < n; i++) {
        struct vtgate *v = &vs->items[i];

        v->endpoint = &endpoints->items[i];
        set_web(v, config, i);
        pthread_mutex_init(&v->lock, NULL);
        atomic_init(&v->healthy, true);
        if (!vtgate_resolve(v))
            log_warn("vtgate_unresolved", "vtgate:s", vtgate_name(v));
    }
    return vs;
}

void vtgates_destroy(struct vtgates *vs)
{
    for (size_t i = 0; i < vs->n; i++)
        pthread_mutex_destroy(&vs->items[i].lock);
    free(vs);
}

size_t vtgates_count(const struct vtgates *vs)
{
    return vs->n;
}

size_t vtgates_index(const struct vtgates *vs, const struct vtgate *v)
{
    assert(v - vs->items < METRICS_VTGATES); /* as many as the setting allows */
    return (size_t)(v - vs->items);
}

struct vtgate *vtgates_at(struct vtgates *vs, size_t i)
{
    return &vs->items[i];
}

struct vtgate *vtgates_choose(struct vtgates *vs, uint64_t *tried)
{
    unsigned start = atomic_fetch_add_explicit(&vs->turn, 1, memory_order_relaxed);
    struct vtgate *best = NULL;

    for (size_t k = 0; k < vs->n; k++) {
        size_t i = (start + k) % vs->n;
        struct vtgate *v = &vs->items[i];

        if (*tried & (uint64_t)1 << i || vtgate_is_draining(v))
            continue;
        bool healthier = best && vtgate_is_healthy(v) && !vtgate_is_healthy(best);
        bool as_healthy = best && vtgate_is_healthy(v) == vtgate_is_healthy(best);

        if (!best || healthier || (as_healthy && vtgate_sessions(v) < vtgate_sessions(best)))
            best = v;
    }
    if (best) {
        *tried |= (uint64_t)1 << (best - vs->items);
        atomic_fetch_add(&best->sessions, 1);
    }
    return best;
}

void vtgate_release(struct vtgate *v)
{
    atomic_fetch_sub(&v->sessions, 1);
}

static bool resolve_unix(struct address *a, const char *path)
{
    struct sockaddr_un *un = (struct sockaddr_un *)&a->sa;

    if (strlen(path) >= sizeof(un->sun_path))
        return false;
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path, strlen(path) + 1);
    a->len = sizeof(*un);
    return true;
}

/* How many addresses the name has, of those that there is room for. */
static size_t resolve_name(struct address *found, size_t size, const char *host, uint16_t number)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    char port[8];
    size_t n = 0;

    snprintf(port, sizeof(port), "%u", (unsigned)number);
    if (getaddrinfo(host, port, &hints, &list) != 0)
        return 0;
    for (struct addrinfo *ai = list; ai && n < size; ai = ai->ai_next, n++) {
        memcpy(&found[n].sa, ai->ai_addr, ai->ai_addrlen);
        found[n].len = ai->ai_addrlen;
    }
    freeaddrinfo(list);
    return n;
}

static void resolve_web(struct vtgate *v)
{
    struct address found = {0};

    if (!v->web_host || resolve_name(&found, 1, v->web_host, v->web_port) == 0)
        return;
    pthread_mutex_lock(&v->lock);
    v->web = found;
    pthread_mutex_unlock(&v->lock);
}

bool vtgate_resolve(struct vtgate *v)
{
    struct address found[ADDRESSES_MAX] = {0};
    size_t n;

    resolve_web(v);
    if (v->endpoint->is_unix)
        n = resolve_unix(&found[0], v->endpoint->host) ? 1 : 0;
    else
        n = resolve_name(found, ADDRESSES_MAX, v->endpoint->host, v->endpoint->port);
    if (n == 0)
        return false;
    pthread_mutex_lock(&v->lock);
    memcpy(v->addresses, found, sizeof(found));
    v->n = n;
    pthread_mutex_unlock(&v->lock);
    return true;
}

/* The next address in turn: a name that resolves to several is tried at all of them over time. */
static bool next_address(struct vtgate *v, struct address *a)
{
    pthread_mutex_lock(&v->lock);
    bool any = v->n > 0;

    if (any)
        *a = v->addresses[v->next++ % v->n];
    pthread_mutex_unlock(&v->lock);
    return any;
}

int vtgate_connect(struct vtgate *v, int *error)
{
    struct address a;

    if (!next_address(v, &a)) {
        *error = EHOSTUNREACH;
        return -1;
    }
    int fd = socket(a.sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        *error = errno;
        return -1;
    }
    socket_no_delay(fd, a.sa.ss_family);
    if (connect(fd, (struct sockaddr *)&a.sa, a.len) != 0 && errno != EINPROGRESS) {
        *error = errno;
        close(fd);
        return -1;
    }
    return fd;
}

size_t vtgate_address_count(struct vtgate *v)
{
    pthread_mutex_lock(&v->lock);
    size_t n = v->n ? v->n : 1;

    pthread_mutex_unlock(&v->lock);
    return n;
}

bool vtgate_web_address(struct vtgate *v, char ip[VTGATE_IP_SIZE], uint16_t *port)
{
    pthread_mutex_lock(&v->lock);
    struct address web = v->web;

    pthread_mutex_unlock(&v->lock);
    *port = v->web_port;
    return web.len > 0 && getnameinfo((struct sockaddr *)&web.sa, web.len, ip, VTGATE_IP_SIZE, NULL,
                                      0, NI_NUMERICHOST) == 0;
}

const char *vtgate_web_host(const struct vtgate *v)
{
    return v->web_host;
}

const char *vtgate_name(const struct vtgate *v)
{
    return v->endpoint->text;
}

const struct endpoint *vtgate_endpoint(const struct vtgate *v)
{
    return v->endpoint;
}

uint64_t vtgate_sessions(const struct vtgate *v)
{
    return atomic_load_explicit((_Atomic uint64_t *)(uintptr_t)&v->sessions, memory_order_relaxed);
}

bool vtgate_is_healthy(const struct vtgate *v)
{
    return atomic_load_explicit((_Atomic bool *)(uintptr_t)&v->healthy, memory_order_relaxed);
}

void vtgate_set_healthy(struct vtgate *v, bool healthy)
{
    if (atomic_exchange(&v->healthy, healthy) == healthy)
        return;
    if (healthy)
        log_info("vtgate_up", "vtgate:s", vtgate_name(v));
    else
        log_warn("vtgate_down", "vtgate:s", vtgate_name(v));
}

void vtgate_connect_failed(struct vtgate *v, int error)
{
    switch (error) {
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
    case EADDRNOTAVAIL: /* all local ports to this address are in use */
        return;
    default:
        vtgate_set_healthy(v, false);
    }
}

bool vtgate_is_draining(const struct vtgate *v)
{
    return atomic_load_explicit((_Atomic bool *)(uintptr_t)&v->draining, memory_order_relaxed);
}

void vtgate_set_draining(struct vtgate *v, bool draining)
{
    if (atomic_exchange(&v->draining, draining) != draining)
        log_info(draining ? "vtgate_drained" : "vtgate_resumed", "vtgate:s sessions:u",
                 vtgate_name(v), vtgate_sessions(v));
}

struct vtgate *vtgates_find(struct vtgates *vs, const char *name)
{
    for (size_t i = 0; i < vs->n; i++) {
        if (strcmp(vtgate_name(&vs->items[i]), name) == 0)
            return &vs->items[i];
    }
    return NULL;
}
