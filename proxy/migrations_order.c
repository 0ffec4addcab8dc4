/*
 * Which migrations must not run side by side, and what operators wish of managed ones.
 */
#include <stdio.h>
#include <string.h>

#include "planner/target.h"
#include "proxy/memory.h"
#include "proxy/migrations_internal.h"

/* --- who comes first ------------------------------------------------------------------------- */

static bool touches(const struct item *it, const char *table)
{
    if (strcmp(it->record.table, table) == 0)
        return true;
    for (size_t i = 0; i < it->more_count; i++) {
        if (strcmp(it->more[i], table) == 0)
            return true;
    }
    return false;
}

static struct item *find_item(struct migrations *ms, uint64_t id)
{
    struct item *it;

    TAILQ_FOREACH(it, &ms->items, link)
    {
        if (it->record.id == id)
            break;
    }
    return it;
}

/* Whether its statement reads that table, or foreign keys or views tie it to one of its own. */
static bool is_tied(const struct item *it, const char *table)
{
    for (size_t i = 0; i < it->related_count; i++) {
        if (strcmp(it->related[i], table) == 0)
            return true;
    }
    return it->mentions && names_may_contain(it->mentions, table, strlen(table));
}

/* Whether one of its tables is among those names. */
static bool is_mentioned(const struct item *it, const struct names *names)
{
    bool found = names_may_contain(names, it->record.table, strlen(it->record.table));

    for (size_t i = 0; i < it->more_count; i++)
        found = found || names_may_contain(names, it->more[i], strlen(it->more[i]));
    return found;
}

/* Whether a table of b's is one of a's, or tied to one. */
static bool concerns(const struct item *a, const struct item *b)
{
    bool found = touches(a, b->record.table) || is_tied(a, b->record.table);

    for (size_t i = 0; i < b->more_count; i++)
        found = found || touches(a, b->more[i]) || is_tied(a, b->more[i]);
    return found;
}

static bool same_table(const struct item *a, const struct item *b)
{
    if (*a->record.keyspace && *b->record.keyspace && !a->record.keyspaces &&
        !b->record.keyspaces && strcmp(a->record.keyspace, b->record.keyspace) != 0)
        return false;
    return concerns(a, b) || concerns(b, a);
}

void migrations_relate(struct migrations *ms, uint64_t id, char (*names)[MIGRATION_NAME_MAX],
                       size_t n)
{
    pthread_mutex_lock(&ms->lock);
    struct item *it = find_item(ms, id);

    if (it && n > 0) {
        it->related = memory_resize(it->related, (it->related_count + n) * sizeof(*it->related));
        memcpy(it->related + it->related_count, names, n * sizeof(*names));
        it->related_count += n;
    }
    pthread_mutex_unlock(&ms->lock);
}

void migrations_mention(struct migrations *ms, uint64_t id, const struct names *mentions)
{
    pthread_mutex_lock(&ms->lock);
    struct item *it = find_item(ms, id);

    if (it && !it->mentions) {
        it->mentions = memory_zalloc(sizeof(*it->mentions));
        *it->mentions = *mentions;
    }
    pthread_mutex_unlock(&ms->lock);
}

bool migrations_touches(struct migrations *ms, uint64_t id, const char *table)
{
    pthread_mutex_lock(&ms->lock);
    const struct item *it = find_item(ms, id);
    bool found = it && touches(it, table);

    pthread_mutex_unlock(&ms->lock);
    return found;
}

bool migrations_conflicts(struct migrations *ms, uint64_t id, const char *table,
                          const struct names *mentions)
{
    pthread_mutex_lock(&ms->lock);
    const struct item *it = find_item(ms, id);
    bool found = it && (touches(it, table) || is_tied(it, table) ||
                        (mentions && is_mentioned(it, mentions)));

    pthread_mutex_unlock(&ms->lock);
    return found;
}

size_t migrations_ahead(struct migrations *ms, uint64_t id, char first[64])
{
    const struct item *it, *own;
    size_t ahead = 0;

    *first = '\0';
    pthread_mutex_lock(&ms->lock);
    TAILQ_FOREACH(own, &ms->items, link)
    {
        if (own->record.id == id)
            break;
    }
    TAILQ_FOREACH(it, &ms->items, link)
    {
        if (it == own || !own)
            break;
        if (it->record.ended_ms || !same_table(it, own))
            continue;
        if (ahead++ == 0)
            memcpy(first, it->record.uuid, 64);
    }
    pthread_mutex_unlock(&ms->lock);
    return ahead;
}

bool migrations_touching(struct migrations *ms, const char *keyspace, const char *table)
{
    const struct item *it;
    bool found = false;

    pthread_mutex_lock(&ms->lock);
    TAILQ_FOREACH(it, &ms->items, link)
    {
        bool elsewhere = *keyspace && *it->record.keyspace && !it->record.keyspaces &&
                         strcmp(keyspace, it->record.keyspace) != 0;

        found = found || (!it->record.ended_ms && !elsewhere && touches(it, table));
    }
    pthread_mutex_unlock(&ms->lock);
    return found;
}

bool migrations_follows(struct migrations *ms, const char *context)
{
    const struct item *it;
    bool found = false;

    pthread_mutex_lock(&ms->lock);
    TAILQ_FOREACH(it, &ms->items, link)
    found = found || (!it->record.ended_ms && strcmp(it->record.context, context) == 0);
    pthread_mutex_unlock(&ms->lock);
    return found;
}

/* --- wishes of operators --------------------------------------------------------------------- */

static bool is_managed(const struct item *it)
{
    return it->record.managed && !it->record.attached && !it->record.ended_ms;
}

bool migrations_set_wish(struct migrations *ms, const char *uuid, enum migration_wish wish,
                         struct migration_record *r)
{
    struct item *it;

    pthread_mutex_lock(&ms->lock);
    TAILQ_FOREACH(it, &ms->items, link)
    {
        if (is_managed(it) && *uuid && migrations_item_has_uuid(it, uuid))
            break;
    }
    if (it) {
        it->wish = wish;
        it->wishes++;
        *r = it->record;
        r->wish = wish;
    }
    pthread_mutex_unlock(&ms->lock);
    return it != NULL;
}

enum migration_wish migrations_wish(struct migrations *ms, uint64_t id, unsigned *count)
{
    enum migration_wish wish = WISH_NONE;
    const struct item *it;

    *count = 0;
    pthread_mutex_lock(&ms->lock);
    TAILQ_FOREACH(it, &ms->items, link)
    {
        if (it->record.id != id)
            continue;
        wish = it->wish;
        *count = it->wishes;
        break;
    }
    pthread_mutex_unlock(&ms->lock);
    return wish;
}

void migration_wish_format(const struct migration_record *r, char *dst, size_t size)
{
    bool ready = r->shards > 0 && r->shards_ready >= r->shards;

    snprintf(dst, size, "migration '%s' is managed by this shim: it cuts over %s%s", r->uuid,
             r->wish == WISH_LATER ? "at COMPLETE, unless it has begun to"
             : ready               ? "as soon as the transactions on its table have ended"
                                   : "as soon as all shards are ready",
             r->wish == WISH_LATER || ready ? "" : " and its transactions have ended");
}

bool migrations_any_managed(struct migrations *ms, const char *keyspace, char uuid[64])
{
    size_t len = target_keyspace(keyspace).len;
    const struct item *it;

    pthread_mutex_lock(&ms->lock);
    TAILQ_FOREACH(it, &ms->items, link)
    {
        if (is_managed(it) && (len == 0 || (strlen(it->record.keyspace) == len &&
                                            memcmp(it->record.keyspace, keyspace, len) == 0)))
            break;
    }
    if (it)
        memcpy(uuid, it->record.uuid, 64);
    pthread_mutex_unlock(&ms->lock);
    return it != NULL;
}
