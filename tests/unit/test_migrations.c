#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/migrations.h"

static uint64_t add(struct migrations *ms, const char *keyspace, const char *table,
                    const char *uuid)
{
    struct migration_record r = {.started_ms = 1, .shards = 2};

    snprintf(r.keyspace, sizeof(r.keyspace), "%s", keyspace);
    snprintf(r.table, sizeof(r.table), "%s", table);
    snprintf(r.uuid, sizeof(r.uuid), "%s", uuid);
    migrations_add(ms, &r, NULL, 0);
    return r.id;
}

static void mention(struct migrations *ms, uint64_t id, const char *sql)
{
    struct names names;

    names_collect(&names, sql, strlen(sql), true);
    migrations_mention(ms, id, &names);
}

static void related_tables_wait(void **state)
{
    (void)state;
    struct migrations *ms = migrations_create();
    char parent[1][MIGRATION_NAME_MAX] = {"parent"}, first[64];
    uint64_t a = add(ms, "ks", "parent", "uuid-a"), other = add(ms, "ks2", "parent", "uuid-o");
    uint64_t child = add(ms, "ks", "child", ""), free_one = add(ms, "ks", "free", "");
    uint64_t view = add(ms, "ks", "v", "");

    assert_int_equal(migrations_ahead(ms, child, first), 0);
    migrations_relate(ms, child, parent, 1);
    assert_int_equal(migrations_ahead(ms, child, first), 1);
    assert_string_equal(first, "uuid-a");
    assert_int_equal(migrations_ahead(ms, free_one, first), 0);
    mention(ms, view, "CREATE VIEW v AS SELECT * FROM child JOIN x");
    assert_int_equal(migrations_ahead(ms, view, first), 1);
    assert_int_equal(migrations_ahead(ms, other, first), 0); /* another keyspace */
    assert_int_equal(migrations_ahead(ms, a, first), 0);
    assert_true(migrations_conflicts(ms, child, "parent", NULL));
    assert_true(migrations_conflicts(ms, child, "child", NULL));
    assert_false(migrations_conflicts(ms, child, "free", NULL));
    struct names names;

    names_collect(&names, "CREATE VIEW w AS SELECT 1 FROM free", 35, true);
    assert_true(migrations_conflicts(ms, free_one, "w", &names));
    assert_false(migrations_conflicts(ms, child, "w", &names));
    migrations_destroy(ms);
}

/* Who waits for it, too, and leaves, is not the migration's end. */
static void who_sees_to_it_is_found(void **state)
{
    (void)state;
    struct migrations *ms = migrations_create();
    struct migration_record r = {.started_ms = 1, .uuid = "uuid-a"}, found;
    struct migration_record waiting = {.started_ms = 2, .uuid = "uuid-a", .attached = true};
    struct migration_shard *shards;
    size_t n;

    migrations_add(ms, &r, NULL, 0);
    migrations_add(ms, &waiting, NULL, 0);
    for (int ended = 0; ended < 3; ended++) {
        assert_true(migrations_find(ms, "uuid-a", &found, &shards, &n));
        free(shards);
        assert_int_equal(found.id, ended < 2 ? r.id : waiting.id);
        struct migration_record *next = ended == 0 ? &waiting : &r;

        next->ended_ms = 3 + ended;
        migrations_update(ms, next);
    }
    assert_false(migrations_find(ms, "uuid-b", &found, &shards, &n));
    migrations_destroy(ms);
}

/* What a session that is attached to it shows while that one knows better. */
static void the_leader_has_the_stage(void **state)
{
    (void)state;
    struct migrations *ms = migrations_create();
    struct migration_record r = {.started_ms = 1, .uuid = "uuid-a"};
    struct migration_record waiting = {
        .started_ms = 2, .uuid = "uuid-a", .attached = true, .stage = "ready to complete"};
    char stage[MIGRATION_STAGE_MAX];

    migrations_add(ms, &waiting, NULL, 0);
    assert_false(migrations_leader_stage(ms, "uuid-a", stage)); /* it is elsewhere */
    migrations_add(ms, &r, NULL, 0);
    assert_false(migrations_leader_stage(ms, "uuid-a", stage)); /* it does not know yet */
    snprintf(r.stage, sizeof(r.stage), "waiting for window");
    migrations_update(ms, &r);
    assert_false(migrations_leader_stage(ms, "uuid-b", stage));
    assert_true(migrations_leader_stage(ms, "uuid-a", stage));
    assert_string_equal(stage, "waiting for window");
    r.ended_ms = 3;
    migrations_update(ms, &r);
    assert_false(migrations_leader_stage(ms, "uuid-a", stage));
    migrations_destroy(ms);
}

static void wishes_are_for_managed_ones(void **state)
{
    (void)state;
    struct migrations *ms = migrations_create();
    struct migration_record r = {.started_ms = 1, .managed = true, .shards = 2}, found;
    char uuid[64], info[240];
    unsigned count;

    add(ms, "ks", "t", "uuid-plain");
    snprintf(r.keyspace, sizeof(r.keyspace), "ks");
    snprintf(r.uuid, sizeof(r.uuid), "uuid-managed");
    migrations_add(ms, &r, NULL, 0);
    assert_false(migrations_set_wish(ms, "uuid-plain", WISH_NOW, &found));
    assert_false(migrations_set_wish(ms, "", WISH_NOW, &found));
    assert_int_equal(migrations_wish(ms, r.id, &count), WISH_NONE);
    assert_int_equal(count, 0);
    assert_true(migrations_set_wish(ms, "uuid-managed", WISH_LATER, &found));
    assert_int_equal(migrations_wish(ms, r.id, &count), WISH_LATER);
    migrations_update(ms, &r); /* a record that the session puts there leaves it alone */
    assert_true(migrations_set_wish(ms, "uuid-managed", WISH_NOW, &found));
    assert_int_equal(migrations_wish(ms, r.id, &count), WISH_NOW);
    assert_int_equal(count, 2);
    migration_wish_format(&found, info, sizeof(info));
    assert_non_null(strstr(info, "as soon as all shards are ready"));
    assert_true(migrations_any_managed(ms, "ks@primary", uuid));
    assert_string_equal(uuid, "uuid-managed");
    assert_true(migrations_any_managed(ms, "", uuid));
    assert_false(migrations_any_managed(ms, "k", uuid));
    r.ended_ms = 2;
    migrations_update(ms, &r);
    assert_false(migrations_set_wish(ms, "uuid-managed", WISH_NOW, &found));
    assert_false(migrations_any_managed(ms, "ks", uuid));
    migrations_destroy(ms);
}

static void blockers_are_named(void **state)
{
    (void)state;
    struct migration_blockers b = {.n = 0};
    char text[104], small[8];

    migration_blockers_format(&b, text, sizeof(text));
    assert_string_equal(text, "");
    b.n = 2;
    b.sessions[0] = 5;
    b.sessions[1] = 12;
    migration_blockers_format(&b, text, sizeof(text));
    assert_string_equal(text, "5,12");
    b.n = 40;
    for (size_t i = 0; i < MIGRATION_BLOCKERS_MAX; i++)
        b.sessions[i] = 4294967295;
    migration_blockers_format(&b, text, sizeof(text));
    assert_int_equal(strlen(text), 8 * 10 + 7 + 4);
    assert_string_equal(text + strlen(text) - 4, ",...");
    migration_blockers_format(&b, small, sizeof(small));
    assert_string_equal(small, "4294967");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(related_tables_wait), cmocka_unit_test(who_sees_to_it_is_found),
        cmocka_unit_test(the_leader_has_the_stage), cmocka_unit_test(wishes_are_for_managed_ones),
        cmocka_unit_test(blockers_are_named)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
