/*
 * Allocators for libevent, jansson and OpenSSL. (nghttp2 tells of a failure, which is that of the
 * call; libmysqlclient likewise.)
 */
#include "proxy/library_memory.h"

#include <event2/event.h>
#include <jansson.h>
#include <malloc.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/memory.h"

static void *allocate(size_t size)
{
    return memory_resize(NULL, size ? size : 1);
}

static void wipe_and_free(void *p)
{
    if (p)
        explicit_bzero(p, malloc_usable_size(p));
    free(p);
}

/* Not in place: what the old one leaves behind has to be overwritten. */
static void *resize_wiped(void *old, size_t size)
{
    size_t had = old ? malloc_usable_size(old) : 0;
    void *fresh = allocate(size);

    if (old)
        memcpy(fresh, old, had < size ? had : size);
    wipe_and_free(old);
    return fresh;
}

/* OpenSSL has clear_free of its own for what is secret. */
static void *crypto_allocate(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return size ? allocate(size) : NULL;
}

static void *crypto_resize(void *old, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    if (size)
        return memory_resize(old, size);
    free(old);
    return NULL;
}

static void crypto_free(void *p, const char *file, int line)
{
    (void)file;
    (void)line;
    free(p);
}

void library_memory_take_over(void)
{
    CRYPTO_set_mem_functions(crypto_allocate, crypto_resize, crypto_free);
    json_set_alloc_funcs(allocate, wipe_and_free);
    event_set_mem_functions(allocate, resize_wiped, wipe_and_free);
}
