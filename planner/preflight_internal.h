/*
 * What preflight.c (the table of rules, the way) and preflight_rules.c (the rules) share. For them
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

#define RULE(name, level, scope, doc) void rule_##name(struct preflight *p);
#include "planner/preflight.def"
#undef RULE

#endif
