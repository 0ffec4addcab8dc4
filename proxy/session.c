/*
 * Sessions: creation, the dispatch of their streams' events to the phases, backpressure, and the
 * one exit. What a phase does is in its own file.
 */
#include "proxy/session.h"
#include "proxy/effect.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/ask.h"
#include "proxy/control_elsewhere.h"
#include "proxy/fallback.h"
#include "proxy/gate.h"
#include "proxy/inner.h"
#include "proxy/locks.h"
#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/migration.h"
#include "proxy/networks.h"
#include "proxy/notes.h"
#include "proxy/park.h"
#include "proxy/quota.h"
#include "proxy/retry.h"
#include "proxy/script.h"
#include "proxy/server.h"
#include "proxy/session_transition.h"
#include "proxy/statements.h"
#include "proxy/vtgates.h"
#include "proxy/worker.h"

#define QUOTA_KEY_MAX 160
#define FRESH_MS                                                                                   \
    1000 /* a drain leaves a session alone that is no older: it has come for something */

static_assert((int)CLOSE_COUNT <= METRICS_CLOSES, "a counter for each reason");
static_assert((int)SHIM_ERROR_COUNT <= METRICS_ERRORS, "a counter for each error");

const char *session_state_name(enum session_state state)
{
    static const char *const NAMES[] = {
#define X(NAME, text) [SESSION_##NAME] = text,
        SESSION_STATES(X)
#undef X
    };
    return NAMES[state];
}

const char *close_reason_name(enum close_reason reason)
{
    static const char *const NAMES[CLOSE_COUNT] = {
#define CLOSE(NAME, text) [CLOSE_##NAME] = text,
#include "proxy/closes.def"
#undef CLOSE
    };
    return NAMES[reason];
}

void session_set_state(struct session *s, enum session_state state)
{
    s->state = state;
}

void session_balance(struct session *s)
{
    /* Nothing waits anywhere: as it nearly always is. */
    if ((s->client.out.len | s->backend.out.len | s->input.len) == 0 && s->client.reading &&
        s->backend.reading && !s->client_gone)
        return;
    if (s->state == SESSION_DEAD || s->state == SESSION_CLOSING || s->state == SESSION_LOGIN)
        return;

    size_t limit = (size_t)s->worker->server->config->limits_session_buffer_bytes;
    bool busy = s->state != SESSION_IDLE && s->state != SESSION_REQUEST &&
                s->state != SESSION_INFILE && s->state != SESSION_STREAMING;

    if (stream_backlog(&s->backend) >= limit || (busy && s->input.len >= limit) || s->client_gone)
        stream_pause(&s->client);
    else
        stream_resume(&s->client);
    if (stream_backlog(&s->client) >= limit)
        stream_pause(&s->backend);
    else
        stream_resume(&s->backend);
}

static void on_client(struct stream *st, enum stream_event what, void *arg)
{
    struct session *s = arg;

    (void)st;
    if (s->state == SESSION_LOGIN) {
        login_event(s, true, what);
        return;
    }
    switch (what) {
    case STREAM_READABLE:
        query_readable(s);
        break;
    case STREAM_DRAINED:
        if (s->state == SESSION_CLOSING)
            session_close(s, s->closing);
        break;
    case STREAM_TLS_READY:
        break;
    case STREAM_FAILED:
        session_client_gone(s, CLOSE_CLIENT_ERROR);
        break;
    }
    session_balance(s);
}

static void on_backend(struct stream *st, enum stream_event what, void *arg)
{
    struct session *s = arg;

    (void)st;
    if (s->state == SESSION_LOGIN) {
        login_event(s, false, what);
        return;
    }
    if (what == STREAM_READABLE)
        relay_readable(s);
    else if (what == STREAM_FAILED)
        session_finish(s, CLOSE_VTGATE_ERROR);
    session_balance(s);
}

void session_open_backend(struct session *s, int fd)
{
    stream_init(&s->backend);
    stream_open(&s->backend, &s->worker->loop, fd, on_backend, s);
    s->backend_new = true;
}

size_t session_input_max(const struct session *s)
{
    const struct config *c = s->worker->server->config;

    return (size_t)c->limits_max_inspect_bytes + (size_t)c->limits_session_buffer_bytes +
           2 * WORKER_SCRATCH;
}

static struct session *session_alloc(struct worker *w)
{
    struct session *s = memory_zalloc(sizeof(*s));

    s->worker = w;
    s->id = atomic_fetch_add(&w->server->next_session, 1) + 1;
    s->state = SESSION_LOGIN;
    s->connected_ms = s->since_ms = clock_ms();
    stream_init(&s->client);
    stream_init(&s->backend);
    buffer_init(&s->input, session_input_max(s));
    TAILQ_INSERT_TAIL(&w->sessions, s, link);
    metrics_add(&w->metrics.sessions, 1);
    return s;
}

void session_create(struct worker *w, int fd, const struct sockaddr_storage *peer)
{
    struct session *s = session_alloc(w);

    s->client_is_local = peer->ss_family == AF_UNIX;
    address_format(s->peer, sizeof(s->peer), peer);
    stream_open(&s->client, &w->loop, fd, on_client, s);
    login_begin(s, peer);
}

struct session *session_create_inner(struct worker *w)
{
    struct session *s = session_alloc(w);

    atomic_fetch_add(&w->server->sessions, 1);
    s->client_gone = true;
    s->client_is_local = true; /* no password crosses a link to a client */
    snprintf(s->peer, sizeof(s->peer), "inner");
    return s;
}

/* The keys of the quota: "user app", "address 10.0.0.1". */
static void user_key(const struct session *s, char key[QUOTA_KEY_MAX])
{
    snprintf(key, QUOTA_KEY_MAX, "user %s", s->user);
}

static void address_key(const struct session *s, char key[QUOTA_KEY_MAX])
{
    const char *port = strrchr(s->peer, ':');

    snprintf(key, QUOTA_KEY_MAX, "address %.*s", (int)(port ? port - s->peer : 55), s->peer);
}

bool session_count_address(struct session *s)
{
    int64_t limit = s->worker->server->config->limits_max_connections_per_address;
    char key[QUOTA_KEY_MAX];

    address_key(s, key);
    s->counted_address = limit && quota_take(s->worker->server->quota, key, limit);
    return !limit || s->counted_address;
}

bool session_count_user(struct session *s)
{
    int64_t limit = s->worker->server->config->limits_max_connections_per_user;
    char key[QUOTA_KEY_MAX];

    user_key(s, key);
    s->counted_user = limit && quota_take(s->worker->server->quota, key, limit);
    return !limit || s->counted_user;
}

static void session_uncount_user(struct session *s)
{
    char key[QUOTA_KEY_MAX];

    if (s->counted_user) {
        user_key(s, key);
        quota_give(s->worker->server->quota, key);
    }
    s->counted_user = false;
}

static void session_uncount(struct session *s)
{
    char key[QUOTA_KEY_MAX];

    session_uncount_user(s);
    if (s->counted_address) {
        address_key(s, key);
        quota_give(s->worker->server->quota, key);
    }
    s->counted_address = false;
}

void session_forget_resolved(struct session *s)
{
    if (s->resolved) {
        prepared_fini(s->resolved);
        free(s->resolved);
    }
    s->resolved = NULL;
}

void session_leave_vtgate(struct session *s)
{
    query_note_end(s);
    stream_close(&s->backend);
    if (s->vtgate)
        vtgate_release(s->vtgate);
    s->vtgate = NULL;
    session_uncount_user(s);
    statements_destroy(s->statements);
    free(s->user);
    free(s->database);
    free(s->temporary);
    s->statements = NULL;
    s->user = s->database = NULL;
    s->temporary = NULL;
    s->strategy_own = false;
    free(s->touched);
    s->touched = NULL;
    s->status = STATUS_AUTOCOMMIT; /* vtgate has rolled back what was open */
    s->fresh = false;
    s->drained_by = 0;
    session_forget_resolved(s);
    control_elsewhere_forget(s);
    locks_released(s);
    session_transition_forget(s);
}

static void session_forget(struct session *s)
{
    login_end(s);
    park_forget(s);
    retry_forget(s);
    ask_forget(s);
    script_forget(s);
    fallback_forget(s);
    migration_forget(s);
    gate_forget(s);
    notes_clear(s);
    session_transition_forget(s);
    statements_destroy(s->statements);
    s->statements = NULL;
    effect_settle(s, false);
    locks_released(s);
    if (s->vtgate)
        vtgate_release(s->vtgate);
    s->vtgate = NULL;
    session_uncount(s);
    inner_end(s);
}

void session_close(struct session *s, enum close_reason reason)
{
    struct worker *w = s->worker;

    if (s->state == SESSION_DEAD)
        return;
    log_event(reason == CLOSE_CLIENT_QUIT || reason == CLOSE_CLIENT_CLOSED ? LOG_LEVEL_DEBUG
                                                                           : LOG_LEVEL_INFO,
              "session_closed", "session:u peer:s user:s vtgate:s reason:s state:s commands:u",
              s->id, s->peer, s->user, s->vtgate ? vtgate_name(s->vtgate) : NULL,
              close_reason_name(reason), session_state_name(s->state), s->commands);
    if (reason == CLOSE_CLIENT_PROTOCOL || reason == CLOSE_VTGATE_PROTOCOL)
        metrics_add(&w->metrics.protocol_errors, 1);
    metrics_add(&w->metrics.closes[reason], 1);
    query_note_end(s);
    session_forget(s);
    stream_close(&s->client);
    stream_close(&s->backend);
    TAILQ_REMOVE(&w->sessions, s, link);
    metrics_add(&w->metrics.sessions, (uint64_t)-1);
    atomic_fetch_sub(&w->server->sessions, 1);
    session_set_state(s, SESSION_DEAD);
    worker_bury(w, s);
}

void session_client_gone(struct session *s, enum close_reason reason)
{
    if ((s->migration && migration_client_gone(s)) || (s->gate && gate_client_gone(s)))
        return;
    session_close(s, reason);
}

void session_finish(struct session *s, enum close_reason reason)
{
    if (s->state == SESSION_DEAD || s->state == SESSION_CLOSING)
        return;
    if (stream_backlog(&s->client) == 0 || s->client.failed || s->client_gone) {
        session_close(s, reason);
        return;
    }
    session_forget(s);
    stream_close(&s->backend);
    stream_pause(&s->client);
    s->closing = reason;
    s->since_ms = clock_ms();
    session_set_state(s, SESSION_CLOSING);
}

void session_free(struct session *s)
{
    buffer_release(&s->input);
    free(s->user);
    free(s->database);
    free(s->temporary);
    free(s->touched);
    free(s->proxied);
    control_elsewhere_forget(s);
    session_forget_resolved(s);
    free(s);
}

bool session_send_client(struct session *s, const void *data, size_t len)
{
    if (len == 0 || s->client_gone)
        return true;
    if (!stream_send(&s->client, data, len)) {
        session_client_gone(s, CLOSE_CLIENT_ERROR);
        return false;
    }
    return true;
}

bool session_send_backend(struct session *s, const void *data, size_t len)
{
    if (len == 0)
        return true;
    if (!stream_send(&s->backend, data, len)) {
        session_finish(s, CLOSE_VTGATE_ERROR);
        return false;
    }
    return true;
}

void session_count_error(struct session *s, enum shim_error error)
{
    metrics_add(&s->worker->metrics.errors[error], 1);
}

const struct shim_error_row *session_make_error(struct session *s, char *text, size_t size,
                                                enum shim_error error, va_list args)
{
    session_count_error(s, error);
    shim_error_vformat(text, size, error, args);
    return shim_error_row(error);
}

bool session_send_verror(struct session *s, uint8_t sequence, enum shim_error error, va_list args)
{
    struct buffer out;
    char text[768];

    /* Nothing can be said in a TLS handshake. Who ends the session for a reason goes on to do so.
     */
    if (s->client.handshaking)
        return true;
    const struct shim_error_row *row = session_make_error(s, text, sizeof(text), error, args);

    buffer_init(&out, sizeof(text) + 64);
    reply_error(&out, sequence, row->code, row->state, text);
    bool sent = session_send_client(s, out.data, out.len);

    buffer_release(&out);
    return sent;
}

bool session_send_error(struct session *s, uint8_t sequence, enum shim_error error, ...)
{
    va_list args;

    va_start(args, error);
    bool sent = session_send_verror(s, sequence, error, args);

    va_end(args);
    return sent;
}

bool session_at_rest(const struct session *s)
{
    return s->state == SESSION_IDLE && s->input.len == 0 && !(s->status & STATUS_IN_TRANSACTION);
}

bool session_may_drain(const struct session *s)
{
    return session_at_rest(s) && clock_ms() - s->connected_ms > FRESH_MS;
}
