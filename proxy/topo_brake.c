/*
 * One after the other over etcd's gateway: log in (where there is a login), a lease, the key, the
 * drain of each hold, and the lease is given back, with which the key goes.
 */
#include "proxy/topo_brake.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "planner/hold.h"
#include "proxy/hold_drain.h"
#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/server.h"
#include "proxy/topo_watch.h"
#include "proxy/web_client.h"

#define BRAKES_MAX 16
#define HOLDS_MAX  16
#define LEASE_ADD_S                                                                                \
    3 /* it lasts so much longer than the wait, and etcd no less than a second or two */

struct topo_brake {
    TAILQ_ENTRY(topo_brake) link;
    struct topo_brakes *all;
    char *root, *token; /* owned; token NULL: no login */
    char keyspace[HOLD_NAME_MAX];
    int64_t lease;        /* 0: none */
    int64_t ours, theirs; /* revisions of the store with the two locks; 0: not known, or none */
    int64_t from_ms, until_ms;
    uint64_t holds[HOLDS_MAX];
    size_t n, drained, in_the_way;
    struct web_call *call;
    struct hold_drain *drain;
};

struct topo_brakes {
    struct server *server;
    struct topo_watch *watch;
    TAILQ_HEAD(, topo_brake) list;
    size_t n;
};

static void brake_free(struct topo_brake *b)
{
    TAILQ_REMOVE(&b->all->list, b, link);
    b->all->n--;
    if (b->token)
        OPENSSL_cleanse(b->token, strlen(b->token));
    free(b->token);
    free(b->root);
    free(b);
}

/* Takes the body. False: it could not be asked, and there is no brake any more. */
static bool ask(struct topo_brake *b, const char *path, char *body, web_done_fn *done)
{
    b->call = topo_watch_ask(b->all->watch, path, body, b->token, done, b);
    OPENSSL_cleanse(body, strlen(body)); /* a password, in one of them */
    free(body);
    if (b->call)
        return true;
    brake_free(b);
    return false;
}

/* --- given back ------------------------------------------------------------------------------ */

static void on_revoked(void *arg, const char *body, size_t len, const char *error)
{
    struct topo_brake *b = arg;

    (void)len;
    if (!body)
        log_warn("topo_lock_failed", "keyspace:s error:s", b->keyspace, error);
    brake_free(b);
}

static void give_back(struct topo_brake *b)
{
    ask(b, "/v3/lease/revoke", topo_revoke_request(b->lease), on_revoked);
}

static void fail(struct topo_brake *b, const char *error)
{
    log_warn("topo_lock_failed", "keyspace:s error:s", b->keyspace, error);
    if (b->lease)
        give_back(b);
    else
        brake_free(b);
}

/* --- the drain ------------------------------------------------------------------------------- */

static void drain_next(struct topo_brake *b);

/* DRAIN_GONE: vtctld has given its own lock back meanwhile. */
static void on_drained(void *arg, enum drain_end end, const struct hold_count *count)
{
    struct topo_brake *b = arg;

    b->drain = NULL;
    b->in_the_way = count->in_the_way;
    b->drained = end == DRAIN_DONE ? b->drained + 1 : b->n;
    drain_next(b);
}

static void drain_next(struct topo_brake *b)
{
    int64_t left = b->until_ms - clock_ms();

    if (b->drained < b->n) {
        b->drain = hold_drain_start(b->all->server, b->holds[b->drained], left > 1 ? left : 1,
                                    on_drained, b);
        return;
    }
    bool late = b->theirs && b->theirs < b->ours; /* nobody waited for it */

    log_info("topo_lock_given_back", "keyspace:s waited_ms:d in_the_way:u late:s", b->keyspace,
             clock_ms() - b->from_ms, (uint64_t)b->in_the_way, late ? "yes" : "no");
    give_back(b);
}

/* --- taken ----------------------------------------------------------------------------------- */

static void on_put(void *arg, const char *body, size_t len, const char *error)
{
    struct topo_brake *b = arg;

    b->call = NULL;
    b->ours = body ? topo_put_read(body, len) : 0;
    if (body)
        drain_next(b);
    else
        fail(b, error);
}

static void on_lease(void *arg, const char *body, size_t len, const char *error)
{
    struct topo_brake *b = arg;

    b->call = NULL;
    b->lease = body ? topo_lease_read(body, len) : 0;
    if (b->lease)
        ask(b, "/v3/kv/put", topo_lock_request(b->root, b->keyspace, b->lease), on_put);
    else
        fail(b, error ? error : "etcd gives no lease");
}

static void take_lease(struct topo_brake *b)
{
    int64_t ms = b->until_ms - b->from_ms;

    ask(b, "/v3/lease/grant", topo_lease_request((ms + 999) / 1000 + LEASE_ADD_S), on_lease);
}

static void on_login(void *arg, const char *body, size_t len, const char *error)
{
    struct topo_brake *b = arg;

    b->call = NULL;
    b->token = body ? topo_login_read(body, len) : NULL;
    if (b->token)
        take_lease(b);
    else
        fail(b, error ? error : "etcd does not let etcd.user in");
}

void topo_brake_go(struct topo_brake *b)
{
    if (!b)
        return;
    const struct config *c = b->all->server->config;

    if (*c->etcd_user)
        ask(b, "/v3/auth/authenticate", topo_login_request(c->etcd_user, c->etcd_password),
            on_login);
    else
        take_lease(b);
}

/* --- beginning and end ----------------------------------------------------------------------- */

struct topo_brake *topo_brake_create(struct topo_brakes *bs, const char *root, size_t len,
                                     const char *keyspace)
{
    int64_t wait_ms = bs->server->config->topo_lock_wait_ms;

    if (wait_ms == 0 || bs->n == BRAKES_MAX)
        return NULL;
    struct topo_brake *b = memory_zalloc(sizeof(*b));

    b->all = bs;
    b->root = memory_copy(root, len);
    snprintf(b->keyspace, sizeof(b->keyspace), "%s", keyspace);
    b->from_ms = clock_ms();
    b->until_ms = b->from_ms + wait_ms;
    TAILQ_INSERT_TAIL(&bs->list, b, link);
    bs->n++;
    return b;
}

void topo_brake_add(struct topo_brake *b, uint64_t hold)
{
    if (b->n < HOLDS_MAX)
        b->holds[b->n++] = hold;
}

void topo_brakes_note(struct topo_brakes *bs, const char *keyspace, int64_t revision)
{
    struct topo_brake *b;

    TAILQ_FOREACH(b, &bs->list, link)
    {
        if (!b->theirs && strcmp(b->keyspace, keyspace) == 0)
            b->theirs = revision;
    }
}

struct topo_brakes *topo_brakes_create(struct server *server, struct topo_watch *watch)
{
    struct topo_brakes *bs = memory_zalloc(sizeof(*bs));

    bs->server = server;
    bs->watch = watch;
    TAILQ_INIT(&bs->list);
    return bs;
}

/* What is still taken ends with its lease. */
void topo_brakes_stop(struct topo_brakes *bs)
{
    struct topo_brake *b;

    TAILQ_FOREACH(b, &bs->list, link)
    {
        if (b->call)
            web_call_cancel(b->call);
        if (b->drain)
            hold_drain_stop(b->drain);
        b->call = NULL;
        b->drain = NULL;
    }
}

void topo_brakes_destroy(struct topo_brakes *bs)
{
    while (!TAILQ_EMPTY(&bs->list))
        brake_free(TAILQ_FIRST(&bs->list));
    free(bs);
}
