/*
 * How long commands take, and what part of it is the shim's: one command in TIMING_EVERY of each
 * worker is measured, for reading the clock five times costs more than passing a short command on.
 *
 * From a command's last byte (that is when it is looked at) to the last byte of its answer: the
 * duration. Looking at it and passing it on, and passing each piece of the answer on: the time that
 * the shim adds. Waiting behind a hold is neither: it has a histogram of its own. Commands that the
 * shim answers itself are not measured.
 */
#ifndef VTSHIM_PROXY_TIMING_H
#define VTSHIM_PROXY_TIMING_H

#include <stdbool.h>
#include <stdint.h>

#include "proxy/server.h"
#include "proxy/session.h"
#include "proxy/worker.h"

#define TIMING_EVERY 16

/* A command is about to be looked at, perhaps once more. */
static inline void timing_begin(struct worker *w)
{
    w->looked_us = (metrics_get(&w->metrics.commands) + 1) % TIMING_EVERY ? 0 : clock_us();
}

/* It is one that goes to vtgate; its bytes are yet to be sent. */
static inline void timing_forward(struct session *s)
{
    s->began_us = s->worker->looked_us;
    s->added_us = 0;
}

/* All of it has been sent. */
void timing_sent_now(struct session *s);
static inline void timing_sent(struct session *s)
{
    if (s->began_us)
        timing_sent_now(s);
}

/* Around passing on a piece of the answer: the first returns when, for the second. */
static inline int64_t timing_piece(const struct session *s)
{
    return s->began_us ? clock_us() : 0;
}

void timing_relayed_now(struct session *s, int64_t since_us);
static inline void timing_relayed(struct session *s, int64_t since_us)
{
    if (since_us && s->began_us)
        timing_relayed_now(s, since_us);
}

/* The answer is complete, and counted if the command was measured to its end. */
void timing_done_now(struct session *s);
static inline void timing_done(struct session *s)
{
    if (s->began_us)
        timing_done_now(s);
}

#endif
