/*
 * The columns and keys of a table, as a CREATE TABLE has them, and as they are after an ALTER
 * TABLE. Names are borrowed from the texts of both. Pure.
 */
#ifndef VTSHIM_PLANNER_SHAPE_H
#define VTSHIM_PLANNER_SHAPE_H

#include <stdbool.h>
#include <stddef.h>

#include "planner/alter.h"

struct shape_column {
    struct sql_name name;
    struct sql_name origin;          /* its name before the ALTER; absent: it is new */
    const struct ddl_column *column; /* its definition */
};

struct shape_key {
    struct sql_name name; /* absent: to be chosen by MySQL; "PRIMARY" for the primary key */
    bool unique, primary, prefix, expression, invisible;
    struct sql_name *parts; /* owned; names of columns */
    size_t n;
};

struct shape {
    struct shape_column *columns; /* owned */
    size_t n, cap;
    struct shape_key *keys; /* owned */
    size_t key_count, key_cap;
};

/* The table that a CREATE TABLE makes; NULL makes an empty one. */
void shape_init(struct shape *s, const struct ddl *create);
void shape_fini(struct shape *s);

/* What an ALTER TABLE, CREATE INDEX or DROP INDEX does to it. Names that it does not find are
   ignored: the rules tell. */
void shape_apply(struct shape *s, const struct ddl *change);

/* Or NULL. */
const struct shape_column *shape_column(const struct shape *s, struct sql_name name);
const struct shape_column *shape_origin(const struct shape *s, struct sql_name origin);
const struct shape_key *shape_key(const struct shape *s, struct sql_name name);

/* A unique key without NULLs that the copy of the table can go along, whose columns `other` has,
   too: with `by_origin` under the names that they have had, else under the ones that they get.
   NULL: there is none. `other` NULL: all columns count. */
const struct shape_key *shape_copy_key(const struct shape *s, const struct shape *other,
                                       bool by_origin);

#endif
