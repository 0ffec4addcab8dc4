/*
 * A stream for each root, begun again after it has ended, from the revision that was seen last.
 */
#include "proxy/topo_watch.h"

#include <event2/event.h>
#include <netdb.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/changes.h"
#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/server.h"
#include "proxy/tls.h"
#include "proxy/topo_lock.h"
#include "proxy/web_client.h"

#define LINE_MAX_BYTES (4u << 20) /* a line with a large SrvVSchema in it */
#define BACKOFF_MS     500
#define BACKOFF_MAX_MS 30000
#define LOGIN_MS       5000
#define ADDRESSES_MAX  16
#define ROOTS_MAX      8

struct place {
    const char *name; /* as it is configured at the start */
    char ip[64];
    uint16_t port;
};

struct stream_of_root {
    struct topo_watch *watch;
    const char *root; /* of the configuration of the start */
    int64_t revision;
    struct web_call *call;
    struct event *timer;
    char *line; /* what of one has come; owned */
    size_t len;
    unsigned fails; /* in a row */
    size_t place;   /* the one that is asked */
    bool up;
};

struct topo_watch {
    struct server *server;
    struct topo_locks *locks;
    struct place places[ADDRESSES_MAX];
    size_t place_count;
    struct stream_of_root streams[ROOTS_MAX];
    size_t n;
    bool stopped;
};

static void begin(struct stream_of_root *s);

static void begin_later(struct stream_of_root *s)
{
    int64_t ms = BACKOFF_MS;

    for (unsigned i = 1; i < s->fails && ms < BACKOFF_MAX_MS; i++)
        ms *= 2;
    struct timeval tv = {ms / 1000, ms % 1000 * 1000};

    s->place = (s->place + 1) % s->watch->place_count;
    evtimer_add(s->timer, &tv);
}

/* --- what comes ------------------------------------------------------------------------------ */

static void on_key(void *arg, const struct topo_event *event)
{
    const struct stream_of_root *s = arg;
    struct change what;

    if (topo_key_read(event->key, event->len, &what))
        changes_notice(s->watch->server->changes, &what, true);
    topo_locks_note(s->watch->locks, event);
}

/* False: the stream is of no use any more. */
static bool take_line(struct stream_of_root *s, const char *line, size_t len)
{
    if (!topo_line_read(line, len, &s->revision, on_key, s))
        return false;
    if (!s->up)
        log_info("topo_watched", "root:s revision:d", s->root, s->revision);
    s->up = true;
    s->fails = 0;
    return true;
}

static void on_piece(void *arg, const char *data, size_t len)
{
    struct stream_of_root *s = arg;
    bool ok = s->len + len <= LINE_MAX_BYTES;

    while (ok && len > 0) {
        const char *end = memchr(data, '\n', len);
        size_t n = end ? (size_t)(end - data) : len;

        s->line = memory_resize(s->line, s->len + n + 1);
        memcpy(s->line + s->len, data, n);
        s->len += n;
        data += n + (end ? 1 : 0);
        len -= n + (end ? 1 : 0);
        if (end) {
            ok = s->len == 0 || take_line(s, s->line, s->len);
            s->len = 0;
        }
    }
    if (ok)
        return;
    web_call_cancel(s->call);
    s->call = NULL;
    s->up = false;
    s->len = 0;
    s->fails++;
    log_warn("topo_watch_ended", "root:s error:s", s->root, "etcd has ended the watch");
    begin_later(s);
}

static void on_end(void *arg, const char *body, size_t len, const char *error)
{
    struct stream_of_root *s = arg;

    (void)body;
    (void)len;
    s->call = NULL;
    s->len = 0;
    s->fails++;
    if (s->up || s->fails == 1)
        log_warn("topo_watch_ended", "root:s error:s", s->root,
                 error ? error : "the connection was closed");
    s->up = false;
    begin_later(s);
}

/* --- asking ---------------------------------------------------------------------------------- */

/* Asks etcd's gateway; `piece` NULL: for an answer that is not streamed. */
static struct web_call *call_place(struct topo_watch *w, const struct place *p, const char *path,
                                   const char *body, const char *token, web_piece_fn *piece,
                                   web_done_fn *done, void *arg)
{
    bool tls = w->server->tls->etcd;
    char host[80];

    snprintf(host, sizeof(host), "%s:%u", p->ip, (unsigned)p->port);
    struct web_request rq = {.ip = p->ip,
                             .port = p->port,
                             .host = host,
                             .path = path,
                             .body = body,
                             .token = token,
                             .tls = tls ? tls_new_etcd(w->server->tls, p->name) : NULL,
                             .timeout_ms = piece ? 0 : LOGIN_MS,
                             .max_body = LINE_MAX_BYTES};

    return tls && !rq.tls ? NULL : web_call_start(w->server->base, &rq, piece, done, arg);
}

struct web_call *topo_watch_ask(struct topo_watch *w, const char *path, const char *body,
                                const char *token, web_done_fn *done, void *arg)
{
    if (w->n == 0)
        return NULL;
    return call_place(w, &w->places[w->streams[0].place], path, body, token, NULL, done, arg);
}

static void ask(struct stream_of_root *s, const char *path, const char *body, const char *token,
                web_piece_fn *piece, web_done_fn *done)
{
    struct topo_watch *w = s->watch;

    s->call = call_place(w, &w->places[s->place], path, body, token, piece, done, s);
    if (!s->call) {
        s->fails++;
        begin_later(s);
    }
}

static void watch(struct stream_of_root *s, const char *token)
{
    char *body = topo_request(s->root, s->revision);

    ask(s, "/v3/watch", body, token, on_piece, on_end);
    free(body);
}

static void on_login(void *arg, const char *body, size_t len, const char *error)
{
    struct stream_of_root *s = arg;
    char *token = body ? topo_login_read(body, len) : NULL;

    if (!token) {
        on_end(s, NULL, 0, error ? error : "etcd does not let etcd.user in");
        return;
    }
    s->call = NULL;
    watch(s, token);
    OPENSSL_cleanse(token, strlen(token));
    free(token);
}

/* A token is good for the one watch that begins with it: each logs in anew. */
static void begin(struct stream_of_root *s)
{
    const struct config *c = s->watch->server->config;

    if (!*c->etcd_user) {
        watch(s, NULL);
        return;
    }
    char *body = topo_login_request(c->etcd_user, c->etcd_password);

    ask(s, "/v3/auth/authenticate", body, NULL, NULL, on_login);
    OPENSSL_cleanse(body, strlen(body));
    free(body);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    begin(arg);
}

/* --- beginning and end ----------------------------------------------------------------------- */

static void resolve(struct topo_watch *w, const struct endpoint *e)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *list = NULL;
    struct place *p = &w->places[w->place_count];

    p->name = e->host;
    p->port = e->port;
    if (getaddrinfo(e->host, NULL, &hints, &list) != 0 ||
        getnameinfo(list->ai_addr, list->ai_addrlen, p->ip, sizeof(p->ip), NULL, 0,
                    NI_NUMERICHOST) != 0)
        log_warn("topo_unresolved", "address:s", e->text);
    else
        w->place_count++;
    if (list)
        freeaddrinfo(list);
}

struct topo_watch *topo_watch_create(struct server *server)
{
    const struct endpoints *es = &server->config->topo_addresses;
    const struct string_list *roots = &server->config->topo_roots;

    if (es->n == 0)
        return NULL;
    struct topo_watch *w = memory_zalloc(sizeof(*w));

    w->server = server;
    w->locks = topo_locks_create(server, w);
    for (size_t i = 0; i < es->n && i < ADDRESSES_MAX; i++)
        resolve(w, &es->items[i]);
    for (size_t i = 0; i < roots->n && i < ROOTS_MAX && w->place_count > 0; i++) {
        struct stream_of_root *s = &w->streams[w->n++];

        s->watch = w;
        s->root = roots->items[i];
        s->timer = evtimer_new(server->base, on_timer, s);
        begin(s);
    }
    return w;
}

void topo_watch_stop(struct topo_watch *w)
{
    for (size_t i = 0; w && i < w->n; i++) {
        if (w->streams[i].call)
            web_call_cancel(w->streams[i].call);
        w->streams[i].call = NULL;
        event_del(w->streams[i].timer);
    }
    if (w)
        topo_locks_stop(w->locks);
}

void topo_watch_destroy(struct topo_watch *w)
{
    for (size_t i = 0; w && i < w->n; i++) {
        event_free(w->streams[i].timer);
        free(w->streams[i].line);
    }
    if (w)
        topo_locks_destroy(w->locks);
    free(w);
}

bool topo_watch_is_up(const struct topo_watch *w)
{
    for (size_t i = 0; i < w->n; i++) {
        if (!w->streams[i].up)
            return false;
    }
    return w->n > 0;
}
