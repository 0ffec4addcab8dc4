/*
 * Finds the migration in the list that all sessions share; what comes of the wish is for
 * migration_cutover.c. Migrations that this shim does not manage are not looked at.
 */
#include "proxy/control_managed.h"

#include <stdio.h>
#include <string.h>

#include "planner/control.h"
#include "proxy/audit_session.h"
#include "proxy/log.h"
#include "proxy/migrations.h"
#include "proxy/server.h"
#include "proxy/session.h"
#include "proxy/worker.h"

static bool answer(struct session *s, const struct statement *st, uint8_t sequence, bool more,
                   const struct migration_record *r, const char *verb)
{
    uint16_t status = s->status & (uint16_t)~STATUS_MORE_RESULTS;
    struct buffer out;
    char info[240];

    migration_wish_format(r, info, sizeof(info));
    log_info("migration_control", "verb:s uuid:s keyspace:s user:s session:u managed:s", verb,
             r->uuid, r->keyspace, s->user, s->id, "yes");
    audit_managed(s, st->text, st->len, true);
    buffer_init(&out, 4096);
    reply_ok(&out, sequence, s->capabilities, more ? status | STATUS_MORE_RESULTS : status,
             r->shards, 0, info);
    session_send_client(s, out.data, out.len);
    buffer_release(&out);
    return true;
}

bool control_managed(struct session *s, const struct statement *st, uint8_t sequence, bool more,
                     bool *succeeded)
{
    struct migrations *ms = s->worker->server->migrations;
    struct control_statement c;
    struct migration_record r;
    char uuid[64];

    control_statement_parse(&c, st->text ? st->text : "", st->text ? st->len : 0);
    *succeeded = true;
    if (strcmp(c.verb, "complete") == 0 && migrations_set_wish(ms, c.uuid, WISH_NOW, &r))
        return answer(s, st, sequence, more, &r, c.verb);
    if (strcmp(c.verb, "postpone") == 0 && migrations_set_wish(ms, c.uuid, WISH_LATER, &r))
        return answer(s, st, sequence, more, &r, c.verb);
    if (strcmp(c.verb, "complete all") != 0 ||
        !migrations_any_managed(ms, s->database ? s->database : "", uuid))
        return false;
    *succeeded = false;
    audit_managed(s, st->text, st->len, false);
    session_send_error(s, sequence, SHIM_ERROR_COMPLETE_ALL, uuid);
    return true;
}
