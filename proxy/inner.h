/*
 * Sessions of the shim's own: no client, a vtgate connection as control.user. They live on a worker
 * like every session, so that ask.c and migration.c work for them unchanged; s->client_gone is set
 * from the beginning.
 */
#ifndef VTSHIM_PROXY_INNER_H
#define VTSHIM_PROXY_INNER_H

struct session;
struct worker;

/* Both on the worker's thread. `ready` comes once, when vtgate has let it in; it may ask, or close
   the session. `ended` comes when the session closes, however that came about: only then is arg not
   used any more. */
struct inner {
    void (*ready)(struct session *s, void *arg);
    void (*ended)(struct session *s, void *arg);
    void *arg;
};

/* Begins to log in to a healthy vtgate. On the worker's thread. */
void inner_start(struct worker *w, const struct inner *inner);

/* login_vtgate.c: vtgate's greeting is here; answers it. */
void inner_greeted(struct session *s);

/* session.c: it is closing; tells `ended`. For sessions of clients: nothing. */
void inner_end(struct session *s);

#endif
