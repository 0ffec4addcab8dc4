/*
 * What a statement is, as far as the shim cares. Pure functions over the text of a COM_QUERY or
 * COM_STMT_PREPARE. Keywords are looked up in statements.def.
 */
#ifndef VTSHIM_PLANNER_CLASSIFY_H
#define VTSHIM_PLANNER_CLASSIFY_H

#include <stdbool.h>
#include <stddef.h>

#include "planner/lexer.h"

enum statement_kind {
    STATEMENT_EMPTY, /* blanks and comments only */
    STATEMENT_OTHER, /* everything not named below, syntax errors included */
    STATEMENT_READ,  /* SELECT, TABLE, VALUES, WITH .. SELECT, parenthesised SELECT */
    STATEMENT_WRITE, /* INSERT, REPLACE, UPDATE, DELETE, LOAD, WITH .. UPDATE|DELETE, CALL, DO */
    STATEMENT_BEGIN, /* BEGIN [WORK], START TRANSACTION */
    STATEMENT_END_TRANSACTION, /* COMMIT, ROLLBACK (not ROLLBACK TO), also with AND CHAIN */
    STATEMENT_SAVEPOINT,       /* SAVEPOINT, ROLLBACK TO, RELEASE SAVEPOINT */
    STATEMENT_SET,             /* SET ... */
    STATEMENT_USE,             /* USE db */
    STATEMENT_SHOW,            /* SHOW, DESCRIBE, EXPLAIN, HELP */
    STATEMENT_EXPLAIN_DDL,     /* EXPLAIN of an ONLINE_DDL: the shim's own answer */
    STATEMENT_ONLINE_DDL, /* CREATE|ALTER|DROP TABLE, VIEW; CREATE|DROP INDEX: what Vitess can run
                             online */
    STATEMENT_DIRECT_DDL, /* RENAME TABLE, TRUNCATE, CREATE|DROP TEMPORARY TABLE, CREATE|DROP|ALTER
                             DATABASE, and other CREATE/ALTER/DROP (procedure, user, trigger, event)
                           */
    STATEMENT_VSCHEMA,    /* ALTER VSCHEMA */
    STATEMENT_MIGRATION,  /* ALTER VITESS_MIGRATION, REVERT VITESS_MIGRATION */
    STATEMENT_PREPARE,    /* PREPARE name FROM ... (the text protocol's own) */
    STATEMENT_EXECUTE,    /* EXECUTE name [USING ..] */
    STATEMENT_DEALLOCATE, /* DEALLOCATE | DROP PREPARE name */
    STATEMENT_LOCK,       /* LOCK, UNLOCK TABLES */
    STATEMENT_KILL        /* KILL [CONNECTION|QUERY] id */
};

enum ddl_verb { DDL_NONE, DDL_CREATE, DDL_ALTER, DDL_DROP, DDL_RENAME, DDL_TRUNCATE };
enum ddl_object {
    DDL_OBJECT_OTHER,
    DDL_OBJECT_TABLE,
    DDL_OBJECT_VIEW,
    DDL_OBJECT_INDEX,
    DDL_OBJECT_DATABASE
};

/* The user-level lock function (MySQL 8.4 manual, 14.14) that a SELECT begins with. vtgate takes
   one nowhere else: not with other columns, not in an expression
   (go/vt/vtgate/planbuilder/select.go, handleDualSelects). IS_FREE_LOCK and IS_USED_LOCK change
   nothing and are LOCK_NONE. */
enum lock_function { LOCK_NONE, LOCK_GET, LOCK_RELEASE, LOCK_RELEASE_ALL };

/* BEGIN TRANSITION ks, COMMIT TRANSITION and ROLLBACK TRANSITION: the shim's own. Their kinds are
   those of BEGIN and COMMIT. */
enum transition_verb { TRANSITION_NONE, TRANSITION_BEGIN, TRANSITION_COMMIT, TRANSITION_ROLLBACK };

/* A name as written, borrowed from the statement; quotes excluded. len 0: absent. */
struct sql_name {
    const char *text;
    size_t len;
};

struct statement {
    enum statement_kind kind;
    const char *text; /* from the first token (or a leading comment) up to, excluding, the ';' */
    size_t len;
    enum ddl_verb verb; /* for the DDL kinds */
    enum ddl_object object;
    struct sql_name qualifier; /* DDL: keyspace written before the first table's name; USE: empty */
    struct sql_name name; /* DDL: first table's name (for INDEX: the table after ON; DATABASE: its
                             name; OTHER: absent); VSCHEMA: the table, absent for CREATE|DROP
                             VINDEX; BEGIN TRANSITION: the keyspace; USE: the database, also
                             "ks@replica" if written without quotes; PREPARE/EXECUTE/DEALLOCATE: the
                             statement's name. Doubled backticks are kept doubled */
    struct sql_name body; /* PREPARE: the text inside its string literal, escapes kept; absent
                             when it comes from a user variable. EXPLAIN_DDL: the DDL, from its
                             first word to the end */
    struct sql_name
        variable;   /* PREPARE: the user variable (@ included) that holds the text; or absent */
    bool temporary; /* CREATE | DROP TEMPORARY TABLE */
    bool sets_ddl_strategy;    /* SET: assigns ddl_strategy (any of: ddl_strategy, @@ddl_strategy,
                                  @@session.ddl_strategy, SESSION ddl_strategy), also among others */
    bool ddl_strategy_default; /* ... and the last value assigned to the session's is DEFAULT */
    bool sets_global;        /* each such assignment was to the GLOBAL/PERSIST scope: the session's
                                value stays as it is */
    enum lock_function lock; /* READ: what it does to the session's user-level locks */
    enum transition_verb transition;
    bool truncated; /* the text ended inside a string, quoted name or comment */
};

/*
 * The first statement of sql[0..len) and everything the fields above say about it.
 * Returns how many bytes were used, the ';' included, so that sql + used is the next statement;
 * used == len when it was the last. Never returns 0 unless len is 0.
 * A body of BEGIN..END (CREATE PROCEDURE|FUNCTION|TRIGGER|EVENT ...) is not split at its
 * semicolons: such a statement ends at the ';' after its END. One whose body is IF, LOOP, REPEAT or
 * WHILE without BEGIN extends to the end of the text.
 */
size_t classify_next(const char *sql, size_t len, struct statement *out);

/* What a prefix of a statement already shows. */
enum quick_kind {
    QUICK_UNDECIDED,  /* the first keyword is not complete within these bytes, and more may come */
    QUICK_PLAIN,      /* its first keyword can neither be DDL nor change what the shim tracks: READ,
                         WRITE, SHOW, SAVEPOINT ... */
    QUICK_INTERESTING /* needs classify_next: CREATE, ALTER, DROP, RENAME, TRUNCATE, SET, USE,
                         BEGIN, PREPARE, EXECUTE, DEALLOCATE, REVERT, KILL, LOCK, a version comment,
                         "(", SELECT GET_LOCK( ... */
};

/*
 * Looks past blanks and comments at the first keyword only: the hot path, a few nanoseconds for
 * "select ...". `whole`: no more bytes will come. Version comments count as code
 * (QUICK_INTERESTING), so that DDL cannot hide inside one.
 */
enum quick_kind classify_quick(const char *sql, size_t len, bool whole);

/* Whether text holds a ';' followed by anything but blanks, comments and further ';' : then it is
 * more than one statement (or may be: a ';' inside of a string is told apart by the lexer). */
bool classify_is_multi(const char *sql, size_t len);

/* The kind's name in lower case, for logs and metrics: "read", "online_ddl" ... */
const char *statement_kind_name(enum statement_kind kind);

#endif
