/*
 * Allocation that does not fail: out of memory ends the process, for every size that a peer
 * chooses is bounded before it gets here.
 */
#ifndef VTSHIM_PROXY_MEMORY_H
#define VTSHIM_PROXY_MEMORY_H

#include <stddef.h>

void *memory_zalloc(size_t size);                /* zeroed */
void *memory_resize(void *old, size_t size);     /* realloc */
char *memory_copy(const char *text, size_t len); /* with a NUL behind */

#endif
