/*
 * A statement as it may be written down: without comments, without any literal, cut to fit.
 */
#ifndef VTSHIM_PLANNER_DIGEST_H
#define VTSHIM_PLANNER_DIGEST_H

#include <stddef.h>

/*
 * Writes the tokens of sql[0..len) with blanks between them, and a '?' for each string and number
 * (also for one that the text ends inside of). What does not fit in size is left out, from a
 * token's beginning on, and "..." takes its place. dst is NUL terminated; size is at least 4.
 * Returns the length without the NUL.
 */
size_t statement_digest(char *dst, size_t size, const char *sql, size_t len);

#endif
