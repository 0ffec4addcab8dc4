/*
 * The audit log: who did what to a schema, from where, and what came of it. One JSON object a line,
 * in the file that audit.file names. Any thread writes; a thread of its own does the I/O, so that
 * no session waits for a disk. What it cannot write (the disk is full, the file cannot be opened,
 * lines come faster than they can be written) is counted and dropped, and said once in the log: a
 * shim without an audit log is better than no shim.
 *
 * No literal of a statement is ever written: statements go through planner/digest.h.
 */
#ifndef VTSHIM_PROXY_AUDIT_H
#define VTSHIM_PROXY_AUDIT_H

#include <stddef.h>
#include <stdint.h>

struct audit;

/* One line. Strings that are NULL or empty are left out, as are session 0, shards 0, code 0 and a
   negative duration. */
struct audit_entry {
    const char *event; /* "ddl", "ddl_end", "control", "control_end", "admin", "api", "kill" */
    const char *user, *peer;
    uint64_t session;
    const char *keyspace, *table, *verb;
    const char *verdict; /* managed, direct, passed, refused, queued */
    const char *reason;  /* of the verdict */
    const char *uuid, *context;
    uint64_t shards;
    const char *outcome; /* complete, failed, cancelled, detached, ok, error ... */
    unsigned code;       /* MySQL's, of the error that the user was given */
    int64_t duration_ms;
    const char *statement; /* without literals */
};

/* path as in audit.file. */
struct audit *audit_create(const char *path);

/* Writes what is queued, ends the thread. */
void audit_destroy(struct audit *a);

/* Closes the file and opens that one: after a rotation, or a changed setting. Any thread. */
void audit_reopen(struct audit *a, const char *path);

/* Any thread. */
void audit_write(struct audit *a, const struct audit_entry *e);

/* Copies of the last lines, whether they are written anywhere or not, the oldest first; returns how
   many. The caller frees each. Any thread. */
#define AUDIT_RECENT_MAX 100
size_t audit_recent(struct audit *a, char *lines[AUDIT_RECENT_MAX]);

/* Counters since the start. Any thread. */
uint64_t audit_lines(const struct audit *a);   /* that were written */
uint64_t audit_dropped(const struct audit *a); /* that could not be */

#endif
