/*
 * The lease of this shim in etcd and what hangs on it: the member's key, which tells the others
 * that the shim is there, and the fence, the time until which they reckon with it (etcd.h).
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/etcd_internal.h"
#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/server.h"

/* --- being fenced off ------------------------------------------------------------------------ */

static void set_fence(struct etcd *e, int64_t us)
{
    atomic_store(&e->server->fence_us, us);
}

void etcd_lease_check_fence(struct etcd *e)
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

void etcd_lease_init(struct etcd *e)
{
    set_fence(e, 0);
}

/* --- the lease ------------------------------------------------------------------------------- */

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
        etcd_call_answer(e, result, &etcdserverpb__lease_grant_response__descriptor);

    e->leasing = false;
    if (a && a->id && a->ttl > 0) {
        e->lease = a->id;
        e->ttl_us = a->ttl * 1000000;
        e->until_us = e->asked_us + e->ttl_us;
        e->registration++;
        e->registered = e->synced = false;
        etcd_look(e);
    }
    etcd_call_free(a);
}

static void on_kept(void *arg, const struct grpc_result *result)
{
    struct etcd *e = arg;
    Etcdserverpb__LeaseKeepAliveResponse *a =
        etcd_call_answer(e, result, &etcdserverpb__lease_keep_alive_response__descriptor);

    e->leasing = false;
    if (a && a->id == e->lease && a->ttl > 0) {
        e->until_us = e->asked_us + a->ttl * 1000000;
        if (e->synced)
            set_fence(e, e->until_us);
    } else if (a && e->lease) {
        lose_lease(e, "it had ended");
        etcd_look(e);
    } else {
        e->asked_us -= e->ttl_us; /* again at the next look */
    }
    etcd_call_free(a);
}

void etcd_lease_check(struct etcd *e)
{
    if (e->lease && clock_us() > e->until_us && !e->leasing)
        lose_lease(e, "not renewed in time");
}

void etcd_lease_keep(struct etcd *e)
{
    int64_t now = clock_us();

    if (e->leasing || (e->lease && now - e->asked_us < e->ttl_us / 3))
        return;
    e->leasing = true;
    e->asked_us = now;
    if (!e->lease) {
        etcd_call_grant(e, e->server->config->fleet_lease_s, on_granted);
        return;
    }
    Etcdserverpb__LeaseKeepAliveRequest request = ETCDSERVERPB__LEASE_KEEP_ALIVE_REQUEST__INIT;

    request.id = e->lease;
    etcd_call(e, "/etcdserverpb.Lease/LeaseKeepAlive", &request.base, on_kept);
}

void etcd_lease_synced(struct etcd *e, uint64_t registration)
{
    if (registration != e->registration || !e->lease)
        return;
    e->synced = true;
    set_fence(e, e->until_us);
    etcd_lease_check_fence(e);
}

bool etcd_lease_revoke(struct etcd *e, grpc_done *done)
{
    Etcdserverpb__LeaseRevokeRequest request = ETCDSERVERPB__LEASE_REVOKE_REQUEST__INIT;

    request.id = e->lease;
    if (e->lease)
        etcd_call(e, "/etcdserverpb.Lease/LeaseRevoke", &request.base, done);
    return e->lease != 0;
}

/* --- the member's key ------------------------------------------------------------------------ */

static void on_told(void *arg, const struct grpc_result *result)
{
    struct etcd *e = arg;
    void *a = etcd_call_answer(e, result, &etcdserverpb__put_response__descriptor);

    e->telling = false;
    if (a && e->lease && e->told_lease == e->lease && !e->registered) {
        e->registered = true;
        /* What was set before the others knew of us has to be read first. */
        set_fence(e, 0);
        log_info("fleet_joined", "member:s", e->member);
    }
    if (a) {
        etcd_look(e);
    } else {
        pthread_mutex_lock(&e->lock);
        e->member_changed = true;
        pthread_mutex_unlock(&e->lock);
    }
    etcd_call_free(a);
}

void etcd_lease_tell(struct etcd *e)
{
    char key[sizeof("members/") + ETCD_MEMBER_MAX], *value = NULL;

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
    etcd_call_put(e, key, value, e->lease, on_told);
    free(value);
}
