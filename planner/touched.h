/*
 * What a transaction has touched: the names that stand in its statements, and the keyspaces that
 * its session was at. Of most transactions nobody ever asks, so a text is kept as it is while there
 * is room, and looked at only when somebody does: a copy costs a tenth of looking for names.
 *
 * Constant size, 1,000 bytes. The texts, with the values in them, go with it.
 */
#ifndef VTSHIM_PLANNER_TOUCHED_H
#define VTSHIM_PLANNER_TOUCHED_H

#include <stdbool.h>
#include <stddef.h>

#include "planner/names.h"

struct touched;

/* Nothing yet; `everything`: what it touched before is not known, so it may be anything. The
   caller's, who ends it with free(). Without memory the process ends. */
struct touched *touched_create(bool everything);

/* A statement with these names, in a session with that target (NULL: none). */
void touched_add_names(struct touched *t, const struct names *names, const char *database);

/* A statement of which this is the whole text. */
void touched_add_text(struct touched *t, const char *text, size_t len, const char *database);

/* All of it; borrowed, and true until the next one is added. */
const struct names *touched_names(struct touched *t);

#endif
