/*
 * A table with open addressing that forgets the rarest when it is full, and halves all counts now
 * and then, so that what was frequent yesterday does not count for ever.
 */
#include "proxy/shapes.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "planner/sample.h"
#include "proxy/memory.h"
#include "proxy/server.h"
#include "proxy/worker.h"

#define SLOTS       (2 * SHAPES_MAX) /* a power of two */
#define SEEN        16               /* what a sample counts; a PREPARE counts 1 */
#define HALVE_AFTER (1u << 20)
#define TARGET_MAX  256

struct shapes {
    struct shape *slots[SLOTS]; /* NULL: free */
    size_t n;
    uint64_t counted;
};

/* --- the table ------------------------------------------------------------------------------- */

/* FNV-1a. */
static uint64_t hash(uint64_t h, const char *p, size_t len)
{
    for (size_t i = 0; i < len; i++)
        h = (h ^ (unsigned char)p[i]) * 0x100000001B3u;
    return h;
}

static uint64_t shape_id(bool prepared, const char *target, const char *sql, size_t len)
{
    uint64_t h = hash(0xCBF29CE484222325u ^ prepared, target, strlen(target) + 1);

    h = hash(h, sql, len);
    return h ? h : 1;
}

/* The slot of that id, or the free one where it would be. */
static size_t find_slot(const struct shapes *sh, uint64_t id)
{
    size_t at = id % SLOTS;

    while (sh->slots[at] && sh->slots[at]->id != id)
        at = (at + 1) % SLOTS;
    return at;
}

static void shape_fini(struct shape *s)
{
    free(s->target);
    free(s->text);
}

/* What comes behind a slot that gets free may have its own place before it. */
static void remove_slot(struct shapes *sh, size_t at)
{
    shape_fini(sh->slots[at]);
    free(sh->slots[at]);
    sh->slots[at] = NULL;
    sh->n--;
    for (size_t next = (at + 1) % SLOTS; sh->slots[next]; next = (next + 1) % SLOTS) {
        struct shape *s = sh->slots[next];

        sh->slots[next] = NULL;
        sh->slots[find_slot(sh, s->id)] = s;
    }
}

static void remove_rarest(struct shapes *sh)
{
    size_t rarest = SLOTS;

    for (size_t i = 0; i < SLOTS; i++) {
        if (sh->slots[i] && (rarest == SLOTS || sh->slots[i]->count < sh->slots[rarest]->count))
            rarest = i;
    }
    remove_slot(sh, rarest);
}

static void count(struct shapes *sh, struct shape *s, unsigned by)
{
    s->count += by;
    sh->counted += by;
    if (sh->counted < HALVE_AFTER)
        return;
    sh->counted = 0;
    for (size_t i = 0; i < SLOTS; i++) {
        if (sh->slots[i])
            sh->slots[i]->count /= 2;
    }
}

static uint64_t note(struct shapes *sh, bool prepared, const char *target, const char *sql,
                     size_t len, unsigned by)
{
    if (!target)
        target = "";
    if (strlen(target) > TARGET_MAX)
        return 0;
    uint64_t id = shape_id(prepared, target, sql, len);
    size_t at = find_slot(sh, id);

    if (!sh->slots[at]) {
        if (sh->n == SHAPES_MAX)
            remove_rarest(sh);
        at = find_slot(sh, id);
        sh->slots[at] = memory_zalloc(sizeof(**sh->slots));
        *sh->slots[at] = (struct shape){.id = id,
                                        .prepared = prepared,
                                        .target = memory_copy(target, strlen(target)),
                                        .text = memory_copy(sql, len),
                                        .len = len};
        sh->n++;
    }
    count(sh, sh->slots[at], by);
    return id;
}

struct shapes *shapes_create(void)
{
    return memory_zalloc(sizeof(struct shapes));
}

void shapes_destroy(struct shapes *sh)
{
    if (!sh)
        return;
    for (size_t i = 0; i < SLOTS; i++) {
        if (sh->slots[i])
            shape_fini(sh->slots[i]);
        free(sh->slots[i]);
    }
    free(sh);
}

void shapes_note_text(struct shapes *sh, const char *target, const char *sql, size_t len)
{
    char text[SAMPLE_MAX];
    size_t n = sample_text(text, sizeof(text), sql, len);

    if (n > 0)
        note(sh, false, target, text, n, SEEN);
}

uint64_t shapes_note_prepare(struct shapes *sh, const char *target, const char *sql, size_t len)
{
    sql = sample_trim(sql, &len);
    return len > 0 && len <= SAMPLE_MAX ? note(sh, true, target, sql, len, 1) : 0;
}

void shapes_note_execute(struct shapes *sh, uint64_t id)
{
    size_t at = find_slot(sh, id);

    if (id && sh->slots[at])
        count(sh, sh->slots[at], SEEN);
}

/* --- of all workers -------------------------------------------------------------------------- */

struct collect {
    pthread_mutex_t lock; /* of all, while the workers add theirs */
    struct shape_list *list;
    size_t room, max;
    shapes_done_fn *done;
    void *arg;
};

static void add(struct collect *c, const struct shape *s)
{
    struct shape_list *list = c->list;

    for (size_t i = 0; i < list->n; i++) {
        if (list->items[i].id == s->id) {
            list->items[i].count += s->count;
            return;
        }
    }
    if (list->n == c->room) {
        c->room = c->room ? 2 * c->room : 64;
        list->items = memory_resize(list->items, c->room * sizeof(*list->items));
    }
    struct shape *copy = &list->items[list->n++];

    *copy = *s;
    copy->target = memory_copy(s->target, strlen(s->target));
    copy->text = memory_copy(s->text, s->len);
}

static void collect_one(void *context, void *arg)
{
    const struct worker *w = context;
    struct collect *c = arg;

    pthread_mutex_lock(&c->lock);
    for (size_t i = 0; i < SLOTS; i++) {
        if (w->shapes->slots[i])
            add(c, w->shapes->slots[i]);
    }
    pthread_mutex_unlock(&c->lock);
}

static int compare(const void *a, const void *b)
{
    const struct shape *x = a, *y = b;

    return x->count < y->count ? 1 : x->count > y->count ? -1 : 0;
}

static void collected(void *context, void *arg)
{
    struct collect *c = arg;
    struct shape_list *list = c->list;

    (void)context;
    if (list->n > 0)
        qsort(list->items, list->n, sizeof(*list->items), compare);
    while (list->n > c->max)
        shape_fini(&list->items[--list->n]);
    c->done(c->arg, list);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

void shapes_collect(struct server *server, size_t max, shapes_done_fn *done, void *arg)
{
    struct collect *c = memory_zalloc(sizeof(*c));

    pthread_mutex_init(&c->lock, NULL);
    c->list = memory_zalloc(sizeof(*c->list));
    c->max = max;
    c->done = done;
    c->arg = arg;
    server_broadcast(server, collect_one, collected, c);
}

void shape_list_free(struct shape_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        shape_fini(&list->items[i]);
    free(list->items);
    free(list);
}
