/*
 * What the files of the DDL parser share: alter.c (statements, clauses of ALTER TABLE),
 * alter_scan.c (reading tokens), alter_column.c, alter_index.c, alter_option.c. For them only.
 */
#ifndef VTSHIM_PLANNER_ALTER_SCAN_H
#define VTSHIM_PLANNER_ALTER_SCAN_H

#include "planner/alter.h"
#include "planner/lexer.h"

/* The token in hand, and the one behind it. */
struct ddl_scan {
    struct lexer lx;
    struct token t, next;
    struct ddl *ddl;
    bool failed; /* the clause in hand is not understood */
};

void scan_begin(struct ddl_scan *s, const char *sql, size_t len, struct ddl *d);
void scan_advance(struct ddl_scan *s);
bool scan_at_end(const struct ddl_scan *s);

/* Past the word, or the character, if it is the one in hand. */
bool scan_accept(struct ddl_scan *s, const char *word);
bool scan_accept_char(struct ddl_scan *s, char c);
bool scan_next_is(const struct ddl_scan *s, const char *word);

/* These set `failed` when it is not what is in hand. */
void scan_expect(struct ddl_scan *s, const char *word);
struct sql_name scan_name(struct ddl_scan *s);  /* an identifier; "x" too, as under ANSI_QUOTES */
struct sql_name scan_value(struct ddl_scan *s); /* identifier, string or number */

/* From "(" to behind its ")"; the text between. */
struct sql_name scan_parentheses(struct ddl_scan *s);

/* [IF [NOT] EXISTS] */
bool scan_condition(struct ddl_scan *s);

/* [keyspace.]table */
struct sql_name scan_table(struct ddl_scan *s, struct sql_name *qualifier);

/* A new action. Valid until the next one. */
struct ddl_action *scan_action(struct ddl_scan *s, enum ddl_action_kind kind);

/* alter_column.c */
void scan_column(struct ddl_scan *s, struct ddl_action *a); /* type, attributes, FIRST | AFTER */
void scan_references(struct ddl_scan *s);
void scan_default(struct ddl_scan *s, struct ddl_column *c); /* what is behind DEFAULT */

/* alter_index.c */
/* [name] [USING type] (parts) options. */
void scan_index(struct ddl_scan *s, struct ddl_action *a, enum ddl_index_type type);
void scan_index_parts(struct ddl_scan *s, struct ddl_index *index);
void scan_index_options(struct ddl_scan *s, struct ddl_index *index);
/* INDEX, KEY, UNIQUE, FULLTEXT, CONSTRAINT, PRIMARY, FOREIGN, CHECK ..., as in ADD and in CREATE
   TABLE. False: it is none of them. */
bool scan_key_definition(struct ddl_scan *s);

/* alter_option.c */
/* One table option; false: it is none. */
bool scan_option(struct ddl_scan *s);
/* PARTITION BY ... to the end. */
void scan_partition_by(struct ddl_scan *s);

/* alter_clause.c */
void scan_clauses(struct ddl_scan *s);     /* all of an ALTER TABLE's */
void scan_definitions(struct ddl_scan *s); /* in parentheses: columns and keys */
void scan_dropped(struct ddl_scan *s, enum ddl_action_kind kind); /* [IF EXISTS] name */
void scan_algorithm(struct ddl_scan *s); /* these stand behind their word */
void scan_lock(struct ddl_scan *s);
void scan_partition_clause(struct ddl_scan *s);
bool scan_sees_partitions(const struct ddl_scan *s); /* PARTITION BY is in hand */

#endif
