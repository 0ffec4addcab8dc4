/*
 * Whether a statement that vtgate answered with an error is sent again, unseen by its client: facts
 * in, decision out. The errors are in retry.def; what is not there is never retried. Pure.
 *
 * The one promise that counts more than all: no statement is executed twice. So it is asked only
 * about statements of which no byte of the answer has gone to the client, and says yes only to
 * errors that mean "not executed". In a transaction these are the ones that vtgate says while it
 * plans, which leave the transaction as it was; and for the first statement, with which nothing has
 * begun on any tablet, also what tablets refuse. What tablets refuse there often loses the
 * transaction (retry_match.wrapped): then the caller has to roll back and begin again before the
 * next try.
 */
#ifndef VTSHIM_PLANNER_RETRY_H
#define VTSHIM_PLANNER_RETRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum retry_error {
#define RETRY_ERROR(NAME, metric, number, state, where, class, sort, text) RETRY_ERROR_##NAME,
#include "planner/retry.def"
    RETRY_ERROR_COUNT
};

/* What a text may become when it is sent twice. */
enum retry_statement {
    RETRY_NEVER, /* the hint no_retry; DDL, SET, CALL, MULTI_SHARD_AUTOCOMMIT (shards commit one by
                    one): nobody knows what an error leaves behind */
    RETRY_READ,
    RETRY_WRITE
};

/* The first statement of a text. `whole` false: more follows that was not seen. */
enum retry_statement retry_statement(const char *sql, size_t len, bool whole);

/* An error packet's contents, and what was found in them. */
struct retry_match {
    enum retry_error error; /* RETRY_ERROR_COUNT: none of the table */
    const char *target;     /* "commerce.-80.primary": into the text; NULL: said by vtgate itself */
    size_t target_len;
    bool
        wrapped; /* "issue ROLLBACK": the transaction is lost, or what was committed is not known */
    bool primary; /* the target is a primary */
    bool several; /* more than one tablet had something to say, and only one is told here */
};

/* state: five characters. The text is vtgate's, it may hold pieces of the statement. */
struct retry_match retry_match(uint16_t number, const char *state, const char *text, size_t len);

/* Whether a write outside of a transaction is sent again after an error that may stand in the place
   of another one, of a tablet that had executed it. Nothing can rule that out: a tablet that was
   away a moment before may have come back, executed it, and died. */
enum retry_unsure {
    RETRY_UNSURE_NEVER,
    RETRY_UNSURE_AWAY, /* if the tablet was seen to be away before it was sent */
    RETRY_UNSURE_ALWAYS
};

struct retry_limits {
    int64_t budget_ms;   /* for all tries of one statement */
    int64_t doubtful_ms; /* the same for errors that may well be the application's own */
    int64_t wait_ms;     /* for the end of a transition that is known to be under way */
    unsigned attempts;
    int64_t first_delay_ms, max_delay_ms;
    enum retry_unsure unsure_writes;
};

struct retry_facts {
    struct retry_match match;
    enum retry_statement statement;
    bool proven;         /* a prepared statement that has been executed before: no typing mistake */
    bool in_transaction; /* or without autocommit, where a statement may begin one */
    bool restartable;    /* ... that was begun with a plain BEGIN: another can take its place */
    bool first;          /* ... and nothing was executed in it yet */
    bool transactions;   /* the configuration allows such retries */
    bool one_shard;      /* the session's target is a shard */
    bool disabled;       /* by the configuration, for this user or at all */
    bool transition;     /* one that concerns the statement is known to be under way */
    bool suspected;      /* one was seen lately, of whatever */
    bool away_before;    /* the tablet was known to be away before the statement was sent */
    bool lasting;        /* this error has outlasted its budget before: it is no transition's */
    int64_t trouble_ms;  /* since when it has been coming, or 0; as now_ms */
    int64_t now_ms, started_ms; /* the statement's first error */
    unsigned attempts;          /* retries so far */
    uint32_t random;
};

enum retry_action {
    RETRY_PASS,  /* the client gets the error */
    RETRY_AFTER, /* send it again in delay_ms */
    RETRY_WAIT   /* send it again when the transition is over */
};

/* RETRY_REASON(NAME, "as metrics call the outcome") */
#define RETRY_OUTCOMES(X)                                                                          \
    X(RECOVERED, "recovered") /* a retry brought another answer (the caller's to count) */         \
    X(BUDGET, "budget")       /* given up: time or attempts are used up */                         \
    X(LASTING, "lasting")     /* not tried: the error has been there for longer than the budget */ \
    X(OWN, "own")             /* not tried: the application's own mistake, as far as is known */   \
    X(UNSAFE, "unsafe")       /* not tried: it might be executed twice */                          \
    X(DISABLED, "disabled")   /* not tried: a hint or the configuration says so */                 \
    X(NO_ROOM, "no_room") /* not tried: too many sessions wait (the caller's to say and count) */

enum retry_outcome {
#define X(NAME, text) RETRY_OUTCOME_##NAME,
    RETRY_OUTCOMES(X)
#undef X
        RETRY_OUTCOME_COUNT
};

struct retry_decision {
    enum retry_action action;
    enum retry_outcome reason; /* PASS: why */
    int64_t delay_ms;
};

struct retry_decision retry_decide(const struct retry_facts *f, const struct retry_limits *l);

/* An error that shows a transition by itself. */
bool retry_match_is_sure(const struct retry_match *m);
/* One that shows that its tablet serves nobody. */
bool retry_error_is_away(enum retry_error error);
const char *retry_error_name(enum retry_error error);
const char *retry_outcome_name(enum retry_outcome outcome);

#endif
