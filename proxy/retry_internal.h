/*
 * What the files of a retry share. For them only. retry.c: the copy of the command, waiting,
 * sending again. retry_facts.c: what is known of the statement and of what goes wrong.
 */
#ifndef VTSHIM_PROXY_RETRY_INTERNAL_H
#define VTSHIM_PROXY_RETRY_INTERNAL_H

#include <pthread.h>

#include "planner/names.h"
#include "planner/retry.h"
#include "planner/trouble.h"
#include "protocol/bytes.h"
#include "proxy/retry.h"

struct retry {
    TAILQ_ENTRY(retry) link; /* of worker->retrying, while RETRYING */
    struct session *session;
    struct buffer answer; /* the error, as far as it is here */
    enum retry_error error;
    uint64_t error_key, away_key; /* in the table of troubles; away_key may be 0 */
    unsigned attempts;
    bool wrapped;       /* the transaction has to be begun again before the next try */
    bool waiting;       /* for a transition's end */
    bool held;          /* the last try was parked behind a hold */
    int64_t first_ms;   /* the first error */
    int64_t started_ms; /* the same, or since then the end of what was waited for */
    int64_t due_ms;
    struct names names; /* of the statement; valid once an error was seen */
    enum statement_kind kind;
};

struct retries {
    pthread_mutex_t lock;
    struct troubles troubles;
    _Atomic uint64_t generation; /* troubles.generation, to be read without the lock */
    _Atomic int64_t suspect_until_ms;
    _Atomic uint64_t waiting; /* sessions, all workers */
};

/* What is to become of the command that s->kept has and this error answered: text[0..len) is
   vtgate's. Notes what goes wrong. */
struct retry_decision retry_judge(struct session *s, const char *text, size_t len,
                                  struct retry_match match);

/* What the statement stumbled over works again. */
void retry_end_troubles(const struct server *server, const struct retry *r);

/* Whether the command would be parked behind a hold. */
bool retry_is_held(const struct session *s);

/* Whether the statement's table is being cut over, or moves, behind a hold of the transactions
   alone, or there is a change of its VSchema. An open transaction does not wait for such a hold,
   which may be waiting for it. */
bool retry_is_in_transition(const struct session *s);

#endif
