/*
 * What the commands about transitions and plans have in common.
 */
#ifndef VTSHIM_PROXY_ADMIN_TRANSITION_H
#define VTSHIM_PROXY_ADMIN_TRANSITION_H

#include "planner/arena.h"
#include "proxy/admin_commands.h"

/* text itself if it is JSON, else what the file of that name below transition.files has (on the
   arena). NULL: the request has been answered. */
const char *admin_transition_source(struct admin_request *rq, const char *text, struct arena *a);

/* An id and the end of the command. False: the request has been answered. */
bool admin_transition_id(struct admin_request *rq, struct lexer *lx, const char *what,
                         uint64_t *id);

#endif
