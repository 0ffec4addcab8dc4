/* The order of a plan's steps: what has to come before what. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "planner/deploy_order.h"
#include "tests/unit/read_vschema.h"

#define HASH       "\"hash\":{\"type\":\"hash\"}"
#define ON(column) "{\"column_vindexes\":[{\"column\":\"" column "\",\"name\":\"hash\"}]}"
#define KS(v, t)   "{\"sharded\":true,\"vindexes\":{" v "},\"tables\":{" t "}}"
#define NOW        KS(HASH, "\"old\":" ON("id"))
#define WITH_NEW   KS(HASH, "\"old\":" ON("id") ",\"new\":" ON("id"))
#define LOOKUP(more)                                                                               \
    "\"l\":{\"type\":\"lookup_unique\",\"params\":{\"table\":\"ks.l\",\"from\":\"c\",\"to\":"      \
    "\"k\"" more "},\"owner\":\"old\"}"
#define OLD_LOOKUP                                                                                 \
    "\"old\":{\"column_vindexes\":[{\"column\":\"id\",\"name\":\"hash\"},{\"column\":\"c\","       \
    "\"name\":"                                                                                    \
    "\"l\"}]}"

/* Steps that begin with '{' are VSchemas, others DDL; "" is the end. */
static const struct {
    const char *steps[4];
    int which; /* from 1 on; 0: the order is right */
    const char *error;
} cases[] = {
    {{"create table new (id bigint primary key)", WITH_NEW}, 0, ""},
    {{WITH_NEW, "create table new (id bigint primary key)"},
     1,
     "it names table 'new', which step 2 creates: DDL comes first"},
    {{WITH_NEW, "create table `New` (id bigint primary key)"}, 1, "DDL comes first"},
    {{"alter table old add column c int", KS(HASH, "\"old\":" ON("c"))}, 0, ""},
    {{KS(HASH, "\"old\":" ON("c")), "alter table old add column c int"},
     1,
     "it uses column 'c' of table 'old', which step 2 adds: DDL comes first"},
    {{KS(HASH, "\"old\":" ON("c")), "alter table old rename column id to c"},
     1,
     "which step 2 adds"},
    {{KS(HASH, ""), "drop table old"}, 0, ""},
    {{"drop table old", KS(HASH, "")},
     1,
     "it drops table 'old', which is in the VSchema until then: a VSchema without it comes first"},
    {{"drop table other, old"}, 1, "it drops table 'old'"},
    {{"drop table other"}, 0, ""},
    {{"alter table old drop column id"}, 1, "it takes away column 'id' of table 'old'"},
    {{"alter table old change id ident bigint"}, 1, "it takes away column 'id'"},
    {{"alter table old change id id bigint unsigned"}, 0, ""},
    {{"alter table old drop column other"}, 0, ""},
    {{KS(HASH, "\"old\":" ON("c")), "alter table old drop column id"}, 0, ""},
    {{"create table l (c int primary key, k varbinary(8))",
      KS(HASH "," LOOKUP(",\"write_only\":\"true\""), OLD_LOOKUP),
      KS(HASH "," LOOKUP(""), OLD_LOOKUP)},
     0,
     ""},
    {{KS(HASH "," LOOKUP(""), OLD_LOOKUP)},
     1,
     "lookup vindex 'l' of table 'old' is read at once: a step before it has to bring it with "
     "\"write_only\": \"true\""},
    {{KS(HASH "," LOOKUP(",\"write_only\":\"true\""), OLD_LOOKUP), "drop table l"},
     2,
     "it drops 'ks.l', the lookup table of vindex 'l'"},
    {{"create table old (id bigint primary key, c int)", KS(HASH "," LOOKUP(""), OLD_LOOKUP)},
     0,
     ""},
    {{"alter table old add column c int nonsense(", "nothing that is understood"}, 0, ""},
};

static void orders(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct vschema *now = read_vschema(NOW), *made[4] = {NULL};
        struct deploy_step steps[4];
        char error[DEPLOY_ORDER_ERROR_SIZE] = "";
        size_t n = 0, which = 0;

        for (; n < 4 && cases[i].steps[n]; n++) {
            bool vschema = cases[i].steps[n][0] == '{';

            made[n] = vschema ? read_vschema(cases[i].steps[n]) : NULL;
            steps[n] = (struct deploy_step){.kind = vschema ? DEPLOY_VSCHEMA : DEPLOY_DDL,
                                            .keyspace = "ks",
                                            .ddl = cases[i].steps[n],
                                            .after = made[n]};
        }
        bool ok = deploy_order_check(now, "ks", steps, n, &which, error);

        if (ok != (cases[i].which == 0) || (!ok && (int)which + 1 != cases[i].which) ||
            (!ok && !strstr(error, cases[i].error)))
            fail_msg("case %zu: step %zu: \"%s\", not step %d: \"%s\"", i, which + 1, error,
                     cases[i].which, cases[i].error);
        for (size_t k = 0; k < 4; k++)
            vschema_free(made[k]);
        vschema_free(now);
    }
}

/* Steps of another keyspace are not this one's. */
static void keyspaces(void **state)
{
    (void)state;
    struct vschema *now = read_vschema(NOW);
    struct deploy_step steps[2] = {
        {.kind = DEPLOY_DDL, .keyspace = "other", .ddl = "drop table old"},
        {.kind = DEPLOY_ROUTING, .keyspace = ""}};
    char error[DEPLOY_ORDER_ERROR_SIZE];
    size_t which;

    assert_true(deploy_order_check(now, "ks", steps, 2, &which, error));
    assert_false(deploy_order_check(now, "other", steps, 2, &which, error));
    vschema_free(now);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(orders),
        cmocka_unit_test(keyspaces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
