/*
 * The memory of libraries: out of it ends the process there, too (memory.h), for few of them, and
 * few of their callers anywhere, go on well without; and what libevent and jansson free is
 * overwritten first, for it may have been a password, a token or the configuration file.
 */
#ifndef VTSHIM_PROXY_LIBRARY_MEMORY_H
#define VTSHIM_PROXY_LIBRARY_MEMORY_H

/* Before any other call of libevent, jansson or OpenSSL. */
void library_memory_take_over(void);

#endif
