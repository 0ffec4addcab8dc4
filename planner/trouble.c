/*
 * A set-associative table: a key has its place in one row of four.
 */
#include "planner/trouble.h"

uint64_t trouble_key(uint64_t seed, const char *text, size_t len)
{
    uint64_t h = 0xcbf29ce484222325U ^ seed; /* FNV-1a */

    for (size_t i = 0; i < len; i++)
        h = (h ^ (unsigned char)text[i]) * 0x100000001b3U;
    return h ? h : 1;
}

static size_t row_of(uint64_t key)
{
    return (size_t)((key ^ key >> 32) % TROUBLE_ROWS);
}

static bool is_over(const struct trouble *t, int64_t now_ms, int64_t quiet_ms, int64_t lasting_ms)
{
    return now_ms - t->last_ms > (t->lasting ? lasting_ms : quiet_ms);
}

struct trouble trouble_find(const struct troubles *t, uint64_t key, int64_t now_ms,
                            int64_t quiet_ms, int64_t lasting_ms)
{
    const struct trouble *row = t->rows[row_of(key)];

    for (size_t i = 0; i < TROUBLE_WAYS; i++) {
        if (row[i].key == key && !is_over(&row[i], now_ms, quiet_ms, lasting_ms))
            return row[i];
    }
    return (struct trouble){.key = 0};
}

/* Its place, or that of the one that has been quiet for the longest. */
static struct trouble *place(struct troubles *t, uint64_t key)
{
    struct trouble *row = t->rows[row_of(key)], *oldest = row;

    for (size_t i = 0; i < TROUBLE_WAYS; i++) {
        if (row[i].key == key)
            return &row[i];
        if (row[i].key == 0 || (oldest->key != 0 && row[i].last_ms < oldest->last_ms))
            oldest = &row[i];
    }
    return oldest;
}

void trouble_note(struct troubles *t, uint64_t key, int64_t now_ms, int64_t quiet_ms,
                  int64_t lasting_ms, bool lasting)
{
    struct trouble *one = place(t, key);

    if (one->key != key || is_over(one, now_ms, quiet_ms, lasting_ms))
        *one = (struct trouble){.key = key, .first_ms = now_ms, .generation = ++t->generation};
    one->last_ms = now_ms;
    one->lasting = one->lasting || lasting;
}

void trouble_end(struct troubles *t, uint64_t key)
{
    struct trouble *one = place(t, key);

    if (one->key == key)
        *one = (struct trouble){.key = 0};
}
