/*
 * The tables that a DDL statement is about, and its text for somebody who is told the keyspace
 * besides: vtctld hands the text to MySQL as it is, where no keyspace has its own name as database.
 */
#ifndef VTSHIM_PLANNER_DDL_TABLES_H
#define VTSHIM_PLANNER_DDL_TABLES_H

#include "planner/classify.h"

struct ddl_table {
    struct sql_name qualifier, name; /* borrowed from the statement; qualifier.len 0: none */
};

/*
 * The tables or views that an ONLINE_DDL statement creates, alters or drops: one, or the list of a
 * DROP. Fills at most `max`; returns how many there are. 0: it has no name, which is a syntax
 * error.
 */
size_t ddl_tables(const struct statement *st, struct ddl_table *tables, size_t max);

/* Whether it may name further tables: a view's query does, LIKE and REFERENCES do. */
bool ddl_names_more(const struct statement *st);

/*
 * A DROP VIEW with the keyspace in front of each name that has none: of several keyspaces vtgate
 * does not take the session's there, and answers 1046 (VCursorImpl.FindViewTarget in
 * go/vt/vtgate/executorcontext/vcursor_impl.go). Returns the length, without a NUL behind it. 0: it
 * is another statement, has nothing to be added to, or does not fit; or there is no keyspace.
 */
size_t ddl_qualify_views(char *dst, size_t size, const struct statement *st,
                         struct sql_name keyspace);

/*
 * Copies text[0..len) without `keyspace.` in front of any name, and adds a NUL: dst has room for
 * len + 1 bytes. Returns the length. "keyspace" as the name of a table or alias in front of a
 * column is taken for the keyspace, too.
 */
size_t ddl_unqualify(char *dst, const char *text, size_t len, const char *keyspace);

#endif
