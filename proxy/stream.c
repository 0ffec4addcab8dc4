/*
 * Sockets, TLS and compression behind one face. Invariants: `out` holds bytes only while EPOLLOUT
 * is watched; while reading, or shaking hands, EPOLLIN is. It stays watched through a pause until
 * something comes: most pauses are over before.
 */
#include "proxy/stream.h"

#include <errno.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/codec.h"
#include "proxy/syscalls.h"

void stream_init(struct stream *st)
{
    memset(st, 0, sizeof(*st));
    st->fd = st->watch.fd = -1;
    buffer_init(&st->out, STREAM_OUT_MAX);
}

static void watch_more(struct stream *st, uint32_t events)
{
    loop_watch_set(&st->watch, st->watch.events | events);
}

static void watch_less(struct stream *st, uint32_t events)
{
    loop_watch_set(&st->watch, st->watch.events & ~events);
}

static void stream_fail(struct stream *st)
{
    if (st->failed)
        return;
    st->failed = true;
    watch_less(st, EPOLLOUT);
    st->callback(st, STREAM_FAILED, st->arg);
}

static void stream_handshake(struct stream *st)
{
    ERR_clear_error();
    int rc = SSL_do_handshake(st->ssl);

    if (rc == 1) {
        st->handshaking = false;
        st->callback(st, STREAM_TLS_READY, st->arg);
        return;
    }
    switch (SSL_get_error(st->ssl, rc)) {
    case SSL_ERROR_WANT_READ:
        break;
    case SSL_ERROR_WANT_WRITE:
        watch_more(st, EPOLLOUT);
        break;
    default:
        stream_fail(st);
    }
}

static void on_readable(struct stream *st)
{
    if (st->handshaking)
        stream_handshake(st);
    else if (st->reading)
        st->callback(st, STREAM_READABLE, st->arg);
    else
        watch_less(st, EPOLLIN);
}

/* The way of a session without TLS and compression, which is every packet's, stands in one piece:
   what else there is is out of line. */

__attribute__((noinline)) static ssize_t tls_write_some(struct stream *st, const uint8_t *data,
                                                        size_t len)
{
    ERR_clear_error();
    int n = SSL_write(st->ssl, data, len > INT32_MAX ? INT32_MAX : (int)len);

    if (n > 0)
        return n;
    /* Never WANT_READ: renegotiation is off, and TLS 1.3's key updates do not wait for the peer. */
    return SSL_get_error(st->ssl, n) == SSL_ERROR_WANT_WRITE ? 0 : -2;
}

/* One try: bytes taken, 0 when the socket is full, -2 on an error. */
static inline ssize_t stream_write_some(struct stream *st, const uint8_t *data, size_t len)
{
    if (st->ssl)
        return tls_write_some(st, data, len);
    ssize_t n = syscall_send(st->fd, data, len);

    if (n >= 0)
        return n;
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -2;
}

static void on_writable(struct stream *st)
{
    if (st->handshaking) {
        watch_less(st, EPOLLOUT);
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
        st->taken += n > 0;
        if (stream_backlog(st) > 0)
            return;
        buffer_release(&st->out);
        st->out_sent = 0;
    }
    loop_watch_set(&st->watch, EPOLLIN); /* after a connect, that is what comes next */
    st->callback(st, STREAM_DRAINED, st->arg);
}

/* One of the two: the callback may close the stream and open it anew. What else is ready now is
   ready in the next turn, too. */
static void on_ready(struct loop_watch *w, uint32_t ready)
{
    if (ready & EPOLLOUT)
        on_writable(w->arg);
    else
        on_readable(w->arg);
}

void stream_open(struct stream *st, struct loop *loop, int fd, stream_callback *callback, void *arg)
{
    st->fd = fd;
    st->callback = callback;
    st->arg = arg;
    loop_watch_init(&st->watch, loop, fd, on_ready, st);
}

void stream_wait_connected(struct stream *st)
{
    watch_more(st, EPOLLOUT);
}

void stream_close(struct stream *st)
{
    if (st->fd < 0)
        return;
    loop_watch_end(&st->watch);
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
    watch_more(st, EPOLLIN);
    if (stream_has_pending(st))
        loop_watch_owe(&st->watch, EPOLLIN);
}

void stream_pause(struct stream *st)
{
    st->reading = false;
}

__attribute__((noinline)) static ssize_t tls_read(struct stream *st, void *into, size_t size)
{
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
        loop_watch_owe(&st->watch, EPOLLIN);
    return (ssize_t)got;
}

static inline ssize_t raw_read(struct stream *st, void *into, size_t size)
{
    if (st->ssl)
        return tls_read(st, into, size);
    ssize_t n = syscall_receive(st->fd, into, size);

    if (n > 0)
        return n;
    if (n == 0)
        return -1;
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -2;
}

/* Unpacked bytes; `into` serves for the packed ones first. */
__attribute__((noinline)) static ssize_t unpacked_read(struct stream *st, void *into, size_t size)
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
        loop_watch_owe(&st->watch, EPOLLIN);
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
        loop_watch_owe(&st->watch, EPOLLIN);
    return true;
}

/* What waits for the socket, from now on together with p[0..len). */
__attribute__((noinline)) static bool keep(struct stream *st, const uint8_t *p, size_t len)
{
    if (st->out_sent > st->out.len / 2) {
        buffer_consume(&st->out, st->out_sent);
        st->out_sent = 0;
    }
    buffer_bytes(&st->out, p, len);
    return !st->out.failed;
}

static inline bool raw_send(struct stream *st, const void *data, size_t len)
{
    const uint8_t *p = data;

    if (st->fd < 0 || st->failed)
        return false;
    if (st->out.len > 0)
        return keep(st, p, len);
    while (len > 0) {
        ssize_t n = stream_write_some(st, p, len);

        if (n < 0) {
            st->failed = true;
            return false;
        }
        p += n;
        len -= (size_t)n;
        if (n == 0 || !st->ssl)
            break; /* a short send means a full socket: no second system call */
    }
    if (len == 0)
        return true;
    watch_more(st, EPOLLOUT);
    return keep(st, p, len);
}

__attribute__((noinline)) static bool packed_send(struct stream *st, const void *data, size_t len)
{
    struct buffer frames;

    if (len == 0)
        return raw_send(st, data, len);
    buffer_init(&frames, STREAM_OUT_MAX);
    codec_pack(st->codec, data, len, &frames);
    bool sent = !frames.failed && raw_send(st, frames.data, frames.len);

    buffer_release(&frames);
    return sent;
}

bool stream_send(struct stream *st, const void *data, size_t len)
{
    return st->codec ? packed_send(st, data, len) : raw_send(st, data, len);
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
    watch_more(st, EPOLLIN);
    stream_handshake(st);
}
