/*
 * The texts of an online schema change: what the shim says to vtgate in the client's session, and
 * what it says to the client at the end. Pure: strings in, strings out.
 */
#ifndef VTSHIM_PLANNER_DDL_H
#define VTSHIM_PLANNER_DDL_H

#include <stdbool.h>
#include <stddef.h>

#include "planner/classify.h"

/*
 * Writes `text` as a single-quoted SQL string literal with ' and \ escaped (vtgate's sqlmode has
 * no NO_BACKSLASH_ESCAPES), NUL terminated. Returns the length written without the NUL, or 0 when
 * it does not fit in size (dst is then the empty string).
 */
size_t ddl_quote(char *dst, size_t size, const char *text, size_t len);

/* Writes the statement that makes `target` (keyspace, "ks:-80@replica"; NULL or "": none) vtgate's
   target of a session, NUL terminated. False: it does not fit. */
bool ddl_use(char *dst, size_t size, const char *target);

/* Status of one migration on one shard (SHOW VITESS_MIGRATIONS, column migration_status). */
enum migration_status {
    MIGRATION_UNKNOWN,
    MIGRATION_REQUESTED,
    MIGRATION_QUEUED,
    MIGRATION_READY,
    MIGRATION_RUNNING,
    MIGRATION_COMPLETE,
    MIGRATION_FAILED,
    MIGRATION_CANCELLED
};

enum migration_status migration_status_parse(const char *text, size_t len);
const char *migration_status_name(enum migration_status status);
bool migration_status_is_terminal(enum migration_status status);

/*
 * All shards' states as one: FAILED or CANCELLED as soon as one shard is and no other can still
 * change that, which means that all are terminal (FAILED wins); COMPLETE only when every one of
 * `expected` (shards x migrations) is; else the least advanced state, REQUESTED at most while a
 * shard has no row. n may be less than expected (a shard has no row yet) but not more than it.
 * UNKNOWN when nothing is expected.
 */
enum migration_status migration_status_aggregate(const enum migration_status *states, size_t n,
                                                 size_t expected);

/* Whether some shard FAILED or was CANCELLED: the whole cannot become COMPLETE any more, though
 * others may still run (or wait for ever, with --postpone-completion) until they are cancelled. */
bool migration_status_any_lost(const enum migration_status *states, size_t n);

/*
 * The tag of one DDL, used as @@migration_context: "vtshim:INSTANCE:DIGEST:RANDOM". By it a shim
 * finds what it left behind (INSTANCE), and what the same statement of the same user has begun
 * already, in whichever shim (DIGEST). 49 bytes and the NUL.
 */
#define DDL_CONTEXT_PREFIX "vtshim:"
void ddl_context_format(char dst[64], const char instance[9], const char digest[17],
                        const unsigned char random[8]);

/*
 * What is put behind the options of a strategy whose cut-over a shim manages: a comment to Vitess,
 * which splits options as a shell would and keeps their text. By it a shim finds again what has no
 * context of its own: a revert, and a migration whose context the user chose. `postponed`: the user
 * has postponed it, so that it waits for a COMPLETE.
 */
#define DDL_MARK_PREFIX "#vtshim:"
void ddl_mark_format(char dst[40], const char instance[9], bool postponed);

/* What the options say. False: no shim manages that one. */
bool ddl_mark_parse(const char *options, size_t len, char instance[9], bool *postponed);

/* The seconds of --cut-over-threshold in a strategy or its options; 10, Vitess's default, without
   one that can be read. */
unsigned ddl_threshold_s(const char *options, size_t len);

/* The threshold that tells that an operator has postponed the cut-over of a migration which was
   submitted with that one: Vitess keeps nothing else that can be changed and that does no harm. */
unsigned ddl_threshold_postponed_s(unsigned submitted_s);

/* ... and that somebody wants it to be now: for the shim that manages it, which puts back the one
   before. */
unsigned ddl_threshold_now_s(unsigned submitted_s);

/* The instance part: 8 hexadecimal digits for a name. */
void ddl_instance_format(char dst[9], const char *name);

/* The digest part: 16 hexadecimal digits for a user, a keyspace and a statement, whose blanks and
   comments do not count. Not for telling adversaries apart. */
void ddl_digest_format(char dst[17], const char *user, const char *keyspace, const char *sql,
                       size_t len);

/* Whether a @@ddl_strategy with its flags is "direct". */
bool ddl_strategy_is_direct(const char *strategy);

/* A migration's uuid as Vitess writes them: a version-4 UUID with '_' between its parts. */
void ddl_uuid_format(char dst[64], const unsigned char random[16]);

/*
 * Whether vtgate's plan for "SELECT * FROM t" (the JSON of VEXPLAIN PLAN) selects exactly `count`
 * columns, among them all of `columns`: then vtgate knows the table as it is now. A plan that still
 * says "*" is of a table whose columns vtgate does not track: there is nothing to wait for.
 */
bool ddl_plan_selects(const char *plan, size_t len, const struct sql_name *columns, size_t count);

#endif
