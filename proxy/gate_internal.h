/*
 * What the files of the gate share: gate_start.c (the beginning), gate_facts.c, gate_table.c,
 * gate_shards.c and gate_vschema.c (the questions), gate.c (the decision), gate_explain.c
 * (EXPLAIN's answer), gate_direct.c (direct DDL, shard by shard). For them only.
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
#include "proxy/topology.h"

#define GATE_NAME_MAX     260 /* 64 characters of four bytes, and some */
#define GATE_VINDEXES_MAX 64
#define GATE_RUNNING_MAX  16
#define GATE_SHARDS_MAX   1024
#define GATE_SKIPPED_MAX  16
#define GATE_TABLES_MAX   64 /* of a DROP TABLE; those beyond are not judged */
#define GATE_VERSIONS_MAX 8

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
    char strategy[1024];       /* it runs with */
    bool strategy_hint;        /* ... because a hint says so */
    bool targeted;             /* the session targets a shard */
    char keyspace[65];         /* "": not known */
    char session_keyspace[65]; /* the session's; "": it has none */
    char table[GATE_NAME_MAX];
    char reference[2 * GATE_NAME_MAX]; /* `ks`.`t`, for questions; "": they cannot be asked */
    char literal[2 * GATE_NAME_MAX];   /* 't' */

    struct ddl *ddl; /* the statement, read; owned */
    char same[64];   /* context of the same statement's migration that runs already, or "" */
    bool not_found;  /* vtgate does not know the table */
    struct preflight_facts facts;
    struct vindex_use vindexes[GATE_VINDEXES_MAX];
    struct running_migration running[GATE_RUNNING_MAX];
    struct table_fact tables[GATE_TABLES_MAX];         /* the statement's; facts.table_count */
    char literals[GATE_TABLES_MAX][2 * GATE_NAME_MAX]; /* 't', for each */
    struct table_version versions[GATE_VERSIONS_MAX];  /* owned: facts.version_count */
    char *texts[GATE_VERSIONS_MAX];        /* what they were read from; owned. NULL: not there */
    char (*names)[TOPOLOGY_NAME_MAX];      /* of the shards; owned; GATE_SHARDS_MAX */
    size_t shard_count;                    /* 0: they are not known, or not looked at */
    struct shard_size *shards;             /* owned; GATE_SHARDS_MAX */
    bool there;                            /* the table (no view) is on the shard looked at */
    const char *skipped[GATE_SKIPPED_MAX]; /* facts that could not be had */
    size_t skipped_count;
    struct findings found;

    size_t step, next_shard;
    bool away;           /* the session's target at vtgate is a shard of ours: to be put back */
    char *direct_sql;    /* what a shard's MySQL is told; owned */
    bool running_direct; /* shards are being changed: nothing may stop it */
    size_t direct_done;  /* shards that have been */
    uint16_t code;       /* of the error that ended it, or 0 */
    char state[6];
    char *message; /* owned */
    int64_t started_ms;
    bool waiting;            /* for a VSchema change to be over */
    char info[160];          /* of the OK to come */
    struct loop_timer timer; /* ddl.preflight_ms; waiting: the next look */
};

/* gate_facts.c: asks for what the rules need, then calls gate_decide. */
void gate_gather(struct session *s);

void gate_on_answer(struct session *s, const struct answer *a); /* of every step's question */
bool gate_is_alter(const struct gate *g);                       /* of a table or its indexes */

/* Says that the fact of this step could not be had. a: the refusal, or NULL. */
void gate_skip(struct session *s, const struct answer *a);
/* The statement's tables as "'a', 'b'"; free() it. */
char *gate_list_tables(const struct gate *g);

/* Steps of gate_facts.c. ask: false if there is nothing to ask. */
bool gate_ask_running(struct session *s);
void gate_take_running(struct session *s, const struct answer *a);
bool gate_ask_shards(struct session *s);
void gate_take_shards(struct session *s, const struct answer *a);
bool gate_ask_use(struct session *s);
bool gate_ask_tables(struct session *s);
void gate_take_tables(struct session *s, const struct answer *a);
bool gate_ask_create(struct session *s);
void gate_take_create(struct session *s, const struct answer *a);
bool gate_ask_references(struct session *s);
bool gate_ask_rows(struct session *s);
void gate_take_rows(struct session *s, const struct answer *a);
/* Asks nothing; true: there is another shard. */
bool gate_next_shard(struct session *s);
bool gate_ask_return(struct session *s);
void gate_take_return(struct session *s, const struct answer *a);
bool gate_ask_table(struct session *s);
void gate_take_table(struct session *s, const struct answer *a);
bool gate_ask_exists(struct session *s);
void gate_take_exists(struct session *s, const struct answer *a);
bool gate_ask_keyspaces(struct session *s);
void gate_take_keyspaces(struct session *s, const struct answer *a);
bool gate_ask_vindexes(struct session *s);
void gate_take_vindexes(struct session *s, const struct answer *a);
bool gate_ask_sequence(struct session *s);
void gate_take_sequence(struct session *s, const struct answer *a);
bool gate_ask_referenced(struct session *s);
void gate_take_referenced(struct session *s, const struct answer *a);

/* gate_table.c */
bool gate_wants_references(const struct gate *g);
/* Migrations of the table come first (ddl.queue): it will be another when its turn comes. */
bool gate_is_behind_others(const struct session *s);
/* The table as SHOW CREATE TABLE has it on the shard looked at; text.p NULL: it is not there. */
void gate_add_version(struct gate *g, struct bytes text);
void gate_forget_versions(struct gate *g);

/* gate_shards.c */
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

/* Whether all names in the statement are of its keyspace, written or by the session's target. */
bool gate_is_of_one_keyspace(const struct session *s);

#endif
