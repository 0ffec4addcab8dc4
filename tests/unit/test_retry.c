/* Which errors are met with another try, and which statements may be sent twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "planner/retry.h"
#include "planner/trouble.h"

static const struct retry_limits LIMITS = {
    .budget_ms = 10000,
    .doubtful_ms = 2000,
    .wait_ms = 30000,
    .attempts = 100,
    .first_delay_ms = 10,
    .max_delay_ms = 250,
};

static struct retry_match match(uint16_t number, const char *state, const char *text)
{
    return retry_match(number, state, text, strlen(text));
}

#define TABLET "target: commerce.-80.primary: vttablet: rpc error: code = X desc = "

static void errors(void **state)
{
    (void)state;
    static const struct {
        uint16_t number;
        const char *state, *text, *error; /* NULL: none of the table */
    } cases[] = {
        {1173, "42000", "VT09001: table 'demo' does not have a primary vindex",
         "no_primary_vindex"},
        {1173, "42000", "table 'demo' does not have a primary vindex", "no_primary_vindex"},
        {1173, "HY000", "table 'demo' does not have a primary vindex", NULL},
        {1174, "42000", "table 'demo' does not have a primary vindex", NULL},
        {1049, "42000", "VT05003: unknown database 'x' in vschema", "unknown_keyspace"},
        {1105, "HY000", "table nosuch not found", "table_not_found"},
        {1109, "42S02", "VT05004: table 'x' does not exist", "unknown_table"},
        {1146, "42S02", "VT05005: table 'x' does not exist in keyspace 'ks'", "no_such_table"},
        {1105, "HY000", "VT14004: cannot find keyspace for: x", "no_keyspace"},
        {1054, "42S22", "column 'x' not found in table 't'", "no_column"},
        {1105, "HY000", "VT03019: column x not found", "column_not_found"},
        {1105, "HY000", TABLET "operation not allowed in state NOT_SERVING", "not_serving"},
        {1105, "HY000", TABLET "operation not allowed in state SHUTTING_DOWN (CallerID: a)",
         "shutting_down"},
        {1105, "HY000", TABLET "disallowed due to rule: enforce denied tables (CallerID: a)",
         "denied_tables"},
        {1105, "HY000", TABLET "disallowed due to rule: my own rule", NULL},
        {1105, "HY000", TABLET "buffer timeout after 10s in rule: buffered for cut-over",
         "cutover_timeout"},
        {1105, "HY000", TABLET "wrong tablet type: PRIMARY, want: REPLICA or []",
         "wrong_tablet_type"},
        {1105, "HY000",
         "target: commerce.-80.primary: primary is not serving, there may be a reparent operation "
         "in progress",
         "reparenting"},
        {1105, "HY000",
         "target: commerce.-80.primary: no healthy tablet available for 'keyspace:\"commerce\" "
         "shard:\"-80\" tablet_type:PRIMARY'",
         "no_healthy_tablet"},
        {1815, "HY000", "query select 1 failed after retries: target: c.0.primary: x",
         "denied_tables_thrice"},
        {1146, "42S02", TABLET "Table 'vt_commerce.x' doesn't exist (errno 1146)",
         "mysql_no_table"},
        /* At a commit, with other shards committed: begins otherwise. */
        {1105, "HY000",
         "VT15001: transaction error, issue ROLLBACK and retry the transaction: target: "
         "commerce.-80.primary: vttablet: rpc error: code = X desc = operation not allowed in "
         "state "
         "NOT_SERVING",
         "not_serving"},
        {1105, "HY000",
         "VT15001: transaction error, issue ROLLBACK and retry the transaction: target: "
         "commerce.-80.primary: primary is not serving, there may be a reparent operation in "
         "progress",
         NULL},
        {1105, "HY000",
         "target: aside.-.primary: vttablet: disallowed due to rule: enforce denied tables "
         "(CallerID: a)",
         "denied_tables"},
        {1105, "HY000", TABLET "transaction 12 ended at 2026 (exceeded timeout)", NULL},
        {1105, "HY000", TABLET "connection error: desc = \"transport: error while dialing\"", NULL},
        {1317, "70100", TABLET "context deadline exceeded", NULL},
        {1062, "23000", TABLET "Duplicate entry '1' for key 'PRIMARY'", NULL},
        {1690, "22003", TABLET "BIGINT value is out of range", NULL},
        /* A literal does not pose as an error. */
        {1105, "HY000",
         TABLET "something else: Sql: \"select 'operation not allowed in state NOT_SERVING'\"",
         NULL},
        {1105, "HY000", "syntax error near 'table x not found'", NULL},
        {1105, "HY000", "", NULL},
        {1105, "HY000", "target: ", NULL},
        {1105, "HY000", "target: x", NULL},
        {1105, "HY000", "target: x: vttablet: rpc error: code = ", NULL},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct retry_match m = match(cases[i].number, cases[i].state, cases[i].text);

        if (!cases[i].error)
            assert_int_equal(m.error, RETRY_ERROR_COUNT);
        else if (m.error == RETRY_ERROR_COUNT)
            fail_msg("not found: %s", cases[i].text);
        else
            assert_string_equal(retry_error_name(m.error), cases[i].error);
    }
}

static void targets(void **state)
{
    (void)state;
    struct retry_match m =
        match(1105, "HY000", TABLET "operation not allowed in state NOT_SERVING");

    assert_int_equal(m.target_len, strlen("commerce.-80.primary"));
    assert_memory_equal(m.target, "commerce.-80.primary", m.target_len);
    assert_false(m.several);
    m = match(1105, "HY000",
              TABLET "operation not allowed in state NOT_SERVING\n" TABLET "something else");
    assert_true(m.several);
    m = match(1105, "HY000", "table x not found");
    assert_null(m.target);
}

static void statements(void **state)
{
    (void)state;
    static const struct {
        const char *sql;
        enum retry_statement statement;
    } cases[] = {
        {"SELECT * FROM t", RETRY_READ},
        {"select 1; drop table t", RETRY_READ},
        {"WITH a AS (SELECT 1) SELECT * FROM a", RETRY_READ},
        {"SHOW CREATE TABLE t", RETRY_READ},
        {"insert into t values (1)", RETRY_WRITE},
        {"WITH a AS (SELECT 1) DELETE FROM t", RETRY_WRITE},
        {"update /*vt+ QUERY_TIMEOUT_MS=1 */ t set a=1", RETRY_WRITE},
        {"update /*vt+ multi_shard_autocommit=1 */ t set a=1", RETRY_NEVER},
        {"/*vtshim no_retry */ SELECT 1", RETRY_NEVER},
        {"SELECT /*!99999 vtshim no_retry */ 1", RETRY_NEVER},
        {"insert /*+ vtshim(no_retry) */ into t values (1)", RETRY_NEVER},
        {"CALL p()", RETRY_NEVER},
        {"DO sleep(1)", RETRY_NEVER},
        {"SELECT GET_LOCK('a', 1)", RETRY_NEVER},
        {"ALTER TABLE t ADD c int", RETRY_NEVER},
        {"BEGIN", RETRY_NEVER},
        {"COMMIT", RETRY_NEVER},
        {"SET @a = 1", RETRY_NEVER},
        {"", RETRY_NEVER},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        enum retry_statement found = retry_statement(cases[i].sql, strlen(cases[i].sql), true);

        if (found != cases[i].statement)
            fail_msg("%s: %d", cases[i].sql, (int)found);
        assert_int_equal(retry_statement(cases[i].sql, strlen(cases[i].sql), false), RETRY_NEVER);
    }
}

#define NOT_SERVING "1105 operation not allowed in state NOT_SERVING"
#define NO_TABLET   "1105 no healthy tablet available for 'x'"
#define MYSQL_TABLE "1146 Table 'x' doesn't exist"
#define READ_ONLY   "1290 The MySQL server is running with the --super-read-only option"
#define NO_VINDEX   "1173 table 'x' does not have a primary vindex"
#define NO_TABLE    "1146 table 'x' does not exist in keyspace 'y'"

static struct retry_match short_match(const char *text)
{
    char whole[512];
    unsigned number = 0;

    sscanf(text, "%u", &number);
    bool plan = number == 1173 || strncmp(text, NO_TABLE, 11) == 0;
    const char *sqlstate = number == 1173 ? "42000" : number == 1146 ? "42S02" : "HY000";

    snprintf(whole, sizeof(whole), "%s%s", plan ? "" : TABLET, text + 5);
    struct retry_match m = match((uint16_t)number, sqlstate, whole);

    assert_int_not_equal(m.error, RETRY_ERROR_COUNT);
    assert_int_equal(m.primary, !plan);
    m.target = NULL; /* it points into `whole` */
    return m;
}

static void decisions(void **state)
{
    (void)state;
    const int64_t NOW = 100000;
    static const struct {
        const char *text;
        struct retry_facts facts; /* started_ms: ago; trouble_ms: ago */
        enum retry_action action;
        enum retry_outcome reason;
    } cases[] = {
        {NO_VINDEX, {.statement = RETRY_WRITE}, RETRY_AFTER, 0},
        {NO_VINDEX, {.statement = RETRY_NEVER}, RETRY_PASS, RETRY_OUTCOME_DISABLED},
        {NO_VINDEX,
         {.statement = RETRY_READ, .disabled = true},
         RETRY_PASS,
         RETRY_OUTCOME_DISABLED},
        {NO_VINDEX, {.statement = RETRY_READ, .transition = true}, RETRY_WAIT, 0},
        {NO_VINDEX, {.statement = RETRY_READ, .transition = true, .lasting = true}, RETRY_WAIT, 0},
        {NO_VINDEX,
         {.statement = RETRY_READ, .transition = true, .started_ms = 31000},
         RETRY_PASS,
         RETRY_OUTCOME_BUDGET},
        {NO_VINDEX, {.statement = RETRY_READ, .started_ms = 9700}, RETRY_AFTER, 0},
        {NO_VINDEX,
         {.statement = RETRY_READ, .started_ms = 10000},
         RETRY_PASS,
         RETRY_OUTCOME_BUDGET},
        {NO_VINDEX, {.statement = RETRY_READ, .attempts = 100}, RETRY_PASS, RETRY_OUTCOME_BUDGET},
        {NO_VINDEX, {.statement = RETRY_READ, .lasting = true}, RETRY_PASS, RETRY_OUTCOME_LASTING},
        {NO_VINDEX, {.statement = RETRY_READ, .trouble_ms = 9000}, RETRY_AFTER, 0},
        {NO_VINDEX,
         {.statement = RETRY_READ, .trouble_ms = 10000},
         RETRY_PASS,
         RETRY_OUTCOME_LASTING},
        {NO_VINDEX,
         {.statement = RETRY_READ, .trouble_ms = 10000, .attempts = 1, .started_ms = 5},
         RETRY_AFTER,
         0},
        /* The application's own, as long as nothing else explains it. */
        {NO_TABLE, {.statement = RETRY_READ}, RETRY_PASS, RETRY_OUTCOME_OWN},
        {NO_TABLE, {.statement = RETRY_READ, .suspected = true}, RETRY_AFTER, 0},
        {NO_TABLE, {.statement = RETRY_WRITE, .proven = true}, RETRY_AFTER, 0},
        {NO_TABLE,
         {.statement = RETRY_READ, .suspected = true, .started_ms = 2000},
         RETRY_PASS,
         RETRY_OUTCOME_BUDGET},
        {NO_TABLE, {.statement = RETRY_READ, .transition = true}, RETRY_WAIT, 0},
        /* Refused by a tablet. */
        {NOT_SERVING, {.statement = RETRY_WRITE}, RETRY_AFTER, 0},
        {NOT_SERVING,
         {.statement = RETRY_WRITE, .match = {.several = true}},
         RETRY_PASS,
         RETRY_OUTCOME_UNSAFE},
        {NOT_SERVING, {.statement = RETRY_READ, .match = {.several = true}}, RETRY_AFTER, 0},
        {NO_TABLET, {.statement = RETRY_READ}, RETRY_AFTER, 0},
        {NO_TABLET, {.statement = RETRY_WRITE}, RETRY_PASS, RETRY_OUTCOME_UNSAFE},
        {NO_TABLET,
         {.statement = RETRY_WRITE, .transition = true},
         RETRY_PASS,
         RETRY_OUTCOME_UNSAFE},
        {NO_TABLET,
         {.statement = RETRY_WRITE, .away_before = true},
         RETRY_PASS,
         RETRY_OUTCOME_UNSAFE},
        /* In a transaction. */
        {NO_VINDEX,
         {.statement = RETRY_WRITE, .in_transaction = true, .transactions = true},
         RETRY_AFTER,
         0},
        {NO_VINDEX,
         {.statement = RETRY_WRITE, .in_transaction = true},
         RETRY_PASS,
         RETRY_OUTCOME_DISABLED},
        {NOT_SERVING,
         {.statement = RETRY_READ, .in_transaction = true, .transactions = true},
         RETRY_PASS,
         RETRY_OUTCOME_UNSAFE},
        {NOT_SERVING,
         {.statement = RETRY_WRITE, .in_transaction = true, .transactions = true, .first = true},
         RETRY_AFTER,
         0},
        {NO_TABLET,
         {.statement = RETRY_WRITE, .in_transaction = true, .transactions = true, .first = true},
         RETRY_AFTER,
         0},
        {NOT_SERVING,
         {.statement = RETRY_WRITE, .match = {.wrapped = true}},
         RETRY_PASS,
         RETRY_OUTCOME_UNSAFE},
        {NOT_SERVING,
         {.statement = RETRY_READ, .match = {.wrapped = true}},
         RETRY_PASS,
         RETRY_OUTCOME_UNSAFE},
        {NOT_SERVING,
         {.statement = RETRY_WRITE,
          .match = {.wrapped = true},
          .in_transaction = true,
          .transactions = true,
          .first = true},
         RETRY_PASS,
         RETRY_OUTCOME_UNSAFE},
        {NOT_SERVING,
         {.statement = RETRY_WRITE,
          .match = {.wrapped = true},
          .in_transaction = true,
          .transactions = true,
          .first = true,
          .restartable = true},
         RETRY_AFTER,
         0},
        {MYSQL_TABLE,
         {.statement = RETRY_READ,
          .in_transaction = true,
          .transactions = true,
          .first = true,
          .suspected = true},
         RETRY_PASS,
         RETRY_OUTCOME_UNSAFE},
        /* Refused by MySQL. */
        {READ_ONLY, {.statement = RETRY_READ}, RETRY_AFTER, 0},
        {READ_ONLY, {.statement = RETRY_WRITE}, RETRY_PASS, RETRY_OUTCOME_UNSAFE},
        {READ_ONLY, {.statement = RETRY_WRITE, .one_shard = true}, RETRY_AFTER, 0},
        {MYSQL_TABLE, {.statement = RETRY_READ, .suspected = true}, RETRY_AFTER, 0},
        {MYSQL_TABLE, {.statement = RETRY_READ}, RETRY_PASS, RETRY_OUTCOME_OWN},
        {MYSQL_TABLE,
         {.statement = RETRY_WRITE, .suspected = true},
         RETRY_PASS,
         RETRY_OUTCOME_UNSAFE},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct retry_facts f = cases[i].facts;
        bool several = f.match.several, wrapped = f.match.wrapped;

        f.match = short_match(cases[i].text);
        f.match.several = several;
        f.match.wrapped = wrapped;
        f.now_ms = NOW;
        f.started_ms = NOW - f.started_ms;
        f.trouble_ms = f.trouble_ms ? NOW - f.trouble_ms : 0;
        struct retry_decision d = retry_decide(&f, &LIMITS);

        if (d.action != cases[i].action || (d.action == RETRY_PASS && d.reason != cases[i].reason))
            fail_msg("case %zu (%s): action %d, %s", i, cases[i].text, (int)d.action,
                     d.action == RETRY_PASS ? retry_outcome_name(d.reason) : "-");
    }
}

static void unsure_writes_on_demand(void **state)
{
    (void)state;
    struct retry_limits l = LIMITS;
    struct retry_facts f = {.match = short_match(NO_TABLET), .statement = RETRY_WRITE};

    l.unsure_writes = RETRY_UNSURE_ALWAYS;
    assert_int_equal(retry_decide(&f, &l).action, RETRY_AFTER);
    l.unsure_writes = RETRY_UNSURE_AWAY;
    assert_int_equal(retry_decide(&f, &l).action, RETRY_PASS);
    f.away_before = true;
    assert_int_equal(retry_decide(&f, &l).action, RETRY_AFTER);
}

static void replicas(void **state)
{
    (void)state;
    struct retry_facts f = {.statement = RETRY_READ};

    f.match = match(1105, "HY000",
                    "target: commerce.-80.replica: no healthy tablet available for 'keyspace:x'");
    assert_false(f.match.primary);
    assert_int_equal(retry_decide(&f, &LIMITS).reason, RETRY_OUTCOME_OWN);
    f.suspected = true;
    assert_int_equal(retry_decide(&f, &LIMITS).action, RETRY_AFTER);
}

/* Between half of the step and all of it; the steps double, up to the longest. */
static void delays(void **state)
{
    (void)state;
    struct retry_facts f = {.match = short_match(NO_VINDEX), .statement = RETRY_READ};
    static const int64_t STEPS[] = {10, 20, 40, 80, 160, 250, 250};

    for (size_t i = 0; i < sizeof(STEPS) / sizeof(*STEPS); i++) {
        int64_t least = INT64_MAX, most = 0;

        f.attempts = (unsigned)i;
        for (f.random = 0; f.random < 1000; f.random++) {
            int64_t ms = retry_decide(&f, &LIMITS).delay_ms;

            least = ms < least ? ms : least;
            most = ms > most ? ms : most;
        }
        assert_int_equal(least, STEPS[i] / 2);
        assert_int_equal(most, STEPS[i]);
    }
}

static void troubles(void **state)
{
    (void)state;
    static struct troubles t;
    uint64_t key = trouble_key(1, "ab", 2);

    assert_int_not_equal(key, trouble_key(2, "ab", 2));
    assert_int_equal(trouble_find(&t, key, 100, 1000, 5000).key, 0);
    trouble_note(&t, key, 100, 1000, 5000, false);
    trouble_note(&t, key, 900, 1000, 5000, false);
    struct trouble one = trouble_find(&t, key, 1900, 1000, 5000);

    assert_int_equal(one.first_ms, 100);
    assert_int_equal(one.generation, 1);
    assert_int_equal(t.generation, 1);
    /* Quiet for too long: another one begins. */
    assert_int_equal(trouble_find(&t, key, 1901, 1000, 5000).key, 0);
    trouble_note(&t, key, 1901, 1000, 5000, true);
    one = trouble_find(&t, key, 6901, 1000, 5000);
    assert_int_equal(one.first_ms, 1901);
    assert_int_equal(one.generation, 2);
    assert_true(one.lasting);
    assert_int_equal(trouble_find(&t, key, 6902, 1000, 5000).key, 0);
    trouble_end(&t, key);
    assert_int_equal(trouble_find(&t, key, 1902, 1000, 5000).key, 0);
    /* More than there is room for: the latest are there, none takes another's place for its own. */
    for (uint64_t i = 1; i <= 5000; i++)
        trouble_note(&t, trouble_key(i, "x", 1), 10000 + (int64_t)i, 1000, 5000, false);
    size_t found = 0;

    for (uint64_t i = 1; i <= 5000; i++) {
        one = trouble_find(&t, trouble_key(i, "x", 1), 15000, 10000, 5000);
        if (one.key) {
            assert_int_equal(one.first_ms, 10000 + (int64_t)i);
            found++;
        }
    }
    assert_in_range(found, TROUBLE_ROWS, TROUBLE_ROWS * TROUBLE_WAYS);
    assert_int_not_equal(trouble_find(&t, trouble_key(5000, "x", 1), 15000, 10000, 5000).key, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors),
        cmocka_unit_test(targets),
        cmocka_unit_test(statements),
        cmocka_unit_test(decisions),
        cmocka_unit_test(unsure_writes_on_demand),
        cmocka_unit_test(replicas),
        cmocka_unit_test(delays),
        cmocka_unit_test(troubles),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
