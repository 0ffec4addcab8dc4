/*
 * What vtgate does not do and the shim does.
 */
#include "proxy/fallback.h"
#include "proxy/effect.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/memory.h"
#include "proxy/server.h"
#include "proxy/session.h"
#include "proxy/worker.h"

#define UNKNOWN_COMMAND 1047 /* ER_UNKNOWN_COM_ERROR */

struct fallback {
    struct buffer packet; /* of the client; it may hold an answer to a challenge */
    struct buffer answer; /* of vtgate, until it is known what it is */
};

void fallback_forget(struct session *s)
{
    if (!s->fallback)
        return;
    buffer_wipe(&s->fallback->packet);
    buffer_release(&s->fallback->answer);
    free(s->fallback);
    s->fallback = NULL;
}

void fallback_expect(struct session *s, const uint8_t *packet, size_t len)
{
    if ((s->command != COM_CHANGE_USER && s->command != COM_STATISTICS) ||
        len > FALLBACK_PACKET_MAX || s->state != SESSION_RESPONSE)
        return;
    s->fallback = memory_zalloc(sizeof(*s->fallback));
    buffer_init(&s->fallback->packet, FALLBACK_PACKET_MAX);
    buffer_init(&s->fallback->answer, WORKER_SCRATCH + PACKET_HEADER + 3);
    buffer_bytes(&s->fallback->packet, packet, len);
}

/* As MySQL's own: one packet of text. ("COM_STATISTICS") */
static void answer_statistics(struct session *s)
{
    const struct server *server = s->worker->server;
    int64_t uptime = (clock_ms() - server->started_ms) / 1000;
    uint64_t questions = 0;
    struct buffer out;
    char text[256];

    for (unsigned i = 0; i < server->worker_count; i++)
        questions += metrics_get(&server->workers[i].metrics.commands);
    int n = snprintf(text, sizeof(text),
                     "Uptime: %" PRId64 "  Threads: %" PRIu64 "  Questions: %" PRIu64
                     "  Slow queries: 0  Opens: 0  Flush tables: 0  Open tables: 0"
                     "  Queries per second avg: %.3f",
                     uptime, atomic_load(&server->sessions), questions,
                     (double)questions / (double)(uptime > 0 ? uptime : 1));

    buffer_init(&out, sizeof(text) + PACKET_HEADER);
    packet_append(&out, (uint8_t)(s->fallback->packet.data[3] + 1), text, (size_t)n);
    fallback_forget(s);
    if (session_send_client(s, out.data, out.len))
        query_next(s);
    buffer_release(&out);
}

static void change_user(struct session *s)
{
    struct buffer packet = s->fallback->packet; /* moved */
    struct handshake_response hr;

    buffer_init(&s->fallback->packet, 0);
    fallback_forget(s);
    uint8_t sequence = (uint8_t)(packet.data[3] + 1);

    if (change_user_parse(packet.data + PACKET_HEADER + 1, packet.len - PACKET_HEADER - 1,
                          s->capabilities, &hr)) {
        login_change_user(s, &hr, sequence);
    } else if (session_send_error(s, sequence, SHIM_ERROR_HANDSHAKE)) {
        session_finish(s, CLOSE_CLIENT_PROTOCOL);
    }
    buffer_wipe(&packet);
}

/* Where the shim cannot do better, vtgate's refusal stands and the session lives on. */
static bool can_help(const struct session *s)
{
    return s->command == COM_STATISTICS || !s->keeps_first_salt || s->client.ssl ||
           s->client_is_local;
}

void fallback_feed(struct session *s, const uint8_t *data, size_t len)
{
    struct buffer *answer = &s->fallback->answer;

    buffer_bytes(answer, data, len);
    if (!answer->failed && answer->len < PACKET_HEADER + 3)
        return; /* not yet: header, 0xff, code */
    bool refused = answer->data[4] == 0xff && load_u16(answer->data + 5) == UNKNOWN_COMMAND;

    if (!refused || !can_help(s)) {
        struct buffer whole = *answer; /* moved */

        buffer_init(answer, 0);
        fallback_forget(s);
        relay_response(s, whole.data, whole.len);
        buffer_release(&whole);
        return;
    }
    if (answer->len < PACKET_HEADER + load_u24(answer->data))
        return; /* vtgate's error has to be read to its end: the connection may go on */
    effect_settle(s, false);
    if (s->command == COM_STATISTICS)
        answer_statistics(s);
    else
        change_user(s);
}
