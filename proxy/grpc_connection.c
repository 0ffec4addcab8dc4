/*
 * One HTTP/2 connection to a gRPC server: connecting, TLS with ALPN "h2", the server's first
 * SETTINGS, then calls as streams. (RFC 9113; gRPC's doc/PROTOCOL-HTTP2.md.)
 *
 * Invariant: a connection is freed only where nothing of nghttp2 or of its stream is on the stack
 * any more: what nghttp2's callbacks find out takes effect after they have returned.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/grpc_internal.h"
#include "proxy/memory.h"
#include "proxy/server.h"
#include "proxy/sockets.h"
#include "proxy/tls.h"

#define DEADLINE_SKEW_MS 100
#define WINDOW           (1 << 20)  /* bytes an answer may be ahead of us */
#define BACKLOG          (1u << 20) /* more is not taken from nghttp2 while the socket is full */
#define PING_MS          2000       /* how long a server may take to answer a ping */
#define READ_BYTES       16384
/* A longer text of a refusal costs that call its text; beyond nghttp2's own 64 KiB it would cost
   the connection. */
#define HEADERS_MAX 60000

void grpc_connection_free(struct grpc_connection *c)
{
    loop_timer_stop(&c->timer);
    nghttp2_session_del(c->http2);
    stream_close(&c->stream);
    free(c);
}

/* The end: every call that it carried has its answer, for better or worse. */
static void lose(struct grpc_connection *c, const char *why)
{
    while (!TAILQ_EMPTY(&c->calls)) {
        struct grpc_call *call = TAILQ_FIRST(&c->calls);

        call->maybe_done = true;
        grpc_call_fail(call, GRPC_UNAVAILABLE, "lost the connection to %s %s: %s",
                       c->client->settings.what, c->server->text, why);
    }
    grpc_client_lost(c->client, c, why);
}

static void lose_tls(struct grpc_connection *c)
{
    long verified = c->stream.ssl ? SSL_get_verify_result(c->stream.ssl) : X509_V_OK;
    char reason[256], why[320];

    if (verified != X509_V_OK)
        snprintf(why, sizeof(why), "TLS: %s", X509_verify_cert_error_string(verified));
    else if (c->stream.ssl)
        snprintf(why, sizeof(why), "TLS: %s", tls_last_error(reason, sizeof(reason)));
    else
        snprintf(why, sizeof(why), "%s", strerror(errno));
    lose(c, why);
}

/* --- sending --------------------------------------------------------------------------------- */

/* The server's last words may say why: with TLS 1.3 it refuses a client's certificate, or the lack
   of one, by an alert after the handshake. */
static void writing_failed(struct grpc_connection *c)
{
    uint8_t rest[256];

    if (c->stream.ssl && stream_read(&c->stream, rest, sizeof(rest)) == -2)
        lose_tls(c);
    else
        lose(c, "writing failed");
}

/* False: the connection is gone. */
static bool flush(struct grpc_connection *c)
{
    while (stream_backlog(&c->stream) < BACKLOG) {
        const uint8_t *data;
        ssize_t n = nghttp2_session_mem_send(c->http2, &data);

        if (n < 0) {
            lose(c, nghttp2_strerror((int)n));
            return false;
        }
        if (n == 0)
            break;
        if (!stream_send(&c->stream, data, (size_t)n)) {
            writing_failed(c);
            return false;
        }
    }
    if (!nghttp2_session_want_read(c->http2) && !nghttp2_session_want_write(c->http2)) {
        lose(c, c->stage == GRPC_READY ? "the server ended it" : "it does not speak HTTP/2");
        return false;
    }
    return true;
}

static ssize_t read_request(nghttp2_session *http2, int32_t stream, uint8_t *buf, size_t size,
                            uint32_t *flags, nghttp2_data_source *source, void *arg)
{
    struct grpc_call *call = nghttp2_session_get_stream_user_data(http2, stream);

    (void)source;
    (void)arg;
    if (!call)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* it has failed meanwhile */
    size_t left = call->request.len - call->sent;
    size_t n = left < size ? left : size;

    memcpy(buf, call->request.data + call->sent, n);
    call->sent += n;
    if (call->sent == call->request.len)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

static nghttp2_nv header(const char *name, const char *value)
{
    return (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name,
                        .value = (uint8_t *)(uintptr_t)value,
                        .namelen = strlen(name),
                        .valuelen = strlen(value)};
}

void grpc_connection_send(struct grpc_connection *c, struct grpc_call *call)
{
    const struct grpc_settings *settings = &c->client->settings;
    char timeout[16];
    nghttp2_nv headers[11];
    size_t n = 0;

    grpc_timeout_format(timeout, call->deadline_ms - clock_ms());
    headers[n++] = header(":method", "POST");
    headers[n++] = header(":scheme", c->stream.ssl ? "https" : "http");
    headers[n++] = header(":path", call->path);
    headers[n++] = header(":authority", c->server->is_unix ? "localhost" : c->server->text);
    headers[n++] = header("te", "trailers");
    headers[n++] = header("content-type", "application/grpc");
    headers[n++] = header("user-agent", "vtshim/" VTSHIM_VERSION);
    headers[n++] = header("grpc-timeout", timeout);
    if (*settings->user) {
        headers[n++] = header("username", settings->user);
        headers[n] = header("password", settings->password);
        headers[n++].flags = NGHTTP2_NV_FLAG_NO_INDEX; /* in nobody's compression table */
    }
    const char *token = settings->token ? settings->token(settings->token_context) : NULL;

    if (token) {
        headers[n] = header("token", token);
        headers[n++].flags = NGHTTP2_NV_FLAG_NO_INDEX;
    }
    nghttp2_data_provider body = {.read_callback = read_request};

    call->stream = nghttp2_submit_request(c->http2, NULL, headers, n, &body, call);
    if (call->stream < 0) {
        lose(c, nghttp2_strerror(call->stream)); /* stream ids are used up, for instance */
        return;
    }
    TAILQ_REMOVE(&c->client->waiting, call, link);
    call->connection = c;
    TAILQ_INSERT_TAIL(&c->calls, call, link);
    flush(c);
}

void grpc_connection_expire(struct grpc_connection *c, struct grpc_call *call)
{
    nghttp2_session_set_stream_user_data(c->http2, call->stream, NULL);
    nghttp2_submit_rst_stream(c->http2, NGHTTP2_FLAG_NONE, call->stream, NGHTTP2_CANCEL);
    if (!loop_timer_is_set(&c->timer)) {
        nghttp2_submit_ping(c->http2, NGHTTP2_FLAG_NONE, NULL);
        loop_timer_set(&c->timer, PING_MS);
    }
    call->maybe_done = true;
    grpc_call_fail(call, GRPC_DEADLINE_EXCEEDED, "%s did not answer in time",
                   c->client->settings.what);
    flush(c);
}

/* --- HTTP/2's events ------------------------------------------------------------------------- */

static bool is_name(const uint8_t *name, size_t len, const char *text)
{
    return len == strlen(text) && memcmp(name, text, len) == 0;
}

static int on_header(nghttp2_session *http2, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t len, uint8_t flags, void *arg)
{
    struct grpc_call *call = nghttp2_session_get_stream_user_data(http2, frame->hd.stream_id);
    struct bytes v = {value, len};

    (void)flags;
    (void)arg;
    if (!call)
        return 0;
    if (is_name(name, name_len, ":status")) {
        char digits[8];

        snprintf(digits, sizeof(digits), "%.*s", (int)(len < 7 ? len : 7), (const char *)value);
        call->http = (unsigned)strtoul(digits, NULL, 10);
    } else if (is_name(name, name_len, "content-type")) {
        call->is_grpc = len >= 16 && memcmp(value, "application/grpc", 16) == 0;
    } else if (is_name(name, name_len, "grpc-status") && !call->has_status) {
        call->has_status = true;
        call->status = grpc_status_parse(v);
    } else if (is_name(name, name_len, "grpc-message") && !call->text && len < GRPC_TEXT_MAX) {
        call->text = memory_zalloc(len + 1);
        grpc_message_decode(call->text, len + 1, v);
    }
    return 0;
}

static int on_data(nghttp2_session *http2, uint8_t flags, int32_t stream, const uint8_t *data,
                   size_t len, void *arg)
{
    struct grpc_call *call = nghttp2_session_get_stream_user_data(http2, stream);

    (void)flags;
    (void)arg;
    if (!call || !call->is_grpc || grpc_collect(&call->body, data, len))
        return 0; /* what is no gRPC is judged when it has ended */
    nghttp2_session_set_stream_user_data(http2, stream, NULL);
    nghttp2_submit_rst_stream(http2, NGHTTP2_FLAG_NONE, stream, NGHTTP2_CANCEL);
    call->maybe_done = true;
    grpc_call_fail(call, GRPC_RESOURCE_EXHAUSTED, "%s", call->body.error);
    return 0;
}

static int on_frame(nghttp2_session *http2, const nghttp2_frame *frame, void *arg)
{
    struct grpc_connection *c = arg;

    (void)http2;
    if (frame->hd.type == NGHTTP2_GOAWAY) {
        c->leaving = true;
    } else if (frame->hd.type == NGHTTP2_SETTINGS && !(frame->hd.flags & NGHTTP2_FLAG_ACK) &&
               c->stage == GRPC_SETTLING) {
        c->stage = GRPC_READY;
        loop_timer_stop(&c->timer);
    } else if (frame->hd.type == NGHTTP2_PING && frame->hd.flags & NGHTTP2_FLAG_ACK) {
        loop_timer_stop(&c->timer);
    }
    return 0;
}

/* What HTTP/2 says about a stream that ended without gRPC's own status. A server that knows the
   deadline may cancel a moment before it passes here. */
static void judge_reset(struct grpc_call *call, uint32_t code)
{
    if (code == NGHTTP2_CANCEL && clock_ms() >= call->deadline_ms - DEADLINE_SKEW_MS) {
        grpc_call_fail(call, GRPC_DEADLINE_EXCEEDED, "%s did not answer in time",
                       call->client->settings.what);
        return;
    }
    enum grpc_status status = code == NGHTTP2_CANCEL              ? GRPC_CANCELLED
                              : code == NGHTTP2_ENHANCE_YOUR_CALM ? GRPC_RESOURCE_EXHAUSTED
                                                                  : GRPC_INTERNAL;

    grpc_call_fail(call, status, "%s ended the call: %s", call->client->settings.what,
                   nghttp2_http2_strerror(code));
}

static int on_stream_close(nghttp2_session *http2, int32_t stream, uint32_t code, void *arg)
{
    struct grpc_call *call = nghttp2_session_get_stream_user_data(http2, stream);

    (void)arg;
    if (!call)
        return 0; /* its deadline has passed */
    call->maybe_done = true;
    if (call->has_status && call->is_grpc) {
        call->maybe_done = false;
        if (call->status == GRPC_OK && !grpc_collector_whole(&call->body))
            grpc_call_fail(call, GRPC_INTERNAL, "the answer of %s has no message",
                           call->client->settings.what);
        else
            grpc_call_finish(call);
    } else if (code == NGHTTP2_REFUSED_STREAM) {
        call->maybe_done = false;
        grpc_call_again(call);
    } else if (call->http && (call->http != 200 || !call->is_grpc)) {
        call->maybe_done = false;
        grpc_call_fail(call, grpc_status_of_http(call->http),
                       "%s answers, but not as gRPC (HTTP status %u)", call->client->settings.what,
                       call->http);
    } else if (code != NGHTTP2_NO_ERROR) {
        judge_reset(call, code);
    } else {
        grpc_call_fail(call, GRPC_UNKNOWN, "the answer of %s has no grpc-status",
                       call->client->settings.what);
    }
    return 0;
}

/* --- the socket's events --------------------------------------------------------------------- */

static void start_http2(struct grpc_connection *c)
{
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HEADERS_MAX},
    };
    nghttp2_session_callbacks *callbacks;

    if (nghttp2_session_callbacks_new(&callbacks) != 0)
        memory_exhausted();
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    if (nghttp2_session_client_new(&c->http2, callbacks, c) != 0)
        memory_exhausted();
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_submit_settings(c->http2, NGHTTP2_FLAG_NONE, settings,
                            sizeof(settings) / sizeof(settings[0]));
    nghttp2_session_set_local_window_size(c->http2, NGHTTP2_FLAG_NONE, 0, 4 * WINDOW);
    c->stage = GRPC_SETTLING;
    stream_resume(&c->stream);
    flush(c);
}

static void on_connected(struct grpc_connection *c)
{
    const struct grpc_settings *settings = &c->client->settings;
    int error = 0;
    socklen_t len = sizeof(error);

    getsockopt(c->stream.fd, SOL_SOCKET, SO_ERROR, &error, &len);
    if (error) {
        lose(c, strerror(error));
        return;
    }
    socket_tune(c->stream.fd);
    if (!settings->new_tls) {
        start_http2(c);
        return;
    }
    SSL *ssl = settings->new_tls(settings->tls_context, c->server->host);
    static const unsigned char H2[] = "\x02h2";

    if (!ssl || SSL_set_alpn_protos(ssl, H2, sizeof(H2) - 1) != 0) {
        SSL_free(ssl);
        lose(c, "TLS cannot be set up");
        return;
    }
    c->stage = GRPC_SHAKING_HANDS;
    stream_start_tls(&c->stream, ssl, false);
}

static void on_tls_ready(struct grpc_connection *c)
{
    const unsigned char *protocol = NULL;
    unsigned len = 0;

    SSL_get0_alpn_selected(c->stream.ssl, &protocol, &len);
    if (len == 2 && memcmp(protocol, "h2", 2) == 0)
        start_http2(c);
    else
        lose(c, "TLS: it does not speak HTTP/2 (ALPN h2)");
}

/* After bytes were taken in: what they led to. */
static void settle(struct grpc_connection *c, bool was_ready)
{
    struct grpc_client *client = c->client;

    if (!flush(c))
        return;
    if (c->leaving && client->current == c)
        client->current = NULL;
    if (c->leaving && TAILQ_EMPTY(&c->calls))
        lose(c, "the server ended it");
    else if (!was_ready && c->stage == GRPC_READY)
        grpc_client_ready(client, c);
}

static void on_readable(struct grpc_connection *c)
{
    bool was_ready = c->stage == GRPC_READY;
    uint8_t data[READ_BYTES];
    ssize_t n = stream_read(&c->stream, data, sizeof(data));

    if (n == 0)
        return;
    if (n == -1) {
        lose(c, "the server closed it");
        return;
    }
    if (n < 0) {
        lose_tls(c);
        return;
    }
    ssize_t used = nghttp2_session_mem_recv(c->http2, data, (size_t)n);

    if (used < 0)
        lose(c, nghttp2_strerror((int)used));
    else
        settle(c, was_ready);
}

static void on_stream(struct stream *st, enum stream_event what, void *arg)
{
    struct grpc_connection *c = arg;

    (void)st;
    switch (what) {
    case STREAM_READABLE:
        on_readable(c);
        break;
    case STREAM_DRAINED:
        if (c->stage == GRPC_CONNECTING)
            on_connected(c);
        else if (c->http2)
            flush(c);
        break;
    case STREAM_TLS_READY:
        on_tls_ready(c);
        break;
    case STREAM_FAILED:
        lose_tls(c);
        break;
    }
}

static void on_timer(void *arg)
{
    struct grpc_connection *c = arg;

    lose(c, c->stage == GRPC_READY ? "it does not answer any more" : "it takes too long");
}

struct grpc_connection *grpc_connection_open(struct grpc_client *client,
                                             const struct endpoint *server,
                                             const struct sockaddr *sa, socklen_t len,
                                             const char **error)
{
    int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0 || (connect(fd, sa, len) != 0 && errno != EINPROGRESS)) {
        *error = strerror(errno);
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    struct grpc_connection *c = memory_zalloc(sizeof(*c));

    c->client = client;
    c->server = server;
    TAILQ_INIT(&c->calls);
    stream_init(&c->stream);
    stream_open(&c->stream, client->loop, fd, on_stream, c);
    stream_wait_connected(&c->stream);
    loop_timer_init(&c->timer, client->loop, on_timer, c);
    loop_timer_set(&c->timer, client->settings.connect_ms);
    return c;
}
