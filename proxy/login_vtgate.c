/*
 * vtgate's side of the login: choosing one and connecting, its greeting, TLS towards it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "proxy/inner.h"
#include "proxy/log.h"
#include "proxy/login_internal.h"
#include "proxy/networks.h"
#include "proxy/server.h"
#include "proxy/tls.h"
#include "proxy/vtgates.h"
#include "proxy/worker.h"

/* Not passed on in either direction: what would change the layout of packets that the shim reads.
 */
#define CAP_WITHHELD ((uint32_t)(CAP_OPTIONAL_METADATA | CAP_QUERY_ATTRIBUTES))
/* Settled for each link by itself. */
#define CAP_OF_LINK ((uint32_t)(CAP_COMPRESS | CAP_ZSTD_COMPRESSION | CAP_SSL))

/*
 * Starts connecting to s->vtgate, at its next address. False: that failed at once.
 *
 * The server speaks first. So where the shim has nothing to say before (a PROXY header), the end of
 * the connect is not waited for: the greeting tells it, or the first read what went wrong.
 */
static bool dial(struct session *s)
{
    struct login *login = s->login;
    int fd = vtgate_connect(s->vtgate, &login->error);

    login->addresses_left--;
    if (fd < 0)
        return false;
    login->stage = LOGIN_CONNECTING;
    session_open_backend(s, fd);
    if (s->worker->server->config->proxy_protocol_to_vtgate == CONFIG_PROXY_OFF)
        stream_resume(&s->backend);
    else
        stream_wait_connected(&s->backend);
    login_set_timer(s, s->worker->server->config->timeouts_connect_ms);
    return true;
}

static void note_failure(struct session *s)
{
    metrics_add(&s->worker->metrics.vtgate_connect_failures, 1);
    log_warn("vtgate_connect_failed", "session:u vtgate:s error:s", s->id, vtgate_name(s->vtgate),
             strerror(s->login->error));
}

/* No vtgate is left: the client gets an error in place of a greeting. */
static void give_up(struct session *s)
{
    struct login *login = s->login;

    metrics_add(&s->worker->metrics.no_vtgate, 1);
    session_send_error(s, login->client_next, SHIM_ERROR_NO_VTGATE, login->last_tried,
                       login->error ? strerror(login->error) : "it is being drained");
    login_refuse(s, CLOSE_NO_VTGATE);
}

/* The vtgate's next address, then the next vtgate, until a connect is under way. */
void login_try_vtgate(struct session *s)
{
    struct login *login = s->login;

    for (;;) {
        while (s->vtgate && login->addresses_left > 0) {
            if (dial(s))
                return;
            note_failure(s);
        }
        if (s->vtgate) {
            vtgate_connect_failed(s->vtgate, login->error);
            vtgate_release(s->vtgate);
        }
        s->vtgate = vtgates_choose(s->worker->server->vtgates, &login->tried);
        if (!s->vtgate) {
            give_up(s);
            return;
        }
        login->addresses_left = vtgate_address_count(s->vtgate);
        login->last_tried = vtgate_name(s->vtgate);
    }
}

/* Whether the connect is through, as far as is known: else it is a matter of the address. */
static bool is_connected(const struct session *s)
{
    struct sockaddr_storage peer;
    socklen_t size = sizeof(peer);

    return s->login->stage != LOGIN_CONNECTING ||
           getpeername(s->backend.fd, (struct sockaddr *)&peer, &size) == 0;
}

void login_vtgate_failed(struct session *s, int error)
{
    struct login *login = s->login;

    login->error = error;
    note_failure(s);
    if (is_connected(s))
        login->addresses_left = 0; /* it answered, and wrongly: not a matter of the address */
    stream_close(&s->backend);
    buffer_release(&login->backend_in);
    login_try_vtgate(s);
}

/* Tells vtgate who the client is, before anything else is said on that connection. */
static void send_proxy_header(struct session *s)
{
    int mode = s->worker->server->config->proxy_protocol_to_vtgate;
    struct proxy_address pa = s->login->proxy;
    struct sockaddr_storage own = {.ss_family = AF_UNSPEC};
    socklen_t size = sizeof(own);
    struct buffer out;

    if (mode == CONFIG_PROXY_OFF)
        return;
    if (pa.family == PROXY_UNKNOWN) {
        getsockname(s->client.fd, (struct sockaddr *)&own, &size);
        address_to_proxy(&pa, &s->login->peer, &own);
    }
    buffer_init(&out, PROXY_HEADER_MAX);
    proxy_header_append(&out, mode == CONFIG_PROXY_V1 ? 1 : 2, &pa);
    session_send_backend(s, out.data, out.len);
    buffer_release(&out);
}

void login_connected(struct session *s)
{
    int error = 0;
    socklen_t size = sizeof(error);

    getsockopt(s->backend.fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error) {
        login_vtgate_failed(s, error);
        return;
    }
    s->login->stage = LOGIN_GREETING;
    stream_resume(&s->backend);
    send_proxy_header(s);
}

void login_backend_lost(struct session *s, int error)
{
    if (s->login->stage <= LOGIN_GREETING) {
        login_vtgate_failed(s, error);
        return;
    }
    session_send_error(s, s->login->client_next, SHIM_ERROR_VTGATE_LOST);
    login_refuse(s, CLOSE_VTGATE_CLOSED);
}

/* vtgate's greeting, with the capabilities that hold for the pair. */
void login_greeted(struct session *s, uint8_t *packet, size_t len)
{
    struct login *login = s->login;
    uint8_t *payload = packet + PACKET_HEADER;

    if (len > PACKET_HEADER && payload[0] == 0xff) { /* "Too many connections" and the like */
        login_pass_refusal(s, packet, len);
        return;
    }
    if (!greeting_parse(payload, len - PACKET_HEADER, &login->greeting)) {
        login_vtgate_failed(s, EPROTO);
        return;
    }
    vtgate_set_healthy(s->vtgate, true);
    s->connection_id = login->greeting.connection_id;
    snprintf(login->plugin, sizeof(login->plugin), "%.*s",
             (int)(login->greeting.plugin.len < PLUGIN_NAME_MAX ? login->greeting.plugin.len : 0),
             (const char *)login->greeting.plugin.p);
    if (s->inner) {
        login->backend_next = 1;
        login_set_timer(s, s->worker->server->config->timeouts_login_ms);
        stream_pause(&s->backend);
        inner_greeted(s);
        return;
    }
    if (login->change.len > 0) {
        login->backend_next = 1;
        login_set_timer(s, s->worker->server->config->timeouts_login_ms);
        stream_pause(&s->backend);
        login_challenge(s);
        return;
    }
    uint32_t offer = login->greeting.capabilities & ~(CAP_OF_LINK | CAP_WITHHELD);

    if (s->worker->server->tls->client)
        offer |= CAP_SSL;
    if (s->worker->server->config->compression)
        offer |= CAP_COMPRESS | CAP_ZSTD_COMPRESSION;
    greeting_set_capabilities(payload, &login->greeting, offer);
    greeting_set_connection_id(payload, &login->greeting, (uint32_t)s->id);
    login->stage = LOGIN_RESPONSE;
    login->backend_next = 1;
    login_set_timer(s, s->worker->server->config->timeouts_login_ms);
    if (!login_pass_to_client(s, packet, len))
        return;
    stream_pause(&s->backend);
    stream_resume(&s->client);
}

/* Whether vtgate's side is to be encrypted, as vtgate_tls.mode says. */
bool login_backend_wants_tls(struct session *s)
{
    const struct server *server = s->worker->server;

    if (!server->tls->backend)
        return false;
    return s->login->greeting.capabilities & CAP_SSL ||
           server->config->vtgate_tls_mode != CONFIG_TLS_PREFERRED;
}

/* The client's flags for vtgate. libmysqlclient sets those of its own features whether or not they
   were offered, and MySQL takes it at its word. */
static uint32_t backend_capabilities(const uint8_t *payload)
{
    return load_u32(payload) & ~(CAP_OF_LINK | CAP_WITHHELD);
}

/* The client's response, held in client_in, goes to vtgate, whose TLS (if any) is up. */
void login_send_response(struct session *s)
{
    struct login *login = s->login;
    uint8_t *packet = login->client_in.data;
    uint8_t *payload = packet + PACKET_HEADER;
    size_t len = PACKET_HEADER + load_u24(packet);
    uint32_t capabilities = backend_capabilities(payload);

    if (load_u32(payload) & CAP_ZSTD_COMPRESSION && login->zstd_level) {
        /* The level is the last byte; vtgate knows of no compression. */
        size_t n = load_u24(packet) - 1;

        packet[0] = (uint8_t)n;
        packet[1] = (uint8_t)(n >> 8);
        packet[2] = (uint8_t)(n >> 16);
        len--;
        login->client_in.len--; /* nothing can be behind it: the client waits */
    }

    if (s->backend.ssl)
        capabilities |= CAP_SSL;
    handshake_response_set_capabilities(payload, capabilities);
    login->stage = LOGIN_EXCHANGE;
    if (!login_pass_to_backend(s, packet, len))
        return;
    buffer_consume(&login->client_in, len);
    stream_resume(&s->backend);
    stream_pause(&s->client); /* what it sends now is its first command */
}

static void start_backend_tls(struct session *s)
{
    struct login *login = s->login;
    struct server *server = s->worker->server;
    uint8_t packet[PACKET_HEADER + SSL_REQUEST_LENGTH];
    SSL *ssl = NULL;

    if (login->greeting.capabilities & CAP_SSL)
        ssl = tls_new_client(server->tls, vtgate_endpoint(s->vtgate)->host);
    if (!ssl) {
        session_send_error(s, login->client_next, SHIM_ERROR_NO_VTGATE, vtgate_name(s->vtgate),
                           "TLS is required and vtgate does not offer it");
        login_refuse(s, CLOSE_VTGATE_ERROR);
        return;
    }
    /* An SSLRequest is the first 32 bytes of the response to come. */
    memcpy(packet, login->client_in.data, sizeof(packet));
    packet[0] = SSL_REQUEST_LENGTH;
    packet[1] = packet[2] = 0;
    handshake_response_set_capabilities(packet + PACKET_HEADER,
                                        backend_capabilities(packet + PACKET_HEADER) | CAP_SSL);
    login->stage = LOGIN_BACKEND_TLS;
    stream_pause(&s->client);
    if (login_pass_to_backend(s, packet, sizeof(packet))) {
        stream_resume(&s->backend);
        stream_start_tls(&s->backend, ssl, false);
    } else {
        SSL_free(ssl);
    }
}

void login_go_on(struct session *s)
{
    if (login_backend_wants_tls(s))
        start_backend_tls(s);
    else
        login_send_response(s);
}
