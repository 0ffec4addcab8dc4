/*
 * One end of a session: a non-blocking socket, TLS or not, what is watched of it and the bytes that
 * it did not take yet. Everything above reads and writes plain bytes.
 *
 * A stream is embedded in its owner and used by the thread of its loop only.
 */
#ifndef VTSHIM_PROXY_STREAM_H
#define VTSHIM_PROXY_STREAM_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "protocol/bytes.h"
#include "proxy/loop.h"

enum stream_event {
    STREAM_READABLE,  /* bytes, the end, or an error can be read */
    STREAM_DRAINED,   /* all that waited for the socket is sent */
    STREAM_TLS_READY, /* the TLS handshake is done */
    STREAM_FAILED     /* the socket or its TLS failed while writing or shaking hands */
};

struct codec;
struct stream;
typedef void stream_callback(struct stream *st, enum stream_event what, void *arg);

struct stream {
    int fd; /* -1: closed or not opened yet */
    bool reading;
    bool handshaking;
    bool failed;
    uint32_t taken;      /* how often the socket took some of what waited; it wraps */
    SSL *ssl;            /* NULL without TLS */
    struct codec *codec; /* NULL without compression */
    struct buffer out;
    size_t out_sent; /* how much of `out` the socket already took */
    stream_callback *callback;
    void *arg;
    struct loop_watch watch;
};

/* No socket yet: stream_close is allowed. */
void stream_init(struct stream *st);

/* Takes over fd (non-blocking). Reading starts paused. */
void stream_open(struct stream *st, struct loop *loop, int fd, stream_callback *callback,
                 void *arg);

/* Waits for a connect in progress: STREAM_DRAINED when it is through, STREAM_FAILED else. */
void stream_wait_connected(struct stream *st);

/* Ends TLS politely where that takes no wait, closes the socket, drops what was not sent. No
 * callback comes afterwards. Idempotent. */
void stream_close(struct stream *st);

/* STREAM_READABLE callbacks on or off. */
void stream_resume(struct stream *st);
void stream_pause(struct stream *st);

/* Bytes read, 0 when none are there now, -1 at the end of the stream, -2 on an error. */
ssize_t stream_read(struct stream *st, void *into, size_t size);

/* Whether TLS or the codec holds bytes that no readiness of the socket will announce. */
bool stream_has_pending(const struct stream *st);

/*
 * Sends what the socket takes now and keeps the rest (copied). False when the stream failed or the
 * rest would pass the bound of STREAM_OUT_MAX. Callers stop reading the other side while
 * stream_backlog() > 0, so that the rest stays small.
 */
bool stream_send(struct stream *st, const void *data, size_t len);

/* How many bytes wait for the socket. */
size_t stream_backlog(const struct stream *st);

/* Starts TLS: as the server (accept) or the client. Takes over ssl. STREAM_TLS_READY follows. */
void stream_start_tls(struct stream *st, SSL *ssl, bool accept);

/* From now on both directions are compressed. Takes over codec; raw[0..len) was read already.
   False: those bytes are no frames. */
bool stream_set_codec(struct stream *st, struct codec *codec, const void *raw, size_t len);

#define STREAM_OUT_MAX (256u << 20) /* bytes; only ever reached by a bug: see stream_send */

#endif
