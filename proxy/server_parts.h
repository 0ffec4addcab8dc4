/*
 * The parts of struct server: what is made at the start, in which order, and what ends first. For
 * server.c only.
 */
#ifndef VTSHIM_PROXY_SERVER_PARTS_H
#define VTSHIM_PROXY_SERVER_PARTS_H

#include <stdbool.h>

#include "proxy/server.h"

/* Makes all of them, from server->config; false, with a line in the log, if one cannot be. Either
   way server_parts_stop is to be called in the end. */
bool server_parts_start(struct server *server);

/* Ends the threads and frees everything, as far as it was made. After the control loop has ended.
 */
void server_parts_stop(struct server *server);

#endif
