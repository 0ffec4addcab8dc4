/*
 * How many sessions each user and each client address has, against limits. Shared by all workers.
 */
#ifndef VTSHIM_PROXY_QUOTA_H
#define VTSHIM_PROXY_QUOTA_H

#include <stdbool.h>
#include <stdint.h>

struct quota;

struct quota *quota_create(void);
void quota_destroy(struct quota *q);

/* Counts one more for the key ("user x", "address 10.0.0.1") unless it has `limit` already; a limit
   of 0 is none. Pair each true with a quota_give. Any thread. */
bool quota_take(struct quota *q, const char *key, int64_t limit);
void quota_give(struct quota *q, const char *key);

#endif
