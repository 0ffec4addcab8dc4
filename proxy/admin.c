/*
 * The admin port's connections: login, framing, replies. What the commands do is elsewhere. These
 * few connections use bufferevents; nothing here is on the path of applications.
 *
 * What a client can make the shim keep is bounded: it is read up to ADMIN_PACKET_MAX and not at all
 * while a command is under way or more than ADMIN_BACKLOG_MAX of answers wait for it. A look at all
 * clients once a second ends logins that take too long, and clients that take none of what waits
 * for them. (Time-outs of bufferevents would not do: with TLS there are two of them for one
 * connection, and a login is not over because a byte has come.)
 */
#include "proxy/admin.h"

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <netinet/in.h>
#include <openssl/rand.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "protocol/command.h"
#include "protocol/reply.h"
#include "proxy/auth.h"
#include "proxy/listener.h"
#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/server.h"

#define ADMIN_PACKET_MAX  (1u << 20)
#define ADMIN_REPLY_MAX   (64u << 20)
#define ADMIN_BACKLOG_MAX (1u << 20)
#define ADMIN_CLIENTS_MAX 256
#define TLS_BUFFER        (64u << 10) /* between the TLS filter and the socket, each way */
#define SWEEP_MS          1000
#define LOGIN_MS          10000
#define STALL_MS          60000
#define NATIVE            "mysql_native_password"
#define SHA2              "caching_sha2_password"

enum admin_state { ADMIN_LOGIN, ADMIN_SWITCHED, ADMIN_READY, ADMIN_BUSY, ADMIN_CLOSING };

struct admin_user {
    char *name;
    struct admin_secret secret;
};

struct admin {
    struct server *server;
    struct listener *listener;
    struct event *sweep;
    bool stopping;
    struct admin_user *users;
    size_t user_count;
    TAILQ_HEAD(admin_clients, admin_client) clients;
    size_t client_count;
    uint32_t last_id;
};

struct admin_client {
    TAILQ_ENTRY(admin_client) link;
    struct admin *admin;
    struct bufferevent *bev, *inner; /* with TLS inner is the one of the socket, else NULL */
    enum admin_state state;
    bool gone; /* closed while BUSY: freed by the reply */
    bool switched_to_sha2;
    uint8_t sequence; /* of the next packet to the client */
    uint32_t capabilities;
    uint8_t salt[SALT_LENGTH];
    char user[64], peer[64];
    int64_t accepted_ms, taken_ms; /* since when it has taken nothing of what waits for it */
    size_t swept_backlog;
};

struct admin_table {
    size_t columns;
    char **names;
    size_t rows, cap;
    char **values; /* rows * columns; NULL: SQL NULL */
};

/* --- replies --------------------------------------------------------------------------------- */

static void client_free(struct admin_client *c)
{
    TAILQ_REMOVE(&c->admin->clients, c, link);
    c->admin->client_count--;
    if (c->bev)
        bufferevent_free(c->bev);
    free(c);
}

/* Closes now, or as soon as the command under way has its answer. */
static void client_close(struct admin_client *c)
{
    if (c->state != ADMIN_BUSY) {
        client_free(c);
        return;
    }
    c->gone = true;
    bufferevent_free(c->bev);
    c->bev = NULL;
}

/* Bytes of answers that the system has not taken over yet. */
static size_t backlog(const struct admin_client *c)
{
    return evbuffer_get_length(bufferevent_get_output(c->bev)) +
           (c->inner ? evbuffer_get_length(bufferevent_get_output(c->inner)) : 0);
}

/* The next packet, which may have come already, unless the client has yet to take what it asked
   for: on_taken comes back here then. */
static void read_on(struct admin_client *c)
{
    if (c->admin->stopping || backlog(c) > ADMIN_BACKLOG_MAX)
        return;
    bufferevent_enable(c->bev, EV_READ);
    if (evbuffer_get_length(bufferevent_get_input(c->bev)) > 0)
        bufferevent_trigger(c->bev, EV_READ, BEV_OPT_DEFER_CALLBACKS | BEV_TRIG_IGNORE_WATERMARKS);
}

static void client_write(struct admin_client *c, struct buffer *out)
{
    if (c->bev && !out->failed)
        bufferevent_write(c->bev, out->data, out->len);
    buffer_release(out);
}

/* The command has its answer: the client may send the next. */
static void request_end(struct admin_request *rq, struct buffer *out)
{
    struct admin_client *c = rq->client;

    client_write(c, out);
    free(rq);
    c->state = ADMIN_READY;
    if (c->gone)
        client_free(c);
    else
        read_on(c);
}

void admin_reply_ok(struct admin_request *rq, uint64_t affected, const char *info)
{
    struct buffer out;

    buffer_init(&out, ADMIN_REPLY_MAX);
    reply_ok(&out, rq->client->sequence, rq->client->capabilities, STATUS_AUTOCOMMIT, affected, 0,
             info);
    request_end(rq, &out);
}

void admin_reply_error(struct admin_request *rq, uint16_t code, const char *state,
                       const char *format, ...)
{
    char text[512];
    struct buffer out;
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    buffer_init(&out, ADMIN_REPLY_MAX);
    reply_error(&out, rq->client->sequence, code, state, text);
    request_end(rq, &out);
}

struct admin_table *admin_table_create(const char *const *names, size_t columns)
{
    struct admin_table *t = memory_zalloc(sizeof(*t));

    t->columns = columns;
    t->names = memory_zalloc(columns * sizeof(*t->names));
    for (size_t i = 0; i < columns; i++)
        t->names[i] = memory_copy(names[i], strlen(names[i]));
    return t;
}

void admin_table_row(struct admin_table *t, const char *const *values)
{
    if (t->rows == t->cap) {
        t->cap = t->cap ? 2 * t->cap : 16;
        t->values = memory_resize(t->values, t->cap * t->columns * sizeof(*t->values));
    }
    char **row = t->values + t->rows++ * t->columns;

    for (size_t i = 0; i < t->columns; i++)
        row[i] = values[i] ? memory_copy(values[i], strlen(values[i])) : NULL;
}

static void table_free(struct admin_table *t)
{
    for (size_t i = 0; i < t->rows * t->columns; i++)
        free(t->values[i]);
    for (size_t i = 0; i < t->columns; i++)
        free(t->names[i]);
    free(t->values);
    free(t->names);
    free(t);
}

void admin_reply_table(struct admin_request *rq, struct admin_table *t)
{
    struct admin_client *c = rq->client;
    struct buffer out;

    buffer_init(&out, ADMIN_REPLY_MAX);
    reply_columns(&out, &c->sequence, c->capabilities, STATUS_AUTOCOMMIT,
                  (const char *const *)t->names, t->columns);
    for (size_t i = 0; i < t->rows; i++)
        reply_row(&out, &c->sequence, (const char *const *)t->values + i * t->columns, t->columns);
    reply_rows_end(&out, &c->sequence, c->capabilities, STATUS_AUTOCOMMIT);
    table_free(t);
    if (out.failed) {
        buffer_release(&out);
        admin_reply_error(rq, 1105, "HY000", "vtshim: the answer is larger than %u bytes",
                          ADMIN_REPLY_MAX);
        return;
    }
    request_end(rq, &out);
}

/* --- login ----------------------------------------------------------------------------------- */

static void send_simple(struct admin_client *c, enum shim_error error)
{
    const struct shim_error_row *row = shim_error_row(error);
    struct buffer out;

    buffer_init(&out, 4096);
    reply_error(&out, c->sequence, row->code, row->state, row->text);
    client_write(c, &out);
}

/* Answers have been taken: as many as needed to read on, or all before the end. With TLS, it was
   the socket's buffer that took them, so that the end is left to on_sweep. */
static void on_taken(struct bufferevent *bev, void *arg)
{
    struct admin_client *c = arg;

    (void)bev;
    if (c->state == ADMIN_CLOSING && backlog(c) == 0)
        client_close(c);
    else if (c->state != ADMIN_CLOSING && c->state != ADMIN_BUSY)
        read_on(c);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
    struct admin_client *c = arg;

    (void)bev;
    if (what & BEV_EVENT_CONNECTED)
        return; /* TLS is up */
    client_close(c);
}

static void close_when_flushed(struct admin_client *c)
{
    c->state = ADMIN_CLOSING;
    bufferevent_disable(c->bev, EV_READ);
}

static void deny(struct admin_client *c, bool with_password)
{
    struct buffer out;
    char text[256];

    snprintf(text, sizeof(text), "Access denied for user '%s'@'%s' (using password: %s)", c->user,
             c->peer, with_password ? "YES" : "NO");
    log_warn("admin_login_failed", "user:s peer:s", c->user, c->peer);
    buffer_init(&out, 4096);
    reply_error(&out, c->sequence, 1045, "28000", text);
    client_write(c, &out);
    close_when_flushed(c);
}

static void welcome(struct admin_client *c, bool fast_auth)
{
    struct buffer out;

    buffer_init(&out, 4096);
    if (fast_auth) { /* caching_sha2_password: AuthMoreData "fast_auth_success" */
        static const uint8_t SUCCESS[] = {0x01, 0x03};

        c->sequence = packet_append(&out, c->sequence, SUCCESS, sizeof(SUCCESS));
    }
    reply_ok(&out, c->sequence, c->capabilities, STATUS_AUTOCOMMIT, 0, 0, NULL);
    client_write(c, &out);
    c->state = ADMIN_READY;
    read_on(c);
    log_info("admin_login", "user:s peer:s", c->user, c->peer);
}

static const struct admin_secret *find_secret(const struct admin *admin, const char *name)
{
    static const struct admin_secret NOBODY = {.has_sha2 = true, .has_native = true};

    for (size_t i = 0; i < admin->user_count; i++) {
        if (strcmp(admin->users[i].name, name) == 0)
            return &admin->users[i].secret;
    }
    return &NOBODY; /* nobody can prove to know a password whose double digest is zero */
}

static void switch_plugin(struct admin_client *c, bool to_sha2)
{
    struct buffer out;

    buffer_init(&out, 4096);
    size_t mark = packet_begin(&out);

    auth_switch_append(&out, to_sha2 ? SHA2 : NATIVE, c->salt);
    packet_end(&out, mark, c->sequence);
    client_write(c, &out);
    c->switched_to_sha2 = to_sha2;
    c->state = ADMIN_SWITCHED;
    read_on(c);
}

static bool is_plugin(struct bytes plugin, const char *name)
{
    return plugin.len == strlen(name) && memcmp(plugin.p, name, plugin.len) == 0;
}

static void on_login(struct admin_client *c, const uint8_t *payload, size_t len)
{
    const struct admin *admin = c->admin;
    struct handshake_response hr;

    if (!handshake_response_parse(payload, len, &hr)) {
        send_simple(c, SHIM_ERROR_HANDSHAKE);
        close_when_flushed(c);
        return;
    }
    c->capabilities = hr.capabilities;
    snprintf(c->user, sizeof(c->user), "%.*s", (int)(hr.user.len < 63 ? hr.user.len : 63),
             (const char *)hr.user.p);
    if (admin->user_count == 0) {
        welcome(c, false);
        return;
    }
    const struct admin_secret *secret = find_secret(admin, c->user);
    bool client_sha2 = is_plugin(hr.plugin, SHA2);

    if (client_sha2 && secret->has_sha2) {
        if (admin_auth_sha2(secret, c->salt, hr.auth))
            welcome(c, true);
        else
            deny(c, hr.auth.len > 0);
        return;
    }
    /* A stored hash of one kind only decides the plugin; with both, the client's own wins. */
    switch_plugin(c, !secret->has_native);
}

static void on_switched(struct admin_client *c, const uint8_t *payload, size_t len)
{
    const struct admin_secret *secret = find_secret(c->admin, c->user);
    struct bytes answer = {payload, len};
    bool ok = c->switched_to_sha2 ? admin_auth_sha2(secret, c->salt, answer)
                                  : admin_auth_native(secret, c->salt, answer);

    if (ok)
        welcome(c, c->switched_to_sha2);
    else
        deny(c, len > 0);
}

static void on_read(struct bufferevent *bev, void *arg);

static void set_callbacks(struct admin_client *c)
{
    bufferevent_setcb(c->bev, on_read, on_taken, on_event, c);
    bufferevent_setwatermark(c->bev, EV_READ, 0, PACKET_HEADER + ADMIN_PACKET_MAX);
    bufferevent_enable(c->bev, EV_READ | EV_WRITE);
}

static void start_tls(struct admin_client *c)
{
    SSL *ssl = tls_new_server(&c->admin->server->tls);
    struct bufferevent *bev =
        ssl ? bufferevent_openssl_filter_new(c->admin->server->base, c->bev, ssl,
                                             BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE)
            : NULL;

    if (!bev) {
        client_close(c);
        return;
    }
    c->inner = c->bev;
    c->bev = bev;
    /* The filter goes on reading from the socket, and writing to it, when nobody takes it over. */
    bufferevent_setwatermark(c->inner, EV_READ, 0, TLS_BUFFER);
    bufferevent_setwatermark(c->inner, EV_WRITE, 0, TLS_BUFFER);
    set_callbacks(c);
}

/* --- commands -------------------------------------------------------------------------------- */

static void on_command(struct admin_client *c, const uint8_t *payload, size_t len)
{
    struct admin_request *rq = memory_zalloc(sizeof(*rq));
    uint8_t command = len ? payload[0] : COM_SLEEP;
    struct buffer out;

    rq->server = c->admin->server;
    rq->client = c;
    rq->user = c->user;
    rq->peer = c->peer;
    c->state = ADMIN_BUSY;
    bufferevent_disable(c->bev, EV_READ);
    switch (command) {
    case COM_QUIT:
        free(rq);
        c->state = ADMIN_READY;
        client_close(c);
        break;
    case COM_QUERY:
        admin_command(rq, (const char *)payload + 1, len - 1);
        break;
    case COM_PING:
    case COM_INIT_DB:
    case COM_RESET_CONNECTION:
        admin_reply_ok(rq, 0, NULL);
        break;
    case COM_SET_OPTION:
        buffer_init(&out, 64);
        reply_eof(&out, c->sequence, STATUS_AUTOCOMMIT);
        request_end(rq, &out);
        break;
    default:
        admin_reply_error(rq, 1047, "08S01", "vtshim: the admin port does not know this command");
    }
}

/* The next whole packet's payload, or NULL. It is to be drained by the caller. */
static const uint8_t *peek_packet(struct admin_client *c, size_t *len)
{
    struct evbuffer *in = bufferevent_get_input(c->bev);
    uint8_t header[PACKET_HEADER];

    if (evbuffer_copyout(in, header, sizeof(header)) != (ssize_t)sizeof(header))
        return NULL;
    *len = load_u24(header);
    if (*len > ADMIN_PACKET_MAX) {
        c->sequence = (uint8_t)(header[3] + 1);
        send_simple(c, SHIM_ERROR_PACKET_TOO_LARGE);
        close_when_flushed(c);
        return NULL;
    }
    if (evbuffer_get_length(in) < PACKET_HEADER + *len)
        return NULL;
    c->sequence = (uint8_t)(header[3] + 1);
    return evbuffer_pullup(in, (ssize_t)(PACKET_HEADER + *len)) + PACKET_HEADER;
}

static void on_packet(struct admin_client *c, const uint8_t *payload, size_t len)
{
    uint32_t capabilities;

    if (c->state == ADMIN_LOGIN && !c->inner && c->admin->server->tls.client &&
        ssl_request_parse(payload, len, &capabilities))
        start_tls(c);
    else if (c->state == ADMIN_LOGIN)
        on_login(c, payload, len);
    else if (c->state == ADMIN_SWITCHED)
        on_switched(c, payload, len);
    else
        on_command(c, payload, len);
}

/* One packet a call: after a reply, request_end triggers the next, so that a client may go away in
   between without leaving this function with a stale pointer. */
static void read_packets(struct admin_client *c)
{
    size_t len;
    bool deaf = c->state == ADMIN_BUSY || c->state == ADMIN_CLOSING || c->admin->stopping;
    const uint8_t *payload = deaf ? NULL : peek_packet(c, &len);

    if (!payload)
        return;
    uint8_t *copy = (uint8_t *)memory_copy((const char *)payload, len);

    evbuffer_drain(bufferevent_get_input(c->bev), PACKET_HEADER + len);
    on_packet(c, copy, len);
    explicit_bzero(copy, len);
    free(copy);
}

static void on_read(struct bufferevent *bev, void *arg)
{
    (void)bev;
    read_packets(arg);
}

/* --- connections ----------------------------------------------------------------------------- */

static bool is_local(const struct sockaddr *sa)
{
    if (sa->sa_family == AF_UNIX)
        return true;
    if (sa->sa_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)(const void *)sa)->sin_addr.s_addr) >> 24 == 127;
    return sa->sa_family == AF_INET6 &&
           IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr);
}

static void format_host(char *dst, size_t size, const struct sockaddr *sa)
{
    dst[0] = '\0';
    if (sa->sa_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)sa)->sin_addr, dst,
                  (socklen_t)size);
    else if (sa->sa_family == AF_INET6)
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr, dst,
                  (socklen_t)size);
    if (!*dst)
        snprintf(dst, size, "localhost");
}

static void greet(struct admin_client *c)
{
    static const char VERSION[] = "8.4.0-vtshim-" VTSHIM_VERSION;
    struct greeting g = {
        .version = {(const uint8_t *)VERSION, sizeof(VERSION) - 1},
        .connection_id = ++c->admin->last_id,
        .capabilities = CAP_LONG_PASSWORD | CAP_FOUND_ROWS | CAP_LONG_FLAG | CAP_CONNECT_WITH_DB |
                        CAP_PROTOCOL_41 | CAP_TRANSACTIONS | CAP_SECURE_CONNECTION |
                        CAP_MULTI_RESULTS | CAP_PLUGIN_AUTH | CAP_CONNECT_ATTRS |
                        CAP_PLUGIN_AUTH_LENENC | CAP_DEPRECATE_EOF,
        .charset = 45,
        .status = STATUS_AUTOCOMMIT,
        .plugin = {(const uint8_t *)SHA2, sizeof(SHA2) - 1},
    };
    struct buffer out;

    if (c->admin->server->tls.client)
        g.capabilities |= CAP_SSL;
    if (RAND_bytes(c->salt, sizeof(c->salt)) != 1)
        abort();
    for (size_t i = 0; i < sizeof(c->salt); i++)
        c->salt[i] = (uint8_t)(c->salt[i] % 94 + 33); /* clients read it as a string */
    memcpy(g.salt, c->salt, sizeof(g.salt));
    buffer_init(&out, 4096);
    size_t mark = packet_begin(&out);

    greeting_append(&out, &g);
    packet_end(&out, mark, 0);
    client_write(c, &out);
}

static void on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *sa, int len,
                      void *arg)
{
    struct admin *admin = arg;
    struct admin_client *c = memory_zalloc(sizeof(*c));

    (void)l;
    (void)len;
    c->admin = admin;
    c->accepted_ms = c->taken_ms = clock_ms();
    TAILQ_INSERT_TAIL(&admin->clients, c, link);
    admin->client_count++;
    c->bev = bufferevent_socket_new(admin->server->base, fd, BEV_OPT_CLOSE_ON_FREE);
    if (!c->bev) {
        evutil_closesocket(fd);
        client_free(c);
        return;
    }
    format_host(c->peer, sizeof(c->peer), sa);
    set_callbacks(c);
    if (admin->client_count > ADMIN_CLIENTS_MAX) {
        send_simple(c, SHIM_ERROR_TOO_MANY_CONNECTIONS);
        close_when_flushed(c);
    } else if (admin->user_count == 0 && !is_local(sa)) {
        struct buffer out;
        char text[256];

        snprintf(text, sizeof(text),
                 "Host '%s' is not allowed to connect to this server: set admin_users to allow "
                 "other hosts than this one",
                 c->peer);
        buffer_init(&out, 4096);
        reply_error(&out, 0, 1130, "HY000", text);
        client_write(c, &out);
        close_when_flushed(c);
    } else {
        greet(c);
    }
}

static bool takes_too_long(struct admin_client *c, int64_t now)
{
    size_t waiting = backlog(c);

    if (waiting == 0 || waiting < c->swept_backlog)
        c->taken_ms = now;
    c->swept_backlog = waiting;
    switch (c->state) {
    case ADMIN_LOGIN:
    case ADMIN_SWITCHED:
        return now - c->accepted_ms > LOGIN_MS;
    case ADMIN_CLOSING:
        return waiting == 0 || now - c->taken_ms > LOGIN_MS;
    default:
        return now - c->taken_ms > STALL_MS;
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
            client_close(c);
    }
}

struct admin *admin_create(struct server *server)
{
    const struct user_list *users = &server->config->admin_users;
    struct admin *admin = memory_zalloc(sizeof(*admin));
    struct timeval sweep = {SWEEP_MS / 1000, 0};

    admin->server = server;
    TAILQ_INIT(&admin->clients);
    admin->users = memory_zalloc((users->n + 1) * sizeof(*admin->users));
    for (size_t i = 0; i < users->n; i++) {
        admin->users[i].name = users->items[i].name;
        admin_secret_parse(&admin->users[i].secret, users->items[i].password);
    }
    admin->user_count = users->n;
    admin->sweep = event_new(server->base, -1, EV_PERSIST, on_sweep, admin);
    event_add(admin->sweep, &sweep);
    admin->listener = listener_open(server->base, &server->config->admin, on_accept, admin);
    if (!admin->listener) {
        admin_destroy(admin);
        return NULL;
    }
    return admin;
}

void admin_stop(struct admin *admin)
{
    struct admin_client *c;

    admin->stopping = true;
    listener_close(admin->listener);
    admin->listener = NULL;
    TAILQ_FOREACH(c, &admin->clients, link)
    {
        if (c->bev)
            bufferevent_disable(c->bev, EV_READ);
    }
}

void admin_destroy(struct admin *admin)
{
    if (admin->listener)
        listener_close(admin->listener);
    event_free(admin->sweep);
    while (!TAILQ_EMPTY(&admin->clients))
        client_free(TAILQ_FIRST(&admin->clients));
    explicit_bzero(admin->users, (admin->user_count + 1) * sizeof(*admin->users));
    free(admin->users);
    free(admin);
}
