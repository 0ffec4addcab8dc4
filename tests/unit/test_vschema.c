/* The VSchema as a value: reading, writing, differences, ALTER VSCHEMA. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "planner/vschema_alter.h"
#include "planner/vschema_diff.h"
#include "planner/vschema_text.h"
#include "tests/unit/read_vschema.h"

#define DEMO                                                                                       \
    "{\"sharded\":true,\"vindexes\":{\"hash\":{\"type\":\"hash\"}},"                               \
    "\"tables\":{\"demo\":{\"column_vindexes\":[{\"column\":\"id\",\"name\":\"hash\"}]}}}"

/* Everything that a VSchema can say, as it is written: reading and writing give it back. */
static void whole(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "{\"vindexes\":{},\"tables\":{}}",
        DEMO,
        "{\"sharded\":true,\"vindexes\":{\"l\":{\"type\":\"lookup\",\"params\":{\"from\":\"a\","
        "\"table\":\"ks.l\",\"to\":\"k\"},\"owner\":\"t\"}},\"tables\":{\"s\":{\"type\":"
        "\"sequence\","
        "\"pinned\":\"00\"},\"t\":{\"column_vindexes\":[{\"columns\":[\"a\",\"b\"],\"name\":\"l\"}]"
        ","
        "\"auto_increment\":{\"column\":\"a\",\"sequence\":\"s\"},\"columns\":[{\"name\":\"a\","
        "\"type\":\"ENUM\",\"invisible\":true,\"default\":\"'x'\",\"collation_name\":\"c\","
        "\"size\":3,\"scale\":2,\"nullable\":false,\"values\":[\"x\",\"y\"]}],"
        "\"column_list_authoritative\":true},\"u\":{\"type\":\"reference\",\"source\":\"o.u\"}},"
        "\"require_explicit_routing\":true,\"foreign_key_mode\":\"managed\","
        "\"multi_tenant_spec\":{\"tenant_id_column_name\":\"x\",\"tenant_id_column_type\":"
        "\"INT64\"}}",
        "{\"vindexes\":{},\"tables\":{\"a \\\"quoted\\\\ name\":{}}}",
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct vschema *v = read_vschema(cases[i]), *copy = vschema_clone(v);
        struct text out = {NULL, 0, 0};

        vschema_write(&out, v);
        assert_string_equal(out.at, cases[i]);
        assert_true(vschema_equal(v, copy));
        text_free(&out);
        vschema_free(v);
        vschema_free(copy);
    }
}

static void mistakes(void **state)
{
    (void)state;
    static const struct {
        const char *json, *error;
    } cases[] = {
        {"{", "malformed JSON"},
        {"[]", "must be an object"},
        {"{\"shard\":true}", "shard: unknown key"},
        {"{\"sharded\":1}", "sharded: must be true or false"},
        {"{\"sharded\":true,\"sharded\":true}", "malformed JSON"},
        {"{\"vindexes\":{\"h\":{\"typ\":\"hash\"}}}", "vindexes.h.typ: unknown key"},
        {"{\"vindexes\":{\"h\":{\"params\":{\"a\":1}}}}", "vindexes.h.params.a: must be a string"},
        {"{\"vindexes\":[]}", "vindexes: must be an object"},
        {"{\"tables\":{\"a.b\":{\"x\":1}}}", "tables[\"a.b\"].x: unknown key"},
        {"{\"tables\":{\"t\":{\"column_vindexes\":{}}}}",
         "tables.t.column_vindexes: must be a list"},
        {"{\"tables\":{\"t\":{\"column_vindexes\":[{\"nam\":\"h\"}]}}}",
         "tables.t.column_vindexes[0].nam: unknown key"},
        {"{\"tables\":{\"t\":{\"column_vindexes\":[{\"column\":\"a\",\"columns\":[\"b\"]}]}}}",
         "cannot both be given"},
        {"{\"tables\":{\"t\":{\"columns\":[{\"name\":\"a\",\"type\":\"INTT\"}]}}}",
         "tables.t.columns[0].type: is no type of Vitess"},
        {"{\"tables\":{\"t\":{\"auto_increment\":{\"col\":\"a\"}}}}",
         "tables.t.auto_increment.col: unknown key"},
        {"{\"foreign_key_mode\":\"some\"}", "foreign_key_mode: must be"},
        {"{\"multi_tenant_spec\":{\"tenant_id_column_name\":3}}", "must be a string"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char error[VSCHEMA_JSON_ERROR_SIZE] = "";
        struct vschema *v = vschema_read(cases[i].json, strlen(cases[i].json), error);

        if (v || !strstr(error, cases[i].error))
            fail_msg("%s: \"%s\", not \"%s\"", cases[i].json, error, cases[i].error);
    }
}

/* Reads either spelling that protojson knows. */
static void spellings(void **state)
{
    (void)state;
    struct vschema *a = read_vschema("{\"requireExplicitRouting\":true,\"tables\":{\"t\":{"
                                     "\"columnVindexes\":[{\"columns\":[\"id\"],\"name\":\"h\"}],"
                                     "\"columnListAuthoritative\":true}}}");
    struct vschema *b = read_vschema("{\"require_explicit_routing\":true,\"tables\":{\"t\":{"
                                     "\"column_vindexes\":[{\"column\":\"id\",\"name\":\"h\"}],"
                                     "\"column_list_authoritative\":true}}}");
    /* as vtctldclient GetVSchema writes it */
    struct vschema *c = read_vschema(
        "{\"sharded\":false,\"vindexes\":{},\"tables\":{\"t\":{\"type\":\"\","
        "\"column_vindexes\":[{\"column\":\"id\",\"name\":\"h\",\"columns\":[]}],"
        "\"auto_increment\":null,\"columns\":[],\"pinned\":\"\",\"column_list_authoritative\":"
        "true,\"source\":\"\"}},\"require_explicit_routing\":true,\"foreign_key_mode\":"
        "\"unspecified\",\"multi_tenant_spec\":null}");

    assert_true(vschema_equal(a, b));
    assert_true(vschema_equal(a, c));
    vschema_free(c);
    vschema_free(a);
    vschema_free(b);
}

/* Each change of DEMO: "kind path" of every difference, and the tables that it touches. */
static void differences(void **state)
{
    (void)state;
    static const struct {
        const char *after, *changes, *touched;
    } cases[] = {
        {DEMO, "", ""},
        {"{\"sharded\":true,\"vindexes\":{\"hash\":{\"type\":\"hash\"}},\"tables\":{}}",
         "remove tables.demo;", "demo;"},
        {"{\"sharded\":true,\"vindexes\":{\"hash\":{\"type\":\"xxhash\"}},\"tables\":{\"demo\":{"
         "\"column_vindexes\":[{\"column\":\"id\",\"name\":\"hash\"}]}}}",
         "change vindexes.hash.type;", "demo;"},
        {"{\"sharded\":true,\"vindexes\":{\"hash\":{\"type\":\"hash\"},\"x\":{\"type\":\"xxhash\"}}"
         ","
         "\"tables\":{\"demo\":{\"column_vindexes\":[{\"column\":\"id\",\"name\":\"hash\"}]}}}",
         "add vindexes.x;", ""},
        {"{\"sharded\":true,\"vindexes\":{\"hash\":{\"type\":\"hash\",\"params\":{\"a\":\"\"}}},"
         "\"tables\":{\"demo\":{\"column_vindexes\":[{\"columns\":[\"a\",\"b\"],\"name\":\"hash\"},"
         "{\"column\":\"c\",\"name\":\"hash\"}],\"auto_increment\":{\"column\":\"id\","
         "\"sequence\":\"s\"}},\"more\":{\"type\":\"reference\"}}}",
         "add vindexes.hash.params.a;change tables.demo.column_vindexes[0].columns;"
         "add tables.demo.column_vindexes[1];add tables.demo.auto_increment;add tables.more;",
         "demo;more;"},
        {"{\"vindexes\":{\"hash\":{\"type\":\"hash\"}},\"foreign_key_mode\":\"managed\",\"tables\":"
         "{"
         "\"demo\":{\"column_vindexes\":[{\"column\":\"id\",\"name\":\"hash\"}],\"pinned\":\"00\","
         "\"columns\":[{\"name\":\"id\"}]}}}",
         "change sharded;change foreign_key_mode;add tables.demo.columns[0];"
         "add tables.demo.pinned;",
         "demo;everything;"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct vschema *before = read_vschema(DEMO), *after = read_vschema(cases[i].after);
        struct vschema_diff *d = vschema_diff(before, after);
        struct text changes = {NULL, 0, 0}, touched = {NULL, 0, 0};

        for (size_t k = 0; k < d->n; k++)
            text_format(&changes, "%s %s;", vschema_change_name(d->changes[k].kind),
                        d->changes[k].path);
        for (size_t k = 0; k < d->table_count; k++) {
            text_format(&touched, "%s;", d->tables[k]);
            assert_true(vschema_diff_touches(d, d->tables[k]));
        }
        text_add(&touched, d->everything ? "everything;" : "");
        text_add(&changes, "");
        assert_string_equal(changes.at, cases[i].changes);
        assert_string_equal(touched.at, cases[i].touched);
        assert_int_equal(vschema_diff_touches(d, "other"), d->everything);
        text_free(&changes);
        text_free(&touched);
        vschema_diff_free(d);
        vschema_free(before);
        vschema_free(after);
    }
}

static void names(void **state)
{
    (void)state;
    static const struct {
        const char *text, *keyspace, *table;
    } cases[] = {
        {"t", "", "t"},     {"ks.t", "ks", "t"},  {"`ks`.`t`", "ks", "t"}, {"`a.b`", "", "a.b"},
        {"", NULL, NULL},   {".t", NULL, NULL},   {"ks.", NULL, NULL},     {"a.b.c", NULL, NULL},
        {"`t", NULL, NULL}, {"`t`x", NULL, NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct arena a = {NULL};
        const char *keyspace, *table;
        bool ok = vschema_split_name(&a, cases[i].text, &keyspace, &table);

        if (ok != (cases[i].table != NULL))
            fail_msg("%s", cases[i].text);
        if (ok) {
            assert_string_equal(keyspace, cases[i].keyspace);
            assert_string_equal(table, cases[i].table);
        }
        arena_free(&a);
    }
}

/* Statements on DEMO, apart by ';': what is changed by them, or the error of the last. */
static void alters(void **state)
{
    (void)state;
    static const struct {
        const char *sql, *expected;
    } cases[] = {
        {"alter vschema drop table demo", "remove tables.demo;"},
        {"ALTER VSCHEMA DROP TABLE demo;ALTER VSCHEMA ON demo ADD VINDEX hash(id)", ""},
        {"alter vschema on demo add vindex hash(id) using hash",
         "vindex hash already defined on table demo"},
        {"alter vschema on demo add vindex hash(id) using xxhash",
         "vindex hash is defined differently in keyspace ks"},
        {"alter vschema on ks.new add vindex `hash` (id)", "add tables.new;"},
        {"alter vschema on other.new add vindex hash (id)",
         "the statement is about keyspace other, not ks"},
        {"alter vschema on demo add vindex l (a, b) using lookup with owner=demo, `table`=ks.l, "
         "from='a,b', to=k, write_only=true",
         "add vindexes.l;add tables.demo.column_vindexes[1];"},
        {"alter vschema on demo add vindex none (a)", "vindex none does not exist in keyspace ks"},
        {"alter vschema on demo drop vindex hash", "remove tables.demo;"},
        {"alter vschema on demo drop vindex h", "vindex h not defined in table ks.demo"},
        {"alter vschema create vindex x using xxhash", "add vindexes.x;"},
        {"alter vschema create vindex x using cfc with hash=a, hash=md5;"
         "alter vschema on demo add vindex x(id) using cfc with hash=md5",
         "add vindexes.x;add tables.demo.column_vindexes[1];"},
        {"alter vschema create vindex hash using xxhash",
         "vindex hash already exists in keyspace ks"},
        {"alter vschema drop vindex hash", "vindex hash is still defined on table demo"},
        {"alter vschema on demo drop vindex hash;alter vschema drop vindex hash",
         "remove vindexes.hash;remove tables.demo;"},
        {"alter vschema drop vindex x", "vindex x does not exist in keyspace ks"},
        {"alter vschema add table t", "ADD TABLE: unsupported on sharded keyspace ks"},
        {"alter vschema drop sequence t", "DROP SEQUENCE: unsupported on sharded keyspace ks"},
        {"alter vschema drop table t", "vschema does not contain table t in keyspace ks"},
        {"alter vschema on demo add auto_increment id using lookup.seq",
         "add tables.demo.auto_increment;"},
        {"alter vschema on demo add auto_increment id using s;"
         "alter vschema on demo drop auto_increment",
         ""},
        {"alter vschema on demo drop auto_increment",
         "table demo in keyspace ks has no auto_increment"},
        {"alter vschema on t add auto_increment id using s",
         "vschema does not contain table t in keyspace ks"},
        {"alter vschema", "expected ON, CREATE, ADD or DROP at the end"},
        {"alter vschema on demo add vindex h (", "expected a column at the end"},
        {"alter vschema on demo add vindex h (a) using", "expected a vindex type at the end"},
        {"alter vschema drop table demo now", "expected nothing more near 'now'"},
        {"alter table demo", "expected ALTER VSCHEMA near 'table'"},
        {"alter vschema drop table `demo", "expected a name near 'demo'"},
        {"alter vschema on `t\xc3\xa9` add vindex hash(id)", "add tables[\"t\xc3\xa9\"];"},
        {"alter vschema on `t\xc3` add vindex hash(id)", "the statement is not UTF-8"},
        {"alter vschema on `t\xed\xa0\x80` add vindex hash(id)", "the statement is not UTF-8"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct vschema *before = read_vschema(DEMO), *after = vschema_clone(before);
        char error[VSCHEMA_ALTER_ERROR_SIZE] = "";
        struct text got = {NULL, 0, 0};
        bool ok = true;

        for (const char *at = cases[i].sql; ok && *at; at += strspn(at, ";")) {
            size_t len = strcspn(at, ";");

            ok = vschema_alter(after, "ks", at, len, error);
            at += len;
        }
        struct vschema_diff *d = vschema_diff(before, after);

        text_add(&got, ok ? "" : error);
        for (size_t k = 0; ok && k < d->n; k++)
            text_format(&got, "%s %s;", vschema_change_name(d->changes[k].kind),
                        d->changes[k].path);
        if (strcmp(got.at, cases[i].expected) != 0)
            fail_msg("%s: \"%s\", not \"%s\"", cases[i].sql, got.at, cases[i].expected);
        text_free(&got);
        vschema_diff_free(d);
        vschema_free(before);
        vschema_free(after);
    }
}

/* The first vindex makes an empty keyspace sharded, as in Vitess; sequences live where there is
   none. */
static void alters_unsharded(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"alter vschema add table t", "{\"vindexes\":{},\"tables\":{\"t\":{}}}"},
        {"alter vschema add sequence s",
         "{\"vindexes\":{},\"tables\":{\"s\":{\"type\":\"sequence\"}}}"},
        {"alter vschema create vindex h using hash",
         "{\"sharded\":true,\"vindexes\":{\"h\":{\"type\":\"hash\"}},\"tables\":{}}"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct vschema *v = vschema_create();
        char error[VSCHEMA_ALTER_ERROR_SIZE];
        struct text out = {NULL, 0, 0};

        assert_true(vschema_alter(v, "ks", cases[i][0], strlen(cases[i][0]), error));
        vschema_write(&out, v);
        assert_string_equal(out.at, cases[i][1]);
        text_free(&out);
        vschema_free(v);
    }
}

static void alter_keyspaces(void **state)
{
    (void)state;
    char keyspace[65];
    static const char ON[] = "alter vschema on a.t drop auto_increment";
    static const char NONE[] = "alter vschema drop table t";

    assert_true(vschema_alter_keyspace(ON, strlen(ON), keyspace));
    assert_string_equal(keyspace, "a");
    assert_true(vschema_alter_keyspace(NONE, strlen(NONE), keyspace));
    assert_string_equal(keyspace, "");
    assert_false(vschema_alter_keyspace("alter vschema", 13, keyspace));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole),
        cmocka_unit_test(mistakes),
        cmocka_unit_test(spellings),
        cmocka_unit_test(differences),
        cmocka_unit_test(names),
        cmocka_unit_test(alters),
        cmocka_unit_test(alters_unsharded),
        cmocka_unit_test(alter_keyspaces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
