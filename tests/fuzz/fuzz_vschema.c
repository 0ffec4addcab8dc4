/*
 * A VSchema from any bytes, and any text as ALTER VSCHEMA. Holds: what was read is written as JSON
 * that reads as the same; a copy is the same; the checks read nothing outside of it; what
 * vschema_alter leaves is a VSchema like any other.
 */
#include "planner/vschema_alter.h"
#include "planner/vschema_check.h"
#include "planner/vschema_diff.h"
#include "planner/vschema_text.h"
#include "proxy/vschema_json.h"
#include "tests/fuzz/fuzz.h"

static const char DEMO[] =
    "{\"sharded\":true,\"vindexes\":{\"hash\":{\"type\":\"hash\"}},\"tables\":{\"demo\":{"
    "\"column_vindexes\":[{\"column\":\"id\",\"name\":\"hash\"}]},\"t\":{\"type\":\"reference\"}}}";

static void check(const struct vschema *before, const struct vschema *after)
{
    const struct vschema_fact_keyspace ks = {.name = "ks", .vschema = before, .shards = 2};
    const struct vschema_facts facts = {.keyspace = "ks", .keyspaces = &ks, .keyspace_count = 1};
    struct vschema_diff *diff = vschema_diff(before, after);
    struct vschema_findings found = {.n = 0};

    vschema_check(&facts, before, after, diff, &found);
    CHECK(found.refused <= found.n && found.n > 0);
    for (size_t i = 0; i < diff->table_count; i++)
        CHECK(vschema_diff_touches(diff, diff->tables[i]));
    vschema_findings_free(&found);
    vschema_diff_free(diff);
}

static void check_written(const struct vschema *v)
{
    char error[VSCHEMA_JSON_ERROR_SIZE];
    struct text out = {NULL, 0, 0};
    struct vschema *copy = vschema_clone(v);

    vschema_write(&out, v);
    struct vschema *again = vschema_read(out.at, out.len, error);

    CHECK(again && vschema_equal(v, again) && vschema_equal(v, copy));
    text_free(&out);
    vschema_free(copy);
    vschema_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char error[VSCHEMA_JSON_ERROR_SIZE] = "", alter_error[VSCHEMA_ALTER_ERROR_SIZE] = "";
    struct vschema *demo = vschema_read(DEMO, sizeof(DEMO) - 1, error);
    char *text = (char *)fuzz_copy((const char *)data, size);

    CHECK(demo);
    if (size > 0 && *text == '{') {
        struct vschema *v = vschema_read(text, size, error);

        CHECK(v || *error);
        if (v) {
            check_written(v);
            check(demo, v);
        }
        vschema_free(v);
    } else {
        struct vschema *v = vschema_clone(demo);
        char keyspace[65];

        if (vschema_alter(v, "ks", text, size, alter_error)) {
            CHECK(vschema_alter_keyspace(text, size, keyspace));
            check_written(v);
            check(demo, v);
        } else {
            CHECK(*alter_error);
        }
        vschema_free(v);
    }
    free(text);
    vschema_free(demo);
    return 0;
}
