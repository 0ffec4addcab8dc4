/*
 * The admin port: who may connect, and the look at all clients once a second, which ends logins
 * that take too long, and clients that take none of what waits for them. (Time-outs of bufferevents
 * would not do: with TLS there are two of them for one connection, and a login is not over because
 * a byte has come.)
 */
#include "proxy/admin.h"

#include <event2/event.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/admin_internal.h"
#include "proxy/listener.h"
#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/server.h"
#include "proxy/sockets.h"

#define ADMIN_CLIENTS_MAX 256
#define SWEEP_MS          1000
#define LOGIN_MS          10000
#define STALL_MAX_MS      60000

static bool is_local(const struct sockaddr *sa)
{
    if (sa->sa_family == AF_UNIX)
        return true;
    if (sa->sa_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)(const void *)sa)->sin_addr.s_addr) >> 24 == 127;
    return sa->sa_family == AF_INET6 &&
           IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr);
}

/* Without users anybody may log in who is on this host. */
static void refuse_host(struct admin_client *c)
{
    struct buffer out;
    char text[256];

    snprintf(text, sizeof(text),
             "Host '%s' is not allowed to connect to this server: set admin_users to allow other "
             "hosts than this one",
             c->peer);
    buffer_init(&out, 4096);
    reply_error(&out, 0, 1130, "HY000", text);
    admin_client_write(c, &out);
    admin_client_end(c);
}

static void on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *sa, int len,
                      void *arg)
{
    struct admin *admin = arg;
    struct admin_client *c = admin_client_create(admin, fd, sa);

    (void)l;
    (void)len;
    if (!c)
        return;
    if (admin->client_count > ADMIN_CLIENTS_MAX) {
        admin_client_send_error(c, SHIM_ERROR_TOO_MANY_CONNECTIONS);
        admin_client_end(c);
    } else if (admin->user_count == 0 && !is_local(sa)) {
        refuse_host(c);
    } else {
        admin_login_greet(c);
    }
}

/* As on the other port, but not for ever: these clients are few, and none is waited for. */
static int64_t stall_ms(const struct server *server)
{
    int64_t limit = server->config->timeouts_write_s * 1000;

    return limit > 0 && limit < STALL_MAX_MS ? limit : STALL_MAX_MS;
}

static bool takes_too_long(struct admin_client *c, int64_t now)
{
    size_t waiting = admin_client_backlog(c);
    int fd = bufferevent_getfd(c->inner ? c->inner : c->bev);
    int64_t stalled_ms = socket_stall_look(&c->stall, fd, UINT64_MAX - waiting, waiting, now);

    switch (c->state) {
    case ADMIN_LOGIN:
    case ADMIN_SWITCHED:
        return now - c->accepted_ms > LOGIN_MS;
    case ADMIN_CLOSING:
        return waiting == 0 || stalled_ms > LOGIN_MS;
    default:
        if (stalled_ms <= stall_ms(c->admin->server))
            return false;
        log_info("admin_write_timeout", "user:s peer:s waiting:u", c->user, c->peer,
                 (uint64_t)waiting);
        return true;
    }
}

static void on_sweep(evutil_socket_t fd, short what, void *arg)
{
    struct admin *admin = arg;
    struct admin_client *c, *next;
    int64_t now = clock_ms();

    (void)fd;
    (void)what;
    for (c = TAILQ_FIRST(&admin->clients); c; c = next) {
        next = TAILQ_NEXT(c, link);
        if (c->bev && takes_too_long(c, now))
            admin_client_close(c);
    }
}

static void forget_users(struct admin *admin)
{
    if (!admin->users)
        return;
    for (size_t i = 0; i < admin->user_count; i++) {
        free(admin->users[i].name);
        free(admin->users[i].certificate);
    }
    explicit_bzero(admin->users, admin->user_count * sizeof(*admin->users));
    free(admin->users);
    admin->users = NULL;
    admin->user_count = 0;
}

void admin_take_users(struct admin *admin, const struct user_list *users)
{
    struct admin_client *c;

    forget_users(admin);
    admin->users = memory_zalloc((users->n + 1) * sizeof(*admin->users));
    for (size_t i = 0; i < users->n; i++) {
        const struct user_entry *from = &users->items[i];
        struct admin_user *user = &admin->users[i];

        user->name = memory_copy(from->name, strlen(from->name));
        user->role = from->role;
        if (from->certificate)
            user->certificate = memory_copy(from->certificate, strlen(from->certificate));
        admin_secret_parse(&user->secret, from->password);
    }
    admin->user_count = users->n;
    TAILQ_FOREACH(c, &admin->clients, link)
    {
        const struct admin_user *user = admin_find_user(admin, c->user);

        if (user)
            c->role = user->role;
    }
}

struct admin *admin_create(struct server *server)
{
    struct admin *admin = memory_zalloc(sizeof(*admin));
    struct timeval sweep = {SWEEP_MS / 1000, 0};

    admin->server = server;
    TAILQ_INIT(&admin->clients);
    admin_take_users(admin, &server->config->admin_users);
    admin->sweep = event_new(server->base, -1, EV_PERSIST, on_sweep, admin);
    event_add(admin->sweep, &sweep);
    admin->listener = listener_open(server->base, &server->config->admin, on_accept, admin);
    if (!admin->listener) {
        admin_destroy(admin);
        return NULL;
    }
    return admin;
}

bool admin_kill(struct admin *admin, uint32_t id, bool query_only, const char *user)
{
    struct admin_client *c;

    TAILQ_FOREACH(c, &admin->clients, link)
    {
        if (c->id != id || c->gone || (user && strcmp(c->user, user) != 0))
            continue;
        if (c->interrupt)
            c->interrupt(c->interrupt_arg, 1317, "70100", "Query execution was interrupted");
        if (!query_only && c->state == ADMIN_BUSY)
            admin_client_close(c); /* the killer itself, perhaps: it is freed by the reply */
        else if (!query_only)
            admin_client_end(c); /* it gets what waits for it first */
        return true;
    }
    return false;
}

void admin_stop(struct admin *admin)
{
    struct admin_client *c, *next;

    admin->stopping = true;
    if (admin->listener)
        listener_close(admin->listener);
    admin->listener = NULL;
    for (c = TAILQ_FIRST(&admin->clients); c; c = next) {
        next = TAILQ_NEXT(c, link);
        if (c->bev)
            bufferevent_disable(c->bev, EV_READ);
        if (c->interrupt) /* it may be gone afterwards */
            c->interrupt(c->interrupt_arg, 1053, "08S01", "Server shutdown in progress");
    }
}

void admin_hand_over(struct admin *admin)
{
    struct admin_client *c, *next;

    listener_give_away(admin->listener);
    admin_stop(admin);
    for (c = TAILQ_FIRST(&admin->clients); c; c = next) {
        next = TAILQ_NEXT(c, link);
        if (c->bev && c->state != ADMIN_BUSY)
            admin_client_close(c);
    }
}

void admin_destroy(struct admin *admin)
{
    if (admin->listener)
        listener_close(admin->listener);
    event_free(admin->sweep);
    while (!TAILQ_EMPTY(&admin->clients))
        admin_client_free(TAILQ_FIRST(&admin->clients));
    forget_users(admin);
    free(admin);
}
