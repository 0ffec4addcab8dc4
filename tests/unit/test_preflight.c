/* Each rule of the preflight: {statement, the table as it is, other facts, what is found}. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "planner/preflight.h"

#define T                                                                                          \
    "CREATE TABLE `t` (`id` bigint NOT NULL, `v` int DEFAULT NULL, `w` varchar(32) NOT NULL, "     \
    "`e` enum('a','b') NOT NULL, `n` varchar(9), PRIMARY KEY (`id`), KEY `by_v` (`v`), "           \
    "KEY `hidden` (`w`) /*!80000 INVISIBLE */) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4"

struct test {
    const char *sql, *table;
    const char *found; /* rule names, "!" before one that refuses, in order */
    uint16_t code;     /* of the first */
    const char *state, *text;
};

static bool used(void *arg, struct sql_name table, struct sql_name column)
{
    return ddl_same_name(table, (struct sql_name){"t", 1}) &&
           ddl_same_name(column, (struct sql_name){arg, strlen(arg)});
}

static void check(const struct test *c, struct preflight_facts facts)
{
    struct ddl *d = ddl_parse(c->sql, strlen(c->sql));
    struct ddl *table = c->table ? ddl_parse(c->table, strlen(c->table)) : NULL;
    struct findings f;
    char got[512] = "";

    facts.table = table;
    facts.keyspace = "ks";
    preflight_check(d, &facts, &f);
    for (size_t i = 0; i < f.n; i++) {
        size_t at = strlen(got);

        snprintf(got + at, sizeof(got) - at, "%s%s%s", i ? " " : "", f.items[i].refuse ? "!" : "",
                 preflight_rule_name(f.items[i].rule));
    }
    if (strcmp(got, c->found) != 0)
        fail_msg("%s\n got: %s (%s)\nwant: %s", c->sql, got, f.n ? f.items[0].text : "", c->found);
    if (c->code) {
        assert_int_equal(f.items[0].code, c->code);
        assert_string_equal(f.items[0].state, c->state);
        assert_string_equal(f.items[0].text, c->text);
    }
    ddl_free(d);
    ddl_free(table);
}

#define CHECK_ALL(cases, ...)                                                                      \
    for (size_t i = 0; i < sizeof(cases) / sizeof(*(cases)); i++)                                  \
    check(&(cases)[i], (struct preflight_facts){__VA_ARGS__})

/* MySQL's own errors, online and direct. */
static void mysql_errors(void **state)
{
    (void)state;
    static const struct test cases[] = {
        {"ALTER TABLE t ADD COLUMN x int", T, "", 0, NULL, NULL},
        {"ALTER TABLE t ADD COLUMN V int", T, "!duplicate_column", 1060, "42S21",
         "Duplicate column name 'V'"},
        {"CREATE TABLE u (a int primary key, b int, A int)", NULL, "!duplicate_column", 1060,
         "42S21", "Duplicate column name 'A'"},
        {"ALTER TABLE t RENAME COLUMN v TO w", T, "!duplicate_column rename_column", 1060, "42S21",
         "Duplicate column name 'w'"},
        {"ALTER TABLE t DROP COLUMN x", T, "!missing_column drop_column", 1091, "42000",
         "Can't DROP 'x'; check that column/key exists"},
        {"ALTER TABLE t MODIFY x int", T, "!missing_column", 1054, "42S22",
         "Unknown column 'x' in 't'"},
        {"ALTER TABLE t ADD y int AFTER x", T, "!missing_column", 1054, "42S22",
         "Unknown column 'x' in 't'"},
        {"ALTER TABLE t ADD y int, ADD z int AFTER y", T, "", 0, NULL, NULL},
        {"ALTER TABLE t ALTER x SET DEFAULT 1", T, "!missing_column", 1054, "42S22",
         "Unknown column 'x' in 't'"},
        {"ALTER TABLE t ADD INDEX i (x)", T, "!missing_column", 1072, "42000",
         "Key column 'x' doesn't exist in table"},
        {"ALTER TABLE t ADD x int, ADD INDEX i (x)", T, "", 0, NULL, NULL},
        {"CREATE INDEX i ON t (x)", T, "!missing_column", 1072, "42000",
         "Key column 'x' doesn't exist in table"},
        {"DROP INDEX i ON t", T, "!missing_index", 1091, "42000",
         "Can't DROP 'i'; check that column/key exists"},
        {"ALTER TABLE t RENAME INDEX i TO j", T, "!missing_index", 1176, "42000",
         "Key 'i' doesn't exist in table 't'"},
        {"ALTER TABLE t ADD INDEX by_v (w)", T, "!duplicate_index", 1061, "42000",
         "Duplicate key name 'by_v'"},
        {"ALTER TABLE t DROP INDEX hidden, ADD INDEX hidden (w)", T, "", 0, NULL, NULL},
        {"ALTER TABLE t ADD PRIMARY KEY (v)", T, "!duplicate_index add_unique", 1068, "42000",
         "Multiple primary key defined"},
        {"ALTER TABLE t DROP PRIMARY KEY, ADD PRIMARY KEY (id, w)", T, "add_unique", 0, NULL, NULL},
        {"ALTER TABLE t MODIFY v int UNIQUE", T, "add_unique", 0, NULL, NULL},
        {"CREATE TABLE t (id int primary key)", T, "!missing_table", 1050, "42S01",
         "Table 't' already exists"},
        {"CREATE TABLE IF NOT EXISTS t (id int primary key)", T, "", 0, NULL, NULL},
        /* Letters beyond ASCII: another case may be the same name. */
        {"ALTER TABLE t DROP COLUMN \xc3\xa9", T, "drop_column", 0, NULL, NULL},
        /* Not understood: vtgate's to judge. */
        {"ALTER TABLE t DROP COLUMN x, SPIN", T, "drop_column", 0, NULL, NULL},
        {"ALTER TABLE t ADD COLUMN v int FANCY", T, "", 0, NULL, NULL},
        {"ALTER TABLE t DROP COLUMN IF EXISTS x", T, "drop_column", 0, NULL, NULL},
        /* The table is not known: neither are its columns. */
        {"ALTER TABLE t ADD COLUMN v int, DROP INDEX i", NULL, "", 0, NULL, NULL},
    };
    CHECK_ALL(cases, .online = true);
    CHECK_ALL(cases, .online = false);
}

static void missing_table(void **state)
{
    (void)state;
    static const struct test cases[] = {
        {"ALTER TABLE t ADD x int", NULL, "!missing_table", 1146, "42S02",
         "Table 'ks.t' doesn't exist"},
        {"CREATE INDEX i ON t (x)", NULL, "!missing_table", 1146, "42S02",
         "Table 'ks.t' doesn't exist"},
        {"DROP TABLE t", NULL, "!missing_table drop_table", 1051, "42S02", "Unknown table 'ks.t'"},
        {"DROP TABLE IF EXISTS t", NULL, "drop_table", 1105, "HY000", "table t is dropped"},
        {"CREATE TABLE t (id int primary key)", NULL, "", 0, NULL, NULL},
    };
    CHECK_ALL(cases, .online = true, .table_missing = true);
}

/* vtgate knows one keyspace for a statement. */
static void keyspaces(void **state)
{
    static const char TWO[] = "tables of two keyspaces, ks and other, in one statement are not "
                              "supported: nothing was done; run one statement for each";
    static const struct test cases[] = {
        {"DROP TABLE a, ks.b", NULL, "drop_table drop_table", 0, NULL, NULL},
        {"DROP TABLE a, other.b", NULL, "!keyspaces drop_table drop_table", 1235, "42000", TWO},
        {"DROP TABLE ks.a, `other`.b, third.c", NULL, "!keyspaces drop_table drop_table drop_table",
         1235, "42000", TWO},
        {"RENAME TABLE a TO b, ks.c TO ks.d", NULL, "", 0, NULL, NULL},
        {"RENAME TABLE a TO b, other.c TO d", NULL, "!keyspaces", 1235, "42000", TWO},
        {"RENAME TABLE a TO other.a", NULL, "!keyspaces", 1450, "HY000",
         "Changing schema from 'ks' to 'other' is not allowed"},
        {"RENAME TABLE other.a TO other.b", NULL, "", 0, NULL, NULL},
        {"DROP TABLE other.a, other.b", NULL, "drop_table drop_table", 0, NULL, NULL},
    };
    static const struct test nowhere[] = {
        {"DROP TABLE a, ks.b", NULL, "drop_table drop_table", 0, NULL, NULL},
        {"RENAME TABLE a TO other.a", NULL, "", 0, NULL, NULL},
        {"DROP TABLE ks.a, other.b", NULL, "!keyspaces drop_table drop_table", 1235, "42000", TWO},
    };
    (void)state;
    CHECK_ALL(cases, .session_keyspace = "ks");
    CHECK_ALL(nowhere, .session_keyspace = "");
}

/* What only an online change minds. */
static void online_only(void **state)
{
    (void)state;
    static const struct test cases[] = {
        {"ALTER TABLE t RENAME TO u", T, "!rename_table", 1235, "42000",
         "ALTER TABLE ... RENAME is not supported in online DDL"},
        {"RENAME TABLE t TO u", T, "!rename_table", 1235, "42000",
         "ALTER TABLE ... RENAME is not supported in online DDL"},
        {"ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (v) REFERENCES o (id)", T, "!foreign_key",
         1235, "42000", "foreign key constraints are not supported in online DDL"},
        {"CREATE TABLE u (a int primary key, b int REFERENCES o (id))", NULL, "!foreign_key", 1235,
         "42000", "foreign key constraints are not supported in online DDL"},
        {"ALTER TABLE t ADD x int",
         "CREATE TABLE t (id int NOT NULL, PRIMARY KEY (id), CONSTRAINT f FOREIGN KEY (id) "
         "REFERENCES "
         "o (id))",
         "!foreign_key", 1235, "42000", "foreign key constraints are not supported in online DDL"},
        {"ALTER TABLE t ADD x int", "CREATE TABLE t (id int, UNIQUE KEY (id))", "!unique_key", 1105,
         "HY000", "table 't' has no non-null unique key"},
        {"ALTER TABLE t ADD x int", "CREATE TABLE t (w varchar(9) NOT NULL, UNIQUE KEY u (w(3)))",
         "!unique_key", 1105, "HY000", "table 't' has no non-null unique key"},
        {"ALTER TABLE t ADD x int", "CREATE TABLE t (w float NOT NULL, PRIMARY KEY (w))",
         "!unique_key", 1105, "HY000", "table 't' has no non-null unique key"},
        {"ALTER TABLE t ADD x int", "CREATE TABLE t (w int NOT NULL, UNIQUE KEY u (w))", "", 0,
         NULL, NULL},
        {"ALTER TABLE t DROP PRIMARY KEY", T, "!unique_key", 1105, "HY000",
         "table 't' has no non-null unique key"},
        {"ALTER TABLE t DROP PRIMARY KEY, ADD x int NOT NULL DEFAULT 0, ADD PRIMARY KEY (x)", T,
         "!unique_key add_unique", 1105, "HY000", "table 't' has no non-null unique key"},
        {"ALTER TABLE t CHANGE id key_id bigint NOT NULL", T, "rename_column", 0, NULL, NULL},
        {"ALTER TABLE t CONVERT TO CHARACTER SET latin1", T, "!charset", 1235, "42000",
         "character set latin1 is not supported in online DDL, only utf8, utf8mb3 and utf8mb4 are"},
        {"ALTER TABLE t ADD x varchar(5) CHARSET ascii", T, "!charset", 1235, "42000",
         "character set ascii is not supported in online DDL, only utf8, utf8mb3 and utf8mb4 are"},
        {"ALTER TABLE t ADD x varchar(5) COLLATE latin1_bin", T, "!charset", 1235, "42000",
         "collation latin1_bin is not supported in online DDL, only those of utf8, utf8mb3 and "
         "utf8mb4 "
         "are"},
        {"ALTER TABLE t CONVERT TO CHARACTER SET utf8mb3", T, "", 0, NULL, NULL},
        {"CREATE TABLE u (a int primary key) DEFAULT CHARSET=latin1", NULL, "!charset", 1235,
         "42000",
         "character set latin1 is not supported in online DDL, only utf8, utf8mb3 and utf8mb4 are"},
        {"ALTER TABLE t ENGINE=MyISAM", T, "!engine", 1235, "42000",
         "storage engine MyISAM is not supported in online DDL, only InnoDB is"},
        {"ALTER TABLE t ENGINE=innodb", T, "", 0, NULL, NULL},
        {"ALTER TABLE t PARTITION BY RANGE (id) SUBPARTITION BY HASH (id) (PARTITION p VALUES LESS "
         "THAN "
         "(9))",
         T, "!partitions", 1235, "42000", "subpartitions are not supported in online DDL"},
        {"ALTER TABLE t REMOVE PARTITIONING, REMOVE PARTITIONING", T, "!partitions", 1235, "42000",
         "several changes of partitions in one statement are not supported in online DDL"},
        {"ALTER TABLE t ADD x int, ALGORITHM=INPLACE", T, "!algorithm", 1235, "42000",
         "ALGORITHM=INPLACE is not supported in online DDL"},
        {"CREATE INDEX i ON t (w) LOCK=NONE", T, "!algorithm", 1235, "42000",
         "LOCK=NONE is not supported in online DDL"},
        {"ALTER TABLE t ADD x int, ALGORITHM=DEFAULT, LOCK=DEFAULT", T, "", 0, NULL, NULL},
        {"ALTER TABLE t DROP COLUMN v, ADD COLUMN v int", T, "!mentioned_twice drop_column", 1105,
         "HY000", "column v is mentioned 2 times"},
        {"ALTER TABLE t RENAME COLUMN v TO x, ADD COLUMN v int", T,
         "!mentioned_twice rename_column", 1105, "HY000", "column v is mentioned 2 times"},
        {"ALTER TABLE t CHANGE v v bigint", T, "", 0, NULL, NULL},
    };
    CHECK_ALL(cases, .online = true);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) { /* direct: none refuses */
        struct ddl *d = ddl_parse(cases[i].sql, strlen(cases[i].sql));
        struct ddl *table =
            cases[i].table ? ddl_parse(cases[i].table, strlen(cases[i].table)) : NULL;
        struct findings f;

        preflight_check(d, &(struct preflight_facts){.keyspace = "ks", .table = table}, &f);
        assert_null(preflight_refusal(&f));
        ddl_free(d);
        ddl_free(table);
    }
}

static void vindexes(void **state)
{
    (void)state;
    static const struct vindex_use uses[] = {{"id", "hash"}, {"w", "by_w"}};
    static const struct test cases[] = {
        {"ALTER TABLE t DROP COLUMN w", T, "!vindex_column drop_column", 1105, "HY000",
         "column w is used by vindex by_w; this will lead to inaccessible data"},
        {"ALTER TABLE t RENAME COLUMN W TO x", T, "!vindex_column rename_column", 1105, "HY000",
         "column w is used by vindex by_w; this will lead to inaccessible data"},
        {"ALTER TABLE t CHANGE w x varchar(32) NOT NULL", T, "!vindex_column rename_column", 1105,
         "HY000", "column w is used by vindex by_w; this will lead to inaccessible data"},
        {"ALTER TABLE t MODIFY w int NOT NULL", T, "!vindex_column narrowing", 1105, "HY000",
         "column w is used by vindex by_w; this will lead to inaccessible data"},
        {"ALTER TABLE t MODIFY w varchar(64) NOT NULL", T, "", 0, NULL, NULL},
        {"ALTER TABLE t MODIFY v bigint", T, "!vindex_column", 1105, "HY000",
         "column v is used by sequence seq; this will lead to inaccessible data"},
        {"ALTER TABLE t DROP COLUMN n", T, "drop_column", 0, NULL, NULL},
    };
    CHECK_ALL(cases, .online = true, .vindexes = uses, .vindex_count = 2,
              .sequence = {.column = "v", .vindex = "seq"});
}

static void warnings(void **state)
{
    (void)state;
    static const struct test cases[] = {
        {"DROP TABLE t", T, "drop_table", 1105, "HY000", "table t is dropped"},
        {"ALTER TABLE t DROP COLUMN n", T, "drop_column recently_used", 1105, "HY000",
         "column n and its values are dropped"},
        {"ALTER TABLE t CHANGE n m varchar(9)", T, "rename_column recently_used", 0, NULL, NULL},
        {"ALTER TABLE t MODIFY w varchar(16) NOT NULL", T, "narrowing", 1105, "HY000",
         "column w: varchar may not have room for all values of varchar"},
        {"ALTER TABLE t MODIFY v int unsigned", T, "unsigned", 1105, "HY000",
         "column v becomes unsigned: negative values do not fit"},
        {"ALTER TABLE t ADD UNIQUE (v)", T, "add_unique", 0, NULL, NULL},
        {"CREATE UNIQUE INDEX u ON t (v)", T, "add_unique", 0, NULL, NULL},
        {"CREATE TABLE u (a int primary key, b int UNIQUE)", NULL, "", 0, NULL, NULL},
        {"ALTER TABLE t ADD x int NOT NULL", T, "not_null", 0, NULL, NULL},
        {"ALTER TABLE t ADD x int NOT NULL DEFAULT 0", T, "", 0, NULL, NULL},
        {"ALTER TABLE t MODIFY v int NOT NULL", T, "not_null", 1105, "HY000",
         "column v becomes NOT NULL without a default: rows with NULL make it fail"},
        {"ALTER TABLE t MODIFY e enum('b','a') NOT NULL", T, "enum_order", 0, NULL, NULL},
        {"ALTER TABLE t MODIFY e enum('a','b','c') NOT NULL", T, "", 0, NULL, NULL},
        {"CREATE TABLE u (a int AUTO_INCREMENT PRIMARY KEY)", NULL, "auto_increment", 0, NULL,
         NULL},
        {"ALTER TABLE t ADD d date DEFAULT '0000-00-00'", T, "zero_date", 1067, "42000",
         "Invalid default value for 'd': a zero date"},
        {"DROP INDEX by_v ON t", T, "visible_index", 0, NULL, NULL},
        {"DROP INDEX hidden ON t", T, "", 0, NULL, NULL},
    };
    CHECK_ALL(cases, .online = true, .sharded = true, .recently_used = used,
              .recently_arg = (void *)(uintptr_t) "n");
}

static void states(void **state)
{
    (void)state;
    static const struct running_migration running[] = {{"uuid-1", "running", "t"}};
    static const struct shard_size shards[] = {{"-80", 10, 16384}, {"80-", 2000, 1000000}};
    static const struct test waits[] = {{"ALTER TABLE t ADD x int", T, "running", 1105, "HY000",
                                         "migration uuid-1 on table 't' is running; this one waits "
                                         "for it"}};
    static const struct test refused[] = {{"ALTER TABLE t ADD x int", T, "!running", 1105, "HY000",
                                           "migration uuid-1 on table 't' is running"}};
    static const struct test vschema[] = {{"ALTER TABLE t ADD x int", T, "!vschema_change", 1105,
                                           "HY000", "a VSchema change of table 't' is under way"}};
    static const struct test large[] = {
        {"ALTER TABLE t ADD x int", T, "!large_table", 1105, "HY000",
         "table 't' has about 2000 rows (1000000 bytes) on shard 80-, and direct DDL may block it "
         "for "
         "long: use an online strategy, or the hint allow_long_unavailability"},
        {"DROP TABLE t", T, "drop_table", 0, NULL, NULL},
    };
    CHECK_ALL(waits, .online = true, .running = running, .running_count = 1);
    CHECK_ALL(refused, .online = true, .running = running, .running_count = 1,
              .refuse_running = true);
    CHECK_ALL(vschema, .online = true, .vschema_changing = true);
    CHECK_ALL(large, .shards = shards, .shard_count = 2, .max_rows = 1000);
    CHECK_ALL(large, .shards = shards, .shard_count = 2, .max_bytes = 500000);
    static const struct test small[] = {{"ALTER TABLE t ADD x int", T, "", 0, NULL, NULL}};
    CHECK_ALL(small, .shards = shards, .shard_count = 2, .max_rows = 2000, .max_bytes = 1000000);
    CHECK_ALL(small, .online = true, .shards = shards, .shard_count = 2, .max_rows = 1);
    static const struct test view[] = {{"DROP TABLE t", NULL, "", 0, NULL, NULL}};
    CHECK_ALL(view, .online = true, .is_view = true, .table_missing = true);
}

static void allowing(void **state)
{
    (void)state;
    static const char SQL[] = "ALTER TABLE t ENGINE=MyISAM, ADD v int, DROP COLUMN n";
    struct ddl *d = ddl_parse(SQL, strlen(SQL)), *table = ddl_parse(T, strlen(T));
    struct findings f;

    preflight_check(d, &(struct preflight_facts){.keyspace = "ks", .online = true, .table = table},
                    &f);
    assert_int_equal(f.n, 3);
    assert_int_equal(preflight_refusal(&f)->rule, RULE_duplicate_column);
    preflight_allow(&f, RULE_BIT(RULE_duplicate_column));
    assert_int_equal(preflight_refusal(&f)->rule, RULE_engine);
    preflight_allow(&f, RULES_ALL);
    assert_null(preflight_refusal(&f));
    assert_int_equal(f.n, 3);
    ddl_free(d);
    ddl_free(table);
    assert_int_equal(preflight_rule_find("Engine", 6), RULE_engine);
    assert_int_equal(preflight_rule_find("rename-table", 12), RULE_rename_table);
    assert_int_equal(preflight_rule_find("nosuch", 6), RULE_COUNT);
    assert_int_equal(preflight_rule_find("engin", 5), RULE_COUNT);
}

static void ways(void **state)
{
    (void)state;
    static const struct {
        const char *sql;
        enum preflight_way way; /* preferring instant */
    } cases[] = {
        {"ALTER TABLE t ADD x int AFTER v", WAY_INSTANT},
        {"ALTER TABLE t ADD x int AUTO_INCREMENT", WAY_COPY},
        {"ALTER TABLE t DROP COLUMN n", WAY_INSTANT},
        {"ALTER TABLE t DROP COLUMN v", WAY_COPY},
        {"ALTER TABLE t RENAME COLUMN v TO x, ALTER w SET DEFAULT 'x'", WAY_INSTANT},
        {"ALTER TABLE t MODIFY v bigint", WAY_COPY},
        {"ALTER TABLE t MODIFY e enum('a','b','c') NOT NULL", WAY_INSTANT},
        {"ALTER TABLE t ADD x int, ADD INDEX (x)", WAY_COPY},
        {"CREATE INDEX i ON t (v)", WAY_COPY},
        {"CREATE TABLE u (id int)", WAY_CREATE},
        {"DROP TABLE t", WAY_DROP},
        {"ALTER TABLE t SPIN", WAY_UNKNOWN},
    };
    struct ddl *table = ddl_parse(T, strlen(T));

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct preflight_facts facts = {.table = table, .online = true, .instant_preferred = true};
        struct ddl *d = ddl_parse(cases[i].sql, strlen(cases[i].sql));
        bool possible;

        if (preflight_way(d, &facts, &possible) != cases[i].way)
            fail_msg("%s: %s", cases[i].sql,
                     preflight_way_name(preflight_way(d, &facts, &possible)));
        assert_int_equal(possible, cases[i].way == WAY_INSTANT);
        facts.instant_preferred = false;
        assert_int_equal(preflight_way(d, &facts, &possible),
                         cases[i].way == WAY_INSTANT ? WAY_COPY : cases[i].way);
        ddl_free(d);
    }
    ddl_free(table);
}

/* vtgate's plans, as seen. */
static void sequences(void **state)
{
    (void)state;
    static const struct vindex_use uses[] = {{"id", "hash"}, {"w", "by_w"}};
    static const struct {
        const char *plan, *column, *sequence; /* NULL: none */
    } cases[] = {
        {"{\"OperatorType\": \"Insert\", \"AutoIncrement\": \"select next :n /* INT64 */ values "
         "from "
         "pf_seq:Values::(null)\", \"Query\": \"insert into pf(v, id) values (:vtg1 /* INT64 */, "
         ":_id_0)\", \"VindexValues\": { \"hash\": \":__seq0\" } }",
         "id", "pf_seq"},
        {"{\"AutoIncrement\": \"select next :n values from `s`:Values::(null)\", \"Query\": "
         "\"insert "
         "into pf(id, `c`) values (:_id_0, :__seq0)\", \"VindexValues\": { \"hash\": \"null\" } }",
         "c", "s"},
        {"{\"Query\": \"insert into pf(id) values (:_id_0)\", \"VindexValues\": {\"hash\": "
         "\"null\"}}",
         NULL, NULL},
        {"{\"AutoIncrement\": \"select next", NULL, NULL},
        {"{\"AutoIncrement\": \"select next :n values from s\", \"Variant\": \"x\"}", NULL, NULL},
        {"", NULL, NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct vindex_use got;
        bool found = preflight_sequence(cases[i].plan, strlen(cases[i].plan), uses, 2, &got);

        assert_int_equal(found, cases[i].column != NULL);
        if (found) {
            assert_string_equal(got.column, cases[i].column);
            assert_string_equal(got.vindex, cases[i].sequence);
        }
    }
}

#define T_MORE "CREATE TABLE `t` (`id` bigint NOT NULL, `x` int, PRIMARY KEY (`id`))"

/* Shards that have the table in several ways, or not at all. */
static void several_shards(void **state)
{
    (void)state;
    static const struct {
        const char *sql, *on[3]; /* what -80, 80- and c0- have; NULL: nothing */
        const char *first, *rules;
    } cases[] = {
        {"ALTER TABLE t ADD COLUMN x int",
         {T, T_MORE, NULL},
         "Duplicate column name 'x' (on 80-)",
         "!duplicate_column !missing_table shards_differ shards_differ"},
        {"ALTER TABLE t ADD COLUMN x int",
         {T, T_MORE, T},
         "Duplicate column name 'x' (on 80-)",
         "!duplicate_column shards_differ"},
        {"ALTER TABLE t ADD COLUMN x int, ADD COLUMN x int",
         {T_MORE, T_MORE, T_MORE},
         "Duplicate column name 'x'",
         "!duplicate_column !mentioned_twice"},
        {"ALTER TABLE t DROP COLUMN x",
         {T, T_MORE, T},
         "Can't DROP 'x'; check that column/key exists (on -80, c0-)",
         "!missing_column shards_differ drop_column"},
        {"CREATE TABLE t (a int primary key)",
         {NULL, T, NULL},
         "Table 't' already exists (on 80-)",
         "!missing_table shards_differ"},
        {"CREATE TABLE t (a int primary key)", {NULL, NULL, NULL}, NULL, ""},
    };
    static const char *const SHARDS[] = {"-80", "80-", "c0-"};

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct table_version versions[3] = {{.shard_count = 0}};
        const char *texts[3];
        struct preflight_facts facts = {
            .keyspace = "ks", .online = true, .versions = versions, .shard_count = 3};
        struct ddl *d = ddl_parse(cases[i].sql, strlen(cases[i].sql));
        struct findings f;
        char got[256] = "";

        for (size_t shard = 0; shard < 3; shard++) {
            size_t v = 0;

            while (v < facts.version_count && texts[v] != cases[i].on[shard])
                v++;
            if (v == facts.version_count) {
                facts.version_count++;
                texts[v] = cases[i].on[shard];
                versions[v].table = texts[v] ? ddl_parse(texts[v], strlen(texts[v])) : NULL;
            }
            snprintf(versions[v].shards + strlen(versions[v].shards), 16, "%s%s",
                     *versions[v].shards ? ", " : "", SHARDS[shard]);
        }
        preflight_check_shards(d, &facts, &f);
        for (size_t k = 0; k < f.n; k++)
            snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%s%s", k ? " " : "",
                     f.items[k].refuse ? "!" : "", preflight_rule_name(f.items[k].rule));
        assert_string_equal(got, cases[i].rules);
        if (cases[i].first)
            assert_string_equal(f.items[0].text, cases[i].first);
        for (size_t v = 0; v < facts.version_count; v++)
            ddl_free(versions[v].table);
        ddl_free(d);
    }
}

/* Each table of a DROP, wherever it is missing. */
static void drop_of_several(void **state)
{
    (void)state;
    static const char SQL[] = "DROP TABLE a, b, c";
    static const struct shard_size shards[2] = {{.shard = "-80"}, {.shard = "80-"}};
    static const struct table_fact tables[] = {{.name = "a"},
                                               {.name = "b", .missing_on = 1, .shard = "80-"},
                                               {.name = "c", .missing_on = 2, .shard = "-80"}};
    struct preflight_facts facts = {.keyspace = "ks",
                                    .online = true,
                                    .shards = shards,
                                    .shard_count = 2,
                                    .tables = tables,
                                    .table_count = 3};
    struct ddl *d = ddl_parse(SQL, sizeof(SQL) - 1);
    struct findings f;

    preflight_check_shards(d, &facts, &f);
    assert_int_equal(f.n, 5); /* and three warnings of what is dropped */
    assert_int_equal(f.items[0].code, 1051);
    assert_string_equal(f.items[0].text, "Unknown table 'ks.b' (on 80-)");
    assert_string_equal(f.items[1].text, "Unknown table 'ks.c'");
    assert_false(f.items[2].refuse);
    ddl_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mysql_errors),   cmocka_unit_test(missing_table),
        cmocka_unit_test(keyspaces),      cmocka_unit_test(online_only),
        cmocka_unit_test(vindexes),       cmocka_unit_test(warnings),
        cmocka_unit_test(states),         cmocka_unit_test(allowing),
        cmocka_unit_test(ways),           cmocka_unit_test(sequences),
        cmocka_unit_test(several_shards), cmocka_unit_test(drop_of_several),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
