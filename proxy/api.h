/*
 * The HTTP API: /api/v1. Each request becomes a command of the admin console (api_command.h), whose
 * answer goes out as JSON (api_reply.c). Control loop only.
 */
#ifndef VTSHIM_PROXY_API_H
#define VTSHIM_PROXY_API_H

#include <event2/http.h>
#include <stdbool.h>
#include <stdint.h>

#include "config/options.h"

struct api;
struct server;

struct api *api_create(struct server *server);

/* Who may use it from now on. */
void api_take_tokens(struct api *api, const struct config *config);

/* Answers a request whose path begins with /api, at once or later. */
void api_handle(struct api *api, struct evhttp_request *rq);

/* Requests that were not admitted. */
uint64_t api_refused(const struct api *api);

/* Before the evhttp is freed. Commands that are still under way end without an answer. */
void api_destroy(struct api *api);

#endif
