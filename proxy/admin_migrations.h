/*
 * What SHOW MIGRATIONS (admin_migrations.c) and SHOW MIGRATION .. FOLLOW (admin_follow.c) share.
 */
#ifndef VTSHIM_PROXY_ADMIN_MIGRATIONS_H
#define VTSHIM_PROXY_ADMIN_MIGRATIONS_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/admin.h"
#include "proxy/admin_values.h"
#include "proxy/migrations.h"

struct worker;

/* Transactions that put off the last drain: "3, session 12"; NULL: none did. */
const char *admin_in_the_way(struct admin_values *vs, const struct migration_record *r);

/* The hold of that migration's cut-over, or 0. */
uint64_t admin_cutover_hold(const struct server *server, uint64_t migration);

/* A question to all workers: how many sessions are parked behind each of these holds? */
struct parked_count {
    pthread_mutex_t lock; /* of counts */
    size_t n;
    uint64_t *holds; /* 0: none */
    size_t *counts;
};

void parked_init(struct parked_count *p, size_t n);
void parked_fini(struct parked_count *p);

/* Adds those of one worker, on its thread. */
void parked_collect(const struct worker *w, struct parked_count *p);

/* SHOW MIGRATION 'uuid' FOLLOW, of a migration of this shim. Takes over rq. */
void admin_follow(struct admin_request *rq, const char *uuid);

#endif
