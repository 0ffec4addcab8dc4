/*
 * Memory of one value that is built once and freed as a whole: strings and arrays of a VSchema, of
 * a list of findings. Out of memory ends the process; sizes are bounded by whoever reads the input.
 */
#ifndef VTSHIM_PLANNER_ARENA_H
#define VTSHIM_PLANNER_ARENA_H

#include <stddef.h>

struct arena_block;

struct arena {
    struct arena_block *blocks;
};

/* Zeroed memory that lives as long as the arena. */
void *arena_alloc(struct arena *a, size_t size);

/* A copy with a NUL behind. */
char *arena_copy(struct arena *a, const char *text, size_t len);
char *arena_string(struct arena *a, const char *text); /* NULL is "" */
char *arena_format(struct arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * Room for one more item behind items[0..n): returns the array, which may have moved. It doubles
 * at powers of two, so that n alone says how large it is.
 */
void *arena_grow(struct arena *a, void *items, size_t n, size_t size);

void arena_free(struct arena *a);

#endif
