/*
 * What signals do: SIGTERM and SIGINT end the process (the first one lets commands and transactions
 * finish, the second does not), SIGHUP reloads the settings, SIGUSR1 opens the files that it writes
 * anew, SIGUSR2 restarts it. Control loop only.
 */
#ifndef VTSHIM_PROXY_SIGNALS_H
#define VTSHIM_PROXY_SIGNALS_H

struct server;
struct signals;

struct signals *signals_create(struct server *server);

/* For the end of the process (NULL is fine): they are blocked from then on in the calling thread,
   because without a handler one more would kill the process, at the last moment. */
void signals_destroy(struct signals *signals);

#endif
