/*
 * Allocation that does not fail: out of memory ends the process, for every size that a peer
 * chooses is bounded before it gets here.
 */
#ifndef VTSHIM_PROXY_MEMORY_H
#define VTSHIM_PROXY_MEMORY_H

#include <stdarg.h>
#include <stddef.h>

void *memory_zalloc(size_t size);                /* zeroed */
void *memory_resize(void *old, size_t size);     /* realloc */
char *memory_copy(const char *text, size_t len); /* with a NUL behind */
/* The text; free() it. */
__attribute__((format(printf, 1, 0))) char *memory_vformat(const char *format, va_list args);

/* For what a library could not do for want of memory: says so, and ends the process. */
_Noreturn void memory_exhausted(void);

#endif
