/*
 * The beginning of a login, up to the TLS handshake: greeting, SSLRequest, handshake. ("Connection
 * Phase" in the MySQL Source Code Documentation.)
 */
#include "proxy/vtgate_probe.h"

#include <errno.h>
#include <openssl/err.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "protocol/handshake.h"
#include "proxy/server.h"
#include "proxy/tls.h"
#include "proxy/vtgates.h"

#define GREETING_MAX 4096
#define CHARSET      45 /* utf8mb4_general_ci, as any other would do */

/* A connection and when its time is up. */
struct probe {
    int fd;
    int64_t until_ms;
};

static bool wait_for(const struct probe *p, short events)
{
    struct pollfd fd = {.fd = p->fd, .events = events};
    int64_t left = p->until_ms - clock_ms();

    return left > 0 && poll(&fd, 1, (int)left) == 1;
}

/* Exactly len bytes: what follows belongs to TLS. */
static bool read_exactly(const struct probe *p, uint8_t *data, size_t len)
{
    while (len > 0) {
        ssize_t n = wait_for(p, POLLIN) ? recv(p->fd, data, len, 0) : -1;

        if (n <= 0)
            return false;
        data += n;
        len -= (size_t)n;
    }
    return true;
}

static bool read_greeting(const struct probe *p, uint32_t *capabilities)
{
    uint8_t header[PACKET_HEADER], payload[GREETING_MAX];
    struct greeting g;

    if (!read_exactly(p, header, sizeof(header)))
        return false;
    size_t len = load_u24(header);

    if (len > sizeof(payload) || !read_exactly(p, payload, len) ||
        !greeting_parse(payload, len, &g))
        return false;
    *capabilities = g.capabilities;
    return true;
}

static bool request_tls(const struct probe *p)
{
    struct buffer out;

    buffer_init(&out, PACKET_HEADER + SSL_REQUEST_LENGTH);
    size_t mark = packet_begin(&out);

    buffer_u32(&out, CAP_PROTOCOL_41 | CAP_SECURE_CONNECTION | CAP_PLUGIN_AUTH | CAP_SSL);
    buffer_u32(&out, PACKET_MAX_PAYLOAD);
    buffer_u8(&out, CHARSET);
    buffer_zeros(&out, SSL_REQUEST_LENGTH - 9);
    packet_end(&out, mark, 1);
    /* Never more than what an empty socket takes at once. */
    bool ok = !out.failed && send(p->fd, out.data, out.len, MSG_NOSIGNAL) == (ssize_t)out.len;

    buffer_release(&out);
    return ok;
}

static bool shake_hands(const struct probe *p, SSL *ssl)
{
    if (SSL_set_fd(ssl, p->fd) != 1)
        return false;
    for (;;) {
        ERR_clear_error();
        int rc = SSL_connect(ssl);

        if (rc == 1)
            return true;
        switch (SSL_get_error(ssl, rc)) {
        case SSL_ERROR_WANT_READ:
            if (!wait_for(p, POLLIN))
                return false;
            break;
        case SSL_ERROR_WANT_WRITE:
            if (!wait_for(p, POLLOUT))
                return false;
            break;
        default:
            return false;
        }
    }
}

static bool take_fingerprint(const SSL *ssl, const EVP_MD *digest,
                             char fingerprint[FINGERPRINT_SIZE])
{
    X509 *certificate = SSL_get1_peer_certificate(ssl);
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    bool ok = certificate && X509_digest(certificate, digest, bytes, &n) == 1;

    X509_free(certificate);
    for (unsigned i = 0; i < n; i++)
        snprintf(fingerprint + (size_t)2 * i, 3, "%02X", bytes[i]);
    return ok;
}

static bool start_tls(const struct server *server, const struct vtgate *v, const struct probe *p,
                      const EVP_MD *digest, char fingerprint[FINGERPRINT_SIZE])
{
    SSL *ssl = tls_new_client(server->tls, vtgate_endpoint(v)->host);
    bool ok = ssl && shake_hands(p, ssl) && take_fingerprint(ssl, digest, fingerprint);

    SSL_free(ssl);
    return ok;
}

bool vtgate_probe(const struct server *server, struct vtgate *v, const EVP_MD *digest,
                  char fingerprint[FINGERPRINT_SIZE])
{
    int error;
    uint32_t capabilities;
    struct probe p = {.fd = vtgate_connect(v, &error),
                      .until_ms = clock_ms() + server->config->timeouts_connect_ms};

    if (p.fd < 0)
        return false;
    bool ok = wait_for(&p, POLLOUT) && read_greeting(&p, &capabilities) && capabilities & CAP_SSL &&
              request_tls(&p) && start_tls(server, v, &p, digest, fingerprint);

    close(p.fd);
    return ok;
}
