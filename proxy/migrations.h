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
    bool attached; /* it only watches what another session, or shim, sees to */
    uint32_t shards, shards_complete;
    uint32_t progress;            /* percent, of the slowest shard */
    int64_t started_ms, ended_ms; /* CLOCK_MONOTONIC; ended_ms 0: under way */
};

struct migrations *migrations_create(void);
void migrations_destroy(struct migrations *ms);

/* Adds a copy and sets r->id in it and in *r. */
void migrations_add(struct migrations *ms, struct migration_record *r);

/* Replaces the record of that id; unknown ids (long ended) are ignored. */
void migrations_update(struct migrations *ms, const struct migration_record *r);

/* A copy of all, oldest first; *n is their number. free() it. */
struct migration_record *migrations_copy(struct migrations *ms, size_t *n);

#endif
