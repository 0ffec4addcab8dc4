/*
 * The effect of the command under way on what the shim knows about its session (enum plan_effect).
 */
#ifndef VTSHIM_PROXY_EFFECT_H
#define VTSHIM_PROXY_EFFECT_H

#include <stdbool.h>
#include <stddef.h>

#include "planner/plan.h"

struct session;

/* Remembers the effect that a planned command will have. text[0..len) is what gets prepared, for
   the EFFECT_PREPARE ones. Copies what it keeps. */
void effect_set(struct session *s, const struct plan *plan, const char *text, size_t len,
                bool whole);

/* After a response: applies the effect of a command that succeeded; drops it of one that did not.
 */
void effect_settle(struct session *s, bool succeeded);

#endif
