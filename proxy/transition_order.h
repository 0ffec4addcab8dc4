/*
 * What is asked of a transition, and the grammar of the commands that ask: DEPLOY VSCHEMA, DEPLOY
 * ROUTING RULES. Pure.
 */
#ifndef VTSHIM_PROXY_TRANSITION_ORDER_H
#define VTSHIM_PROXY_TRANSITION_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "planner/arena.h"
#include "planner/lexer.h"
#include "proxy/admin_parse.h"

/* TRAFFIC, PRIMARY: Vitess changes who serves, and the shim only has statements wait meanwhile. */
enum transition_what {
    TRANSITION_VSCHEMA,
    TRANSITION_ROUTING,
    TRANSITION_TRAFFIC,
    TRANSITION_PRIMARY,
    TRANSITION_WHAT_COUNT
};

#define TRANSITION_PROBES_MAX     16
#define TRANSITION_STATEMENTS_MAX 256
#define TRANSITION_WATCH_MAX_S    86400
#define TRANSITION_TYPES_MAX      3

/* A statement that has to succeed once every vtgate has the change. */
struct transition_probe {
    const char *sql;
    const char *shards; /* "-80,80-", in any order; NULL: whichever */
};

/* All strings are the arena's. */
struct transition_order {
    struct arena arena;
    enum transition_what what;
    const char *verb;     /* "DEPLOY VSCHEMA": for people */
    const char *keyspace; /* "" for routing rules */
    const char *source;   /* JSON, or the name of a file with it; NULL: statements */
    const char **statements;
    size_t statement_count;
    const char *base;  /* JSON that must be in force; NULL: whatever is */
    const char *allow; /* rules; "" none */
    struct transition_probe probes[TRANSITION_PROBES_MAX];
    size_t probe_count;
    int64_t watch_s;    /* after the release; 0: not */
    bool breach_alerts; /* a breach while it is watched is said and counted, but not rolled back */
    bool dry_run;
    bool queues;      /* waits for one that is under way on the same; else it is refused */
    uint64_t undoes;  /* the transition whose change it takes back, or 0 */
    const char *name; /* TRAFFIC: the workflow; PRIMARY: the shard */
    const char *to;   /* PRIMARY: the new one's cell; NULL: vtctld chooses */
    uint32_t to_uid;
    bool reverse;                    /* TRAFFIC */
    int types[TRANSITION_TYPES_MAX]; /* TRAFFIC: topodata.TabletType */
    size_t type_count;
    int64_t timeout_s; /* TRAFFIC, PRIMARY */
    const char *user, *peer;
};

/* keyspace FROM 'json or file' [option ...], or with TRANSITION_ROUTING without the keyspace.
   Option: DRY RUN | ALLOW 'rule,..' | PROBE 'sql' [SHARDS 'shard,..'] | WATCH seconds [ALERT |
   ROLLBACK]. As admin_parse.h's functions; the order is all zero before and to be freed in any
   case. */
bool transition_order_parse(struct lexer *lx, enum transition_what what,
                            struct transition_order *order, struct admin_error *error);

/* 'keyspace.workflow' [REVERSE] [ONLY 'primary,replica,rdonly'] [TIMEOUT seconds], for TRAFFIC; and
   'keyspace/shard' [TO 'cell-uid'] [TIMEOUT seconds], for PRIMARY. */
bool transition_order_parse_switch(struct lexer *lx, enum transition_what what,
                                   struct transition_order *order, struct admin_error *error);

/* A copy of an order with an arena of its own. */
void transition_order_copy(struct transition_order *to, const struct transition_order *from);
void transition_order_free(struct transition_order *order);

/* Whether a source is JSON itself. */
bool transition_source_is_json(const char *source);

#endif
