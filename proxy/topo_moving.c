/*
 * Names of rules: "ks.t", "t", and either with "@replica" or "@rdonly" behind it, which do not
 * count here, for nobody writes there.
 */
#include "proxy/topo_moving.h"

#include <stdio.h>
#include <string.h>

/* "ks.t": both parts; false if it is something else, or a part too long. */
static bool split(const char *name, struct topo_moving *to)
{
    const char *dot = strchr(name, '.');

    if (!dot || dot == name || strchr(name, '@') || (size_t)(dot - name) >= sizeof(to->from) ||
        strlen(dot + 1) >= sizeof(to->table) || !dot[1])
        return false;
    memcpy(to->from, name, (size_t)(dot - name));
    to->from[dot - name] = '\0';
    snprintf(to->table, sizeof(to->table), "%s", dot + 1);
    return true;
}

static const char *only_target(const json_t *targets)
{
    return json_array_size(targets) == 1 ? json_string_value(json_array_get(targets, 0)) : NULL;
}

/* Whether the rule says that a table on its way to the keyspace is served elsewhere: where and
   which. */
static bool is_moving(const char *name, const json_t *targets, const char *keyspace,
                      struct topo_moving *out)
{
    const char *target = only_target(targets);
    struct topo_moving here;

    return target && split(name, &here) && strcmp(here.from, keyspace) == 0 && split(target, out) &&
           strcmp(out->from, keyspace) != 0 && strcmp(out->table, here.table) == 0;
}

static void add_keyspace(struct topo_moving *moving, size_t *n, size_t max,
                         const struct topo_moving *one)
{
    for (size_t i = 0; i < *n; i++) {
        if (strcmp(moving[i].from, one->from) == 0)
            return;
    }
    if (*n == max)
        return;
    moving[*n] = *one;
    moving[(*n)++].table[0] = '\0';
}

static size_t read_keyspaces(json_t *routing, const char *keyspace, struct topo_moving *moving,
                             size_t max)
{
    struct topo_moving one;
    const char *name;
    json_t *targets;
    size_t n = 0;

    json_object_foreach(routing, name, targets)
    {
        if (is_moving(name, targets, keyspace, &one))
            add_keyspace(moving, &n, max, &one);
    }
    return n;
}

size_t topo_moving_read(const json_t *routing, const char *keyspace, struct topo_moving *moving,
                        size_t max)
{
    json_t *rules = (json_t *)(uintptr_t)routing; /* jansson iterates over what is not const */
    struct topo_moving one;
    const char *name;
    json_t *targets;
    size_t n = 0;

    json_object_foreach(rules, name, targets)
    {
        if (!is_moving(name, targets, keyspace, &one))
            continue;
        if (n == max)
            return read_keyspaces(rules, keyspace, moving, max);
        moving[n++] = one;
    }
    return n;
}

bool topo_moving_leads(const json_t *routing, const char *from, const char *to, const char *table)
{
    char name[2 * HOLD_NAME_MAX], target[2 * HOLD_NAME_MAX];

    snprintf(name, sizeof(name), "%s.%s", from, table);
    snprintf(target, sizeof(target), "%s.%s", to, table);
    const char *found = only_target(json_object_get(routing, name));

    return found && strcmp(found, target) == 0;
}
