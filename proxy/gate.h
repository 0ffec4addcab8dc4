/*
 * Where DDL passes before anything is submitted: hints and ddl.policy say how it is to run, the
 * preflight what is wrong with it. Then it is refused, or becomes a migration, runs direct, shard
 * by shard, or goes to vtgate as it came. EXPLAIN of a DDL stops here, and is told all of this.
 */
#ifndef VTSHIM_PROXY_GATE_H
#define VTSHIM_PROXY_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "planner/plan.h"

struct session;
struct config;

/*
 * Takes over a planned command: PLAN_MIGRATE, PLAN_EXPLAIN, or DDL that is passed on, of which only
 * some concerns the gate: then it returns false, and nothing has happened. packet[0..len) is the
 * command as the client sent it, NULL in a script; all is copied. The answer's first packet gets
 * `sequence`; `more` results of the same command follow.
 */
bool gate_start(struct session *s, const struct plan *plan, const uint8_t *packet, size_t len,
                uint8_t sequence, bool more);

/* The statement that is at the gate, without a NUL, while that lasts. NULL: there is none. */
const char *gate_text(const struct session *s, size_t *len);

/* Whether shards are being changed one after the other, which nothing may stop. */
bool gate_is_changing(const struct session *s);

/* The client left. True: shards are being changed; the session lives until that is over. */
bool gate_client_gone(struct session *s);

/* vtgate's connection is gone: tells the client what that means for its DDL. */
void gate_vtgate_lost(struct session *s);

/* The session is closing. Idempotent. */
void gate_forget(struct session *s);

/* Why ddl.preflight_allow cannot be: the name of a rule that there is not, or NULL. */
const char *gate_check_config(const struct config *c);

/* The statement that is prepared in the place of an EXPLAIN of a DDL, which vtgate cannot prepare:
   the columns are the same. */
#define GATE_EXPLAIN_STAND_IN "select '' as section, '' as item, '' as value from dual"

#endif
