/*
 * What an unknown key may have been meant to be: the known key with the fewest slips of the pen
 * (letters added, left out, changed, or two exchanged), or the one that only lacks its group.
 */
#include "config/suggest.h"

#include "config/support.h"

#include <string.h>

static size_t min_of(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Damerau's distance (adjacent letters exchanged count once) of two texts shorter than
   SUGGEST_KEY_MAX. */
static size_t distance(const char *a, const char *b)
{
    size_t rows[3][SUGGEST_KEY_MAX]; /* this row of the matrix and the two before it */
    size_t la = strlen(a), lb = strlen(b);
    size_t *before = rows[0], *last = rows[1], *now = rows[2];
    for (size_t j = 0; j <= lb; j++) {
        last[j] = j;
        before[j] = j;
    }
    for (size_t i = 1; i <= la; i++) {
        now[0] = i;
        for (size_t j = 1; j <= lb; j++) {
            now[j] = min_of(min_of(last[j], now[j - 1]) + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                now[j] = min_of(now[j], before[j - 2] + 1);
            }
        }
        size_t *oldest = before;
        before = last;
        last = now;
        now = oldest;
    }
    return last[lb];
}

/* The length of the group of a key, up to its first dot; 0: it has none. */
static size_t group_length(const char *key)
{
    const char *dot = strchr(key, '.');
    return dot != NULL ? (size_t)(dot - key) : 0;
}

bool suggest_is_group(const char *name)
{
    size_t n;
    const struct option_row *rows = options_table(&n);
    for (size_t i = 0; i < n; i++) {
        size_t len = group_length(rows[i].key);
        if (len > 0 && strlen(name) == len && strncmp(rows[i].key, name, len) == 0) {
            return true;
        }
    }
    return false;
}

/* Makes name the best candidate so far if it is. */
static void consider(const char *key, const char *name, size_t len, size_t *best, char *buf)
{
    char candidate[SUGGEST_KEY_MAX];
    if (len >= sizeof(candidate)) {
        return;
    }
    memcpy(candidate, name, len);
    candidate[len] = '\0';
    size_t d = distance(key, candidate);
    if (d < *best) {
        *best = d;
        memcpy(buf, candidate, len + 1);
    }
}

bool suggest_key(const char *key, char *buf)
{
    size_t n, len = strlen(key);
    const struct option_row *rows = options_table(&n);
    size_t best = min_of(len / 3, 3) + 1; /* more slips than this, and it is another word */
    size_t limit = best;
    if (len >= SUGGEST_KEY_MAX) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        const char *known = rows[i].key;
        size_t group = group_length(known);
        if (group > 0 && strcmp(known + group + 1, key) == 0) {
            memcpy(buf, known, strlen(known) + 1);
            return true;
        }
        consider(key, known, strlen(known), &best, buf);
        if (group > 0) {
            consider(key, known, group, &best, buf);
        }
    }
    return best < limit;
}

bool suggest_unknown(const char *key, struct config_error *err)
{
    char known[SUGGEST_KEY_MAX];
    if (suggest_is_group(key)) {
        return config_error_set(err, "%s: is a group of settings, not one of them", key);
    }
    if (suggest_key(key, known)) {
        return config_error_set(err, "%.100s: unknown setting (did you mean %s?)", key, known);
    }
    return config_error_set(err, "%.100s: unknown setting", key[0] != '\0' ? key : "\"\"");
}
