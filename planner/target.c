/*
 * Targets, as far as they have to be understood here: which keyspace, and whether it is all of it.
 * No name of a keyspace has one of the bytes that end it (go/vt/topo/keyspace.go,
 * ValidateKeyspaceName), so that the first one counts.
 */
#include "planner/target.h"

#include <string.h>

struct sql_name target_keyspace(const char *target)
{
    if (!target)
        target = "";
    return (struct sql_name){target, strcspn(target, ":/[@")};
}

bool target_is_of(const char *target, const char *keyspace)
{
    struct sql_name own = target_keyspace(target);

    return own.len > 0 && own.len == strlen(keyspace) && memcmp(own.text, keyspace, own.len) == 0;
}

bool target_is_shard(const char *target)
{
    return target && strpbrk(target, ":/[") != NULL;
}
