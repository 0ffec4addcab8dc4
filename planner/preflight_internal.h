/*
 * What preflight.c (the table of rules, the way) and preflight_rules.c and
 * preflight_warnings.c (the rules) share. For them
 * only.
 */
#ifndef VTSHIM_PLANNER_PREFLIGHT_INTERNAL_H
#define VTSHIM_PLANNER_PREFLIGHT_INTERNAL_H

#include "planner/preflight.h"
#include "planner/shape.h"

/* One statement under examination. */
struct preflight {
    const struct ddl *d;
    const struct preflight_facts *facts;
    struct shape before, after; /* of the table; CREATE: before is empty */
    bool shaped;                /* before and after are known */
    enum preflight_rule rule;   /* the one being looked at */
    bool refuse;                /* its level */
    struct findings *out;
};

/* One more finding of the rule being looked at. */
__attribute__((format(printf, 4, 5))) void
preflight_find(struct preflight *p, uint16_t code, const char *state, const char *format, ...);

/* For texts and errors. */
#define NAME(n) (int)(n).len, (n).text ? (n).text : ""

#define GENERAL       1105, "HY000" /* ER_UNKNOWN_ERROR: what vtgate's own refusals have mostly */
#define NOT_SUPPORTED 1235, "42000" /* ER_NOT_SUPPORTED_YET */

/* The actions of that kind, in turn. */
#define EACH_ACTION(p, a)                                                                          \
    for (const struct ddl_action *a = (p)->d->actions; a && a < (p)->d->actions + (p)->d->n; a++)

static inline bool changes_column(const struct ddl_action *a)
{
    return a->kind == DDL_CHANGE_COLUMN || a->kind == DDL_MODIFY_COLUMN;
}

/* An ALTER TABLE, or an index statement, which Vitess makes one of. */
static inline bool is_alter(const struct ddl *d)
{
    return d->verb == DDL_ALTER || d->object == DDL_OBJECT_INDEX;
}

/* The column that a CHANGE or MODIFY is about, as it is. */
static inline const struct ddl_column *old_column(const struct preflight *p,
                                                  const struct ddl_action *a)
{
    const struct shape_column *c = p->shaped ? shape_column(&p->before, a->name) : NULL;

    return c ? c->column : NULL;
}

/* The literal of a table's name, for texts. */
static inline struct sql_name table_of(const struct preflight *p)
{
    return p->d->table;
}

#define RULE(name, level, scope, doc) void rule_##name(struct preflight *p);
#include "planner/preflight.def"
#undef RULE

#endif
