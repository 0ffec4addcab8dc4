/*
 * What the fuzz targets share.
 */
#ifndef VTSHIM_TESTS_FUZZ_H
#define VTSHIM_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not assert(): this must hold in every build type. */
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* The size of the next piece of what is left (not 0): 1 to 15 bytes, or everything now and then. */
static inline size_t fuzz_piece(uint32_t *seed, size_t left)
{
    *seed = *seed * 1664525u + 1013904223u;
    size_t n = *seed >> 28;

    return n == 0 || n > left || (*seed >> 24 & 15) == 0 ? left : n;
}

/* In memory of exactly its size, so that the sanitizer sees a read beyond its end. */
static inline uint8_t *fuzz_copy(const void *data, size_t len)
{
    uint8_t *copy = malloc(len ? len : 1);

    CHECK(copy);
    if (len)
        memcpy(copy, data, len);
    return copy;
}

/* The same with a NUL behind it. */
static inline char *fuzz_string(const void *data, size_t len)
{
    char *copy = malloc(len + 1);

    CHECK(copy);
    if (len)
        memcpy(copy, data, len);
    copy[len] = '\0';
    return copy;
}

#endif
