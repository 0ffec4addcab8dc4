/*
 * A small hash table from statement ids and names to what planning needs.
 */
#include "proxy/statements.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>

#include "proxy/memory.h"

#define BUCKETS 64

struct entry {
    SLIST_ENTRY(entry) next;
    uint32_t id;
    char *name; /* NULL: by id */
    struct prepared prepared;
};

struct statements {
    size_t n;
    SLIST_HEAD(bucket, entry) buckets[BUCKETS];
};

struct statements *statements_create(void)
{
    return memory_zalloc(sizeof(struct statements));
}

static void entry_free(struct entry *e)
{
    prepared_fini(&e->prepared);
    free(e->name);
    free(e);
}

void statements_destroy(struct statements *sts)
{
    if (!sts)
        return;
    for (size_t i = 0; i < BUCKETS; i++) {
        while (!SLIST_EMPTY(&sts->buckets[i])) {
            struct entry *e = SLIST_FIRST(&sts->buckets[i]);

            SLIST_REMOVE_HEAD(&sts->buckets[i], next);
            entry_free(e);
        }
    }
    free(sts);
}

/* Names of prepared statements are not case sensitive. (MySQL manual, "PREPARE Statement") */
static size_t bucket_of(uint32_t id, struct sql_name name)
{
    if (!name.text)
        return id % BUCKETS;
    return name.len ? ((size_t)(unsigned char)name.text[0] | 0x20) % BUCKETS : 0;
}

static bool entry_is(const struct entry *e, uint32_t id, struct sql_name name)
{
    if (!name.text)
        return !e->name && e->id == id;
    return e->name && strlen(e->name) == name.len && strncasecmp(e->name, name.text, name.len) == 0;
}

static struct prepared *find(const struct statements *sts, uint32_t id, struct sql_name name)
{
    struct entry *e;

    if (!sts)
        return NULL;
    SLIST_FOREACH(e, &sts->buckets[bucket_of(id, name)], next)
    {
        if (entry_is(e, id, name))
            return &e->prepared;
    }
    return NULL;
}

static void discard(struct statements *sts, uint32_t id, struct sql_name name)
{
    struct entry *e;

    if (!sts)
        return;
    size_t b = bucket_of(id, name);

    SLIST_FOREACH(e, &sts->buckets[b], next)
    {
        if (entry_is(e, id, name)) {
            SLIST_REMOVE(&sts->buckets[b], e, entry, next);
            entry_free(e);
            sts->n--;
            return;
        }
    }
}

static void put(struct statements *sts, uint32_t id, struct sql_name name, struct prepared *p)
{
    discard(sts, id, name);
    if (sts->n >= STATEMENTS_MAX) {
        prepared_fini(p);
        return;
    }
    struct entry *e = memory_zalloc(sizeof(*e));

    e->id = id;
    e->name = name.text ? memory_copy(name.text, name.len) : NULL;
    e->prepared = *p;
    SLIST_INSERT_HEAD(&sts->buckets[bucket_of(id, name)], e, next);
    sts->n++;
}

static const struct sql_name NO_NAME = {NULL, 0};

void statements_put(struct statements *sts, uint32_t id, struct prepared *p)
{
    put(sts, id, NO_NAME, p);
}

void statements_put_named(struct statements *sts, struct sql_name name, struct prepared *p)
{
    put(sts, 0, name, p);
}

struct prepared *statements_get(const struct statements *sts, uint32_t id)
{
    return find(sts, id, NO_NAME);
}

struct prepared *statements_get_named(const struct statements *sts, struct sql_name name)
{
    return find(sts, 0, name);
}

void statements_each(const struct statements *sts, void (*fn)(void *arg, const struct prepared *p),
                     void *arg)
{
    const struct entry *e;

    for (size_t i = 0; i < BUCKETS; i++) {
        SLIST_FOREACH(e, &sts->buckets[i], next)
        fn(arg, &e->prepared);
    }
}

void statements_note_long_data(struct statements *sts, uint32_t id)
{
    struct prepared *p = find(sts, id, NO_NAME);

    if (p)
        p->long_data = true;
}

bool statements_note_run(struct statements *sts, uint32_t id)
{
    struct prepared *p = find(sts, id, NO_NAME);
    bool repeatable = p && !p->long_data;

    if (p) {
        p->long_data = false;
        p->runs++;
    }
    return repeatable;
}

void statements_remove(struct statements *sts, uint32_t id)
{
    discard(sts, id, NO_NAME);
}

void statements_remove_named(struct statements *sts, struct sql_name name)
{
    discard(sts, 0, name);
}
