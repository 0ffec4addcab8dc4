/*
 * Allocation or the end.
 */
#include "proxy/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/log.h"

void memory_exhausted(void)
{
    log_error("out_of_memory", "");
    abort();
}

static void *memory_check(void *p)
{
    if (!p)
        memory_exhausted();
    return p;
}

void *memory_zalloc(size_t size)
{
    return memory_check(calloc(1, size));
}

void *memory_resize(void *old, size_t size)
{
    return memory_check(realloc(old, size));
}

char *memory_copy(const char *text, size_t len)
{
    char *copy = memory_check(malloc(len + 1));

    if (len)
        memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

char *memory_vformat(const char *format, va_list args)
{
    char *text;

    if (vasprintf(&text, format, args) < 0)
        memory_exhausted();
    return text;
}
