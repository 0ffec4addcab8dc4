/*
 * The facts, by questions over the client's own connection: what it may not see is not judged. A
 * chain of steps, each of which either has nothing to ask or asks one question, whose answer is
 * taken before the next step comes. The questions are in gate_table.c, gate_shards.c (a part of the
 * chain that is run for each shard) and gate_vschema.c.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/ddl.h"
#include "proxy/gate_internal.h"
#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/migration.h"
#include "proxy/visible.h"

bool gate_is_alter(const struct gate *g)
{
    return g->ddl->verb == DDL_ALTER || g->ddl->object == DDL_OBJECT_INDEX;
}

/* "'a', 'b'"; free() it. */
char *gate_list_tables(const struct gate *g)
{
    size_t size = g->facts.table_count * (sizeof(g->literals[0]) + 2) + 1, at = 0;
    char *list = memory_zalloc(size);

    for (size_t i = 0; i < g->facts.table_count; i++)
        at += (size_t)snprintf(list + at, size - at, "%s%s", i ? ", " : "", g->literals[i]);
    return list;
}

/* --- the first steps ------------------------------------------------------------------------- */

/* The session's own strategy: only direct DDL is looked at, everything else is vtgate's. */
static bool ask_strategy(struct session *s)
{
    if (!s->strategy_own)
        return false;
    ask_format(s, gate_on_answer, "SELECT @@ddl_strategy");
    return true;
}

static void take_strategy(struct session *s, const struct answer *a)
{
    const uint8_t *at = a->rows_at;
    struct bytes row[1];

    if (answer_row(a, &at, row, 1))
        bytes_to_name(s->gate->strategy, sizeof(s->gate->strategy), row[0]);
    s->gate->facts.online = *s->gate->strategy && !ddl_strategy_is_direct(s->gate->strategy);
}

/* As MySQL does before every DDL, even one that fails. EXPLAIN leaves the transaction open. */
static bool ask_commit(struct session *s)
{
    if (s->gate->explain || s->gate->passed || !(s->status & STATUS_IN_TRANSACTION))
        return false;
    ask_format(s, gate_on_answer, "COMMIT");
    return true;
}

static void take_nothing(struct session *s, const struct answer *a)
{
    (void)s;
    (void)a;
}

/* A tool that sends its statement again gets what that has begun: nothing about it is judged. */
static bool ask_same(struct session *s)
{
    const struct gate *g = s->gate;

    return !g->explain && !g->passed && g->facts.online && !g->hints.context.text &&
           migration_ask_same(s, g->keyspace, g->st.text, g->st.len, gate_on_answer);
}

static void take_same(struct session *s, const struct answer *a)
{
    if (!migration_same_found(a, s->gate->same))
        *s->gate->same = '\0';
}

/* --- the chain ------------------------------------------------------------------------------- */

/* Of the steps below, in their order. SHARD to NEXT are run for each shard. */
enum step_id {
#define STEP(NAME, fact, ask, take) STEP_##NAME,
#include "proxy/gate_steps.def"
#undef STEP
    STEP_COUNT
};

static const struct step {
    const char *fact;
    bool (*ask)(struct session *s); /* false: nothing to ask. NEXT: true: once more from SHARD */
    void (*take)(struct session *s, const struct answer *a);
} STEPS[] = {
#define STEP(NAME, fact, ask, take) [STEP_##NAME] = {fact, ask, take},
#include "proxy/gate_steps.def"
#undef STEP
};

/* Another strategy than direct, chosen by the user: none of our business (DECISIONS, 5). */
static bool is_users_own(const struct gate *g)
{
    return !g->explain && g->passed && strcmp(g->passed, "strategy") == 0 && g->facts.online;
}

static void next_step(struct session *s)
{
    struct gate *g = s->gate;

    while (g->step < STEP_COUNT) {
        bool more = STEPS[g->step].ask(s);

        if (more && g->step != STEP_NEXT)
            return;
        g->step = more ? (size_t)STEP_SHARD : g->step + 1;
    }
    gate_decide(s);
}

/* What could not be had is not judged; it is said in the log, and by EXPLAIN. */
void gate_skip(struct session *s, const struct answer *a)
{
    struct gate *g = s->gate;

    if (g->step == STEP_TABLE && a && visible_says_not_found(a)) {
        g->not_found = true;
        return;
    }
    if (g->skipped_count < GATE_SKIPPED_MAX)
        g->skipped[g->skipped_count++] = STEPS[g->step].fact;
    log_debug("ddl_fact_skipped", "session:u fact:s code:u", s->id, STEPS[g->step].fact,
              (uint64_t)(a ? a->code : 0));
}

/* The session must not stay where it is not known to be. */
static void lost_target(struct session *s)
{
    log_warn("ddl_target_lost", "session:u", s->id);
    session_send_error(s, s->gate->sequence, SHIM_ERROR_MIGRATION_UNKNOWN,
                       "the session's target could not be restored; nothing was submitted");
    session_finish(s, CLOSE_VTGATE_ERROR);
}

static void commit_failed(struct session *s, const struct answer *a)
{
    char text[PREFLIGHT_TEXT];

    snprintf(text, sizeof(text), "%.*s", a ? (int)a->message.len : 0,
             a ? (const char *)a->message.p : "");
    gate_answer_error(s, a ? a->code : 1105, a ? a->state : "HY000", text);
}

/* The shards before this one are known; the others are not looked at. A session that may not go to
   any is judged, and direct DDL run, as if it had no target. */
static void leave_shards(struct gate *g)
{
    if (g->step == STEP_SHARD && g->next_shard == 0)
        g->shard_count = 0;
    if (g->step >= STEP_SHARD && g->step < STEP_NEXT)
        g->step = STEP_NEXT; /* and then back */
}

void gate_on_answer(struct session *s, const struct answer *a)
{
    struct gate *g = s->gate;
    bool failed = !a || a->failed;

    if (failed && g->step == STEP_RETURN) {
        lost_target(s);
        return;
    }
    if (failed && g->step == STEP_COMMIT) {
        commit_failed(s, a);
        return;
    }
    if (failed) {
        gate_skip(s, a);
        leave_shards(g);
    } else {
        STEPS[g->step].take(s, a);
    }
    if (*g->same) {
        gate_migrate(s);
        return;
    }
    g->step++;
    if (is_users_own(g))
        g->step = STEP_COUNT;
    next_step(s);
}

void gate_gather(struct session *s)
{
    next_step(s);
}
