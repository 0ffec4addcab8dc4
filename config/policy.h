/*
 * The rules of ddl.policy: which DDL waits, runs in the background, runs direct, or is refused.
 *
 *   ACTION [keyspace=PATTERN] [table=PATTERN] [user=PATTERN] [target=shard|keyspace]
 *
 * In a PATTERN * stands for any characters and ? for any one; ASCII case does not count. A
 * condition that is not given is met.
 */
#ifndef VTSHIM_CONFIG_POLICY_H
#define VTSHIM_CONFIG_POLICY_H

#include "config/options.h"

#include <stdbool.h>

enum policy_action { POLICY_WAIT, POLICY_ASYNC, POLICY_DIRECT, POLICY_REJECT };
enum policy_target { POLICY_ANY, POLICY_SHARD, POLICY_KEYSPACE };

#define POLICY_PATTERN_MAX 128

struct policy_rule {
    enum policy_action action;
    enum policy_target target;
    char keyspace[POLICY_PATTERN_MAX], table[POLICY_PATTERN_MAX], user[POLICY_PATTERN_MAX];
};

/* On false, *err says why ("ddl.policy: ..."). */
bool policy_parse(const char *text, struct policy_rule *out, struct config_error *err);

/* What happens to a DDL: the first rule of ddl.policy that matches, else DIRECT for a table of
   ddl.direct_tables, else WAIT. `table` may be "" (CREATE DATABASE, ...); a keyspace "", not known,
   matches all rules that reject; shard: the session targets one. */
enum policy_action policy_find(const struct config *c, const char *keyspace, const char *table,
                               const char *user, bool shard);

const char *policy_action_name(enum policy_action action);

bool policy_matches(const char *pattern, const char *text);

#endif
