/*
 * Files that are part of the program: the dashboard (dashboard/) and the API's description
 * (docs/openapi.json), put into it when it is built.
 */
#ifndef VTSHIM_PROXY_ASSETS_H
#define VTSHIM_PROXY_ASSETS_H

#include <event2/http.h>
#include <stdbool.h>

/* Answers a GET with the file of that path. False, and nothing is answered: there is none. */
bool assets_send(struct evhttp_request *rq, const char *path);

#endif
