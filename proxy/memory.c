/*
 * Allocation or the end.
 */
#include "proxy/memory.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/log.h"

static void *memory_check(void *p)
{
    if (!p) {
        log_error("out_of_memory", "");
        abort();
    }
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
