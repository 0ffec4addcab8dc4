/*
 * What the files of the list share: migrations.c (what is kept and shown) and migrations_order.c
 * (who comes first, what operators wish). For them only.
 */
#ifndef VTSHIM_PROXY_MIGRATIONS_INTERNAL_H
#define VTSHIM_PROXY_MIGRATIONS_INTERNAL_H

#include <pthread.h>
#include <sys/queue.h>

#include "proxy/migrations.h"

struct item {
    TAILQ_ENTRY(item) link;
    struct migration_record record;
    char (*more)[MIGRATION_NAME_MAX]; /* tables besides the record's; owned */
    size_t more_count;
    char (*related)[MIGRATION_NAME_MAX]; /* tied to them by foreign keys or views; owned */
    size_t related_count;
    struct names *mentions;         /* owned; or NULL */
    struct migration_shard *shards; /* owned */
    size_t shard_count;
    enum migration_wish wish;
    unsigned wishes;
};

struct migrations {
    pthread_mutex_t lock;
    TAILQ_HEAD(items, item) items;
    size_t n, ended;
    uint64_t last_id;
    struct migration_stats stats; /* but for `running` */
};

bool migrations_item_has_uuid(const struct item *it, const char *uuid);

#endif
