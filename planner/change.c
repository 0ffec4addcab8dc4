/*
 * Matching of changes, and of errors that tell of one.
 */
#include "planner/change.h"

#include <string.h>

#include "planner/ascii.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* --- which statements one concerns ----------------------------------------------------------- */

static bool concerns(const struct change *t, const struct change_subject *s)
{
    if (*t->keyspace && s->database && !hold_database_may_be(s->database, t->keyspace) &&
        !(s->names && names_may_contain(s->names, t->keyspace, strlen(t->keyspace))))
        return false;
    if (t->table_count == 0 || !s->names)
        return true;
    for (size_t i = 0; i < t->table_count; i++) {
        if (names_may_contain(s->names, t->tables[i], strlen(t->tables[i])))
            return true;
    }
    return false;
}

enum change_state change_find(const struct change_set *set, const struct change_subject *subject,
                              int64_t now_ms, int64_t within_ms, const struct change **which)
{
    enum change_state state = CHANGE_NONE;

    if (set->n == 0 || set->last_ms < now_ms - within_ms)
        return state;
    for (size_t i = 0; i < set->n && state != CHANGE_UNDER_WAY; i++) {
        const struct change *t = &set->items[i];

        if ((t->ended_ms != 0 && t->ended_ms < now_ms - within_ms) || !concerns(t, subject))
            continue;
        state = t->ended_ms ? CHANGE_RECENT : CHANGE_UNDER_WAY;
        if (which)
            *which = t;
    }
    return state;
}

bool change_may_be(const struct change_set *set, const struct change_subject *subject,
                   int64_t now_ms, int64_t within_ms)
{
    bool known = false;

    for (size_t i = 0; i < set->n; i++) {
        const struct change *t = &set->items[i];

        known = known || (t->source != CHANGE_ERROR &&
                          (t->ended_ms == 0 || t->ended_ms >= now_ms - within_ms));
    }
    return !known || change_find(set, subject, now_ms, within_ms, NULL) != CHANGE_NONE;
}

void change_add_table(struct change *t, const char *name, size_t len)
{
    if (t->table_count == CHANGE_TABLES || len >= HOLD_NAME_MAX) {
        t->table_count = 0;
        t->many = true;
    }
    if (t->many)
        return;
    memcpy(t->tables[t->table_count], name, len);
    t->tables[t->table_count++][len] = '\0';
}

/* --- errors ---------------------------------------------------------------------------------- */

static const struct {
    uint16_t code;
    const char *text;
    enum change_kind kind;
} ERRORS[] = {
#define CHANGE_ERROR_TEXT(number, words, of) {number, words, of},
#include "planner/change.def"
#undef CHANGE_ERROR_TEXT
};

static bool contains(const char *text, size_t len, const char *words)
{
    size_t n = strlen(words);

    for (size_t i = 0; i + n <= len; i++) {
        size_t k = 0;

        while (k < n && ascii_upper(text[i + k]) == ascii_upper(words[k]))
            k++;
        if (k == n)
            return true;
    }
    return false;
}

bool change_suspected(uint16_t code, const char *text, size_t len, enum change_kind *kind)
{
    for (size_t i = 0; i < COUNT(ERRORS); i++) {
        if ((ERRORS[i].code == 0 || ERRORS[i].code == code) &&
            contains(text, len, ERRORS[i].text)) {
            *kind = ERRORS[i].kind;
            return true;
        }
    }
    return false;
}
