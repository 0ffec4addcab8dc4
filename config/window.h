/*
 * Times of day in UTC, such as "02:00-04:00": from its first minute on, up to and without its last.
 * One that ends before it begins goes past midnight; one with the same minute twice is the whole
 * day. Pure: the caller says what time it is.
 */
#ifndef VTSHIM_CONFIG_WINDOW_H
#define VTSHIM_CONFIG_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#include "config/options.h"

struct window {
    int from, to; /* minutes since midnight, 0 to 1439 */
};

/* HH:MM-HH:MM with two digits each, 00:00 to 23:59, and nothing else. */
bool window_parse(struct window *w, const char *text);

/* Whether that time, in seconds since 1970 (UTC), lies within the window. */
bool window_contains(const struct window *w, int64_t now_s);

/*
 * Whether one of these windows is open; true when there is none at all. Else *opens_in_s becomes
 * the number of seconds until the first of them opens. Texts that are no windows are passed over.
 */
bool windows_open(const struct string_list *windows, int64_t now_s, int64_t *opens_in_s);

#endif
