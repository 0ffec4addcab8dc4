/*
 * Judging a VSchema that is to take the place of another. Pure: what is known of the database and
 * of other keyspaces is an argument.
 */
#ifndef VTSHIM_PLANNER_VSCHEMA_CHECK_H
#define VTSHIM_PLANNER_VSCHEMA_CHECK_H

#include <stdbool.h>
#include <stddef.h>

#include "planner/vschema.h"
#include "planner/vschema_diff.h"

enum vschema_rule {
#define VSCHEMA_RULE(name, level, help) VSCHEMA_RULE_##name,
#include "planner/vschema_rules.def"
#undef VSCHEMA_RULE
    VSCHEMA_RULES
};

struct vschema_finding {
    enum vschema_rule rule;
    bool refuse;      /* not allowed, and of a rule that refuses */
    const char *path; /* in the JSON */
    const char *text; /* one line, without the path */
};

struct vschema_findings {
    struct arena arena;
    struct vschema_finding *items;
    size_t n, refused;
    bool allowed[VSCHEMA_RULES]; /* set before the check: findings of these only warn */
};

/* A table as MySQL has it. */
struct vschema_fact_column {
    const char *name, *data_type; /* information_schema.columns */
};
enum vschema_rows { ROWS_UNKNOWN, ROWS_NONE, ROWS_SOME };
struct vschema_fact_table {
    const char *name;
    const struct vschema_fact_column *columns;
    size_t column_count;
    enum vschema_rows rows;
};

struct vschema_fact_keyspace {
    const char *name;
    const struct vschema *vschema; /* NULL: not known */
    bool tables_known;
    const struct vschema_fact_table *tables;
    size_t table_count;
    size_t shards; /* 0: not known */
};

struct routing_rules;

struct vschema_facts {
    const char *keyspace;
    const struct vschema_fact_keyspace *keyspaces; /* all of them, this one (as it is) included */
    size_t keyspace_count;
    const struct routing_rules *rules; /* in force; NULL: not known */
};

/*
 * Adds what is wrong with `after`, which takes the place of `before` (diff is between them): all of
 * its structure, and of what MySQL has to have only what the change touches, for it is not this
 * change that broke the rest.
 */
void vschema_check(const struct vschema_facts *facts, const struct vschema *before,
                   const struct vschema *after, const struct vschema_diff *diff,
                   struct vschema_findings *out);

/* "rule,rule" or "all". False: *unknown is what is no rule (its length in *len). */
bool vschema_allow(struct vschema_findings *f, const char *rules, const char **unknown,
                   size_t *len);

void vschema_find(struct vschema_findings *f, enum vschema_rule rule, const char *path,
                  const char *format, ...) __attribute__((format(printf, 4, 5)));
void vschema_findings_free(struct vschema_findings *f);

const char *vschema_rule_name(enum vschema_rule rule);

/* Of the facts. NULL: none, or not known. */
const struct vschema_fact_keyspace *vschema_fact_keyspace(const struct vschema_facts *f,
                                                          const char *name);
const struct vschema_fact_table *vschema_fact_table(const struct vschema_fact_keyspace *k,
                                                    const char *name);
const struct vschema_fact_column *vschema_fact_column(const struct vschema_fact_table *t,
                                                      const char *name);

#endif
