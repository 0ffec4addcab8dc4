/*
 * Numbers as text, for one row of an admin command's answer.
 */
#ifndef VTSHIM_PROXY_ADMIN_VALUES_H
#define VTSHIM_PROXY_ADMIN_VALUES_H

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define ADMIN_VALUE_MAX 144

/* Begin with n = 0 for each row; each value lives as long as this, and a row has no more of them.
 */
struct admin_values {
    char text[24][ADMIN_VALUE_MAX];
    size_t n;
};

static inline char *admin_value(struct admin_values *vs)
{
    return vs->text[vs->n++ % (sizeof(vs->text) / sizeof(vs->text[0]))];
}

static inline const char *admin_number(struct admin_values *vs, int64_t v)
{
    char *text = admin_value(vs);

    snprintf(text, ADMIN_VALUE_MAX, "%" PRId64, v);
    return text;
}

/* Milliseconds as seconds with one decimal. */
static inline const char *admin_seconds(struct admin_values *vs, int64_t ms)
{
    char *text = admin_value(vs);

    snprintf(text, ADMIN_VALUE_MAX, "%.1f", (double)ms / 1000);
    return text;
}

/* NULL where there is nothing to say. */
static inline const char *admin_words(const char *text)
{
    return *text ? text : NULL;
}

static inline const char *admin_number_or_null(struct admin_values *vs, int64_t v, bool is_there)
{
    return is_there ? admin_number(vs, v) : NULL;
}

#endif
