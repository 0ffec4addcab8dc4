/*
 * What api.c (requests in) and api_reply.c (answers out) share.
 */
#ifndef VTSHIM_PROXY_API_INTERNAL_H
#define VTSHIM_PROXY_API_INTERNAL_H

#include <event2/http.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "proxy/admin.h"
#include "proxy/api.h"
#include "proxy/http_guard.h"

/* One command under way for a request. */
struct api_call {
    LIST_ENTRY(api_call) link;
    struct api *api;             /* NULL, and http with it, once the port is closed */
    struct evhttp_request *http; /* libevent keeps it until it is answered, come what may */
    struct http_caller caller;
    size_t limit; /* of rows */
    admin_interrupt *interrupt;
    void *interrupt_arg;
};

/* Ends and frees the call; called once its answer has been sent. */
void api_call_end(struct api_call *call);

/* The answers of commands, as JSON. */
extern const struct admin_sink API_SINK;

/* Sends {"error": {...}}; code 0 and state NULL where there is no MySQL error. */
void api_send_error(struct evhttp_request *rq, int status, const char *reason, unsigned code,
                    const char *state, const char *text);
/* Sends the body and frees it. */
void api_send(struct evhttp_request *rq, int status, const char *reason, struct evbuffer *body);

/* A JSON string; what is no UTF-8 is replaced. */
void api_add_string(struct evbuffer *out, const char *text);

#endif
