/*
 * A file that lines are appended to by a thread of its own, so that nobody waits for a disk: the
 * audit log, and the log where log.file names one. What it cannot write (the disk is full, the file
 * cannot be opened, lines come faster than they can be written) is counted, dropped, and said once.
 */
#ifndef VTSHIM_PROXY_LINE_FILE_H
#define VTSHIM_PROXY_LINE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct line_file;

/* Called on the file's thread: the first failure, and the first line that was written after it. */
struct line_file_events {
    void (*failed)(void *arg, const char *path, const char *error);
    void (*resumed)(void *arg, const char *path, uint64_t dropped);
    void *arg;
};

/* path: created if it is not there; "": nowhere, until a reopen names one. *events is copied. */
struct line_file *line_file_create(const char *path, const struct line_file_events *events);

/* Writes what is queued, ends the thread. */
void line_file_destroy(struct line_file *f);

/* Closes the file and opens that one: after a rotation, or a changed setting. Any thread. */
void line_file_reopen(struct line_file *f, const char *path);

/* Whether there is a path: else lines had better go elsewhere. Any thread. */
bool line_file_is_on(const struct line_file *f);

/* text[0..len) is a line with its newline; malloc()ed, taken over. Any thread. */
void line_file_write(struct line_file *f, char *text, size_t len);

/* Counts a line that could not even be made. */
void line_file_drop(struct line_file *f);

/* Counters since the start. Any thread. */
uint64_t line_file_lines(const struct line_file *f);   /* that were written */
uint64_t line_file_dropped(const struct line_file *f); /* that could not be */

#endif
