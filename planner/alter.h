/*
 * DDL on tables as a list of actions: ALTER, CREATE, DROP and RENAME TABLE, CREATE and DROP INDEX.
 * The answer to SHOW CREATE TABLE is read by the same parser, so that a table as it is and a table
 * as it is to be are the same kind of value.
 *
 * It never guesses. What it does not know becomes DDL_UNKNOWN, and `understood` is false: nothing
 * may be refused on the strength of such a reading, vtgate judges it. (MySQL manual, "ALTER TABLE
 * Statement", "CREATE TABLE Statement", "CREATE INDEX Statement".) Pure.
 */
#ifndef VTSHIM_PLANNER_ALTER_H
#define VTSHIM_PLANNER_ALTER_H

#include <stdbool.h>
#include <stddef.h>

#include "planner/classify.h"

/* ACTION(NAME, "as EXPLAIN shows it") */
#define DDL_ACTIONS(X)                                                                             \
    X(UNKNOWN, "not understood")                                                                   \
    X(ADD_COLUMN, "add column")                                                                    \
    X(DROP_COLUMN, "drop column")                                                                  \
    X(CHANGE_COLUMN, "change column")                                                              \
    X(MODIFY_COLUMN, "modify column")                                                              \
    X(RENAME_COLUMN, "rename column")                                                              \
    X(ALTER_COLUMN, "alter column")                                                                \
    X(ADD_INDEX, "add index")                                                                      \
    X(DROP_INDEX, "drop index")                                                                    \
    X(RENAME_INDEX, "rename index")                                                                \
    X(ALTER_INDEX, "alter index")                                                                  \
    X(ADD_PRIMARY_KEY, "add primary key")                                                          \
    X(DROP_PRIMARY_KEY, "drop primary key")                                                        \
    X(ADD_FOREIGN_KEY, "add foreign key")                                                          \
    X(DROP_FOREIGN_KEY, "drop foreign key")                                                        \
    X(ADD_CHECK, "add check")                                                                      \
    X(DROP_CONSTRAINT, "drop constraint")                                                          \
    X(ALTER_CONSTRAINT, "alter constraint")                                                        \
    X(RENAME_TABLE, "rename table")                                                                \
    X(DROP_TABLE, "drop table")                                                                    \
    X(ENGINE, "engine")                                                                            \
    X(CHARSET, "character set")                                                                    \
    X(COLLATE, "collation")                                                                        \
    X(CONVERT, "convert to character set")                                                         \
    X(ALGORITHM, "algorithm")                                                                      \
    X(LOCK, "lock")                                                                                \
    X(AUTO_INCREMENT, "auto_increment")                                                            \
    X(OPTION, "table option")                                                                      \
    X(FORCE, "rebuild")                                                                            \
    X(ORDER_BY, "order by")                                                                        \
    X(PARTITION_BY, "partition by")                                                                \
    X(PARTITION, "partition")                                                                      \
    X(LIKE, "like another table")                                                                  \
    X(SELECT, "as a query")

enum ddl_action_kind {
#define X(NAME, text) DDL_##NAME,
    DDL_ACTIONS(X)
#undef X
};

/* What stands behind a column's name. Names are borrowed from the text. */
struct ddl_column {
    struct sql_name type;      /* its first word */
    struct sql_name arguments; /* between the parentheses behind it; absent: none */
    struct sql_name charset, collation;
    struct sql_name fallback; /* of DEFAULT: a string's or number's text; else its first word */
    bool is_unsigned, not_null, has_default, default_is_null, auto_increment, generated;
    bool primary, unique; /* PRIMARY KEY, UNIQUE among the attributes */
    bool references;      /* REFERENCES: a foreign key */
    bool varying, national;
};

enum ddl_index_type { DDL_INDEX_PLAIN, DDL_INDEX_UNIQUE, DDL_INDEX_FULLTEXT, DDL_INDEX_SPATIAL };

/* An index's columns are ddl.parts[first_part .. first_part + parts). */
struct ddl_index {
    enum ddl_index_type type;
    bool invisible, expression, prefix; /* some part is an expression; a prefix of a column */
    size_t first_part, parts;
};

struct ddl_action {
    enum ddl_action_kind kind;
    struct sql_name name;      /* column, index, constraint, table, partition; absent: not given */
    struct sql_name new_name;  /* CHANGE, RENAME: what it becomes */
    struct sql_name value;     /* of an option; DROP and RENAME TABLE: the keyspace before the name;
                                  ALTER_COLUMN, ALTER_INDEX: "SET", "DROP", "VISIBLE", "INVISIBLE";
                                  PARTITION: its verb; ALTER_CONSTRAINT: nothing */
    struct sql_name new_value; /* RENAME TABLE: the keyspace written before new_name */
    struct sql_name after;     /* ADD, CHANGE, MODIFY: AFTER this column */
    bool first;                /* ... or FIRST */
    bool conditional;          /* IF EXISTS, IF NOT EXISTS (MariaDB's, vtgate knows none of them) */
    struct ddl_column column;  /* ADD, CHANGE, MODIFY */
    struct ddl_index index;    /* ADD_INDEX, ADD_PRIMARY_KEY, ADD_FOREIGN_KEY */
};

struct ddl {
    enum ddl_verb verb;
    enum ddl_object object;           /* TABLE or INDEX; OTHER: none of ours */
    struct sql_name qualifier, table; /* DROP TABLE: the first */
    bool conditional;                 /* IF [NOT] EXISTS */
    bool temporary;
    bool understood; /* all of it */
    bool subpartitions;
    struct ddl_action *actions; /* owned */
    size_t n, cap;
    struct sql_name *parts; /* columns of indexes; an absent name: an expression. Owned */
    size_t part_count, part_cap;
};

/* Reads one statement, without its ';'. Names in it are borrowed from sql. ddl_free it. */
struct ddl *ddl_parse(const char *sql, size_t len);
void ddl_free(struct ddl *d);

const char *ddl_action_name(enum ddl_action_kind kind);

/* Names of columns, indexes and constraints: the same but for ASCII case. */
bool ddl_same_name(struct sql_name a, struct sql_name b);

/* Whether comparing its bytes tells all: folding other letters' case is the collation's affair. */
bool ddl_name_is_ascii(struct sql_name name);

/* Whether name is this word (given in upper case), ignoring case. */
bool ddl_name_is(struct sql_name name, const char *upper);

#endif
