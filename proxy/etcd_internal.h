/*
 * What the files of the thread for etcd share. For them only, and for that thread, but where it is
 * said otherwise.
 *
 * etcd.c: the thread's turns, reading, the control loop's side. etcd_lease.c: the lease, the
 * member's key, the fence. etcd_write.c: keys to be written. etcd_call.c: calls, and the token.
 */
#ifndef VTSHIM_PROXY_ETCD_INTERNAL_H
#define VTSHIM_PROXY_ETCD_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include "etcd.pb-c.h"
#include "proxy/etcd.h"
#include "proxy/grpc.h"
#include "proxy/loop.h"

#define ETCD_PREFIX_MAX 96

struct etcd_write; /* etcd_write.c */

/* All of it is the thread's but for what `lock` guards. */
struct etcd {
    struct server *server;
    etcd_viewed *viewed;
    void *viewed_arg;
    char member[ETCD_MEMBER_MAX], prefix[ETCD_PREFIX_MAX];
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
    struct etcd_write *current;       /* that is being written */
    _Atomic(struct etcd_view *) view; /* on its way to the control loop */
    pthread_mutex_t lock;             /* of what follows */
    TAILQ_HEAD(, etcd_write) writes;
    char *member_value;
    bool member_changed;
};

/* etcd.c: whatever is to be done next, but for reading. */
void etcd_look(struct etcd *e);
/* Reads all keys, unless that is under way; the view goes to the control loop. */
void etcd_read_all(struct etcd *e);

/* etcd_lease.c: workers let nothing begin before there is a lease. Before the thread runs. */
void etcd_lease_init(struct etcd *e);
/* Notices that the lease has ended without a word. */
void etcd_lease_check(struct etcd *e);
/* Asks for one, or renews it, when it is time. */
void etcd_lease_keep(struct etcd *e);
/* Writes the member's key, when there is something to say. */
void etcd_lease_tell(struct etcd *e);
/* Every worker acts by what was read under that registration. */
void etcd_lease_synced(struct etcd *e, uint64_t registration);
/* Whether the time until which the others reckon with us is over, and what follows from that. */
void etcd_lease_check_fence(struct etcd *e);
/* Gives it back. False: there is none, and done is not called. */
bool etcd_lease_revoke(struct etcd *e, grpc_done *done);

/* etcd_write.c: the last word on a key counts. value NULL: delete. Control loop. */
void etcd_write_add(struct etcd *e, const char *key, const char *value, int64_t ttl_s);
/* The next one, if none is under way. */
void etcd_write_next(struct etcd *e);
void etcd_write_fini(struct etcd *e); /* the thread has ended */

/* etcd_call.c: before the thread runs. */
void etcd_call_init(struct etcd *e);
/* done is called on the thread, with e. */
void etcd_call(struct etcd *e, const char *path, const ProtobufCMessage *request, grpc_done *done);
/* Keys without the prefix. */
void etcd_call_put(struct etcd *e, const char *key, char *value, int64_t lease, grpc_done *done);
void etcd_call_delete(struct etcd *e, const char *key, grpc_done *done);
void etcd_call_grant(struct etcd *e, int64_t ttl_s, grpc_done *done);
/* The answer, or NULL when the call failed, which is noted. etcd_call_free it (NULL is fine). */
void *etcd_call_answer(struct etcd *e, const struct grpc_result *result,
                       const ProtobufCMessageDescriptor *type);
void etcd_call_free(void *message);
/* For who needs no answer. The log has the first of several failures; a token that was refused is
   dropped. */
void etcd_call_note(struct etcd *e, const struct grpc_result *result);
/* Whether calls may be made: with etcd.user not without a token, which is asked for, then. */
bool etcd_call_allowed(struct etcd *e);
void etcd_call_drop_token(struct etcd *e);

#endif
