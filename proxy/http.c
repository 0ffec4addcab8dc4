/*
 * The HTTP port. Formats what others count.
 */
#include "proxy/http.h"

#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/http.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/command.h"
#include "proxy/api.h"
#include "proxy/assets.h"
#include "proxy/fleet.h"
#include "proxy/holds.h"
#include "proxy/http_latency.h"
#include "proxy/http_migrations.h"
#include "proxy/http_transitions.h"
#include "proxy/http_vtgates.h"
#include "proxy/listener.h"
#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/memory_limit.h"
#include "proxy/metrics_text.h"
#include "proxy/migrations.h"
#include "proxy/server.h"
#include "proxy/session.h"
#include "proxy/vtgates.h"
#include "proxy/worker.h"

#define HTTP_HEADERS_MAX 8192
#define HTTP_BODY_MAX    (1u << 20) /* as the admin port's packets: a VSchema is a document */
#define HTTP_TIMEOUT_S   10

struct http {
    struct server *server;
    struct listener *listener;
    struct evhttp *evhttp;
    struct api *api;
};

static void reply(struct evhttp_request *rq, int code, const char *reason, struct evbuffer *body,
                  const char *type)
{
    evhttp_add_header(evhttp_request_get_output_headers(rq), "Content-Type", type);
    evhttp_add_header(evhttp_request_get_output_headers(rq), "Cache-Control", "no-store");
    evhttp_send_reply(rq, code, reason, body);
    evbuffer_free(body);
}

static void reply_text(struct evhttp_request *rq, int code, const char *reason, const char *text)
{
    struct evbuffer *body = evbuffer_new();

    evbuffer_add_printf(body, "%s\n", text);
    reply(rq, code, reason, body, "text/plain; charset=utf-8");
}

/* True for GET and HEAD; else that is the answer. */
static bool is_get(struct evhttp_request *rq)
{
    enum evhttp_cmd_type method = evhttp_request_get_command(rq);

    if (method == EVHTTP_REQ_GET || method == EVHTTP_REQ_HEAD)
        return true;
    evhttp_add_header(evhttp_request_get_output_headers(rq), "Allow", "GET, HEAD");
    reply_text(rq, 405, "Method Not Allowed", "only GET and HEAD are for this path");
    return false;
}

/* --- /metrics -------------------------------------------------------------------------------- */

static void add_commands(struct evbuffer *out, const struct server *server)
{
    const char *family = metrics_text_family(out, METRIC_COMMANDS_BY_KIND);

    for (unsigned byte = 0; byte <= COMMAND_COUNT; byte++) {
        const char *name = command_name((uint8_t)byte);
        uint64_t sum = 0;

        if (byte < COMMAND_COUNT && strcmp(name, "unknown") == 0)
            continue;
        for (unsigned i = 0; i < server->worker_count; i++)
            sum += metrics_get(&server->workers[i].metrics.commands_by_kind[byte]);
        evbuffer_add_printf(out, "%s{command=\"%s\"} %" PRIu64 "\n", family, name, sum);
    }
}

static void add_closes(struct evbuffer *out, const struct server *server)
{
    const char *family = metrics_text_family(out, METRIC_SESSIONS_CLOSED);

    for (unsigned reason = 0; reason < CLOSE_COUNT; reason++) {
        uint64_t sum = 0;

        for (unsigned i = 0; i < server->worker_count; i++)
            sum += metrics_get(&server->workers[i].metrics.closes[reason]);
        evbuffer_add_printf(out, "%s{reason=\"%s\"} %" PRIu64 "\n", family,
                            close_reason_name((enum close_reason)reason), sum);
    }
}

static void add_retries(struct evbuffer *out, const struct server *server)
{
    const char *family = metrics_text_family(out, METRIC_RETRIES);

    for (unsigned error = 0; error < RETRY_ERROR_COUNT; error++) {
        for (unsigned outcome = 0; outcome < RETRY_OUTCOME_COUNT; outcome++) {
            uint64_t sum = 0;

            for (unsigned i = 0; i < server->worker_count; i++)
                sum += metrics_get(&server->workers[i].metrics.retries[error][outcome]);
            if (sum > 0)
                evbuffer_add_printf(out, "%s{error=\"%s\",outcome=\"%s\"} %" PRIu64 "\n", family,
                                    retry_error_name((enum retry_error)error),
                                    retry_outcome_name((enum retry_outcome)outcome), sum);
        }
    }
}

/* Why a balancer should send nobody, or NULL. */
static const char *not_ready(const struct server *server)
{
    bool any = false, all_drained = true;

    for (size_t i = 0; i < vtgates_count(server->vtgates); i++) {
        const struct vtgate *v = vtgates_at(server->vtgates, i);

        any = any || (vtgate_is_healthy(v) && !vtgate_is_draining(v));
        all_drained = all_drained && vtgate_is_draining(v);
    }
    if (server->draining || server->withdrawn)
        return "draining";
    if (any)
        return NULL;
    return all_drained ? "every vtgate is drained" : "no vtgate answers";
}

static void on_metrics(struct evhttp_request *rq, void *arg)
{
    struct server *server = ((struct http *)arg)->server;

    if (!is_get(rq))
        return;
    struct evbuffer *out = evbuffer_new();
    size_t n;
    const struct metric_row *rows = metrics_table(&n);

    const char *family = metrics_text_family(out, METRIC_BUILD_INFO);
    int64_t age_ms;

    evbuffer_add_printf(out, "%s{version=\"%s\"} 1\n", family, VTSHIM_VERSION);
    metrics_text_value(out, METRIC_UPTIME, (uint64_t)(clock_ms() - server->started_ms) / 1000);
    metrics_text_value(out, METRIC_READY, !not_ready(server));
    metrics_text_value(out, METRIC_WORKERS, server->worker_count);
    metrics_text_value(out, METRIC_HOLDS, holds_count(server->holds));
    metrics_text_value(out, METRIC_FLEET_MEMBERS, fleet_members(server, NULL, 0, &age_ms));
    metrics_text_value(out, METRIC_FLEET_FENCED, server_is_fenced(server));
    metrics_text_value(out, METRIC_REFUSED, metrics_get(&server->refused));
    metrics_text_value(out, METRIC_MEMORY_RESIDENT, memory_resident());
    metrics_text_value(out, METRIC_MEMORY_LIMIT, (uint64_t)server->config->limits_memory_bytes);
    metrics_text_value(out, METRIC_MEMORY_STAGE, memory_limit_stage(server->memory_limit));
    metrics_text_value(out, METRIC_MEMORY_REFUSED, memory_limit_refused(server->memory_limit));
    metrics_text_value(out, METRIC_MEMORY_ENDED, memory_limit_ended(server->memory_limit));
    metrics_text_value(out, METRIC_ACCEPT_FAILURES, listener_failures());
    metrics_text_value(out, METRIC_LOG_DROPPED, log_dropped());
    for (size_t i = 0; i < n; i++) {
        char value[40];

        metric_format(value, sizeof(value), rows[i].kind, server_metric(server, &rows[i]));
        metrics_text_head(out, rows[i].name, metric_kind_name(rows[i].kind), rows[i].help);
        evbuffer_add_printf(out, "%s %s\n", rows[i].name, value);
    }
    add_commands(out, server);
    add_closes(out, server);
    add_retries(out, server);
    http_add_latency(out, server);
    metrics_text_value(out, METRIC_HTTP_DENIED, api_refused(((struct http *)arg)->api));
    http_add_vtgates(out, server);
    http_add_transitions(out, server);
    http_add_migrations(out, server);
    reply(rq, 200, "OK", out, "text/plain; version=0.0.4; charset=utf-8");
}

/* --- probes ---------------------------------------------------------------------------------- */

static void on_healthz(struct evhttp_request *rq, void *arg)
{
    (void)arg;
    if (is_get(rq))
        reply_text(rq, 200, "OK", "ok");
}

static void on_readyz(struct evhttp_request *rq, void *arg)
{
    const char *why = not_ready(((struct http *)arg)->server);

    if (!is_get(rq))
        return;
    if (why)
        reply_text(rq, 503, "Service Unavailable", why);
    else
        reply_text(rq, 200, "OK", "ready");
}

/* --- the API, the dashboard, and all else ----------------------------------------------------- */

static void on_other(struct evhttp_request *rq, void *arg)
{
    struct http *http = arg;
    const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(rq));

    path = path && *path ? path : "/";
    if (strcmp(path, "/api") == 0 || strncmp(path, "/api/", 5) == 0)
        api_handle(http->api, rq);
    else if (is_get(rq) && !assets_send(rq, path))
        reply_text(rq, 404, "Not Found",
                   "known here: / /metrics /healthz /readyz /api/v1 /api/v1/openapi.json");
}

/* --- the port -------------------------------------------------------------------------------- */

/* With http_tls: the certificate is the one of now. Clients show none: who they are is their
   token's to say. */
static struct bufferevent *new_tls(struct event_base *base, const struct http *http)
{
    SSL *ssl = tls_new_server(http->server->tls);

    if (!ssl)
        return NULL;
    SSL_set_verify(ssl, SSL_VERIFY_NONE, NULL);
    struct bufferevent *bev = bufferevent_openssl_socket_new(
        base, -1, ssl, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);

    if (bev) /* browsers close without saying so */
        bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
    return bev;
}

/* The descriptor is the bufferevent's to close: what evhttp makes by itself takes it out of the
   loop when it is closed already, and may be a worker's by then. */
static struct bufferevent *on_connection(struct event_base *base, void *arg)
{
    const struct http *http = arg;

    return http->server->config->http_tls ? new_tls(base, http)
                                          : bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
}

static void set_limits(struct evhttp *evhttp)
{
    evhttp_set_allowed_methods(evhttp, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST |
                                           EVHTTP_REQ_DELETE);
    evhttp_set_max_headers_size(evhttp, HTTP_HEADERS_MAX);
    evhttp_set_max_body_size(evhttp, HTTP_BODY_MAX);
    evhttp_set_timeout(evhttp, HTTP_TIMEOUT_S);
}

struct http *http_create(struct server *server)
{
    const struct endpoint *e = &server->config->http;
    struct http *http = memory_zalloc(sizeof(*http));

    http->server = server;
    http->evhttp = evhttp_new(server->base);
    if (e->is_unix)
        log_error("listen_failed", "address:s error:s", e->text, "HTTP needs HOST:PORT");
    else if (http->evhttp)
        http->listener = listener_open(server->base, e, NULL, NULL);
    if (!http->listener) {
        http_destroy(http);
        return NULL;
    }
    listener_give(http->listener, http->evhttp);
    http->api = api_create(server);
    set_limits(http->evhttp);
    evhttp_set_bevcb(http->evhttp, on_connection, http);
    evhttp_set_cb(http->evhttp, "/metrics", on_metrics, http);
    evhttp_set_cb(http->evhttp, "/healthz", on_healthz, http);
    evhttp_set_cb(http->evhttp, "/readyz", on_readyz, http);
    evhttp_set_gencb(http->evhttp, on_other, http);
    return http;
}

void http_hand_over(struct http *http)
{
    listener_give_away(http->listener);
    http_destroy(http);
}

void http_take_tokens(struct http *http, const struct config *config)
{
    api_take_tokens(http->api, config);
}

void http_destroy(struct http *http)
{
    if (http->api)
        api_destroy(http->api); /* it answers to nobody any more */
    if (http->evhttp)
        evhttp_free(http->evhttp);
    if (http->listener)
        listener_close(http->listener);
    free(http);
}
