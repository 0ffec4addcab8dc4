/*
 * Changes: changes of VSchema, routing rules, tables' columns or serving that are under way or
 * were seen a moment ago. While one is, vtgates may refuse statements that are right, or differ.
 * Which statement one concerns is decided here; seeing them is the proxy's (proxy/changes.h).
 */
#ifndef VTSHIM_PLANNER_CHANGE_H
#define VTSHIM_PLANNER_CHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "planner/hold.h"
#include "planner/names.h"

#define CHANGE_TABLES 8

/* What changes: the VSchema of a keyspace, routing rules, columns of tables, who serves (reparent,
   reshard, MoveTables). */
enum change_kind { CHANGE_VSCHEMA, CHANGE_RULES, CHANGE_SCHEMA, CHANGE_SERVING, CHANGE_KIND_COUNT };
#define CHANGE_KINDS                                                                               \
    {                                                                                              \
        "vschema", "rules", "schema", "serving"                                                    \
    }

/* Who told: this shim does it itself, a vtgate's web page, etcd, an error of vtgate (which makes it
   a suspicion only). */
enum change_source { CHANGE_OWN, CHANGE_VTGATE, CHANGE_ETCD, CHANGE_ERROR, CHANGE_SOURCE_COUNT };
#define CHANGE_SOURCES                                                                             \
    {                                                                                              \
        "own", "vtgate", "etcd", "error"                                                           \
    }

struct change {
    uint64_t id;
    enum change_kind kind;
    enum change_source source;
    char keyspace[HOLD_NAME_MAX];              /* "": any */
    char tables[CHANGE_TABLES][HOLD_NAME_MAX]; /* if known */
    size_t table_count;                        /* 0: any table of the keyspace */
    bool many;                                 /* more than there is room for: any table */
    uint64_t times;                            /* how often it was noticed */
    int64_t since_ms, ended_ms;                /* CLOCK_MONOTONIC; ended_ms 0: under way */
};

/* Immutable once others can see it. */
struct change_set {
    int64_t last_ms; /* the latest ended_ms; INT64_MAX: one is under way */
    size_t n;
    struct change items[];
};

enum change_state { CHANGE_NONE, CHANGE_RECENT, CHANGE_UNDER_WAY };

/* What is asked about. */
struct change_subject {
    const char *database;      /* the session's target, as in struct hold_subject */
    const struct names *names; /* what the statement mentions; NULL: not known, anything */
};

/*
 * Whether a change that may concern the subject is under way, or ended less than within_ms ago;
 * *which (may be NULL) then is one of them. Over-approximates as holds do. Cheap when there was
 * none lately.
 */
enum change_state change_find(const struct change_set *set, const struct change_subject *subject,
                              int64_t now_ms, int64_t within_ms, const struct change **which);

/* Whether something odd about the subject may be a change's doing: one concerns it, or nothing that
   is known explains that there is one at all. */
bool change_may_be(const struct change_set *set, const struct change_subject *subject,
                   int64_t now_ms, int64_t within_ms);

/* Adds a table's name; with no room left the change concerns all tables. */
void change_add_table(struct change *t, const char *name, size_t len);

/*
 * Whether an error of vtgate tells of a change, and of which kind: a plan against a VSchema
 * that is just changing, a buffered or refused statement of a reparent, reshard or MoveTables.
 * (Texts: Vitess's go/vt/vterrors, go/vt/vtgate/buffer, go/vt/vttablet; most have code 1105.)
 */
bool change_suspected(uint16_t code, const char *text, size_t len, enum change_kind *kind);

#endif
