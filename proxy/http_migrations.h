/*
 * The part of /metrics that is about migrations.
 */
#ifndef VTSHIM_PROXY_HTTP_MIGRATIONS_H
#define VTSHIM_PROXY_HTTP_MIGRATIONS_H

struct evbuffer;
struct server;

void http_add_migrations(struct evbuffer *out, struct server *server);

#endif
