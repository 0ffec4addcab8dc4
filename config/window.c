/*
 * Windows of the day.
 */
#include "config/window.h"

#include <stddef.h>

#define DAY_S 86400

/* Two digits, at most `max`. */
static bool read_two(const char **at, int max, int *value)
{
    const char *p = *at;

    if (p[0] < '0' || p[0] > '9' || p[1] < '0' || p[1] > '9')
        return false;
    *value = (p[0] - '0') * 10 + (p[1] - '0');
    *at += 2;
    return *value <= max;
}

static bool read_minute(const char **at, int *minute)
{
    int hours, minutes;

    if (!read_two(at, 23, &hours) || **at != ':')
        return false;
    ++*at;
    if (!read_two(at, 59, &minutes))
        return false;
    *minute = hours * 60 + minutes;
    return true;
}

bool window_parse(struct window *w, const char *text)
{
    if (!read_minute(&text, &w->from) || *text != '-')
        return false;
    text++;
    return read_minute(&text, &w->to) && *text == '\0';
}

static int64_t second_of_day(int64_t now_s)
{
    return ((now_s % DAY_S) + DAY_S) % DAY_S;
}

bool window_contains(const struct window *w, int64_t now_s)
{
    int64_t minute = second_of_day(now_s) / 60;

    if (w->from == w->to)
        return true;
    if (w->from < w->to)
        return minute >= w->from && minute < w->to;
    return minute >= w->from || minute < w->to;
}

bool windows_open(const struct string_list *windows, int64_t now_s, int64_t *opens_in_s)
{
    bool any = false;

    *opens_in_s = 0;
    for (size_t i = 0; i < windows->n; i++) {
        struct window w;

        if (!window_parse(&w, windows->items[i]))
            continue;
        if (window_contains(&w, now_s))
            return true;
        int64_t wait = (w.from * 60 - second_of_day(now_s) + DAY_S) % DAY_S;

        if (!any || wait < *opens_in_s)
            *opens_in_s = wait;
        any = true;
    }
    return !any;
}
