/*
 * One look into Vitess for postponed migrations that a shim has begun, over a session of the shim's
 * own.
 */
#ifndef VTSHIM_PROXY_KEEPER_SCAN_H
#define VTSHIM_PROXY_KEEPER_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/mailbox.h"

struct worker;

#define SCAN_FOUND_MAX 256 /* more are found once these are done */

struct scan_found {
    char context[64]; /* of the shim's, or the uuid: by that it is followed */
    char uuid[64], keyspace[65], table[65], verb[16];
    char instance[9];     /* of the shim that submitted it */
    uint32_t threshold_s; /* its cut-over threshold as it was submitted */
    bool ready;           /* every shard that shows it could cut over */
    bool postponed;       /* by its user or an operator: it waits for COMPLETE */
};

struct scan {
    struct scan_found found[SCAN_FOUND_MAX];
    size_t n;
    char (*keyspaces)[65]; /* owned */
    size_t keyspace_count, next_keyspace;
    struct mailbox *mailbox;
    mailbox_fn *done;
    void *context;
};

/*
 * Posts done(context, scan) to the mailbox when it is over, however it ended. The caller owns the
 * result and frees it then, or when no other thread runs any more. Any thread.
 */
struct scan *scan_start(struct worker *w, struct mailbox *mailbox, mailbox_fn *done, void *context);
void scan_free(struct scan *scan);

#endif
