/*
 * Files of transition.dir, each with JSON: KIND-ID.json, by a kind ("transition", "plan") and an id
 * from 1 on. They outlive the process.
 *
 * A file is written as a whole under another name and then renamed, without waiting for the disk:
 * that is enough against the end of the process, not against the end of the machine.
 *
 * folder "": nothing is kept. All block for as long as the disk takes.
 */
#ifndef VTSHIM_PROXY_JSON_FILES_H
#define VTSHIM_PROXY_JSON_FILES_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* False: errno says why. */
bool json_files_save(const char *folder, const char *kind, uint64_t id, const json_t *json);
void json_files_remove(const char *folder, const char *kind, uint64_t id);

/* An id from `least` on that nobody else gets, not even the process before this one, which still
   ends its sessions after a restart without a gap: KIND.last says which one was the last. `least`
   itself if nothing is kept, or that file cannot be written. */
uint64_t json_files_next_id(const char *folder, const char *kind, uint64_t least);

/* NULL: it is not there, or is no JSON. To be released. */
json_t *json_files_load(const char *folder, const char *kind, uint64_t id);

/* The ids of the kind's files, ascending (to be freed, *n of them, at most 10,000); none, with a
   line in the log, if the folder cannot be read. */
uint64_t *json_files_list(const char *folder, const char *kind, size_t *n);

#endif
