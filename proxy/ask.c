/*
 * The shim's own questions.
 */
#include "proxy/ask.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "planner/ddl.h"
#include "proxy/memory.h"
#include "proxy/server.h"
#include "proxy/session.h"

/* For an answer of all shards, of which one may be without a primary for a while, or cutting over;
   less than the keeper waits until its next scan. */
#define LATE_MS 20000

struct ask {
    struct buffer bytes;
    int64_t began_ms;
    ask_callback *done;
};

void ask_start(struct session *s, const char *sql, size_t len, ask_callback *done)
{
    struct ask *ask = s->ask = memory_zalloc(sizeof(*ask));
    struct buffer packet;

    buffer_init(&ask->bytes, ASK_MAX);
    ask->done = done;
    ask->began_ms = clock_ms();
    buffer_init(&packet, len + 64);
    size_t mark = packet_begin(&packet);

    buffer_u8(&packet, COM_QUERY);
    buffer_bytes(&packet, sql, len);
    packet_end(&packet, mark, 0);
    response_init(&s->response, SHAPE_RESULT, s->capabilities & CAP_DEPRECATE_EOF);
    session_set_state(s, SESSION_ASKING);
    if (packet.failed)
        session_close(s, CLOSE_CLIENT_PROTOCOL); /* 16 MiB of DDL in one packet: refused before */
    else
        session_send_backend(s, packet.data, packet.len);
    buffer_release(&packet);
}

void ask_feed(struct session *s, const uint8_t *data, size_t len)
{
    struct ask *ask = s->ask;
    size_t used = response_feed(&s->response, data, len);
    struct answer answer;

    buffer_bytes(&ask->bytes, data, used);
    if (s->response.state == RESPONSE_BROKEN || s->response.state == RESPONSE_INFILE) {
        session_finish(s, CLOSE_VTGATE_PROTOCOL);
        return;
    }
    if (s->response.state != RESPONSE_DONE)
        return;
    if (s->response.status_valid)
        query_note_status(s, s->response.status);
    s->ask = NULL; /* the callback may ask again */
    bool ok = !ask->bytes.failed && answer_parse(&answer, ask->bytes.data, ask->bytes.len,
                                                 s->capabilities & CAP_DEPRECATE_EOF);

    ask->done(s, ok ? &answer : NULL);
    buffer_release(&ask->bytes);
    free(ask);
}

bool ask_is_late(const struct session *s, int64_t now_ms)
{
    return s->ask && now_ms - s->ask->began_ms > LATE_MS;
}

void ask_forget(struct session *s)
{
    if (!s->ask)
        return;
    buffer_release(&s->ask->bytes);
    free(s->ask);
    s->ask = NULL;
}

void ask_format(struct session *s, ask_callback *done, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    char *sql = memory_vformat(format, args);

    va_end(args);
    ask_start(s, sql, strlen(sql), done);
    free(sql);
}

void ask_use(struct session *s, const char *target, ask_callback *done)
{
    size_t size = (target ? 2 * strlen(target) : 0) + sizeof("USE ``") + 4;
    char *sql = memory_zalloc(size);

    ddl_use(sql, size, target);
    ask_start(s, sql, strlen(sql), done);
    free(sql);
}
