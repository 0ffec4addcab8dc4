/*
 * Finds the migration in the list that all sessions share; what comes of the wish is for
 * migration_cutover.c. Of those that this process does not follow Vitess is asked who does
 * (control_elsewhere.h).
 */
#include "proxy/control_managed.h"

#include <stdio.h>
#include <string.h>

#include "planner/control.h"
#include "proxy/audit_session.h"
#include "proxy/control_elsewhere.h"
#include "proxy/log.h"
#include "proxy/migrations.h"
#include "proxy/server.h"
#include "proxy/session.h"
#include "proxy/worker.h"

static void answer_ok(struct session *s, uint8_t sequence, bool more, uint64_t shards,
                      const char *info)
{
    uint16_t status = s->status & (uint16_t)~STATUS_MORE_RESULTS;
    struct buffer out;

    buffer_init(&out, 4096);
    reply_ok(&out, sequence, s->capabilities, more ? status | STATUS_MORE_RESULTS : status, shards,
             0, info);
    session_send_client(s, out.data, out.len);
    buffer_release(&out);
}

static void answer_refused(struct session *s, uint8_t sequence, uint16_t code, const char *state,
                           const char *text)
{
    struct buffer out;

    buffer_init(&out, 4096);
    reply_error(&out, sequence, code, state, text);
    session_send_client(s, out.data, out.len);
    buffer_release(&out);
}

/* One that this process follows. */
static bool told_here(struct session *s, const struct statement *st,
                      const struct control_statement *c, uint8_t sequence, bool more)
{
    struct migrations *ms = s->worker->server->migrations;
    bool now = strcmp(c->verb, "complete") == 0, later = strcmp(c->verb, "postpone") == 0;
    struct migration_record r;
    char info[240];

    if (!(now || later) || !migrations_set_wish(ms, c->uuid, now ? WISH_NOW : WISH_LATER, &r))
        return false;
    migration_wish_format(&r, info, sizeof(info));
    log_info("migration_control", "verb:s uuid:s keyspace:s user:s session:u managed:s", c->verb,
             r.uuid, r.keyspace, s->user, s->id, "yes");
    audit_managed(s, st->text, st->len, true);
    answer_ok(s, sequence, more, r.shards, info);
    return true;
}

/* One that another does, or will. */
static enum control_verdict told_elsewhere(struct session *s, const struct statement *st,
                                           const struct control_statement *c, uint8_t sequence,
                                           bool more, bool *succeeded)
{
    char info[320], state[6];
    uint16_t code;
    enum elsewhere found = control_elsewhere(s, c, &code, state, info, sizeof(info));

    if (found == ELSEWHERE_NOBODY || found == ELSEWHERE_ASKING)
        return found == ELSEWHERE_ASKING ? CONTROL_ASKING : CONTROL_PASSES;
    *succeeded = found == ELSEWHERE_TOLD;
    audit_managed(s, st->text, st->len, *succeeded);
    if (found == ELSEWHERE_TOLD)
        answer_ok(s, sequence, more, 0, info);
    else if (found == ELSEWHERE_ALL)
        session_send_error(s, sequence, SHIM_ERROR_COMPLETE_ALL, info);
    else
        answer_refused(s, sequence, code, state, info);
    return CONTROL_ANSWERED;
}

enum control_verdict control_managed(struct session *s, const struct statement *st,
                                     uint8_t sequence, bool more, bool *succeeded)
{
    struct migrations *ms = s->worker->server->migrations;
    struct control_statement c;
    char uuid[64];

    control_statement_parse(&c, st->text ? st->text : "", st->text ? st->len : 0);
    *succeeded = told_here(s, st, &c, sequence, more);
    if (*succeeded)
        return CONTROL_ANSWERED;
    if (strcmp(c.verb, "complete all") != 0 ||
        !migrations_any_managed(ms, s->database ? s->database : "", uuid))
        return told_elsewhere(s, st, &c, sequence, more, succeeded);
    audit_managed(s, st->text, st->len, false);
    session_send_error(s, sequence, SHIM_ERROR_COMPLETE_ALL, uuid);
    return CONTROL_ANSWERED;
}
