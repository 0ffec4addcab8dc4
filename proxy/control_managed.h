/*
 * What is said to Vitess about a migration whose cut-over this shim manages: COMPLETE there would
 * have the shards cut over at once, with no drain and each by itself, and POSTPONE COMPLETE would
 * change nothing. So both are told to the session that follows it, as a wish (migrations.h).
 */
#ifndef VTSHIM_PROXY_CONTROL_MANAGED_H
#define VTSHIM_PROXY_CONTROL_MANAGED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "planner/classify.h"

struct session;

/*
 * ALTER VITESS_MIGRATION on the applications' port. False: it is vtgate's to answer. Else the
 * client has been answered (or is gone, with the session) with one packet of that sequence number,
 * and *succeeded tells how. `more`: results of the same command follow.
 */
bool control_managed(struct session *s, const struct statement *st, uint8_t sequence, bool more,
                     bool *succeeded);

#endif
