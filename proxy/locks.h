/*
 * User-level locks (GET_LOCK), which migration tools hold for as long as they are at work. In MySQL
 * such a lock lasts as long as its session. vtgate holds it by a reserved connection, which
 * vttablet ends after its transaction timeout (--queryserver-config-transaction-timeout, 30 s)
 * without a statement on it; vtgate itself touches it only when the session's next statement goes
 * to a shard (go/vt/vtgate/scatter_conn.go, triggerLockHeartBeat). So a tool that holds the lock on
 * one connection and waits for DDL on another loses it half way, and is not told.
 *
 * The shim therefore counts the locks of a session by the results of its lock functions, and asks
 * vtgate IS_USED_LOCK on that session, which touches the reserved connection, every
 * locks.keep_alive_s while the session is idle, parked, or waits for a migration. A statement of
 * the client that itself runs longer than the timeout loses the lock as it does straight.
 *
 * Of a SELECT that calls several lock functions the first one is counted.
 */
#ifndef VTSHIM_PROXY_LOCKS_H
#define VTSHIM_PROXY_LOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "planner/classify.h"

struct session;

/* The command to come calls this function: its response is read along. */
void locks_expect(struct session *s, enum lock_function function);

/* Bytes of that response. */
void locks_feed(struct session *s, const uint8_t *data, size_t len);

/* That response is over; counts what it says, if it `succeeded`. Idempotent. */
void locks_settle(struct session *s, bool succeeded);

/* vtgate has let go of all of them: a reset, or another connection to vtgate. */
void locks_released(struct session *s);

/* Whether the session's locks need to be touched. */
bool locks_due(const struct session *s, int64_t now_ms);

/* How long the session may be left alone that would be left alone for ms. */
int64_t locks_limit_wait(const struct session *s, int64_t ms);

/*
 * Touches them. The session must be IDLE or MIGRATING, and is ASKING until `then` is called; or
 * PARKED, and stays so, with s->ask set and `then` NULL.
 */
void locks_keep(struct session *s, void (*then)(struct session *s));

#endif
