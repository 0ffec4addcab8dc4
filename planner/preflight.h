/*
 * The preflight: what is wrong with a DDL statement, told before any shard is touched. Facts in,
 * findings out; the rules are in preflight.def. Pure.
 *
 * Nothing is refused that was not wholly understood: then only vtgate's own judgement counts, and
 * the findings that would refuse are left out.
 */
#ifndef VTSHIM_PLANNER_PREFLIGHT_H
#define VTSHIM_PLANNER_PREFLIGHT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "planner/alter.h"

enum preflight_rule {
#define RULE(name, level, scope, doc) RULE_##name,
#include "planner/preflight.def"
#undef RULE
    RULE_COUNT
};

#define PREFLIGHT_TEXT 480 /* an error's text is cut at 512 bytes */
#define FINDINGS_MAX   64

/* A set of rules, a bit for each. */
typedef uint64_t preflight_rules;
#define RULE_BIT(rule) ((preflight_rules)1 << (rule))
#define RULES_ALL      (~(preflight_rules)0)

/* The rule of that name (case and '-' for '_' are ignored), RULE_COUNT: there is none. */
enum preflight_rule preflight_rule_find(const char *name, size_t len);
const char *preflight_rule_name(enum preflight_rule rule);

struct vindex_use {
    char column[65], vindex[65];
};

struct shard_size {
    char shard[65];
    uint64_t rows, bytes; /* MySQL's estimates */
};

struct running_migration {
    char uuid[64], status[24], table[65];
};

/* A table that the statement drops (or is about), as the shards have it. */
struct table_fact {
    char name[260];
    bool is_view;
    size_t missing_on; /* so many shards */
    char shard[65];    /* the first of them */
};

/* One way in which shards have the table. */
struct table_version {
    struct ddl *table; /* from SHOW CREATE TABLE; NULL: it is not there */
    size_t shard_count;
    char shards[320]; /* their names: "-80, 80-", at most four; "": the one that vtgate chose */
};

/* What is known. What is not known stays zero, and its rules say nothing. */
struct preflight_facts {
    const char *keyspace;
    const char *session_keyspace; /* of names without one; "" or NULL: none */
    const struct ddl *table;      /* from SHOW CREATE TABLE; NULL: not known, or not there */
    const struct table_version *versions; /* where it is known shard by shard */
    size_t version_count;
    const struct table_fact *tables;
    size_t table_count;
    bool table_missing;        /* known not to be there */
    bool is_view;              /* ... or to be a view */
    bool online;               /* as an online schema change; else direct */
    bool foreign_keys_allowed; /* the strategy has --unsafe-allow-foreign-keys */
    bool instant_preferred;    /* ... --prefer-instant-ddl */
    bool sharded;
    bool refuse_running; /* ddl.on_conflict is refuse */
    bool vschema_changing;
    bool referenced; /* another table has a foreign key to it */
    const struct vindex_use *vindexes;
    size_t vindex_count;
    struct vindex_use sequence; /* "column" gets its values from the sequence "vindex" */
    const struct running_migration *running;
    size_t running_count;
    const struct shard_size *shards;
    size_t shard_count;
    uint64_t max_rows, max_bytes; /* of a table for direct DDL; 0: no limit */
    bool (*recently_used)(void *arg, struct sql_name table, struct sql_name column); /* or NULL */
    void *recently_arg;
};

struct finding {
    enum preflight_rule rule;
    bool refuse;
    uint16_t code;
    const char *state; /* SQLSTATE */
    char text[PREFLIGHT_TEXT];
    uint32_t versions; /* a bit for each of facts.versions that it is true of */
};

struct findings {
    struct finding items[FINDINGS_MAX];
    size_t n;
};

void preflight_check(const struct ddl *d, const struct preflight_facts *facts,
                     struct findings *out);

/* The same for each of facts.versions (none: for facts.table). What is found for some only says so.
 */
void preflight_check_shards(const struct ddl *d, const struct preflight_facts *facts,
                            struct findings *out);

/* What allowed rules would refuse is only warned of. */
void preflight_allow(struct findings *f, preflight_rules allowed);

/* The first finding that refuses, or NULL. */
const struct finding *preflight_refusal(const struct findings *f);

/*
 * Which column gets its values from which sequence, from vtgate's plan (VEXPLAIN PLAN, JSON) for
 * INSERT INTO t() VALUES (): it lists the columns that vtgate itself fills in. False: none does.
 */
bool preflight_sequence(const char *plan, size_t len, const struct vindex_use *vindexes,
                        size_t vindex_count, struct vindex_use *out);

/* How the shards will do it. */
enum preflight_way {
    WAY_UNKNOWN,
    WAY_CREATE,  /* a new, empty table */
    WAY_DROP,    /* Vitess renames it and removes it later; directly, MySQL drops it */
    WAY_INSTANT, /* only the dictionary changes */
    WAY_COPY     /* all rows are copied, online or (direct) by MySQL */
};

/* `possible`: what MySQL could do, were it preferred (without --prefer-instant-ddl Vitess copies).
 */
enum preflight_way preflight_way(const struct ddl *d, const struct preflight_facts *facts,
                                 bool *instant_possible);
const char *preflight_way_name(enum preflight_way way);

#endif
