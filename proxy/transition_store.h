/*
 * What is kept of transitions on disk (transition.dir): a JSON file each, with who and when, what
 * was in force before and is after, and where it is (json_files.h: how it is written). It outlives
 * the process: the history is there again after a restart, and a transition that was cut off is
 * gone on with.
 */
#ifndef VTSHIM_PROXY_TRANSITION_STORE_H
#define VTSHIM_PROXY_TRANSITION_STORE_H

#include "proxy/transition_internal.h"

/* The id of a new one: json_files_next_id. */
uint64_t transition_store_next_id(struct server *server, uint64_t least);

/* Writes t's file. A failure is logged, and no failure of the transition. */
void transition_store_save(const struct transition *t);
void transition_store_remove(const struct transition *t);

/* Calls found() for each file that can be read, in the order of their ids, with the parsed JSON
   (borrowed) and its id. */
void transition_store_load(struct server *server,
                           void (*found)(void *arg, uint64_t id, const json_t *json), void *arg);

/* One file again; NULL: it is not there any more. To be released. */
json_t *transition_store_again(struct server *server, uint64_t id);

/* Whether the process that wrote the file is another one and still runs: after a restart without a
   gap both do for a while. At any other time its number is somebody else's by now, as after a start
   of the machine. Also of a plan's file. */
bool transition_store_is_elsewhere(const struct server *server, const json_t *json);

/* Fills in what a file says, but for id and registry. False: it is not one of ours. */
bool transition_store_read(struct transition *t, const json_t *json);

#endif
