/*
 * The decision about one command of a client: facts in, decision out.
 */
#ifndef VTSHIM_PLANNER_PLAN_H
#define VTSHIM_PLANNER_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "planner/classify.h"
#include "planner/hold.h"
#include "planner/names.h"
#include "planner/retry.h"

enum plan_action {
    PLAN_FORWARD, /* to vtgate as it is */
    PLAN_MORE,    /* not decidable before more bytes of it are here */
    PLAN_PARK,    /* wait behind plan.hold, then ask again */
    PLAN_MIGRATE, /* run plan.statement as a managed online schema change */
    PLAN_EXPLAIN, /* EXPLAIN of a DDL: answered by the shim; plan.statement */
    PLAN_WRAP,    /* COM_STMT_PREPARE of plan.statement, which vtgate prepares only as the content
                     of a version comment (it runs such a statement as any other) */
    PLAN_SCRIPT,  /* several statements that have to be run one by one */
    PLAN_RESOLVE, /* PREPARE FROM a variable: first find out what plan.body, its name, holds */
    PLAN_TRANSITION, /* ALTER VSCHEMA, or BEGIN, COMMIT, ROLLBACK TRANSITION; plan.statement */
    PLAN_KILL,       /* KILL of a session of this shim: plan.kill_id, plan.kill_query */
    PLAN_DENY        /* control of migrations, or what may hide it, by a user who may not */
};

/* What a session must remember when the command succeeds. */
enum plan_effect {
    EFFECT_NONE,
    EFFECT_DATABASE,         /* plan.name is the target from now on */
    EFFECT_STRATEGY_OWN,     /* the session chose its own ddl_strategy */
    EFFECT_STRATEGY_DEFAULT, /* ... and gave it back (SET ddl_strategy = DEFAULT) */
    EFFECT_PREPARE,          /* COM_STMT_PREPARE: keep what plan_prepared() makes of the text */
    EFFECT_PREPARE_NAMED,    /* PREPARE plan.name FROM '..': keep it under the name */
    EFFECT_DEALLOCATE_NAMED, /* DEALLOCATE PREPARE plan.name */
    EFFECT_TEMPORARY,        /* plan.name is a temporary table of the session */
    EFFECT_VSCHEMA,          /* the VSchema is changed, of the table plan.name if there is one */
    EFFECT_LOCK,             /* a lock function (plan.lock) was called: its result tells the rest */
    EFFECT_CONTROL,          /* plan.statement controlled a migration: it is to be audited */
    EFFECT_CLOSE_PREPARED,   /* COM_STMT_CLOSE */
    EFFECT_MULTI_ON,         /* COM_SET_OPTION: several statements at once are allowed */
    EFFECT_MULTI_OFF,        /* ... or not any more */
    EFFECT_RESET             /* COM_RESET_CONNECTION: prepared statements are gone */
};

/* What is kept of a prepared statement: enough to plan its execution without the text. */
struct prepared {
    struct names names;
    enum statement_kind kind;
    enum plan_effect effect; /* of executing it: DATABASE, STRATEGY_*, TEMPORARY, VSCHEMA, LOCK, or
                                NONE */
    enum lock_function lock;
    enum retry_statement retry; /* of executing it */
    uint32_t runs, refused;     /* (the proxy's to count) executions, and those
                                   whose errors retry.def has */

    bool long_data;   /* (the proxy's to set) COM_STMT_SEND_LONG_DATA came since the last execution:
                         vtgate forgets it with that, so that the execution cannot be repeated */
    bool may_control; /* too little of its text was seen to rule out that it controls a migration */
    char *text; /* DDL, EXPLAIN_DDL, MIGRATION, KILL: its text; USE: the database; TEMPORARY and
                   VSCHEMA: the table; else NULL. Owned. */
    size_t len;
    uint32_t *pairs; /* tables and words that it names together (planner/traffic.h). Owned. */
    size_t pair_count;
    uint64_t shape; /* of proxy/shapes.h; 0: none */
};

/* How the session stands. */
struct plan_facts {
    const char *database; /* NULL or "": none or not known */
    const char *vtgate;   /* NULL: not known, which only matters to holds */
    const struct hold_set *holds;
    bool fenced;     /* there may be holds that are not known here */
    uint64_t served; /* the last release of a hold that let the session pass */
    bool in_transaction;
    bool autocommit;
    const struct names *touched;   /* by the transaction; NULL: not known */
    bool multi_statements;         /* the client may send several statements at once */
    bool strategy_own;             /* the user chose a ddl_strategy in this session */
    bool intercept;                /* ddl.intercept */
    bool no_control;               /* the user is not one of ddl.control_users */
    bool transitions;              /* the shim carries out ALTER VSCHEMA itself */
    bool collecting;               /* ... and collects it: between BEGIN and COMMIT TRANSITION */
    bool resolved;                 /* the variable of this PREPARE has been looked up */
    const struct names *temporary; /* temporary tables of the session; NULL: none */
};

struct plan {
    enum plan_action action;
    enum plan_effect effect;
    const struct hold *hold;    /* PARK; lives as long as facts.holds */
    struct statement statement; /* MIGRATE, EXPLAIN, and DDL that is passed on: the DDL (no text: it
                                   was not kept); EFFECT_CONTROL and DENY: the statement, if it was
                                   seen; borrowed from the text or the prepared one */
    struct sql_name name;       /* of the effect; borrowed likewise */
    enum lock_function lock;
    struct sql_name body; /* PREPARE_NAMED: the text inside the literal; RESOLVE: the variable */
    uint64_t kill_id;
    bool kill_query;    /* QUERY: the session goes on */
    const char *passed; /* DDL that is forwarded: why, for the log; else NULL. "direct",
                           "targeted", "strategy", "intercept_off", "temporary";
                           "several": the client may not send several statements, vtgate
                           will refuse them; "too_long": not all of the text was seen */
};

/*
 * Whether a whole COM_QUERY is as nearly all are: plan_text would say FORWARD, with no effect and
 * nothing to log. The short way there, as long as there is no hold and no fence, and nothing is
 * collected (of plan_facts).
 */
bool plan_is_plain(bool multi_statements, const char *text, size_t len);

/*
 * A COM_QUERY or COM_STMT_PREPARE (`prepare`) with text[0..len). `whole`: that is all of it;
 * `may_grow`: else more can be waited for (not past limits.max_inspect_bytes), so that PLAN_MORE is
 * a possible answer. find_named looks up a statement of the text protocol for EXECUTE (NULL: none).
 */
struct plan plan_text(const struct plan_facts *facts, const char *text, size_t len, bool whole,
                      bool may_grow, bool prepare,
                      const struct prepared *(*find_named)(void *arg, struct sql_name name),
                      void *arg);

/* A COM_STMT_EXECUTE of that statement (NULL: unknown to the shim, so that it matches every hold).
 */
struct plan plan_execute(const struct plan_facts *facts, const struct prepared *prepared);

/* What to keep of a text that was prepared. The text's memory is copied where needed. */
void prepared_init(struct prepared *p, const char *text, size_t len, bool whole);
void prepared_fini(struct prepared *p);

#endif
