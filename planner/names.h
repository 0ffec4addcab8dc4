/*
 * The set of names a statement mentions, as a small Bloom filter: table-scoped holds ask it
 * whether a statement may touch a table. It errs only towards "may touch": a name that was
 * mentioned is always found, one that was not is found with a small probability.
 *
 * Every identifier-like token goes in: words, `quoted` names, "double-quoted" strings (ANSI_QUOTES
 * may make them names), keywords too: telling them apart is not worth its cost. Names compare
 * without regard to ASCII case. Constant size, so that it can be kept for each prepared statement.
 */
#ifndef VTSHIM_PLANNER_NAMES_H
#define VTSHIM_PLANNER_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NAMES_WORDS 8 /* 512 bits: about 1 % false positives at 50 names with 4 probes */

struct names {
    uint64_t bits[NAMES_WORDS];
    bool everything; /* the text was not (wholly) seen: matches every name */
};

/* The names of sql[0..len). `whole` false: the text goes on beyond len, so everything matches. */
void names_collect(struct names *n, const char *sql, size_t len, bool whole);

/* Adds one name (ASCII case folded; doubled backticks undone by the caller). */
void names_add(struct names *n, const char *name, size_t len);

/* Adds all names of another set. */
void names_merge(struct names *n, const struct names *other);

/* Whether the name may be among them. */
bool names_may_contain(const struct names *n, const char *name, size_t len);

#endif
