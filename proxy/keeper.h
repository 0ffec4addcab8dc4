/*
 * Migrations that wait for a shim to complete them (--postpone-completion) while no client waits
 * for them: its client left, its vtgate connection broke, or the shim that began it has ended. The
 * keeper follows each with a session of the shim's own (inner.h), as often as it takes. Needs
 * control.user.
 */
#ifndef VTSHIM_PROXY_KEEPER_H
#define VTSHIM_PROXY_KEEPER_H

struct server;
struct keeper;
struct migration_record;

/* Begins to look into Vitess for what was left behind, at once and then every half a minute.
   Control loop. */
struct keeper *keeper_create(struct server *server);

/* When no other thread runs any more. What it kept stays in Vitess for the next start. */
void keeper_destroy(struct keeper *k);

/* Something was submitted that nobody here follows (a revert on the admin port): it is looked for
   in the seconds to come. Control loop. */
void keeper_look_soon(struct server *server);

/* From now on the keeper's, which goes on with this record. One that SHOW MIGRATIONS does not have
   (id 0) is left alone when its context or uuid is followed already. Copied. Any thread. */
void keeper_take(struct server *server, const struct migration_record *r);

#endif
