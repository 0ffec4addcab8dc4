/*
 * Memory, error texts and bounded text for the other files of config/. Nothing here knows what a
 * setting is.
 */
#include "config/support.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *config_alloc(size_t n, size_t size)
{
    void *p = calloc(n > 0 ? n : 1, size);
    if (p == NULL) {
        fputs("vtshim: out of memory\n", stderr);
        abort();
    }
    return p;
}

char *config_strndup(const char *text, size_t len)
{
    char *copy = config_alloc(len + 1, 1);
    memcpy(copy, text, len);
    return copy;
}

void config_wipe_free(char *text)
{
    if (text != NULL) {
        explicit_bzero(text, strlen(text));
        free(text);
    }
}

/* The length of the UTF-8 character at p, or 0 if there is none that may be shown: cut or invalid
   (%.200s cuts anywhere, and a command line may hold any bytes), or a control character. */
static size_t character_length(const unsigned char *p)
{
    size_t n = p[0] < 0x80 ? 1 : p[0] < 0xC2 ? 0 : p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;
    if (p[0] < 0x20 || p[0] == 0x7F || p[0] > 0xF4 || (p[0] == 0xC2 && p[1] < 0xA0)) {
        return 0;
    }
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    return n;
}

static void make_printable(char *text)
{
    for (unsigned char *p = (unsigned char *)text; *p != '\0';) {
        size_t n = character_length(p);
        if (n == 0) {
            *p = '?';
            n = 1;
        }
        p += n;
    }
}

bool config_error_set(struct config_error *err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(err->text, sizeof(err->text), format, args);
    va_end(args);
    make_printable(err->text);
    return false;
}

bool config_error_prefix(struct config_error *err, const char *prefix)
{
    struct config_error old = *err;
    return config_error_set(err, "%s%s", prefix, old.text);
}

void text_out_add(struct text_out *out, const char *text)
{
    for (; *text != '\0'; text++, out->len++) {
        if (out->size > 0 && out->len < out->size - 1) {
            out->buf[out->len] = *text;
        }
    }
    if (out->size > 0) {
        out->buf[out->len < out->size ? out->len : out->size - 1] = '\0';
    }
}

void text_out_int(struct text_out *out, int64_t value)
{
    char digits[24];
    snprintf(digits, sizeof(digits), "%" PRId64, value);
    text_out_add(out, digits);
}
