/*
 * What SHOW MIGRATIONS shows: the online schema changes that sessions of this shim wait for, and
 * the last ones that ended. Any thread.
 */
#ifndef VTSHIM_PROXY_MIGRATIONS_H
#define VTSHIM_PROXY_MIGRATIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct migrations;

#define MIGRATION_NAME_MAX 65 /* of tables: MySQL's 64 characters and a NUL */
#define MIGRATION_MORE_MAX 32 /* tables of a DROP TABLE besides the first that are kept in mind */
#define MIGRATION_SHARDS_MAX                                                                       \
    128 /* rows kept of one migration; what is beyond is only summed up                            \
         */

/* One migration on one shard, as Vitess told it last. */
struct migration_shard {
    char uuid[64], shard[64];
    char status[12]; /* Vitess's */
    char stage[64];  /* Vitess's words for what it is doing */
    char throttled[160], message[160];
    uint32_t progress; /* percent */
    uint32_t attempts; /* cut-overs that Vitess tried */
    uint64_t rows_copied, table_rows;
    int64_t eta_s; /* -1: not known */
    bool ready;    /* it could cut over */
};

struct migration_record {
    uint64_t id; /* the shim's */
    uint64_t session;
    char uuid[64]; /* the first one, when a statement made several */
    char context[64];
    char keyspace[65], table[65];
    char verb[16]; /* "alter", "create", "drop" */
    char user[64];
    char status[24]; /* a Vitess status, or "submitting", "detached", "refused" */
    char message[256];
    bool keyspaces; /* a DROP that names tables of others, too */
    bool attached;  /* it only watches what another session, or shim, sees to */
    uint32_t shards, shards_complete;
    uint32_t progress;                /* percent, of the slowest shard */
    uint32_t shards_ready;            /* could cut over, or have */
    char stage[64];                   /* what it is doing or waiting for, in words */
    char slowest[64];                 /* the shard with the least progress */
    char throttled[160];              /* why one shard is held up by the throttler, or was last */
    uint64_t rows_copied, table_rows; /* of all shards */
    int64_t eta_s;                    /* of the slowest shard; -1: not known */
    uint32_t attempts;                /* the most cut-overs that Vitess tried on a shard */
    uint32_t drains;                  /* cut-overs of the shim that were put off */
    uint32_t in_the_way;              /* transactions that put off the last one */
    uint64_t in_the_way_session;      /* one of their sessions */
    uint32_t queue; /* migrations of its table that come first; 0: it waits for none */
    uint16_t code;  /* of the client's error, or 0 */
    int64_t started_ms, ended_ms; /* CLOCK_MONOTONIC; ended_ms 0: under way */
};

struct migrations *migrations_create(void);
void migrations_destroy(struct migrations *ms);

/* Adds a copy and sets r->id in it and in *r. more: names of tables besides r->table; copied. */
void migrations_add(struct migrations *ms, struct migration_record *r,
                    char (*more)[MIGRATION_NAME_MAX], size_t n);

/* How many were added before that one, are still under way, and touch one of its tables (of a
   keyspace that is not known: of any). *first: the uuid of the oldest, if it has one. */
size_t migrations_ahead(struct migrations *ms, uint64_t id, char first[64]);

/* Whether one that is under way touches that table; a keyspace that is not known ("") is any. */
bool migrations_touching(struct migrations *ms, const char *keyspace, const char *table);

/* Whether one that is under way has that context. */
bool migrations_follows(struct migrations *ms, const char *context);

/* Replaces the record of that id; unknown ids (long ended) are ignored. */
void migrations_update(struct migrations *ms, const struct migration_record *r);

/* Replaces what is known of its shards. */
void migrations_set_shards(struct migrations *ms, uint64_t id, const struct migration_shard *shards,
                           size_t n);

/* The youngest migration with that uuid; *shards is a copy, free() it. False: there is none. */
bool migrations_find(struct migrations *ms, const char *uuid, struct migration_record *r,
                     struct migration_shard **shards, size_t *n);

/* --- metrics --------------------------------------------------------------------------------- */

/* Labels: the last of each stands for any other. */
#define MIGRATION_VERBS                                                                            \
    {                                                                                              \
        "alter", "create", "drop", "other"                                                         \
    }
#define MIGRATION_OUTCOMES                                                                         \
    {                                                                                              \
        "complete", "failed", "cancelled", "refused", "detached", "abandoned", "unknown"           \
    }
#define MIGRATION_BUCKETS                                                                          \
    {                                                                                              \
        1, 5, 10, 30, 60, 300, 1800, 3600, 21600, 86400                                            \
    } /* seconds */

struct migration_stats {
    uint64_t ended[4][7]; /* by verb and outcome */
    uint64_t took[10];    /* complete ones, by bucket; not cumulative */
    uint64_t took_n;      /* all complete ones */
    uint64_t took_ms;     /* their sum */
    uint64_t running;
};

void migrations_stats(struct migrations *ms, struct migration_stats *stats);

/* A copy of all, oldest first; *n is their number. free() it. */
struct migration_record *migrations_copy(struct migrations *ms, size_t *n);

#endif
