/*
 * The statements that were seen lately, without their literals, and how often: of those that
 * ddl.watch_columns has looked at anyway, so that it costs the others nothing. Bounded: when the
 * table is full the one that was seen the least goes.
 */
#ifndef VTSHIM_PROXY_DIGESTS_H
#define VTSHIM_PROXY_DIGESTS_H

#include <stddef.h>
#include <stdint.h>

struct digests;

#define DIGEST_TEXT_MAX 256

struct digest_row {
    char text[DIGEST_TEXT_MAX];
    uint64_t seen;
    int64_t first_ms, last_ms; /* CLOCK_MONOTONIC */
};

struct digests *digests_create(void);
void digests_destroy(struct digests *d); /* NULL is allowed */

/* Any thread. */
void digests_note(struct digests *d, const char *sql, size_t len, int64_t now_ms);

/* A copy of all rows, the most frequent first; *n becomes their number. The caller frees it. */
struct digest_row *digests_copy(struct digests *d, size_t *n);

#endif
