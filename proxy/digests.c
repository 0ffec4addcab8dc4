/*
 * A small table behind a lock that is taken for one statement in a few hundred.
 */
#include "proxy/digests.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "planner/digest.h"
#include "proxy/memory.h"

#define ROWS_MAX 200

struct digests {
    pthread_mutex_t lock; /* of what follows */
    struct digest_row rows[ROWS_MAX];
    size_t n;
};

struct digests *digests_create(void)
{
    struct digests *d = memory_zalloc(sizeof(*d));

    pthread_mutex_init(&d->lock, NULL);
    return d;
}

void digests_destroy(struct digests *d)
{
    if (!d)
        return;
    pthread_mutex_destroy(&d->lock);
    free(d);
}

/* The row of that text, a new one, or the one that has to make way for it. */
static struct digest_row *row_of(struct digests *d, const char *text, int64_t now_ms)
{
    struct digest_row *least = &d->rows[0];

    for (size_t i = 0; i < d->n; i++) {
        if (strcmp(d->rows[i].text, text) == 0)
            return &d->rows[i];
        if (d->rows[i].seen < least->seen ||
            (d->rows[i].seen == least->seen && d->rows[i].last_ms < least->last_ms))
            least = &d->rows[i];
    }
    if (d->n < ROWS_MAX)
        least = &d->rows[d->n++];
    *least = (struct digest_row){.first_ms = now_ms};
    memcpy(least->text, text, strlen(text) + 1);
    return least;
}

void digests_note(struct digests *d, const char *sql, size_t len, int64_t now_ms)
{
    char text[DIGEST_TEXT_MAX];

    if (statement_digest(text, sizeof(text), sql, len) == 0)
        return;
    pthread_mutex_lock(&d->lock);
    struct digest_row *row = row_of(d, text, now_ms);

    row->seen++;
    row->last_ms = now_ms;
    pthread_mutex_unlock(&d->lock);
}

static int by_frequency(const void *a, const void *b)
{
    const struct digest_row *left = a, *right = b;

    return left->seen == right->seen ? strcmp(left->text, right->text)
                                     : (left->seen < right->seen) - (left->seen > right->seen);
}

struct digest_row *digests_copy(struct digests *d, size_t *n)
{
    pthread_mutex_lock(&d->lock);
    *n = d->n;
    struct digest_row *copy = memory_zalloc((d->n + 1) * sizeof(*copy));

    memcpy(copy, d->rows, d->n * sizeof(*copy));
    pthread_mutex_unlock(&d->lock);
    qsort(copy, *n, sizeof(*copy), by_frequency);
    return copy;
}
