/*
 * limits.memory_bytes: what the process does before the kernel ends it. Measured is what the kernel
 * counts, resident memory, for that is what a container's limit is about, and it has what libraries
 * allocate in it.
 *
 *   tight  from 80 %   what can be spared is dropped (copies for retries, statement shapes, what
 * the allocator has kept), new connections get error 1041 full   from 90 %   no connection is
 * accepted; they wait in the listening sockets' queues over   from 100 %  ten times a second one
 * session is ended, the one with whose end the least is lost: see session_harm in memory_limit.c
 *
 * A stage is left 5 points below where it began. The console and HTTP go on in all of them. Control
 * loop only, but for what is said of others.
 */
#ifndef VTSHIM_PROXY_MEMORY_LIMIT_H
#define VTSHIM_PROXY_MEMORY_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

struct server;
struct memory_limit;

enum memory_stage { MEMORY_FINE, MEMORY_TIGHT, MEMORY_FULL, MEMORY_OVER };

struct memory_limit *memory_limit_create(struct server *server);
void memory_limit_destroy(struct memory_limit *m); /* NULL is allowed */

/* Looks at the memory; called now and then, and does so more often itself when there is need. */
void memory_limit_look(struct memory_limit *m);

enum memory_stage memory_limit_stage(const struct memory_limit *m);
const char *memory_stage_name(enum memory_stage stage);

/* How many connections were refused, and sessions ended, since the start. */
uint64_t memory_limit_refused(const struct memory_limit *m);
uint64_t memory_limit_ended(const struct memory_limit *m);

/* Counts one; whether a new connection is to be refused. */
bool memory_limit_refuses(struct memory_limit *m);

/* What the process occupies, in bytes; 0: /proc does not tell. Any thread. */
uint64_t memory_resident(void);

#endif
