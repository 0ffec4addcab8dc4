/*
 * What the files of config/ share and nobody else needs: memory that never fails, error texts,
 * and text that is cut rather than overrun.
 */
#ifndef VTSHIM_CONFIG_SUPPORT_H
#define VTSHIM_CONFIG_SUPPORT_H

#include "config/options.h"

#include <stdbool.h>
#include <stddef.h>

/* n zeroed items; aborts when there is no memory. n may be 0. */
void *config_alloc(size_t n, size_t size);

/* A copy of text[0..len) with a NUL; aborts when there is no memory. */
char *config_strndup(const char *text, size_t len);

/* Wipes and frees a string that may be a password; NULL is allowed. */
void config_wipe_free(char *text);

/* Sets err->text and returns false, so that `return config_error_set(...)` reports a failure.
   Control characters and invalid UTF-8 become '?'; text that is too long is cut. */
bool config_error_set(struct config_error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Puts "prefix" before what err says. Returns false. */
bool config_error_prefix(struct config_error *err, const char *prefix);

/* Text being written; len counts what did not fit, too. Initialise with {buf, size, 0}. */
struct text_out {
    char *buf;
    size_t size, len;
};

/* Appends; buf always ends in NUL if size > 0. */
void text_out_add(struct text_out *out, const char *text);
void text_out_int(struct text_out *out, int64_t value);

#endif
