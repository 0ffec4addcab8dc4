/* What the DDL parser makes of statements: the actions, written as text, and what it does not know.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "planner/alter.h"
#include "planner/column_type.h"

static void append(char *out, size_t size, const char *text, struct sql_name n)
{
    size_t at = strlen(out);

    snprintf(out + at, size - at, "%s%.*s", text, (int)n.len, n.text ? n.text : "");
}

static void flag(char *out, size_t size, const char *text, bool is)
{
    if (is)
        append(out, size, text, (struct sql_name){NULL, 0});
}

static void write_column(char *out, size_t size, const struct ddl_column *c)
{
    if (!c->type.text)
        return;
    append(out, size, " ", c->type);
    if (c->arguments.text) {
        append(out, size, "(", c->arguments);
        flag(out, size, ")", true);
    }
    flag(out, size, " unsigned", c->is_unsigned);
    flag(out, size, " notnull", c->not_null);
    if (c->has_default)
        append(out, size, c->default_is_null ? " default:" : " default=", c->fallback);
    flag(out, size, " auto", c->auto_increment);
    flag(out, size, " generated", c->generated);
    flag(out, size, " primary", c->primary);
    flag(out, size, " unique", c->unique);
    flag(out, size, " references", c->references);
    if (c->charset.text)
        append(out, size, " charset=", c->charset);
    if (c->collation.text)
        append(out, size, " collate=", c->collation);
}

static void write_action(char *out, size_t size, const struct ddl *d, const struct ddl_action *a)
{
    static const char *const TYPES[] = {"", " unique", " fulltext", " spatial"};

    flag(out, size, *out ? "; " : "", true);
    flag(out, size, ddl_action_name(a->kind), true);
    if (a->name.text)
        append(out, size, " ", a->name);
    if (a->new_name.text)
        append(out, size, "->", a->new_name);
    if (a->value.text)
        append(out, size, "=", a->value);
    flag(out, size, " if", a->conditional);
    write_column(out, size, &a->column);
    flag(out, size, TYPES[a->index.type], true);
    for (size_t i = 0; i < a->index.parts; i++)
        append(out, size, i ? "," : " (", d->parts[a->index.first_part + i]);
    flag(out, size, ")", a->index.parts > 0);
    flag(out, size, " prefix", a->index.prefix);
    flag(out, size, " expression", a->index.expression);
    flag(out, size, " invisible", a->index.invisible);
    flag(out, size, " first", a->first);
    if (a->after.text)
        append(out, size, " after ", a->after);
}

static void expect(const char *sql, const char *table, const char *actions, bool understood)
{
    /* A copy of the exact size, so that the sanitizer sees a read beyond the end. */
    size_t len = strlen(sql);
    char *copy = malloc(len ? len : 1), got[2048] = "", name[128] = "";

    memcpy(copy, sql, len);
    struct ddl *d = ddl_parse(copy, len);

    for (size_t i = 0; i < d->n; i++)
        write_action(got, sizeof(got), d, &d->actions[i]);
    if (d->qualifier.text) {
        append(name, sizeof(name), "", d->qualifier);
        flag(name, sizeof(name), ".", true);
    }
    append(name, sizeof(name), "", d->table);
    if (strcmp(got, actions) != 0 || d->understood != understood || strcmp(name, table) != 0)
        fail_msg("%s\n got: %s [%s]%s\nwant: %s [%s]%s", sql, got, name,
                 d->understood ? "" : " not understood", actions, table,
                 understood ? "" : " not understood");
    ddl_free(d);
    for (size_t cut = 0; cut < len; cut++) { /* no prefix may do harm */
        char *part = malloc(cut ? cut : 1);

        memcpy(part, sql, cut);
        ddl_free(ddl_parse(part, cut));
        free(part);
    }
    free(copy);
}

static void columns(void **state)
{
    (void)state;
    expect("ALTER TABLE t ADD COLUMN c int", "t", "add column c int", true);
    expect(
        "alter table ks.`t` add c varchar(10) character set utf8mb4 not null default 'x' after b",
        "ks.t", "add column c varchar(10) notnull default=x charset=utf8mb4 after b", true);
    expect("ALTER TABLE t ADD c decimal(10, 2) unsigned zerofill DEFAULT -1.5 FIRST", "t",
           "add column c decimal(10, 2) unsigned default=1.5 first", true);
    expect("ALTER TABLE t ADD (a int, b int NOT NULL, KEY (a))", "t",
           "add column a int; add column b int notnull; add index (a)", true);
    expect("ALTER TABLE t DROP COLUMN a, DROP b", "t", "drop column a; drop column b", true);
    expect("ALTER TABLE t CHANGE a b bigint AUTO_INCREMENT PRIMARY KEY", "t",
           "change column a->b bigint notnull auto primary", true);
    expect("ALTER TABLE t MODIFY COLUMN a enum('x','y,(') NULL DEFAULT NULL COMMENT 'it''s, so'",
           "t", "modify column a enum('x','y,(') default:NULL", true);
    expect("ALTER TABLE t RENAME COLUMN a TO b", "t", "rename column a->b", true);
    expect(
        "ALTER TABLE t ALTER a SET DEFAULT 5, ALTER COLUMN b DROP DEFAULT, ALTER c SET INVISIBLE",
        "t", "alter column a=SET; alter column b=DROP; alter column c=SET", true);
    expect("ALTER TABLE t ADD c timestamp(6) DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE NOW(6)", "t",
           "add column c timestamp(6) default=CURRENT_TIMESTAMP", true);
    expect("ALTER TABLE t ADD c int GENERATED ALWAYS AS (a + (b)) STORED UNIQUE KEY", "t",
           "add column c int generated unique", true);
    expect("ALTER TABLE t ADD c bit(4) DEFAULT b'01', ADD d json DEFAULT (json_array())", "t",
           "add column c bit(4) default=01; add column d json default=json_array()", true);
    expect("ALTER TABLE t ADD p int REFERENCES o (id) ON DELETE SET NULL ON UPDATE NO ACTION", "t",
           "add column p int references", true);
    expect("ALTER TABLE t ADD c int CHECK (c > 0) NOT ENFORCED", "t", "add column c int", true);
}

static void indexes(void **state)
{
    (void)state;
    expect("ALTER TABLE t ADD INDEX i (a, b DESC), ADD KEY (c(10))", "t",
           "add index i (a,b); add index (c) prefix", true);
    expect("ALTER TABLE t ADD UNIQUE KEY u (a) USING BTREE INVISIBLE COMMENT 'x'", "t",
           "add index u unique (a) invisible", true);
    expect("ALTER TABLE t ADD CONSTRAINT s UNIQUE (a)", "t", "add index s unique (a)", true);
    expect("ALTER TABLE t ADD FULLTEXT f (a) WITH PARSER ngram, ADD SPATIAL INDEX g (p)", "t",
           "add index f fulltext (a); add index g spatial (p)", true);
    expect("ALTER TABLE t ADD PRIMARY KEY (id), DROP PRIMARY KEY", "t",
           "add primary key unique (id); drop primary key", true);
    expect("ALTER TABLE t ADD INDEX ((a + 1))", "t", "add index () expression", true);
    expect("ALTER TABLE t ADD CONSTRAINT fk FOREIGN KEY (a) REFERENCES ks.o (id) ON DELETE CASCADE",
           "t", "add foreign key fk (a)", true);
    expect("ALTER TABLE t DROP FOREIGN KEY fk, DROP CHECK c, DROP CONSTRAINT d, DROP INDEX i", "t",
           "drop foreign key fk; drop constraint c; drop constraint d; drop index i", true);
    expect("ALTER TABLE t ALTER INDEX i INVISIBLE, RENAME INDEX a TO b", "t",
           "alter index i=INVISIBLE; rename index a->b", true);
    expect("ALTER TABLE t ADD CHECK (a > 1), ALTER CHECK c NOT ENFORCED", "t",
           "add check; alter constraint c", true);
    expect("CREATE UNIQUE INDEX i ON ks.t (a, b)", "ks.t", "add index i unique (a,b)", true);
    expect("CREATE INDEX i USING HASH ON t (a) ALGORITHM = INPLACE LOCK=NONE", "t",
           "add index i (a); algorithm=INPLACE; lock=NONE", true);
    expect("DROP INDEX `i` ON t LOCK=SHARED", "t", "drop index i; lock=SHARED", true);
}

static void options(void **state)
{
    (void)state;
    expect("ALTER TABLE t ENGINE=MyISAM, ALGORITHM=INSTANT, LOCK NONE", "t",
           "engine ENGINE=MyISAM; algorithm=INSTANT; lock=NONE", true);
    expect("ALTER TABLE t ENGINE InnoDB ROW_FORMAT=DYNAMIC COMMENT='a, b'", "t",
           "engine ENGINE=InnoDB; table option ROW_FORMAT=DYNAMIC; table option COMMENT=a, b",
           true);
    expect(
        "ALTER TABLE t DEFAULT CHARACTER SET = latin1 COLLATE latin1_bin, AUTO_INCREMENT=7", "t",
        "character set SET=latin1; collation COLLATE=latin1_bin; auto_increment AUTO_INCREMENT=7",
        true);
    expect("ALTER TABLE t CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", "t",
           "convert to character set->utf8mb4_bin=utf8mb4", true);
    expect("ALTER TABLE t RENAME TO u", "t", "rename table t->u", true);
    expect("ALTER TABLE t RENAME u, FORCE", "t", "rename table t->u; rebuild", true);
    expect("ALTER TABLE t ORDER BY a", "t", "order by", true);
    expect("ALTER TABLE t PARTITION BY HASH(id) PARTITIONS 4", "t", "partition by", true);
    expect("ALTER TABLE t ADD COLUMN a int PARTITION BY KEY() (PARTITION p0)", "t",
           "add column a int; partition by", true);
    expect("ALTER TABLE t DROP PARTITION p0, p1", "t", "partition=DROP", true);
    expect("ALTER TABLE t ADD PARTITION (PARTITION p VALUES LESS THAN (5))", "t", "partition=ADD",
           true);
    expect("ALTER TABLE t REORGANIZE PARTITION a, b INTO (PARTITION c VALUES IN (1,2))", "t",
           "partition=REORGANIZE", true);
    expect("ALTER TABLE t REMOVE PARTITIONING", "t", "partition=REMOVE", true);
}

static void tables(void **state)
{
    (void)state;
    expect("CREATE TABLE t (id bigint PRIMARY KEY, v int) ENGINE=InnoDB", "t",
           "add column id bigint notnull primary; add column v int; engine ENGINE=InnoDB", true);
    expect(
        "CREATE TABLE `t` (\n  `id` bigint NOT NULL,\n  `s` varchar(32) COLLATE utf8mb4_bin "
        "DEFAULT "
        "NULL,\n  PRIMARY KEY (`id`),\n  KEY `k` (`s`(4)) /*!80000 INVISIBLE */\n) ENGINE=InnoDB "
        "AUTO_INCREMENT=5 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci\n/*!50100 PARTITION "
        "BY "
        "HASH (`id`)\nSUBPARTITION BY KEY (`id`)\nPARTITIONS 2 */",
        "t",
        "add column id bigint notnull; add column s varchar(32) default:NULL collate=utf8mb4_bin; "
        "add primary key unique (id); add index k (s) prefix invisible; engine ENGINE=InnoDB; "
        "auto_increment AUTO_INCREMENT=5; character set CHARSET=utf8mb4; collation "
        "COLLATE=utf8mb4_0900_ai_ci; partition by",
        true);
    expect("CREATE TABLE IF NOT EXISTS t LIKE ks.u", "t", "like another table u", true);
    expect("CREATE TABLE t (a int) AS SELECT 1 a", "t", "add column a int; as a query", false);
    expect("CREATE TABLE t SELECT 1", "t", "", false);
    expect("DROP TABLE IF EXISTS ks.a, b CASCADE", "ks.a", "drop table a=ks; drop table b", true);
    expect("RENAME TABLE a TO b, ks.c TO ks.d", "a", "rename table a->b; rename table c->d=ks",
           true);
    expect("CREATE VIEW v AS SELECT 1", "", "", false);
    expect("TRUNCATE t", "", "", false);
    expect("SELECT 1", "", "", false);
    expect("", "", "", false);
}

static void unknown(void **state)
{
    (void)state;
    expect("ALTER TABLE t", "t", "", false);
    expect("ALTER TABLE t ADD", "t", "add column; not understood", false);
    expect("ALTER TABLE t ADD COLUMN c", "t", "add column c; not understood", false);
    expect("ALTER TABLE t ADD c int FANCY", "t", "add column c int; not understood", false);
    expect("ALTER TABLE t SPIN (1, 2), DROP COLUMN c", "t", "not understood; drop column c", false);
    expect("ALTER TABLE t DROP COLUMN c nonsense", "t", "drop column c; not understood", false);
    expect("ALTER TABLE t ADD c int DEFAULT 'open", "t",
           "add column c int default=; not understood", false);
    expect("ALTER TABLE t ORDER BY a, b", "t", "order by; not understood", false);
    expect("ALTER TABLE t ADD COLUMN IF NOT EXISTS c int", "t", "add column c if int", false);
    expect("ALTER TABLE t DROP COLUMN c /* open", "t", "drop column c", false);
    expect("DROP TABLE t nonsense words", "t", "drop table t", false);
    expect("CREATE TABLE t (", "t", "add column", false);
    expect("CREATE INDEX ON t (v)", "t", "add index ON (v)", false);
}

static struct ddl_column column_of(struct ddl **d, const char *definition)
{
    char sql[256];

    snprintf(sql, sizeof(sql), "ALTER TABLE t ADD c %s", definition);
    *d = ddl_parse(strdup(sql), strlen(sql)); /* the caller frees it */
    assert_true((*d)->understood);
    return (*d)->actions[0].column;
}

static void types(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to;
        bool narrows, differs;
    } cases[] = {
        {"int", "bigint", false, true},
        {"bigint", "int", true, true},
        {"int", "integer", false, false},
        {"int(11)", "int", false, false},
        {"int", "int unsigned", false, true},
        {"varchar(10)", "varchar(20)", false, false},
        {"varchar(20)", "varchar(10)", true, true},
        {"char(5)", "varchar(5)", false, false},
        {"varchar(255)", "text", false, false},
        {"varchar(20000)", "text", true, false},
        {"text", "varchar(100)", true, true},
        {"text", "mediumtext", false, false},
        {"decimal(10,2)", "decimal(12,2)", false, true},
        {"decimal(10,2)", "decimal(10,4)", true, true},
        {"datetime(6)", "datetime", true, true},
        {"datetime", "date", true, true},
        {"int", "varchar(255)", false, true},
        {"float", "double", false, true},
        {"enum('a')", "enum('a','b')", false, false},
        {"enum('a','b')", "enum('b','a')", false, true},
        {"vector(3)", "vector(4)", false, false},
        {"varchar(9) charset utf8mb4", "varchar(9) charset latin1", false, true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct ddl *a, *b;
        struct ddl_column from = column_of(&a, cases[i].from), to = column_of(&b, cases[i].to);

        if (column_type_narrows(&from, &to) != cases[i].narrows)
            fail_msg("narrows: %s to %s", cases[i].from, cases[i].to);
        if (column_type_differs(&from, &to) != cases[i].differs)
            fail_msg("differs: %s to %s", cases[i].from, cases[i].to);
        const char *texts[] = {a->table.text, b->table.text};

        ddl_free(a);
        ddl_free(b);
        for (size_t j = 0; j < 2; j++) /* the name stands behind "ALTER TABLE " */
            free((void *)(uintptr_t)(texts[j] - strlen("ALTER TABLE ")));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns), cmocka_unit_test(indexes), cmocka_unit_test(options),
        cmocka_unit_test(tables),  cmocka_unit_test(unknown), cmocka_unit_test(types),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
