/*
 * Texts stand one after the other, each behind its length, so that what is odd in one (a quote
 * that never ends) hides nothing of the next.
 */
#include "planner/touched.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/hold.h"

#define SIZE 1000
#define ROOM (SIZE - sizeof(struct names) - sizeof(uint64_t))

struct touched {
    struct names names; /* but for those in the texts */
    uint16_t used;
    char texts[ROOM];
};
_Static_assert(sizeof(struct touched) <= SIZE, "as large as the header says");

struct touched *touched_create(bool everything)
{
    struct touched *t = malloc(sizeof(*t));

    if (!t) {
        fputs("vtshim: out of memory\n", stderr);
        abort();
    }
    t->names = (struct names){.everything = everything};
    t->used = 0;
    return t;
}

void touched_add_names(struct touched *t, const struct names *names, const char *database)
{
    hold_touch(&t->names, names, database);
}

const struct names *touched_names(struct touched *t)
{
    uint16_t len;

    for (size_t at = 0; at < t->used; at += sizeof(len) + len) {
        struct names names;

        memcpy(&len, t->texts + at, sizeof(len));
        names_collect(&names, t->texts + at + sizeof(len), len, true);
        names_merge(&t->names, &names);
    }
    t->used = 0;
    return &t->names;
}

void touched_add_text(struct touched *t, const char *text, size_t len, const char *database)
{
    struct names names = {.everything = false};
    uint16_t kept = (uint16_t)len;

    if (t->names.everything)
        return;
    if (len > ROOM - sizeof(kept)) {
        names_collect(&names, text, len, true);
    } else {
        if (t->used + sizeof(kept) + len > ROOM)
            touched_names(t);
        memcpy(t->texts + t->used, &kept, sizeof(kept));
        memcpy(t->texts + t->used + sizeof(kept), text, len);
        t->used = (uint16_t)(t->used + sizeof(kept) + len);
    }
    hold_touch(&t->names, &names, database);
}
