/*
 * The thread for etcd: a lease, the keys that are to be written, and reading them all, over and
 * over. It asks instead of watching: a read that fails is known to have failed, while a watch that
 * is broken may be silent; and the few keys are cheap to read.
 *
 * Of each kind of call there is one at a time. All state is the thread's but for what `lock`
 * guards.
 */
#include "proxy/etcd.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "etcd.pb-c.h"
#include "proxy/grpc.h"
#include "proxy/log.h"
#include "proxy/loop.h"
#include "proxy/memory.h"
#include "proxy/server.h"
#include "proxy/tls.h"

#define KEYS_MAX    2000
#define MESSAGE_MAX (8u << 20)
#define PREFIX_MAX  96
#define KEY_MAX     256 /* of a key, the prefix included */
#define CALL_MS     1000

/* A key that is to be written, or deleted. */
struct write {
    TAILQ_ENTRY(write) link;
    char *key, *value; /* value NULL: delete */
    int64_t ttl_s;
};

struct etcd {
    struct server *server;
    etcd_viewed *viewed;
    void *viewed_arg;
    char member[ETCD_MEMBER_MAX], prefix[PREFIX_MAX];
    pthread_t thread;
    struct loop loop;
    struct mailbox mailbox;
    struct loop_watch wake; /* of the mailbox */
    struct loop_timer timer;
    struct grpc_client *client;
    char *token;         /* of etcd.user; NULL: none yet */
    bool authenticating; /* a call for one is under way */
    bool stopping, ended;
    int64_t lease;         /* 0: none */
    int64_t ttl_us;        /* of it, as etcd says */
    int64_t until_us;      /* it lasts until then at least */
    int64_t asked_us;      /* when the lease call under way, or the last, was sent */
    uint64_t registration; /* counts leases */
    bool registered;       /* the member's key is there under this lease */
    bool leasing, reading, telling, writing; /* a call of that kind is under way */
    int64_t told_lease;                      /* of the last word about ourselves */
    uint64_t read_registration;              /* under which the reading began */
    bool synced, failing;
    int64_t fenced_us;                /* since when workers hold everything; 0: they do not */
    struct write *current;            /* WRITING: what */
    int64_t write_lease;              /* of its own, granted a moment ago; or 0 */
    _Atomic(struct etcd_view *) view; /* on its way to the control loop */
    pthread_mutex_t lock;             /* of what follows */
    TAILQ_HEAD(, write) writes;
    char *member_value;
    bool member_changed;
};

static void look(struct etcd *e);
static void read_all(struct etcd *e);

void etcd_view_free(struct etcd_view *view)
{
    if (!view)
        return;
    for (size_t i = 0; i < view->n; i++) {
        free(view->items[i].key);
        free(view->items[i].value);
    }
    free(view);
}

static void write_free(struct write *w)
{
    if (!w)
        return;
    free(w->key);
    free(w->value);
    free(w);
}

/* --- calls ------------------------------------------------------------------------------------ */

static void call(struct etcd *e, const char *path, const ProtobufCMessage *request, grpc_done *done)
{
    size_t len = protobuf_c_message_get_packed_size(request);
    uint8_t *packed = memory_zalloc(len + 1);

    protobuf_c_message_pack(request, packed);
    grpc_call(e->client, path, packed, len, CALL_MS, done, e);
    OPENSSL_cleanse(packed, len); /* it may have been the password */
    free(packed);
}

static void drop_token(struct etcd *e)
{
    if (e->token)
        OPENSSL_cleanse(e->token, strlen(e->token));
    free(e->token);
    e->token = NULL;
}

/* It has expired, or etcd was started anew, or (signed tokens) users and roles have changed since:
   etcd's api/v3rpc/rpctypes/error.go, ErrInvalidAuthToken and ErrAuthOldRevision. */
static bool is_token_refused(const struct grpc_result *result)
{
    return result->status == GRPC_UNAUTHENTICATED ||
           (result->status == GRPC_INVALID_ARGUMENT &&
            strstr(result->text, "revision of auth store is old"));
}

/* The log has the first of several failures. */
static void note_outcome(struct etcd *e, const struct grpc_result *result)
{
    if (result->status != GRPC_OK && !e->failing)
        log_warn("fleet_etcd_failed", "error:s", result->text);
    e->failing = result->status != GRPC_OK;
    if (is_token_refused(result))
        drop_token(e);
}

/* The answer, or NULL when the call failed. The caller frees it. */
static void *answer(struct etcd *e, const struct grpc_result *result,
                    const ProtobufCMessageDescriptor *type)
{
    note_outcome(e, result);
    if (result->status != GRPC_OK)
        return NULL;
    return protobuf_c_message_unpack(type, NULL, result->message.len, result->message.p);
}

static void answer_free(void *message)
{
    if (message)
        protobuf_c_message_free_unpacked(message, NULL);
}

/* Points into `text`, which gets the whole key. */
static ProtobufCBinaryData key_of(const struct etcd *e, const char *key, char text[KEY_MAX])
{
    int n = snprintf(text, KEY_MAX, "%s%s", e->prefix, key);

    return (ProtobufCBinaryData){.len = (size_t)n < KEY_MAX ? (size_t)n : KEY_MAX - 1,
                                 .data = (uint8_t *)text};
}

static void put(struct etcd *e, const char *key, char *value, int64_t lease, grpc_done *done)
{
    Etcdserverpb__PutRequest request = ETCDSERVERPB__PUT_REQUEST__INIT;
    char text[KEY_MAX];

    request.key = key_of(e, key, text);
    request.value = (ProtobufCBinaryData){.len = strlen(value), .data = (uint8_t *)value};
    request.lease = lease;
    call(e, "/etcdserverpb.KV/Put", &request.base, done);
}

static void grant(struct etcd *e, int64_t ttl_s, grpc_done *done)
{
    Etcdserverpb__LeaseGrantRequest request = ETCDSERVERPB__LEASE_GRANT_REQUEST__INIT;

    request.ttl = ttl_s;
    call(e, "/etcdserverpb.Lease/LeaseGrant", &request.base, done);
}

/* --- who this shim is ------------------------------------------------------------------------- */

static void on_authenticated(void *arg, const struct grpc_result *result)
{
    struct etcd *e = arg;
    Etcdserverpb__AuthenticateResponse *a =
        answer(e, result, &etcdserverpb__authenticate_response__descriptor);

    e->authenticating = false;
    if (a && *a->token)
        e->token = memory_copy(a->token, strlen(a->token));
    answer_free(a);
    if (e->token)
        look(e);
}

/* Whether calls may be made: with etcd.user not without a token, which is asked for, then. */
static bool may_call(struct etcd *e)
{
    const struct config *c = e->server->config;
    Etcdserverpb__AuthenticateRequest request = ETCDSERVERPB__AUTHENTICATE_REQUEST__INIT;

    if (!*c->etcd_user || e->token)
        return true;
    if (e->authenticating)
        return false;
    e->authenticating = true;
    request.name = c->etcd_user;
    request.password = c->etcd_password;
    call(e, "/etcdserverpb.Auth/Authenticate", &request.base, on_authenticated);
    return false;
}

static const char *token_of(void *context)
{
    const struct etcd *e = context;

    return e->token;
}

static SSL *new_tls(void *context, const char *host)
{
    const struct etcd *e = context;

    return tls_new_etcd(e->server->tls, host);
}

/* --- being fenced off ------------------------------------------------------------------------- */

static void set_fence(struct etcd *e, int64_t us)
{
    atomic_store(&e->server->fence_us, us);
}

/* Whether the time until which the others reckon with us is over, and what follows from that. */
static void check_fence(struct etcd *e)
{
    int64_t fence = atomic_load(&e->server->fence_us), now = clock_us();
    int64_t limit_us = e->server->config->fleet_isolation_ms * 1000;

    if (fence == INT64_MAX)
        return;
    if (now <= fence) {
        if (e->fenced_us)
            log_info("fleet_in_touch", "after_ms:d", (now - e->fenced_us) / 1000);
        e->fenced_us = 0;
    } else if (e->fenced_us == 0) {
        e->fenced_us = now;
        log_info("fleet_out_of_touch", "member:s", e->member);
    } else if (now - e->fenced_us > limit_us) {
        log_warn("fleet_isolated", "member:s", e->member);
        e->fenced_us = 0;
        set_fence(e, INT64_MAX);
    }
}

/* --- the lease -------------------------------------------------------------------------------- */

static void lose_lease(struct etcd *e, const char *why)
{
    log_warn("fleet_lease_lost", "member:s reason:s", e->member, why);
    e->lease = 0;
    e->registered = false;
    e->synced = false;
}

static void on_granted(void *arg, const struct grpc_result *result)
{
    struct etcd *e = arg;
    Etcdserverpb__LeaseGrantResponse *a =
        answer(e, result, &etcdserverpb__lease_grant_response__descriptor);

    e->leasing = false;
    if (a && a->id && a->ttl > 0) {
        e->lease = a->id;
        e->ttl_us = a->ttl * 1000000;
        e->until_us = e->asked_us + e->ttl_us;
        e->registration++;
        e->registered = e->synced = false;
        look(e);
    }
    answer_free(a);
}

static void on_kept(void *arg, const struct grpc_result *result)
{
    struct etcd *e = arg;
    Etcdserverpb__LeaseKeepAliveResponse *a =
        answer(e, result, &etcdserverpb__lease_keep_alive_response__descriptor);

    e->leasing = false;
    if (a && a->id == e->lease && a->ttl > 0) {
        e->until_us = e->asked_us + a->ttl * 1000000;
        if (e->synced)
            set_fence(e, e->until_us);
    } else if (a && e->lease) {
        lose_lease(e, "it had ended");
        look(e);
    } else {
        e->asked_us -= e->ttl_us; /* again at the next look */
    }
    answer_free(a);
}

static void check_lease(struct etcd *e)
{
    if (e->lease && clock_us() > e->until_us && !e->leasing)
        lose_lease(e, "not renewed in time");
}

static void keep_lease(struct etcd *e)
{
    int64_t now = clock_us();

    if (e->leasing || (e->lease && now - e->asked_us < e->ttl_us / 3))
        return;
    e->leasing = true;
    e->asked_us = now;
    if (!e->lease) {
        grant(e, e->server->config->fleet_lease_s, on_granted);
        return;
    }
    Etcdserverpb__LeaseKeepAliveRequest request = ETCDSERVERPB__LEASE_KEEP_ALIVE_REQUEST__INIT;

    request.id = e->lease;
    call(e, "/etcdserverpb.Lease/LeaseKeepAlive", &request.base, on_kept);
}

/* --- this shim's own key ---------------------------------------------------------------------- */

static void on_told(void *arg, const struct grpc_result *result)
{
    struct etcd *e = arg;
    void *a = answer(e, result, &etcdserverpb__put_response__descriptor);

    e->telling = false;
    if (a && e->lease && e->told_lease == e->lease && !e->registered) {
        e->registered = true;
        /* What was set before the others knew of us has to be read first. */
        set_fence(e, 0);
        log_info("fleet_joined", "member:s", e->member);
    }
    if (a) {
        look(e);
    } else {
        pthread_mutex_lock(&e->lock);
        e->member_changed = true;
        pthread_mutex_unlock(&e->lock);
    }
    answer_free(a);
}

static void tell(struct etcd *e)
{
    char key[KEY_MAX], *value = NULL;

    if (!e->lease || e->telling)
        return;
    pthread_mutex_lock(&e->lock);
    if (!e->registered || e->member_changed)
        value = memory_copy(e->member_value, strlen(e->member_value));
    e->member_changed = false;
    pthread_mutex_unlock(&e->lock);
    if (!value)
        return;
    e->telling = true;
    e->told_lease = e->lease;
    snprintf(key, sizeof(key), "members/%s", e->member);
    put(e, key, value, e->lease, on_told);
    free(value);
}

/* --- keys to be written ----------------------------------------------------------------------- */

/* Done, or else to be done again unless there is a newer word on that key. */
static void write_over(struct etcd *e, bool done)
{
    struct write *w = e->current, *other;
    bool newer = false;

    e->current = NULL;
    e->writing = false;
    e->write_lease = 0;
    pthread_mutex_lock(&e->lock);
    TAILQ_FOREACH(other, &e->writes, link)
    newer = newer || strcmp(other->key, w->key) == 0;
    if (!done && !newer) {
        TAILQ_INSERT_HEAD(&e->writes, w, link);
        w = NULL;
    }
    pthread_mutex_unlock(&e->lock);
    write_free(w);
    if (!done)
        return;
    look(e);
    read_all(e); /* somebody waits for what was written to be there */
}

static void on_written(void *arg, const struct grpc_result *result)
{
    struct etcd *e = arg;

    note_outcome(e, result);
    write_over(e, result->status == GRPC_OK);
}

static void on_write_granted(void *arg, const struct grpc_result *result)
{
    struct etcd *e = arg;
    Etcdserverpb__LeaseGrantResponse *a =
        answer(e, result, &etcdserverpb__lease_grant_response__descriptor);
    int64_t lease = a ? a->id : 0;

    answer_free(a);
    if (lease == 0)
        write_over(e, false);
    else
        put(e, e->current->key, e->current->value, lease, on_written);
}

static void write_next(struct etcd *e)
{
    Etcdserverpb__DeleteRangeRequest request = ETCDSERVERPB__DELETE_RANGE_REQUEST__INIT;
    char text[KEY_MAX];

    if (e->writing || !e->registered)
        return;
    pthread_mutex_lock(&e->lock);
    e->current = TAILQ_FIRST(&e->writes);
    if (e->current)
        TAILQ_REMOVE(&e->writes, e->current, link);
    pthread_mutex_unlock(&e->lock);
    if (!e->current)
        return;
    e->writing = true;
    if (!e->current->value) {
        request.key = key_of(e, e->current->key, text);
        call(e, "/etcdserverpb.KV/DeleteRange", &request.base, on_written);
    } else if (e->current->ttl_s) {
        grant(e, e->current->ttl_s, on_write_granted);
    } else {
        put(e, e->current->key, e->current->value, e->lease, on_written);
    }
}

/* --- reading ---------------------------------------------------------------------------------- */

static void deliver(void *context, void *arg)
{
    struct etcd *e = arg;
    struct etcd_view *view = atomic_exchange(&e->view, NULL);

    (void)context;
    if (view)
        e->viewed(e->viewed_arg, view);
}

static char *text_of(const ProtobufCBinaryData *data, size_t skip)
{
    return memory_copy((const char *)data->data + skip, data->len - skip);
}

static struct etcd_view *make_view(const struct etcd *e, const Etcdserverpb__RangeResponse *a)
{
    struct etcd_view *view = memory_zalloc(sizeof(*view) + a->n_kvs * sizeof(view->items[0]));
    size_t skip = strlen(e->prefix);

    for (size_t i = 0; i < a->n_kvs; i++) {
        const Etcdserverpb__KeyValue *kv = a->kvs[i];

        if (kv->key.len <= skip)
            continue;
        view->items[view->n++] = (struct etcd_item){
            .key = text_of(&kv->key, skip),
            .value = text_of(&kv->value, 0),
            .revision = kv->mod_revision,
            .created = kv->create_revision,
        };
    }
    return view;
}

static void on_read(void *arg, const struct grpc_result *result)
{
    struct etcd *e = arg;
    Etcdserverpb__RangeResponse *a = answer(e, result, &etcdserverpb__range_response__descriptor);

    e->reading = false;
    if (a && a->more)
        log_error("fleet_too_many_keys", "prefix:s limit:u", e->prefix, (uint64_t)KEYS_MAX);
    else if (a && e->registered) {
        struct etcd_view *view = make_view(e, a);

        view->registration = e->read_registration;
        atomic_store(&e->view, view);
        mailbox_post(&e->server->mailbox, deliver, e->server, e);
    }
    answer_free(a);
}

static void read_all(struct etcd *e)
{
    Etcdserverpb__RangeRequest request = ETCDSERVERPB__RANGE_REQUEST__INIT;
    char first[PREFIX_MAX], end[PREFIX_MAX];
    size_t n = strlen(e->prefix);

    if (e->reading || !e->registered || atomic_load(&e->view) || !may_call(e))
        return;
    e->reading = true;
    e->read_registration = e->registration;
    memcpy(first, e->prefix, n + 1);
    memcpy(end, e->prefix, n + 1);
    end[n - 1]++; /* behind all that begin with it */
    request.key = (ProtobufCBinaryData){.len = n, .data = (uint8_t *)first};
    request.range_end = (ProtobufCBinaryData){.len = n, .data = (uint8_t *)end};
    request.limit = KEYS_MAX;
    call(e, "/etcdserverpb.KV/Range", &request.base, on_read);
}

/* --- the thread ------------------------------------------------------------------------------- */

/* Whatever is to be done next, but for reading. */
static void look(struct etcd *e)
{
    if (e->stopping)
        return;
    check_lease(e);
    if (!may_call(e))
        return;
    keep_lease(e);
    tell(e);
    write_next(e);
}

static void on_timer(void *arg)
{
    struct etcd *e = arg;

    check_fence(e);
    look(e);
    if (!e->stopping)
        read_all(e);
    loop_timer_set(&e->timer, e->server->config->fleet_poll_ms);
}

static void on_posted(void *context, void *arg)
{
    (void)arg;
    look(context);
}

static void on_synced(void *context, void *arg)
{
    struct etcd *e = context;

    if ((uint64_t)(uintptr_t)arg != e->registration || !e->lease)
        return;
    e->synced = true;
    set_fence(e, e->until_us);
    check_fence(e);
}

static void on_wake(struct loop_watch *wake, uint32_t ready)
{
    struct etcd *e = wake->arg;

    (void)ready;
    mailbox_run(&e->mailbox);
}

static void *thread_main(void *arg)
{
    struct etcd *e = arg;

    while (!e->ended)
        loop_turn(&e->loop);
    grpc_destroy(e->client);
    e->client = NULL;
    return NULL;
}

static void on_revoked(void *arg, const struct grpc_result *result)
{
    struct etcd *e = arg;

    (void)result;
    e->ended = true;
}

static void end(void *context, void *arg)
{
    struct etcd *e = context;
    Etcdserverpb__LeaseRevokeRequest request = ETCDSERVERPB__LEASE_REVOKE_REQUEST__INIT;

    (void)arg;
    e->stopping = true;
    e->ended = e->lease == 0;
    request.id = e->lease;
    if (e->lease)
        call(e, "/etcdserverpb.Lease/LeaseRevoke", &request.base, on_revoked);
}

/* --- on the control loop ---------------------------------------------------------------------- */

static void add_write(struct etcd *e, const char *key, const char *value, int64_t ttl_s)
{
    struct write *w = memory_zalloc(sizeof(*w)), *other, *next;

    w->key = memory_copy(key, strlen(key));
    w->value = value ? memory_copy(value, strlen(value)) : NULL;
    w->ttl_s = ttl_s;
    pthread_mutex_lock(&e->lock);
    for (other = TAILQ_FIRST(&e->writes); other; other = next) {
        next = TAILQ_NEXT(other, link);
        if (strcmp(other->key, key) != 0)
            continue;
        TAILQ_REMOVE(&e->writes, other, link);
        write_free(other);
    }
    TAILQ_INSERT_TAIL(&e->writes, w, link);
    pthread_mutex_unlock(&e->lock);
    mailbox_post(&e->mailbox, on_posted, e, NULL);
}

void etcd_put(struct etcd *e, const char *key, const char *value, int64_t ttl_s)
{
    add_write(e, key, value, ttl_s);
}

void etcd_delete(struct etcd *e, const char *key)
{
    add_write(e, key, NULL, 0);
}

void etcd_set_member(struct etcd *e, const char *value)
{
    pthread_mutex_lock(&e->lock);
    if (strcmp(e->member_value, value) != 0) {
        free(e->member_value);
        e->member_value = memory_copy(value, strlen(value));
        e->member_changed = true;
    }
    pthread_mutex_unlock(&e->lock);
    mailbox_post(&e->mailbox, on_posted, e, NULL);
}

void etcd_synced(struct etcd *e, uint64_t registration)
{
    mailbox_post(&e->mailbox, on_synced, e, (void *)(uintptr_t)registration);
}

void etcd_come_by(struct etcd *e, struct mailbox *mailbox, mailbox_fn *done, void *context,
                  void *arg)
{
    mailbox_visit(&e->mailbox, mailbox, done, context, arg);
}

const char *etcd_member(const struct etcd *e)
{
    return e->member;
}

static bool init(struct etcd *e)
{
    const struct config *c = e->server->config;
    const struct grpc_settings settings = {
        .what = "etcd",
        .servers = &c->fleet_etcd,
        .user = "",
        .password = "",
        .new_tls = e->server->tls->etcd ? new_tls : NULL,
        .tls_context = e,
        .token = token_of,
        .token_context = e,
        .connect_ms = CALL_MS,
        .message_max = MESSAGE_MAX,
    };
    unsigned char random[4];

    if (RAND_bytes(random, sizeof(random)) != 1 || !loop_init(&e->loop))
        return false;
    if (!mailbox_init(&e->mailbox)) {
        loop_fini(&e->loop);
        return false;
    }
    snprintf(e->member, sizeof(e->member), "%s-%02x%02x%02x%02x", e->server->instance, random[0],
             random[1], random[2], random[3]);
    snprintf(e->prefix, sizeof(e->prefix), "/vtshim/%s/", c->fleet_name);
    TAILQ_INIT(&e->writes);
    pthread_mutex_init(&e->lock, NULL);
    e->member_value = memory_copy("{}", 2);
    loop_watch_init(&e->wake, &e->loop, e->mailbox.wake_fd, on_wake, e);
    loop_watch_set(&e->wake, EPOLLIN);
    loop_timer_init(&e->timer, &e->loop, on_timer, e);
    loop_timer_set(&e->timer, 0);
    e->client = grpc_create(&e->loop, &settings);
    return true;
}

struct etcd *etcd_start(struct server *server, etcd_viewed *viewed, void *arg)
{
    struct etcd *e = memory_zalloc(sizeof(*e));

    e->server = server;
    e->viewed = viewed;
    e->viewed_arg = arg;
    if (!init(e)) {
        free(e);
        log_error("start_failed", "error:s", "no descriptor left for the fleet's thread");
        return NULL;
    }
    set_fence(e, 0);
    if (pthread_create(&e->thread, NULL, thread_main, e) != 0) {
        grpc_destroy(e->client);
        etcd_destroy(e);
        log_error("start_failed", "error:s", "no thread for the fleet");
        return NULL;
    }
    return e;
}

void etcd_stop(struct etcd *e)
{
    mailbox_post(&e->mailbox, end, e, NULL);
    pthread_join(e->thread, NULL);
}

void etcd_destroy(struct etcd *e)
{
    struct write *w;

    loop_timer_stop(&e->timer);
    loop_watch_end(&e->wake);
    mailbox_fini(&e->mailbox);
    while ((w = TAILQ_FIRST(&e->writes))) {
        TAILQ_REMOVE(&e->writes, w, link);
        write_free(w);
    }
    write_free(e->current);
    etcd_view_free(atomic_load(&e->view));
    free(e->member_value);
    drop_token(e);
    pthread_mutex_destroy(&e->lock);
    loop_fini(&e->loop);
    free(e);
}
