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
#define ADMIN_COMMAND(words, syntax, help, right, handler) words,
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
        {"explain hold all", "EXPLAIN HOLD"},
        {"show hold 1", "SHOW HOLD"},
        {"wait hold 1", "WAIT HOLD"},
        {"explain", NULL},
        {"drain vtgate 'a'", "DRAIN VTGATE"},
        {"start transaction", "START TRANSACTION"},
        {"select @@version", "SELECT"},
        {"", NULL},
        {"show", NULL},
        {"show tables", "SHOW TABLES"},
        {"show full processlist", "SHOW FULL PROCESSLIST"},
        {"show processlist", "SHOW PROCESSLIST"},
        {"show global variables like 'a%'", "SHOW VARIABLES"},
        {"show session status", "SHOW STATUS"},
        {"show local variables", "SHOW VARIABLES"},
        {"show global holds", NULL},
        {"show global sessions", NULL},
        {"show engines", NULL},
        {"drain", "DRAIN"},
        {"drain;", "DRAIN"},
        {"set ddl.poll_interval_ms = 5", "SET OPTION"},
        {"SET OPTION compression = off", "SET OPTION"},
        {"set compression = 'off'", "SET OPTION"},
        {"set no.such = 1", "SET OPTION"},
        {"set autocommit = 1", "SET"},
        {"set names utf8mb4", "SET"},
        {"set @@session.sql_mode = ''", "SET"},
        {"set session transaction isolation level read committed", "SET"},
        {"kill session 5", "KILL SESSION"},
        {"kill query 5", "KILL"},
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
    {"", "expected ALL, KEYSPACE, TABLE or VTGATE at the end", 0, "", "", "", 0},
    {"some", "expected ALL, KEYSPACE, TABLE or VTGATE near 'some'", 0, "", "", "", 0},
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
    {"all 5", "LOCAL, REASON 'text' near '5'", 0, "", "", "", 0},
    {"all only", "expected READS, WRITES, TRANSACTIONS or DDL at the end", 0, "", "", "", 0},
    {"all only reads,", "expected READS, WRITES, TRANSACTIONS or DDL at the end", 0, "", "", "", 0},
    {"all only all", "expected READS, WRITES, TRANSACTIONS or DDL near 'all'", 0, "", "", "", 0},
    {"all max_wait 0", "expected seconds from 0.001 to 86400 near '0'", 0, "", "", "", 0},
    {"all max_wait 86401", "seconds from 0.001 to 86400 near '86401'", 0, "", "", "", 0},
    {"all max_wait 1e3", "seconds from 0.001 to 86400 near '1e3'", 0, "", "", "", 0},
    {"all ramp 1.2.3", "LOCAL, REASON 'text' near '.3'", 0, "", "", "", 0},
    {"all ramp", "seconds from 0.001 to 86400 at the end", 0, "", "", "", 0},
    {"all rate 0", "expected sessions a second from 1 to 1000000 near '0'", 0, "", "", "", 0},
    {"all rate 2000000", "expected sessions a second from 1 to 1000000 near", 0, "", "", "", 0},
    {"all max_parked x", "expected sessions from 1 to 1000000 near 'x'", 0, "", "", "", 0},
    {"vtgate a", "expected a vtgate in quotes", 0, "", "", "", 0},
    {"vtgate", "expected a vtgate in quotes", 0, "", "", "", 0},
    {"all; all", "expected nothing more near 'all'", 0, "", "", "", 0},
};

static void holds_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(HOLDS); i++) {
        struct lexer lx = over(HOLDS[i].text);
        struct admin_hold said = {.seconds = 60};
        const struct hold *h = &said.hold;
        struct admin_error error;
        char text[ADMIN_ERROR_MAX];

        if (!admin_parse_hold(&lx, MAX_S, &said, &error)) {
            admin_error_format(&error, text);
            if (!HOLDS[i].error || !strstr(text, HOLDS[i].error))
                fail_msg("%s: %s", HOLDS[i].text, text);
            continue;
        }
        if (HOLDS[i].error)
            fail_msg("%s: no error", HOLDS[i].text);
        assert_int_equal(h->scope, HOLDS[i].scope);
        assert_string_equal(h->keyspace, HOLDS[i].keyspace);
        assert_string_equal(h->table, HOLDS[i].table);
        assert_string_equal(h->reason, HOLDS[i].reason);
        assert_int_equal(said.seconds, HOLDS[i].seconds);
    }
}

/* What may follow the scope, in any order. */
static void limits_of_holds_are_read(void **state)
{
    static const struct {
        const char *text;
        struct admin_hold want;
    } cases[] = {
        {"all", {.seconds = 60}},
        {"all sticky", {.seconds = 60, .sticky = true}},
        {"all local", {.seconds = 60, .local = true}},
        {"all only reads", {.seconds = 60, .hold = {.kinds = HOLD_READS}}},
        {"all only writes , ddl for 5", {.seconds = 5, .hold = {.kinds = HOLD_WRITES | HOLD_DDL}}},
        {"all only transactions only reads", {.seconds = 60, .hold = {.kinds = HOLD_READS}}},
        {"all max_wait 0.4", {.seconds = 60, .hold = {.max_wait_ms = 400}}},
        {"all MAX_WAIT 86400", {.seconds = 60, .hold = {.max_wait_ms = 86400000}}},
        {"all max_parked 7;", {.seconds = 60, .hold = {.max_parked = 7}}},
        {"all sticky rate 20 reason 'x' ramp 1.5 ;",
         {.seconds = 60, .sticky = true, .hold = {.rate = 20, .ramp_ms = 1500, .reason = "x"}}},
        {"vtgate 'a:1' max_parked 1000000",
         {.seconds = 60, .hold = {.scope = HOLD_VTGATE, .vtgate = "a:1", .max_parked = 1000000}}},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct lexer lx = over(cases[i].text);
        struct admin_hold said = {.seconds = 60};
        const struct hold *h = &said.hold, *want = &cases[i].want.hold;
        struct admin_error error;

        if (!admin_parse_hold(&lx, MAX_S, &said, &error))
            fail_msg("%s", cases[i].text);
        if (!hold_is_same(h, want) || said.sticky != cases[i].want.sticky ||
            said.local != cases[i].want.local || said.seconds != cases[i].want.seconds ||
            h->max_wait_ms != want->max_wait_ms || h->max_parked != want->max_parked ||
            h->rate != want->rate || h->ramp_ms != want->ramp_ms ||
            strcmp(h->reason, want->reason) != 0)
            fail_msg("%s", cases[i].text);
    }
}

static void waits_and_ids_are_read(void **state)
{
    static const struct {
        const char *text;
        uint64_t id;        /* of WAIT HOLD; 0: an error */
        int64_t timeout_ms; /* -1: none said */
        bool is_id;         /* good for SHOW HOLD, too */
    } cases[] = {
        {"7", 7, -1, true},
        {"7;", 7, -1, true},
        {"7 10", 7, 10000, false},
        {"7 0.25;", 7, 250, false},
        {"0", 0, 0, false},
        {"", 0, 0, false},
        {"all", 0, 0, false},
        {"7 x", 0, 0, false},
        {"7 0", 0, 0, false},
        {"7 8 9", 0, 0, false},
        {"18446744073709551616", UINT64_MAX, -1, true},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct lexer lx = over(cases[i].text), again = lx;
        struct admin_error error;
        int64_t timeout_ms = -1;
        uint64_t id;
        bool ok = admin_parse_wait(&lx, &id, &timeout_ms, &error);

        if (ok != (cases[i].id != 0) ||
            (ok && (id != cases[i].id || timeout_ms != cases[i].timeout_ms)))
            fail_msg("wait hold %s", cases[i].text);
        if (admin_parse_hold_id(&again, &id, &error) != cases[i].is_id)
            fail_msg("show hold %s", cases[i].text);
    }
}

/* Every length around the limits: names are refused, reasons cut between two characters. */
static void lengths_are_bounded(void **state)
{
    (void)state;
    for (size_t n = HOLD_NAME_MAX - 3; n < HOLD_NAME_MAX + 3; n++) {
        char text[200] = "keyspace ";
        struct lexer lx;
        struct admin_hold h = {.seconds = 60};
        struct admin_error error;

        memset(text + 9, 'k', n);
        lx = over(text);
        assert_int_equal(admin_parse_hold(&lx, MAX_S, &h, &error), n < HOLD_NAME_MAX);
    }
    for (size_t blanks = 0; blanks < 3; blanks++) {
        char text[800] = "all reason '";
        struct lexer lx;
        struct admin_hold h = {.seconds = 60};
        struct admin_error error;

        memset(text + 12, ' ', blanks);
        for (size_t i = 0; i < 200; i++)
            strcat(text, "\xe2\x82\xac"); /* the Euro sign */
        strcat(text, "'");
        lx = over(text);
        assert_true(admin_parse_hold(&lx, MAX_S, &h, &error));
        assert_int_equal((strlen(h.hold.reason) - blanks) % 3, 0);
        assert_in_range(strlen(h.hold.reason), HOLD_REASON_MAX - 4, HOLD_REASON_MAX - 1);
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

/* COMPLETE MIGRATION: what may follow. */
static void force_is_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool ok, force;
    } cases[] = {
        {"", true, false},       {";", true, false},      {"FORCE", true, true},
        {"force ;", true, true}, {"FORCE now", false, 0}, {"FORCED", false, 0},
        {"'FORCE'", false, 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct lexer lx = over(cases[i].text);
        struct admin_error error;
        bool force;

        if (admin_parse_force(&lx, &force, &error) != cases[i].ok ||
            (cases[i].ok && force != cases[i].force))
            fail_msg("%s", cases[i].text);
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

static void settings_are_read(void **state)
{
    static const struct {
        const char *text, *key, *value; /* behind SET; value NULL: refused */
    } cases[] = {
        {"hold.max_wait_ms = 5", "hold.max_wait_ms", "5"},
        {"hold . max_wait_ms=5;", "hold.max_wait_ms", "5"},
        {"ddl.queue = refuse", "ddl.queue", "refuse"},
        {"ddl.queue = DEFAULT", "ddl.queue", "wait"},
        {"ddl.policy = 'a,\\'b'", "ddl.policy", "a,'b"},
        {"ddl.policy = ''", "ddl.policy", ""},
        {"a.b = 5 6", NULL, NULL},
        {"a.b 5", NULL, NULL},
        {"a.b =", NULL, NULL},
        {"a. = 5", NULL, NULL},
        {"= 5", NULL, NULL},
        {"a.b = 'x", NULL, NULL},
        {"a.b = (5)", NULL, NULL},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa = 5", NULL, NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        static char key[ADMIN_KEY_MAX], value[ADMIN_SETTING_MAX];
        struct lexer lx = over(cases[i].text);
        struct admin_error error;
        bool ok = admin_parse_set(&lx, key, value, &error);

        if (ok != (cases[i].key != NULL))
            fail_msg("%s", cases[i].text);
        if (ok) {
            assert_string_equal(key, cases[i].key);
            assert_string_equal(value, cases[i].value);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(migrations_are_read),
        cmocka_unit_test(force_is_read),
        cmocka_unit_test(throttles_are_read),
        cmocka_unit_test(kills_are_read),
        cmocka_unit_test(commands_are_found_by_their_words),
        cmocka_unit_test(settings_are_read),
        cmocka_unit_test(no_command_hides_another),
        cmocka_unit_test(holds_are_read),
        cmocka_unit_test(limits_of_holds_are_read),
        cmocka_unit_test(waits_and_ids_are_read),
        cmocka_unit_test(lengths_are_bounded),
        cmocka_unit_test(releases_and_vtgates_are_read),
        cmocka_unit_test(selects_are_read),
        cmocka_unit_test(a_select_has_at_most_so_many_columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
