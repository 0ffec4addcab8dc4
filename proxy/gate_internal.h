/*
 * What the files of the gate share: gate_start.c (the beginning), gate_facts.c and gate_sizes.c
 * (the questions), gate.c (the decision), gate_explain.c (EXPLAIN's answer), gate_direct.c (direct
 * DDL, shard by shard), gate_see.c. For them only.
 */
#ifndef VTSHIM_PROXY_GATE_INTERNAL_H
#define VTSHIM_PROXY_GATE_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/policy.h"
#include "planner/hint.h"
#include "planner/preflight.h"
#include "proxy/ask.h"
#include "proxy/loop.h"
#include "proxy/session.h"

#define GATE_NAME_MAX     260 /* 64 characters of four bytes, and some */
#define GATE_VINDEXES_MAX 64
#define GATE_RUNNING_MAX  16
#define GATE_SHARDS_MAX   1024
#define GATE_SKIPPED_MAX  16

struct gate {
    char *text; /* of the statement, owned; st, the DDL, lies inside of it */
    struct statement st;
    uint8_t *packet; /* of the command as it came, owned; NULL: in a script */
    size_t packet_len;
    uint8_t command, sequence;
    bool more;          /* results of the same command follow */
    bool explain;       /* answer with the plan, do nothing */
    const char *passed; /* it goes to vtgate as it is, because of this; or NULL */
    struct hints hints;
    enum policy_action action;
    char strategy[1024]; /* it runs with */
    bool strategy_hint;  /* ... because a hint says so */
    bool targeted;       /* the session targets a shard */
    char keyspace[65];   /* "": not known */
    char table[GATE_NAME_MAX];
    char reference[2 * GATE_NAME_MAX]; /* `ks`.`t`, for questions; "": they cannot be asked */
    char literal[2 * GATE_NAME_MAX];   /* 't' */

    struct ddl *ddl;       /* the statement, read; owned */
    struct ddl *table_ddl; /* the table as it is, or NULL; owned */
    char *table_text;      /* what it was read from; owned */
    char same[64];         /* context of the same statement's migration that runs already, or "" */
    bool not_found;        /* vtgate does not know the table */
    struct preflight_facts facts;
    struct vindex_use vindexes[GATE_VINDEXES_MAX];
    struct running_migration running[GATE_RUNNING_MAX];
    struct shard_size *shards;             /* owned; GATE_SHARDS_MAX */
    const char *skipped[GATE_SKIPPED_MAX]; /* facts that could not be had */
    size_t skipped_count;
    struct findings found;

    size_t step, next_shard;
    bool away;           /* the session's target at vtgate is a shard of ours: to be put back */
    bool running_direct; /* shards are being changed: nothing may stop it */
    size_t direct_done;  /* shards that have been */
    uint16_t code;       /* of the error that ended it, or 0 */
    char state[6];
    char *message; /* owned */
    int64_t started_ms;
    bool waiting;                   /* for a VSchema change to be over */
    bool seeing, seen;              /* direct DDL is done: vtgate has to know it; it does */
    int64_t seeing_ms;              /* since when */
    char info[160];                 /* of the OK to come */
    char (*columns)[GATE_NAME_MAX]; /* of the table as it is now; owned */
    size_t column_count;
    struct loop_timer timer; /* ddl.preflight_ms; seeing: the next look */
};

/* Formats a question and asks it. */
__attribute__((format(printf, 3, 4))) void gate_ask(struct session *s, ask_callback *done,
                                                    const char *format, ...);

/* gate_facts.c: asks for what the rules need, then calls gate_decide. */
void gate_gather(struct session *s);
/* The table is not there, as far as vtgate knows: "table x not found", 1146. */
bool gate_says_not_found(const struct answer *a);

void gate_on_answer(struct session *s, const struct answer *a); /* of every step's question */
void gate_copy(char *dst, size_t size, struct bytes b);         /* nothing, if it does not fit */
bool gate_is_alter(const struct gate *g);                       /* of a table or its indexes */

/* gate_sizes.c: steps of gate_facts.c. ask: false if there is nothing to ask; take: true if the
   next shard is to be asked. */
bool gate_ask_shards(struct session *s);
bool gate_take_shards(struct session *s, const struct answer *a);
bool gate_ask_use(struct session *s);
bool gate_ask_bytes(struct session *s);
bool gate_take_bytes(struct session *s, const struct answer *a);
bool gate_ask_rows(struct session *s);
bool gate_take_rows(struct session *s, const struct answer *a);
bool gate_ask_return(struct session *s);
bool gate_take_return(struct session *s, const struct answer *a);
/* USE: the session's own target again. */
void gate_return(struct session *s, ask_callback *done);

/* gate.c */
void gate_decide(struct session *s);
/* Answers the client and lets the session go on: the gate is gone afterwards. */
void gate_answer_error(struct session *s, uint16_t code, const char *state, const char *text);
void gate_answer_ok(struct session *s, const char *info);
void gate_answer_shim(struct session *s, enum shim_error error, const char *detail);
/* `out`: whole packets; `next`: the sequence number behind them. */
void gate_answer(struct session *s, struct buffer *out, uint8_t next, bool succeeded);
void gate_migrate(struct session *s); /* goes on as a migration */

void gate_explain(struct session *s);
void gate_direct(struct session *s);

/* gate_see.c: answers with gate->info once vtgate knows the table as it is now. */
void gate_see(struct session *s);
void gate_see_again(struct session *s);

#endif
