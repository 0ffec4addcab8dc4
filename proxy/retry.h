/*
 * Statements that vtgate refused during a transition are sent again, unseen by their clients.
 * Whether is planner/retry.h's to say; here is what it needs to know, the copy of the command, and
 * the waiting.
 *
 * A command is kept (retry_keep) until the first byte of its answer is here. A session that waits
 * is RETRYING; it then plans the command anew, as if it had just come, so that a hold that was set
 * meanwhile parks it.
 */
#ifndef VTSHIM_PROXY_RETRY_H
#define VTSHIM_PROXY_RETRY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct server;
struct session;
struct worker;
struct retry;

TAILQ_HEAD(retry_list, retry);

/* What all workers know about what goes wrong. */
struct retries;

struct retries *retries_create(void);
void retries_destroy(struct retries *rs); /* NULL is fine */

/* A transition was seen, of whatever kind: for retry.suspect_ms, errors that are usually an
   application's own mistake are retried, too. Any thread. */
void retry_suspect(const struct server *server);

void retry_init(struct worker *w);
void retry_fini(struct worker *w);

/* The whole command packet[0..len) has just been sent to vtgate. */
void retry_keep(struct session *s, const uint8_t *packet, size_t len);

/* The session has a kept command, and vtgate answers it. True: the bytes were taken; what becomes
   of them is seen to (the session may be closed). False: they are the client's. */
bool retry_answer(struct session *s, const uint8_t *data, size_t len);

/* RETRYING: the command is answered with an error: KILL QUERY; the process ends (and the session
   with it); vtgate's connection was lost (the client gets the last error). */
void retry_interrupt(struct session *s);
void retry_shut_down_all(struct worker *w);
void retry_vtgate_lost(struct session *s);

/* The command is answered in another way, or the session is closing. Idempotent. */
void retry_forget(struct session *s);

#endif
