/*
 * Routing rules as a value: what Vitess's vschema.RoutingRules says. Changes and checks. Pure.
 */
#ifndef VTSHIM_PLANNER_ROUTING_H
#define VTSHIM_PLANNER_ROUTING_H

#include <stdbool.h>
#include <stddef.h>

#include "planner/vschema_check.h"
#include "planner/vschema_text.h"

struct routing_rule {
    const char *from; /* "t", "ks.t", or one of these with "@replica" or "@rdonly" behind it */
    const char **to;  /* "ks.t" */
    size_t to_count;
};

struct routing_rules {
    struct arena arena;
    struct routing_rule *rules;
    size_t n;
};

struct routing_rules *routing_create(void);
void routing_free(struct routing_rules *r); /* NULL is fine */
/* The pointer is good until the next one is added. */
struct routing_rule *routing_add(struct routing_rules *r, const char *from);
void routing_add_target(struct routing_rules *r, struct routing_rule *rule, const char *to);

/* The first rule from there, or NULL. */
const struct routing_rule *routing_find(const struct routing_rules *r, const char *from);

/* {"rules":[{"from_table":"t","to_tables":["ks.t"]}]}, as vtctldclient takes it. */
void routing_write(struct text *out, const struct routing_rules *r);

/* Changes, with paths such as rules["ks.t"]. The touched tables (diff->tables) are "ks.t", or "t"
   of any keyspace: everything that a rule which differs comes from or leads to. */
struct vschema_diff *routing_diff(const struct routing_rules *before,
                                  const struct routing_rules *after);

/* Adds what is wrong with the rules. */
void routing_check(const struct vschema_facts *facts, const struct routing_rules *rules,
                   struct vschema_findings *out);

#endif
