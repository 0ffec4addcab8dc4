/*
 * What the files of a migration share: migration_start.c, migration.c (answering, ending),
 * migration_watch.c (following it, cancelling it), and the executors. For them
 * only.
 */
#ifndef VTSHIM_PROXY_MIGRATION_INTERNAL_H
#define VTSHIM_PROXY_MIGRATION_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/ask.h"
#include "proxy/copy_rate.h"
#include "proxy/cutover.h"
#include "proxy/executor.h"
#include "proxy/migrations.h"
#include "proxy/session.h"
#include "proxy/standstill.h"

#define UUID_MAX  64
#define UUIDS_MAX 4096  /* tables in one DROP TABLE */
#define ROWS_MAX  65536 /* migrations times shards */

/* Where a managed cut-over stands. */
enum cut_stage {
    CUT_NOT_YET,    /* not all shards are ready, or a drain was put off */
    CUT_LOOK_ASKED, /* all are ready; the tablets are made to look at one moment (cut_looks.h) */
    CUT_DRAINING,   /* cutover.c is at work */
    CUT_COMPLETING  /* the shards have been told to complete; the hold lasts */
};

struct migration {
    char *ddl; /* owned */
    size_t len;
    uint8_t sequence;
    bool more;
    bool submitted;   /* the submission is on its way or answered */
    bool submitting;  /* ... not answered yet */
    bool cancelling;  /* the client left and ddl.on_disconnect is cancel */
    bool queueing;    /* not submitted: others of its table come first */
    bool interrupted; /* KILL QUERY came while vtgate was being asked: as soon as that is over */
    bool killed;      /* KILL QUERY, and ddl.on_disconnect is cancel: the client is to be told so */
    bool stopping;    /* one shard failed: the others were told to stop */
    bool own_context; /* not the shim's: the user chose it, or Vitess, which does for a revert */
    bool reverting;   /* REVERT VITESS_MIGRATION: see migration_revert.h */
    bool binary;      /* ... prepared */
    bool locked;      /* nobody else may submit in its keyspace: see migration_lock.h */
    bool async;       /* the client waits for the submission only */
    bool adopted;     /* not submitted by this session: it follows what another has begun */
    const struct executor *executor;
    char strategy[1100]; /* the request's, and what the shim adds to it */
    char context[64];
    char (*uuids)[UUID_MAX]; /* owned; room for uuid_cap */
    size_t uuid_count, uuid_cap, next_cancel;
    size_t shards;
    bool has_columns;          /* CREATE or ALTER TABLE, not a view or an index */
    bool settled;              /* nobody waits for what the vtgates know */
    bool seeing;               /* all shards are complete: the vtgates have to see it */
    char info[UUID_MAX + 160]; /* of the OK to come */
    bool managed;              /* the shim decides when it cuts over */
    enum cut_stage cut;
    struct cutover *cutover;       /* COMPLETING: its hold */
    struct cut_looks *looks;       /* LOOK_ASKED: owned */
    unsigned unanswered;           /* LOOK_ASKED, and a tablet did not look: so often */
    struct cut_shards *cut_shards; /* COMPLETING: beside what they were before; owned */
    bool gapped;                   /* COMPLETING: the hold has had its gap */
    bool unmarked;                 /* marks in the shards' logs were refused */
    char there[320];     /* what is to be asked in the migration's keyspace, or at a shard of it */
    uint16_t there_code; /* of that, when it is answered: 0, or of its error */
    size_t next_told;
    bool telling_postpone; /* what they are being told: POSTPONE, or COMPLETE */
    int64_t told_ms;       /* COMPLETING: when a shard was last told */
    int64_t looked_ms;     /* when the last look was begun */
    unsigned retries;      /* of failures that were Vitess's own */
    unsigned drains;       /* that were put off */
    unsigned wishes;       /* of operators that have been looked at */
    bool at_once, later;   /* ... what the last one is: WISH_NOW, WISH_LATER */
    unsigned said_s;       /* the threshold by which another shim left a wish, as last seen; or 0 */
    bool was_ready;        /* all shards were, at some look */
    int64_t attempt_ms;    /* Vitess tries no cut-over before that */
    int64_t cut_ms;        /* when the next drain may begin; COMPLETING: when it was told */
    int64_t seen_ms;       /* when all of it was last seen in Vitess */
    uint16_t code;         /* not 0: the submission failed with this */
    char state[6];
    char *message;         /* of the failed submission */
    char behind[UUID_MAX]; /* what it waits for in Vitess, being queued there or here; or empty */
    char logged[64];       /* the last stage that the log was told of */
    char reported[160];    /* what the client was told last of its progress */
    int64_t reported_ms;   /* and when */
    int64_t opens_at;      /* ready, but ddl.cutover_window opens only then (time_t); or 0 */
    struct loop_timer timer;
    struct copy_watch *watch;      /* owned */
    struct standstill *standstill; /* owned */
    bool said_still;               /* ... and the log was told of it */
    uint64_t row_bytes;            /* the mean size of the table's rows; 0: not known */
    struct migration_record record;
    /* The executor's: whom its answer is for, and what only it knows. */
    executor_rows *seen;
    executor_done *done;
    void *own;
};

/* migration_start.c */
/* Whether the shim is to decide when what s->migration submits cuts over. */
bool migration_is_managed_kind(const struct session *s);
/* Whether it could of any in this session: somebody else has to be able to go on with it. */
bool migration_can_manage(const struct session *s);
/* A fresh context for it, or the one `wanted` (not ""). */
void migration_set_context(struct session *s, const char *wanted);
/* Decides that it is managed or not, and gives its strategy what that takes. */
void migration_choose_strategy(struct session *s);

/* migration.c */
struct migration *migration_create(struct session *s); /* s->migration, with nothing in it */
void migration_publish(struct session *s, const char *status, bool ended);
void migration_log(struct session *s, const char *event);
void migration_add_uuid(struct migration *m, struct bytes uuid);
void migration_keep_error(struct migration *m, uint16_t code, const char *state,
                          struct bytes message);    /* of the submission */
void migration_keep_malformed(struct migration *m); /* vtgate's answer to it was no answer */
/* Each gives the client its answer and lets the session go on. */
void migration_answer_submitted(struct session *s); /* that it was, and no more */
/* `out`: whole packets; `next`: the sequence number behind them. */
void migration_answer(struct session *s, struct buffer *out, uint8_t next, bool succeeded);
void migration_answer_ok(struct session *s, const char *info);
void migration_answer_error(struct session *s, uint16_t code, const char *state,
                            const char *message);
void migration_answer_shim_error(struct session *s, enum shim_error error, ...);
void migration_refused(struct session *s);
/* For the executor's submit: Vitess has accepted it, its uuids are known; and: all is said. */
void migration_queued(struct session *s);
void migration_submitted(struct session *s);

/* migration_watch.c */
/* The executor's locate is over: keyspace and shards are known, or else `why` they are not. */
void migration_located(struct session *s, const char *why);
void migration_wait(struct session *s); /* polls again after ddl.poll_interval_ms */
void migration_poll(struct session *s);
void migration_stop_others(struct session *s); /* cancels it where it still runs, and polls on */
void migration_cancel_next(struct session *s); /* cancels uuid after uuid, then answers or ends */
void migration_cancel_leftovers(struct session *s); /* of a submission that was refused */
bool migration_has_uuid(const struct migration *m, struct bytes uuid);

/* Its uuid, or its context while that is not known. */
const char *migration_name(const struct migration *m);
/* The session leaves it: it goes on in Vitess, or with the keeper if somebody has to complete it.
 */
void migration_detach(struct session *s);

/* migration_cutover.c */
/* Takes the managed cut-over a step further, all shards being `ready` or not. True: something was
   started that polls on by itself. */
bool migration_cut_over(struct session *s, const struct executor_row *rows, size_t n, bool ready);
/* The table's transactions have ended, but for those in the way. Takes over c. */
void migration_drained(struct session *s, struct cutover *c,
                       const struct migration_blockers *in_the_way);
void migration_end_cutover(struct migration *m);    /* the hold, if any; idempotent */
void migration_forget_cutover(struct migration *m); /* and all that belongs to it; idempotent */
/* A shard could not be seen for a while: whether all are ready is not certain. */
void migration_doubt_ready(struct migration *m);
/* How long to wait until the next poll. */
int64_t migration_cutover_wait_ms(const struct migration *m, int64_t usual_ms);

/* The session's part of an executor's statement between two looks is over: it polls on, or cancels.
 */
void migration_told(struct session *s, uint16_t code);

/* migration_waits.c */
/* While shards cut over: at their first wait the hold may have a gap, and each wait is cut short.
   True: something was started that polls on by itself. */
bool migration_attend_waits(struct session *s, const struct executor_row *rows, size_t n);

/* migration_queue.c */
/* Submits the migration, at once or when those of its table that came first have ended. */
void migration_queue(struct session *s);
/* Nothing is in the way any more: it is submitted. */
void migration_queue_over(struct session *s);
/* m->behind is in flight in Vitess ("": it is not known which): it is waited for, or the client
   gets an error (ddl.queue). */
void migration_queue_behind(struct session *s);
/* Gives up while it waits, and tells the client so. */
void migration_queue_leave(struct session *s);
/* The names of a DROP TABLE behind the first, at most max. *r: see there. */
size_t migration_more_tables(struct migration_record *r, const char *ddl, size_t len,
                             char (*names)[MIGRATION_NAME_MAX], size_t max);

/* The migration has that status in Vitess: migration_wait, but for one that is queued there finds
   out first what it is queued behind. */
void migration_wait_behind(struct session *s, const char *status);

/* migration_progress.c */
/* Takes over what Vitess says of each shard, for SHOW MIGRATIONS. */
void migration_note_rows(struct session *s, const struct executor_row *rows, size_t n);
/* Says in the record what the migration is doing or waiting for. */
void migration_describe(struct migration *m);
/* The record as it is now goes to SHOW MIGRATIONS. */
void migration_show(struct session *s);
/* Tells the client how far it is, if it wants to know. False: the client is gone, and with it this
   session, or its migration is being cancelled: nothing more is to be done. */
bool migration_report(struct session *s);

#endif
