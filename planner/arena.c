/*
 * A list of blocks. What an array leaves behind when it grows is freed with the rest.
 */
#include "planner/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_SIZE 4096u

struct arena_block {
    struct arena_block *next;
    size_t used, size;
    max_align_t bytes[];
};

static struct arena_block *new_block(struct arena *a, size_t size)
{
    size_t room = size > BLOCK_SIZE ? size : BLOCK_SIZE;
    struct arena_block *b = calloc(1, sizeof(*b) + room);

    if (!b) {
        fputs("vtshim: out of memory\n", stderr);
        abort();
    }
    b->size = room;
    b->next = a->blocks;
    a->blocks = b;
    return b;
}

void *arena_alloc(struct arena *a, size_t size)
{
    size_t aligned = (size + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
    struct arena_block *b = a->blocks;

    if (!b || b->size - b->used < aligned)
        b = new_block(a, aligned);
    void *p = (char *)b->bytes + b->used;

    b->used += aligned;
    return p;
}

char *arena_copy(struct arena *a, const char *text, size_t len)
{
    char *copy = arena_alloc(a, len + 1);

    if (len)
        memcpy(copy, text, len);
    return copy;
}

char *arena_string(struct arena *a, const char *text)
{
    return arena_copy(a, text, text ? strlen(text) : 0);
}

char *arena_format(struct arena *a, const char *format, ...)
{
    va_list args, again;

    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    char *text = arena_alloc(a, (n > 0 ? (size_t)n : 0) + 1);

    if (n > 0)
        vsnprintf(text, (size_t)n + 1, format, again);
    va_end(again);
    va_end(args);
    return text;
}

void *arena_grow(struct arena *a, void *items, size_t n, size_t size)
{
    if (n > 0 && (n & (n - 1)) != 0)
        return items; /* no power of two: there is room */
    void *more = arena_alloc(a, (n ? 2 * n : 1) * size);

    if (n)
        memcpy(more, items, n * size);
    return more;
}

void arena_free(struct arena *a)
{
    while (a->blocks) {
        struct arena_block *b = a->blocks;

        a->blocks = b->next;
        free(b);
    }
}
