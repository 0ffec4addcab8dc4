/* What statements are: whole ones, prefixes of them, several in one text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "planner/classify.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static bool name_is(struct sql_name name, const char *expected)
{
    return expected == NULL
               ? name.len == 0
               : name.len == strlen(expected) && memcmp(name.text, expected, name.len) == 0;
}

static struct statement classify(const char *sql)
{
    struct statement st;
    classify_next(sql, strlen(sql), &st);
    return st;
}

static const struct {
    const char *sql;
    enum statement_kind kind;
} kinds[] = {
    {"", STATEMENT_EMPTY},
    {"  /* x */ -- y", STATEMENT_EMPTY},
    {";", STATEMENT_EMPTY},
    {"/*!99999 ALTER TABLE t */", STATEMENT_EMPTY},
    {"garbage", STATEMENT_OTHER},
    {"SELECTS 1", STATEMENT_OTHER},
    {"SELEC 1", STATEMENT_OTHER},
    {"SELECT_1", STATEMENT_OTHER},
    {"42", STATEMENT_OTHER},
    {"\x01 SELECT", STATEMENT_OTHER},
    {"'ALTER TABLE t'", STATEMENT_OTHER},
    {"`ALTER` TABLE t", STATEMENT_OTHER},
    {"ANALYZE TABLE t", STATEMENT_OTHER},
    {"OPTIMIZE TABLE t", STATEMENT_OTHER},
    {"FLUSH TABLES", STATEMENT_OTHER},
    {"XA START 'x'", STATEMENT_OTHER},
    {"GRANT ALL ON *.* TO u", STATEMENT_OTHER},

    {"select 1", STATEMENT_READ},
    {"SELECT", STATEMENT_READ},
    {"SeLeCt*FROM t", STATEMENT_READ},
    {"SELECT(1)", STATEMENT_READ},
    {"SELECT`a`FROM t", STATEMENT_READ},
    {"/* ALTER TABLE t */ SELECT 1", STATEMENT_READ},
    {"/*!40001 SQL_NO_CACHE */ SELECT 1", STATEMENT_OTHER},
    {"SELECT /*!40001 SQL_NO_CACHE */ * FROM t", STATEMENT_READ},
    {"/*M! ALTER TABLE t */ SELECT 1", STATEMENT_READ},
    {"SELECT ALTER TABLE t", STATEMENT_READ},
    {"TABLE t", STATEMENT_READ},
    {"VALUES ROW(1)", STATEMENT_READ},
    {"(SELECT 1)", STATEMENT_READ},
    {"( ( SELECT 1 ) )", STATEMENT_READ},
    {"(WITH x AS (SELECT 1) SELECT 1)", STATEMENT_READ},
    {"(ALTER TABLE t)", STATEMENT_OTHER},
    {"(", STATEMENT_OTHER},
    {"WITH x AS (SELECT 1) SELECT * FROM x", STATEMENT_READ},
    {"WITH x AS (DELETE) SELECT * FROM x", STATEMENT_READ},
    {"WITH RECURSIVE x (a) AS (SELECT 1), y AS (SELECT 2) UPDATE t SET a=1", STATEMENT_WRITE},
    {"WITH x AS (SELECT 1) DELETE FROM t", STATEMENT_WRITE},
    {"WITH x AS (SELECT 1) (SELECT * FROM x) FOR UPDATE", STATEMENT_READ},

    {"INSERT INTO t VALUES (1)", STATEMENT_WRITE},
    {"insert\nt", STATEMENT_WRITE},
    {"REPLACE t VALUES (1)", STATEMENT_WRITE},
    {"UPDATE t SET a=1", STATEMENT_WRITE},
    {"DELETE FROM t", STATEMENT_WRITE},
    {"LOAD DATA INFILE 'x' INTO TABLE t", STATEMENT_WRITE},
    {"CALL p()", STATEMENT_WRITE},
    {"DO 1", STATEMENT_WRITE},

    {"BEGIN", STATEMENT_BEGIN},
    {"begin work", STATEMENT_BEGIN},
    {"START TRANSACTION", STATEMENT_BEGIN},
    {"start /* */ transaction READ ONLY", STATEMENT_BEGIN},
    {"START SLAVE", STATEMENT_OTHER},
    {"START", STATEMENT_OTHER},
    {"COMMIT", STATEMENT_END_TRANSACTION},
    {"COMMIT AND CHAIN", STATEMENT_END_TRANSACTION},
    {"ROLLBACK", STATEMENT_END_TRANSACTION},
    {"ROLLBACK WORK", STATEMENT_END_TRANSACTION},
    {"ROLLBACK AND NO CHAIN", STATEMENT_END_TRANSACTION},
    {"ROLLBACK TO x", STATEMENT_SAVEPOINT},
    {"ROLLBACK WORK TO SAVEPOINT x", STATEMENT_SAVEPOINT},
    {"SAVEPOINT x", STATEMENT_SAVEPOINT},
    {"RELEASE SAVEPOINT x", STATEMENT_SAVEPOINT},

    {"SET a=1", STATEMENT_SET},
    {"SET@a=1", STATEMENT_SET},
    {"/*!40101 SET NAMES utf8 */", STATEMENT_SET},
    {"USE ks", STATEMENT_USE},
    {"SHOW TABLES", STATEMENT_SHOW},
    {"SHOW CREATE TABLE t", STATEMENT_SHOW},
    {"EXPLAIN ALTER TABLE t ADD c INT", STATEMENT_EXPLAIN_DDL},
    {"explain format=tree create index i on t (c)", STATEMENT_EXPLAIN_DDL},
    {"DESC DROP TABLE ks.t", STATEMENT_EXPLAIN_DDL},
    {"EXPLAIN CREATE PROCEDURE p() BEGIN SELECT 1; END", STATEMENT_SHOW},
    {"EXPLAIN RENAME TABLE a TO b", STATEMENT_SHOW},
    {"EXPLAIN ALTER VSCHEMA DROP TABLE t", STATEMENT_SHOW},
    {"EXPLAIN SELECT 1", STATEMENT_SHOW},
    {"DESCRIBE `alter`", STATEMENT_SHOW},
    {"DESCRIBE t", STATEMENT_SHOW},
    {"DESC t", STATEMENT_SHOW},
    {"VEXPLAIN PLAN SELECT 1", STATEMENT_SHOW},
    {"HELP 'x'", STATEMENT_SHOW},

    {"ALTER VSCHEMA ADD TABLE t", STATEMENT_VSCHEMA},
    {"alter /*x*/ vschema on t add vindex v(c)", STATEMENT_VSCHEMA},
    {"CREATE VSCHEMA", STATEMENT_DIRECT_DDL},
    {"ALTER VITESS_MIGRATION 'u' CANCEL", STATEMENT_MIGRATION},
    {"REVERT VITESS_MIGRATION 'u'", STATEMENT_MIGRATION},
    {"REVERT x", STATEMENT_OTHER},
    {"PREPARE s FROM 'SELECT 1'", STATEMENT_PREPARE},
    {"EXECUTE s", STATEMENT_EXECUTE},
    {"DEALLOCATE PREPARE s", STATEMENT_DEALLOCATE},
    {"DROP PREPARE s", STATEMENT_DEALLOCATE},
    {"LOCK TABLES t READ", STATEMENT_LOCK},
    {"UNLOCK TABLES", STATEMENT_LOCK},
    {"KILL 5", STATEMENT_KILL},
    {"KILL QUERY 5", STATEMENT_KILL},
    {"ALTER", STATEMENT_OTHER},
    {"ALTER `TABLE` t", STATEMENT_OTHER},
};

static void kind_of_each(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(kinds); i++) {
        struct statement st = classify(kinds[i].sql);
        if (st.kind != kinds[i].kind)
            fail_msg("%s: %s, not %s", kinds[i].sql, statement_kind_name(st.kind),
                     statement_kind_name(kinds[i].kind));
    }
}

#define ONLINE STATEMENT_ONLINE_DDL
#define DIRECT STATEMENT_DIRECT_DDL

static const struct {
    const char *sql;
    enum statement_kind kind;
    enum ddl_verb verb;
    enum ddl_object object;
    const char *qualifier, *name;
} ddls[] = {
    {"CREATE TABLE t (a INT)", ONLINE, DDL_CREATE, DDL_OBJECT_TABLE, NULL, "t"},
    {"create table if not exists ks.t(a int)", ONLINE, DDL_CREATE, DDL_OBJECT_TABLE, "ks", "t"},
    {"CREATE OR REPLACE TABLE t(a INT)", ONLINE, DDL_CREATE, DDL_OBJECT_TABLE, NULL, "t"},
    {"CREATE TABLE `ks` . `t` LIKE u", ONLINE, DDL_CREATE, DDL_OBJECT_TABLE, "ks", "t"},
    {"CREATE TABLE ks.2nd(a INT)", ONLINE, DDL_CREATE, DDL_OBJECT_TABLE, "ks", "2nd"},
    {"CREATE TEMPORARY TABLE t(a INT)", DIRECT, DDL_CREATE, DDL_OBJECT_TABLE, NULL, "t"},
    {"CREATE OR REPLACE TEMPORARY TABLE ks.t(a INT)", DIRECT, DDL_CREATE, DDL_OBJECT_TABLE, "ks",
     "t"},
    {"CREATE TABLE/*!32312 IF NOT EXISTS*/`t`(a INT)", ONLINE, DDL_CREATE, DDL_OBJECT_TABLE, NULL,
     "t"},
    {"CREATE VIEW v AS SELECT 1", ONLINE, DDL_CREATE, DDL_OBJECT_VIEW, NULL, "v"},
    {"CREATE OR REPLACE ALGORITHM=MERGE DEFINER=`root`@`localhost` SQL SECURITY DEFINER VIEW ks.v "
     "AS SELECT 1",
     ONLINE, DDL_CREATE, DDL_OBJECT_VIEW, "ks", "v"},
    {"/*!50001 CREATE ALGORITHM=UNDEFINED */\n/*!50013 DEFINER='r'@'localhost' SQL SECURITY "
     "DEFINER */\n"
     "/*!50001 VIEW `v` AS SELECT 1 */",
     ONLINE, DDL_CREATE, DDL_OBJECT_VIEW, NULL, "v"},
    {"CREATE DEFINER=root@localhost VIEW v AS SELECT 1", ONLINE, DDL_CREATE, DDL_OBJECT_VIEW, NULL,
     "v"},
    {"CREATE DEFINER = 'a' @ 'b' VIEW v AS SELECT 1", ONLINE, DDL_CREATE, DDL_OBJECT_VIEW, NULL,
     "v"},
    {"CREATE DEFINER=CURRENT_USER() VIEW v AS SELECT 1", ONLINE, DDL_CREATE, DDL_OBJECT_VIEW, NULL,
     "v"},
    {"CREATE INDEX i ON t(a)", ONLINE, DDL_CREATE, DDL_OBJECT_INDEX, NULL, "t"},
    {"CREATE ONLINE UNIQUE INDEX `i` USING BTREE ON `ks`.`t`(a)", ONLINE, DDL_CREATE,
     DDL_OBJECT_INDEX, "ks", "t"},
    {"CREATE OFFLINE FULLTEXT INDEX i ON t(a)", ONLINE, DDL_CREATE, DDL_OBJECT_INDEX, NULL, "t"},
    {"CREATE SPATIAL INDEX i ON t(a)", ONLINE, DDL_CREATE, DDL_OBJECT_INDEX, NULL, "t"},
    {"CREATE INDEX i", ONLINE, DDL_CREATE, DDL_OBJECT_INDEX, NULL, NULL},

    {"ALTER TABLE t ADD c INT", ONLINE, DDL_ALTER, DDL_OBJECT_TABLE, NULL, "t"},
    {"ALTER/**/TABLE`t`ADD c INT", ONLINE, DDL_ALTER, DDL_OBJECT_TABLE, NULL, "t"},
    {"ALTER ONLINE IGNORE TABLE t ADD c INT", ONLINE, DDL_ALTER, DDL_OBJECT_TABLE, NULL, "t"},
    {"ALTER OFFLINE TABLE t ADD c INT", ONLINE, DDL_ALTER, DDL_OBJECT_TABLE, NULL, "t"},
    {"ALTER TABLE `table` ADD c INT", ONLINE, DDL_ALTER, DDL_OBJECT_TABLE, NULL, "table"},
    {"ALTER TABLE \"ks\".\"t\" ADD c INT", ONLINE, DDL_ALTER, DDL_OBJECT_TABLE, "ks", "t"},
    {"ALTER TABLE 't' ADD c INT", ONLINE, DDL_ALTER, DDL_OBJECT_TABLE, NULL, NULL},
    {"ALTER TABLE .t ADD c INT", ONLINE, DDL_ALTER, DDL_OBJECT_TABLE, NULL, "t"},
    {"ALTER TABLE ks./* x */t ADD c INT", ONLINE, DDL_ALTER, DDL_OBJECT_TABLE, "ks", "t"},
    {"ALTER TABLE `a``b` ADD c INT", ONLINE, DDL_ALTER, DDL_OBJECT_TABLE, NULL, "a``b"},
    {"ALTER TABLE caf\xc3\xa9 ADD c INT", ONLINE, DDL_ALTER, DDL_OBJECT_TABLE, NULL, "caf\xc3\xa9"},
    {"/*!40101 ALTER TABLE t ADD c INT */", ONLINE, DDL_ALTER, DDL_OBJECT_TABLE, NULL, "t"},
    {"ALTER /*!40000 TABLE*/ t DISABLE KEYS, ADD c INT", ONLINE, DDL_ALTER, DDL_OBJECT_TABLE, NULL,
     "t"},
    {"ALTER TABLE t ENABLE KEYS", DIRECT, DDL_ALTER, DDL_OBJECT_TABLE, NULL, "t"},
    {"/*!40000 ALTER TABLE `t` DISABLE KEYS */", DIRECT, DDL_ALTER, DDL_OBJECT_TABLE, NULL, "t"},
    {"/*M!999999\\- x */ # y\n-- z\n/*vt+ A=1 */ALTER TABLE t ADD c INT", ONLINE, DDL_ALTER,
     DDL_OBJECT_TABLE, NULL, "t"},
    {"/*!999999\\- enable the sandbox mode */\nALTER TABLE t ADD c INT", ONLINE, DDL_ALTER,
     DDL_OBJECT_TABLE, NULL, "t"},
    {"/*M! SELECT */ ALTER TABLE t ADD c INT", ONLINE, DDL_ALTER, DDL_OBJECT_TABLE, NULL, "t"},
    {"// SELECT\nALTER TABLE t ADD c INT", ONLINE, DDL_ALTER, DDL_OBJECT_TABLE, NULL, "t"},
    {"ALTER TABLE", ONLINE, DDL_ALTER, DDL_OBJECT_TABLE, NULL, NULL},
    {"ALTER ALGORITHM = TEMPTABLE DEFINER = u@h SQL SECURITY INVOKER VIEW v AS SELECT 1", ONLINE,
     DDL_ALTER, DDL_OBJECT_VIEW, NULL, "v"},
    {"ALTER DATABASE d CHARACTER SET utf8mb4", DIRECT, DDL_ALTER, DDL_OBJECT_DATABASE, NULL, "d"},
    {"ALTER SCHEMA DEFAULT CHARACTER SET utf8mb4", DIRECT, DDL_ALTER, DDL_OBJECT_DATABASE, NULL,
     NULL},
    {"ALTER USER u IDENTIFIED BY 'x'", DIRECT, DDL_ALTER, DDL_OBJECT_OTHER, NULL, NULL},
    {"ALTER INDEX i", DIRECT, DDL_ALTER, DDL_OBJECT_OTHER, NULL, NULL},

    {"DROP TABLE t", ONLINE, DDL_DROP, DDL_OBJECT_TABLE, NULL, "t"},
    {"DROP TABLE IF EXISTS a, b", ONLINE, DDL_DROP, DDL_OBJECT_TABLE, NULL, "a"},
    {"DROP TABLES ks.a,ks.b", ONLINE, DDL_DROP, DDL_OBJECT_TABLE, "ks", "a"},
    {"DROP TEMPORARY TABLE t", DIRECT, DDL_DROP, DDL_OBJECT_TABLE, NULL, "t"},
    {"DROP /*!40005 TEMPORARY */ TABLE t", DIRECT, DDL_DROP, DDL_OBJECT_TABLE, NULL, "t"},
    {"DROP VIEW IF EXISTS v", ONLINE, DDL_DROP, DDL_OBJECT_VIEW, NULL, "v"},
    {"DROP INDEX i ON t", ONLINE, DDL_DROP, DDL_OBJECT_INDEX, NULL, "t"},
    {"DROP INDEX `on` ON `ks`.t", ONLINE, DDL_DROP, DDL_OBJECT_INDEX, "ks", "t"},
    {"DROP DATABASE IF EXISTS d", DIRECT, DDL_DROP, DDL_OBJECT_DATABASE, NULL, "d"},
    {"CREATE SCHEMA IF NOT EXISTS d", DIRECT, DDL_CREATE, DDL_OBJECT_DATABASE, NULL, "d"},
    {"DROP PROCEDURE p", DIRECT, DDL_DROP, DDL_OBJECT_OTHER, NULL, NULL},
    {"CREATE TRIGGER x BEFORE INSERT ON t FOR EACH ROW SET @a=1", DIRECT, DDL_CREATE,
     DDL_OBJECT_OTHER, NULL, NULL},

    {"RENAME TABLE a TO b", DIRECT, DDL_RENAME, DDL_OBJECT_TABLE, NULL, "a"},
    {"RENAME TABLE ks.a TO b", DIRECT, DDL_RENAME, DDL_OBJECT_TABLE, "ks", "a"},
    {"RENAME USER a TO b", DIRECT, DDL_RENAME, DDL_OBJECT_OTHER, NULL, NULL},
    {"TRUNCATE TABLE t", DIRECT, DDL_TRUNCATE, DDL_OBJECT_TABLE, NULL, "t"},
    {"TRUNCATE ks.t", DIRECT, DDL_TRUNCATE, DDL_OBJECT_TABLE, "ks", "t"},
    {"TRUNCATE`t`", DIRECT, DDL_TRUNCATE, DDL_OBJECT_TABLE, NULL, "t"},
};

static void ddl_of_each(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(ddls); i++) {
        struct statement st = classify(ddls[i].sql);
        if (st.kind != ddls[i].kind || st.verb != ddls[i].verb || st.object != ddls[i].object ||
            !name_is(st.qualifier, ddls[i].qualifier) || !name_is(st.name, ddls[i].name))
            fail_msg("%s: %s verb %d object %d '%.*s'.'%.*s'", ddls[i].sql,
                     statement_kind_name(st.kind), (int)st.verb, (int)st.object,
                     (int)st.qualifier.len, st.qualifier.len ? st.qualifier.text : "",
                     (int)st.name.len, st.name.len ? st.name.text : "");
    }
}

/* sets: n: not ddl_strategy, s: the session's, d: the session's to DEFAULT, g: only the global one
 */
static const struct {
    const char *sql;
    char sets;
} sets[] = {
    {"SET a=1", 'n'},
    {"SET", 'n'},
    {"SET ddl_strategy", 'n'},
    {"SET ddl_strategy=", 's'},
    {"SET ddl_strategy='vitess'", 's'},
    {"SET DDL_Strategy = vitess", 's'},
    {"SET `ddl_strategy`='vitess'", 's'},
    {"SET @@ddl_strategy='x'", 's'},
    {"SET@@ddl_strategy='x'", 's'},
    {"SET @@`ddl_strategy`='x'", 's'},
    {"SET @@session.ddl_strategy='x'", 's'},
    {"SET @@SESSION.`DDL_STRATEGY`='x'", 's'},
    {"SET @@`session`.ddl_strategy='x'", 'n'}, /* a syntax error in vtgate */
    {"SET @@local.ddl_strategy='x'", 's'},
    {"SET SESSION ddl_strategy='x'", 's'},
    {"SET LOCAL ddl_strategy := 'x'", 's'},
    {"SET @@ddl_strategy := 'x'", 's'},
    {"SET a=1, @@ddl_strategy = 'x'", 's'},
    {"SET a=f(1, 2), ddl_strategy='x'", 's'},
    {"SET a=(SELECT 1, ddl_strategy='x'", 'n'},
    {"SET ddl_strategy='x', a=1", 's'},
    {"SET NAMES utf8mb4, ddl_strategy='x'", 's'},
    {"SET /*!40101 ddl_strategy='x' */", 's'},
    {"/*!40101 SET ddl_strategy='x' */", 's'},
    {"SET /* c */ @@ddl_strategy/* c */=/* c */'x'", 's'},
    {"SET ddl_strategy=DEFAULT", 'd'},
    {"SET @@ddl_strategy = default , a=1", 'd'},
    {"SET ddl_strategy='x', ddl_strategy=DEFAULT", 'd'},
    {"SET ddl_strategy=DEFAULT, ddl_strategy='x'", 's'},
    {"SET ddl_strategy=default(a)", 's'},
    {"SET ddl_strategy='DEFAULT'", 's'},
    {"SET GLOBAL ddl_strategy='x'", 'g'},
    {"SET @@GLOBAL.ddl_strategy='x'", 'g'},
    {"SET PERSIST ddl_strategy='x'", 'g'},
    {"SET @@persist_only.ddl_strategy='x'", 'g'},
    {"SET GLOBAL ddl_strategy=DEFAULT", 'g'},
    {"SET GLOBAL ddl_strategy='x', ddl_strategy='y'", 's'},
    {"SET ddl_strategy=DEFAULT, GLOBAL ddl_strategy='y'", 'd'},
    {"SET GLOBAL a='x', ddl_strategy='y'", 's'},
    {"SET @ddl_strategy='x'", 'n'},
    {"SET @`ddl_strategy`='x'", 'n'},
    {"SET @@vitess_metadata.ddl_strategy='x'", 'n'},
    {"SET vitess_metadata.ddl_strategy='x'", 'n'},
    {"SET @@ddl_strategyx='x'", 'n'},
    {"SET a='ddl_strategy'", 'n'},
    {"SET a='x, ddl_strategy=1'", 'n'},
    {"SET a=ddl_strategy=1", 'n'},
    {"SET a=@@ddl_strategy", 'n'},
    {"SET 'ddl_strategy'='x'", 'n'},
    {"SET TRANSACTION READ ONLY", 'n'},
    {"SET a=1; SET ddl_strategy='x'", 'n'},
    {"SELECT @@ddl_strategy", 'n'},
};

static void set_of_each(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(sets); i++) {
        struct statement st = classify(sets[i].sql);
        char got = !st.sets_ddl_strategy     ? 'n'
                   : st.sets_global          ? 'g'
                   : st.ddl_strategy_default ? 'd'
                                             : 's';
        if (got != sets[i].sets)
            fail_msg("%s: %c, not %c", sets[i].sql, got, sets[i].sets);
        if (got == 'n' || got == 'g')
            assert_false(st.ddl_strategy_default);
    }
}

static const struct {
    const char *sql, *name, *body;
} named[] = {
    {"USE ks", "ks", NULL},
    {"USE `my ks`;", "my ks", NULL},
    {"USE`ks`", "ks", NULL},
    {"USE ks@replica", "ks@replica", NULL},
    {"USE `ks:-80@primary`", "ks:-80@primary", NULL},
    {"USE @replica", "@replica", NULL},
    {"USE", NULL, NULL},
    {"PREPARE s FROM 'ALTER TABLE t ADD c INT'", "s", "ALTER TABLE t ADD c INT"},
    {"PREPARE `s` FROM \"SELECT 1\"", "s", "SELECT 1"},
    {"PREPARE s FROM 'it''s'", "s", "it''s"},
    {"PREPARE s FROM 'it\\'s'", "s", "it\\'s"},
    {"PREPARE s FROM _utf8mb4'SELECT 1'", "s", "SELECT 1"},
    {"PREPARE s FROM @v", "s", NULL},
    {"PREPARE s FROM @'v'", "s", NULL},
    {"PREPARE s", "s", NULL},
    {"EXECUTE s", "s", NULL},
    {"EXECUTE `s` USING @a", "s", NULL},
    {"DEALLOCATE PREPARE s", "s", NULL},
    {"DROP PREPARE s", "s", NULL},
    {"ALTER VSCHEMA ADD TABLE t", "t", NULL},
    {"ALTER VSCHEMA ON ks.t ADD VINDEX h(id)", "t", NULL},
    {"ALTER VSCHEMA DROP SEQUENCE s", "s", NULL},
    {"ALTER VSCHEMA CREATE VINDEX v USING hash", NULL, NULL},
};

static void name_of_each(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(named); i++) {
        struct statement st = classify(named[i].sql);
        if (!name_is(st.name, named[i].name) || !name_is(st.body, named[i].body))
            fail_msg("%s", named[i].sql);
    }
}

/* The statements of a text, "|" between them: what classify_next reports as each one's text. */
static const struct {
    const char *sql, *texts;
    bool multi;
} splits[] = {
    {"SELECT 1", "SELECT 1", false},
    {"  SELECT 1 ; ", "SELECT 1 |", false},
    {"SELECT 1;", "SELECT 1", false},
    {"SELECT 1;;", "SELECT 1|", false},
    {"SELECT 1; /* x */ -- y", "SELECT 1|/* x */ -- y", false},
    {"SELECT 1; # x", "SELECT 1|# x", false},
    {"SELECT 1;SELECT 2", "SELECT 1|SELECT 2", true},
    {"SELECT 1; /* x */ SELECT 2;", "SELECT 1|/* x */ SELECT 2", true},
    {"SELECT 1; /*!40101 SELECT 2 */", "SELECT 1|/*!40101 SELECT 2 */", true},
    {"SELECT 1; /*!40101; /*! x */", "SELECT 1|/*!40101|/*! x */", true},
    {"; SELECT 1", "|SELECT 1", true},
    {"SELECT ';'", "SELECT ';'", false},
    {"SELECT ';';", "SELECT ';'", false},
    {"SELECT `;`, \";\" /* ; */ -- ;", "SELECT `;`, \";\" /* ; */ -- ;", false},
    {"SELECT 'a\\';' ; SELECT 2", "SELECT 'a\\';' |SELECT 2", true},
    {"SELECT 'a''; SELECT 2", "SELECT 'a''; SELECT 2", false},
    {"/* x; */ SELECT 1; -- y;\nSELECT 2", "/* x; */ SELECT 1|-- y;\nSELECT 2", true},
    {"ALTER TABLE t ADD c INT DEFAULT ';'; DROP TABLE u",
     "ALTER TABLE t ADD c INT DEFAULT ';'|DROP TABLE u", true},
    {"CREATE PROCEDURE p() BEGIN SELECT 1; SELECT 2; END;",
     "CREATE PROCEDURE p() BEGIN SELECT 1; SELECT 2; END", false},
    {"CREATE PROCEDURE p() BEGIN SELECT 1; END; ALTER TABLE t ADD c INT",
     "CREATE PROCEDURE p() BEGIN SELECT 1; END|ALTER TABLE t ADD c INT", true},
    {"CREATE PROCEDURE p() l: BEGIN IF a THEN BEGIN END; END IF; SELECT end, CASE b WHEN 1 THEN 2 "
     "END; CASE c WHEN 1 THEN SELECT 1; END CASE; WHILE d DO SELECT 2; END WHILE; END l; SELECT 3",
     "CREATE PROCEDURE p() l: BEGIN IF a THEN BEGIN END; END IF; SELECT end, CASE b WHEN 1 THEN 2 "
     "END; CASE c WHEN 1 THEN SELECT 1; END CASE; WHILE d DO SELECT 2; END WHILE; END l|SELECT 3",
     true},
    {"CREATE PROCEDURE p() CASE a WHEN 1 THEN SELECT 1; END CASE; SELECT 2",
     "CREATE PROCEDURE p() CASE a WHEN 1 THEN SELECT 1; END CASE|SELECT 2", true},
    {"CREATE PROCEDURE p() WHILE a DO SELECT 1; END WHILE; SELECT 2",
     "CREATE PROCEDURE p() WHILE a DO SELECT 1; END WHILE; SELECT 2", false},
    {"CREATE PROCEDURE p() BEGIN SELECT 1;", "CREATE PROCEDURE p() BEGIN SELECT 1;", false},
    {"CREATE DEFINER=u@h TRIGGER x BEFORE INSERT ON t FOR EACH ROW IF a THEN SET b=1; END IF",
     "CREATE DEFINER=u@h TRIGGER x BEFORE INSERT ON t FOR EACH ROW IF a THEN SET b=1; END IF",
     false},
    {"CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO BEGIN DELETE FROM t; END",
     "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO BEGIN DELETE FROM t; END", false},
    {"CREATE PROCEDURE p() SELECT 1; ALTER TABLE t ADD c INT",
     "CREATE PROCEDURE p() SELECT 1|ALTER TABLE t ADD c INT", true},
    {"DROP PROCEDURE p; ALTER TABLE t ADD c INT", "DROP PROCEDURE p|ALTER TABLE t ADD c INT", true},
    {"BEGIN; UPDATE t SET a=1; COMMIT", "BEGIN|UPDATE t SET a=1|COMMIT", true},
    {"", "", false},
    {" ", "", false},
};

static void text_of_each(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(splits); i++) {
        char got[512] = "";
        size_t n = 0, at = 0, len = strlen(splits[i].sql);
        while (at < len) {
            struct statement st;
            size_t used = classify_next(splits[i].sql + at, len - at, &st);
            assert_true(used > 0 && used <= len - at);
            if (at > 0)
                got[n++] = '|';
            memcpy(got + n, st.text, st.len);
            n += st.len;
            at += used;
        }
        got[n] = '\0';
        if (strcmp(got, splits[i].texts) != 0)
            fail_msg("%s: %s, not %s", splits[i].sql, got, splits[i].texts);
        if (classify_is_multi(splits[i].sql, len) != splits[i].multi)
            fail_msg("%s: multi", splits[i].sql);
    }
}

static const struct {
    const char *sql;
    bool truncated;
} truncations[] = {
    {"SELECT 'a", true},        {"ALTER TABLE `t", true},
    {"SELECT 1 /* x", true},    {"/* x", true},
    {"/*!40101 SET a=1", true}, {"SELECT 'a\\'", true},
    {"/*!40101 x; */", true},   {"SELECT 1", false},
    {"SELECT 1 -- x", false},   {"SELECT 1; SELECT '", false},
    {"/*!40101 x */", false},   {"SET @`x", true},
};

static void truncation_of_each(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(truncations); i++) {
        if (classify(truncations[i].sql).truncated != truncations[i].truncated)
            fail_msg("%s", truncations[i].sql);
    }
}

/* part: of a text that goes on; whole: of one that ends there. Undecided, Plain, Interesting. */
static const struct {
    const char *sql;
    char part, whole;
} quicks[] = {
    {"", 'U', 'P'},
    {" \n", 'U', 'P'},
    {"SELECT c FROM sbtest1 WHERE id=1", 'P', 'P'},
    {"\tselect 1", 'P', 'P'},
    {"SELECT", 'U', 'P'},
    {"SELEC", 'U', 'I'},
    {"SELECTED x", 'I', 'I'},
    {"SELECT\xff", 'U', 'I'},
    {"SELECT_", 'U', 'I'},
    {"SELECT(", 'U', 'P'},
    {"SELECT/", 'U', 'P'},
    {"SELECT get_lock", 'I', 'I'},
    {"SELECT\tGET_LOCK('x', 1)", 'I', 'I'},
    {"SELECT get_loc", 'U', 'P'},
    {"SELECT greatest(1, 2)", 'P', 'P'},
    {"select release_lock(?)", 'I', 'I'},
    {"SELECT RELEASE_ALL_LOCKS()", 'I', 'I'},
    {"SELECT r.* FROM r", 'P', 'P'},
    {"SELECT /* x */ GET_LOCK(", 'I', 'I'},
    {"SELECT /* x */ c FROM sbtest1", 'P', 'P'},
    {"SELECT /*!40001 c", 'I', 'I'},
    {"SELECT ((get_lock(", 'I', 'I'},
    {"SELECT (c + 1) FROM t", 'P', 'P'},
    {"SELECT -- x\nget_lock(", 'I', 'I'},
    {"SELECT -1 FROM sbtest1", 'P', 'P'},
    {"SELECT is_free_lock('x')", 'P', 'P'},
    {"SELECT`", 'P', 'P'},
    {"SELECT;", 'P', 'P'},
    {"S", 'U', 'I'},
    {"AL", 'U', 'I'},
    {"INSERT ", 'P', 'P'},
    {"UPDATE ", 'P', 'P'},
    {"DELETE ", 'P', 'P'},
    {"REPLACE ", 'P', 'P'},
    {"WITH ", 'P', 'P'},
    {"SHOW ", 'P', 'P'},
    {"EXPLAIN ", 'I', 'I'},
    {"CALL ", 'P', 'P'},
    {"DO ", 'P', 'P'},
    {"VALUES ", 'P', 'P'},
    {"TABLE ", 'P', 'P'},
    {"COMMIT", 'U', 'P'},
    {"ROLLBACK ", 'P', 'P'},
    {"SAVEPOINT x", 'P', 'P'},
    {"RELEASE ", 'P', 'P'},
    {"ALTER TABLE", 'I', 'I'},
    {"create table a_longer_one (", 'I', 'I'},
    {"DROP ", 'I', 'I'},
    {"RENAME ", 'I', 'I'},
    {"TRUNCATE ", 'I', 'I'},
    {"SET ", 'I', 'I'},
    {"SET@", 'I', 'I'},
    {"USE ", 'I', 'I'},
    {"BEGIN", 'U', 'I'},
    {"START ", 'I', 'I'},
    {"PREPARE ", 'I', 'I'},
    {"EXECUTE ", 'I', 'I'},
    {"DEALLOCATE ", 'I', 'I'},
    {"DEALLOCATE PREPARE stmt", 'I', 'I'},
    {"REVERT ", 'I', 'I'},
    {"KILL ", 'I', 'I'},
    {"LOCK ", 'I', 'I'},
    {"UNLOCK ", 'I', 'I'},
    {"XA ", 'I', 'I'},
    {";", 'I', 'I'},
    {"'", 'I', 'I'},
    {"1", 'U', 'I'},
    {"(", 'U', 'P'},
    {"(SELECT 1)", 'P', 'P'},
    {"( (\nselect 1", 'P', 'P'},
    {"(ALTER TABLE", 'I', 'I'},
    {"(/*!40101 ALTER", 'I', 'I'},
    {"/* x */ SELECT 1", 'P', 'P'},
    {"/* x */ SELECT", 'U', 'P'},
    {"/* x */ ALTER TABLE", 'I', 'I'},
    {"/*vt+ A=1 */ SELECT 1", 'P', 'P'},
    {"/*+ A */ SELECT 1", 'P', 'P'},
    {"-- x\nSELECT 1", 'P', 'P'},
    {"# x\nSELECT 1", 'P', 'P'},
    {"# x\nDROP TABLE t", 'I', 'I'},
    {"// x\nSELECT 1", 'P', 'P'},
    {"/*!40101 SET", 'I', 'I'},
    {"/*!", 'I', 'I'},
    {"/*M!100100 ALTER", 'I', 'I'},
    {" /* x */ /*!40101 SELECT 1 */", 'I', 'I'},
    {"/", 'U', 'I'},
    {"-", 'U', 'I'},
    {"--", 'U', 'P'},
    {"-1", 'I', 'I'},
    {"/*", 'U', 'P'},
    {"/* x", 'U', 'P'},
    {"/*M", 'U', 'P'},
    {"# x", 'U', 'P'},
};

static char quick_letter(const char *sql, bool whole)
{
    return "UPI"[classify_quick(sql, strlen(sql), whole)];
}

static void quick_of_each(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(quicks); i++) {
        char part = quick_letter(quicks[i].sql, false), whole = quick_letter(quicks[i].sql, true);
        if (part != quicks[i].part || whole != quicks[i].whole)
            fail_msg("'%s': %c %c, not %c %c", quicks[i].sql, part, whole, quicks[i].part,
                     quicks[i].whole);
    }
    assert_int_equal(classify_quick(NULL, 0, true), QUICK_PLAIN);
}

static const struct {
    const char *sql;
    enum lock_function lock;
} locks[] = {
    {"SELECT GET_LOCK('x', 1)", LOCK_GET},
    {"select get_lock ( ?, -1 ) as l;", LOCK_GET},
    {"/* a */ SELECT /* b */ (GET_LOCK('x', 1))", LOCK_GET},
    {"SELECT RELEASE_LOCK('x') FROM dual", LOCK_RELEASE},
    {"SELECT RELEASE_ALL_LOCKS()", LOCK_RELEASE_ALL},
    {"SELECT get_lock FROM t", LOCK_NONE},
    {"SELECT `get_lock`(1)", LOCK_NONE},
    {"SELECT 'get_lock('", LOCK_NONE},
    {"SELECT IS_USED_LOCK('x')", LOCK_NONE},
    {"SELECT get_locks('x')", LOCK_NONE},
    {"INSERT GET_LOCK('x', 1)", LOCK_NONE},
};

static void lock_functions_are_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(locks); i++) {
        if (classify(locks[i].sql).lock != locks[i].lock)
            fail_msg("'%s': %d", locks[i].sql, classify(locks[i].sql).lock);
    }
}

/* Split at every byte, quick never turns out wrong: decided once, it stays with what it said. */
static void quick_of_every_prefix(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(quicks); i++) {
        size_t len = strlen(quicks[i].sql);
        enum quick_kind last = QUICK_UNDECIDED;
        for (size_t n = 0; n <= len; n++) {
            enum quick_kind quick = classify_quick(quicks[i].sql, n, false);
            if (last != QUICK_UNDECIDED)
                assert_int_equal(quick, last);
            last = quick;
        }
        if (last == QUICK_PLAIN)
            assert_int_equal(classify_quick(quicks[i].sql, len, true), QUICK_PLAIN);
    }
}

static void every_kind_has_a_name(void **state)
{
    (void)state;
    for (int k = STATEMENT_EMPTY; k <= STATEMENT_KILL; k++)
        assert_string_not_equal(statement_kind_name((enum statement_kind)k), "unknown");
    assert_string_equal(statement_kind_name(STATEMENT_ONLINE_DDL), "online_ddl");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kind_of_each),          cmocka_unit_test(ddl_of_each),
        cmocka_unit_test(set_of_each),           cmocka_unit_test(name_of_each),
        cmocka_unit_test(text_of_each),          cmocka_unit_test(truncation_of_each),
        cmocka_unit_test(quick_of_each),         cmocka_unit_test(quick_of_every_prefix),
        cmocka_unit_test(every_kind_has_a_name), cmocka_unit_test(lock_functions_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
