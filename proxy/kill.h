/*
 * KILL [CONNECTION | QUERY] id through the shim. The id is what the client of the victim sees as
 * its connection id; vtgates number theirs each for itself, so only the shim can tell whom it
 * means.
 */
#ifndef VTSHIM_PROXY_KILL_H
#define VTSHIM_PROXY_KILL_H

#include <stdbool.h>
#include <stdint.h>

struct session;

/* Looks for the victim on all workers; the killer waits in state KILLING and gets its answer with
   that sequence number. Only sessions of the same user can be killed. */
void kill_start(struct session *s, uint64_t id, bool query_only, uint8_t sequence);

#endif
