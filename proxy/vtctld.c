/*
 * The thread for vtctld, and the way of a call: packed by the asker, made on the thread, unpacked
 * there, and posted back.
 */
#include "proxy/vtctld.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "proxy/grpc.h"
#include "proxy/loop.h"
#include "proxy/memory.h"
#include "proxy/server.h"
#include "proxy/tls.h"
#include "vtctlservice.pb-c.h"

#define MESSAGE_MAX (16u << 20) /* bytes; Vitess's own limit, --grpc-max-message-size */

struct call {
    struct vtctld_answer answer; /* first: an answer is its call */
    LIST_ENTRY(call) link;       /* of v->calls */
    struct vtctld *vtctld;
    const ProtobufCMethodDescriptor *method;
    void *request; /* owned; NULL once it is sent */
    size_t len;
    int64_t timeout_ms;
    struct mailbox *mailbox;
    mailbox_fn *done;
    void *context;
};

struct vtctld {
    struct server *server;
    pthread_t thread;
    struct loop loop;
    struct mailbox mailbox;
    struct loop_watch wake;     /* of the mailbox */
    bool ended;                 /* the thread's */
    struct grpc_client *client; /* the thread's */
    pthread_mutex_t lock;       /* calls */
    LIST_HEAD(, call) calls;    /* not freed yet */
};

void vtctld_answer_free(struct vtctld_answer *answer)
{
    struct call *call = (struct call *)answer;
    struct vtctld *v = call->vtctld;

    pthread_mutex_lock(&v->lock);
    LIST_REMOVE(call, link);
    pthread_mutex_unlock(&v->lock);
    if (answer->message)
        protobuf_c_message_free_unpacked(answer->message, NULL);
    free(answer->text);
    free(call->request);
    free(call);
}

/* --- on the thread --------------------------------------------------------------------------- */

static void on_done(void *arg, const struct grpc_result *result)
{
    static const char MALFORMED[] = "the answer of vtctld is malformed";
    struct call *call = arg;
    struct vtctld_answer *answer = &call->answer;
    const char *text = result->text;

    answer->status = result->status;
    answer->maybe_done = result->maybe_done;
    if (result->status == GRPC_OK) {
        answer->message = protobuf_c_message_unpack(call->method->output, NULL, result->message.len,
                                                    result->message.p);
        if (!answer->message) {
            answer->status = GRPC_INTERNAL;
            answer->maybe_done = true;
            text = MALFORMED;
        }
    }
    if (answer->status != GRPC_OK)
        answer->text = memory_copy(text, strlen(text));
    mailbox_post(call->mailbox, call->done, call->context, answer);
}

static void make_call(void *context, void *arg)
{
    struct vtctld *v = context;
    struct call *call = arg;
    char path[128];

    if (!v->client)
        return; /* the thread is ending */
    snprintf(path, sizeof(path), "/%s/%s", vtctlservice__vtctld__descriptor.name,
             call->method->name);
    grpc_call(v->client, path, call->request, call->len, call->timeout_ms, on_done, call);
    free(call->request);
    call->request = NULL;
}

static void *thread_main(void *arg)
{
    struct vtctld *v = arg;

    while (!v->ended)
        loop_turn(&v->loop);
    return NULL;
}

static void end(void *context, void *arg)
{
    struct vtctld *v = context;

    (void)arg;
    grpc_destroy(v->client);
    v->client = NULL;
    v->ended = true;
}

/* --- on other threads ------------------------------------------------------------------------ */

struct vtctld_answer *vtctld_call(struct vtctld *v, const char *method,
                                  const ProtobufCMessage *request, int64_t timeout_ms,
                                  struct mailbox *mailbox, mailbox_fn *done, void *context,
                                  void *arg)
{
    struct call *call = memory_zalloc(sizeof(*call));

    call->vtctld = v;
    call->method =
        protobuf_c_service_descriptor_get_method_by_name(&vtctlservice__vtctld__descriptor, method);
    assert(call->method && call->method->input == request->descriptor);
    call->len = protobuf_c_message_get_packed_size(request);
    call->request = memory_zalloc(call->len + 1);
    protobuf_c_message_pack(request, call->request);
    call->timeout_ms = timeout_ms;
    call->mailbox = mailbox;
    call->done = done;
    call->context = context;
    call->answer.arg = arg;
    pthread_mutex_lock(&v->lock);
    LIST_INSERT_HEAD(&v->calls, call, link);
    pthread_mutex_unlock(&v->lock);
    mailbox_post(&v->mailbox, make_call, v, call);
    return &call->answer;
}

static SSL *new_tls(void *context, const char *host)
{
    struct server *server = context;

    return tls_new_vtctld(server->tls, host);
}

static void on_wake(struct loop_watch *wake, uint32_t ready)
{
    struct vtctld *v = wake->arg;

    (void)ready;
    mailbox_run(&v->mailbox);
}

struct vtctld *vtctld_start(struct server *server, bool *failed)
{
    const struct config *c = server->config;
    const struct grpc_settings settings = {
        .what = "vtctld",
        .servers = &c->vtctld_addresses,
        .new_tls = server->tls->vtctld ? new_tls : NULL,
        .tls_context = server,
        .user = c->vtctld_user,
        .password = c->vtctld_password,
        .connect_ms = c->timeouts_connect_ms,
        .message_max = MESSAGE_MAX,
    };

    *failed = false;
    if (c->vtctld_addresses.n == 0)
        return NULL;
    struct vtctld *v = memory_zalloc(sizeof(*v));

    *failed = true;
    v->server = server;
    LIST_INIT(&v->calls);
    pthread_mutex_init(&v->lock, NULL);
    if (!loop_init(&v->loop)) {
        free(v);
        return NULL;
    }
    if (!mailbox_init(&v->mailbox)) {
        loop_fini(&v->loop);
        free(v);
        return NULL;
    }
    loop_watch_init(&v->wake, &v->loop, v->mailbox.wake_fd, on_wake, v);
    loop_watch_set(&v->wake, EPOLLIN);
    v->client = grpc_create(&v->loop, &settings);
    if (pthread_create(&v->thread, NULL, thread_main, v) != 0) {
        grpc_destroy(v->client);
        mailbox_fini(&v->mailbox);
        loop_fini(&v->loop);
        free(v);
        return NULL;
    }
    *failed = false;
    return v;
}

void vtctld_come_by(struct vtctld *v, struct mailbox *mailbox, mailbox_fn *done, void *context,
                    void *arg)
{
    mailbox_visit(&v->mailbox, mailbox, done, context, arg);
}

void vtctld_stop(struct vtctld *v)
{
    mailbox_post(&v->mailbox, end, v, NULL);
    pthread_join(v->thread, NULL);
}

void vtctld_destroy(struct vtctld *v)
{
    mailbox_fini(&v->mailbox);
    while (!LIST_EMPTY(&v->calls))
        vtctld_answer_free(&LIST_FIRST(&v->calls)->answer);
    pthread_mutex_destroy(&v->lock);
    loop_fini(&v->loop);
    free(v);
}
