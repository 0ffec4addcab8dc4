/*
 * What is said to Vitess about a migration whose cut-over a shim manages: COMPLETE there would
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

enum control_verdict {
    CONTROL_PASSES,   /* it is vtgate's to answer */
    CONTROL_ANSWERED, /* by one packet of that sequence number; or the session is gone */
    CONTROL_ASKING    /* vtgate is asked something; then the command is planned again */
};

/*
 * ALTER VITESS_MIGRATION on the applications' port. `more`: results of the same command follow.
 * *succeeded: with ANSWERED, whether by an OK.
 */
enum control_verdict control_managed(struct session *s, const struct statement *st,
                                     uint8_t sequence, bool more, bool *succeeded);

#endif
