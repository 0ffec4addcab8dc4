/*
 * ALTER VSCHEMA of applications: alone, or several collected between BEGIN TRANSITION ks and COMMIT
 * TRANSITION, it is carried out as a transition (transition.h), so that nobody sees a moment in
 * between. Whether the user may do it the session's own vtgate says.
 */
#ifndef VTSHIM_PROXY_SESSION_TRANSITION_H
#define VTSHIM_PROXY_SESSION_TRANSITION_H

#include <stdbool.h>
#include <stdint.h>

#include "planner/classify.h"

struct session;

/* Whether that is done at all: vtctld is known, the settings and the session's target say so, and
   no transaction is open, which it would wait for. */
bool session_transition_wanted(const struct session *s);

/* One of these statements, with the session between two commands; the answer gets that sequence
   number. The text is copied. */
void session_transition_start(struct session *s, const struct statement *st, uint8_t sequence);

/* What is collected is dropped. Idempotent. */
void session_transition_forget(struct session *s);

#endif
