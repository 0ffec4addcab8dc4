/*
 * Which columns of which tables statements have named lately: a Bloom filter of (table, word)
 * pairs, as a statement that names a table and a word may read the table's column of that name. Two
 * generations: what was noted is remembered for TRAFFIC_TURN_MS to twice as long. It may remember
 * what nobody named, rarely.
 *
 * Any thread may note and ask at any time: the bits are atomic, and one more or less does not
 * matter.
 */
#ifndef VTSHIM_PLANNER_TRAFFIC_H
#define VTSHIM_PLANNER_TRAFFIC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "planner/classify.h"

#define TRAFFIC_TURN_MS   (10 * 60 * 1000)
#define TRAFFIC_WORDS     1024 /* 65536 bits for each generation */
#define TRAFFIC_PAIRS_MAX 128

struct traffic {
    _Atomic uint64_t bits[2][TRAFFIC_WORDS];
    _Atomic int64_t turned_ms;
    _Atomic unsigned current;
};

/* The pairs of a statement, as hashes: at most TRAFFIC_PAIRS_MAX. Tables stand behind FROM, JOIN,
   INTO, UPDATE and the commas of their lists. Returns how many. */
size_t traffic_pairs(const char *sql, size_t len, uint32_t out[TRAFFIC_PAIRS_MAX]);

void traffic_note(struct traffic *t, const uint32_t *pairs, size_t n, int64_t now_ms);

bool traffic_knows(struct traffic *t, struct sql_name table, struct sql_name column,
                   int64_t now_ms);

#endif
