/*
 * The table on each shard: whether it is there, how large, and what it looks like. vtgate sends
 * such questions to any one shard, so the session's target becomes each of them in turn, and then
 * what it was, or none. A session whose user may not go to a shard is judged by one of vtgate's
 * choice (gate_table.c).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/gate_internal.h"
#include "proxy/memory.h"
#include "proxy/topology.h"

#define COLUMNS_MAX 128

static uint64_t number(struct bytes b)
{
    char text[32];

    bytes_to_name(text, sizeof(text), b);
    return strtoull(text, NULL, 10);
}

/* --- which shards ---------------------------------------------------------------------------- */

static bool wants_sizes(const struct gate *g)
{
    bool guarded = !g->facts.online && gate_is_alter(g);

    return *g->literal && (g->explain || guarded || g->action == POLICY_DIRECT);
}

bool gate_ask_shards(struct session *s)
{
    struct gate *g = s->gate;
    bool wanted = *g->literal && g->st.object != DDL_OBJECT_VIEW && !gate_is_behind_others(s);

    if (!(wanted || wants_sizes(g)) || !*g->keyspace)
        return false;
    /* At a shard a name without a keyspace is one of that shard's: here it is nobody's. */
    if ((!s->database || !*s->database) && !gate_is_of_one_keyspace(s))
        return false;
    g->names = memory_zalloc(GATE_SHARDS_MAX * sizeof(*g->names));
    g->shards = memory_zalloc(GATE_SHARDS_MAX * sizeof(*g->shards));
    g->facts.shards = g->shards;
    if (g->targeted) { /* the one that the session is at */
        snprintf(g->names[0], sizeof(g->names[0]), "%s", s->database + strcspn(s->database, ":/"));
        g->shard_count = 1;
        return false;
    }
    ask_format(s, gate_on_answer, TOPOLOGY_SHARDS);
    return true;
}

/* Of more than are looked at, or with a name that cannot be used, none are: half of the facts would
   be taken for all. */
void gate_take_shards(struct session *s, const struct answer *a)
{
    struct gate *g = s->gate;

    g->shard_count = topology_shards(a, g->keyspace, g->names, GATE_SHARDS_MAX);
    if (g->shard_count > GATE_SHARDS_MAX)
        g->shard_count = 0;
    for (size_t i = 0; i < g->shard_count; i++) {
        if (!*g->names[i])
            g->shard_count = 0;
    }
}

static bool at_end(const struct gate *g)
{
    return g->next_shard == g->shard_count;
}

/* Step by step for the next shard. */
bool gate_ask_use(struct session *s)
{
    struct gate *g = s->gate;

    if (g->targeted || at_end(g))
        return false;
    g->away = true;
    ask_format(s, gate_on_answer, "USE `%s/%s`", g->keyspace, g->names[g->next_shard]);
    return true;
}

/* --- the tables of the statement ------------------------------------------------------------- */

/* Then it is only told whether they are there. */
static bool drops_tables(const struct gate *g)
{
    return g->st.verb == DDL_DROP && g->st.object == DDL_OBJECT_TABLE;
}

bool gate_ask_tables(struct session *s)
{
    struct gate *g = s->gate;
    char *list;

    if (at_end(g) || g->facts.table_count == 0)
        return false;
    list = gate_list_tables(g);
    g->there = false;
    ask_format(s, gate_on_answer,
               "SELECT table_name, table_type, table_rows, data_length + index_length FROM "
               "information_schema.tables WHERE table_schema = database() AND table_name IN (%s)",
               list);
    free(list);
    return true;
}

static struct table_fact *find_table(struct gate *g, struct bytes name)
{
    for (size_t i = 0; i < g->facts.table_count; i++) {
        if (bytes_are(name, g->tables[i].name))
            return &g->tables[i];
    }
    return NULL;
}

/* The sizes of all of them are one: a DROP is of them all. */
void gate_take_tables(struct session *s, const struct answer *a)
{
    struct gate *g = s->gate;
    struct shard_size *size = &g->shards[g->next_shard];
    bool found[GATE_TABLES_MAX] = {false};
    struct bytes row[4];

    snprintf(size->shard, sizeof(size->shard), "%s", g->names[g->next_shard]);
    for (const uint8_t *at = a->rows_at; a->columns == 4 && answer_row(a, &at, row, 4);) {
        struct table_fact *t = find_table(g, row[0]);

        if (!t)
            continue;
        found[t - g->tables] = true;
        t->is_view = t->is_view || bytes_are(row[1], "VIEW");
        g->there = g->there || (t == g->tables && !bytes_are(row[1], "VIEW"));
        size->rows += number(row[2]);
        size->bytes += number(row[3]);
    }
    for (size_t i = 0; i < g->facts.table_count; i++) {
        struct table_fact *t = &g->tables[i];

        if (!found[i] && t->missing_on++ == 0)
            snprintf(t->shard, sizeof(t->shard), "%s", size->shard);
    }
    g->facts.is_view = g->facts.table_count > 0 && g->tables[0].is_view;
    if (!g->there && !drops_tables(g))
        gate_add_version(g, (struct bytes){NULL, 0});
}

bool gate_ask_create(struct session *s)
{
    const struct gate *g = s->gate;

    if (at_end(g) || !g->there || drops_tables(g) || !*g->reference)
        return false;
    ask_format(s, gate_on_answer, "SHOW CREATE TABLE `%s`", g->table);
    return true;
}

void gate_take_create(struct session *s, const struct answer *a)
{
    const uint8_t *at = a->rows_at;
    struct bytes row[2];

    if (a->columns >= 2 && answer_row(a, &at, row, 2) && row[1].p)
        gate_add_version(s->gate, row[1]);
}

bool gate_ask_references(struct session *s)
{
    const struct gate *g = s->gate;

    if (at_end(g) || !g->there || g->facts.referenced || !gate_wants_references(g))
        return false;
    ask_format(s, gate_on_answer,
               "SELECT constraint_name FROM information_schema.referential_constraints WHERE "
               "constraint_schema = database() AND referenced_table_name = %s LIMIT 1",
               g->literal);
    return true;
}

/* MySQL keeps its dictionary's numbers for a day; the optimizer's are newer. */
bool gate_ask_rows(struct session *s)
{
    const struct gate *g = s->gate;

    if (at_end(g) || !wants_sizes(g) || !g->there || g->facts.table_count != 1)
        return false;
    ask_format(s, gate_on_answer, "EXPLAIN FORMAT=TRADITIONAL SELECT * FROM `%s`", g->table);
    return true;
}

/* Rows since then have bytes, too: as many as the others, so that both numbers grow together. */
void gate_take_rows(struct session *s, const struct answer *a)
{
    struct shard_size *size = &s->gate->shards[s->gate->next_shard];
    int rows = answer_column(a, "rows");
    struct bytes row[COLUMNS_MAX];
    const uint8_t *at = a->rows_at;

    if (rows >= 0 && rows < COLUMNS_MAX && answer_row(a, &at, row, COLUMNS_MAX)) {
        uint64_t seen = number(row[rows]);

        if (size->rows > 0 && seen > size->rows && seen / size->rows < 1u << 20)
            size->bytes = size->bytes / size->rows * seen;
        if (seen > size->rows && seen > 1) /* an empty table counts as one row */
            size->rows = seen;
    }
}

/* Asks nothing: goes on to the next shard, if there is one. */
bool gate_next_shard(struct session *s)
{
    struct gate *g = s->gate;

    if (at_end(g))
        return false;
    g->facts.shard_count = ++g->next_shard;
    return !at_end(g);
}

/* --- and back -------------------------------------------------------------------------------- */

bool gate_ask_return(struct session *s)
{
    if (!s->gate->away)
        return false;
    gate_return(s, gate_on_answer);
    return true;
}

void gate_take_return(struct session *s, const struct answer *a)
{
    (void)a;
    s->gate->away = false;
}

void gate_return(struct session *s, ask_callback *done)
{
    ask_use(s, s->database, done);
}
