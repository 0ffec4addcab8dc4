/*
 * Any text as a DDL statement, any other (behind a NUL) as the table it is about, through the
 * parser and the rules. Checks what they promise: names inside of the text, parts inside of the
 * list, the same reading twice, and that nothing is refused which was not understood.
 */
#include "planner/hint.h"
#include "planner/preflight.h"
#include "planner/traffic.h"

#include "tests/fuzz/fuzz.h"

static const char CONSTANTS[][8] = {"ADD", "DROP", "REMOVE"}; /* values that are not of the text */

static void check_inside(struct sql_name n, const char *sql, size_t len)
{
    if (n.len == 0)
        return;
    for (size_t i = 0; i < sizeof(CONSTANTS) / sizeof(*CONSTANTS); i++) {
        if (strlen(CONSTANTS[i]) == n.len && memcmp(n.text, CONSTANTS[i], n.len) == 0)
            return;
    }
    CHECK(n.text >= sql && n.text + n.len <= sql + len);
}

static void check_parsed(const struct ddl *d, const char *sql, size_t len)
{
    check_inside(d->table, sql, len);
    check_inside(d->qualifier, sql, len);
    CHECK(d->object != DDL_OBJECT_OTHER || !d->understood);
    for (size_t i = 0; i < d->n; i++) {
        const struct ddl_action *a = &d->actions[i];
        const struct ddl_column *c = &a->column;
        const struct sql_name names[] = {a->name,    a->new_name,  a->value,
                                         a->after,   c->type,      c->arguments,
                                         c->charset, c->collation, c->fallback};

        for (size_t j = 0; j < sizeof(names) / sizeof(*names); j++)
            check_inside(names[j], sql, len);
        CHECK(a->index.first_part + a->index.parts <= d->part_count);
        CHECK(a->kind != DDL_UNKNOWN || !d->understood);
    }
    for (size_t i = 0; i < d->part_count; i++)
        check_inside(d->parts[i], sql, len);
}

static void check_rules(const struct ddl *d, const struct ddl *table, bool online)
{
    static const struct vindex_use uses[] = {{"id", "hash"}};
    static const struct shard_size shards[] = {{"-80", 100, 100}};
    static const struct running_migration running[] = {{"u", "queued", "t"}};
    const struct preflight_facts facts = {
        .keyspace = "ks",
        .table = table,
        .table_missing = !table,
        .online = online,
        .sharded = true,
        .vindexes = uses,
        .vindex_count = 1,
        .sequence = {"v", "seq"},
        .running = running,
        .running_count = 1,
        .refuse_running = true,
        .shards = shards,
        .shard_count = 1,
        .max_rows = 10,
    };
    struct findings f;
    bool possible;

    preflight_check(d, &facts, &f);
    CHECK(d->understood || !preflight_refusal(&f));
    for (size_t i = 0; i < f.n; i++)
        CHECK(f.items[i].rule < RULE_COUNT && strlen(f.items[i].state) == 5);
    enum preflight_way way = preflight_way(d, &facts, &possible);
    CHECK(d->understood || way == WAY_UNKNOWN);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
    size_t len = nul ? (size_t)(nul - data) : size, rest = nul ? size - len - 1 : 0;
    /* Copies, so that the sanitizer sees a read beyond their ends. */
    char *sql = malloc(len ? len : 1), *other = malloc(rest ? rest : 1);

    CHECK(sql && other);
    memcpy(sql, data, len);
    if (rest)
        memcpy(other, nul + 1, rest);
    struct ddl *d = ddl_parse(sql, len), *again = ddl_parse(sql, len);
    struct ddl *table = nul ? ddl_parse(other, rest) : NULL;

    check_parsed(d, sql, len);
    CHECK(d->n == again->n && d->understood == again->understood);
    if (table)
        check_parsed(table, other, rest);
    struct hints hints = {.present = false};
    struct vindex_use sequence;
    uint32_t pairs[TRAFFIC_PAIRS_MAX];

    hints_parse(sql, len, &hints);
    check_inside(hints.strategy, sql, len);
    check_inside(hints.context, sql, len);
    preflight_sequence(sql, len, NULL, 0, &sequence);
    CHECK(traffic_pairs(sql, len, pairs) <= TRAFFIC_PAIRS_MAX);
    check_rules(d, table, true);
    check_rules(d, table, false);
    ddl_free(d);
    ddl_free(again);
    ddl_free(table);
    free(sql);
    free(other);
    return 0;
}
