/*
 * One GET or POST over HTTP or HTTPS, on the control loop: with libevent's client, a connection of
 * its own, a limit for the whole time and one for the answer's size.
 */
#ifndef VTSHIM_PROXY_WEB_CLIENT_H
#define VTSHIM_PROXY_WEB_CLIENT_H

#include <event2/event.h>
#include <openssl/ssl.h>
#include <stddef.h>
#include <stdint.h>

struct web_call;

/* What to ask for. All is borrowed until web_call_start returns. */
struct web_request {
    const char *ip; /* an address: no name is resolved */
    uint16_t port;
    const char *host;   /* for the Host header */
    const char *path;   /* "/debug/vars" */
    const char *body;   /* NULL: GET, else POST of this JSON */
    const char *token;  /* for the Authorization header; NULL: none */
    SSL *tls;           /* NULL: HTTP. Taken over, whatever comes of it */
    int64_t timeout_ms; /* for all of it; 0: a stream, which may be silent for 15 minutes */
    size_t max_body;    /* bytes; a larger answer is an error */
};

/*
 * The end of it: body[0..len) (borrowed for the call) with status 200, or NULL and why, a short
 * text (borrowed, too) with nothing that the server chose but its status. The call is gone
 * afterwards.
 */
typedef void web_done_fn(void *arg, const char *body, size_t len, const char *error);

/* A piece of an answer that is streamed, as it comes. web_call_cancel may be called from inside. */
typedef void web_piece_fn(void *arg, const char *data, size_t len);

/* piece may be NULL: then the whole body comes with done. done is never called from inside of
   this. NULL: no memory or descriptor, and done is not called. */
struct web_call *web_call_start(struct event_base *base, const struct web_request *rq,
                                web_piece_fn *piece, web_done_fn *done, void *arg);

/* Ends it; neither function is called any more. What it holds is freed in the next turn. */
void web_call_cancel(struct web_call *call);

#endif
