/*
 * What the files of the vtctld executor share: executor_vtctld.c and vtctld_submit.c. For them
 * only.
 */
#ifndef VTSHIM_PROXY_EXECUTOR_VTCTLD_H
#define VTSHIM_PROXY_EXECUTOR_VTCTLD_H

#include <string.h>

#include "proxy/migration_internal.h"
#include "proxy/vtctld.h"
#include "vtctldata.pb-c.h"

typedef void answer_fn(struct session *s, const struct vtctld_answer *answer);

struct vtctld_own {
    struct vtctld_answer *call; /* under way, or NULL */
    answer_fn *next;            /* whom its answer is for */
    unsigned looks;             /* at the migration, so far */
    bool looking;               /* it may be let go: it changes nothing */
    struct loop_timer timer;    /* LOOK_AFTER_MS */
    bool lost, again;           /* a submission had no answer; it may be submitted again ... */
    int64_t until_ms;           /* ... until then */
    char *sql;                  /* what is submitted: without the keyspace's name */
    char uuid[64];              /* "": Vitess chooses */
    char principal[256];
    char uuid_asked[UUID_MAX]; /* of cancel, complete and retry */
    Vtrpc__CallerID caller;
};

static inline struct vtctld_own *vtctld_own(struct session *s)
{
    return s->migration->own;
}

static inline struct bytes text_bytes(const char *text)
{
    return (struct bytes){(const uint8_t *)text, strlen(text)};
}

/* Makes a call for s->migration; `next` gets the answer, unless the migration is gone by then. */
void vtctld_ask(struct session *s, const char *method, const ProtobufCMessage *request,
                answer_fn *next);

/* vtctld_submit.c: the executor's submit. */
void vtctld_submit(struct session *s);

#endif
