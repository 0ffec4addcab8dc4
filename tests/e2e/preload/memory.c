/*
 * Memory that runs out: the ALLOCATION_FAILS-th call of malloc, calloc, realloc and their like since the
 * start of the process gets NULL, and so do the following (ALLOCATION_FAILS_FOR, 1 if it is not set).
 * ALLOCATION_COUNT names a file that gets the number of calls at the end. For LD_PRELOAD, with glibc.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t size);

static _Atomic uint64_t calls;
static uint64_t first = UINT64_MAX, last = UINT64_MAX;

__attribute__((constructor)) static void begin(void)
{
    const char *at = getenv("ALLOCATION_FAILS"), *times = getenv("ALLOCATION_FAILS_FOR");

    if (at) {
        first = strtoull(at, NULL, 10);
        last = first + (times ? strtoull(times, NULL, 10) : 1) - 1;
    }
    calls = 0;
}

__attribute__((destructor)) static void end(void)
{
    const char *path = getenv("ALLOCATION_COUNT");
    uint64_t total = calls;
    FILE *f = path ? fopen(path, "w") : NULL;

    if (f) {
        fprintf(f, "%llu\n", (unsigned long long)total);
        fclose(f);
    }
}

static bool fails(void)
{
    uint64_t call = atomic_fetch_add(&calls, 1) + 1;

    if (call < first || call > last)
        return false;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size)
{
    return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    return fails() ? NULL : __libc_calloc(n, size);
}

void *realloc(void *old, size_t size)
{
    return fails() ? NULL : __libc_realloc(old, size);
}
