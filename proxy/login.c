/*
 * The login: connects to a vtgate, shows the client vtgate's greeting, and passes the packets of
 * both sides on until vtgate says OK or ERR. The shim knows no password: it relays vtgate's salt
 * and the client's answer. ("Connection Phase" in the MySQL Source Code Documentation.)
 *
 * TLS may be on either side alone. An SSLRequest takes a sequence number, so the two sides count
 * for themselves: each packet passed on gets the next number of the side that it goes to.
 *
 * Here is the course of it; what each side says is in login_client.c and login_vtgate.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/bridge.h"
#include "proxy/codec.h"
#include "proxy/inner.h"
#include "proxy/log.h"
#include "proxy/login_internal.h"
#include "proxy/memory.h"
#include "proxy/networks.h"
#include "proxy/server.h"
#include "proxy/tls.h"
#include "proxy/vtgates.h"
#include "proxy/worker.h"

void login_end(struct session *s)
{
    struct login *login = s->login;

    if (!login)
        return;
    loop_timer_stop(&login->timer);
    buffer_wipe(&login->change);
    buffer_wipe(&login->client_in);
    buffer_wipe(&login->backend_in);
    bridge_destroy(login->bridge);
    free(login);
    s->login = NULL;
}

void login_refuse(struct session *s, enum close_reason reason)
{
    metrics_add(&s->worker->metrics.logins_failed, 1);
    session_finish(s, reason);
}

void login_set_timer(struct session *s, int64_t ms)
{
    loop_timer_set(&s->login->timer, ms);
}

static void on_timeout(void *arg)
{
    struct session *s = arg;

    if (s->login->stage == LOGIN_PROXY && clock_ms() < s->login->deadline_ms) {
        login_set_timer(s, s->login->deadline_ms - clock_ms());
        stream_resume(&s->client); /* is there more of the header now? */
        return;
    }
    if (s->login->stage == LOGIN_CONNECTING || s->login->stage == LOGIN_GREETING) {
        login_vtgate_failed(s, ETIMEDOUT);
        return;
    }
    session_send_error(s, s->login->client_next, SHIM_ERROR_LOGIN_TIMEOUT);
    login_refuse(s, CLOSE_LOGIN_TIMEOUT);
}

/* The client's address is known: the way to vtgate begins. */
void login_admit(struct session *s)
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

static struct login *login_create(struct session *s)
{
    struct login *login = s->login = memory_zalloc(sizeof(*login));

    login->last_tried = "vtgate";
    buffer_init(&login->change, LOGIN_PACKET_MAX);
    buffer_init(&login->client_in, LOGIN_PACKET_MAX);
    buffer_init(&login->backend_in, LOGIN_PACKET_MAX);
    loop_timer_init(&login->timer, &s->worker->loop, on_timeout, s);
    return login;
}

/* Who the client is, as at its first login. */
static void find_peer(struct session *s)
{
    struct login *login = s->login;
    socklen_t size = sizeof(login->peer);

    if (s->proxied) {
        login->proxy = *s->proxied;
        address_from_proxy(&login->peer, &login->proxy);
    } else if (getpeername(s->client.fd, (struct sockaddr *)&login->peer, &size) != 0) {
        login->peer.ss_family = AF_UNSPEC; /* gone already: the next read says so */
    }
}

void login_change_user(struct session *s, const struct handshake_response *hr, uint8_t sequence)
{
    session_leave_vtgate(s);
    struct login *login = login_create(s);

    session_set_state(s, SESSION_LOGIN);
    stream_pause(&s->client);
    login->client_next = sequence;
    find_peer(s);
    handshake_response_append(&login->change, hr);
    s->user = memory_copy((const char *)hr->user.p, hr->user.len);
    if (hr->database.len)
        s->database = memory_copy((const char *)hr->database.p, hr->database.len);
    login_try_vtgate(s);
}

void login_begin_inner(struct session *s)
{
    login_create(s);
    login_try_vtgate(s);
}

void login_begin(struct session *s, const struct sockaddr_storage *peer)
{
    struct login *login = login_create(s);

    login->peer = *peer;
    login->deadline_ms = clock_ms() + s->worker->server->config->timeouts_login_ms;

    if (networks_contain(s->worker->server->proxy_networks, peer)) {
        login->stage = LOGIN_PROXY;
        login_set_timer(s, s->worker->server->config->timeouts_login_ms);
        stream_resume(&s->client);
    } else {
        login_admit(s);
    }
}

bool login_pass_to_client(struct session *s, uint8_t *packet, size_t len)
{
    packet[3] = s->login->client_next++;
    return session_send_client(s, packet, len);
}

void login_pass_refusal(struct session *s, uint8_t *packet, size_t len)
{
    /* Counted first: who sees the error and looks at the metrics finds it there. */
    metrics_add(&s->worker->metrics.logins_failed, 1);
    if (login_pass_to_client(s, packet, len))
        session_finish(s, CLOSE_LOGIN_REFUSED);
}

bool login_pass_to_backend(struct session *s, uint8_t *packet, size_t len)
{
    packet[3] = s->login->backend_next++;
    return session_send_backend(s, packet, len);
}

/* The first whole packet of a buffer, or NULL. *broken: it can never become one. */
uint8_t *login_whole_packet(struct buffer *in, size_t *len, bool *broken)
{
    *broken = in->failed;
    if (in->len < PACKET_HEADER)
        return NULL;
    *len = PACKET_HEADER + load_u24(in->data);
    *broken = *broken || *len > LOGIN_PACKET_MAX;
    return *len <= in->len ? in->data : NULL;
}

static void login_done(struct session *s)
{
    struct login *login = s->login;

    /* Bytes beyond the login: the client may have sent its first command already. */
    if (login->compression) {
        struct codec *codec = codec_create(
            login->compression == CAP_COMPRESS ? CODEC_ZLIB : CODEC_ZSTD, login->zstd_level);

        if (!stream_set_codec(&s->client, codec, login->client_in.data, login->client_in.len)) {
            session_close(s, CLOSE_CLIENT_PROTOCOL);
            return;
        }
    } else {
        buffer_bytes(&s->input, login->client_in.data, login->client_in.len);
    }
    login_end(s);
    metrics_add(&s->worker->metrics.logins, 1);
    s->of_vtgate =
        &s->worker->metrics.vtgates[vtgates_index(s->worker->server->vtgates, s->vtgate)];
    if (s->commands == 0) /* else it changes its user */
        histogram_note(&s->worker->metrics.logins_took, (clock_ms() - s->connected_ms) * 1000);
    log_debug("login", "session:u peer:s user:s vtgate:s tls:s", s->id, s->peer, s->user,
              vtgate_name(s->vtgate), s->client.ssl ? SSL_get_version(s->client.ssl) : "off");
    session_set_state(s, SESSION_IDLE);
    s->since_ms = clock_ms();
    s->status = STATUS_AUTOCOMMIT;
    stream_resume(&s->backend);
    stream_resume(&s->client);
    if (s->inner)
        s->inner->ready(s, s->inner->arg);
    else
        query_continue(s);
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
        if (login_is_cleartext(plugin) && login_refuse_cleartext(s))
            return;
        if (login->bridge) {
            login_answer_for_client(s, plugin, data);
            return;
        }
    }
    /* caching_sha2_password's "full authentication": over TLS or a unix socket the client answers
       in the clear. */
    if (first == 0x01 && n == 2 && payload[1] == 4 && (s->client.ssl || s->client_is_local) &&
        login_refuse_cleartext(s))
        return;
    if (first == 0x00 && !s->inner && !session_count_user(s)) {
        session_send_error(s, login->client_next, SHIM_ERROR_TOO_MANY_OF_USER, s->user);
        login_refuse(s, CLOSE_LIMIT);
        return;
    }
    if (first == 0xff) {
        login_pass_refusal(s, packet, len);
        return;
    }
    if (!login_pass_to_client(s, packet, len))
        return;
    if (first == 0x00) {
        login_done(s);
    } else if (first != 0x01 || n != 2 || payload[1] != 3) {
        /* Anything but caching_sha2_password's "fast_auth_success" wants an answer. */
        login->client_turn = true;
        stream_resume(&s->client);
    }
}

static void from_backend(struct session *s)
{
    struct login *login = s->login;
    bool broken;
    size_t len;

    for (;;) {
        uint8_t *packet = login_whole_packet(&login->backend_in, &len, &broken);

        if (broken && login->stage == LOGIN_GREETING) {
            login_vtgate_failed(s, EPROTO); /* that is no vtgate: the next one may be */
        } else if (broken) {
            session_send_error(s, login->client_next, SHIM_ERROR_VTGATE_LOST);
            login_refuse(s, CLOSE_VTGATE_PROTOCOL);
        }
        if (broken || !packet)
            return;
        if (login->stage == LOGIN_GREETING) {
            login_greeted(s, packet, len);
        } else {
            login->backend_next = (uint8_t)(packet[3] + 1);
            on_exchange(s, packet, len);
        }
        if (s->login != login)
            return;
        buffer_consume(&login->backend_in, len);
    }
}

static void login_read_backend(struct session *s)
{
    ssize_t n = stream_read(&s->backend, s->worker->scratch, WORKER_SCRATCH);

    if (n < 0) {
        login_backend_lost(s, n == -2 && !s->backend.ssl ? errno : ECONNRESET);
    } else if (n > 0) {
        if (s->login->stage == LOGIN_CONNECTING)
            s->login->stage = LOGIN_GREETING;
        buffer_bytes(&s->login->backend_in, s->worker->scratch, (size_t)n);
        from_backend(s);
    }
}

static void client_event(struct session *s, enum stream_event what)
{
    if (what == STREAM_READABLE && s->login->stage == LOGIN_PROXY) {
        login_read_proxy_header(s);
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
            login_connected(s);
    } else if (what == STREAM_TLS_READY) {
        login_send_response(s);
    } else if (s->login->stage == LOGIN_BACKEND_TLS) {
        char reason[160];

        tls_last_error(reason, sizeof(reason));
        log_warn("vtgate_tls_failed", "session:u vtgate:s error:s", s->id, vtgate_name(s->vtgate),
                 reason);
        session_send_error(s, s->login->client_next, SHIM_ERROR_NO_VTGATE, vtgate_name(s->vtgate),
                           "TLS with vtgate failed");
        login_refuse(s, CLOSE_VTGATE_ERROR);
    } else {
        login_backend_lost(s, ECONNRESET);
    }
}
