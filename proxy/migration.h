/*
 * One DDL statement run as an online schema change over the client's own session ("vtgate"
 * executor): strategy and a fresh migration context are set, the statement is submitted, the
 * session's own values are restored, and SHOW VITESS_MIGRATIONS is asked until every shard is done.
 * The client then gets OK, or ERR with the migration's message. The shim needs no password and no
 * right of its own for it.
 */
#ifndef VTSHIM_PROXY_MIGRATION_H
#define VTSHIM_PROXY_MIGRATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "planner/classify.h"

struct session;

/* How it is to run, where that differs from the configuration. */
struct migration_request {
    const char *strategy; /* instead of ddl.strategy */
    const char *context;  /* "": a fresh one */
    const char *same;     /* "", or the context that migration_same_found() told: attach to it */
    uint64_t row_bytes;   /* the mean size of the table's rows; 0: not known */
    bool async;           /* answer as soon as it is submitted */
};

/*
 * Starts with the session between two commands. The answer's packet gets `sequence`, and
 * MORE_RESULTS when `more` results of the same client command follow. When it is over,
 * script_statement_done() or query_command_done() is called. Copies the statement.
 */
void migration_start(struct session *s, const struct statement *ddl, uint8_t sequence, bool more,
                     const struct migration_request *request);

struct config;
struct migration_record;
struct answer;

/* Whether a shim with these settings decides when a DDL cuts over; strategies without VReplication
   ("direct", "mysql") have no cut-over. */
bool migration_is_managed(const struct config *c, bool alters, const char *strategy);

/* What is submitted in place of `strategy` then: it waits for its COMPLETE, and is marked as that
   instance's (ddl_mark_format). The two must not overlap. */
void migration_managed_strategy(char *dst, size_t size, const char *strategy, const char *instance,
                                bool postponed);

/*
 * Asks Vitess whether the same user's same statement runs there already; `done` gives the answer to
 * migration_same_found(). False: that cannot be told, nothing was asked.
 */
bool migration_ask_same(struct session *s, const char *keyspace, const char *ddl, size_t len,
                        void (*done)(struct session *s, const struct answer *a));

/* The statement of s->migration, without a NUL, while that lasts. NULL: there is none. */
const char *migration_text(const struct session *s, size_t *len);

/* The context of the one that runs already. False: there is none. */
bool migration_same_found(const struct answer *a, char context[64]);

/* For keeper.c: the session (one of the shim's own, between two commands) follows that migration,
   which Vitess has by its context, completes it when it is time, and then closes. */
void migration_adopt(struct session *s, const struct migration_record *r);

/* The client left. True: the session has to live on to cancel the migration, and ends by itself. */
bool migration_client_gone(struct session *s);

/* KILL QUERY: the client is answered now; the migration is cancelled or goes on, as with a client
   that left. Not while vtgate is being asked: then as soon as that is over. */
void migration_interrupt(struct session *s);

/* What that, or a client that leaves (`leaves`), would do to the migration, in words. */
void migration_fate(const struct session *s, bool leaves, char *dst, size_t size);

/* vtgate's connection is gone: the client is told what that means for its migration. */
void migration_vtgate_lost(struct session *s);

/* The session is closing. Idempotent. */
void migration_forget(struct session *s);

#endif
