/* Hints in a statement. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "planner/hint.h"

static void text_of(const struct hints *h, char out[256])
{
    static const char *const WAITS[] = {"", " wait", " nowait"};

    snprintf(out, 256, "%s%.*s%s%.*s%s%s", h->strategy.text ? " s=" : "", (int)h->strategy.len,
             h->strategy.text ? h->strategy.text : "", h->context.text ? " c=" : "",
             (int)h->context.len, h->context.text ? h->context.text : "", WAITS[h->wait],
             h->allow_long_unavailability ? " long" : "");
    for (size_t i = 0; i < RULE_COUNT && h->allow != RULES_ALL; i++) {
        if (h->allow & RULE_BIT(i)) {
            strcat(out, " ");
            strcat(out, preflight_rule_name((enum preflight_rule)i));
        }
    }
    if (h->allow == RULES_ALL)
        strcat(out, " all");
}

static void read(void **state)
{
    (void)state;
    static const struct {
        const char *sql, *found; /* NULL: no hint */
    } cases[] = {
        {"ALTER TABLE t ADD c int", NULL},
        {"/*vtshim wait=no */ ALTER TABLE t ADD c int", " nowait"},
        {"ALTER /*vtshim wait=yes*/ TABLE t ADD c int", " wait"},
        {"  -- x\n# y\n/* z */ ALTER/*vtshim strategy=direct,wait=no*/TABLE", NULL /* see below */},
        {"ALTER TABLE /*vtshim wait=no */ t ADD c int", " nowait"},
        {"ALTER TABLE t ADD c int /*vtshim wait=no */", " nowait"},
        {"ALTER TABLE t ADD c int -- /*vtshim wait=no */", NULL},
        {"ALTER TABLE t ADD c int DEFAULT 1--1 /*vtshim wait=no */", " nowait"},
        {"ALTER TABLE t ADD c int COMMENT '/*vtshim wait=no */'", NULL},
        {"ALTER TABLE t ADD c int COMMENT 'it''s \\' /*vtshim wait=no */'", NULL},
        {"ALTER TABLE t ADD c int COMMENT \"/*vtshim wait=no */", NULL},
        {"ALTER TABLE t ADD `/*vtshim wait=no */` int", NULL},
        {"ALTER TABLE t ADD `a\\` int /*vtshim wait=no */", " nowait"},
        {"ALTER TABLE t /*!80000 ADD c int /*vtshim wait=no */ */", " nowait"},
        {"ALTER TABLE t ADD c int /* it's */ /*vtshim wait=no */", " nowait"},
        {"/*vtshim strategy='vitess --prefer-instant-ddl' context=rel-1.2:a_b */ ALTER",
         " s=vitess --prefer-instant-ddl c=rel-1.2:a_b"},
        {"/*vtshim strategy=\"x y\" */ ALTER", " s=x y"},
        {"/*vtshim allow=rename_table,Foreign-Key allow_long_unavailability */ ALTER",
         " long rename_table foreign_key"},
        {"/*vtshim allow=all*/ALTER", " all"},
        {"/*+ vtshim(wait=no, context=a) */ ALTER", NULL /* see below */},
        {"ALTER /*+ vtshim(wait=no context=a) */ TABLE t", " c=a nowait"},
        {"/*vtshim wait=no */ ALTER /*vtshim context=b */ TABLE t", " c=b nowait"},
        {"/*vtshimwait=no */ ALTER", NULL},
        {"/*! vtshim wait=no */ ALTER", NULL},
        {"/*!80000 vtshim wait=no */ ALTER", NULL},
        {"ALTER /*!99999 vtshim wait=no */ TABLE", " nowait"},
        {"/*!99999", NULL},
        {"/*vtshim wait=no", NULL},
        {"'/*vtshim wait=no */' ALTER", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        size_t len = strlen(cases[i].sql);
        char *copy = malloc(len ? len : 1), got[256];
        struct hints h = {.present = false};

        memcpy(copy, cases[i].sql, len);
        hints_parse(copy, len, &h);
        text_of(&h, got);
        if (strstr(cases[i].sql, "direct,wait"))
            assert_string_equal(got, " s=direct,wait=no"); /* a value goes on to the blank */
        else if (strstr(cases[i].sql, "no, context"))
            assert_true(*h.error); /* "no," */
        else if (h.present != (cases[i].found != NULL) || *h.error ||
                 (cases[i].found && strcmp(got, cases[i].found) != 0))
            fail_msg("%s\n got: %s %s", cases[i].sql, got, h.error);
        free(copy);
    }
}

static void refused(void **state)
{
    (void)state;
    static const struct {
        const char *inside, *error;
    } cases[] = {
        {"strateggy=direct", "strateggy is not known, or lacks its value"},
        {"strategy", "strategy is not known, or lacks its value"},
        {"strategy=", "strategy= takes 1 to 512 bytes"},
        {"wait=maybe", "wait=maybe is neither yes nor no"},
        {"allow=nosuch", "allow=nosuch is no rule of the preflight"},
        {"context=VTShim:a",
         "context= must not begin with vtshim, by which the shim knows its own"},
        {"context=a'b", "context= takes 1 to 60 letters, digits and characters of _:.-"},
        {"strategy='open", "a quote is not closed"},
        {"=x", " is not known, or lacks its value"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char sql[128];
        struct hints h = {.present = false};
        int n = snprintf(sql, sizeof(sql), "/*vtshim %s */ ALTER TABLE t", cases[i].inside);

        hints_parse(sql, (size_t)n, &h);
        assert_string_equal(h.error, cases[i].error);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(read), cmocka_unit_test(refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
