/*
 * The shards of a migration while they cut over (cutOverVReplMigration in
 * go/vt/vttablet/onlineddl/executor.go): how each is getting on since it was told to, and at which
 * of its two waits it is. The first one, for its stream to be behind the creation of a table of its
 * own, comes before anything is locked, and nearly always lasts a second: who waits asks at once,
 * and then once a second (Engine.WaitForPos in
 * go/vt/vttablet/tabletmanager/vreplication/engine.go). While all shards are at it, and have
 * been for longer than that first question takes, nobody need be held up; but the transactions that
 * begin then must have ended before the locks come.
 *
 * Pure: times are CLOCK_MONOTONIC's milliseconds.
 */
#ifndef VTSHIM_PROXY_CUT_SHARDS_H
#define VTSHIM_PROXY_CUT_SHARDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct executor_row;
struct cut_shards;

/* CUT_SWAPPED: the table is the new one, and Vitess has yet to say that the migration is complete.
 */
enum cut_progress { CUT_WAITING, CUT_UNDER_WAY, CUT_SWAPPED, CUT_DONE, CUT_FAILED };

/* As the rows are before they are told; asked_ms: when the look was asked for that shows them. More
   than 4,096 are not followed one by one: none of them is seen to begin. Free it with
   cut_shards_free (NULL is fine). */
struct cut_shards *cut_shards_create(const struct executor_row *rows, size_t n, int64_t asked_ms);
void cut_shards_free(struct cut_shards *c);
bool cut_shards_are_followed(const struct cut_shards *c);

enum cut_progress cut_shards_progress(const struct cut_shards *c, const struct executor_row *row);

/* A shard that has just begun one of its waits, each of them once; its name (until
   cut_shards_free), or NULL: there is none. */
const char *cut_shards_new_wait(struct cut_shards *c, const struct executor_row *rows, size_t n);

/* For how many milliseconds nobody need be held up, all shards being at the first wait; 0: not now.
   asked_ms: when this look was asked for. What is new in it has begun since the one before was that
   showed the shard; so a look without an answer is not told here. */
int64_t cut_shards_gap(struct cut_shards *c, const struct executor_row *rows, size_t n,
                       int64_t asked_ms, int64_t now_ms);

/* Before the first wait can be over the hold is back for that long. With the tenth of a second that
   vttablet leaves statements to end before it locks, transactions that began just before have
   somewhat longer: SLOW_TRANSACTION_MS (slow_transactions.h). */
#define CUT_GAP_LEAD_MS 400

/* Whether a hold may have a gap at all. excess_ms: how much too slow transactions on its table were
   lately (struct hold_count); poll_ms: how often the other shims of a fleet look what is held, 0
   for none: all must act by the hold well before that lead is over. */
bool cut_shards_gap_is_safe(int64_t excess_ms, int64_t poll_ms);

#endif
