/*
 * ddl.cutover_window: when a managed cut-over may begin. One that has begun goes on to its end.
 */
#ifndef VTSHIM_PROXY_CUTOVER_WINDOW_H
#define VTSHIM_PROXY_CUTOVER_WINDOW_H

#include <stdbool.h>

struct session;

/* For s->migration, whose shards are all ready. An operator's wish (at_once) needs no window.
   False: not now; SHOW MIGRATIONS says until when, and one log line that it waits. To be asked
   again at the next look. */
bool cutover_may_begin(struct session *s);

#endif
