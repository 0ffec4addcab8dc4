/*
 * Sockets, TLS and compression behind one face. Invariant: `out` holds bytes only while write_event
 * is pending.
 */
#include "proxy/stream.h"

#include <errno.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/codec.h"

void stream_init(struct stream *st)
{
    memset(st, 0, sizeof(*st));
    st->fd = -1;
    buffer_init(&st->out, STREAM_OUT_MAX);
}

static void stream_fail(struct stream *st)
{
    if (st->failed)
        return;
    st->failed = true;
    event_del(&st->write_event);
    st->callback(st, STREAM_FAILED, st->arg);
}

static void stream_handshake(struct stream *st)
{
    ERR_clear_error();
    int rc = SSL_do_handshake(st->ssl);

    if (rc == 1) {
        st->handshaking = false;
        if (!st->reading)
            event_del(&st->read_event);
        st->callback(st, STREAM_TLS_READY, st->arg);
        return;
    }
    switch (SSL_get_error(st->ssl, rc)) {
    case SSL_ERROR_WANT_READ:
        break;
    case SSL_ERROR_WANT_WRITE:
        event_add(&st->write_event, NULL);
        break;
    default:
        stream_fail(st);
    }
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct stream *st = arg;

    (void)fd;
    (void)what;
    if (st->handshaking)
        stream_handshake(st);
    else
        st->callback(st, STREAM_READABLE, st->arg);
}

/* One try: bytes taken, 0 when the socket is full, -2 on an error. */
static ssize_t stream_write_some(struct stream *st, const uint8_t *data, size_t len)
{
    if (!st->ssl) {
        ssize_t n = send(st->fd, data, len, MSG_NOSIGNAL);

        if (n >= 0)
            return n;
        return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -2;
    }
    ERR_clear_error();
    int n = SSL_write(st->ssl, data, len > INT32_MAX ? INT32_MAX : (int)len);

    if (n > 0)
        return n;
    /* Never WANT_READ: renegotiation is off, and TLS 1.3's key updates do not wait for the peer. */
    return SSL_get_error(st->ssl, n) == SSL_ERROR_WANT_WRITE ? 0 : -2;
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct stream *st = arg;

    (void)fd;
    (void)what;
    if (st->handshaking) {
        stream_handshake(st);
        return;
    }
    if (st->out.len > 0) {
        ssize_t n = stream_write_some(st, st->out.data + st->out_sent, stream_backlog(st));

        if (n < 0) {
            stream_fail(st);
            return;
        }
        st->out_sent += (size_t)n;
        if (stream_backlog(st) > 0) {
            event_add(&st->write_event, NULL);
            return;
        }
        buffer_release(&st->out);
        st->out_sent = 0;
    }
    st->callback(st, STREAM_DRAINED, st->arg);
}

void stream_open(struct stream *st, struct event_base *base, evutil_socket_t fd,
                 stream_callback *callback, void *arg)
{
    st->fd = fd;
    st->callback = callback;
    st->arg = arg;
    event_assign(&st->read_event, base, fd, EV_READ | EV_PERSIST, on_readable, st);
    event_assign(&st->write_event, base, fd, EV_WRITE, on_writable, st);
}

void stream_wait_connected(struct stream *st)
{
    event_add(&st->write_event, NULL);
}

void stream_close(struct stream *st)
{
    if (st->fd < 0)
        return;
    event_del(&st->read_event);
    event_del(&st->write_event);
    if (st->ssl) {
        if (!st->failed && !st->handshaking)
            SSL_shutdown(st->ssl);
        ERR_clear_error();
        SSL_free(st->ssl);
        st->ssl = NULL;
    }
    codec_destroy(st->codec);
    st->codec = NULL;
    close(st->fd);
    st->fd = -1;
    st->reading = false;
    buffer_release(&st->out);
    st->out_sent = 0;
}

bool stream_has_pending(const struct stream *st)
{
    return (st->codec && codec_is_ready(st->codec)) || (st->ssl && SSL_has_pending(st->ssl));
}

void stream_resume(struct stream *st)
{
    if (st->reading || st->fd < 0)
        return;
    st->reading = true;
    event_add(&st->read_event, NULL);
    if (stream_has_pending(st))
        event_active(&st->read_event, EV_READ, 1);
}

void stream_pause(struct stream *st)
{
    if (!st->reading)
        return;
    st->reading = false;
    if (!st->handshaking)
        event_del(&st->read_event);
}

static ssize_t raw_read(struct stream *st, void *into, size_t size)
{
    if (!st->ssl) {
        ssize_t n = recv(st->fd, into, size, 0);

        if (n > 0)
            return n;
        if (n == 0)
            return -1;
        return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -2;
    }
    /* SSL_read gives one record at a time: fill the buffer, so that one send follows. */
    size_t got = 0;

    while (got < size) {
        ERR_clear_error();
        int n = SSL_read(st->ssl, (uint8_t *)into + got, (int)(size - got));

        if (n > 0) {
            got += (size_t)n;
            continue;
        }
        if (got > 0)
            break; /* what is wrong now is wrong at the next call, too */
        switch (SSL_get_error(st->ssl, n)) {
        case SSL_ERROR_WANT_READ:
        case SSL_ERROR_WANT_WRITE:
            return 0;
        case SSL_ERROR_ZERO_RETURN:
            return -1;
        default:
            return -2;
        }
    }
    /* What the socket will not announce: bytes in OpenSSL, or an end that was read with them. */
    if (st->reading &&
        (stream_has_pending(st) || SSL_get_shutdown(st->ssl) & SSL_RECEIVED_SHUTDOWN))
        event_active(&st->read_event, EV_READ, 1);
    return (ssize_t)got;
}

/* Unpacked bytes; `into` serves for the packed ones first. */
static ssize_t unpacked_read(struct stream *st, void *into, size_t size)
{
    size_t given;

    if (!codec_is_ready(st->codec)) {
        ssize_t n = raw_read(st, into, size);

        if (n <= 0)
            return n;
        if (!codec_take(st->codec, into, (size_t)n))
            return -2;
    }
    if (!codec_give(st->codec, into, size, &given))
        return -2;
    if (st->reading && stream_has_pending(st))
        event_active(&st->read_event, EV_READ, 1);
    return (ssize_t)given;
}

ssize_t stream_read(struct stream *st, void *into, size_t size)
{
    return st->codec ? unpacked_read(st, into, size) : raw_read(st, into, size);
}

bool stream_set_codec(struct stream *st, struct codec *codec, const void *raw, size_t len)
{
    st->codec = codec;
    if (!codec_take(codec, raw, len))
        return false;
    if (codec_is_ready(codec))
        event_active(&st->read_event, EV_READ, 1);
    return true;
}

static bool raw_send(struct stream *st, const void *data, size_t len);

bool stream_send(struct stream *st, const void *data, size_t len)
{
    struct buffer frames;

    if (!st->codec || len == 0)
        return raw_send(st, data, len);
    buffer_init(&frames, STREAM_OUT_MAX);
    codec_pack(st->codec, data, len, &frames);
    bool sent = !frames.failed && raw_send(st, frames.data, frames.len);

    buffer_release(&frames);
    return sent;
}

static bool raw_send(struct stream *st, const void *data, size_t len)
{
    const uint8_t *p = data;

    if (st->fd < 0 || st->failed)
        return false;
    if (st->out.len == 0) {
        while (len > 0) {
            ssize_t n = stream_write_some(st, p, len);

            if (n < 0) {
                st->failed = true;
                return false;
            }
            if (n == 0)
                break;
            p += n;
            len -= (size_t)n;
            if (!st->ssl)
                break; /* a short send means a full socket: no second system call */
        }
        if (len == 0)
            return true;
        event_add(&st->write_event, NULL);
    }
    if (st->out_sent > st->out.len / 2) {
        buffer_consume(&st->out, st->out_sent);
        st->out_sent = 0;
    }
    buffer_bytes(&st->out, p, len);
    return !st->out.failed;
}

size_t stream_backlog(const struct stream *st)
{
    return st->out.len - st->out_sent;
}

void stream_start_tls(struct stream *st, SSL *ssl, bool accept)
{
    st->ssl = ssl;
    st->handshaking = true;
    SSL_set_fd(ssl, st->fd);
    if (accept)
        SSL_set_accept_state(ssl);
    else
        SSL_set_connect_state(ssl);
    event_add(&st->read_event, NULL);
    stream_handshake(st);
}
