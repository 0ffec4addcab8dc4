/*
 * Calls of the thread for etcd, over its gRPC client: packing, the token that stands for etcd.user,
 * and what an answer says of it. Of each kind of call its caller has one at a time.
 */
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/etcd_internal.h"
#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/server.h"
#include "proxy/tls.h"

#define KEY_MAX     256 /* of a key, the prefix included */
#define MESSAGE_MAX (8u << 20)
#define CALL_MS     1000

/* --- any call -------------------------------------------------------------------------------- */

void etcd_call(struct etcd *e, const char *path, const ProtobufCMessage *request, grpc_done *done)
{
    size_t len = protobuf_c_message_get_packed_size(request);
    uint8_t *packed = memory_zalloc(len + 1);

    protobuf_c_message_pack(request, packed);
    grpc_call(e->client, path, packed, len, CALL_MS, done, e);
    OPENSSL_cleanse(packed, len); /* it may have been the password */
    free(packed);
}

void etcd_call_drop_token(struct etcd *e)
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

void etcd_call_note(struct etcd *e, const struct grpc_result *result)
{
    if (result->status != GRPC_OK && !e->failing)
        log_warn("fleet_etcd_failed", "error:s", result->text);
    e->failing = result->status != GRPC_OK;
    if (is_token_refused(result))
        etcd_call_drop_token(e);
}

void *etcd_call_answer(struct etcd *e, const struct grpc_result *result,
                       const ProtobufCMessageDescriptor *type)
{
    etcd_call_note(e, result);
    if (result->status != GRPC_OK)
        return NULL;
    return protobuf_c_message_unpack(type, NULL, result->message.len, result->message.p);
}

void etcd_call_free(void *message)
{
    if (message)
        protobuf_c_message_free_unpacked(message, NULL);
}

/* --- the requests that more than one makes --------------------------------------------------- */

/* Points into `text`, which gets the whole key. */
static ProtobufCBinaryData key_of(const struct etcd *e, const char *key, char text[KEY_MAX])
{
    int n = snprintf(text, KEY_MAX, "%s%s", e->prefix, key);

    return (ProtobufCBinaryData){.len = (size_t)n < KEY_MAX ? (size_t)n : KEY_MAX - 1,
                                 .data = (uint8_t *)text};
}

void etcd_call_put(struct etcd *e, const char *key, char *value, int64_t lease, grpc_done *done)
{
    Etcdserverpb__PutRequest request = ETCDSERVERPB__PUT_REQUEST__INIT;
    char text[KEY_MAX];

    request.key = key_of(e, key, text);
    request.value = (ProtobufCBinaryData){.len = strlen(value), .data = (uint8_t *)value};
    request.lease = lease;
    etcd_call(e, "/etcdserverpb.KV/Put", &request.base, done);
}

void etcd_call_grant(struct etcd *e, int64_t ttl_s, grpc_done *done)
{
    Etcdserverpb__LeaseGrantRequest request = ETCDSERVERPB__LEASE_GRANT_REQUEST__INIT;

    request.ttl = ttl_s;
    etcd_call(e, "/etcdserverpb.Lease/LeaseGrant", &request.base, done);
}

void etcd_call_delete(struct etcd *e, const char *key, grpc_done *done)
{
    Etcdserverpb__DeleteRangeRequest request = ETCDSERVERPB__DELETE_RANGE_REQUEST__INIT;
    char text[KEY_MAX];

    request.key = key_of(e, key, text);
    etcd_call(e, "/etcdserverpb.KV/DeleteRange", &request.base, done);
}

/* --- who this shim is ------------------------------------------------------------------------ */

static void on_authenticated(void *arg, const struct grpc_result *result)
{
    struct etcd *e = arg;
    Etcdserverpb__AuthenticateResponse *a =
        etcd_call_answer(e, result, &etcdserverpb__authenticate_response__descriptor);

    e->authenticating = false;
    if (a && *a->token)
        e->token = memory_copy(a->token, strlen(a->token));
    etcd_call_free(a);
    if (e->token)
        etcd_look(e);
}

bool etcd_call_allowed(struct etcd *e)
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
    etcd_call(e, "/etcdserverpb.Auth/Authenticate", &request.base, on_authenticated);
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

void etcd_call_init(struct etcd *e)
{
    const struct grpc_settings settings = {
        .what = "etcd",
        .servers = &e->server->config->fleet_etcd,
        .user = "",
        .password = "",
        .new_tls = e->server->tls->etcd ? new_tls : NULL,
        .tls_context = e,
        .token = token_of,
        .token_context = e,
        .connect_ms = CALL_MS,
        .message_max = MESSAGE_MAX,
    };

    e->client = grpc_create(&e->loop, &settings);
}
