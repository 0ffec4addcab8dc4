/*
 * The login: connects to a vtgate, shows the client vtgate's greeting, and passes the packets of
 * both sides on until vtgate says OK or ERR. The shim knows no password: it relays vtgate's salt
 * and the client's answer. ("Connection Phase" in the MySQL Source Code Documentation.)
 *
 * TLS may be on either side alone. An SSLRequest takes a sequence number, so the two sides count
 * for themselves: each packet passed on gets the next number of the side that it goes to.
 *
 * Invariant: from the greeting on, every byte of either side goes through login_packet() as a
 * whole packet of at most LOGIN_PACKET_MAX bytes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "protocol/handshake.h"
#include "proxy/bridge.h"
#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/networks.h"
#include "proxy/server.h"
#include "proxy/session.h"
#include "proxy/tls.h"
#include "proxy/vtgates.h"
#include "proxy/worker.h"

/* Connection attributes may be 64 KiB; passwords, names and tokens are small. */
#define LOGIN_PACKET_MAX (256u << 10)
#define PROXY_POLL_MS    20 /* how soon an incomplete PROXY header is looked at again */

enum login_stage {
    LOGIN_PROXY,       /* a PROXY header is awaited */
    LOGIN_CONNECTING,  /* the TCP connect to vtgate is under way */
    LOGIN_GREETING,    /* vtgate's greeting is awaited */
    LOGIN_RESPONSE,    /* the client's SSLRequest or HandshakeResponse41 is */
    LOGIN_CLIENT_TLS,  /* handshake with the client */
    LOGIN_BRIDGE,      /* bridge.c asks the client for its password */
    LOGIN_BACKEND_TLS, /* handshake with vtgate; the client's response waits in client_in */
    LOGIN_EXCHANGE     /* packets in both directions until OK or ERR */
};

struct login {
    enum login_stage stage;
    struct event timer;
    int64_t deadline_ms;         /* PROXY: until when the header has to be there */
    uint64_t tried;              /* bit set of vtgates, see vtgates_choose */
    struct sockaddr_storage peer; /* the client's address, as far as it is known */
    struct proxy_address proxy;  /* what a PROXY header said; family UNKNOWN: nothing */
    int error;                   /* errno of the last connect that failed */
    struct greeting greeting;    /* its runs do not outlive the packet: only the numbers count */
    uint8_t client_next, backend_next; /* sequence number of the next packet to that side */
    struct bridge *bridge;       /* a client without mysql_native_password, or NULL */
    struct buffer client_in, backend_in; /* packets not whole yet; hold answers to challenges */
};

static void login_try_vtgate(struct session *s);

void login_end(struct session *s)
{
    struct login *login = s->login;

    if (!login)
        return;
    event_del(&login->timer);
    buffer_wipe(&login->client_in);
    buffer_wipe(&login->backend_in);
    bridge_destroy(login->bridge);
    free(login);
    s->login = NULL;
}

static void login_refuse(struct session *s, enum close_reason reason)
{
    metrics_add(&s->worker->metrics.logins_failed, 1);
    session_finish(s, reason);
}

static void set_timer(struct session *s, int64_t ms)
{
    struct timeval tv = {ms / 1000, (ms % 1000) * 1000};

    event_add(&s->login->timer, &tv);
}

static void vtgate_failed(struct session *s, int error)
{
    struct login *login = s->login;

    login->error = error;
    metrics_add(&s->worker->metrics.vtgate_connect_failures, 1);
    log_warn("vtgate_connect_failed", "session:u vtgate:s error:s", s->id, vtgate_name(s->vtgate),
             strerror(error));
    vtgate_set_healthy(s->vtgate, false);
    stream_close(&s->backend);
    buffer_release(&login->backend_in);
    login_try_vtgate(s);
}

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
    struct session *s = arg;

    (void)fd;
    (void)what;
    if (s->login->stage == LOGIN_PROXY && clock_ms() < s->login->deadline_ms) {
        set_timer(s, s->login->deadline_ms - clock_ms());
        stream_resume(&s->client); /* is there more of the header now? */
        return;
    }
    if (s->login->stage == LOGIN_CONNECTING || s->login->stage == LOGIN_GREETING) {
        vtgate_failed(s, ETIMEDOUT);
        return;
    }
    session_send_error(s, s->login->client_next, SHIM_ERROR_LOGIN_TIMEOUT);
    login_refuse(s, CLOSE_LOGIN_TIMEOUT);
}

/* Tries the next vtgate; when none is left the client gets an error in place of a greeting. */
static void login_try_vtgate(struct session *s)
{
    struct login *login = s->login;
    struct server *server = s->worker->server;
    const char *last = s->vtgate ? vtgate_name(s->vtgate) : "vtgate";

    if (s->vtgate)
        vtgate_release(s->vtgate);
    while ((s->vtgate = vtgates_choose(server->vtgates, &login->tried))) {
        evutil_socket_t fd = vtgate_connect(s->vtgate, &login->error);

        last = vtgate_name(s->vtgate);
        if (fd >= 0) {
            login->stage = LOGIN_CONNECTING;
            session_open_backend(s, fd);
            stream_wait_connected(&s->backend);
            set_timer(s, server->config->timeouts_connect_ms);
            return;
        }
        metrics_add(&s->worker->metrics.vtgate_connect_failures, 1);
        vtgate_set_healthy(s->vtgate, false);
        vtgate_release(s->vtgate);
    }
    metrics_add(&s->worker->metrics.no_vtgate, 1);
    session_send_error(s, 0, SHIM_ERROR_NO_VTGATE, last, strerror(login->error));
    login_refuse(s, CLOSE_NO_VTGATE);
}

/* The client's address is known: the way to vtgate begins. */
static void login_admit(struct session *s)
{
    char host[64];

    if (session_count_address(s)) {
        login_try_vtgate(s);
        return;
    }
    address_format_host(host, sizeof(host), &s->login->peer);
    session_send_error(s, 0, SHIM_ERROR_TOO_MANY_OF_ADDRESS, host);
    login_refuse(s, CLOSE_LIMIT);
}

/* A PROXY header is read without taking a byte of what is behind it. */
static void read_proxy_header(struct session *s)
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
        set_timer(s, PROXY_POLL_MS);
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
        address_from_proxy(&login->peer, &login->proxy);
        address_format(s->peer, sizeof(s->peer), &login->peer);
        s->client_is_local = false; /* only the balancer is */
    }
    stream_pause(&s->client);
    login_admit(s);
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

void login_begin(struct session *s, const struct sockaddr_storage *peer)
{
    struct login *login = s->login = memory_zalloc(sizeof(*login));

    login->peer = *peer;
    login->deadline_ms = clock_ms() + s->worker->server->config->timeouts_login_ms;

    buffer_init(&login->client_in, LOGIN_PACKET_MAX);
    buffer_init(&login->backend_in, LOGIN_PACKET_MAX);
    event_assign(&login->timer, s->worker->base, -1, 0, on_timeout, s);
    if (networks_contain(s->worker->server->proxy_networks, peer)) {
        login->stage = LOGIN_PROXY;
        set_timer(s, s->worker->server->config->timeouts_login_ms);
        stream_resume(&s->client);
    } else {
        login_admit(s);
    }
}

static bool pass_to_client(struct session *s, uint8_t *packet, size_t len)
{
    packet[3] = s->login->client_next++;
    return session_send_client(s, packet, len);
}

static bool pass_to_backend(struct session *s, uint8_t *packet, size_t len)
{
    packet[3] = s->login->backend_next++;
    return session_send_backend(s, packet, len);
}

/* vtgate's greeting, with the capabilities that hold for the pair. */
static void on_greeting(struct session *s, uint8_t *packet, size_t len)
{
    struct login *login = s->login;
    uint8_t *payload = packet + PACKET_HEADER;

    if (len > PACKET_HEADER && payload[0] == 0xff) { /* "Too many connections" and the like */
        if (pass_to_client(s, packet, len))
            login_refuse(s, CLOSE_LOGIN_REFUSED);
        return;
    }
    if (!greeting_parse(payload, len - PACKET_HEADER, &login->greeting)) {
        vtgate_failed(s, EPROTO);
        return;
    }
    vtgate_set_healthy(s->vtgate, true);
    s->connection_id = login->greeting.connection_id;
    /* Not offered: what would hide the packets from the shim or change their layout. */
    uint32_t offer = login->greeting.capabilities &
                     ~(uint32_t)(CAP_COMPRESS | CAP_ZSTD_COMPRESSION | CAP_SSL |
                                 CAP_OPTIONAL_METADATA | CAP_QUERY_ATTRIBUTES);

    if (s->worker->server->tls.client)
        offer |= CAP_SSL;
    greeting_set_capabilities(payload, &login->greeting, offer);
    greeting_set_connection_id(payload, &login->greeting, (uint32_t)s->id);
    login->stage = LOGIN_RESPONSE;
    login->backend_next = 1;
    set_timer(s, s->worker->server->config->timeouts_login_ms);
    if (!pass_to_client(s, packet, len))
        return;
    stream_pause(&s->backend);
    stream_resume(&s->client);
}

/* Whether vtgate's side is to be encrypted, as vtgate_tls.mode says. */
static bool backend_wants_tls(struct session *s)
{
    const struct server *server = s->worker->server;

    if (!server->tls.backend)
        return false;
    return s->login->greeting.capabilities & CAP_SSL ||
           server->config->vtgate_tls_mode != CONFIG_TLS_PREFERRED;
}

static bool is_cleartext(struct bytes plugin)
{
    static const char NAME[] = "mysql_clear_password";

    return plugin.len == sizeof(NAME) - 1 && memcmp(plugin.p, NAME, plugin.len) == 0;
}

/* A password in the clear must not cross a link that is not encrypted. */
static bool refuse_cleartext(struct session *s)
{
    const struct config *c = s->worker->server->config;
    const char *link = NULL;

    if (!s->client.ssl && !s->client_is_local)
        link = "to the client";
    else if (!s->backend.ssl && !c->vtgate_tls_allow_cleartext_password)
        link = "to vtgate";
    if (!link)
        return false;
    session_send_error(s, s->login->client_next, SHIM_ERROR_CLEARTEXT_REFUSED, link);
    login_refuse(s, CLOSE_LOGIN_REFUSED);
    return true;
}

/* The client's response, held in client_in, goes to vtgate, whose TLS (if any) is up. */
static void send_response(struct session *s)
{
    struct login *login = s->login;
    uint8_t *packet = login->client_in.data;
    uint8_t *payload = packet + PACKET_HEADER;
    size_t len = PACKET_HEADER + load_u24(packet);
    uint32_t capabilities = load_u32(payload) & ~(uint32_t)CAP_SSL;

    if (s->backend.ssl)
        capabilities |= CAP_SSL;
    handshake_response_set_capabilities(payload, capabilities);
    login->stage = LOGIN_EXCHANGE;
    if (!pass_to_backend(s, packet, len))
        return;
    buffer_consume(&login->client_in, len);
    stream_resume(&s->backend);
    stream_resume(&s->client);
}

static void start_backend_tls(struct session *s)
{
    struct login *login = s->login;
    struct server *server = s->worker->server;
    uint8_t packet[PACKET_HEADER + SSL_REQUEST_LENGTH];
    SSL *ssl = NULL;

    if (login->greeting.capabilities & CAP_SSL)
        ssl = tls_new_client(&server->tls, server->config, vtgate_endpoint(s->vtgate)->host);
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
                                        load_u32(packet + PACKET_HEADER) | CAP_SSL);
    login->stage = LOGIN_BACKEND_TLS;
    stream_pause(&s->client);
    if (pass_to_backend(s, packet, sizeof(packet))) {
        stream_resume(&s->backend);
        stream_start_tls(&s->backend, ssl, false);
    }
}

static void start_client_tls(struct session *s)
{
    struct login *login = s->login;
    SSL *ssl = s->worker->server->tls.client ? tls_new_server(&s->worker->server->tls) : NULL;

    if (!ssl) {
        session_send_error(s, login->client_next, SHIM_ERROR_HANDSHAKE);
        login_refuse(s, CLOSE_CLIENT_PROTOCOL);
        return;
    }
    login->stage = LOGIN_CLIENT_TLS;
    stream_start_tls(&s->client, ssl, true);
}

static void go_on_to_backend(struct session *s)
{
    if (backend_wants_tls(s))
        start_backend_tls(s);
    else
        send_response(s);
}

static void start_bridge(struct session *s, const struct handshake_response *hr);

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
    s->user = memory_copy((const char *)hr.user.p, hr.user.len);
    if (hr.database.len)
        s->database = memory_copy((const char *)hr.database.p, hr.database.len);
    if (bridge_needed(&hr)) {
        start_bridge(s, &hr);
        return;
    }
    if (is_cleartext(hr.plugin) && hr.auth.len > 1 && !backend_wants_tls(s) && refuse_cleartext(s))
        return;
    go_on_to_backend(s);
}

/* What the bridge wants to say to the client, if anything. */
static bool send_bridge(struct session *s, struct buffer *payload)
{
    struct login *login = s->login;
    struct buffer packet;
    bool sent = true;

    if (payload->len > 0) {
        buffer_init(&packet, LOGIN_PACKET_MAX);
        login->client_next = packet_append(&packet, login->client_next, payload->data, payload->len);
        sent = session_send_client(s, packet.data, packet.len);
        buffer_release(&packet);
    }
    buffer_release(payload);
    return sent;
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
    go_on_to_backend(s);
}

static void login_done(struct session *s)
{
    struct login *login = s->login;

    /* Bytes beyond the login: the client may have sent its first command already. */
    buffer_bytes(&s->input, login->client_in.data, login->client_in.len);
    login_end(s);
    metrics_add(&s->worker->metrics.logins, 1);
    log_debug("login", "session:u peer:s user:s vtgate:s tls:s", s->id, s->peer, s->user,
              vtgate_name(s->vtgate), s->client.ssl ? SSL_get_version(s->client.ssl) : "off");
    session_set_state(s, SESSION_IDLE);
    s->status = STATUS_AUTOCOMMIT;
    stream_resume(&s->backend);
    stream_resume(&s->client);
    query_continue(s);
}

/* vtgate asks again (a fresh salt, or another plugin) for a client that bridge.c speaks for. */
static void answer_for_client(struct session *s, struct bytes plugin, struct bytes data)
{
    struct login *login = s->login;
    struct buffer answer;

    buffer_init(&answer, LOGIN_PACKET_MAX);
    size_t mark = packet_begin(&answer);
    bool known = bridge_answer(login->bridge, plugin, data, &answer);

    packet_end(&answer, mark, 0);
    if (known) {
        pass_to_backend(s, answer.data, answer.len);
    } else {
        session_send_error(s, login->client_next, SHIM_ERROR_HANDSHAKE);
        login_refuse(s, CLOSE_LOGIN_REFUSED);
    }
    buffer_wipe(&answer);
}

/* A packet of vtgate after the client's response. */
static void on_exchange(struct session *s, uint8_t *packet, size_t len)
{
    struct login *login = s->login;
    const uint8_t *payload = packet + PACKET_HEADER;
    size_t n = len - PACKET_HEADER;
    uint8_t first = n ? payload[0] : 0;
    struct bytes plugin, data;

    if (first == 0xfe && auth_switch_parse(payload, n, &plugin, &data)) {
        if (is_cleartext(plugin) && refuse_cleartext(s))
            return;
        if (login->bridge) {
            answer_for_client(s, plugin, data);
            return;
        }
    }
    /* caching_sha2_password's "full authentication": over TLS the client answers in the clear. */
    if (first == 0x01 && n == 2 && payload[1] == 4 && s->client.ssl && refuse_cleartext(s))
        return;
    if (first == 0x00 && !session_count_user(s)) {
        session_send_error(s, login->client_next, SHIM_ERROR_TOO_MANY_OF_USER, s->user);
        login_refuse(s, CLOSE_LIMIT);
        return;
    }
    if (!pass_to_client(s, packet, len))
        return;
    if (first == 0xff)
        login_refuse(s, CLOSE_LOGIN_REFUSED);
    else if (first == 0x00)
        login_done(s);
}

/* The first whole packet of a buffer, or NULL. *broken: it can never become one. */
static uint8_t *whole_packet(struct buffer *in, size_t *len, bool *broken)
{
    *broken = in->failed;
    if (in->len < PACKET_HEADER)
        return NULL;
    *len = PACKET_HEADER + load_u24(in->data);
    *broken = *broken || *len > LOGIN_PACKET_MAX;
    return *len <= in->len ? in->data : NULL;
}

static void from_backend(struct session *s)
{
    struct login *login = s->login;
    bool broken;
    size_t len;

    for (;;) {
        uint8_t *packet = whole_packet(&login->backend_in, &len, &broken);

        if (broken) {
            session_send_error(s, login->client_next, SHIM_ERROR_VTGATE_LOST);
            login_refuse(s, CLOSE_VTGATE_PROTOCOL);
        }
        if (broken || !packet)
            return;
        if (login->stage == LOGIN_GREETING) {
            on_greeting(s, packet, len);
        } else {
            login->backend_next = (uint8_t)(packet[3] + 1);
            on_exchange(s, packet, len);
        }
        if (s->login != login)
            return;
        buffer_consume(&login->backend_in, len);
    }
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
    uint8_t *packet = whole_packet(&login->client_in, &len, &broken);

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
    } else if (login->stage == LOGIN_EXCHANGE) {
        login->client_next = (uint8_t)(packet[3] + 1);
        if (pass_to_backend(s, packet, len))
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

static void login_read_client(struct session *s)
{
    struct login *login = s->login;

    while (s->login == login && (login->stage == LOGIN_RESPONSE || login->stage == LOGIN_BRIDGE ||
                                 login->stage == LOGIN_EXCHANGE)) {
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

static void backend_lost(struct session *s)
{
    if (s->login->stage <= LOGIN_GREETING) {
        vtgate_failed(s, ECONNRESET);
        return;
    }
    session_send_error(s, s->login->client_next, SHIM_ERROR_VTGATE_LOST);
    login_refuse(s, CLOSE_VTGATE_CLOSED);
}

static void login_read_backend(struct session *s)
{
    ssize_t n = stream_read(&s->backend, s->worker->scratch, WORKER_SCRATCH);

    if (n < 0) {
        backend_lost(s);
    } else if (n > 0) {
        buffer_bytes(&s->login->backend_in, s->worker->scratch, (size_t)n);
        from_backend(s);
    }
}

static void connect_done(struct session *s)
{
    int error = 0;
    socklen_t size = sizeof(error);

    getsockopt(s->backend.fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error) {
        vtgate_failed(s, error);
        return;
    }
    s->login->stage = LOGIN_GREETING;
    stream_resume(&s->backend);
    send_proxy_header(s);
}

static void client_event(struct session *s, enum stream_event what)
{
    if (what == STREAM_READABLE && s->login->stage == LOGIN_PROXY) {
        read_proxy_header(s);
    } else if (what == STREAM_READABLE) {
        login_read_client(s);
    } else if (what == STREAM_TLS_READY) {
        s->login->stage = LOGIN_RESPONSE;
        stream_resume(&s->client);
        login_read_client(s);
    } else if (what == STREAM_FAILED) {
        char reason[160];

        if (s->client.ssl)
            log_info("client_tls_failed", "session:u peer:s error:s", s->id, s->peer,
                     tls_last_error(reason, sizeof(reason)));
        metrics_add(&s->worker->metrics.logins_failed, 1);
        session_close(s, s->client.ssl ? CLOSE_CLIENT_TLS : CLOSE_CLIENT_ERROR);
    }
}

void login_event(struct session *s, bool from_the_client, enum stream_event what)
{
    if (from_the_client) {
        client_event(s, what);
    } else if (what == STREAM_READABLE) {
        login_read_backend(s);
    } else if (what == STREAM_DRAINED) {
        if (s->login->stage == LOGIN_CONNECTING)
            connect_done(s);
    } else if (what == STREAM_TLS_READY) {
        send_response(s);
    } else if (s->login->stage == LOGIN_BACKEND_TLS) {
        char reason[160];

        tls_last_error(reason, sizeof(reason));
        log_warn("vtgate_tls_failed", "session:u vtgate:s error:s", s->id, vtgate_name(s->vtgate),
                 reason);
        session_send_error(s, s->login->client_next, SHIM_ERROR_NO_VTGATE, vtgate_name(s->vtgate),
                           "TLS with vtgate failed");
        login_refuse(s, CLOSE_VTGATE_ERROR);
    } else {
        backend_lost(s);
    }
}
