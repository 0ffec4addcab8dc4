/*
 * Log lines on stderr, or in a file: `time=... level=... event=... key=value ...`, or the same as
 * an object of JSON. One write(2) each, so that lines of several threads never mix. Nobody waits
 * for a reader or a disk that does not keep up: the line is dropped, and event=log_lines_dropped
 * says how many were as soon as one can be written again. Values with blanks, quotes or control
 * characters are quoted and escaped. No SQL text, no password and no literal goes into a log:
 * callers pass names, numbers and error codes only.
 */
#ifndef VTSHIM_PROXY_LOG_H
#define VTSHIM_PROXY_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

/* Lines below the level are dropped. Any thread may call it at any time. */
void log_set_level(enum log_level level);

/* Lines are JSON from now on, or not. Any thread. */
void log_set_json(bool json);

/* Lines go into that file from now on, which is opened anew if it is the same; "": to stderr. One
   thread at a time. */
void log_set_file(const char *path);

/* Writes what waits for the file; what comes later goes to stderr. When no other thread runs. */
void log_close_file(void);

/* Puts systemd's priorities (<6> and the like) before lines on stderr if that is the journal. */
void log_look_for_journal(void);

/*
 * One line. `event` is a short snake_case word; `fields` says which key=value pairs follow, as
 * "key:type key:type", where type is s (const char *, NULL shown as -), d (int64_t), u (uint64_t).
 */
void log_event(enum log_level level, const char *event, const char *fields, ...);

/* Now, in UTC, as log lines have it: "2026-01-31T12:00:00.000Z". Any thread. */
#define LOG_TIME_SIZE 40
void log_time(char dst[LOG_TIME_SIZE]);

/* How many lines were dropped since the start. Any thread. */
uint64_t log_dropped(void);

#define log_debug(...) log_event(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_info(...)  log_event(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warn(...)  log_event(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_error(...) log_event(LOG_LEVEL_ERROR, __VA_ARGS__)

#endif
