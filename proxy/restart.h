/*
 * A restart that loses no connection attempt: at SIGUSR2 the process starts its program anew, which
 * inherits the listening sockets (and with them their queues), reads its settings, and says when it
 * is ready; from then on it accepts, and the old process lets its sessions end as after SIGTERM.
 * Nothing changes if the new one does not come up. The two are tied by a pair of sockets:
 *
 *   successor  -> R   ready: everything is open, the loop is about to run
 *   successor <-  G   go: the old one has let go of the sockets
 *   end of file       the other one has ended
 *
 * Control loop only.
 */
#ifndef VTSHIM_PROXY_RESTART_H
#define VTSHIM_PROXY_RESTART_H

#include <stdbool.h>

struct server;
struct restart;

/* What the program was started with; argv must stay. Before anything changes the directory, and
   before anything is opened: a successor closes here what it has inherited by accident. */
void restart_remember(char **argv);

/* Takes what a predecessor or systemd has passed on: sockets go to listener_inherit. Before any
   socket is opened. */
void restart_take_sockets(void);

/* After that. */
struct restart *restart_create(struct server *server);

/* Everything is open: tells the predecessor, if there is one. */
void restart_ready(struct restart *r);

/* SIGUSR2. What keeps it from being done is said in the log. */
void restart_begin(struct restart *r);

/* Whether there was a predecessor, whose sessions and migrations are still its own. */
bool restart_has_predecessor(const struct restart *r);

/* Whether a successor has taken over, so that nothing is to be said to systemd any more. */
bool restart_is_over(const struct restart *r);

/* NULL is allowed. A predecessor's successor learns by this that the process is about to end. */
void restart_destroy(struct restart *r);

#endif
