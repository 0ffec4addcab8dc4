"""What is looked at before a DDL is submitted: refusals and warnings (EXPLAIN, hints, policies: test_hints.py). All of it on the real
cluster; what was refused has left no migration and no change on any shard."""

from __future__ import annotations

import json
import subprocess
import time

import pymysql
import pytest

from fake_vtgate import FakeVtgate, Rows
from lib.bed import scratch_name
from lib.clients import Statement, connector
from lib.ddl import INSTANT, POSTPONED, UUID, assert_everywhere
from lib.poll import until
from lib.shim import merge
from lib.wire import BASIC, DEPRECATE_EOF, MULTI_STATEMENTS, Wire

COLUMNS = ("id bigint NOT NULL PRIMARY KEY, v int, w varchar(32) NOT NULL DEFAULT '', e enum('a','b') NOT NULL DEFAULT "
           "'a', KEY by_v (v), KEY hidden (w) INVISIBLE")


@pytest.fixture
def wide(bed):
    with bed.scratch_table(COLUMNS) as name:
        yield name


def test_back_to_a_long_target(start_shim):
    """What the session's database is called is its own affair: the way back from a shard is as long as it takes."""
    database = "d" * 3000
    scripts = {"SHOW VITESS_SHARDS": [Rows([["ks/-"]], ("Shards",))]}
    with FakeVtgate(scripts) as gate:
        shim = start_shim({"vtgate": gate.endpoint})
        with Wire(shim.listen) as client:
            client.login("somebody", "anything", database=database)
            assert client.query("EXPLAIN ALTER TABLE ks.t ADD COLUMN c int").error is None
            targets = [query for query in gate.queries if query.startswith("USE ")]
            assert targets == ["USE `ks/-`", f"USE `{database}`"], [query[:40] for query in gate.queries]
            assert client.query("SELECT 1").error is None


def test_two_keyspaces(start_shim, bed, table):
    """One statement about tables of two keyspaces is refused before anything of it is done, also where it would run direct."""
    shim = start_shim({"ddl": {"policy": ["direct"]}})
    with shim.connect() as connection, connection.cursor() as cursor:
        for sql, code, words in ((f"DROP TABLE {table}, elsewhere.t", 1235, f"two keyspaces, {bed.keyspace} and elsewhere"),
                                 (f"DROP TABLE elsewhere.t, {table}", 1235, f"two keyspaces, elsewhere and {bed.keyspace}"),
                                 (f"RENAME TABLE {table} TO elsewhere.t", None, "elsewhere"),
                                 (f"ALTER TABLE {table} RENAME TO elsewhere.t", None, "elsewhere")):
            found, text = refused(cursor, sql)
            assert (code is None or found == code) and words in text, (sql, found, text)
    assert_everywhere(bed, table, "id")
    assert not bed.migrations(table)


def refused(cursor, sql: str) -> tuple[int, str]:
    with pytest.raises(pymysql.Error) as failed:
        cursor.execute(sql)
    return failed.value.args


def warnings(cursor) -> list[tuple[str, int, str]]:
    cursor.execute("SHOW WARNINGS")
    return list(cursor.fetchall())


def explain(cursor, sql: str) -> dict[tuple[str, str], str]:
    cursor.execute("EXPLAIN " + sql)
    assert [column[0] for column in cursor.description] == ["section", "item", "value"]
    return {(row[0], row[1]): row[2] for row in cursor.fetchall()}


# Refusals.

REFUSALS = [
    ("ALTER TABLE {t} RENAME TO other", 1235, "ALTER TABLE ... RENAME is not supported in online DDL"),
    ("RENAME TABLE {t} TO other", 1235, "ALTER TABLE ... RENAME is not supported in online DDL"),
    ("ALTER TABLE {t} ADD FOREIGN KEY (v) REFERENCES demo (id)", 1235,
     "foreign key constraints are not supported in online DDL"),
    ("ALTER TABLE {t} ADD COLUMN V int", 1060, "Duplicate column name 'V'"),
    ("ALTER TABLE {t} DROP COLUMN nosuch", 1091, "Can't DROP 'nosuch'; check that column/key exists"),
    ("ALTER TABLE {t} MODIFY nosuch int", 1054, "Unknown column 'nosuch' in '{t}'"),
    ("ALTER TABLE {t} ADD x int AFTER nosuch", 1054, "Unknown column 'nosuch' in '{t}'"),
    ("CREATE INDEX i ON {t} (nosuch)", 1072, "Key column 'nosuch' doesn't exist in table"),
    ("DROP INDEX nosuch ON {t}", 1091, "Can't DROP 'nosuch'; check that column/key exists"),
    ("ALTER TABLE {t} ADD INDEX by_v (w)", 1061, "Duplicate key name 'by_v'"),
    ("ALTER TABLE {t} ADD PRIMARY KEY (v)", 1068, "Multiple primary key defined"),
    ("ALTER TABLE {t} RENAME INDEX nosuch TO x", 1176, "Key 'nosuch' doesn't exist in table '{t}'"),
    ("CREATE TABLE {t} (id int PRIMARY KEY)", 1050, "Table '{t}' already exists"),
    ("CREATE TABLE other (id int PRIMARY KEY, Id int)", 1060, "Duplicate column name 'Id'"),
    ("ALTER TABLE nosuchtable ADD x int", 1146, "Table 'commerce.nosuchtable' doesn't exist"),
    ("DROP TABLE nosuchtable", 1051, "Unknown table 'commerce.nosuchtable'"),
    ("ALTER TABLE {t} DROP PRIMARY KEY", 1105, "table '{t}' has no non-null unique key"),
    ("ALTER TABLE demo DROP COLUMN id", 1105, "column id is used by vindex hash; this will lead to inaccessible data"),
    ("ALTER TABLE demo CHANGE id key_id bigint NOT NULL", 1105,
     "column id is used by vindex hash; this will lead to inaccessible data"),
    ("ALTER TABLE demo MODIFY id varchar(20) NOT NULL", 1105,
     "column id is used by vindex hash; this will lead to inaccessible data"),
    ("ALTER TABLE {t} CONVERT TO CHARACTER SET latin1", 1235,
     "character set latin1 is not supported in online DDL, only utf8, utf8mb3 and utf8mb4 are"),
    ("ALTER TABLE {t} ENGINE=MyISAM", 1235, "storage engine MyISAM is not supported in online DDL, only InnoDB is"),
    ("ALTER TABLE {t} PARTITION BY RANGE (id) SUBPARTITION BY HASH (id) (PARTITION p0 VALUES LESS THAN (9))", 1235,
     "subpartitions are not supported in online DDL"),
    ("ALTER TABLE {t} ADD x int, ALGORITHM=INPLACE", 1235, "ALGORITHM=INPLACE is not supported in online DDL"),
    ("CREATE INDEX i ON {t} (w) LOCK=NONE", 1235, "LOCK=NONE is not supported in online DDL"),
    ("ALTER TABLE {t} DROP COLUMN v, ADD COLUMN v bigint", 1105, "column v is mentioned 2 times"),
    ("ALTER TABLE {t} RENAME COLUMN v TO x, ADD COLUMN v bigint", 1105, "column v is mentioned 2 times"),
]


def test_refusals(start_shim, bed, wide):
    """Each in MySQL's or ddl's own words, at once, with nothing submitted; the connection works on."""
    shim = start_shim(INSTANT)
    before, demo = bed.columns(wide), bed.columns("demo")
    with shim.connect() as connection, connection.cursor() as cursor:
        for sql, code, text in REFUSALS:
            sql, text = sql.format(t=wide), text.format(t=wide)
            assert refused(cursor, sql) == (code, text), sql
            found = warnings(cursor)
            assert found[0] == ("Error", code, text), sql
            cursor.execute("SELECT 1")
    assert bed.columns(wide) == before and bed.columns("demo") == demo
    assert not bed.migrations(wide), "nothing was submitted"
    assert shim.metric("vtshim_preflight_refused_total") == len(REFUSALS)
    assert shim.events("ddl_preflight", refused="vindex_column")


def test_sqlstates(start_shim, wide):
    shim = start_shim(INSTANT)
    with shim.wire() as client:
        for sql, state in ((f"ALTER TABLE {wide} ADD v int", "42S21"), (f"ALTER TABLE {wide} DROP nosuch", "42000"),
                           (f"ALTER TABLE {wide} MODIFY nosuch int", "42S22"), ("DROP TABLE nosuchtable", "42S02"),
                           (f"CREATE TABLE {wide} (a int)", "42S01")):
            assert client.query(sql).error.state == state, sql


def test_foreign_key_present(start_shim, bed, wide):
    """A table that has one, and a table that another's refers to."""
    shim = start_shim(INSTANT)
    child = scratch_name()
    bed.run(f"CREATE TABLE {child} (id bigint PRIMARY KEY, p bigint, FOREIGN KEY (p) REFERENCES {wide} (id))")
    try:
        until(lambda: all(child in tables for tables in bed.tables().values()), "the child is there")
        with shim.connect() as connection, connection.cursor() as cursor:
            for name in (child, wide):
                until(lambda: "foreign_key" in str(explain(cursor, f"ALTER TABLE {name} ADD x int")), "vtgate knows it")
                code, text = refused(cursor, f"ALTER TABLE {name} ADD x int")
                assert (code, text) == (1235, "foreign key constraints are not supported in online DDL")
    finally:
        bed.forget(child)


def change_vschema(bed, edit) -> None:
    """Edits the keyspace's tables in its VSchema."""
    client = [str(bed.programs / "vtctldclient"), "--server", bed.environment["BED_VTCTLD"]]
    now = subprocess.run([*client, "GetVSchema", bed.keyspace], capture_output=True, check=True).stdout
    wanted = json.loads(now)
    edit(wanted["tables"])
    subprocess.run([*client, "ApplyVSchema", "--vschema", json.dumps(wanted), bed.keyspace], capture_output=True,
                   check=True)


def test_vindex_and_sequence(start_shim, bed, wide):
    """A column that a sequence fills, which only vtgate's plan of an INSERT shows."""
    shim = start_shim(INSTANT)
    change_vschema(bed, lambda tables: tables.update({
        wide: {"column_vindexes": [{"column": "id", "name": "hash"}],
               "auto_increment": {"column": "v", "sequence": f"{wide}_seq"}},
        f"{wide}_seq": {"type": "sequence", "pinned": "00"}}))
    try:
        with shim.connect() as connection, connection.cursor() as cursor:
            sql = f"ALTER TABLE {wide} DROP COLUMN v"
            until(lambda: ("refuse", "vindex_column") in explain(cursor, sql), "the VSchema has reached vtgate")
            assert refused(cursor, sql) == (
                1105, f"column v is used by sequence {wide}_seq; this will lead to inaccessible data")
            assert refused(cursor, f"ALTER TABLE {wide} MODIFY id int NOT NULL") == (
                1105, "column id is used by vindex hash; this will lead to inaccessible data")
    finally:
        change_vschema(bed, lambda tables: [tables.pop(name, None) for name in (wide, f"{wide}_seq")])


def test_not_understood_is_vtgates(start_shim, bed, wide):
    """Never refused by the shim; the error is vtgate's own."""
    shim = start_shim(INSTANT)
    sql = f"ALTER TABLE {wide} DROP COLUMN nosuch, SPIN"
    with shim.connect() as connection, connection.cursor() as cursor:
        ours = refused(cursor, sql)
    with bed.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SET @@ddl_strategy = 'vitess'")
        assert refused(cursor, sql) == ours
    assert not shim.events("ddl_preflight", refused="missing_column")


def test_running_migration(start_shim, bed, wide):
    """Another migration on the table: queued behind it with a warning, or refused."""
    queues = start_shim(merge(POSTPONED, {"ddl": {"preflight": "enforce"}}))
    refuses = start_shim(merge(POSTPONED, {"ddl": {"on_conflict": "refuse"}}))
    bed.run("SET @@ddl_strategy = 'vitess --postpone-completion --allow-concurrent'",
            f"ALTER TABLE {wide} ADD COLUMN one int")
    until(lambda: bed.migrations(wide), "it is queued")
    with queues.connect() as connection, connection.cursor() as cursor:
        plan = explain(cursor, f"ALTER TABLE {wide} ADD COLUMN two int")
        assert "this one waits for it" in plan["conflict", "running"]
    with refuses.connect() as connection, connection.cursor() as cursor:
        code, text = refused(cursor, f"ALTER TABLE {wide} ADD COLUMN two int")
    assert code == 1105 and UUID.search(text) and f"on table '{wide}'" in text


def test_behind_its_own(start_shim, bed, wide):
    """What ddl.queue orders is no conflict, is not held against a table that will be another, and the same statement
    joins the one that runs, unjudged."""
    shim = start_shim(merge(POSTPONED, {"ddl": {"on_conflict": "refuse"}}))
    add, drop = f"ALTER TABLE {wide} ADD COLUMN later int", f"ALTER TABLE {wide} DROP COLUMN later"

    def complete(seen: set[str]) -> set[str]:
        until(lambda: {row["migration_uuid"] for row in bed.migrations(wide)} - seen, "it is submitted", 60)
        uuids = {row["migration_uuid"] for row in bed.migrations(wide)}
        for uuid in uuids - seen:
            bed.run(f"ALTER VITESS_MIGRATION '{uuid}' COMPLETE")
        return uuids

    alters = [Statement(shim, add)]
    shim.wait_event("ddl_submitted", table=wide)
    alters.append(Statement(shim, add))
    shim.wait_event("ddl_attached", table=wide)
    alters.append(Statement(shim, drop))
    shim.wait_event("ddl_waits_for_turn", table=wide)
    assert not any(alter.answer for alter in alters)
    seen = complete(set())
    complete(seen)
    assert [alter.wait(90) for alter in alters] == ["ok"] * 3
    assert all("later" not in columns for columns in bed.columns(wide).values())
    assert not [event for event in shim.events("ddl_preflight", table=wide) if event["refused"] != "-"]


def test_submitted_and_left(start_shim, bed, wide):
    """wait=no with a strategy that postpones: nobody but its user completes it, and it is a conflict for others."""
    shim = start_shim(merge(INSTANT, {"ddl": {"on_conflict": "refuse"}}))
    with shim.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"ALTER /*vtshim strategy='vitess --postpone-completion --allow-concurrent' wait=no */ "
                       f"TABLE {wide} ADD COLUMN later int")
        assert "Online DDL submitted" in warnings(cursor)[0][2]
        assert refused(cursor, f"ALTER TABLE {wide} ADD COLUMN other int")[0] == 1105
    rows = bed.migrations(wide)
    assert len(rows) == 2 and not any(row["migration_context"].startswith("vtshim:") for row in rows), rows


def test_vschema_change_in_flight(start_shim, bed, wide, vschema_alone):
    """Until an ALTER VSCHEMA of the table has reached all vtgates its DDL waits, or is refused."""
    waits = start_shim(merge(INSTANT, {"ddl": {"settle_ms": 3000}}))
    refuses = start_shim(merge(INSTANT, {"ddl": {"settle_ms": 3000, "on_conflict": "refuse"}}))
    try:
        with refuses.connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"ALTER VSCHEMA ON {wide} ADD VINDEX hash(id)")
            assert refused(cursor, f"ALTER TABLE {wide} ADD COLUMN x int") == (
                1105, f"a VSchema change of table '{wide}' is under way")
        with waits.connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"ALTER VSCHEMA ON {wide} DROP VINDEX hash")
            began = time.monotonic()
            cursor.execute(f"ALTER TABLE {wide} ADD COLUMN x int")
            assert time.monotonic() - began > 3
        assert_everywhere(bed, wide, "x")
    finally:
        change_vschema(bed, lambda tables: tables.pop(wide, None))


def test_recently_used_column(start_shim, bed, wide):
    """What statements named minutes ago: text and prepared."""
    shim = start_shim(merge(INSTANT, {"ddl": {"watch_columns": 1}}))
    with shim.connect() as connection, connection.cursor() as cursor:
        assert ("warn", "recently_used") not in explain(cursor, f"ALTER TABLE {wide} DROP COLUMN v")
        cursor.execute(f"SELECT v FROM {wide} WHERE id = 1")
        assert "minutes ago" in explain(cursor, f"ALTER TABLE {wide} DROP COLUMN v")["warn", "recently_used"]
        assert ("warn", "recently_used") not in explain(cursor, f"ALTER TABLE {wide} DROP COLUMN e")
    with connector(shim) as connection:
        prepared = connection.cursor(prepared=True)
        prepared.execute(f"SELECT e FROM {wide} WHERE id = ?", (1,))
        prepared.fetchall()
    with shim.connect() as connection, connection.cursor() as cursor:
        assert ("warn", "recently_used") in explain(cursor, f"ALTER TABLE {wide} RENAME COLUMN e TO f")


# Warnings.

WARNINGS = [
    ("ALTER TABLE {t} ADD COLUMN n int NOT NULL", ["NOT NULL and has no default"]),
    ("ALTER TABLE {t} MODIFY w varchar(16) NOT NULL DEFAULT ''", ["may not have room"]),
    ("ALTER TABLE {t} MODIFY v int unsigned", ["becomes unsigned"]),
    ("ALTER TABLE {t} MODIFY e enum('b','a') NOT NULL DEFAULT 'a'", ["removed or reordered"]),
    ("CREATE UNIQUE INDEX u ON {t} (v)", ["a unique key is added"]),
    ("DROP INDEX by_v ON {t}", ["while queries may use it"]),
    ("ALTER TABLE {t} CHANGE v v2 int", ["column v becomes v2"]),
    ("ALTER TABLE {t} DROP COLUMN e", ["column e and its values are dropped"]),
    ("ALTER TABLE {t} ADD a bigint AUTO_INCREMENT UNIQUE", ["counts on each shard for itself", "unique key is added"]),
    ("ALTER TABLE {t} ADD d date NOT NULL DEFAULT '0000-00-00'", ["a zero date"]),
    ("DROP TABLE {t}", ["table {t} is dropped"]),
]


def test_warnings(start_shim, wide):
    """EXPLAIN shows each of them, and refuses nothing."""
    shim = start_shim(INSTANT)
    with shim.connect() as connection, connection.cursor() as cursor:
        for sql, texts in WARNINGS:
            cursor.execute("EXPLAIN " + sql.format(t=wide))
            rows = cursor.fetchall()
            for text in texts:
                assert any(row[0] == "warn" and text.format(t=wide) in row[2] for row in rows), (sql, rows)
            assert not [row for row in rows if row[0] == "refuse"], sql


def test_show_warnings(start_shim, bed, wide):
    """The notes of a DDL that was done: in the OK's count, in SHOW WARNINGS and the like, until the next statement."""
    shim = start_shim(INSTANT)
    with shim.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {wide} DROP COLUMN e")
        assert cursor._result.warning_count == 2, "one warning, one note"
        found = warnings(cursor)
        assert found[0] == ("Warning", 1105, "column e and its values are dropped")
        assert found[1][:2] == ("Note", 1105) and UUID.search(found[1][2])
        for asked, answer in (("SHOW COUNT(*) WARNINGS", 2), ("SELECT @@warning_count", 2),
                              ("SHOW COUNT(*) ERRORS", 0), ("SELECT @@error_count", 0)):
            cursor.execute(asked)
            assert cursor.fetchone() == (answer,), asked
        cursor.execute("SHOW WARNINGS LIMIT 1, 1")
        assert [row[0] for row in cursor.fetchall()] == ["Note"]
        cursor.execute("SHOW ERRORS")
        assert not cursor.fetchall()
        cursor.execute("SELECT 1")
        assert not warnings(cursor), "another statement has ended them"
        cursor.execute(f"ALTER TABLE {wide} ADD COLUMN x int; SHOW WARNINGS; SELECT @@warning_count")
        assert cursor.nextset() and [row[0] for row in cursor.fetchall()] == ["Note"]
        assert cursor.nextset() and cursor.fetchone() == (1,)
    assert shim.events("ddl_preflight", refused="-", rules="drop_column")


def test_what_stands_behind_show_warnings(start_shim, bed, wide):
    """A question about the notes of a DDL that comes with other statements: those are run, too."""
    shim = start_shim(INSTANT)
    with shim.connect() as connection, connection.cursor() as cursor:
        for first, second in (("SHOW WARNINGS", "SELECT 7"), ("SELECT @@warning_count", f"DROP TABLE IF EXISTS {wide}_none")):
            cursor.execute(f"ALTER TABLE {wide} ADD COLUMN x{first[1]} int")
            cursor.execute(f"{first}; {second}")
            assert cursor.nextset(), "both are answered"
            if second == "SELECT 7":
                assert cursor.fetchone() == (7,)


def test_a_long_statement_ends_the_notes(start_shim, bed, wide):
    """One that is passed on in pieces ends them like any other."""
    shim = start_shim(INSTANT)
    with shim.connect(client_flag=0) as connection, connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {wide} ADD COLUMN l int")
        assert warnings(cursor)
        cursor.execute(f"SELECT length('{'l' * 1_000_000}')")
        assert not warnings(cursor)


def test_many_show_warnings(start_shim, table):
    """Thousands of questions about the notes of a DDL, in one text with it."""
    many = 40_000
    with start_shim(INSTANT).wire(BASIC | DEPRECATE_EOF | MULTI_STATEMENTS) as client:
        response = client.query(f"ALTER TABLE {table} ADD COLUMN x int" + ";SHOW WARNINGS" * many)
        assert response.error is None and len(response.results) == many + 1
        assert {len(result["rows"]) for result in response.results[1:]} == {1}
        assert client.value("SELECT 1") == "1"


def test_modes(start_shim, bed, wide):
    """ddl.preflight warn and off, ddl.preflight_allow: what would be refused goes its way."""
    sql = f"ALTER TABLE {wide} ADD COLUMN v int"
    for config in ({"preflight": "warn"}, {"preflight": "off"}, {"preflight_allow": ["duplicate_column"]}):
        shim = start_shim(merge(INSTANT, {"ddl": config}))
        with shim.connect() as connection, connection.cursor() as cursor:
            code, text = refused(cursor, sql)
            assert code == 1060 and "migration" in text, "Vitess tried it"
            warned = [row for row in warnings(cursor) if row[0] == "Warning"]
            assert len(warned) == (config.get("preflight") != "off")


def test_each_shard_is_looked_at(start_shim, bed, wide):
    """What one shard alone has is found there, whichever vtgate would ask; nothing is submitted."""
    one, two = (shard.split("/")[1] for shard in bed.shards)
    bed.run(f"USE `{bed.keyspace}/{two}`", f"ALTER TABLE {wide} ADD COLUMN there int")
    shim = start_shim(INSTANT)
    with shim.connect() as connection, connection.cursor() as cursor:
        for _ in range(3):
            assert refused(cursor, f"ALTER TABLE {wide} ADD COLUMN there int") == (
                1060, f"Duplicate column name 'there' (on {two})")
            assert refused(cursor, f"ALTER TABLE {wide} DROP COLUMN there") == (
                1091, f"Can't DROP 'there'; check that column/key exists (on {one})")
        plan = explain(cursor, f"ALTER TABLE {wide} ADD COLUMN x int")
        assert plan["warn", "shards_differ"] == f"1105: table '{wide}' is on {two} not what it is on {one}"
        cursor.execute("SELECT database()")
        assert cursor.fetchone() == (bed.keyspace,), "the session is where it was"
    with shim.connect(database=None) as connection, connection.cursor() as cursor:
        assert refused(cursor, f"ALTER TABLE {bed.keyspace}.{wide} ADD COLUMN v int")[0] == 1060
    assert not bed.migrations(wide)


def test_each_dropped_table_is_looked_at(start_shim, bed, wide):
    one, two = (shard.split("/")[1] for shard in bed.shards)
    shim = start_shim(INSTANT)
    with bed.scratch_table() as other, shim.connect() as connection, connection.cursor() as cursor:
        assert refused(cursor, f"DROP TABLE {wide}, nosuch, {other}") == (1051, f"Unknown table '{bed.keyspace}.nosuch'")
        bed.run(f"USE `{bed.keyspace}/{one}`", f"DROP TABLE {other}")
        assert refused(cursor, f"DROP TABLE {wide}, {bed.keyspace}.{other}") == (
            1051, f"Unknown table '{bed.keyspace}.{other}' (on {one})")
        bed.run("SET @@ddl_strategy = 'vitess --postpone-completion --allow-concurrent'",
                f"ALTER TABLE {wide} ADD COLUMN one int")
        until(lambda: bed.migrations(wide), "it is queued")
        cursor.execute(f"EXPLAIN DROP TABLE IF EXISTS {other}, {wide}")
        rows = cursor.fetchall()
        assert any(row[:2] == ("conflict", "running") and f"on table '{wide}'" in row[2] for row in rows), rows
    assert all(wide in tables for tables in bed.tables().values())
