/*
 * The thread for etcd: its turns, and reading all keys, over and over. It asks instead of watching:
 * a read that fails is known to have failed, while a watch that is broken may be silent; and the
 * few keys are cheap to read. The lease, the keys that are to be written and the calls themselves
 * are in files of their own (etcd_internal.h).
 */
#include "proxy/etcd.h"

#include <openssl/rand.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/etcd_internal.h"
#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/server.h"

#define KEYS_MAX 2000

/* --- reading --------------------------------------------------------------------------------- */

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
    Etcdserverpb__RangeResponse *a =
        etcd_call_answer(e, result, &etcdserverpb__range_response__descriptor);

    e->reading = false;
    if (a && a->more)
        log_error("fleet_too_many_keys", "prefix:s limit:u", e->prefix, (uint64_t)KEYS_MAX);
    else if (a && e->registered) {
        struct etcd_view *view = make_view(e, a);

        view->registration = e->read_registration;
        atomic_store(&e->view, view);
        mailbox_post(&e->server->mailbox, deliver, e->server, e);
    }
    etcd_call_free(a);
}

void etcd_read_all(struct etcd *e)
{
    Etcdserverpb__RangeRequest request = ETCDSERVERPB__RANGE_REQUEST__INIT;
    char first[ETCD_PREFIX_MAX], end[ETCD_PREFIX_MAX];
    size_t n = strlen(e->prefix);

    if (e->reading || !e->registered || atomic_load(&e->view) || !etcd_call_allowed(e))
        return;
    e->reading = true;
    e->read_registration = e->registration;
    memcpy(first, e->prefix, n + 1);
    memcpy(end, e->prefix, n + 1);
    end[n - 1]++; /* behind all that begin with it */
    request.key = (ProtobufCBinaryData){.len = n, .data = (uint8_t *)first};
    request.range_end = (ProtobufCBinaryData){.len = n, .data = (uint8_t *)end};
    request.limit = KEYS_MAX;
    etcd_call(e, "/etcdserverpb.KV/Range", &request.base, on_read);
}

/* --- the thread ------------------------------------------------------------------------------ */

void etcd_look(struct etcd *e)
{
    if (e->stopping)
        return;
    etcd_lease_check(e);
    if (!etcd_call_allowed(e))
        return;
    etcd_lease_keep(e);
    etcd_lease_tell(e);
    etcd_write_next(e);
}

static void on_timer(void *arg)
{
    struct etcd *e = arg;

    etcd_lease_check_fence(e);
    etcd_look(e);
    if (!e->stopping)
        etcd_read_all(e);
    loop_timer_set(&e->timer, e->server->config->fleet_poll_ms);
}

static void on_posted(void *context, void *arg)
{
    (void)arg;
    etcd_look(context);
}

static void on_synced(void *context, void *arg)
{
    etcd_lease_synced(context, (uint64_t)(uintptr_t)arg);
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

    (void)arg;
    e->stopping = true;
    if (!etcd_lease_revoke(e, on_revoked))
        e->ended = true;
}

/* --- on the control loop --------------------------------------------------------------------- */

void etcd_put(struct etcd *e, const char *key, const char *value, int64_t ttl_s)
{
    etcd_write_add(e, key, value, ttl_s);
    mailbox_post(&e->mailbox, on_posted, e, NULL);
}

void etcd_delete(struct etcd *e, const char *key)
{
    etcd_write_add(e, key, NULL, 0);
    mailbox_post(&e->mailbox, on_posted, e, NULL);
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
    unsigned char random[4];

    if (RAND_bytes(random, sizeof(random)) != 1 || !loop_init(&e->loop))
        return false;
    if (!mailbox_init(&e->mailbox)) {
        loop_fini(&e->loop);
        return false;
    }
    snprintf(e->member, sizeof(e->member), "%s-%02x%02x%02x%02x", e->server->instance, random[0],
             random[1], random[2], random[3]);
    snprintf(e->prefix, sizeof(e->prefix), "/vtshim/%s/", e->server->config->fleet_name);
    TAILQ_INIT(&e->writes);
    pthread_mutex_init(&e->lock, NULL);
    e->member_value = memory_copy("{}", 2);
    loop_watch_init(&e->wake, &e->loop, e->mailbox.wake_fd, on_wake, e);
    loop_watch_set(&e->wake, EPOLLIN);
    loop_timer_init(&e->timer, &e->loop, on_timer, e);
    loop_timer_set(&e->timer, 0);
    etcd_call_init(e);
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
    etcd_lease_init(e);
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
    loop_timer_stop(&e->timer);
    loop_watch_end(&e->wake);
    mailbox_fini(&e->mailbox);
    etcd_write_fini(e);
    etcd_view_free(atomic_load(&e->view));
    free(e->member_value);
    etcd_call_drop_token(e);
    pthread_mutex_destroy(&e->lock);
    loop_fini(&e->loop);
    free(e);
}
