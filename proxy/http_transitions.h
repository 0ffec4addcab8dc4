/*
 * The part of /metrics that tells of transitions.
 */
#ifndef VTSHIM_PROXY_HTTP_TRANSITIONS_H
#define VTSHIM_PROXY_HTTP_TRANSITIONS_H

struct evbuffer;
struct server;

void http_add_transitions(struct evbuffer *out, const struct server *server);

#endif
