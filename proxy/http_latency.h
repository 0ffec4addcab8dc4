/*
 * /metrics: what is known by worker, and histograms of durations.
 */
#ifndef VTSHIM_PROXY_HTTP_LATENCY_H
#define VTSHIM_PROXY_HTTP_LATENCY_H

struct evbuffer;
struct server;

void http_add_latency(struct evbuffer *out, struct server *server);

#endif
