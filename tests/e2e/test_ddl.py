"""DDL is just SQL: it runs as an online schema change on all shards and is answered when it is done there,
or with the reason why not. What the shards have is read straight from each of them."""

from __future__ import annotations

import threading
import time

import pymysql
import pytest

from lib import wire
from lib.bed import Bed, scratch_name
from lib.clients import connector, go_ddl, mariadb_through
from lib.ddl import INSTANT, POSTPONED, UUID, assert_everywhere, assert_info
from lib.poll import stays, until
from lib.shim import Shim


# The whole wait, with Vitess's own way of copying the table, through each kind of client.

def test_alter_through_mariadb(shim, bed, table):
    done = mariadb_through(shim, f"ALTER TABLE {table} ADD COLUMN sample INT;", "-vv")
    assert_everywhere(bed, table, "sample")
    assert done.status == 0, done.err
    assert "Query OK" in done.out
    assert_info(done.out)


def test_alter_through_pymysql(shim, bed, table):
    with shim.connect() as connection, connection.cursor() as cursor:
        began = time.monotonic()
        assert cursor.execute(f"ALTER TABLE {table} ADD COLUMN sample INT") == 0
        took = time.monotonic() - began
        assert_everywhere(bed, table, "sample")
        assert cursor.description is None, "an OK, not vtgate's uuid rows"
        assert_info(cursor._result.message.decode())
    assert took > 1, "a copy of the table takes longer; was this an online change?"
    assert {row["migration_status"] for row in bed.migrations(table)} == {"complete"}
    assert all(row["strategy"] == "vitess" for row in bed.migrations(table))
    assert UUID.search(shim.wait_event("ddl_completed", table=table)["uuid"])


def test_alter_through_connector_prepared(shim, bed, table):
    with connector(shim) as connection:
        cursor = connection.cursor(prepared=True)
        cursor.execute(f"ALTER TABLE {table} ADD COLUMN sample INT")
        assert_everywhere(bed, table, "sample")
        assert cursor.description is None
        other = connection.cursor(prepared=True)
        other.execute("SELECT ? + 1", (41,))
        assert other.fetchall() == [(42,)]


@pytest.mark.parametrize("prepared", [False, True], ids=["text", "prepared"])
def test_alter_through_go(shim, bed, table, prepared):
    answers = go_ddl(shim.dsn(interpolateParams="false"), f"ALTER TABLE {table} ADD COLUMN sample INT", "SELECT 42",
                     prepared=prepared)
    assert_everywhere(bed, table, "sample")
    assert [answer.get("error") for answer in answers] == [None, None]
    assert answers[0].get("rows") is None and answers[1]["rows"] == [["42"]]


def test_index(shim, bed, table):
    """CREATE INDEX and DROP INDEX wait as well."""
    shim.run(f"CREATE INDEX by_v ON {table} (v)")
    assert all("by_v" in names for names in bed.indexes(table).values())
    shim.run(f"DROP INDEX by_v ON {table}")
    assert all("by_v" not in names for names in bed.indexes(table).values())


def test_create_and_drop(start_shim, bed):
    """CREATE and DROP of tables and views: there or gone on all shards when the answer comes."""
    shim = start_shim(INSTANT)
    table, view = scratch_name(), scratch_name()
    everywhere = lambda name: all(name in tables for tables in bed.tables().values())
    nowhere = lambda name: all(name not in tables for tables in bed.tables().values())
    with shim.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {table} (id bigint PRIMARY KEY, v int)")
        assert everywhere(table)
        assert_info(cursor._result.message.decode())
        cursor.execute(f"CREATE TABLE IF NOT EXISTS {table} (id bigint PRIMARY KEY, v int)")
        cursor.execute(f"CREATE VIEW {view} AS SELECT id FROM {table}")
        assert everywhere(view)
        cursor.execute(f"CREATE OR REPLACE VIEW {view} AS SELECT id, v FROM {table}")
        cursor.execute(f"DROP VIEW {view}")
        assert nowhere(view)
        cursor.execute(f"DROP TABLE {table}")
        assert nowhere(table)
        cursor.execute(f"DROP TABLE IF EXISTS {table}")
    assert shim.metric("vtshim_ddl_started_total") == 7
    assert shim.metric("vtshim_ddl_completed_total") == 7


def test_drop_of_two_tables(start_shim, bed):
    """One statement, two migrations: answered when both are done."""
    shim = start_shim(INSTANT)
    with bed.scratch_table() as one, bed.scratch_table() as two:
        shim.run(f"DROP TABLE {one}, {two}")
        assert all(not {one, two} & tables for tables in bed.tables().values())


# What goes wrong.

def test_failing_migration(start_shim, bed, table):
    """The migration's own message, as an error; the connection works on."""
    shim = start_shim(INSTANT)
    with shim.connect() as connection, connection.cursor() as cursor:
        with pytest.raises(pymysql.Error) as failed:
            cursor.execute(f"ALTER TABLE {table} ADD COLUMN v int")
        assert "Duplicate column name" in failed.value.args[1], failed.value
        with pytest.raises(pymysql.Error) as failed:
            cursor.execute(f"ALTER TABLE {table} DROP COLUMN nosuchcolumn")
        assert "nosuchcolumn" in failed.value.args[1], failed.value
        cursor.execute(f"ALTER TABLE {table} ADD COLUMN fine int")
        assert_everywhere(bed, table, "fine")
    assert shim.metric("vtshim_ddl_failed_total") == 2
    assert shim.metric("vtshim_ddl_completed_total") == 1


def test_failing_on_one_shard(start_shim, bed, table):
    """Duplicate rows on one shard only: an ERR that names the shard, and no shard is left changed."""
    shim = start_shim({"ddl": {"strategy": "vitess --postpone-completion", "poll_interval_ms": 100}})
    bed.run(f"USE `{bed.shards[0]}`", f"INSERT INTO {table} (id, v) VALUES (1, 5), (2, 5)")
    with shim.connect() as connection, connection.cursor() as cursor:
        with pytest.raises(pymysql.Error) as failed:
            cursor.execute(f"ALTER TABLE {table} ADD UNIQUE INDEX only_one (v)")
        assert "Duplicate entry" in failed.value.args[1] and bed.shards[0].split("/")[1] in failed.value.args[1]
    assert all("only_one" not in names for names in bed.indexes(table).values())
    until(lambda: not any(row["migration_status"] in ("queued", "ready", "running") for row in bed.migrations(table)),
          "nothing is left running")


def test_syntax_error_is_vtgates(start_shim, bed, table):
    """What vtgate cannot parse is refused in its own words."""
    shim = start_shim(INSTANT)
    for text in (f"ALTER TABLE {table} ADD", f"CREATE TABLE {table} (", f"DROP TABLE {table} nonsense words",
                 f"CREATE INDEX ON {table} (v)"):
        errors = []
        for connection in (bed.connect(), shim.connect()):
            with connection, connection.cursor() as cursor, pytest.raises(pymysql.Error) as refused:
                cursor.execute(text)
            errors.append(refused.value.args)
        assert errors[0] == errors[1]


def test_timeout(start_shim, bed, table):
    """ddl.timeout_s: the client is told that it goes on without it, and it does."""
    shim = start_shim({"ddl": {**POSTPONED["ddl"], "timeout_s": 2}})
    with shim.connect() as connection, connection.cursor() as cursor:
        with pytest.raises(pymysql.Error) as told:
            cursor.execute(f"ALTER TABLE {table} ADD COLUMN later int")
        assert told.value.args[0] == 1205 and UUID.search(told.value.args[1]), told.value
        cursor.execute("SELECT 1")
    assert all(row["migration_status"] in ("queued", "ready", "running") for row in bed.migrations(table))
    assert len(bed.migrations(table)) == 2


def start_waiting(shim: Shim, bed: Bed, table: str) -> wire.Wire:
    """A client that waits for a postponed ALTER, which all shards know and the shim watches."""
    client = shim.wire(timeout=180)
    client.send(wire.COM_QUERY, f"ALTER TABLE {table} ADD COLUMN waiting int")
    until(lambda: len(bed.migrations(table)) == 2 and all(row["migration_status"] == "running" and row["ready_to_complete"]
                                                          for row in bed.migrations(table)), "both shards wait", 120)
    until(lambda: any(row["table"] == table and row["uuid"] for row in shim.admin("SHOW MIGRATIONS")),
          "SHOW MIGRATIONS knows it")
    return client


def complete(bed: Bed, table: str) -> None:
    uuid = bed.migrations(table)[0]["migration_uuid"]
    bed.run(f"ALTER VITESS_MIGRATION '{uuid}' COMPLETE")


def test_waits_until_completed(start_shim, bed, table):
    """A postponed migration: the client waits as long as it takes, SHOW MIGRATIONS and SHOW SESSIONS tell,
    and other clients work meanwhile."""
    shim = start_shim(POSTPONED)
    with start_waiting(shim, bed, table) as client:
        row, = shim.admin("SHOW MIGRATIONS")
        assert row["table"] == table and UUID.fullmatch(row["uuid"]) and row["status"] == "running", row
        assert row["verb"] == "alter" and row["keyspace"] == bed.keyspace and int(row["shards"]) == 2, row
        session, = shim.admin("SHOW SESSIONS")
        assert session["waits_for"] == "migration" and int(row["session"]) == int(session["id"]), (row, session)
        assert shim.run("SELECT 1 AS one") == [{"one": 1}]
        complete(bed, table)
        response = client.read_response()
        assert_everywhere(bed, table, "waiting")
        assert response.error is None
    row, = shim.admin("SHOW MIGRATIONS")
    assert row["status"] == "complete" and int(row["complete"]) == 2, row


def test_cancelled_by_somebody(start_shim, bed, table):
    """ALTER VITESS_MIGRATION .. CANCEL from elsewhere ends the wait with an error."""
    shim = start_shim(POSTPONED)
    with start_waiting(shim, bed, table) as client:
        bed.run(f"ALTER VITESS_MIGRATION '{bed.migrations(table)[0]['migration_uuid']}' CANCEL")
        error = client.read_response().error
        assert error.code == 1317 and UUID.search(error.text), error
        assert client.value("SELECT 1") == "1"
    assert shim.metric("vtshim_ddl_cancelled_total") == 1


@pytest.mark.parametrize("how", ["vanish", "quit"])
def test_closed_while_waiting_detaches(start_shim, bed, table, how):
    """ddl.on_disconnect=detach: the migration goes on and completes without its client."""
    shim = start_shim(POSTPONED)
    client = start_waiting(shim, bed, table)
    if how == "quit":
        client.send(wire.COM_QUIT)
    client.close()
    shim.wait_event("ddl_detached", table=table)
    until(lambda: shim.metric("vtshim_sessions") == 0, "the session is gone")
    stays(lambda: all(row["migration_status"] == "running" for row in bed.migrations(table)), "it still runs", 0.5)
    assert shim.metric("vtshim_ddl_detached_total") == 1
    if how == "vanish":
        complete(bed, table)
        until(lambda: all("waiting" in columns for columns in bed.columns(table).values()), "it completes", 60)


def test_closed_while_waiting_cancels(start_shim, bed, table):
    """ddl.on_disconnect=cancel: the migration is cancelled on all shards; the log says so."""
    shim = start_shim({"ddl": {**POSTPONED["ddl"], "on_disconnect": "cancel"}})
    start_waiting(shim, bed, table).close()
    until(lambda: {row["migration_status"] for row in bed.migrations(table)} == {"cancelled"}, "it is cancelled")
    until(lambda: shim.metric("vtshim_sessions") == 0, "the session is gone")
    assert all("waiting" not in columns for columns in bed.columns(table).values())
    assert shim.wait_event("ddl_cancelled", table=table)
    assert shim.metric("vtshim_ddl_cancelled_total") == 1


def test_several_sessions_at_once(start_shim, bed):
    """Each gets the answer of its own migration; SHOW MIGRATIONS shows them all meanwhile."""
    shim = start_shim(INSTANT)
    seen: set[str] = set()
    failures: list[str] = []
    with bed.scratch_table() as a, bed.scratch_table() as b, bed.scratch_table() as c, bed.scratch_table() as d:
        tables = [a, b, c, d]

        def alter(table: str) -> None:
            try:
                with shim.connect() as connection, connection.cursor() as cursor:
                    cursor.execute(f"ALTER TABLE {table} ADD COLUMN mine_{table} int")
                    assert_everywhere(bed, table, f"mine_{table}")
                    uuid = UUID.search(cursor._result.message.decode())[0]
                    assert {row["migration_uuid"] for row in bed.migrations(table)} == {uuid}
            except Exception as failure:
                failures.append(f"{table}: {failure!r}")

        threads = [threading.Thread(target=alter, args=(table,)) for table in tables]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            seen |= {row["table"] for row in shim.admin("SHOW MIGRATIONS")
                     if row["status"] not in ("complete", "failed")}
        assert not failures, failures
        assert seen == set(tables)
        shown = {row["table"]: row for row in shim.admin("SHOW MIGRATIONS")}
        assert {row["status"] for row in shown.values()} == {"complete"}
        assert len({row["uuid"] for row in shown.values()}) == 4
