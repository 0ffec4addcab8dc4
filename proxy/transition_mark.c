/*
 * Marks in the source shards' binary logs while vtctld switches traffic. It waits until the
 * workflow's streams are where the logs are; a stream keeps its place with each change of its own
 * tables, which the hold has just stopped, and with any event that it has no name for; for other
 * tables' changes only after 1.1 s (idleTimeout in
 * go/vt/vttablet/tabletmanager/vreplication/vplayer.go), and who waits looks once a second
 * (Engine.WaitForPos). So without such an event it is two seconds, with one it is one second or
 * none.
 *
 * The mark is ANALYZE TABLE of a table that there is none of, over a connection of control.user: it
 * changes nothing, and a control.user without the right to it means no marks, nothing else.
 */
#include <stdlib.h>
#include <string.h>

#include "planner/ddl.h"
#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/server.h"
#include "proxy/transition_internal.h"
#include "proxy/vtgate_control.h"

#define PAUSE_MS    40
#define TARGET_SIZE 320

/* One round, which may outlive its transition. */
struct round {
    struct server *server;
    uint64_t transition;
    struct control_query *query;
};

static void mark(struct transition *t);

static void on_marked(void *context, void *arg)
{
    struct round *round = arg;
    struct transition *t = transitions_find(round->server->transitions, round->transition);
    uint16_t code = round->query->code;

    (void)context;
    control_query_destroy(round->query);
    free(round);
    if (!t || t->ended || transition_is_stopped(t) || t->step != STEP_SWITCH)
        return;
    if (code)
        log_info("transition_mark_refused", "transition:u code:u", t->id, (uint64_t)code);
    else
        transition_wait(t, PAUSE_MS, mark);
}

/* As many shards as one query has room for; the others' turn comes with the next. */
static void mark(struct transition *t)
{
    struct server *server = t->server;
    char target[TARGET_SIZE], use[TARGET_SIZE + 16];

    if (t->step != STEP_SWITCH || !server->control)
        return;
    struct round *round = memory_zalloc(sizeof(*round));

    round->server = server;
    round->transition = t->id;
    round->query = control_query_create();
    for (size_t i = 0; i < t->mark_count && i < CONTROL_STATEMENTS_MAX / 2; i++) {
        snprintf(target, sizeof(target), "%s/%s", t->mark_keyspace,
                 t->marks[t->next_mark++ % t->mark_count]);
        if (!ddl_use(use, sizeof(use), target))
            continue;
        control_query_add(round->query, "%s", use);
        control_query_add(round->query, "ANALYZE TABLE `_vtshim_mark`");
    }
    vtgate_control_run(server->control, round->query, &server->mailbox, on_marked, server, round);
}

void transition_mark_add(struct transition *t, const char *keyspace, const char *shard, size_t len)
{
    for (size_t i = 0; i < t->mark_count; i++) {
        if (strlen(t->marks[i]) == len && memcmp(t->marks[i], shard, len) == 0)
            return;
    }
    if (len == 0 || len > 255 || memchr(shard, '`', len))
        return;
    t->mark_keyspace = keyspace;
    t->marks = arena_grow(&t->arena, t->marks, t->mark_count, sizeof(*t->marks));
    t->marks[t->mark_count++] = arena_copy(&t->arena, shard, len);
}

void transition_mark_begin(struct transition *t)
{
    if (t->mark_count > 0 && *t->server->config->control_user)
        mark(t);
}
