/*
 * What the checks need to know: the other keyspaces' VSchemas and the routing rules (vtctld), the
 * shards (vtctld), and of the tables concerned columns and whether there are rows (MySQL, over a
 * vtgate with control.user's login, shard by shard: a table that one shard lacks is missing).
 *
 *   SrvVSchemas -> routing rules;   later, for each keyspace with tables to ask for:
 *   shards -> for each shard: columns of 32 tables -> their rows -> ...
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/vindex_type.h"
#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/server.h"
#include "proxy/transition_internal.h"
#include "proxy/vschema_proto.h"
#include "vtctldata.pb-c.h"

#define CHUNK      32   /* tables of one question */
#define WANTED_MAX 1024 /* tables that are asked for; above, nothing is known */

struct table_facts {
    const char *name;
    struct vschema_fact_column *columns;
    size_t column_count;
    size_t shards; /* that have it */
    enum vschema_rows rows;
};

struct keyspace_facts {
    const char *name;
    struct vschema *vschema; /* owned */
    struct table_facts *wanted;
    size_t wanted_count;
    const char **shards;
    size_t shard_count;
    bool unknown; /* a question failed, or cannot be asked */
};

struct transition_facts {
    struct arena arena;
    struct keyspace_facts *keyspaces;
    size_t n;
    struct routing_rules *rules;   /* owned */
    struct other_rules others;     /* owned */
    size_t keyspace, shard, chunk; /* where the questions are */
    void (*then)(struct transition *t);
    struct vschema_facts view;
};

void transition_facts_free(struct transition_facts *f)
{
    if (!f)
        return;
    for (size_t i = 0; i < f->n; i++)
        vschema_free(f->keyspaces[i].vschema);
    routing_free(f->rules);
    json_decref(f->others.shard);
    json_decref(f->others.keyspace);
    json_decref(f->others.mirror);
    arena_free(&f->arena);
    free(f);
}

static struct keyspace_facts *find_keyspace(struct transition_facts *f, const char *name)
{
    for (size_t i = 0; i < f->n; i++) {
        if (strcmp(f->keyspaces[i].name, name) == 0)
            return &f->keyspaces[i];
    }
    return NULL;
}

static struct keyspace_facts *add_keyspace(struct transition_facts *f, const char *name,
                                           struct vschema *vschema)
{
    f->keyspaces = arena_grow(&f->arena, f->keyspaces, f->n, sizeof(*f->keyspaces));
    struct keyspace_facts *k = &f->keyspaces[f->n++];

    *k = (struct keyspace_facts){.name = arena_string(&f->arena, name), .vschema = vschema};
    return k;
}

/* --- the other keyspaces, the rules ---------------------------------------------------------- */

static json_t *rules_json(json_t *list)
{
    return json_pack("{s: o}", "rules", list);
}

/* The rules that are not the tables': vtgates show them together. */
static void take_others(struct other_rules *to, const Vschema__SrvVSchema *from)
{
    json_t *shard = json_array(), *keyspace = json_array(), *mirror = json_array();

    for (size_t i = 0; from->shard_routing_rules && i < from->shard_routing_rules->n_rules; i++) {
        const Vschema__ShardRoutingRule *r = from->shard_routing_rules->rules[i];

        json_array_append_new(shard,
                              json_pack("{s: s, s: s, s: s}", "from_keyspace", r->from_keyspace,
                                        "to_keyspace", r->to_keyspace, "shard", r->shard));
    }
    for (size_t i = 0; from->keyspace_routing_rules && i < from->keyspace_routing_rules->n_rules;
         i++) {
        const Vschema__KeyspaceRoutingRule *r = from->keyspace_routing_rules->rules[i];

        json_array_append_new(keyspace, json_pack("{s: s, s: s}", "from_keyspace", r->from_keyspace,
                                                  "to_keyspace", r->to_keyspace));
    }
    for (size_t i = 0; from->mirror_rules && i < from->mirror_rules->n_rules; i++) {
        const Vschema__MirrorRule *r = from->mirror_rules->rules[i];

        json_array_append_new(mirror,
                              json_pack("{s: s, s: s, s: f}", "from_table", r->from_table,
                                        "to_table", r->to_table, "percent", (double)r->percent));
    }
    *to = (struct other_rules){rules_json(shard), rules_json(keyspace), rules_json(mirror)};
}

const struct other_rules *transition_facts_others(const struct transition *t)
{
    return &t->facts->others;
}

static void failed(struct transition *t, const struct vtctld_answer *answer)
{
    if (t->resumes)
        transition_resume_later(t, answer);
    else
        transition_fail_vtctld(t, answer);
}

static void on_rules(struct transition *t, const struct vtctld_answer *answer)
{
    if (answer->status != GRPC_OK) {
        failed(t, answer);
        return;
    }
    t->facts->rules = routing_of_proto(
        ((const Vtctldata__GetRoutingRulesResponse *)answer->message)->routing_rules);
    t->facts->then(t);
}

static void on_keyspaces(struct transition *t, const struct vtctld_answer *answer)
{
    Vtctldata__GetRoutingRulesRequest request = VTCTLDATA__GET_ROUTING_RULES_REQUEST__INIT;

    if (answer->status != GRPC_OK) {
        failed(t, answer);
        return;
    }
    const Vtctldata__GetSrvVSchemasResponse *r =
        (const Vtctldata__GetSrvVSchemasResponse *)answer->message;

    /* All cells have the same but for moments; a keyspace that one lacks comes from another. */
    for (size_t c = 0; c < r->n_srv_v_schemas; c++) {
        const Vschema__SrvVSchema *cell = r->srv_v_schemas[c]->value;

        for (size_t i = 0; cell && i < cell->n_keyspaces; i++) {
            if (!find_keyspace(t->facts, cell->keyspaces[i]->key))
                add_keyspace(t->facts, cell->keyspaces[i]->key,
                             vschema_of_proto(cell->keyspaces[i]->value));
        }
        if (cell && !t->facts->others.shard)
            take_others(&t->facts->others, cell);
    }
    transition_call(t, "GetRoutingRules", &request.base, on_rules);
}

void transition_facts_read(struct transition *t, void (*then)(struct transition *t))
{
    Vtctldata__GetSrvVSchemasRequest request = VTCTLDATA__GET_SRV_VSCHEMAS_REQUEST__INIT;

    transition_facts_free(t->facts);
    t->facts = memory_zalloc(sizeof(*t->facts));
    t->facts->then = then;
    transition_call(t, "GetSrvVSchemas", &request.base, on_keyspaces);
}

/* --- which tables ---------------------------------------------------------------------------- */

/* Names that can stand in a statement between quotes of any kind. */
static bool is_plain(const char *name)
{
    return *name && strlen(name) <= 64 && !strpbrk(name, "'\"`\\");
}

static void want(struct transition_facts *f, const char *keyspace, const char *table)
{
    struct keyspace_facts *k = find_keyspace(f, keyspace);

    if (!k || !is_plain(table)) {
        if (k)
            k->unknown = true;
        return;
    }
    for (size_t i = 0; i < k->wanted_count; i++) {
        if (strcmp(k->wanted[i].name, table) == 0)
            return;
    }
    if (k->wanted_count == WANTED_MAX) {
        k->unknown = true;
        return;
    }
    k->wanted = arena_grow(&f->arena, k->wanted, k->wanted_count, sizeof(*k->wanted));
    k->wanted[k->wanted_count++] = (struct table_facts){.name = arena_string(&f->arena, table)};
}

/* A table by a name of the VSchema; without a keyspace it may be in any. */
static void want_named(struct transition_facts *f, const char *name)
{
    const char *keyspace, *table;

    if (!name || !vschema_split_name(&f->arena, name, &keyspace, &table))
        return;
    if (*keyspace) {
        want(f, keyspace, table);
        return;
    }
    for (size_t i = 0; i < f->n; i++)
        want(f, f->keyspaces[i].name, table);
}

static void want_vschema(struct transition *t)
{
    const struct vschema *after = t->after.vschema;

    for (size_t i = 0; i < after->table_count; i++) {
        const struct vschema_table *table = &after->tables[i];

        if (!vschema_diff_touches(t->diff, table->name))
            continue;
        want(t->facts, t->order.keyspace, table->name);
        if (table->has_auto_increment)
            want_named(t->facts, table->auto_sequence);
        if (*table->source)
            want_named(t->facts, table->source);
    }
    for (size_t i = 0; i < after->vindex_count; i++)
        want_named(t->facts, vschema_find_param(&after->vindexes[i], "table"));
}

static void want_rules(struct transition *t)
{
    for (size_t i = 0; i < t->after.rules->n; i++) {
        for (size_t k = 0; k < t->after.rules->rules[i].to_count; k++)
            want_named(t->facts, t->after.rules->rules[i].to[k]);
    }
}

/* --- shard by shard -------------------------------------------------------------------------- */

static void ask_next(struct transition *t);

static struct keyspace_facts *current(struct transition *t)
{
    return &t->facts->keyspaces[t->facts->keyspace];
}

static size_t chunk_end(const struct transition_facts *f, const struct keyspace_facts *k)
{
    size_t end = (f->chunk + 1) * CHUNK;

    return end < k->wanted_count ? end : k->wanted_count;
}

static void next_chunk(struct transition *t)
{
    struct transition_facts *f = t->facts;
    struct keyspace_facts *k = current(t);

    if (++f->chunk * CHUNK >= k->wanted_count) {
        f->chunk = 0;
        f->shard++;
    }
    ask_next(t);
}

static void give_up_keyspace(struct transition *t, const struct control_query *q)
{
    log_warn("transition_facts_failed", "transition:u keyspace:s code:u", t->id, current(t)->name,
             (uint64_t)q->code);
    current(t)->unknown = true;
    t->facts->shard = current(t)->shard_count;
    ask_next(t);
}

static void on_rows(struct transition *t, const struct control_query *q)
{
    struct keyspace_facts *k = current(t);
    const struct control_result *r = &q->results[1];

    if (q->code) {
        give_up_keyspace(t, q);
        return;
    }
    for (size_t i = 0; i < r->rows; i++) {
        const char *name = control_result_value(r, i, "t");
        const char *some = control_result_value(r, i, "r");

        for (size_t n = 0; name && some && n < k->wanted_count; n++) {
            if (strcmp(k->wanted[n].name, name) != 0)
                continue;
            if (*some == '1')
                k->wanted[n].rows = ROWS_SOME;
            else if (k->wanted[n].rows == ROWS_UNKNOWN)
                k->wanted[n].rows = ROWS_NONE;
        }
    }
    next_chunk(t);
}

static void ask_rows(struct transition *t)
{
    struct transition_facts *f = t->facts;
    struct keyspace_facts *k = current(t);
    struct text sql = {NULL, 0, 0};

    for (size_t i = f->chunk * CHUNK; i < chunk_end(f, k); i++) {
        if (k->wanted[i].shards == f->shard + 1)
            text_format(&sql, "%sSELECT '%s' AS t, EXISTS(SELECT 1 FROM `%s`) AS r",
                        sql.len ? " UNION ALL " : "", k->wanted[i].name, k->wanted[i].name);
    }
    if (!sql.len) {
        next_chunk(t);
        return;
    }
    struct control_query *q = control_query_create();

    control_query_add(q, "USE `%s/%s`", k->name, k->shards[f->shard]);
    control_query_add(q, "%s", sql.at);
    text_free(&sql);
    transition_query(t, q, on_rows);
}

static void take_column(struct transition_facts *f, struct keyspace_facts *k,
                        const struct control_result *r, size_t row)
{
    const char *name = control_result_value(r, row, "table_name");
    const char *column = control_result_value(r, row, "column_name");
    const char *type = control_result_value(r, row, "data_type");

    for (size_t i = 0; name && column && type && i < k->wanted_count; i++) {
        struct table_facts *one = &k->wanted[i];

        if (strcmp(one->name, name) != 0 || one->shards < f->shard)
            continue; /* an earlier shard lacks it */
        if (one->shards == f->shard)
            one->shards++;
        if (f->shard > 0)
            continue; /* the columns are the first shard's */
        one->columns =
            arena_grow(&f->arena, one->columns, one->column_count, sizeof(*one->columns));
        one->columns[one->column_count++] = (struct vschema_fact_column){
            arena_string(&f->arena, column), arena_string(&f->arena, type)};
    }
}

static void on_columns(struct transition *t, const struct control_query *q)
{
    struct keyspace_facts *k = current(t);
    const struct control_result *r = &q->results[1];

    if (q->code) {
        give_up_keyspace(t, q);
        return;
    }
    if (r->rows == CONTROL_ROWS_MAX)
        k->unknown = true; /* there are more */
    for (size_t i = 0; i < r->rows; i++)
        take_column(t->facts, k, r, i);
    ask_rows(t);
}

static void ask_columns(struct transition *t)
{
    struct transition_facts *f = t->facts;
    struct keyspace_facts *k = current(t);
    struct control_query *q = control_query_create();
    struct text names = {NULL, 0, 0};

    for (size_t i = f->chunk * CHUNK; i < chunk_end(f, k); i++)
        text_format(&names, "%s'%s'", names.len ? ", " : "", k->wanted[i].name);
    control_query_add(q, "USE `%s/%s`", k->name, k->shards[f->shard]);
    control_query_add(q,
                      "SELECT table_name, column_name, data_type FROM information_schema.columns "
                      "WHERE table_schema = database() AND table_name IN (%s) "
                      "ORDER BY table_name, ordinal_position",
                      names.at);
    text_free(&names);
    transition_query(t, q, on_columns);
}

static void on_shards(struct transition *t, const struct vtctld_answer *answer)
{
    struct transition_facts *f = t->facts;
    struct keyspace_facts *k = current(t);

    if (answer->status != GRPC_OK) {
        transition_fail_vtctld(t, answer);
        return;
    }
    const Vtctldata__FindAllShardsInKeyspaceResponse *r =
        (const Vtctldata__FindAllShardsInKeyspaceResponse *)answer->message;

    k->shards = arena_alloc(&f->arena, (r->n_shards + 1) * sizeof(*k->shards));
    for (size_t i = 0; i < r->n_shards; i++) {
        k->shards[k->shard_count++] = arena_string(&f->arena, r->shards[i]->key);
        k->unknown = k->unknown || !is_plain(r->shards[i]->key);
    }
    if (!*t->server->config->control_user || !k->shard_count)
        k->unknown = true;
    f->shard = k->unknown || !k->wanted_count ? k->shard_count : 0;
    f->chunk = 0;
    ask_next(t);
}

static void ask_next(struct transition *t)
{
    Vtctldata__FindAllShardsInKeyspaceRequest request =
        VTCTLDATA__FIND_ALL_SHARDS_IN_KEYSPACE_REQUEST__INIT;
    struct transition_facts *f = t->facts;

    if (f->keyspace < f->n && current(t)->shards && f->shard < current(t)->shard_count) {
        ask_columns(t);
        return;
    }
    if (f->keyspace < f->n && current(t)->shards)
        f->keyspace++;
    while (f->keyspace < f->n && !current(t)->wanted_count &&
           strcmp(current(t)->name, t->order.keyspace) != 0)
        f->keyspace++;
    if (f->keyspace == f->n) {
        transition_next(t);
        return;
    }
    request.keyspace = (char *)(uintptr_t)current(t)->name;
    transition_call(t, "FindAllShardsInKeyspace", &request.base, on_shards);
}

void transition_facts(struct transition *t)
{
    struct transition_facts *f = t->facts;

    if (*t->order.keyspace && !find_keyspace(f, t->order.keyspace))
        add_keyspace(f, t->order.keyspace, vschema_clone(t->before.vschema));
    if (t->after.vschema)
        want_vschema(t);
    else
        want_rules(t);
    f->keyspace = f->shard = f->chunk = 0;
    ask_next(t);
}

/* --- the overview ---------------------------------------------------------------------------- */

static struct vschema_fact_keyspace view_keyspace(struct transition_facts *f,
                                                  const struct keyspace_facts *k)
{
    struct vschema_fact_table *tables = arena_alloc(&f->arena, k->wanted_count * sizeof(*tables));
    size_t n = 0;

    for (size_t i = 0; i < k->wanted_count; i++) {
        if (k->wanted[i].shards == k->shard_count && k->shard_count)
            tables[n++] = (struct vschema_fact_table){.name = k->wanted[i].name,
                                                      .columns = k->wanted[i].columns,
                                                      .column_count = k->wanted[i].column_count,
                                                      .rows = k->wanted[i].rows};
    }
    return (struct vschema_fact_keyspace){.name = k->name,
                                          .vschema = k->vschema,
                                          .tables_known = !k->unknown && k->shards,
                                          .tables = tables,
                                          .table_count = k->unknown ? 0 : n,
                                          .shards = k->shard_count};
}

const struct vschema_facts *transition_facts_get(const struct transition *t)
{
    struct transition_facts *f = t->facts;
    struct vschema_fact_keyspace *list = arena_alloc(&f->arena, (f->n + 1) * sizeof(*list));

    for (size_t i = 0; i < f->n; i++)
        list[i] = view_keyspace(f, &f->keyspaces[i]);
    f->view = (struct vschema_facts){.keyspace = t->order.keyspace,
                                     .keyspaces = list,
                                     .keyspace_count = f->n,
                                     .rules = f->rules};
    return &f->view;
}
