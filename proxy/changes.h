/*
 * The changes that this shim knows of: its own, those that vtgates' pages or etcd show, and
 * those that errors make it suspect. Written on the control loop, read without a lock by workers.
 *
 * A change that is under way is settled by itself when the vtgates' pages agree again (looked
 * for from its end, or from when it was noticed), and at the latest CHANGE_LIMIT_MS after that.
 */
#ifndef VTSHIM_PROXY_CHANGES_H
#define VTSHIM_PROXY_CHANGES_H

#include <stddef.h>
#include <stdint.h>

#include "planner/change.h"

#define CHANGE_LIMIT_MS 15000

struct server;
struct session;
struct changes;

struct changes *changes_create(struct server *server);
void changes_destroy(struct changes *t); /* control loop, when no worker runs; NULL is fine */

/* Begins to listen to the watch of the vtgates, which must live longer. */
void changes_listen(struct changes *t);

/*
 * What is known now: for the control loop and workers, until the end of their turn of the loop.
 */
const struct change_set *changes_now(const struct changes *t);

/*
 * One begins (kind, source, keyspace and tables are looked at); returns its id, never 0. It is in
 * changes_now within moments, and under way until changes_end. Any thread.
 */
uint64_t changes_begin(struct changes *t, const struct change *what);

/*
 * It has been applied, or has failed: it stays under way until all vtgates show the same. Without
 * web pages to tell: for settle_ms. Any thread.
 */
void changes_end(struct changes *t, uint64_t id, int64_t settle_ms);

/* Something was seen of which nobody will tell the end: under way until vtgates agree if `settles`,
   else just noticed. The same again is counted, not added. Any thread. */
void changes_notice(struct changes *t, const struct change *what, bool settles);

/*
 * An ERR packet of vtgate for the session's statement: p[0..len) is its payload. Suspects a
 * change if the error is of that kind. The session's worker.
 */
void changes_note_error(struct session *s, const uint8_t *p, size_t len);

/* How often one was noticed since the start. Control loop. */
uint64_t changes_noticed(const struct changes *t, enum change_kind kind, enum change_source source);

#endif
