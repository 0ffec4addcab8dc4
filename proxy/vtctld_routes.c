/*
 * Routing rules, as vtctld tells them.
 */
#include "proxy/vtctld_routes.h"

#include <string.h>

/* Whether a rule's name is that of the table: "ks.t" or "ks.t@primary". */
static bool same_name(const char *rule, const char *keyspace, const struct sql_name *name)
{
    size_t k = strlen(keyspace);

    if (strncmp(rule, keyspace, k) != 0 || rule[k] != '.' ||
        strncmp(rule + k + 1, name->text, name->len) != 0)
        return false;
    rule += k + 1 + name->len;
    return *rule == '\0' || strcmp(rule, "@primary") == 0;
}

const char *routes_table(const Vschema__RoutingRules *rules, const char *keyspace,
                         const struct sql_name *name)
{
    for (size_t i = 0; rules && i < rules->n_rules; i++) {
        const Vschema__RoutingRule *rule = rules->rules[i];

        if (!same_name(rule->from_table, keyspace, name))
            continue;
        if (rule->n_to_tables == 0)
            return "nowhere";
        if (!same_name(rule->to_tables[0], keyspace, name))
            return rule->to_tables[0];
    }
    return NULL;
}

const char *routes_keyspace(const Vschema__KeyspaceRoutingRules *rules, const char *keyspace)
{
    for (size_t i = 0; rules && i < rules->n_rules; i++) {
        const Vschema__KeyspaceRoutingRule *rule = rules->rules[i];

        if (strcmp(rule->from_keyspace, keyspace) == 0 && strcmp(rule->to_keyspace, keyspace) != 0)
            return rule->to_keyspace;
    }
    return NULL;
}
