/*
 * REVERT VITESS_MIGRATION in a client's session. vtgate answers with the uuid of the migration that
 * undoes the other, and so does the shim; but where that one is going to cut over, the shim manages
 * it as it does those of ALTER: it is submitted postponed, and the keeper goes on with it.
 */
#ifndef VTSHIM_PROXY_MIGRATION_REVERT_H
#define VTSHIM_PROXY_MIGRATION_REVERT_H

#include <stdbool.h>
#include <stdint.h>

#include "planner/classify.h"

struct session;

/*
 * Between two commands, as migration_start. False: it is no revert, or vtgate's alone (the session
 * has a strategy of its own, a transaction, or no keyspace; the shim manages nothing); nothing was
 * done. `binary`: it was prepared (COM_STMT_EXECUTE), and so its answer's row is a binary one.
 */
bool migration_revert_start(struct session *s, const struct statement *st, uint8_t sequence,
                            bool more, bool binary);

/* migration.c: it is submitted. */
void migration_answer_reverting(struct session *s);

#endif
