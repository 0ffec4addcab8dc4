/*
 * Reads two answers of vtgate. Asks nothing itself: each asker has its own way to.
 */
#include "proxy/topology.h"

#include <string.h>

#include "proxy/memory.h"

static bool is_usable(struct bytes name)
{
    return name.p && name.len > 0 && name.len < TOPOLOGY_NAME_MAX &&
           !memchr(name.p, '`', name.len) && !memchr(name.p, '\'', name.len) &&
           !memchr(name.p, '\\', name.len);
}

size_t topology_keyspaces(const struct answer *a, char (**names)[TOPOLOGY_NAME_MAX])
{
    struct bytes row[1];
    size_t n = 0;

    *names = memory_zalloc(TOPOLOGY_KEYSPACES_MAX * sizeof(**names));
    if (!a || a->failed || !a->columns)
        return 0;
    for (const uint8_t *at = a->rows_at;
         n < TOPOLOGY_KEYSPACES_MAX && answer_row(a, &at, row, 1);) {
        if (is_usable(row[0]))
            bytes_to_name((*names)[n++], TOPOLOGY_NAME_MAX, row[0]);
    }
    return n;
}

size_t topology_shards(const struct answer *a, const char *keyspace,
                       char (*names)[TOPOLOGY_NAME_MAX], size_t max)
{
    size_t prefix = strlen(keyspace), n = 0;
    struct bytes row[1];

    if (!a || a->failed || !a->columns)
        return 0;
    for (const uint8_t *at = a->rows_at; answer_row(a, &at, row, 1);) {
        if (row[0].len <= prefix + 1 || memcmp(row[0].p, keyspace, prefix) != 0 ||
            row[0].p[prefix] != '/')
            continue;
        struct bytes shard = {row[0].p + prefix + 1, row[0].len - prefix - 1};

        if (n < max)
            bytes_to_name(names[n], TOPOLOGY_NAME_MAX,
                          is_usable(shard) ? shard : (struct bytes){NULL, 0});
        n++;
    }
    return n;
}
