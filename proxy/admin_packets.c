/*
 * Answers of commands as packets of MySQL's protocol. A client that has gone away meanwhile is
 * freed here, at the end of its command.
 */
#include <event2/event.h>
#include <stdlib.h>

#include "protocol/reply.h"
#include "proxy/admin_internal.h"
#include "proxy/admin_sink.h"

#define ADMIN_REPLY_MAX   (64u << 20)
#define STREAM_SLOW_BYTES (64u << 10)

static struct admin_client *client_of(const struct admin_request *rq)
{
    return rq->sink_arg;
}

static void send_ok(struct admin_request *rq, uint64_t affected, const char *info)
{
    struct admin_client *c = client_of(rq);
    struct buffer out;

    buffer_init(&out, ADMIN_REPLY_MAX);
    reply_ok(&out, c->sequence, c->capabilities, STATUS_AUTOCOMMIT, affected, 0, info);
    admin_client_write(c, &out);
}

static void send_error(struct admin_request *rq, uint16_t code, const char *state, const char *text)
{
    struct buffer out;

    buffer_init(&out, ADMIN_REPLY_MAX);
    reply_error(&out, client_of(rq)->sequence, code, state, text);
    admin_client_write(client_of(rq), &out);
}

static void add_row(struct admin_request *rq, struct buffer *out, const char *const *values,
                    size_t columns)
{
    if (rq->binary)
        reply_binary_row(out, &client_of(rq)->sequence, values, columns);
    else
        reply_row(out, &client_of(rq)->sequence, values, columns);
}

static bool send_table(struct admin_request *rq, const struct admin_table *t)
{
    struct admin_client *c = client_of(rq);
    uint8_t first = c->sequence;
    struct buffer out;

    buffer_init(&out, ADMIN_REPLY_MAX);
    reply_columns(&out, &c->sequence, c->capabilities, STATUS_AUTOCOMMIT,
                  (const char *const *)t->names, t->columns);
    for (size_t i = 0; i < t->rows; i++)
        add_row(rq, &out, (const char *const *)t->values + i * t->columns, t->columns);
    reply_rows_end(&out, &c->sequence, c->capabilities, STATUS_AUTOCOMMIT);
    bool fits = !out.failed;

    if (fits) {
        admin_client_write(c, &out);
    } else {
        buffer_release(&out);
        c->sequence = first;
    }
    return fits;
}

/* The client may send its next command. */
static void end(struct admin_request *rq)
{
    struct admin_client *c = client_of(rq);

    c->interrupt = NULL;
    c->waits = false;
    c->state = ADMIN_READY;
    if (c->gone)
        admin_client_free(c);
    else
        admin_client_read_on(c);
}

/* --- row by row ------------------------------------------------------------------------------ */

static void set_interrupt(struct admin_client *c, admin_interrupt *interrupt, void *arg)
{
    c->interrupt = interrupt;
    c->interrupt_arg = arg;
    /* Nothing more is acted upon, but a client that leaves is to be noticed. */
    if (c->bev)
        bufferevent_enable(c->bev, EV_READ);
}

static void wait_begin(struct admin_request *rq, admin_interrupt *interrupt, void *arg)
{
    client_of(rq)->waits = true;
    set_interrupt(client_of(rq), interrupt, arg);
}

static void stream_begin(struct admin_request *rq, const char *const *names, size_t columns,
                         admin_interrupt *interrupt, void *arg)
{
    struct admin_client *c = client_of(rq);
    struct buffer out;

    buffer_init(&out, ADMIN_REPLY_MAX);
    reply_columns(&out, &c->sequence, c->capabilities, STATUS_AUTOCOMMIT, names, columns);
    admin_client_write(c, &out);
    set_interrupt(c, interrupt, arg);
}

static void stream_row(struct admin_request *rq, const char *const *values, size_t columns)
{
    struct buffer out;

    buffer_init(&out, ADMIN_REPLY_MAX);
    add_row(rq, &out, values, columns);
    admin_client_write(client_of(rq), &out);
}

static void stream_end(struct admin_request *rq)
{
    struct admin_client *c = client_of(rq);
    struct buffer out;

    buffer_init(&out, 64);
    reply_rows_end(&out, &c->sequence, c->capabilities, STATUS_AUTOCOMMIT);
    admin_client_write(c, &out);
}

static bool stream_is_gone(const struct admin_request *rq)
{
    return client_of(rq)->gone;
}

static bool stream_is_slow(const struct admin_request *rq)
{
    return !client_of(rq)->gone && admin_client_backlog(client_of(rq)) > STREAM_SLOW_BYTES;
}

const struct admin_sink ADMIN_PACKETS = {.ok = send_ok,
                                         .error = send_error,
                                         .table = send_table,
                                         .end = end,
                                         .wait = wait_begin,
                                         .stream_begin = stream_begin,
                                         .stream_row = stream_row,
                                         .stream_end = stream_end,
                                         .stream_is_gone = stream_is_gone,
                                         .stream_is_slow = stream_is_slow};

/* --- answers of other commands than COM_QUERY ------------------------------------------------ */

static void send_nothing(struct admin_request *rq, uint64_t affected, const char *info)
{
    (void)rq;
    (void)affected;
    (void)info;
}

/* What is in out, which it releases, is the whole answer. */
static void reply_packets(struct admin_request *rq, struct buffer *out)
{
    static const struct admin_sink NOTHING_MORE = {.ok = send_nothing, .end = end};

    admin_client_write(client_of(rq), out);
    rq->sink = &NOTHING_MORE;
    admin_reply_ok(rq, 0, NULL);
}

void admin_reply_eof(struct admin_request *rq)
{
    struct buffer out;

    buffer_init(&out, 64);
    reply_eof(&out, client_of(rq)->sequence, STATUS_AUTOCOMMIT);
    reply_packets(rq, &out);
}

void admin_reply_nothing(struct admin_request *rq)
{
    struct buffer out;

    buffer_init(&out, 64);
    reply_packets(rq, &out);
}

void admin_reply_prepared(struct admin_request *rq, uint32_t id, unsigned params)
{
    struct admin_client *c = client_of(rq);
    struct buffer out;

    buffer_init(&out, ADMIN_REPLY_MAX);
    reply_prepared(&out, &c->sequence, c->capabilities, STATUS_AUTOCOMMIT, id, params);
    reply_packets(rq, &out);
}
