/*
 * What SHOW MIGRATIONS shows: the online schema changes that sessions of this shim wait for, and
 * the last ones that ended. Any thread.
 */
#ifndef VTSHIM_PROXY_MIGRATIONS_H
#define VTSHIM_PROXY_MIGRATIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "planner/names.h"

struct migrations;

#define MIGRATION_NAME_MAX     65 /* of tables: MySQL's 64 characters and a NUL */
#define MIGRATION_STAGE_MAX    64
#define MIGRATION_MORE_MAX     32 /* tables of a DROP TABLE besides the first that are kept in mind */
#define MIGRATION_BLOCKERS_MAX 8 /* sessions named of those that a drain waited for */
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

/* What an operator wants of a managed cut-over; the last one counts. */
enum migration_wish {
    WISH_NONE,
    WISH_NOW,  /* as soon as all shards are ready: no window, no waiting after a drain put off */
    WISH_LATER /* not before WISH_NOW */
};

/* Sessions whose transactions, or statements, have touched the table. */
struct migration_blockers {
    uint32_t n;                                /* all of them, those of other shims too */
    uint64_t sessions[MIGRATION_BLOCKERS_MAX]; /* the first ones of this shim; else 0 */
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
    bool keyspaces;       /* a DROP that names tables of others, too */
    bool managed;         /* the shim decides when it cuts over */
    bool attached;        /* it only watches what another session, or shim, sees to */
    bool postponed;       /* managed: its user, or an operator, postponed it before it came here */
    uint32_t threshold_s; /* managed: --cut-over-threshold as it was submitted */
    uint32_t shards, shards_complete;
    uint32_t progress;                  /* percent, of the slowest shard */
    uint32_t shards_ready;              /* could cut over, or have */
    char stage[MIGRATION_STAGE_MAX];    /* what it is doing or waiting for, in words */
    char slowest[64];                   /* the shard with the least progress */
    char still[64];                     /* one on which nothing moves (standstill.h), or empty */
    char throttled[160];                /* why one shard is held up by the throttler, or was last */
    uint64_t rows_copied, table_rows;   /* of all shards */
    int64_t eta_s;                      /* of the slowest shard; -1: not known */
    uint32_t attempts;                  /* the most cut-overs that Vitess tried on a shard */
    uint32_t drains;                    /* cut-overs of the shim that were put off */
    struct migration_blockers blockers; /* what put off the last one */
    enum migration_wish wish;           /* set by migrations_set_wish for its copy only */
    uint32_t queue; /* migrations of its table that come first; 0: it waits for none */
    uint16_t code;  /* of the client's error, or 0 */
    int64_t started_ms, ended_ms; /* CLOCK_MONOTONIC; ended_ms 0: under way */
};

struct migrations *migrations_create(void);
void migrations_destroy(struct migrations *ms);

/* Adds a copy and sets r->id in it and in *r; one that is postponed begins with WISH_LATER. more:
 * names of tables besides r->table; copied. */
void migrations_add(struct migrations *ms, struct migration_record *r,
                    char (*more)[MIGRATION_NAME_MAX], size_t n);

/* Tables that foreign keys or views tie to those of that one. Added to the ones before; copied. */
void migrations_relate(struct migrations *ms, uint64_t id, char (*names)[MIGRATION_NAME_MAX],
                       size_t n);

/* Names in that one's statement which may be tables that it reads: a view's query, REFERENCES. */
void migrations_mention(struct migrations *ms, uint64_t id, const struct names *mentions);

/* Whether that one creates, alters or drops the table. */
bool migrations_touches(struct migrations *ms, uint64_t id, const char *table);

/* Whether that one and a migration of that table (of the same keyspace) which mentions these names
   (or NULL) must not run side by side. */
bool migrations_conflicts(struct migrations *ms, uint64_t id, const char *table,
                          const struct names *mentions);

/* How many were added before that one, are still under way, and touch one of its tables, or one
   that foreign keys or views tie to them (of a
   keyspace that is not known: of any). *first: the uuid of the oldest, if it has one. */
size_t migrations_ahead(struct migrations *ms, uint64_t id, char first[64]);

/* Whether one that is under way touches that table; a keyspace that is not known ("") is any. */
bool migrations_touching(struct migrations *ms, const char *keyspace, const char *table);

/* Whether one that is under way has that context. */
bool migrations_follows(struct migrations *ms, const char *context);

/* Replaces the record of that id; unknown ids (long ended) are ignored. */
void migrations_update(struct migrations *ms, const struct migration_record *r);

/* --- wishes of operators --------------------------------------------------------------------- */

/* Of the migration with that uuid which is under way here and managed, and a copy of its record in
 *r. False: there is none. */
bool migrations_set_wish(struct migrations *ms, const char *uuid, enum migration_wish wish,
                         struct migration_record *r);

/* The wish for that one, and in *count how many there have been: to tell a new one by. */
enum migration_wish migrations_wish(struct migrations *ms, uint64_t id, unsigned *count);

/* What comes of a wish that was just set, in words. */
void migration_wish_format(const struct migration_record *r, char *dst, size_t size);

/* Whether one under way in that keyspace (a session's target; "": any) is managed: its uuid. */
bool migrations_any_managed(struct migrations *ms, const char *keyspace, char uuid[64]);

/* Replaces what is known of its shards. */
void migrations_set_shards(struct migrations *ms, uint64_t id, const struct migration_shard *shards,
                           size_t n);

/* The migration with that uuid: of several records the one of who sees to it, else the youngest
   under way, else the youngest; *shards is a copy, free() it. False: there is none. */
bool migrations_find(struct migrations *ms, const char *uuid, struct migration_record *r,
                     struct migration_shard **shards, size_t *n);

/* The stage of who sees to the migration with that uuid, if that is a session here which knows one.
   False: it is elsewhere. */
bool migrations_leader_stage(struct migrations *ms, const char *uuid,
                             char stage[MIGRATION_STAGE_MAX]);

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
    uint64_t still; /* of these: nothing moves any more on one of their shards */
};

void migrations_stats(struct migrations *ms, struct migration_stats *stats);

/* "5,9,12", and ",..." behind it if there are more. */
void migration_blockers_format(const struct migration_blockers *b, char *dst, size_t size);

/* A copy of all, oldest first; *n is their number. free() it. */
struct migration_record *migrations_copy(struct migrations *ms, size_t *n);

#endif
