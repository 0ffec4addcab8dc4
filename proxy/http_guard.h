/*
 * Who may use the HTTP API: tokens, and no request that another web site has a browser send.
 *
 * With http_tokens a request needs "Authorization: Bearer TOKEN"; the shim knows only the digests
 * of tokens, and compares all of them, each in constant time. Without, requests from this host may
 * look and not change anything, unless the console asks its users for a password: then nobody may.
 *
 * No cookies and no CORS headers are ever sent, so that a browser adds no right of its user's to
 * what a foreign page asks for. On top of it: Sec-Fetch-Site and Origin, where a browser sends
 * them, must say that the page is the shim's own; what changes something must be JSON, which a
 * foreign page cannot send unasked; and without tokens the host must be asked for by address or as
 * localhost, since a foreign name may have been pointed here (DNS rebinding).
 * (W3C, "Fetch Metadata Request Headers"; RFC 6454; RFC 6750.)
 */
#ifndef VTSHIM_PROXY_HTTP_GUARD_H
#define VTSHIM_PROXY_HTTP_GUARD_H

#include <event2/http.h>
#include <stdbool.h>
#include <stdint.h>

#include "config/options.h"

struct http_guard;

struct http_guard *http_guard_create(void);
void http_guard_destroy(struct http_guard *g);

/* From now on; copied. config: http_tokens and admin_users. */
void http_guard_take(struct http_guard *g, const struct config *config);

struct http_caller {
    char name[64]; /* of the token */
    char peer[64];
    enum config_role role;
};

struct http_refusal {
    int status;
    const char *reason, *text; /* static */
};

/* True: *caller says who it is. False: *refusal says how to answer. */
bool http_guard_admit(struct http_guard *g, struct evhttp_request *rq, struct http_caller *caller,
                      struct http_refusal *refusal);

/* Requests that were not admitted, since the start. Control loop only. */
uint64_t http_guard_refused(const struct http_guard *g);

#endif
