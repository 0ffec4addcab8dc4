/*
 * The sockets that clients connect to (the setting listen). A connection goes to the next worker in
 * turn, or is refused with an error in the place of the greeting: over limits.max_connections, or
 * while memory is short. Control loop only.
 */
#ifndef VTSHIM_PROXY_ACCEPT_H
#define VTSHIM_PROXY_ACCEPT_H

#include <stdbool.h>

struct server;

/* False, with a line in the log: one cannot be opened. accept_close in any case. */
bool accept_open(struct server *server);

/* Idempotent. */
void accept_close(struct server *server);

/* Another process has them, too, and goes on with them: what it needs stays when accept_close is
   called, as it has to be all the same. */
void accept_hand_over(struct server *server);

#endif
