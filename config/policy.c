/*
 * Reading and applying the rules of ddl.policy. They are read anew for each DDL: there are few.
 */
#include "config/policy.h"

#include "config/support.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static const char *const ACTIONS[] = {
    [POLICY_WAIT] = "wait",
    [POLICY_ASYNC] = "async",
    [POLICY_DIRECT] = "direct",
    [POLICY_REJECT] = "reject",
};

const char *policy_action_name(enum policy_action action)
{
    return ACTIONS[action];
}

static bool parse_action(const char *word, size_t len, enum policy_action *out)
{
    for (size_t i = 0; i < sizeof(ACTIONS) / sizeof(ACTIONS[0]); i++) {
        if (strlen(ACTIONS[i]) == len && strncasecmp(word, ACTIONS[i], len) == 0) {
            *out = (enum policy_action)i;
            return true;
        }
    }
    return false;
}

static bool copy_pattern(char *out, const char *value, size_t len, struct config_error *err)
{
    if (len == 0 || len >= POLICY_PATTERN_MAX) {
        return config_error_set(err, "ddl.policy: a pattern must have 1 to %d bytes",
                                POLICY_PATTERN_MAX - 1);
    }
    memcpy(out, value, len);
    out[len] = '\0';
    return true;
}

static bool is_word(const char *word, size_t len, const char *expected)
{
    return strlen(expected) == len && strncasecmp(word, expected, len) == 0;
}

/* One "key=value". */
static bool parse_condition(const char *word, size_t len, struct policy_rule *out,
                            struct config_error *err)
{
    const char *equals = memchr(word, '=', len);
    size_t key = equals != NULL ? (size_t)(equals - word) : len;
    const char *value = equals != NULL ? equals + 1 : word + len;
    size_t n = len - (size_t)(value - word);

    if (equals != NULL && is_word(word, key, "keyspace")) {
        return copy_pattern(out->keyspace, value, n, err);
    }
    if (equals != NULL && is_word(word, key, "table")) {
        return copy_pattern(out->table, value, n, err);
    }
    if (equals != NULL && is_word(word, key, "user")) {
        return copy_pattern(out->user, value, n, err);
    }
    if (equals != NULL && is_word(word, key, "target") &&
        (is_word(value, n, "shard") || is_word(value, n, "keyspace"))) {
        out->target = is_word(value, n, "shard") ? POLICY_SHARD : POLICY_KEYSPACE;
        return true;
    }
    return config_error_set(err,
                            "ddl.policy: \"%.*s\" is not keyspace=PATTERN, table=PATTERN, "
                            "user=PATTERN, target=shard or target=keyspace",
                            (int)(len < 200 ? len : 200), word);
}

bool policy_parse(const char *text, struct policy_rule *out, struct config_error *err)
{
    bool first = true;

    *out = (struct policy_rule){.keyspace = "*", .table = "*", .user = "*"};
    while (*(text += strspn(text, " \t")) != '\0') {
        size_t len = strcspn(text, " \t");
        if (first && !parse_action(text, len, &out->action)) {
            return config_error_set(err,
                                    "ddl.policy: a rule begins with wait, async, direct or reject, "
                                    "not \"%.*s\"",
                                    (int)(len < 200 ? len : 200), text);
        }
        if (!first && !parse_condition(text, len, out, err)) {
            return false;
        }
        first = false;
        text += len;
    }
    return !first || config_error_set(err, "ddl.policy: a rule is empty");
}

bool policy_matches(const char *pattern, const char *text)
{
    const char *star = NULL, *again = NULL;

    /* On a mismatch the last * takes one character more: linear in the product of the lengths. */
    while (*text != '\0') {
        if (*pattern == '*') {
            star = pattern++;
            again = text;
        } else if (*pattern == '?' || (*pattern != '\0' && tolower((unsigned char)*pattern) ==
                                                               tolower((unsigned char)*text))) {
            pattern++;
            text++;
        } else if (star != NULL) {
            pattern = star + 1;
            text = ++again;
        } else {
            return false;
        }
    }
    return pattern[strspn(pattern, "*")] == '\0';
}

/* A keyspace that is not known (vtgate finds the table by its name) may be the one to protect. */
static bool keyspace_matches(const struct policy_rule *rule, const char *keyspace)
{
    return policy_matches(rule->keyspace, keyspace) ||
           (*keyspace == '\0' && rule->action == POLICY_REJECT);
}

enum policy_action policy_find(const struct config *c, const char *keyspace, const char *table,
                               const char *user, bool shard)
{
    struct policy_rule rule;
    struct config_error err;

    for (size_t i = 0; i < c->ddl_policy.n; i++) {
        if (policy_parse(c->ddl_policy.items[i], &rule, &err) &&
            (rule.target == POLICY_ANY || (rule.target == POLICY_SHARD) == shard) &&
            keyspace_matches(&rule, keyspace) && policy_matches(rule.table, table) &&
            policy_matches(rule.user, user)) {
            return rule.action;
        }
    }
    for (size_t i = 0; i < c->ddl_direct_tables.n; i++) {
        if (*table != '\0' && policy_matches(c->ddl_direct_tables.items[i], table)) {
            return POLICY_DIRECT;
        }
    }
    return POLICY_WAIT;
}
