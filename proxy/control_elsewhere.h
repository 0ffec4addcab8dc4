/*
 * COMPLETE and POSTPONE of a migration that this process does not follow: another shim may manage
 * its cut-over, or an earlier process under this shim's name did. Vitess's row tells which
 * (planner/ddl.h), so it is asked, over the client's own session; and as all that can be changed of
 * such a row is its cut-over threshold, there the wish is left for whoever manages it
 * (ddl_threshold_postponed_s, ddl_threshold_now_s).
 */
#ifndef VTSHIM_PROXY_CONTROL_ELSEWHERE_H
#define VTSHIM_PROXY_CONTROL_ELSEWHERE_H

#include <stdbool.h>
#include <stdint.h>

#include "planner/control.h"
#include "planner/ddl.h"

struct session;
struct server;
struct answer;

/* Who waits for a COMPLETE to cut it over. */
struct manager {
    char instance[9], uuid[64];
    unsigned threshold_s; /* as it was submitted with */
};

/* One row of Vitess's, its values as texts (NULL: SQL NULL). False: no shim manages it, or it has
   ended. uuid may be NULL. */
bool manager_read(struct manager *m, const char *uuid, const char *context, const char *options,
                  const char *status, const char *postponed);

/* The threshold that says so. */
unsigned manager_threshold_s(const struct manager *m, bool complete);

/* What comes of it, in words. */
void manager_format(const struct manager *m, const struct server *server, bool complete, char *dst,
                    size_t size);

enum elsewhere {
    ELSEWHERE_NOBODY, /* it is vtgate's to answer */
    ELSEWHERE_ASKING, /* the same command will be planned again when vtgate has answered */
    ELSEWHERE_TOLD,   /* info says what */
    ELSEWHERE_ALL,    /* info is the uuid of one that a shim manages: not all can be completed */
    ELSEWHERE_FAILED  /* what vtgate says: code, state, info */
};

/* Must be called with the same statement until it answers something else than ASKING. */
enum elsewhere control_elsewhere(struct session *s, const struct control_statement *c,
                                 uint16_t *code, char state[6], char *info, size_t size);

/* The session ends; NULL is fine. */
void control_elsewhere_forget(struct session *s);

#endif
