/*
 * A stage by the resident memory, and what each stage does. The sessions are the workers': each
 * names its best candidate, the control loop takes the best of these, and its worker ends it.
 */
#include "proxy/memory_limit.h"

#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/gate.h"
#include "proxy/listener.h"
#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/server.h"
#include "proxy/session.h"
#include "proxy/shapes.h"
#include "proxy/worker.h"

#define LOOK_MS      100  /* while it is tight */
#define TRIM_MS      1000 /* walking through the allocator's free memory is not for each look */
#define BACK_PERCENT 5
#define LARGE        (64u << 10) /* bytes of a session whose end makes a difference */

static const struct {
    const char *name;
    uint64_t percent;
} STAGES[] = {
    [MEMORY_FINE] = {"fine", 0},
    [MEMORY_TIGHT] = {"tight", 80},
    [MEMORY_FULL] = {"full", 90},
    [MEMORY_OVER] = {"over", 100},
};

/* The less, the better; of equals the one with more bytes. */
enum harm {
    HARM_NOTHING_LOST,   /* nothing of it is at work, or open, in Vitess */
    HARM_STATEMENT_LOST, /* a statement's outcome stays unknown to its client */
    HARM_TRANSACTION_LOST,
    HARM_LITTLE_GAINED, /* small: it takes many of them */
    HARM_LITTLE_GAINED_TRANSACTION_LOST,
    HARM_TOO_MUCH, /* never */
};

struct candidate {
    uint64_t id; /* of the session; 0: none */
    enum harm harm;
    size_t bytes;
};

struct memory_limit {
    struct server *server;
    struct event *timer;
    enum memory_stage stage;
    int64_t trimmed_ms;
    bool choosing; /* the workers are being asked */
    bool stopped;  /* but they still are */
    uint64_t refused, ended;
    struct candidate candidates[]; /* one for each worker, which writes it */
};

/* --- measuring ------------------------------------------------------------------------------- */

/* Open all the while: when there are no descriptors left there may be no memory left either. */
uint64_t memory_resident(void)
{
    static int statm = -1;
    unsigned long long size = 0, resident = 0;
    char text[128];

    if (statm < 0)
        statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    ssize_t n = statm < 0 ? -1 : pread(statm, text, sizeof(text) - 1, 0);

    if (n <= 0)
        return 0;
    text[n] = '\0';
    if (sscanf(text, "%llu %llu", &size, &resident) != 2)
        return 0;
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

const char *memory_stage_name(enum memory_stage stage)
{
    return STAGES[stage].name;
}

/* A stage that has begun lasts until there is some room again, so that it does not flutter. */
static enum memory_stage stage_of(uint64_t resident, uint64_t limit, enum memory_stage before)
{
    enum memory_stage stage = MEMORY_FINE;

    for (enum memory_stage s = MEMORY_TIGHT; s <= MEMORY_OVER; s++) {
        uint64_t percent = STAGES[s].percent - (s <= before ? BACK_PERCENT : 0);

        if (limit && resident >= limit / 100 * percent)
            stage = s;
    }
    return stage;
}

/* --- a session to end ------------------------------------------------------------------------ */

/* What is kept for it, roughly: TLS has buffers of its own for each side. */
static size_t session_bytes(const struct session *s)
{
    size_t tls = (s->client.ssl ? 40u << 10 : 0) + (s->backend.ssl ? 40u << 10 : 0);

    return sizeof(*s) + s->input.cap + s->client.out.cap + s->backend.out.cap + tls;
}

static enum harm session_harm(const struct session *s, size_t bytes)
{
    /* One without a client follows a migration; one that is closing is ending already. A direct DDL
       that stops between two shards leaves them different. */
    if (s->inner || s->client_gone || s->migration || gate_is_changing(s) ||
        s->state == SESSION_DEAD)
        return HARM_TOO_MUCH;
    bool transaction = s->status & STATUS_IN_TRANSACTION || s->locks > 0;

    if (bytes < LARGE)
        return transaction ? HARM_LITTLE_GAINED_TRANSACTION_LOST : HARM_LITTLE_GAINED;
    if (transaction)
        return HARM_TRANSACTION_LOST;
    return s->state == SESSION_IDLE || s->state == SESSION_PARKED || s->state == SESSION_LOGIN ||
                   s->state == SESSION_CLOSING
               ? HARM_NOTHING_LOST
               : HARM_STATEMENT_LOST;
}

static bool is_better(const struct candidate *a, const struct candidate *b)
{
    return a->harm < b->harm || (a->harm == b->harm && a->bytes > b->bytes);
}

/* On each worker. */
static void name_candidate(void *context, void *arg)
{
    struct worker *w = context;
    struct memory_limit *m = arg;
    struct candidate best = {.harm = HARM_TOO_MUCH};
    const struct session *s;

    TAILQ_FOREACH(s, &w->sessions, link)
    {
        struct candidate c = {.id = s->id, .bytes = session_bytes(s)};

        c.harm = session_harm(s, c.bytes);
        if (is_better(&c, &best))
            best = c;
    }
    m->candidates[w->index] = best;
}

/* Told where it stands at a command's beginning; in the middle of an answer, or behind answers that
   it does not read, an error would be taken for something else. */
static void end_session(struct session *s, const struct candidate *c)
{
    bool may_hear = s->state == SESSION_IDLE && stream_backlog(&s->client) == 0;

    log_warn("memory_session_ended", "session:u user:s peer:s state:s bytes:u in_transaction:u",
             s->id, s->user, s->peer, session_state_name(s->state), (uint64_t)c->bytes,
             (uint64_t)(c->harm == HARM_TRANSACTION_LOST ||
                        c->harm == HARM_LITTLE_GAINED_TRANSACTION_LOST));
    if (may_hear)
        session_send_error(s, s->input.len ? 1 : 0, SHIM_ERROR_OUT_OF_MEMORY,
                           "this session is ended to stay below it");
    session_close(s, CLOSE_MEMORY);
}

struct order {
    struct memory_limit *m;
    struct candidate candidate;
};

/* On its worker: it may have become another's by now, or begun a transaction. */
static void carry_out(void *context, void *arg)
{
    struct worker *w = context;
    struct order *o = arg;
    struct session *s, *next;

    for (s = TAILQ_FIRST(&w->sessions); s; s = next) {
        next = TAILQ_NEXT(s, link);
        if (s->id == o->candidate.id && session_harm(s, session_bytes(s)) <= o->candidate.harm)
            end_session(s, &o->candidate);
    }
    free(o);
}

/* Back on the control loop. */
static void choose(void *context, void *arg)
{
    struct server *server = context;
    struct memory_limit *m = arg;
    unsigned best = 0;

    m->choosing = false;
    if (m->stopped) {
        free(m);
        return;
    }
    for (unsigned i = 1; i < server->worker_count; i++) {
        if (is_better(&m->candidates[i], &m->candidates[best]))
            best = i;
    }
    if (m->candidates[best].harm == HARM_TOO_MUCH || server->stopped)
        return;
    struct order *o = memory_zalloc(sizeof(*o));

    *o = (struct order){m, m->candidates[best]};
    m->ended++;
    mailbox_post(&server->workers[best].mailbox, carry_out, &server->workers[best], o);
}

/* --- what is dropped first ------------------------------------------------------------------- */

static void drop_spare(void *context, void *arg)
{
    struct worker *w = context;

    (void)arg;
    kept_stock_fini(&w->kept);
    memset(&w->kept, 0, sizeof(w->kept));
    shapes_destroy(w->shapes);
    w->shapes = shapes_create();
}

static void dropped(void *context, void *arg)
{
    (void)context;
    (void)arg;
}

static void trim(struct memory_limit *m)
{
    int64_t now = clock_ms();

    if (now - m->trimmed_ms < TRIM_MS)
        return;
    m->trimmed_ms = now;
    malloc_trim(0);
}

/* --- the stages ------------------------------------------------------------------------------ */

static void enter(struct memory_limit *m, enum memory_stage stage, uint64_t resident)
{
    struct server *server = m->server;

    log_event(stage > m->stage ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, "memory",
              "stage:s before:s resident:u limit:d sessions:u", STAGES[stage].name,
              STAGES[m->stage].name, resident, server->config->limits_memory_bytes,
              (uint64_t)atomic_load(&server->sessions));
    if (m->stage == MEMORY_FINE)
        server_broadcast(server, drop_spare, dropped, NULL);
    m->stage = stage;
    atomic_store(&server->memory_tight, stage >= MEMORY_TIGHT);
    for (size_t i = 0; i < server->listener_count; i++)
        listener_hold(server->listeners[i], stage >= MEMORY_FULL);
}

static uint64_t limit_of(const struct memory_limit *m)
{
    return (uint64_t)m->server->config->limits_memory_bytes;
}

void memory_limit_look(struct memory_limit *m)
{
    static const struct timeval AGAIN = {0, LOOK_MS * 1000};
    uint64_t limit = limit_of(m);

    if (!limit && m->stage == MEMORY_FINE)
        return;
    uint64_t resident = memory_resident();

    if (stage_of(resident, limit, m->stage) > MEMORY_FINE) {
        trim(m); /* what is only kept by the allocator harms nobody */
        resident = memory_resident();
    }
    enum memory_stage stage = stage_of(resident, limit, m->stage);

    if (stage != m->stage)
        enter(m, stage, resident);
    /* Not one more while there is room again, although the stage lasts. */
    if (stage == MEMORY_OVER && resident >= limit && !m->choosing) {
        m->choosing = true;
        server_broadcast(m->server, name_candidate, choose, m);
    }
    if (stage > MEMORY_FINE || resident > limit / 2)
        event_add(m->timer, &AGAIN);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    memory_limit_look(arg);
}

bool memory_limit_refuses(struct memory_limit *m)
{
    if (m->stage == MEMORY_FINE)
        return false;
    m->refused++;
    return true;
}

enum memory_stage memory_limit_stage(const struct memory_limit *m)
{
    return m->stage;
}

uint64_t memory_limit_refused(const struct memory_limit *m)
{
    return m->refused;
}

uint64_t memory_limit_ended(const struct memory_limit *m)
{
    return m->ended;
}

struct memory_limit *memory_limit_create(struct server *server)
{
    struct memory_limit *m =
        memory_zalloc(sizeof(*m) + server->worker_count * sizeof(m->candidates[0]));

    m->server = server;
    m->timer = evtimer_new(server->base, on_timer, m);
    memory_resident(); /* opens what it reads, while there are descriptors */
    return m;
}

void memory_limit_destroy(struct memory_limit *m)
{
    if (!m)
        return;
    event_free(m->timer);
    m->timer = NULL;
    if (m->choosing)
        m->stopped = true; /* freed when they have answered */
    else
        free(m);
}
