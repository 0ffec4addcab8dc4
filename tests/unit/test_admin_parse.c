/*
 * The text of admin commands: what each form says, and what is wanted where it does not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/admin_select.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define MAX_S    3600

static const char *const COMMANDS[] = {
#define ADMIN_COMMAND(words, syntax, help, handler) words,
#include "proxy/admin_commands.def"
#undef ADMIN_COMMAND
};

static struct lexer over(const char *text)
{
    struct lexer lx;

    lexer_init(&lx, text, strlen(text));
    return lx;
}

static void commands_are_found_by_their_words(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"help", "HELP"},
        {"  show /* all */ HoLdS ;", "SHOW HOLDS"},
        {"SHOW HELP", "SHOW HELP"},
        {"/*!40101 SET NAMES utf8 */", "SET"},
        {"hold all", "HOLD"},
        {"drain vtgate 'a'", "DRAIN VTGATE"},
        {"start transaction", "START TRANSACTION"},
        {"select @@version", "SELECT"},
        {"", NULL},
        {"show", NULL},
        {"show tables", NULL},
        {"drain", NULL},
        {"start", NULL},
        {"`help`", NULL},
        {"helpme", NULL},
        {"; help", NULL},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct lexer lx = over(cases[i].text);
        struct admin_error error;
        int row = admin_parse_command(&lx, &error);

        if (row < 0 ? cases[i].words != NULL
                    : !cases[i].words || strcmp(COMMANDS[row], cases[i].words) != 0)
            fail_msg("%s", cases[i].text);
    }
}

/* Each row is reached by its own words: no shorter one stands in front of it. */
static void no_command_hides_another(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(COMMANDS); i++) {
        struct lexer lx = over(COMMANDS[i]);
        struct admin_error error;

        assert_int_equal(admin_parse_command(&lx, &error), i);
        assert_true(admin_parse_end(&lx, &error));
    }
}

/* Behind HOLD: either the error's text, or the values. */
static const struct {
    const char *text, *error;
    enum hold_scope scope;
    const char *keyspace, *table, *reason;
    int64_t seconds;
} HOLDS[] = {
    {"all", NULL, HOLD_ALL, "", "", "", 60},
    {"ALL;", NULL, HOLD_ALL, "", "", "", 60},
    {"all for 1", NULL, HOLD_ALL, "", "", "", 1},
    {"all for 3600 ;;", NULL, HOLD_ALL, "", "", "", 3600},
    {"all for 5 for 6", NULL, HOLD_ALL, "", "", "", 6},
    {"all reason 'it''s \\'me\\''", NULL, HOLD_ALL, "", "", "it's 'me'", 60},
    {"all reason \"x\" for 9", NULL, HOLD_ALL, "", "", "x", 9},
    {"keyspace commerce", NULL, HOLD_KEYSPACE, "commerce", "", "", 60},
    {"keyspace `for`", NULL, HOLD_KEYSPACE, "for", "", "", 60},
    {"table ks.t for 2", NULL, HOLD_TABLE, "ks", "t", "", 2},
    {"table `k s` . `t.u`", NULL, HOLD_TABLE, "k s", "t.u", "", 60},
    {"", "expected ALL, KEYSPACE or TABLE at the end", 0, "", "", "", 0},
    {"some", "expected ALL, KEYSPACE or TABLE near 'some'", 0, "", "", "", 0},
    {"keyspace", "expected a keyspace at the end", 0, "", "", "", 0},
    {"keyspace 'ks'", "expected a keyspace near 'ks'", 0, "", "", "", 0},
    {"keyspace ``", "expected a keyspace near ''", 0, "", "", "", 0},
    {"table t", "expected '.' and a table at the end", 0, "", "", "", 0},
    {"table ks.", "expected a table at the end", 0, "", "", "", 0},
    {"all for", "1 to 3600 (hold.max_ttl_s) at the end", 0, "", "", "", 0},
    {"all for 0", "1 to 3600 (hold.max_ttl_s) near '0'", 0, "", "", "", 0},
    {"all for 3601", "1 to 3600 (hold.max_ttl_s) near '3601'", 0, "", "", "", 0},
    {"all for 1e2", "(hold.max_ttl_s) near '1e2'", 0, "", "", "", 0},
    {"all for 18446744073709551617", "near '18446744073709551617'", 0, "", "", "", 0},
    {"all for '5'", "near '5'", 0, "", "", "", 0},
    {"all reason x", "expected the reason in quotes near 'x'", 0, "", "", "", 0},
    {"all reason 'x", "expected the reason in quotes near 'x'", 0, "", "", "", 0},
    {"all 5", "expected FOR seconds, or REASON 'text' near '5'", 0, "", "", "", 0},
    {"all; all", "expected nothing more near 'all'", 0, "", "", "", 0},
};

static void holds_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(HOLDS); i++) {
        struct lexer lx = over(HOLDS[i].text);
        struct hold h = {.reason = ""};
        int64_t seconds = 60;
        struct admin_error error;
        char text[ADMIN_ERROR_MAX];

        if (!admin_parse_hold(&lx, MAX_S, &h, &seconds, &error)) {
            admin_error_format(&error, text);
            if (!HOLDS[i].error || !strstr(text, HOLDS[i].error))
                fail_msg("%s: %s", HOLDS[i].text, text);
            continue;
        }
        if (HOLDS[i].error)
            fail_msg("%s: no error", HOLDS[i].text);
        assert_int_equal(h.scope, HOLDS[i].scope);
        assert_string_equal(h.keyspace, HOLDS[i].keyspace);
        assert_string_equal(h.table, HOLDS[i].table);
        assert_string_equal(h.reason, HOLDS[i].reason);
        assert_int_equal(seconds, HOLDS[i].seconds);
    }
}

/* Every length around the limits: names are refused, reasons cut between two characters. */
static void lengths_are_bounded(void **state)
{
    (void)state;
    for (size_t n = HOLD_NAME_MAX - 3; n < HOLD_NAME_MAX + 3; n++) {
        char text[200] = "keyspace ";
        struct lexer lx;
        struct hold h = {.reason = ""};
        int64_t seconds;
        struct admin_error error;

        memset(text + 9, 'k', n);
        lx = over(text);
        assert_int_equal(admin_parse_hold(&lx, MAX_S, &h, &seconds, &error), n < HOLD_NAME_MAX);
    }
    for (size_t blanks = 0; blanks < 3; blanks++) {
        char text[800] = "all reason '";
        struct lexer lx;
        struct hold h = {.reason = ""};
        int64_t seconds;
        struct admin_error error;

        memset(text + 12, ' ', blanks);
        for (size_t i = 0; i < 200; i++)
            strcat(text, "\xe2\x82\xac"); /* the Euro sign */
        strcat(text, "'");
        lx = over(text);
        assert_true(admin_parse_hold(&lx, MAX_S, &h, &seconds, &error));
        assert_int_equal((strlen(h.reason) - blanks) % 3, 0);
        assert_in_range(strlen(h.reason), HOLD_REASON_MAX - 4, HOLD_REASON_MAX - 1);
    }
}

static void releases_and_vtgates_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool ok;
        uint64_t id;
    } releases[] = {
        {"ALL", true, 0},   {"7;", true, 7},   {"18446744073709551615", true, UINT64_MAX},
        {"0", false, 0},    {"", false, 0},    {"'7'", false, 0},
        {"1.5", false, 0},  {"7 8", false, 0}, {"all all", false, 0},
        {"0x10", false, 0},
    };
    static const struct {
        const char *text, *name;
    } vtgates[] = {
        {"'127.0.0.1:15306'", "127.0.0.1:15306"},
        {"\"a:1\" ;", "a:1"},
        {"'a''b\\n'", "a'b\n"},
        {"''", ""},
        {"a", NULL},
        {"'a", NULL},
        {"'a' b", NULL},
        {"", NULL},
    };

    for (size_t i = 0; i < COUNT(releases); i++) {
        struct lexer lx = over(releases[i].text);
        struct admin_error error;
        uint64_t id = 99;

        if (admin_parse_release(&lx, &id, &error) != releases[i].ok)
            fail_msg("%s", releases[i].text);
        if (releases[i].ok)
            assert_int_equal(id, releases[i].id);
    }
    for (size_t i = 0; i < COUNT(vtgates); i++) {
        struct lexer lx = over(vtgates[i].text);
        struct admin_error error;
        char name[ADMIN_VTGATE_MAX];
        bool ok = admin_parse_vtgate(&lx, name, &error);

        if (ok != (vtgates[i].name != NULL) || (ok && strcmp(name, vtgates[i].name) != 0))
            fail_msg("%s", vtgates[i].text);
    }
}

/* Behind SELECT: the row as "name=value,...", or NULL. */
static void selects_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text, *row;
    } cases[] = {
        {"1", "1=1"},
        {"'a' AS b, 2", "b=a,2=2"},
        {"@@autocommit", "@@autocommit=1"},
        {"@@session.Autocommit LIMIT 1;", "@@session.Autocommit=1"},
        {"USER(), current_user(), database()",
         "USER()=sre@unix,current_user()=sre@unix,database()="},
        {"", NULL},
        {"@@nothing", NULL},
        {"now()", NULL},
        {"user", NULL},
        {"1,", NULL},
        {"1 as", NULL},
        {"1 as 2", NULL},
        {"1 2", NULL},
        {"* from t", NULL},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct admin_column *columns = malloc(ADMIN_SELECT_MAX * sizeof(*columns));
        struct lexer lx = over(cases[i].text);
        struct admin_error error;
        char row[512] = "";
        size_t n;
        bool ok = admin_select_parse(&lx, "sre@unix", columns, &n, &error);

        for (size_t k = 0; ok && k < n; k++) {
            strcat(strcat(row, k ? "," : ""), columns[k].name);
            strcat(strcat(row, "="), columns[k].value);
        }
        if (ok != (cases[i].row != NULL) || (ok && strcmp(row, cases[i].row) != 0))
            fail_msg("%s: %s", cases[i].text, row);
        free(columns);
    }
}

static void a_select_has_at_most_so_many_columns(void **state)
{
    (void)state;
    struct admin_column *columns = malloc(ADMIN_SELECT_MAX * sizeof(*columns));

    for (size_t n = ADMIN_SELECT_MAX - 1; n <= ADMIN_SELECT_MAX + 1; n++) {
        char text[500] = "1";
        struct admin_error error;
        size_t got;

        for (size_t i = 1; i < n; i++)
            strcat(text, ",1");
        struct lexer lx = over(text);

        assert_int_equal(admin_select_parse(&lx, "", columns, &got, &error), n <= ADMIN_SELECT_MAX);
        if (n <= ADMIN_SELECT_MAX)
            assert_int_equal(got, n);
    }
    free(columns);
}

static void migrations_are_read(void **state)
{
    static const struct {
        const char *text, *uuid, *keyspace; /* NULL: refused */
    } rows[] = {
        {"'a1b2_c3-d4'", "a1b2_c3-d4", ""},
        {"\"a1\" IN ks", "a1", "ks"},
        {"'a1' in `k s` FOLLOW", "a1", "k s"},
        {"'a1' FOLLOW", "a1", ""},
        {"a1", NULL, NULL},
        {"''", NULL, NULL},
        {"'a b'", NULL, NULL},
        {"'a''b'", NULL, NULL},
        {"'a1", NULL, NULL},
        {"'a1' IN", NULL, NULL},
        {"'a1' IN 5", NULL, NULL},
        {"'a1' IN `a``b`", NULL, NULL},
        {"'0123456789012345678901234567890123456789012345678901234567890123'", NULL, NULL},
        {"", NULL, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char uuid[ADMIN_UUID_MAX], keyspace[HOLD_NAME_MAX];
        struct admin_error error;
        struct lexer lx;

        lexer_init(&lx, rows[i].text, strlen(rows[i].text));
        assert_int_equal(admin_parse_migration(&lx, uuid, keyspace, &error), rows[i].uuid != NULL);
        if (!rows[i].uuid)
            continue;
        assert_string_equal(uuid, rows[i].uuid);
        assert_string_equal(keyspace, rows[i].keyspace);
    }
}

/* What is let through goes into a statement of the shim as it is. */
static void throttles_are_read(void **state)
{
    static const struct {
        const char *text, *options; /* NULL: refused */
    } rows[] = {
        {"", ""},
        {";", ""},
        {"EXPIRE '10m'", " EXPIRE '10m'"},
        {"ratio 0.5 expire \"1h\";", " EXPIRE '1h' RATIO 0.5"},
        {"EXPIRE '10m''", NULL},
        {"EXPIRE '1; drop'", NULL},
        {"EXPIRE 10", NULL},
        {"RATIO '1'", NULL},
        {"RATIO", NULL},
        {"RATIO 0.00000000000000000000001", NULL},
        {"NOW", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char options[ADMIN_THROTTLE_MAX];
        struct admin_error error;
        struct lexer lx;

        lexer_init(&lx, rows[i].text, strlen(rows[i].text));
        assert_int_equal(admin_parse_throttle(&lx, options, &error), rows[i].options != NULL);
        if (rows[i].options)
            assert_string_equal(options, rows[i].options);
    }
}

static void kills_are_read(void **state)
{
    static const struct {
        const char *text;
        uint32_t id; /* 0: refused */
        bool query;
    } rows[] = {
        {"5", 5, false},
        {"QUERY 5;", 5, true},
        {"connection 7", 7, false},
        {"4294967295", 4294967295u, false},
        {"4294967296", 0, false},
        {"0", 0, false},
        {"QUERY", 0, false},
        {"5 6", 0, false},
        {"'5'", 0, false},
        {"1.5", 0, false},
        {"", 0, false},
        {"99999999999999999999", 0, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct admin_error error;
        uint32_t id;
        bool query;
        struct lexer lx;

        lexer_init(&lx, rows[i].text, strlen(rows[i].text));
        assert_int_equal(admin_parse_kill(&lx, &id, &query, &error), rows[i].id != 0);
        if (rows[i].id) {
            assert_int_equal(id, rows[i].id);
            assert_int_equal(query, rows[i].query);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(migrations_are_read),
        cmocka_unit_test(throttles_are_read),
        cmocka_unit_test(kills_are_read),
        cmocka_unit_test(commands_are_found_by_their_words),
        cmocka_unit_test(no_command_hides_another),
        cmocka_unit_test(holds_are_read),
        cmocka_unit_test(lengths_are_bounded),
        cmocka_unit_test(releases_and_vtgates_are_read),
        cmocka_unit_test(selects_are_read),
        cmocka_unit_test(a_select_has_at_most_so_many_columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
