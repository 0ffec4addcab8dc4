/*
 * The keyspaces and shards of a cluster, as vtgate tells them. Names of keyspaces and shards are
 * checked by Vitess's topology (go/vt/topo, ValidateKeyspaceName, ValidateShardName); here those
 * are left out that do not fit, or that would end the quotes that they are put into.
 */
#ifndef VTSHIM_PROXY_TOPOLOGY_H
#define VTSHIM_PROXY_TOPOLOGY_H

#include <stddef.h>

#include "protocol/reply.h"

#define TOPOLOGY_KEYSPACES "SHOW KEYSPACES"
#define TOPOLOGY_SHARDS    "SHOW VITESS_SHARDS"

#define TOPOLOGY_KEYSPACES_MAX 1024
#define TOPOLOGY_NAME_MAX      65 /* with the NUL */

/* The answer (NULL: there was none) to TOPOLOGY_KEYSPACES: free *names, which is never NULL.
   Returns how many there are; 0 also when it was refused. */
size_t topology_keyspaces(const struct answer *a, char (**names)[TOPOLOGY_NAME_MAX]);

/* The answer to TOPOLOGY_SHARDS: how many shards that keyspace has. The first `max` of their names
   ("-80"; "" for one that cannot be used) are copied; names may be NULL with max 0. */
size_t topology_shards(const struct answer *a, const char *keyspace,
                       char (*names)[TOPOLOGY_NAME_MAX], size_t max);

#endif
