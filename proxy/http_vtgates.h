/*
 * The part of /metrics that tells of the vtgates.
 */
#ifndef VTSHIM_PROXY_HTTP_VTGATES_H
#define VTSHIM_PROXY_HTTP_VTGATES_H

struct evbuffer;
struct server;

void http_add_vtgates(struct evbuffer *out, struct server *server);

#endif
