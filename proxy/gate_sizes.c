/*
 * How large a table is on each shard. vtgate sends such a question to any one shard: so the
 * session's target becomes each of them in turn, and then what it was.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/gate_internal.h"
#include "proxy/memory.h"

#define COLUMNS_MAX 128

static uint64_t number(struct bytes b)
{
    char text[32];

    gate_copy(text, sizeof(text), b);
    return strtoull(text, NULL, 10);
}

static bool wants_sizes(const struct gate *g)
{
    bool guarded = !g->facts.online && gate_is_alter(g);

    return *g->literal && (g->explain || guarded || g->action == POLICY_DIRECT);
}

bool gate_ask_shards(struct session *s)
{
    struct gate *g = s->gate;

    if (!wants_sizes(g) || !s->database || !*g->keyspace)
        return false;
    g->shards = memory_zalloc(GATE_SHARDS_MAX * sizeof(*g->shards));
    g->facts.shards = g->shards;
    if (g->targeted) { /* the one that the session is at */
        snprintf(g->shards[0].shard, sizeof(g->shards[0].shard), "%s",
                 s->database + strcspn(s->database, ":/"));
        g->facts.shard_count = 1;
        return false;
    }
    gate_ask(s, gate_on_answer, "SHOW VITESS_SHARDS");
    return true;
}

bool gate_take_shards(struct session *s, const struct answer *a)
{
    struct gate *g = s->gate;
    size_t prefix = strlen(g->keyspace);
    struct bytes row[1];

    for (const uint8_t *at = a->rows_at;
         g->facts.shard_count < GATE_SHARDS_MAX && answer_row(a, &at, row, 1);) {
        if (row[0].len > prefix + 1 && memcmp(row[0].p, g->keyspace, prefix) == 0 &&
            row[0].p[prefix] == '/')
            gate_copy(g->shards[g->facts.shard_count++].shard, sizeof(g->shards[0].shard),
                      (struct bytes){row[0].p + prefix + 1, row[0].len - prefix - 1});
    }
    return false;
}

/* The next shard: three questions. */
bool gate_ask_use(struct session *s)
{
    struct gate *g = s->gate;

    if (g->targeted || g->next_shard == g->facts.shard_count || !g->facts.table)
        return false;
    g->away = true;
    gate_ask(s, gate_on_answer, "USE `%s/%s`", g->keyspace, g->shards[g->next_shard].shard);
    return true;
}

bool gate_ask_bytes(struct session *s)
{
    if (s->gate->next_shard == s->gate->facts.shard_count || !s->gate->facts.table)
        return false;
    gate_ask(s, gate_on_answer,
             "SELECT table_rows, data_length + index_length FROM information_schema.tables WHERE "
             "table_schema = database() AND table_name = %s",
             s->gate->literal);
    return true;
}

bool gate_take_bytes(struct session *s, const struct answer *a)
{
    struct shard_size *size = &s->gate->shards[s->gate->next_shard];
    const uint8_t *at = a->rows_at;
    struct bytes row[2];

    if (a->columns == 2 && answer_row(a, &at, row, 2)) {
        size->rows = number(row[0]);
        size->bytes = number(row[1]);
    }
    return false;
}

/* MySQL keeps its dictionary's numbers for a day; the optimizer's are newer. */
bool gate_ask_rows(struct session *s)
{
    if (s->gate->next_shard == s->gate->facts.shard_count || !s->gate->facts.table)
        return false;
    gate_ask(s, gate_on_answer, "EXPLAIN FORMAT=TRADITIONAL SELECT * FROM `%s`", s->gate->table);
    return true;
}

/* Rows since then have bytes, too: as many as the others, so that both numbers grow together. */
bool gate_take_rows(struct session *s, const struct answer *a)
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
    return ++s->gate->next_shard < s->gate->facts.shard_count; /* back to USE */
}

bool gate_ask_return(struct session *s)
{
    if (!s->gate->away)
        return false;
    gate_return(s, gate_on_answer);
    return true;
}

bool gate_take_return(struct session *s, const struct answer *a)
{
    (void)a;
    s->gate->away = false;
    return false;
}

void gate_return(struct session *s, ask_callback *done)
{
    char name[2 * 320];
    size_t n = 0;

    for (const char *p = s->database; *p && n < sizeof(name) - 3; p++) {
        if (*p == '`')
            name[n++] = '`';
        name[n++] = *p;
    }
    name[n] = '\0';
    gate_ask(s, done, "USE `%s`", name);
}
