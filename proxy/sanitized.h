/*
 * Whether this is a build with a sanitizer: its run time makes calls of its own (it looks into the
 * process as a debugger does, for one) that the program itself has no use for.
 */
#ifndef VTSHIM_PROXY_SANITIZED_H
#define VTSHIM_PROXY_SANITIZED_H

#ifdef __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#if !defined(SANITIZED) && (defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__))
#define SANITIZED 1
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

#endif
