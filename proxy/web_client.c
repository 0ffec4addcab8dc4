/*
 * A thin layer on evhttp. Its connection is freed in a later turn of the loop, never from inside
 * of its own callbacks: what evhttp looks at after them differs by the way a request ends.
 */
#include "proxy/web_client.h"

#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/memory.h"

#define HEADERS_MAX 16384
#define SILENCE_S   900 /* of a stream: etcd tells of its progress every ten minutes */

struct web_call {
    struct evhttp_connection *connection;
    struct event *finish, *limit;
    web_piece_fn *piece;
    web_done_fn *done;
    void *arg;
    struct evbuffer *body; /* of an answer that is there */
    const char *error;
    char status[32]; /* an error's text */
    bool ended;
};

static void call_free(struct web_call *call)
{
    if (call->connection)
        evhttp_connection_free(call->connection); /* and a request that is still under way */
    if (call->finish)
        event_free(call->finish);
    if (call->limit)
        event_free(call->limit);
    if (call->body)
        evbuffer_free(call->body);
    free(call);
}

static void on_finish(evutil_socket_t fd, short what, void *arg)
{
    struct web_call *call = arg;

    (void)fd;
    (void)what;
    size_t len = evbuffer_get_length(call->body);
    const char *body = len ? (const char *)evbuffer_pullup(call->body, -1) : "";

    if (call->done)
        call->done(call->arg, call->error ? NULL : body, call->error ? 0 : len, call->error);
    call_free(call);
}

static void end(struct web_call *call, const char *error)
{
    if (call->ended)
        return;
    call->ended = true;
    call->error = error;
    event_active(call->finish, EV_TIMEOUT, 0);
}

static void on_limit(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    end(arg, "time-out");
}

static void on_answer(struct evhttp_request *rq, void *arg)
{
    struct web_call *call = arg;

    if (call->ended)
        return;
    int status = rq ? evhttp_request_get_response_code(rq) : 0;

    if (status == 0) {
        end(call, "no answer");
        return;
    }
    if (status != HTTP_OK) {
        snprintf(call->status, sizeof(call->status), "HTTP status %d", status);
        end(call, call->status);
        return;
    }
    evbuffer_add_buffer(call->body, evhttp_request_get_input_buffer(rq));
    end(call, NULL);
}

static void on_error(enum evhttp_request_error error, void *arg)
{
    static const char *const TEXTS[] = {
        [EVREQ_HTTP_TIMEOUT] = "time-out",
        [EVREQ_HTTP_EOF] = "the connection was closed",
        [EVREQ_HTTP_INVALID_HEADER] = "not HTTP",
        [EVREQ_HTTP_BUFFER_ERROR] = "the connection was lost",
        [EVREQ_HTTP_REQUEST_CANCEL] = "cancelled",
        [EVREQ_HTTP_DATA_TOO_LONG] = "the answer is too long",
    };

    end(arg, TEXTS[error]);
}

static void on_piece(struct evhttp_request *rq, void *arg)
{
    struct web_call *call = arg;
    struct evbuffer *in = evhttp_request_get_input_buffer(rq);
    size_t len = evbuffer_get_length(in);

    if (call->ended || len == 0 || !call->piece || evhttp_request_get_response_code(rq) != HTTP_OK)
        return;
    char *data = memory_copy((const char *)evbuffer_pullup(in, -1), len);

    evbuffer_drain(in, len);
    call->piece(call->arg, data, len);
    free(data);
}

static bool send_request(struct web_call *call, const struct web_request *rq)
{
    struct evhttp_request *request = evhttp_request_new(on_answer, call);

    if (!request)
        return false;
    struct evkeyvalq *headers = evhttp_request_get_output_headers(request);

    evhttp_request_set_error_cb(request, on_error);
    if (call->piece)
        evhttp_request_set_chunked_cb(request, on_piece);
    evhttp_add_header(headers, "Host", rq->host);
    evhttp_add_header(headers, "Connection", "close");
    if (rq->token)
        evhttp_add_header(headers, "Authorization", rq->token);
    if (rq->body) {
        evhttp_add_header(headers, "Content-Type", "application/json");
        evbuffer_add(evhttp_request_get_output_buffer(request), rq->body, strlen(rq->body));
    }
    /* On failure evhttp has freed the request. */
    return evhttp_make_request(call->connection, request,
                               rq->body ? EVHTTP_REQ_POST : EVHTTP_REQ_GET, rq->path) == 0;
}

/* NULL: no memory. */
static struct evhttp_connection *new_connection(struct event_base *base,
                                                const struct web_request *rq)
{
    struct bufferevent *tls;

    if (!rq->tls)
        return evhttp_connection_base_new(base, NULL, rq->ip, rq->port);
    tls = bufferevent_openssl_socket_new(base, -1, rq->tls, BUFFEREVENT_SSL_CONNECTING,
                                         BEV_OPT_CLOSE_ON_FREE);
    if (!tls) {
        SSL_free(rq->tls);
        return NULL;
    }
    return evhttp_connection_base_bufferevent_new(base, NULL, tls, rq->ip, rq->port);
}

static bool prepare(struct web_call *call, struct event_base *base, const struct web_request *rq)
{
    struct timeval limit = {rq->timeout_ms / 1000, rq->timeout_ms % 1000 * 1000};
    struct timeval silence = {SILENCE_S, 0};

    call->connection = new_connection(base, rq);
    call->body = evbuffer_new();
    call->finish = evtimer_new(base, on_finish, call);
    call->limit = evtimer_new(base, on_limit, call);
    if (!call->body || !call->finish || !call->limit || !call->connection)
        return false;
    evhttp_connection_set_max_headers_size(call->connection, HEADERS_MAX);
    evhttp_connection_set_max_body_size(call->connection, (ev_ssize_t)rq->max_body);
    evhttp_connection_set_timeout_tv(call->connection, rq->timeout_ms ? &limit : &silence);
    if (rq->timeout_ms)
        evtimer_add(call->limit, &limit);
    return true;
}

struct web_call *web_call_start(struct event_base *base, const struct web_request *rq,
                                web_piece_fn *piece, web_done_fn *done, void *arg)
{
    struct web_call *call = memory_zalloc(sizeof(*call));

    call->piece = piece;
    call->done = done;
    call->arg = arg;
    if (!prepare(call, base, rq)) {
        call_free(call);
        return NULL;
    }
    if (!send_request(call, rq))
        end(call, "no connection");
    return call;
}

void web_call_cancel(struct web_call *call)
{
    call->done = NULL;
    call->piece = NULL;
    end(call, "cancelled");
}
