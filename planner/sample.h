/*
 * Statements that vtgate plans as it plans a user's, without anything of the user's in them: each
 * literal gives way to another one of its type. vtgate's normalizer turns both into the same text
 * with bind variables, which is the key of its plan cache (go/vt/sqlparser/normalizer.go).
 *
 * What the key depends on is kept: the types of literals and which of them are equal (1001, 1002,
 * 's1001', ..), everything that is not a literal, numbers in ORDER BY and GROUP BY, and aliases in
 * quotes. A list of literals behind IN becomes one with a single entry, since the key has one bind
 * variable for all of it.
 */
#ifndef VTSHIM_PLANNER_SAMPLE_H
#define VTSHIM_PLANNER_SAMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SAMPLE_MAX 2048 /* longer statements are not sampled */

/*
 * Writes such a statement for sql[0..len), which is SELECT, INSERT, REPLACE, UPDATE, DELETE or
 * WITH, to dst, with a NUL; leading and trailing comments are left out. Returns its length, or 0:
 * it is another statement, too long for size, or has something in it for which no harmless text
 * with the same key is known (comments in the middle, hexadecimal and date literals, functions with
 * effects).
 */
size_t sample_text(char *dst, size_t size, const char *sql, size_t len);

/* Whether a statement of sample_text writes rows or locks them (FOR UPDATE), by its words;
   functions of the same names, INSERT() and REPLACE(), do not. */
bool sample_writes(const char *sql, size_t len);

/* Whether a statement of sample_text has a literal of its own in it, so that hardly any user's
   statement is the same text: what becomes of this one then has no bearing on those. */
bool sample_is_apart(const char *sql, size_t len);

/* The text without comments at its ends and without a semicolon: as vtgate has it in the key of a
   prepared statement. *len becomes what is left. */
const char *sample_trim(const char *sql, size_t *len);

#endif
