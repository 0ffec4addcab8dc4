/*
 * Tells systemd's watchdog that the process is well: not that a timer fires, but that every worker
 * has come by since the last time. One that hangs keeps the word back, and systemd restarts the
 * service. Control loop only.
 */
#ifndef VTSHIM_PROXY_WATCHDOG_H
#define VTSHIM_PROXY_WATCHDOG_H

struct server;
struct watchdog;

/* NULL: nobody watches. */
struct watchdog *watchdog_create(struct server *server);

/* NULL is allowed. No broadcast may be under way any more. */
void watchdog_destroy(struct watchdog *w);

#endif
