"""A cluster of two keyspaces: schema changes by their full names, from sessions in the other keyspace or in none.

vtgate guesses the keyspace only where there is one: ALTER VITESS_MIGRATION from elsewhere gets 1046, or changes nothing.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass

import pymysql
import pytest

from lib.bed import Bed, scratch_name, spare_bed
from lib.clients import Statement
from lib.ddl import INSTANT, assert_everywhere, statuses, through_vtctld
from lib.poll import until
from lib.shim import merge

POSTPONED = {"ddl": {"strategy": "vitess --postpone-completion --allow-concurrent"}}


@pytest.fixture(scope="session")
def bed() -> Bed:
    return spare_bed()


def managed(bed, executor: str) -> dict:
    """The executor's settings, and control.user, which makes the cut-over the shim's."""
    config = merge({"control": {"user": bed.user, "password": bed.password, "check_interval_ms": 300},
                    "ddl": {"drain_ms": 300}}, INSTANT)
    return merge(config, through_vtctld(bed)) if executor == "vtctld" else config


@pytest.fixture(params=["vtgate", "vtctld"])
def way(request, bed) -> dict:
    return managed(bed, request.param)


@dataclass
class Case:
    config: dict
    database: str | None  # where the session is that says it
    console: bool  # which way somebody else takes a hand in it: the console, or SQL


@pytest.fixture(params=["vtgate-none-sql", "vtgate-other-console", "vtctld-none-console"])
def case(request, bed) -> Case:
    executor, database, means = request.param.split("-")
    return Case(managed(bed, executor), None if database == "none" else bed.aside, means == "console")


@pytest.fixture
def there(bed):
    """A table's name in the other keyspace, dropped in the end."""
    name = scratch_name()
    yield name
    with bed.connect(database=bed.aside) as connection, connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE IF EXISTS `{name}`")


def ask(shim, database: str | None, *statements: str) -> list[tuple]:
    """Runs them in a session there; the last one's rows."""
    with shim.connect(database=database, read_timeout=120) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        return list(cursor.fetchall())


def waits(bed, table: str) -> bool:
    """Both shards do, for somebody to complete it."""
    rows = bed.migrations(table)
    return len(rows) == 2 and all(row["ready_to_complete"] for row in rows)


def test_alter(start_shim, bed, table, case):
    """It is cut over by the shim, and the session is where it was."""
    shim = start_shim(case.config)
    rows = ask(shim, case.database, f"ALTER TABLE {bed.keyspace}.{table} ADD COLUMN c int", "SELECT database()")
    assert rows == [(case.database or "",)]  # vtgate has no NULL there
    assert_everywhere(bed, table, "c")
    assert statuses(bed, table) == ["complete"] * 2
    assert shim.events("ddl_cut_over", table=table) and not shim.events("ddl_target_lost")
    ask(shim, case.database, f"DROP TABLE {bed.keyspace}.{table}")
    assert not any(table in tables for tables in bed.tables().values())


def test_the_other_keyspace(start_shim, bed, way, there):
    """From a session in the sharded one: created, altered, dropped, in the unsharded one alone."""
    shim = start_shim(way)
    name = f"{bed.aside}.{there}"
    ask(shim, bed.keyspace, f"CREATE TABLE {name} (id bigint NOT NULL PRIMARY KEY)", f"ALTER TABLE {name} ADD COLUMN c int")
    columns = ask(shim, bed.aside, f"SHOW COLUMNS FROM {there}")
    assert [column[0] for column in columns] == ["id", "c"]
    assert not any(there in tables for tables in bed.tables().values())
    rows = ask(shim, bed.keyspace, f"EXPLAIN ALTER TABLE {name} ADD COLUMN d int")
    assert any(bed.aside in str(row) for row in rows), rows
    ask(shim, bed.keyspace, f"DROP TABLE {name}", "SELECT 1")
    assert there not in {row[0] for row in ask(shim, bed.aside, "SHOW TABLES")}


def test_views(start_shim, bed, table, way):
    """DROP VIEW takes the session's keyspace, as CREATE VIEW does; straight on vtgate it gets 1046."""
    shim = start_shim(way)
    views = [f"{table}_{i}" for i in range(2)]
    for view in views:
        ask(shim, bed.keyspace, f"CREATE VIEW {view} AS SELECT id FROM {table}")
    until(lambda: all(set(views) <= tables for tables in bed.tables().values()), "the views are there", 30)
    ask(shim, bed.keyspace, f"DROP VIEW {views[0]}, {bed.keyspace}.`{views[1]}`")
    assert not any(set(views) & tables for tables in bed.tables().values())


def test_one_name_in_both(start_shim, bed, table, way):
    """They are two tables: the one's migration neither holds up nor answers for the other's, nor do its holds."""
    shim = start_shim(way)
    try:
        ask(shim, bed.aside, f"CREATE TABLE {table} (id bigint NOT NULL PRIMARY KEY)")
        postponed = Statement(shim, f"ALTER /*vtshim strategy='{POSTPONED['ddl']['strategy']}' */ TABLE {table} ADD COLUMN c int")
        until(lambda: waits(bed, table), "both shards wait", 60)  # from here on it is kept what transactions touch
        with shim.connect(autocommit=False) as holder, holder.cursor() as cursor:
            cursor.execute(f"SELECT count(*) FROM {table}")
            shim.admin(f"COMPLETE MIGRATION '{shim.events('ddl_submitted')[-1]['uuid']}'")
            shim.wait_event("ddl_drain_put_off", 60)
            ask(shim, bed.keyspace, f"ALTER TABLE {bed.aside}.{table} ADD COLUMN c int")
            assert postponed.thread.is_alive() and not shim.events("ddl_attached")
            holder.rollback()
            assert postponed.wait() == "ok"
        with shim.connect(database=bed.aside) as connection, connection.cursor() as cursor:
            shim.hold(f"TABLE {bed.keyspace}.{table} FOR 20")
            cursor.execute(f"SELECT c FROM {table}")
            assert shim.parked() == 0
    finally:
        with bed.connect(database=bed.aside) as connection, connection.cursor() as cursor:
            cursor.execute(f"DROP TABLE IF EXISTS `{table}`")


def test_cancel(start_shim, bed, table, case):
    """KILL QUERY of the client's statement, where that cancels, and CANCEL MIGRATION: on both shards."""
    shim = start_shim(merge(case.config, merge(POSTPONED, {"ddl": {"on_disconnect": "cancel"}})))
    statement = Statement(shim, f"ALTER TABLE {bed.keyspace}.{table} ADD COLUMN c int", database=case.database)
    until(lambda: waits(bed, table), "both shards wait", 60)
    if case.console:
        shim.admin(f"CANCEL MIGRATION '{shim.events('ddl_submitted')[-1]['uuid']}'")
    else:
        shim.run(f"KILL QUERY {statement.connection.thread_id()}")
    answer = statement.wait()
    assert isinstance(answer, pymysql.Error) and answer.args[0] == 1317, answer
    until(lambda: statuses(bed, table) == ["cancelled"] * 2, "it is cancelled", 30)
    assert all("c" not in columns for columns in bed.columns(table).values())


def test_complete(start_shim, bed, table, case):
    """ALTER VITESS_MIGRATION .. COMPLETE in a session of its keyspace, and COMPLETE MIGRATION: the shim cuts it over."""
    shim = start_shim(merge(case.config, POSTPONED))
    statement = Statement(shim, f"ALTER TABLE {bed.keyspace}.{table} ADD COLUMN c int", database=case.database)
    until(lambda: waits(bed, table), "both shards wait", 60)
    uuid = shim.events("ddl_submitted")[-1]["uuid"]
    if case.console:
        shim.admin(f"COMPLETE MIGRATION '{uuid}'")
    else:
        ask(shim, bed.keyspace, f"ALTER VITESS_MIGRATION '{uuid}' COMPLETE")
        shim.secrets.discard(uuid)  # no secret: other lines of the log name it, too
    assert statement.wait() == "ok"
    assert_everywhere(bed, table, "c")
    assert shim.events("ddl_cut_over", uuid=uuid)


def test_taken_over(start_shim, bed, table, case):
    """The shim dies under its client: the next one finds it, and completes it in its keyspace."""
    case.config["instance"] = f"over-{table}"
    shim = start_shim(case.config)
    with shim.connect(autocommit=False) as holder, holder.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {table}")
        statement = Statement(shim, f"ALTER TABLE {bed.keyspace}.{table} ADD COLUMN c int", database=case.database)
        shim.wait_event("ddl_drain_put_off", 60)
        shim.process.send_signal(signal.SIGKILL)
        shim.expected_status = -signal.SIGKILL
        shim.wait()
    assert isinstance(statement.wait(), pymysql.Error)
    again = start_shim(case.config)
    again.wait_event("ddl_cut_over", 90)
    until(lambda: statuses(bed, table) == ["complete"] * 2, "it is complete", 30)
    assert_everywhere(bed, table, "c")
