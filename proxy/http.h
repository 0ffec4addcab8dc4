/*
 * The HTTP port, on the control loop: /metrics (Prometheus text format), /healthz (the process
 * runs), /readyz (it takes sessions and a vtgate answers), /api/v1 (api.h), / (the dashboard).
 */
#ifndef VTSHIM_PROXY_HTTP_H
#define VTSHIM_PROXY_HTTP_H

struct config;
struct server;
struct http;

/* NULL when the port cannot be opened (after a line in the log). */
struct http *http_create(struct server *server);
void http_destroy(struct http *http);

/* The same, when another process goes on with the port. */
void http_hand_over(struct http *http);

/* Who may use the API from now on. */
void http_take_tokens(struct http *http, const struct config *config);

#endif
