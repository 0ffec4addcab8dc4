/*
 * Finds the line of a key in JSON text. Used for error messages only, so it simply walks through
 * the text each time. It does not check syntax: jansson has; but it never reads outside the text,
 * whatever that is.
 *
 * The object that is looked into is known by its depth alone: once the key path[0..m) has been
 * found, the next key at depth m + 1 belongs to its value, for keys are unique and only objects
 * have them.
 */
#include "config/lines.h"

#include <jansson.h>
#include <stdbool.h>
#include <string.h>

struct scan {
    const char *pos, *end;
    size_t line;
    size_t depth; /* of objects and arrays around pos */
};

/* A string with its quotes; pos is on the opening one. */
static const char *string_end(const char *pos, const char *end)
{
    for (pos++; pos < end && *pos != '"'; pos++) {
        if (*pos == '\\' && end - pos > 1) {
            pos++;
        }
    }
    return pos < end ? pos + 1 : end;
}

/* A string is a key if a colon follows. */
static bool is_key(const char *pos, const char *end)
{
    while (pos < end && *pos != '\0' && strchr(" \t\r\n", *pos) != NULL) {
        pos++;
    }
    return pos < end && *pos == ':';
}

/* Whether the quoted string spells key; jansson undoes the escapes if there are any. */
static bool spells(const char *quoted, size_t len, const char *key)
{
    if (memchr(quoted, '\\', len) == NULL) {
        return len == strlen(key) + 2 && memcmp(quoted + 1, key, len - 2) == 0;
    }
    json_t *decoded = json_loadb(quoted, len, JSON_DECODE_ANY, NULL);
    bool same = json_is_string(decoded) && strcmp(json_string_value(decoded), key) == 0;
    json_decref(decoded);
    return same;
}

/* Moves to the next key and past it; its length, quotes included, or 0 at the end of the text. */
static size_t next_key(struct scan *s, const char **quoted)
{
    while (s->pos < s->end) {
        const char *start = s->pos;
        char c = *start;
        if (c == '"') {
            s->pos = string_end(start, s->end);
            if (is_key(s->pos, s->end)) {
                *quoted = start;
                return (size_t)(s->pos - start);
            }
            continue;
        }
        s->line += c == '\n';
        s->depth += c == '{' || c == '[';
        s->depth -= s->depth > 0 && (c == '}' || c == ']');
        s->pos++;
    }
    return 0;
}

size_t lines_of_key(const char *text, size_t len, const char *const *path, size_t n)
{
    struct scan s = {text, text + len, 1, 0};
    const char *quoted = NULL;
    size_t found = 0, key_len;
    while (found < n && (key_len = next_key(&s, &quoted)) > 0) {
        if (s.depth == found + 1 && spells(quoted, key_len, path[found])) {
            found++;
        }
    }
    return n > 0 && found == n ? s.line : 0;
}
