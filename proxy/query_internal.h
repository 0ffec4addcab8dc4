/*
 * What the files that take a client's commands share: query.c finds them in the bytes and passes
 * them on, query_plan.c has each planned, query_act.c does what the plan says, query_watch.c notes
 * what they name.
 */
#ifndef VTSHIM_PROXY_QUERY_INTERNAL_H
#define VTSHIM_PROXY_QUERY_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "planner/plan.h"
#include "proxy/server.h"
#include "proxy/session.h"
#include "proxy/worker.h"

/* A command at the head of some bytes. */
struct head {
    const uint8_t *packet;
    size_t available; /* of the packet's payload */
    size_t length;    /* the packet's payload length */
    uint8_t command;
    bool whole; /* all of the command is here: one packet, not continued by another */
};

/* query.c: counts a command that the shim answers itself. */
void query_count_command(struct session *s, uint8_t command);
/* Passes the command at the head of p[0..n) on, as much of it as is here; or drops it after it was
   answered. Both return the bytes used. */
size_t query_forward(struct session *s, const struct head *h, const uint8_t *p, size_t n);
size_t query_drop(struct session *s, const struct head *h, const uint8_t *p, size_t n);

/* query_plan.c: what is to be done with a command (any but COM_QUIT). */
struct plan query_plan_command(struct session *s, const struct head *h);

/* query_act.c: does what the plan says with the command at the head of p[0..n). Returns the bytes
   used; 0: it needs more of them, or waits. */
size_t query_act(struct session *s, const struct head *h, const struct plan *plan, const uint8_t *p,
                 size_t n);

/* query_watch.c: notes the names of a command that is passed on; takes the samples that are due, of
   its columns and of its shape, and sets worker->sample_in anew. */
void query_track_command(struct session *s, const struct head *h);
void query_sample(struct session *s, const struct head *h);

/* Whether it is kept what the next statement touches: of transactions always, for a drain or a hold
   that comes later has to know of those that are open then; of others while there is one. */
static inline bool query_is_tracked(const struct session *s)
{
    return (s->status & (STATUS_IN_TRANSACTION | STATUS_AUTOCOMMIT)) != STATUS_AUTOCOMMIT ||
           atomic_load_explicit(&s->worker->server->tracking, memory_order_relaxed) > 0;
}

/* Every command that is passed on comes by here: the checks are inline, what they lead to is not.
 */
static inline void query_watch(struct session *s, const struct head *h)
{
    if (query_is_tracked(s))
        query_track_command(s, h);
    if (s->worker->sample_in-- <= 1)
        query_sample(s, h);
}

#endif
