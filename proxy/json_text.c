/*
 * What is UTF-8 is for jansson to say: it refuses what is not.
 */
#include "proxy/json_text.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/memory.h"

#define UTF8_MAX 4 /* bytes of a character */

/* Of the character that stands there; 0: there is none. */
static size_t character(const char *p)
{
    size_t left = strnlen(p, UTF8_MAX);

    for (size_t n = 1; n <= left; n++) {
        json_t *one = json_stringn(p, n);

        json_decref(one);
        if (one)
            return n;
    }
    return 0;
}

json_t *json_text(const char *text)
{
    json_t *value = json_string(text);

    if (value)
        return value;
    char *clean = memory_copy(text, strlen(text));

    for (char *p = clean; *p;) {
        size_t n = character(p);

        if (n == 0)
            *p = '?';
        p += n ? n : 1;
    }
    value = json_string(clean);
    free(clean);
    return value;
}
