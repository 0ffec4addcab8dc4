/*
 * When the tablets look at a migration. vttablet cuts over at a look of its own
 * (onMigrationCheckTick in go/vt/vttablet/onlineddl/executor.go), at its timer's ticks and 1, 5, 10
 * and 20 s after each statement about any migration; a tick within a second of the last look's end
 * is dropped. So shards that are told to complete at one moment may do so seconds apart, while the
 * table's transactions wait. What moves with a look is vitess_liveness_indicator: by that the
 * shards are watched here until all have looked at nearly the same moment. From then on they can be
 * foretold: the next look is a second later on all of them, if it is asked for at once, and that
 * look is to cut over.
 *
 * Pure: times are CLOCK_MONOTONIC's milliseconds.
 */
#ifndef VTSHIM_PROXY_CUT_LOOKS_H
#define VTSHIM_PROXY_CUT_LOOKS_H

#include <stddef.h>
#include <stdint.h>

struct cut_looks;
struct executor_row;

enum cut_looks_next {
    CUT_LOOKS_WAIT,
    CUT_LOOKS_ASK,   /* the tablets are to be asked for a look: any statement about the migration */
    CUT_LOOKS_DRAIN, /* now is the time for the drain: a look can come CUT_LOOKS_LEAD_MS later */
    CUT_LOOKS_NONE /* a shard does not look: nothing would come of a cut-over. Said once; from then
                      on as if there were no indicators, until cut_looks_free */
};

#define CUT_LOOKS_LEAD_MS 400

/* Begins to watch; free it with cut_looks_free (NULL is fine). */
struct cut_looks *cut_looks_create(int64_t now_ms);
void cut_looks_free(struct cut_looks *l);

/* What has been seen, and what to do. Rows that do not run (what Vitess runs at once when it is
   told to complete) are not waited for; without any indicator the looks are asked for in advance,
   and the drain follows a fixed time later. */
enum cut_looks_next cut_looks_note(struct cut_looks *l, const struct executor_row *rows, size_t n,
                                   int64_t now_ms);

#endif
