/*
 * Types of columns, as far as changing one into another may lose something. (MySQL manual, "Data
 * Types", "Silent Column Specification Changes".) Pure.
 */
#ifndef VTSHIM_PLANNER_COLUMN_TYPE_H
#define VTSHIM_PLANNER_COLUMN_TYPE_H

#include <stdbool.h>
#include <stdint.h>

#include "planner/alter.h"

enum type_family {
    TYPE_UNKNOWN, /* nothing can be said about it */
    TYPE_INTEGER,
    TYPE_DECIMAL,
    TYPE_FLOAT,
    TYPE_BIT,
    TYPE_TEXT,   /* CHAR, VARCHAR, TEXT */
    TYPE_BINARY, /* BINARY, VARBINARY, BLOB */
    TYPE_ENUM,
    TYPE_SET,
    TYPE_DATE,
    TYPE_TIME,
    TYPE_DATETIME,
    TYPE_TIMESTAMP,
    TYPE_YEAR,
    TYPE_JSON,
    TYPE_GEOMETRY
};

struct column_type {
    enum type_family family;
    uint64_t size;  /* INTEGER, FLOAT: bytes; TEXT: characters, or bytes of a TEXT; BINARY: bytes;
                       DECIMAL: digits before the point; BIT: bits; TIME..: digits of a second */
    uint64_t scale; /* DECIMAL: digits behind the point */
    bool is_unsigned;
    bool lob; /* TEXT and BLOB: size counts bytes */
};

struct column_type column_type_of(const struct ddl_column *c);

/* Whether a value of `from` may not fit into `to`; signs are not looked at. False when either is
   unknown. */
bool column_type_narrows(const struct ddl_column *from, const struct ddl_column *to);

/* Whether `to` is another type: another family, size of integer, sign, or character set. A longer
   VARCHAR is the same type. False when either is unknown. */
bool column_type_differs(const struct ddl_column *from, const struct ddl_column *to);

/* ENUM or SET: whether the members of `from` are the first ones of `to`, in their order. */
bool column_type_appends(const struct ddl_column *from, const struct ddl_column *to);

/* Whether the column may be a part of the key that a copy of the table goes along: no FLOAT,
   DOUBLE, JSON, BLOB ... */
bool column_type_is_iterable(const struct ddl_column *c);

#endif
