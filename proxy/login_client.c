/*
 * The client's side of the login: a PROXY header, TLS, its response, its answers to challenges.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "proxy/bridge.h"
#include "proxy/login_internal.h"
#include "proxy/memory.h"
#include "proxy/networks.h"
#include "proxy/server.h"
#include "proxy/tls.h"
#include "proxy/vtgates.h"
#include "proxy/worker.h"

#define PROXY_POLL_MS 20 /* how soon an incomplete PROXY header is looked at again */

/* A PROXY header is read without taking a byte of what is behind it. */
void login_read_proxy_header(struct session *s)
{
    struct login *login = s->login;
    uint8_t data[PROXY_HEADER_MAX];
    ssize_t n = recv(s->client.fd, data, sizeof(data), MSG_PEEK);
    size_t used = 0;
    char host[64];

    if (n <= 0 && (n == 0 || (errno != EAGAIN && errno != EINTR))) {
        session_close(s, CLOSE_CLIENT_CLOSED);
        return;
    }
    if (n < 0)
        return;
    switch (proxy_header_parse(data, (size_t)n, &login->proxy, &used)) {
    case PROXY_MORE:
        /* What was peeked at stays readable: a loop that finds nothing new would spin. */
        stream_pause(&s->client);
        login_set_timer(s, PROXY_POLL_MS);
        return;
    case PROXY_BAD:
        address_format_host(host, sizeof(host), &login->peer);
        session_send_error(s, 0, SHIM_ERROR_PROXY_MISSING, host);
        login_refuse(s, CLOSE_CLIENT_PROTOCOL);
        return;
    case PROXY_DONE:
        break;
    }
    recv(s->client.fd, data, used, 0);
    if (login->proxy.family != PROXY_UNKNOWN) {
        s->proxied = memory_zalloc(sizeof(*s->proxied));
        *s->proxied = login->proxy;
        address_from_proxy(&login->peer, &login->proxy);
        address_format(s->peer, sizeof(s->peer), &login->peer);
        s->client_is_local = false; /* only the balancer is */
    }
    stream_pause(&s->client);
    login_admit(s);
}

bool login_is_cleartext(struct bytes plugin)
{
    return bytes_are(plugin, "mysql_clear_password");
}

/* A password in the clear must not cross a network that is not encrypted. */
bool login_refuse_cleartext(struct session *s)
{
    const struct config *c = s->worker->server->config;
    const char *link = NULL;

    if (!s->client.ssl && !s->client_is_local)
        link = "to the client";
    else if (!s->backend.ssl && !vtgate_endpoint(s->vtgate)->is_unix &&
             !c->vtgate_tls_allow_cleartext_password)
        link = "to vtgate";
    if (!link)
        return false;
    session_send_error(s, s->login->client_next, SHIM_ERROR_CLEARTEXT_REFUSED, link);
    login_refuse(s, CLOSE_LOGIN_REFUSED);
    return true;
}

static void start_client_tls(struct session *s)
{
    struct login *login = s->login;
    SSL *ssl = s->worker->server->tls->client ? tls_new_server(s->worker->server->tls) : NULL;

    if (!ssl) {
        session_send_error(s, login->client_next, SHIM_ERROR_HANDSHAKE);
        login_refuse(s, CLOSE_CLIENT_PROTOCOL);
        return;
    }
    login->stage = LOGIN_CLIENT_TLS;
    stream_start_tls(&s->client, ssl, true);
}

/* What the bridge wants to say to the client, if anything. */
static bool send_bridge(struct session *s, struct buffer *payload)
{
    struct login *login = s->login;
    struct buffer packet;
    bool sent = true;

    if (payload->len > 0) {
        buffer_init(&packet, LOGIN_PACKET_MAX);
        login->client_next =
            packet_append(&packet, login->client_next, payload->data, payload->len);
        sent = session_send_client(s, packet.data, packet.len);
        buffer_release(&packet);
    }
    buffer_release(payload);
    return sent;
}

static void start_bridge(struct session *s, const struct handshake_response *hr);

void login_challenge(struct session *s)
{
    struct login *login = s->login;
    struct handshake_response hr;
    struct bytes plugin = {(const uint8_t *)login->plugin, strlen(login->plugin)};
    struct buffer say;

    if (!handshake_response_parse(login->change.data, login->change.len, &hr))
        abort(); /* it was made by us */
    if (s->bridged || s->keeps_first_salt) {
        start_bridge(s, &hr);
        return;
    }
    if (login_is_cleartext(plugin) && login_refuse_cleartext(s))
        return;
    buffer_init(&say, LOGIN_PACKET_MAX);
    auth_switch_append(&say, login->plugin, login->greeting.salt);
    login->stage = LOGIN_CHALLENGE;
    if (send_bridge(s, &say))
        stream_resume(&s->client);
}

/* The answer to it: with what COM_CHANGE_USER said, it makes the response for vtgate. */
static void on_challenge(struct session *s, const uint8_t *packet, size_t len)
{
    struct login *login = s->login;
    struct buffer response;
    struct handshake_response hr;

    if (!handshake_response_parse(login->change.data, login->change.len, &hr))
        abort(); /* it was made by us */
    hr.auth = (struct bytes){packet + PACKET_HEADER, len - PACKET_HEADER};
    hr.plugin = (struct bytes){(const uint8_t *)login->plugin, strlen(login->plugin)};
    buffer_init(&response, LOGIN_PACKET_MAX);
    size_t mark = packet_begin(&response);

    handshake_response_append(&response, &hr);
    packet_end(&response, mark, 1);
    buffer_wipe(&login->client_in);
    login->client_in = response; /* moved */
    login_go_on(s);
}

static void start_bridge(struct session *s, const struct handshake_response *hr)
{
    struct login *login = s->login;
    struct buffer say;

    if (!s->client.ssl && !s->client_is_local) {
        session_send_error(s, login->client_next, SHIM_ERROR_PLUGIN_NEEDS_TLS);
        login_refuse(s, CLOSE_LOGIN_REFUSED);
        return;
    }
    buffer_init(&say, LOGIN_PACKET_MAX);
    login->bridge = bridge_create(hr, login->greeting.salt, &say);
    login->stage = LOGIN_BRIDGE;
    s->bridged = true;
    buffer_wipe(&login->client_in);
    if (send_bridge(s, &say))
        stream_resume(&s->client);
}

/* The client's part of the bridge; at its end a response for vtgate stands in client_in. */
static void on_bridge(struct session *s, const uint8_t *packet, size_t len)
{
    struct login *login = s->login;
    struct buffer say;

    buffer_init(&say, LOGIN_PACKET_MAX);
    bool ready = bridge_feed(login->bridge, packet + PACKET_HEADER, len - PACKET_HEADER, &say);

    buffer_wipe(&login->client_in);
    if (!send_bridge(s, &say) || !ready)
        return;
    size_t mark = packet_begin(&login->client_in);

    bridge_response(login->bridge, &login->client_in);
    packet_end(&login->client_in, mark, 1);
    login_go_on(s);
}

/* vtgate asks again (a fresh salt, or another plugin) for a client that bridge.c speaks for. */
void login_answer_for_client(struct session *s, struct bytes plugin, struct bytes data)
{
    struct login *login = s->login;
    struct buffer answer;

    buffer_init(&answer, LOGIN_PACKET_MAX);
    size_t mark = packet_begin(&answer);
    bool known = bridge_answer(login->bridge, plugin, data, &answer);

    packet_end(&answer, mark, 0);
    if (known) {
        login_pass_to_backend(s, answer.data, answer.len);
    } else {
        session_send_error(s, login->client_next, SHIM_ERROR_HANDSHAKE);
        login_refuse(s, CLOSE_LOGIN_REFUSED);
    }
    buffer_wipe(&answer);
}

/*
 * MariaDB's clients set CAP_MARIADB_PROGRESS without being offered it, when their application wants
 * to hear of progress (the command line does, on a terminal). In Oracle's headers the bit is
 * CLIENT_CAPABILITY_EXTENSION, reserved for a longer set of flags: hence the look at the name.
 */
static bool takes_progress(const struct handshake_response *hr)
{
    static const char NAME[] = "libmariadb";
    struct bytes name = handshake_attribute(hr, "_client_name");

    return hr->capabilities & CAP_MARIADB_PROGRESS && name.len == sizeof(NAME) - 1 &&
           memcmp(name.p, NAME, name.len) == 0;
}

/* The client's SSLRequest or HandshakeResponse41, whole in client_in. */
static void on_response(struct session *s)
{
    struct login *login = s->login;
    const uint8_t *payload = login->client_in.data + PACKET_HEADER;
    size_t len = load_u24(login->client_in.data);
    struct handshake_response hr;
    uint32_t capabilities;

    login->client_next = (uint8_t)(login->client_in.data[3] + 1);
    if (!s->client.ssl && ssl_request_parse(payload, len, &capabilities)) {
        buffer_consume(&login->client_in, PACKET_HEADER + len);
        start_client_tls(s);
        return;
    }
    if (!handshake_response_parse(payload, len, &hr)) {
        session_send_error(s, login->client_next, SHIM_ERROR_HANDSHAKE);
        login_refuse(s, CLOSE_CLIENT_PROTOCOL);
        return;
    }
    if (s->worker->server->config->tls_required && !s->client.ssl) {
        session_send_error(s, login->client_next, SHIM_ERROR_SECURE_TRANSPORT);
        login_refuse(s, CLOSE_LOGIN_REFUSED);
        return;
    }
    s->capabilities = hr.capabilities & login->greeting.capabilities;
    if (s->worker->server->config->compression) {
        /* A client that offers both means zlib first, as libmysqlclient does. */
        login->compression =
            hr.capabilities & CAP_COMPRESS ? CAP_COMPRESS : hr.capabilities & CAP_ZSTD_COMPRESSION;
        login->zstd_level = hr.zstd_level;
    }
    s->user = memory_copy((const char *)hr.user.p, hr.user.len);
    if (hr.database.len)
        s->database = memory_copy((const char *)hr.database.p, hr.database.len);
    s->keeps_first_salt = bridge_keeps_first_salt(&hr);
    s->progress = takes_progress(&hr);
    if (bridge_needed(&hr, login->plugin)) {
        start_bridge(s, &hr);
        return;
    }
    if (login_is_cleartext(hr.plugin) && hr.auth.len > 1 && !login_backend_wants_tls(s) &&
        login_refuse_cleartext(s))
        return;
    login_go_on(s);
}

/* "PROX" and "\r\n\r\n" both make a length that no login packet has. */
static bool is_proxy_header(const struct login *login)
{
    return login->client_in.len >= PACKET_HEADER &&
           (memcmp(login->client_in.data, "PROX", 4) == 0 ||
            memcmp(login->client_in.data, "\r\n\r\n", 4) == 0);
}

static void from_client(struct session *s)
{
    struct login *login = s->login;
    bool broken;
    size_t len;
    uint8_t *packet = login_whole_packet(&login->client_in, &len, &broken);

    if (broken && login->stage == LOGIN_RESPONSE && is_proxy_header(login)) {
        char host[64];

        address_format_host(host, sizeof(host), &login->peer);
        session_send_error(s, login->client_next, SHIM_ERROR_PROXY_REFUSED, host);
        login_refuse(s, CLOSE_CLIENT_PROTOCOL);
        return;
    }
    if (broken) {
        session_send_error(s, login->client_next, SHIM_ERROR_PACKET_TOO_LARGE);
        login_refuse(s, CLOSE_CLIENT_PROTOCOL);
        return;
    }
    if (!packet)
        return;
    if (login->stage == LOGIN_RESPONSE) {
        on_response(s);
    } else if (login->stage == LOGIN_BRIDGE) {
        login->client_next = (uint8_t)(packet[3] + 1);
        on_bridge(s, packet, len);
    } else if (login->stage == LOGIN_CHALLENGE) {
        login->client_next = (uint8_t)(packet[3] + 1);
        on_challenge(s, packet, len);
    } else if (login->stage == LOGIN_EXCHANGE) {
        login->client_next = (uint8_t)(packet[3] + 1);
        login->client_turn = false;
        if (login_pass_to_backend(s, packet, len))
            buffer_consume(&login->client_in, len);
    }
}

/*
 * How much to read from the client: a TLS ClientHello may follow its SSLRequest in the same
 * segment and must stay in the socket, and so must a command behind the login.
 */
static size_t client_wanted(const struct login *login)
{
    size_t have = login->client_in.len;

    if (have < PACKET_HEADER)
        return PACKET_HEADER - have;
    size_t whole = PACKET_HEADER + load_u24(login->client_in.data);

    return whole > have ? whole - have : 0;
}

void login_read_client(struct session *s)
{
    struct login *login = s->login;

    while (s->login == login && (login->stage != LOGIN_EXCHANGE || login->client_turn) &&
           (login->stage == LOGIN_RESPONSE || login->stage == LOGIN_BRIDGE ||
            login->stage == LOGIN_CHALLENGE || login->stage == LOGIN_EXCHANGE)) {
        size_t want = client_wanted(login);

        if (want > WORKER_SCRATCH)
            want = WORKER_SCRATCH;
        ssize_t n = want ? stream_read(&s->client, s->worker->scratch, want) : 0;

        if (n < 0) {
            metrics_add(&s->worker->metrics.logins_failed, 1);
            session_close(s, n == -1 ? CLOSE_CLIENT_CLOSED : CLOSE_CLIENT_ERROR);
            return;
        }
        if (n == 0)
            return;
        buffer_bytes(&login->client_in, s->worker->scratch, (size_t)n);
        explicit_bzero(s->worker->scratch, (size_t)n);
        from_client(s);
    }
}
