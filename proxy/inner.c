/*
 * The shim as a client of vtgate: the login of its own sessions. The password is read from the
 * settings when vtgate's greeting has come, and kept only by the bridge, which wipes it.
 */
#include "proxy/inner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/bridge.h"
#include "proxy/login_internal.h"
#include "proxy/memory.h"
#include "proxy/server.h"
#include "proxy/worker.h"

/* What the shim asks for; no database: questions name their keyspace. */
#define INNER_CAPABILITIES                                                                         \
    (CAP_LONG_PASSWORD | CAP_PROTOCOL_41 | CAP_TRANSACTIONS | CAP_SECURE_CONNECTION |              \
     CAP_PLUGIN_AUTH | CAP_DEPRECATE_EOF)
#define INNER_MAX_PACKET (1u << 24)
#define UTF8MB4          255 /* utf8mb4_0900_ai_ci */

void inner_start(struct worker *w, const struct inner *inner)
{
    struct session *s = session_create_inner(w);

    s->inner = memory_zalloc(sizeof(*s->inner));
    *s->inner = *inner;
    login_begin_inner(s);
}

void inner_greeted(struct session *s)
{
    const struct config *c = s->worker->server->config;
    struct login *login = s->login;
    struct handshake_response hr = {
        .capabilities = INNER_CAPABILITIES,
        .max_packet = INNER_MAX_PACKET,
        .charset = UTF8MB4,
        .user = {(const uint8_t *)c->control_user, strlen(c->control_user)},
    };

    s->capabilities = hr.capabilities & login->greeting.capabilities;
    s->user = memory_copy(c->control_user, strlen(c->control_user));
    login->bridge = bridge_create_inner(&hr, login->greeting.salt, c->control_password);
    size_t mark = packet_begin(&login->client_in);

    bridge_response(login->bridge, &login->client_in);
    packet_end(&login->client_in, mark, 1);
    login_go_on(s);
}

void inner_end(struct session *s)
{
    struct inner *inner = s->inner;

    if (!inner)
        return;
    s->inner = NULL;
    inner->ended(s, inner->arg);
    free(inner);
}
