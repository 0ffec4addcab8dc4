/*
 * The table, by questions that vtgate sends to one shard of its own choice: for sessions that
 * cannot be sent to each (gate_shards.c). And the migrations of the statement's tables that Vitess
 * has.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/gate_internal.h"
#include "proxy/memory.h"
#include "proxy/migrations.h"
#include "proxy/server.h"
#include "proxy/worker.h"

#define COLUMNS_MAX 128

bool gate_wants_references(const struct gate *g)
{
    return gate_is_alter(g) && g->facts.online && *g->keyspace && !g->facts.foreign_keys_allowed;
}

/* Migrations of the table come first (ddl.queue): it will be another when its turn comes, and what
   is wrong with the statement then is Vitess's to say. */
bool gate_is_behind_others(const struct session *s)
{
    const struct server *server = s->worker->server;
    const struct gate *g = s->gate;
    bool behind = g->facts.running_count > 0 && !g->facts.refuse_running;

    if (g->explain || g->passed || !g->facts.online ||
        server->config->ddl_queue == CONFIG_QUEUE_OFF)
        return false;
    for (size_t i = 0; i < g->facts.table_count && !behind; i++)
        behind = migrations_touching(server->migrations, g->keyspace, g->tables[i].name);
    return behind;
}

/* --- one shard ------------------------------------------------------------------------------- */

bool gate_ask_table(struct session *s)
{
    struct gate *g = s->gate;

    if (!*g->reference || g->st.object == DDL_OBJECT_VIEW || g->shard_count > 0)
        return false;
    if (gate_is_behind_others(s)) {
        gate_skip(s, NULL);
        return false;
    }
    ask_format(s, gate_on_answer, "SHOW CREATE TABLE %s", g->reference);
    return true;
}

void gate_take_table(struct session *s, const struct answer *a)
{
    struct gate *g = s->gate;
    const uint8_t *at = a->rows_at;
    struct bytes row[2];

    if (answer_column(a, "Create View") >= 0)
        g->facts.is_view = true;
    else if (a->columns >= 2 && answer_row(a, &at, row, 2) && row[1].p)
        gate_add_version(g, row[1]);
}

/* vtgate may not know (yet) what is there: MySQL's own dictionary decides. */
bool gate_ask_exists(struct session *s)
{
    const struct gate *g = s->gate;

    if (!g->not_found || !*g->keyspace || g->targeted)
        return false;
    ask_format(s, gate_on_answer,
               "SELECT table_type FROM information_schema.tables WHERE table_schema = '%s' AND "
               "table_name = %s",
               g->keyspace, g->literal);
    return true;
}

void gate_take_exists(struct session *s, const struct answer *a)
{
    const uint8_t *at = a->rows_at;
    struct bytes row[1];

    if (!answer_row(a, &at, row, 1))
        s->gate->facts.table_missing = true;
    else if (bytes_are(row[0], "VIEW"))
        s->gate->facts.is_view = true;
}

bool gate_ask_referenced(struct session *s)
{
    const struct gate *g = s->gate;

    if (g->shard_count > 0 || !gate_wants_references(g) || !*g->literal)
        return false;
    ask_format(s, gate_on_answer,
               "SELECT constraint_name FROM information_schema.referential_constraints WHERE "
               "constraint_schema = '%s' AND referenced_table_name = %s LIMIT 1",
               g->keyspace, g->literal);
    return true;
}

void gate_take_referenced(struct session *s, const struct answer *a)
{
    const uint8_t *at = a->rows_at;
    struct bytes row[1];

    s->gate->facts.referenced = s->gate->facts.referenced || answer_row(a, &at, row, 1);
}

/* --- versions of it -------------------------------------------------------------------------- */

/* Every shard counts for itself: " AUTO_INCREMENT=5" is no difference. */
static char *without_counter(struct bytes text)
{
    static const char OPTION[] = " AUTO_INCREMENT=";
    char *copy = memory_copy((const char *)text.p, text.len);
    char *at = strstr(copy, OPTION);

    if (at) {
        char *end = at + sizeof(OPTION) - 1;

        end += strspn(end, "0123456789");
        memmove(at, end, strlen(end) + 1);
    }
    return copy;
}

static void name_shard(struct table_version *v, const char *shard)
{
    size_t n = strlen(v->shards);

    if (v->shard_count++ < 4)
        snprintf(v->shards + n, sizeof(v->shards) - n, "%s%s", n ? ", " : "", shard);
    else if (v->shard_count == 6)
        snprintf(v->shards + n, sizeof(v->shards) - n, ", ...");
}

/* text.p NULL: the table is not there. */
void gate_add_version(struct gate *g, struct bytes text)
{
    const char *shard = g->shard_count > 0 ? g->names[g->next_shard] : "";
    char *key = text.p ? without_counter(text) : NULL;
    size_t i = 0;

    while (i < g->facts.version_count &&
           !(key ? g->texts[i] && strcmp(g->texts[i], key) == 0 : !g->texts[i]))
        i++;
    if (i < g->facts.version_count || i == GATE_VERSIONS_MAX) {
        free(key);
    } else {
        struct table_version *v = &g->versions[g->facts.version_count++];

        g->texts[i] = key;
        v->table = key ? ddl_parse(key, strlen(key)) : NULL;
        if (!g->facts.table)
            g->facts.table = v->table;
    }
    if (i < GATE_VERSIONS_MAX)
        name_shard(&g->versions[i], shard);
}

void gate_forget_versions(struct gate *g)
{
    for (size_t i = 0; i < g->facts.version_count; i++) {
        ddl_free(g->versions[i].table);
        free(g->texts[i]);
    }
}

/* --- running migrations ---------------------------------------------------------------------- */

bool gate_ask_running(struct session *s)
{
    const struct gate *g = s->gate;
    char *list;

    if (!g->facts.online || !*g->keyspace || !*g->literal)
        return false;
    list = gate_list_tables(g);
    ask_format(s, gate_on_answer,
               "SHOW VITESS_MIGRATIONS FROM `%s` WHERE mysql_table IN (%s) AND migration_status IN "
               "('requested', 'queued', 'ready', 'running')",
               g->keyspace, list);
    free(list);
    return true;
}

static bool is_known(const struct gate *g, const char *uuid)
{
    for (size_t i = 0; i < g->facts.running_count; i++) {
        if (strcmp(g->running[i].uuid, uuid) == 0)
            return true;
    }
    return false;
}

/* A row for each shard: one of each migration will do. Those that ddl.queue orders are not told,
   but by EXPLAIN. */
void gate_take_running(struct session *s, const struct answer *a)
{
    static const char *const NAMES[] = {"migration_uuid", "migration_status", "migration_context",
                                        "mysql_table"};
    enum { UUID, STATUS, CONTEXT, TABLE, USED };
    struct bytes row[COLUMNS_MAX];
    struct gate *g = s->gate;
    int column[USED];

    for (int i = 0; i < USED; i++) {
        column[i] = answer_column(a, NAMES[i]);
        if (column[i] < 0 || column[i] >= COLUMNS_MAX)
            return;
    }
    for (const uint8_t *at = a->rows_at;
         g->facts.running_count < GATE_RUNNING_MAX && answer_row(a, &at, row, COLUMNS_MAX);) {
        struct running_migration *r = &g->running[g->facts.running_count];
        char tag[64];

        bytes_to_name(tag, sizeof(tag), row[column[CONTEXT]]);
        if (!g->explain && migrations_follows(s->worker->server->migrations, tag))
            continue;
        bytes_to_name(r->uuid, sizeof(r->uuid), row[column[UUID]]);
        bytes_to_name(r->status, sizeof(r->status), row[column[STATUS]]);
        bytes_to_text(r->table, sizeof(r->table), row[column[TABLE]]);
        g->facts.running_count += !is_known(g, r->uuid);
    }
}
