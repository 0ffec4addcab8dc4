/*
 * From the session's worker to the control loop, where the transition runs, and back with its
 * outcome, as KILL does (kill.c).
 *
 * The right to change a VSchema is vtgate's to give (--vschema-ddl-authorized-users), and it has no
 * word for "may I?". But it looks at the right first, so that dropping a vindex which cannot exist
 * tells: it is refused for the right, or for the vindex, and never done.
 */
#include "proxy/session_transition.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/plan.h"
#include "planner/target.h"
#include "planner/vschema_alter.h"
#include "planner/vschema_text.h"
#include "proxy/ask.h"
#include "proxy/memory.h"
#include "proxy/script.h"
#include "proxy/server.h"
#include "proxy/session.h"
#include "proxy/transition.h"
#include "proxy/worker.h"

#define NO_SUCH_VINDEX "vtshim_has_no_such_vindex"
#define TEXTS_MAX      (256u << 10) /* bytes of what one session collects */

struct collected {
    char keyspace[65];
    char *texts[TRANSITION_STATEMENTS_MAX];
    size_t n, bytes;
    uint8_t sequence;
};

/* On its way to the control loop and back. */
struct change {
    struct worker *worker;
    uint64_t session;
    struct transition_order order;
    uint8_t sequence;
    uint16_t code; /* 0: done */
    char state[6], text[TRANSITION_TEXT_MAX];
};

bool session_transition_wanted(const struct session *s)
{
    const struct server *server = s->worker->server;

    return s->collected || (server->vtctld && server->config->transition_alter_vschema &&
                            server->config->ddl_intercept && !target_is_shard(s->database) &&
                            !(s->status & STATUS_IN_TRANSACTION));
}

void session_transition_forget(struct session *s)
{
    struct collected *c = s->collected;

    if (!c)
        return;
    for (size_t i = 0; i < c->n; i++)
        free(c->texts[i]);
    free(c);
    s->collected = NULL;
}

/* --- answers --------------------------------------------------------------------------------- */

static void answer_error(struct session *s, uint8_t sequence, uint16_t code, const char *state,
                         const char *text)
{
    struct buffer out;

    buffer_init(&out, 4096);
    reply_error(&out, sequence, code, state, text);
    query_answer(s, &out, (uint8_t)(sequence + 1), false);
}

static void answer_ok(struct session *s, uint8_t sequence, const char *info)
{
    uint16_t status = s->status & (uint16_t)~STATUS_MORE_RESULTS;
    struct buffer out;

    if (script_has_more(s))
        status |= STATUS_MORE_RESULTS;
    buffer_init(&out, 4096);
    reply_ok(&out, sequence, s->capabilities, status, 0, 0, info);
    query_answer(s, &out, (uint8_t)(sequence + 1), true);
}

/* --- the transition -------------------------------------------------------------------------- */

static void change_free(struct change *c)
{
    transition_order_free(&c->order);
    free(c);
}

static void on_answer(void *context, void *arg)
{
    struct worker *w = context;
    struct change *c = arg;
    struct session *s;

    TAILQ_FOREACH(s, &w->sessions, link)
    {
        if (s->id == c->session && s->state == SESSION_CHANGING)
            break;
    }
    if (s && c->code)
        answer_error(s, c->sequence, c->code, c->state, c->text);
    else if (s)
        answer_ok(s, c->sequence, c->text);
    change_free(c);
}

static void deliver(struct server *server, struct change *c)
{
    if (server->stopped)
        change_free(c);
    else
        mailbox_post(&c->worker->mailbox, on_answer, c->worker, c);
}

static void on_changed(void *arg, struct transition *t)
{
    struct change *c = arg;
    struct transition_row row;

    transition_describe(t, &row);
    c->code = row.code;
    memcpy(c->state, row.state, sizeof(c->state));
    if (row.code)
        snprintf(c->text, sizeof(c->text), "vtshim: transition %" PRIu64 ": %.400s", row.id,
                 row.text);
    else
        snprintf(c->text, sizeof(c->text),
                 "VSchema changed on every vtgate: transition=%" PRIu64
                 " changes=%zu parked_ms=%" PRId64 " time_ms=%" PRId64,
                 row.id, row.changes, row.held_ms > 0 ? row.held_ms : 0, row.took_ms);
    deliver(c->worker->server, c);
}

static void on_control_loop(void *context, void *arg)
{
    struct server *server = context;
    struct change *c = arg;

    if (transition_start(server->transitions, &c->order, on_changed, c, c->text))
        return;
    c->code = 1105;
    snprintf(c->state, sizeof(c->state), "HY000");
    deliver(server, c);
}

static void submit(struct session *s)
{
    struct collected *from = s->collected;
    struct server *server = s->worker->server;
    struct change *c = memory_zalloc(sizeof(*c));
    struct text allow = {NULL, 0, 0};
    const struct string_list *rules = &server->config->transition_alter_allow;

    text_add(&allow, "");
    for (size_t i = 0; i < rules->n; i++)
        text_format(&allow, "%s,", rules->items[i]);
    struct transition_order order = {.what = TRANSITION_VSCHEMA,
                                     .verb = "ALTER VSCHEMA",
                                     .keyspace = from->keyspace,
                                     .statements = (const char **)from->texts,
                                     .statement_count = from->n,
                                     .allow = allow.at,
                                     .queues = true,
                                     .user = s->user,
                                     .peer = s->peer};

    transition_order_copy(&c->order, &order);
    text_free(&allow);
    c->worker = s->worker;
    c->session = s->id;
    c->sequence = from->sequence;
    session_transition_forget(s);
    session_set_state(s, SESSION_CHANGING);
    mailbox_post(&server->mailbox, on_control_loop, server, c);
}

/* --- the right ------------------------------------------------------------------------------- */

static void on_right(struct session *s, const struct answer *a)
{
    static const char NO_VINDEX[] = NO_SUCH_VINDEX " does not exist";
    uint8_t sequence = s->collected->sequence;
    char text[512] = "the answer of vtgate is malformed";

    if (a && (!a->failed || memmem(a->message.p, a->message.len, NO_VINDEX, strlen(NO_VINDEX)))) {
        submit(s);
        return;
    }
    session_transition_forget(s);
    if (a)
        snprintf(text, sizeof(text), "%.*s", (int)a->message.len, (const char *)a->message.p);
    answer_error(s, sequence, a ? a->code : 1105, a ? a->state : "HY000", text);
}

static void ask_right(struct session *s)
{
    char sql[256];
    int n = snprintf(sql, sizeof(sql), "ALTER VSCHEMA DROP VINDEX `%s`.`" NO_SUCH_VINDEX "`",
                     s->collected->keyspace);

    ask_start(s, sql, (size_t)n, on_right);
}

/* --- statements ------------------------------------------------------------------------------ */

/* False: it has been answered. */
static bool begin(struct session *s, struct sql_name keyspace, uint8_t sequence)
{
    if (keyspace.len == 0)
        keyspace = target_keyspace(s->database);
    if (keyspace.len == 0 || keyspace.len > 64 || memchr(keyspace.text, '`', keyspace.len)) {
        answer_error(s, sequence, 1046, "3D000", "No database selected");
        return false;
    }
    s->collected = memory_zalloc(sizeof(*s->collected));
    memcpy(s->collected->keyspace, keyspace.text, keyspace.len);
    return true;
}

/* Adds one; false: it has been answered. A mistake leaves what was collected before as it is. */
static bool collect(struct session *s, const struct statement *st, uint8_t sequence)
{
    struct collected *c = s->collected;
    char keyspace[65], text[128];

    if (!vschema_alter_keyspace(st->text, st->len, keyspace))
        answer_error(s, sequence, 1064, "42000", "vtshim: this ALTER VSCHEMA is not understood");
    else if (*keyspace && strcmp(keyspace, c->keyspace) != 0) {
        snprintf(text, sizeof(text), "vtshim: the transition is of keyspace %s", c->keyspace);
        answer_error(s, sequence, 1105, "HY000", text);
    } else if (c->n == TRANSITION_STATEMENTS_MAX || c->bytes + st->len > TEXTS_MAX) {
        answer_error(s, sequence, 1105, "HY000", "vtshim: too much for one transition");
    } else {
        c->texts[c->n++] = memory_copy(st->text, st->len);
        c->bytes += st->len;
        return true;
    }
    return false;
}

/* ALTER VSCHEMA outside of BEGIN .. COMMIT TRANSITION. */
static void run_one(struct session *s, const struct statement *st, uint8_t sequence)
{
    char keyspace[65] = "";
    struct sql_name name = {keyspace, 0};

    vschema_alter_keyspace(st->text, st->len, keyspace);
    name.len = strlen(keyspace);
    if (!begin(s, name, sequence))
        return;
    s->collected->sequence = sequence;
    if (collect(s, st, sequence))
        ask_right(s);
    else
        session_transition_forget(s);
}

static void commit(struct session *s, uint8_t sequence)
{
    s->collected->sequence = sequence;
    if (s->status & STATUS_IN_TRANSACTION) {
        answer_error(
            s, sequence, 1105, "HY000",
            "vtshim: end the transaction that is open before COMMIT TRANSITION, which waits "
            "for transactions");
        return;
    }
    if (s->collected->n > 0) {
        ask_right(s);
        return;
    }
    session_transition_forget(s);
    answer_ok(s, sequence, "nothing was collected");
}

static void transition_word(struct session *s, const struct statement *st, uint8_t sequence)
{
    if (st->transition == TRANSITION_BEGIN && s->collected)
        answer_error(s, sequence, 1105, "HY000",
                     "vtshim: a transition has begun: COMMIT TRANSITION or ROLLBACK TRANSITION");
    else if (st->transition != TRANSITION_BEGIN && !s->collected)
        answer_error(s, sequence, 1105, "HY000", "vtshim: no transition has begun");
    else if (st->transition == TRANSITION_COMMIT)
        commit(s, sequence);
    else if (st->transition == TRANSITION_ROLLBACK) {
        session_transition_forget(s);
        answer_ok(s, sequence, "dropped");
    } else if (begin(s, st->name, sequence)) {
        answer_ok(s, sequence, "ALTER VSCHEMA is collected up to COMMIT TRANSITION");
    }
}

void session_transition_start(struct session *s, const struct statement *st, uint8_t sequence)
{
    char info[64];

    if (st->transition != TRANSITION_NONE) {
        transition_word(s, st, sequence);
    } else if (!s->collected) {
        run_one(s, st, sequence);
    } else if (collect(s, st, sequence)) {
        snprintf(info, sizeof(info), "collected: %zu", s->collected->n);
        answer_ok(s, sequence, info);
    }
}
