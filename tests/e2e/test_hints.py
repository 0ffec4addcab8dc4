"""EXPLAIN of a DDL, hints, and policies: what would be done, and what the one who says it or who runs the shim decides."""

from __future__ import annotations

import json
import subprocess
import time

import pytest

from lib import wire
from lib.bed import scratch_name
from lib.clients import connector, mariadb_through
from lib.ddl import INSTANT, UUID, assert_everywhere
from lib.poll import stays, until
from lib.shim import merge
from test_preflight import explain, refused, warnings, wide


# EXPLAIN.

def test_explain(start_shim, bed, wide):
    shim = start_shim({"ddl": {"copy_rows_per_second": 100}})
    bed.run(f"USE `{bed.shards[0]}`", f"INSERT INTO {wide} (id) VALUES " + ",".join(f"({i})" for i in range(500)),
            f"ANALYZE LOCAL TABLE {wide}")
    with shim.connect() as connection, connection.cursor() as cursor:
        plan = explain(cursor, f"ALTER TABLE {wide} ADD COLUMN x int, DROP COLUMN nosuch")
        assert plan["plan", "keyspace"] == bed.keyspace and plan["plan", "table"] == wide
        assert plan["plan", "strategy"] == "vitess" and plan["plan", "action"] == "wait"
        assert plan["plan", "executor"] == "vtgate"
        assert plan["change", "add column"] == "x"
        assert plan["refuse", "missing_column"] == "1091: Can't DROP 'nosuch'; check that column/key exists"
        shards = [shard.split("/")[1] for shard in bed.shards]
        sizes = {shard: dict(part.split("=") for part in plan["shard", shard].split()) for shard in shards}
        assert 400 <= int(sizes[shards[0]]["rows"]) <= 600 and int(sizes[shards[0]]["bytes"]) > 0
        assert int(sizes[shards[1]]["rows"]) == 0
        plan = explain(cursor, f"ALTER TABLE {wide} ADD COLUMN x int")
        assert plan["plan", "way"] == "copy (instant with --prefer-instant-ddl)"
        assert 4 <= int(plan["estimate", "seconds"].split()[0]) <= 6, "500 rows at 100 a second"
        assert "copy_rows_per_second" in plan["estimate", "seconds"]
        assert explain(cursor, f"CREATE INDEX i ON {wide} (v)")["plan", "way"] == "copy"
        assert explain(cursor, f"DROP TABLE {wide}")["plan", "way"] == "drop"
        cursor.execute("SELECT database()")
        assert cursor.fetchone() == (bed.keyspace,), "the session is where it was"
    assert not bed.migrations(wide)


def test_explain_is_instant(start_shim, wide):
    shim = start_shim(INSTANT)
    with shim.connect() as connection, connection.cursor() as cursor:
        assert explain(cursor, f"ALTER TABLE {wide} ADD COLUMN x int")["plan", "way"] == "instant"
        assert explain(cursor, f"ALTER TABLE {wide} MODIFY v bigint")["plan", "way"] == "copy"


def test_explain_prepared(start_shim, bed, wide):
    """The same through the binary protocol, and other prepared statements beside it."""
    shim = start_shim(INSTANT)
    with connector(shim) as connection:
        cursor = connection.cursor(prepared=True)
        for _ in range(2):
            cursor.execute(f"EXPLAIN ALTER TABLE {wide} DROP COLUMN v")
            rows = {(row[0], row[1]): row[2] for row in cursor.fetchall()}
            assert rows["plan", "table"] == wide and "dropped" in rows["warn", "drop_column"]
        other = connection.cursor(prepared=True)
        other.execute("SELECT ? + 1", (41,))
        assert other.fetchall() == [(42,)]
    assert not bed.migrations(wide)


def test_explain_among_others(start_shim, wide):
    shim = start_shim(INSTANT)
    with shim.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT 1; EXPLAIN DROP TABLE {wide}; SELECT 2")
        assert cursor.fetchone() == (1,)
        assert cursor.nextset() and ("plan", "table", wide) in cursor.fetchall()
        assert cursor.nextset() and cursor.fetchone() == (2,)
        cursor.execute("EXPLAIN SELECT 1")  # vtgate's own
        assert cursor.fetchall()


def test_explain_in_transaction(start_shim, wide):
    """It does not end the transaction."""
    shim = start_shim(INSTANT)
    with shim.connect(autocommit=False) as connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO demo (id) VALUES (770077)")
        assert explain(cursor, f"ALTER TABLE {wide} ADD x int")["plan", "table"] == wide
        connection.rollback()
        cursor.execute("SELECT count(*) FROM demo WHERE id = 770077")
        assert cursor.fetchone() == (0,)


# Hints.

def test_hint_direct(start_shim, bed, wide):
    """strategy=direct: shard by shard, with no migration; the session stays where it is."""
    shim = start_shim()
    with shim.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"ALTER /*vtshim strategy=direct */ TABLE {wide} ADD COLUMN x int")
        assert b"Direct DDL complete: shards=2" in cursor._result.message
        assert_everywhere(bed, wide, "x")
        cursor.execute("SELECT database()")
        assert cursor.fetchone() == (bed.keyspace,)
        cursor.execute(f"SELECT x FROM {wide}")  # its vtgate knows
        assert refused(cursor, f"/*vtshim strategy=direct */ ALTER TABLE {wide} ADD COLUMN X int")[0] == 1060
        cursor.execute(f"/*vtshim strategy=direct */ RENAME TABLE {wide} TO {wide}_2")
        cursor.execute(f"/*vtshim strategy=direct */ RENAME TABLE {wide}_2 TO {wide}")
    assert not bed.migrations(wide)
    assert shim.metric("vtshim_ddl_direct_total") == 1


def test_hint_direct_of_a_client_that_leaves(start_shim, bed, wide):
    """Its shards would differ: it goes on, also when one takes longer than the shim's other questions may (20 s)."""
    shim = start_shim()
    with bed.connect() as connection, connection.cursor() as blocker:
        blocker.execute("BEGIN")
        blocker.execute(f"SELECT * FROM {wide}")
        with shim.wire() as client:
            client.send(wire.COM_QUERY, f"ALTER /*vtshim strategy=direct allow=all */ TABLE {wide} ADD COLUMN x int")
            until(lambda: "asking" in str(shim.admin("SHOW SESSIONS")), "it has begun")
            time.sleep(1)  # past the questions before it
        stays(lambda: len(shim.admin("SHOW SESSIONS")) == 1, "it goes on without its client", 23)
        blocker.execute("ROLLBACK")
        until(lambda: shim.events("ddl_direct", shards="2"), "both shards are changed")
    assert_everywhere(bed, wide, "x")


@pytest.mark.parametrize("database", [None, "its"], ids=["no database", "database"])
def test_hint_direct_with_a_keyspace_in_front(start_shim, bed, wide, database):
    """`ks.t` is one shard after the other, too, for whoever has no database as well; the target is afterwards what it was."""
    shim = start_shim()
    name, last = f"`{bed.keyspace}`.{wide}", bed.shards[1]
    bed.run(f"USE `{last}`", f"INSERT INTO {wide} (id, v) VALUES (1, 5), (2, 5)")
    with shim.connect(database=database and bed.keyspace) as connection, connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {name} ADD COLUMN {bed.keyspace} int /*vtshim strategy=direct*/")
        assert b"Direct DDL complete: shards=2" in cursor._result.message
        assert_everywhere(bed, wide, bed.keyspace)
        code, text = refused(cursor, f"ALTER TABLE {name} ADD UNIQUE INDEX u (v) /*vtshim strategy=direct*/")
        assert code == 1062 and f"shard {last.split('/')[1]} (1 of 2 shards changed)" in text, text
        cursor.execute("SELECT database()")
        assert cursor.fetchone() == (bed.keyspace if database else "",)
    indexes = bed.indexes(wide)
    assert "u" in indexes[bed.shards[0]] and "u" not in indexes[last]


def test_hint_direct_fails_on_one_shard(start_shim, bed, wide):
    """One shard at a time: the error says which ones have been changed, and the rest is untouched."""
    shim = start_shim()
    bed.run(f"USE `{bed.shards[1]}`", f"INSERT INTO {wide} (id, v) VALUES (1, 5), (2, 5)")
    with shim.connect() as connection, connection.cursor() as cursor:
        code, text = refused(cursor, f"ALTER /*vtshim strategy=direct */ TABLE {wide} ADD UNIQUE INDEX u (v)")
        assert code == 1062 and f"shard {bed.shards[1].split('/')[1]} (1 of 2 shards changed)" in text
        cursor.execute("SELECT database()")
        assert cursor.fetchone() == (bed.keyspace,)
    indexes = bed.indexes(wide)
    assert "u" in indexes[bed.shards[0]] and "u" not in indexes[bed.shards[1]]


def test_large_table(start_shim, bed, wide):
    """Direct DDL on a large table needs allow_long_unavailability: by hint, own strategy, or in a shard's session."""
    shim = start_shim({"ddl": {"direct_max_rows": 100}})
    for shard in bed.shards:
        bed.run(f"USE `{shard}`", f"INSERT INTO {wide} (id) VALUES " + ",".join(f"({i})" for i in range(400)),
                f"ANALYZE LOCAL TABLE {wide}")
    sql = f"TABLE {wide} ADD COLUMN x int"
    with shim.connect() as connection, connection.cursor() as cursor:
        code, text = refused(cursor, f"ALTER /*vtshim strategy=direct */ {sql}")
        assert code == 1105 and "allow_long_unavailability" in text and f"'{wide}' has about" in text
        cursor.execute("SET @@ddl_strategy = 'direct'")
        assert refused(cursor, f"ALTER {sql}")[0] == 1105
        cursor.execute("SET @@ddl_strategy = ''")
        cursor.execute(f"USE `{bed.shards[0]}`")
        assert refused(cursor, f"ALTER {sql}")[0] == 1105
        cursor.execute(f"USE {bed.keyspace}")
        assert all("x" not in columns for columns in bed.columns(wide).values())
        cursor.execute(f"ALTER /*vtshim strategy=direct allow_long_unavailability */ {sql}")
        assert_everywhere(bed, wide, "x")
        cursor.execute("SET @@ddl_strategy = 'direct'")
        cursor.execute(f"ALTER /*vtshim allow_long_unavailability */ TABLE {wide} DROP COLUMN x")
    assert all("x" not in columns for columns in bed.columns(wide).values())


def test_hint_strategy_context_wait(start_shim, bed, wide):
    """strategy with flags, an own context, and no waiting."""
    shim = start_shim()
    with shim.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT @@ddl_strategy, @@migration_context")
        strategy = cursor.fetchone()
        cursor.execute(f"ALTER /*vtshim strategy='vitess --prefer-instant-ddl' context=release:{wide} wait=no */ TABLE "
                       f"{wide} ADD COLUMN x int")
        assert b"Online DDL submitted: uuid=" in cursor._result.message
        uuid = UUID.search(cursor._result.message.decode())[0]
        assert warnings(cursor)[0][0] == "Note"
        cursor.execute("SELECT @@ddl_strategy, @@migration_context")
        assert cursor.fetchone() == strategy, "as it was"
    until(lambda: {row["migration_status"] for row in bed.migrations(wide)} == {"complete"}, "it goes on by itself", 60)
    rows = bed.migrations(wide)
    assert {row["migration_uuid"] for row in rows} == {uuid}
    assert {row["migration_context"] for row in rows} == {f"release:{wide}"}
    assert_everywhere(bed, wide, "x")


def test_hint_allow(start_shim, bed, wide):
    shim = start_shim(INSTANT)
    with shim.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"ALTER /*vtshim allow=algorithm */ TABLE {wide} ADD COLUMN x int, ALGORITHM=INSTANT")
        assert_everywhere(bed, wide, "x")
        assert refused(cursor, f"ALTER /*vtshim alow=algorithm */ TABLE {wide} ADD COLUMN y int")[0] == 1064
    shim = start_shim(merge(INSTANT, {"ddl": {"hints": False}}))
    with shim.connect() as connection, connection.cursor() as cursor:
        assert refused(cursor, f"ALTER /*vtshim allow=all */ TABLE {wide} ADD COLUMN v int") == (
            1060, "Duplicate column name 'v'")


def test_hint_through_the_command_line(start_shim, bed, wide):
    """MariaDB's CLI drops comments without --comments, but not those that are for some version."""
    shim = start_shim()
    done = mariadb_through(shim, f"ALTER /*vtshim strategy=direct */ TABLE {wide} ADD COLUMN x int;", "-vv", "--comments")
    assert "Direct DDL complete" in done.out, (done.out, done.err)
    done = mariadb_through(shim, f"ALTER /*!99999 vtshim strategy=direct */ TABLE {wide} ADD COLUMN y int;", "-vv")
    assert "Direct DDL complete" in done.out, (done.out, done.err)
    assert_everywhere(bed, wide, "x", "y")


# Policies.

def test_policy(start_shim, bed, wide):
    """The first rule that matches: reject, async, direct, by table, user and target."""
    shim = start_shim(merge(INSTANT, {"ddl": {"policy": [
        "reject user=reader", "reject target=shard", f"async table={wide[:-2]}*", "reject table=demo"]}}))
    with shim.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {wide} ADD COLUMN x int")
        assert b"submitted" in cursor._result.message
        until(lambda: bed.migrations(wide), "it was")
        cursor.execute(f"USE `{bed.shards[0]}`")
        assert refused(cursor, f"ALTER TABLE {wide} ADD COLUMN y int") == (1105, "direct DDL is disabled")
        assert refused(cursor, f"TRUNCATE TABLE {wide}") == (1105, "direct DDL is disabled")
        cursor.execute(f"USE {bed.keyspace}")
        assert refused(cursor, f"DROP TABLE IF EXISTS {wide}_2, demo") == (1105, "direct DDL is disabled")
    with shim.connect(user="reader", password="reader_secret") as connection, connection.cursor() as cursor:
        for sql in (f"ALTER TABLE {wide} ADD COLUMN y int", f"DROP TABLE {wide}", f"TRUNCATE TABLE {wide}",
                    f"ALTER /*vtshim strategy=direct */ TABLE {wide} ADD COLUMN y int", "CREATE DATABASE nosuch"):
            assert refused(cursor, sql) == (1105, "direct DDL is disabled")
        assert explain(cursor, f"DROP TABLE {wide}")["refuse", "policy"] == "1105: direct DDL is disabled"
        cursor.execute("SET @@ddl_strategy = 'direct'")
        assert refused(cursor, f"ALTER TABLE {wide} ADD COLUMN y int") == (1105, "direct DDL is disabled")
    assert shim.events("ddl_rejected", user="reader")


def test_bookkeeping_tables_are_direct(start_shim, bed):
    """What a migration tool creates for itself is there at once, and vtgate knows it when the OK comes."""
    shim = start_shim({"ddl": {"direct_tables": ["e2e_books_*"]}})
    name = "e2e_books_" + scratch_name()
    try:
        with shim.connect() as connection, connection.cursor() as cursor:
            began = time.monotonic()
            cursor.execute(f"CREATE TABLE {name} (version_num varchar(32) NOT NULL PRIMARY KEY)")
            assert b"Direct DDL complete" in cursor._result.message
            cursor.execute(f"SELECT * FROM {name}")
            assert not cursor.fetchall()
            cursor.execute(f"DROP TABLE {name}")
            took = time.monotonic() - began
        assert not bed.migrations(name)
        assert took < 30
    finally:
        bed.run(f"DROP TABLE IF EXISTS {name}")


@pytest.mark.parametrize("setting, text", [
    ({"policy": ["hurry"]}, "ddl.policy: a rule begins with wait, async, direct or reject"),
    ({"preflight_allow": ["nosuch"]}, "ddl.preflight_allow: nosuch is no rule of the preflight"),
])
def test_wrong_settings(program, bed, tmp_path, setting, text):
    file = tmp_path / "wrong.json"
    file.write_text(json.dumps({"vtgate": bed.endpoints, "ddl": setting}))
    done = subprocess.run([str(program), "--config", str(file), "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and text in done.stderr, done
