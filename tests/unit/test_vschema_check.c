/* Every check of a VSchema and of routing rules, with the path that it names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "planner/routing.h"
#include "planner/vschema_check.h"
#include "planner/vschema_text.h"
#include "tests/unit/read_vschema.h"

/* Keyspace ks: demo (rows), fresh (no rows), look (a lookup table). In single: seq, empty_seq (no
   row), plain. MySQL has just these. */
static const struct vschema_fact_column COLUMNS[] = {
    {"id", "bigint"}, {"name", "varchar"}, {"amount", "decimal"}, {"keyspace_id", "varbinary"}};
static const struct vschema_fact_table KS_TABLES[] = {{"demo", COLUMNS, 4, ROWS_SOME},
                                                      {"fresh", COLUMNS, 4, ROWS_NONE},
                                                      {"look", COLUMNS, 4, ROWS_SOME},
                                                      {"unseen", COLUMNS, 4, ROWS_UNKNOWN}};
static const struct vschema_fact_table SINGLE_TABLES[] = {{"seq", COLUMNS, 4, ROWS_SOME},
                                                          {"empty_seq", COLUMNS, 4, ROWS_NONE},
                                                          {"plain", COLUMNS, 4, ROWS_SOME}};

#define VINDEXES "\"hash\":{\"type\":\"hash\"},\"xx\":{\"type\":\"xxhash\"}"
#define TABLE(vindex, column)                                                                      \
    "{\"column_vindexes\":[{\"column\":\"" column "\",\"name\":\"" vindex "\"}]}"
#define BEFORE                                                                                     \
    "{\"sharded\":true,\"vindexes\":{" VINDEXES "},\"tables\":{\"demo\":" TABLE(                   \
        "hash", "id") ",\"fresh\":" TABLE("hash", "id") ",\"unseen\":" TABLE("hash", "id") "}}"
#define AFTER(vindexes, tables)                                                                    \
    "{\"sharded\":true,\"vindexes\":{" vindexes "},\"tables\":{" tables "}}"
#define KEEP                                                                                       \
    "\"demo\":" TABLE("hash", "id") ",\"fresh\":" TABLE("hash", "id") ",\"unseen\":" TABLE("hash", \
                                                                                           "id")
#define SINGLE                                                                                     \
    "{\"tables\":{\"seq\":{\"type\":\"sequence\"},\"empty_seq\":{\"type\":\"sequence\"},"          \
    "\"shared\":{}}}"
#define LOOKUP(more)                                                                               \
    "\"l\":{\"type\":\"lookup_unique\",\"params\":{\"table\":\"ks.look\",\"from\":\"name\","       \
    "\"to\":\"keyspace_id\"" more "},\"owner\":\"demo\"}"
#define DEMO_LOOKUP                                                                                \
    "\"demo\":{\"column_vindexes\":[{\"column\":\"id\",\"name\":\"hash\"},{\"column\":\"name\","   \
    "\"name\":\"l\"}]}"

/* "rule path;" of each finding, '!' before those that refuse. */
static char *list(const struct vschema_findings *f)
{
    struct text out = {NULL, 0, 0};

    for (size_t i = 0; i < f->n; i++)
        text_format(&out, "%s%s %s;", f->items[i].refuse ? "!" : "",
                    vschema_rule_name(f->items[i].rule), f->items[i].path);
    return text_take(&out);
}

struct world {
    struct vschema *before, *single;
    struct vschema_fact_keyspace keyspaces[2];
    struct vschema_facts facts;
};

static void world_make(struct world *w, const char *before)
{
    w->before = read_vschema(before);
    w->single = read_vschema(SINGLE);
    w->keyspaces[0] = (struct vschema_fact_keyspace){.name = "ks",
                                                     .vschema = w->before,
                                                     .tables_known = true,
                                                     .tables = KS_TABLES,
                                                     .table_count = 4,
                                                     .shards = 2};
    w->keyspaces[1] = (struct vschema_fact_keyspace){.name = "single",
                                                     .vschema = w->single,
                                                     .tables_known = true,
                                                     .tables = SINGLE_TABLES,
                                                     .table_count = 3,
                                                     .shards = 1};
    w->facts =
        (struct vschema_facts){.keyspace = "ks", .keyspaces = w->keyspaces, .keyspace_count = 2};
}

static void world_free(struct world *w)
{
    vschema_free(w->before);
    vschema_free(w->single);
}

static void checks(void **state)
{
    (void)state;
    static const struct {
        const char *after, *expected;
    } cases[] = {
        {BEFORE, ""},
        /* vindexes */
        {AFTER(VINDEXES ",\"v\":{\"type\":\"hsah\"}", KEEP), "!vindex_type vindexes.v.type;"},
        {AFTER(VINDEXES ",\"v\":{}", KEEP), "!vindex_type vindexes.v.type;"},
        {AFTER(VINDEXES ",\"v\":{\"type\":\"hash\",\"params\":{\"a\":\"b\"}}", KEEP),
         "!vindex_params vindexes.v.params.a;"},
        {AFTER(VINDEXES ",\"v\":{\"type\":\"lookup\",\"params\":{\"write_only\":\"yes\",\"table\":"
                        "\"ks.look\",\"from\":\"name\",\"to\":\"id\"}}",
               KEEP ",\"look\":" TABLE("hash", "id")),
         "!vindex_params vindexes.v.params.write_only;"},
        {AFTER(VINDEXES ",\"v\":{\"type\":\"lookup\",\"params\":{\"from\":\"name\"}}", KEEP),
         "!vindex_params vindexes.v.params.table;!vindex_params vindexes.v.params.to;"},
        {AFTER(VINDEXES ",\"v\":{\"type\":\"cfc\",\"params\":{\"hash\":\"md5\"}}", KEEP),
         "!vindex_params vindexes.v.params.offsets;"},
        {AFTER(VINDEXES ",\"v\":{\"type\":\"multicol\",\"params\":{\"column_count\":\"9\"}}", KEEP),
         "!vindex_params vindexes.v.params.column_count;"},
        {AFTER(VINDEXES ",\"v\":{\"type\":\"numeric_static_map\"}", KEEP),
         "!vindex_params vindexes.v.params.json;"},
        {AFTER(VINDEXES ",\"v\":{\"type\":\"region_experimental\",\"params\":{\"region_bytes\":"
                        "\"3\"}}",
               KEEP),
         "!vindex_params vindexes.v.params.region_bytes;"},
        {AFTER(VINDEXES ",\"v\":{\"type\":\"xxhash\",\"owner\":\"demo\"}", KEEP),
         "!vindex_owner vindexes.v.owner;"},
        /* lookups */
        {AFTER(VINDEXES "," LOOKUP(",\"write_only\":\"true\""),
               DEMO_LOOKUP ",\"fresh\":" TABLE("hash", "id") ",\"unseen\":" TABLE(
                   "hash", "id") ",\"look\":" TABLE("xx", "name")),
         ""},
        {AFTER(VINDEXES "," LOOKUP(""),
               DEMO_LOOKUP ",\"fresh\":" TABLE("hash", "id") ",\"unseen\":" TABLE(
                   "hash", "id") ",\"look\":" TABLE("xx", "name")),
         "!lookup_backfill tables.demo.column_vindexes[1];"},
        {AFTER(VINDEXES "," LOOKUP(",\"write_only\":\"true\""),
               DEMO_LOOKUP ",\"fresh\":" TABLE("hash", "id") ",\"unseen\":" TABLE("hash", "id")),
         "!lookup_table vindexes.l.params.table;"},
        {AFTER(VINDEXES ",\"l\":{\"type\":\"lookup\",\"params\":{\"table\":\"single.plain\","
                        "\"from\":\"nam\",\"to\":\"ksid\"}}",
               KEEP),
         "!lookup_table vindexes.l.params.from;!lookup_table vindexes.l.params.to;"},
        {AFTER(VINDEXES ",\"l\":{\"type\":\"lookup\",\"params\":{\"table\":\"nowhere.t\",\"from\":"
                        "\"name\",\"to\":\"id\"}}",
               KEEP),
         "!lookup_table vindexes.l.params.table;"},
        {AFTER(VINDEXES ",\"l\":{\"type\":\"lookup\",\"params\":{\"table\":\"single.plain\","
                        "\"from\":\"name\",\"to\":\"id\"},\"owner\":\"gone\"}",
               KEEP),
         "!vindex_owner vindexes.l.owner;"},
        {AFTER(VINDEXES ",\"l\":{\"type\":\"lookup\",\"params\":{\"table\":\"single.plain\","
                        "\"from\":\"name\",\"to\":\"id\"},\"owner\":\"demo\"}",
               KEEP),
         "!vindex_owner vindexes.l.owner;"},
        /* tables */
        {AFTER(VINDEXES, KEEP ",\"look\":{\"type\":\"view\","
                              "\"column_vindexes\":[{\"column\":"
                              "\"id\",\"name\":\"hash\"}]}"),
         "!table_type tables.look.type;"},
        {AFTER(VINDEXES, KEEP ",\"look\":{\"type\":\"sequence\"}"),
         "!table_type tables.look.type;!primary_vindex tables.look;"},
        {AFTER(VINDEXES, KEEP ",\"look\":{\"type\":\"sequence\",\"pinned\":\"0\"}"),
         "!pinned tables.look.pinned;"},
        {AFTER(VINDEXES, KEEP ",\"none\":" TABLE("hash", "id")), "!table_missing tables.none;"},
        {AFTER(VINDEXES, "\"fresh\":" TABLE("hash", "id") ",\"unseen\":" TABLE("hash", "id")),
         "table_dropped tables.demo;"},
        {AFTER(VINDEXES, KEEP ",\"look\":{}"), "!primary_vindex tables.look;"},
        {AFTER(VINDEXES, KEEP ",\"look\":{\"type\":\"reference\"}"), ""},
        {AFTER(VINDEXES ",\"l\":{\"type\":\"lookup\",\"params\":{\"table\":\"single.plain\","
                        "\"from\":\"name\",\"to\":\"id\"}}",
               KEEP ",\"look\":" TABLE("l", "name")),
         "!primary_vindex tables.look.column_vindexes[0];"},
        {AFTER(VINDEXES ",\"l\":{\"type\":\"lookup_unique\",\"params\":{\"table\":\"single.plain\","
                        "\"from\":\"name\",\"to\":\"id\",\"write_only\":\"true\"},\"owner\":"
                        "\"look\"}",
               KEEP ",\"look\":" TABLE("l", "name")),
         "!primary_vindex tables.look.column_vindexes[0];"},
        {AFTER(VINDEXES, KEEP ",\"look\":" TABLE("hahs", "id")),
         "!column_vindex tables.look.column_vindexes[0].name;"},
        {AFTER(VINDEXES, KEEP ",\"look\":{\"column_vindexes\":[{\"name\":\"hash\"}]}"),
         "!column_vindex tables.look.column_vindexes[0].columns;"},
        {AFTER(VINDEXES, KEEP ",\"look\":{\"column_vindexes\":[{\"columns\":[\"id\",\"name\"],"
                              "\"name\":\"xx\"}]}"),
         "!column_vindex tables.look.column_vindexes[0].columns;"},
        {AFTER(VINDEXES, KEEP ",\"look\":{\"column_vindexes\":[{\"column\":\"id\",\"name\":"
                              "\"hash\"},{\"column\":\"id\",\"name\":\"hash\"}]}"),
         "!column_vindex tables.look.column_vindexes[1];"},
        {AFTER(VINDEXES ",\"m\":{\"type\":\"multicol\",\"params\":{\"column_count\":\"2\"}}",
               KEEP ",\"look\":{\"column_vindexes\":[{\"column\":\"id\",\"name\":\"hash\"},"
                    "{\"columns\":[\"id\",\"name\"],\"name\":\"m\"}]}"),
         "!column_vindex tables.look.column_vindexes[1];"},
        {AFTER(VINDEXES, KEEP ",\"look\":" TABLE("hash", "idd")),
         "!column_missing tables.look.column_vindexes[0].columns[0];"},
        {AFTER(VINDEXES, KEEP ",\"look\":" TABLE("hash", "ID")), ""},
        {AFTER(VINDEXES, KEEP ",\"look\":" TABLE("hash", "name")),
         "!column_type tables.look.column_vindexes[0].columns[0];"},
        {AFTER(VINDEXES ",\"u\":{\"type\":\"unicode_loose_md5\"}",
               KEEP ",\"look\":" TABLE("u", "amount")),
         "!column_type tables.look.column_vindexes[0].columns[0];"},
        {AFTER(VINDEXES, KEEP ",\"look\":{\"type\":\"reference\",\"columns\":[{\"name\":\"a\"},"
                              "{\"name\":\"A\"},{\"name\":\"b\",\"type\":99}]}"),
         "!column_list tables.look.columns[1];!column_list tables.look.columns[2].type;"},
        {AFTER(VINDEXES, KEEP ",\"shared\":{\"type\":\"reference\"}"),
         "!table_missing tables.shared;!ambiguous tables.shared;"},
        /* the primary vindex */
        {AFTER(VINDEXES, "\"demo\":" TABLE("xx", "id") ",\"fresh\":" TABLE(
                             "hash", "id") ",\"unseen\":" TABLE("hash", "id")),
         "!primary_changed tables.demo.column_vindexes[0];"},
        {AFTER(VINDEXES, "\"demo\":" TABLE("hash", "id") ",\"fresh\":" TABLE(
                             "xx", "name") ",\"unseen\":" TABLE("hash", "id")),
         ""},
        {AFTER(VINDEXES, "\"demo\":" TABLE("hash", "id") ",\"fresh\":" TABLE(
                             "hash", "id") ",\"unseen\":" TABLE("xx", "id")),
         "!primary_changed tables.unseen.column_vindexes[0];"},
        {AFTER("\"hash\":{\"type\":\"xxhash\"},\"xx\":{\"type\":\"xxhash\"}", KEEP),
         "!primary_changed tables.demo.column_vindexes[0];"
         "!primary_changed tables.unseen.column_vindexes[0];"},
        {AFTER(VINDEXES ",\"same\":{\"type\":\"hash\"}",
               "\"demo\":" TABLE("same", "id") ",\"fresh\":" TABLE(
                   "hash", "id") ",\"unseen\":" TABLE("hash", "id")),
         ""},
        /* sequences and references */
        {AFTER(VINDEXES, KEEP ",\"look\":{\"column_vindexes\":[{\"column\":\"id\",\"name\":"
                              "\"hash\"}],\"auto_increment\":{\"column\":\"id\",\"sequence\":"
                              "\"single.seq\"}}"),
         ""},
        {AFTER(VINDEXES, KEEP ",\"look\":{\"column_vindexes\":[{\"column\":\"id\",\"name\":"
                              "\"hash\"}],\"auto_increment\":{\"column\":\"idd\",\"sequence\":"
                              "\"single.sq\"}}"),
         "!sequence tables.look.auto_increment.sequence;"
         "!column_missing tables.look.auto_increment.column;"},
        {AFTER(VINDEXES, KEEP ",\"look\":{\"column_vindexes\":[{\"column\":\"id\",\"name\":"
                              "\"hash\"}],\"auto_increment\":{\"column\":\"id\",\"sequence\":"
                              "\"single.plain\"}}"),
         "!sequence tables.look.auto_increment.sequence;"},
        {AFTER(VINDEXES, KEEP ",\"look\":{\"column_vindexes\":[{\"column\":\"id\",\"name\":"
                              "\"hash\"}],\"auto_increment\":{\"column\":\"id\",\"sequence\":"
                              "\"empty_seq\"}}"),
         "!sequence tables.look.auto_increment.sequence;"},
        {AFTER(VINDEXES, KEEP ",\"look\":{\"type\":\"reference\",\"source\":\"single.plain\"}"),
         ""},
        {AFTER(VINDEXES, KEEP ",\"look\":{\"type\":\"reference\",\"source\":\"plain\"}"),
         "!reference tables.look.source;"},
        {AFTER(VINDEXES, KEEP ",\"look\":{\"type\":\"reference\",\"source\":\"single.gone\"}"),
         "!reference tables.look.source;"},
        {AFTER(VINDEXES, KEEP ",\"look\":{\"column_vindexes\":[{\"column\":\"id\",\"name\":"
                              "\"hash\"}],\"source\":\"single.plain\"}"),
         "!reference tables.look.source;"},
        /* the keyspace */
        {"{\"vindexes\":{" VINDEXES "},\"tables\":{" KEEP "}}", "!unsharding sharded;"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct world w;

        world_make(&w, BEFORE);
        struct vschema *after = read_vschema(cases[i].after);
        struct vschema_diff *diff = vschema_diff(w.before, after);
        struct vschema_findings found = {.n = 0};

        vschema_check(&w.facts, w.before, after, diff, &found);
        char *got = list(&found);

        if (strcmp(got, cases[i].expected) != 0)
            fail_msg("case %zu: \"%s\", not \"%s\"", i, got, cases[i].expected);
        free(got);
        vschema_findings_free(&found);
        vschema_diff_free(diff);
        vschema_free(after);
        world_free(&w);
    }
}

/* A lookup vindex that was write-only until now may route: whoever says so has filled it. */
static void externalised(void **state)
{
    (void)state;
    struct world w;

    world_make(&w, AFTER(VINDEXES "," LOOKUP(",\"write_only\":\"true\""),
                         DEMO_LOOKUP ",\"look\":" TABLE("xx", "name")));
    struct vschema *after =
        read_vschema(AFTER(VINDEXES "," LOOKUP(""), DEMO_LOOKUP ",\"look\":" TABLE("xx", "name")));
    struct vschema_diff *diff = vschema_diff(w.before, after);
    struct vschema_findings found = {.n = 0};

    assert_int_equal(diff->n, 1);
    vschema_check(&w.facts, w.before, after, diff, &found);
    assert_int_equal(found.n, 0);
    vschema_findings_free(&found);
    vschema_diff_free(diff);
    vschema_free(after);
    world_free(&w);
}

/* What is not known is said; what a rule leads to stays; a rule can be allowed. */
static void circumstances(void **state)
{
    (void)state;
    struct world w;

    world_make(&w, BEFORE);
    struct routing_rules *rules =
        read_rules("{\"rules\":[{\"from_table\":\"other.t\",\"to_tables\":[\"ks.demo\"]}]}");
    struct vschema *after = read_vschema(
        AFTER(VINDEXES, "\"fresh\":" TABLE("xx", "id") ",\"unseen\":" TABLE("hash", "id")));
    struct vschema_diff *diff = vschema_diff(w.before, after);
    struct vschema_findings found = {.n = 0};
    const char *unknown;
    size_t len;

    w.keyspaces[0].tables_known = false;
    w.keyspaces[0].tables = NULL;
    w.keyspaces[0].table_count = 0;
    w.facts.rules = rules;
    assert_true(vschema_allow(&found, "routed,unsharding", &unknown, &len));
    vschema_check(&w.facts, w.before, after, diff, &found);
    char *got = list(&found);

    assert_string_equal(got, "!primary_changed tables.fresh.column_vindexes[0];"
                             "table_dropped tables.demo;routed tables.demo;unchecked ;");
    assert_int_equal(found.refused, 1);
    free(got);
    assert_false(vschema_allow(&found, "routed, unsharted", &unknown, &len));
    assert_int_equal(len, 9);
    assert_memory_equal(unknown, "unsharted", 9);
    assert_true(vschema_allow(&found, "all", &unknown, &len));
    assert_true(found.allowed[VSCHEMA_RULE_ambiguous]);
    vschema_findings_free(&found);
    routing_free(rules);
    vschema_diff_free(diff);
    vschema_free(after);
    world_free(&w);
}

static void rules(void **state)
{
    (void)state;
    static const struct {
        const char *rules, *expected;
    } cases[] = {
        {"[]", ""},
        {"[{\"from_table\":\"t\",\"to_tables\":[\"ks.demo\"]},"
         "{\"from_table\":\"single.t@replica\",\"to_tables\":[\"ks.demo\"]},"
         "{\"from_table\":\"ks.demo\",\"to_tables\":[\"ks.demo\"]}]",
         ""},
        {"[{\"from_table\":\"t\",\"to_tables\":[\"demo\"]}]", "!rule_form rules[0].to_tables[0];"},
        {"[{\"from_table\":\"t\",\"to_tables\":[\"ks.demo\",\"ks.fresh\"]}]",
         "!rule_form rules[0].to_tables;"},
        {"[{\"from_table\":\"t@boss\",\"to_tables\":[\"ks.demo\"]}]",
         "!rule_form rules[0].from_table;"},
        {"[{\"from_table\":\"a.b.c\",\"to_tables\":[\"ks.demo\"]}]",
         "!rule_form rules[0].from_table;"},
        {"[{\"from_table\":\"t\",\"to_tables\":[\"ks.demo\"]},{\"from_table\":\"t\",\"to_tables\":"
         "[\"ks.fresh\"]}]",
         "!rule_form rules[1].from_table;"},
        {"[{\"from_table\":\"t\",\"to_tables\":[\"nowhere.demo\"]}]",
         "!rule_target rules[0].to_tables[0];"},
        {"[{\"from_table\":\"t\",\"to_tables\":[\"ks.gone\"]}]",
         "!rule_target rules[0].to_tables[0];"},
        {"[{\"from_table\":\"t\",\"to_tables\":[\"single.gone\"]}]",
         "!rule_target rules[0].to_tables[0];"},
        {"[{\"from_table\":\"ks.demo\",\"to_tables\":[\"single.plain\"]},"
         "{\"from_table\":\"single.plain\",\"to_tables\":[\"ks.demo\"]}]",
         "!rule_circle rules[0];!rule_circle rules[1];"},
        {"[{\"from_table\":\"t\",\"to_tables\":[]}]", ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct world w;
        struct vschema_findings found = {.n = 0};
        struct text json = {NULL, 0, 0};

        world_make(&w, BEFORE);
        text_format(&json, "{\"rules\":%s}", cases[i].rules);
        struct routing_rules *r = read_rules(json.at);

        routing_check(&w.facts, r, &found);
        char *got = list(&found);

        if (strcmp(got, cases[i].expected) != 0)
            fail_msg("%s: \"%s\", not \"%s\"", cases[i].rules, got, cases[i].expected);
        free(got);
        text_free(&json);
        vschema_findings_free(&found);
        routing_free(r);
        world_free(&w);
    }
}

static void rule_differences(void **state)
{
    (void)state;
    struct routing_rules *before =
        read_rules("{\"rules\":[{\"from_table\":\"t\",\"to_tables\":[\"a.t\"]},"
                   "{\"from_table\":\"b.t@replica\",\"to_tables\":[\"a.t\"]},"
                   "{\"from_table\":\"same\",\"to_tables\":[\"a.same\"]}]}");
    struct routing_rules *after =
        read_rules("{\"rules\":[{\"fromTable\":\"same\",\"toTables\":[\"a.same\"]},"
                   "{\"from_table\":\"t\",\"to_tables\":[\"b.t\"]},"
                   "{\"from_table\":\"c.t\",\"to_tables\":[\"b.t\"]}]}");
    struct vschema_diff *d = routing_diff(before, after);
    struct text out = {NULL, 0, 0};

    for (size_t i = 0; i < d->n; i++)
        text_format(&out, "%s %s %s %s;", vschema_change_name(d->changes[i].kind),
                    d->changes[i].path, d->changes[i].before, d->changes[i].after);
    for (size_t i = 0; i < d->table_count; i++)
        text_format(&out, "%s;", d->tables[i]);
    assert_string_equal(out.at, "change rules[\"t\"] [\"a.t\"] [\"b.t\"];"
                                "remove rules[\"b.t@replica\"] [\"a.t\"] ;"
                                "add rules[\"c.t\"]  [\"b.t\"];a.t;b.t;c.t;t;");
    text_free(&out);
    routing_write(&out, after);
    assert_string_equal(out.at, "{\"rules\":[{\"from_table\":\"same\",\"to_tables\":[\"a.same\"]},"
                                "{\"from_table\":\"t\",\"to_tables\":[\"b.t\"]},"
                                "{\"from_table\":\"c.t\",\"to_tables\":[\"b.t\"]}]}");
    text_free(&out);
    vschema_diff_free(d);
    routing_free(before);
    routing_free(after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checks),           cmocka_unit_test(externalised),
        cmocka_unit_test(circumstances),    cmocka_unit_test(rules),
        cmocka_unit_test(rule_differences),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
