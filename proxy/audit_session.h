/*
 * What the audit log is told of sessions: their DDL, and how they control migrations. On the
 * session's own thread.
 */
#ifndef VTSHIM_PROXY_AUDIT_SESSION_H
#define VTSHIM_PROXY_AUDIT_SESSION_H

#include <stdbool.h>
#include <stddef.h>

#include "planner/plan.h"

struct session;

/* s->migration begins; it has ended, with the status that its record shows. */
void audit_migration_started(struct session *s);
void audit_migration_ended(struct session *s);

/* DDL that goes to vtgate as it is, for the reason in plan->passed. text may be NULL. */
void audit_passed(struct session *s, const struct plan *plan, const char *text, size_t len);

/* s->gate has refused its DDL: the preflight's rule, "policy" or "hint". */
void audit_refused(struct session *s, const char *reason, unsigned code);

/* s->gate runs its DDL on one shard after the other; that has ended (code 0), or an error has. */
void audit_direct_started(struct session *s);
void audit_direct_ended(struct session *s, unsigned code);

/* ALTER or REVERT VITESS_MIGRATION, after vtgate's answer; one that the shim itself has answered
   (control_managed.h: taken, or refused); and one whose user may not. */
void audit_controlled(struct session *s, const char *text, size_t len, bool succeeded);
void audit_managed(struct session *s, const char *text, size_t len, bool taken);
void audit_denied(struct session *s, const struct statement *st);

#endif
