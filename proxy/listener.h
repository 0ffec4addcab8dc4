/*
 * Listening on an endpoint of the configuration. Control loop only.
 */
#ifndef VTSHIM_PROXY_LISTENER_H
#define VTSHIM_PROXY_LISTENER_H

#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/options.h"

struct listener;

/*
 * Listens on each address that e's name stands for; callback(..., arg) gets the connections. An
 * address that cannot be had is an error if it is the only one, else a warning; NULL, after a line
 * in the log, when there is none. A unix socket that an earlier run has left behind is replaced,
 * one that somebody listens on is not. e must outlive the listener. callback may be NULL: nothing
 * is accepted until listener_give.
 */
struct listener *listener_open(struct event_base *base, const struct endpoint *e,
                               evconnlistener_cb callback, void *arg);

/* Lets http accept the connections. It owns the sockets from then on: free it before
   listener_close. */
void listener_give(struct listener *l, struct evhttp *http);

/* Accepts nothing until it is let go again: what comes waits in the sockets' queues. */
void listener_hold(struct listener *l, bool hold);

/* Closes the sockets; removes the file of a unix socket, unless it is another's by now. */
void listener_close(struct listener *l);

/* Another process has the sockets, too, and goes on with them: a file of theirs stays. To be closed
   all the same. */
void listener_give_away(struct listener *l);

struct listener_socket {
    int fd;
    bool keep_file; /* of a unix socket: not ours to remove */
    /* Of listener_sockets only: */
    const char *configured; /* borrowed: the endpoint's text */
    bool paused; /* nothing is accepted: accept(2) failed a moment ago, or listener_hold */
};

/*
 * A socket that listens already, from systemd or from the process before this one: listener_open
 * takes it in place of a new one if its address is asked for. Owned from here on.
 */
void listener_inherit(int fd, bool keep_file);

/*
 * Opens e's sockets now and has listener_open find them later, for which a process that has given
 * up its rights in between needs none. False, after a line in the log: none could be opened.
 */
bool listener_open_early(const struct endpoint *e);

/* Closes those that nothing asked for, with a warning each. */
void listener_drop_inherited(void);

/* All sockets that are listened on, of all listeners, to pass them on; at most max. */
size_t listener_sockets(struct listener_socket *sockets, size_t max);

/* "127.0.0.1:3306", "[::]:3306", "unix:/path": what the socket is bound to. */
#define LISTENER_ADDRESS_MAX 128
void listener_format_address(int fd, char text[LISTENER_ADDRESS_MAX]);

/* How often accept(2) has failed, all listeners, since the start. */
uint64_t listener_failures(void);

#endif
