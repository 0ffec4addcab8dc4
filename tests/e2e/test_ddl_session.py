"""DDL and the session it is in: its settings stay, its choices are obeyed, and what must not be managed passes."""

from __future__ import annotations

import pymysql
import pytest

from lib import wire
from lib.bed import scratch_name
from lib.ddl import INSTANT, UUID, assert_everywhere
from lib.poll import until
from test_ddl_text import results


# The session.

def test_session_is_as_before(start_shim, bed, table):
    """@@ddl_strategy and @@migration_context have the values they had, after success and after failure."""
    shim = start_shim(INSTANT)
    with shim.connect() as connection, connection.cursor() as cursor:
        def settings() -> tuple:
            cursor.execute("SELECT @@ddl_strategy, @@migration_context, database(), @@autocommit")
            return cursor.fetchone()
        before = settings()
        cursor.execute(f"ALTER TABLE {table} ADD COLUMN one int")
        assert settings() == before
        with pytest.raises(pymysql.Error):
            cursor.execute(f"ALTER TABLE {table} ADD COLUMN one int")
        assert settings() == before
        cursor.execute("SET @@migration_context = 'mine:of-the-user'")
        before = settings()
        assert before[1] == "mine:of-the-user"
        cursor.execute(f"ALTER TABLE {table} ADD COLUMN two int")
        assert settings() == before


def test_same_text_twice(start_shim, bed, table):
    """Vitess marks the same SQL in the same session as complete without running it; the shim's does run."""
    shim = start_shim(INSTANT)
    with shim.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} ADD COLUMN twice int")
        assert_everywhere(bed, table, "twice")
        cursor.execute(f"ALTER TABLE {table} DROP COLUMN twice")
        assert all("twice" not in columns for columns in bed.columns(table).values())
        cursor.execute(f"ALTER TABLE {table} ADD COLUMN twice int")
        assert_everywhere(bed, table, "twice")


@pytest.mark.parametrize("choose", ["SET @@ddl_strategy = 'direct'", "SET SESSION ddl_strategy = 'direct'",
                                    "SET @x = 1, @@session.ddl_strategy='direct'", "set ddl_strategy=direct"])
def test_direct_is_obeyed(start_shim, bed, table, choose):
    """Who asks for direct DDL gets it, at once and without a migration; the log says so."""
    shim = start_shim(INSTANT)
    with shim.connect() as connection, connection.cursor() as cursor:
        cursor.execute(choose)
        cursor.execute(f"ALTER TABLE {table} ADD COLUMN straight int")
        assert_everywhere(bed, table, "straight")
        connection.ping(reconnect=False)
        # COM_RESET_CONNECTION does not change the strategy in vtgate.
        connection._execute_command(wire.COM_RESET_CONNECTION, b"")
        connection._read_ok_packet()
        cursor.execute(f"ALTER TABLE {table} ADD COLUMN still_straight int")
        assert_everywhere(bed, table, "still_straight")
    assert not bed.migrations(table)
    assert shim.wait_event("ddl_passed")["reason"] == "strategy"
    assert shim.metric("vtshim_ddl_started_total") == 0
    assert shim.metric("vtshim_ddl_passed_total") == 2


def test_strategy_by_several_statements(start_shim, bed, table):
    """The choice counts for what follows in the same command."""
    shim = start_shim(INSTANT)
    with shim.connect() as connection:
        answers = results(connection, f"SET @@ddl_strategy = 'direct'; ALTER TABLE {table} ADD COLUMN straight int")
        assert not any(isinstance(answer, Exception) for answer in answers)
        assert_everywhere(bed, table, "straight")
    assert not bed.migrations(table)


def test_own_strategy_gives_vtgates_answer(start_shim, bed, table):
    """Who chose a Vitess strategy gets what vtgate answers: a row with the uuid, at once."""
    shim = start_shim(INSTANT)
    with shim.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SET @@ddl_strategy = 'vitess --prefer-instant-ddl'")
        cursor.execute(f"ALTER TABLE {table} ADD COLUMN theirs int")
        assert [field[0] for field in cursor.description] == ["uuid"]
        uuid = cursor.fetchone()[0]
    assert UUID.fullmatch(uuid)
    until(lambda: {row["migration_status"] for row in bed.migrations(table)} == {"complete"}, "it completes")
    assert {row["migration_uuid"] for row in bed.migrations(table)} == {uuid}


def test_refused_strategy_changes_nothing(start_shim, bed, table):
    """A SET that vtgate refuses is no choice: the DDL is still run by the shim."""
    shim = start_shim(INSTANT)
    with shim.connect() as connection, connection.cursor() as cursor:
        with pytest.raises(pymysql.Error) as refused:
            cursor.execute("SET @@ddl_strategy = 'nonsense'")
        assert refused.value.args[0] == 1231
        cursor.execute(f"ALTER TABLE {table} ADD COLUMN managed int")
        assert_everywhere(bed, table, "managed")
    assert {row["migration_status"] for row in bed.migrations(table)} == {"complete"}


def test_intercept_off(start_shim, bed, table):
    """ddl.intercept=false: DDL passes like anything else."""
    shim = start_shim({"ddl": {"intercept": False}})
    shim.run(f"ALTER TABLE {table} ADD COLUMN plain int")
    assert_everywhere(bed, table, "plain")
    assert not bed.migrations(table)
    assert shim.wait_event("ddl_passed")["reason"] == "intercept_off"


def test_without_autocommit_and_in_a_transaction(start_shim, bed, table):
    """As in MySQL, a DDL commits what is open; and it works for clients that never autocommit."""
    shim = start_shim(INSTANT)
    with shim.connect(autocommit=False) as connection, connection.cursor() as cursor, shim.connect() as other:
        cursor.execute("DELETE FROM customer WHERE id = -610000")
        cursor.execute("INSERT INTO customer (id) VALUES (-610000)")
        cursor.execute(f"ALTER TABLE {table} ADD COLUMN one int")
        assert_everywhere(bed, table, "one")
        with other.cursor() as reader:
            reader.execute("DELETE FROM customer WHERE id = -610000")
            assert reader.rowcount == 1, "the row was committed"
        cursor.execute("SELECT @@autocommit")
        assert cursor.fetchone() == (0,)


def test_user_lock_survives(start_shim, bed, table):
    """Migration tools hold GET_LOCK during their DDL."""
    shim = start_shim(INSTANT)
    with shim.connect() as connection, connection.cursor() as cursor, shim.connect() as other:
        cursor.execute("SELECT get_lock('e2e-tool', 1)")
        cursor.execute(f"ALTER TABLE {table} ADD COLUMN one int")
        assert_everywhere(bed, table, "one")
        with other.cursor() as rival:
            rival.execute("SELECT get_lock('e2e-tool', 0)")
            assert rival.fetchone() == (0,)
        cursor.execute("SELECT release_lock('e2e-tool')")
        assert cursor.fetchone() == (1,)


# What passes as it is.

def test_rename_and_truncate_pass(start_shim, bed, table):
    """They always run direct in Vitess; the log says that they went by. RENAME has to be meant to."""
    shim = start_shim(INSTANT)
    renamed = scratch_name()
    with shim.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"/*vtshim strategy=direct */ RENAME TABLE {table} TO {renamed}")
        assert all(renamed in tables for tables in bed.tables().values())
        cursor.execute(f"RENAME /*vtshim allow=rename_table */ TABLE {renamed} TO {table}")
        cursor.execute(f"TRUNCATE TABLE {table}")
    assert [event["reason"] for event in shim.events("ddl_passed")] == ["direct"] * 3
    assert not bed.migrations(table)


@pytest.mark.parametrize("how", ["use", "init_db", "login", "colon"])
def test_shard_targeted_session_passes(start_shim, bed, table, how):
    """In a session that is aimed at a shard DDL reaches that shard only, as in vtgate; the log says so."""
    shim = start_shim(INSTANT)
    target = bed.shards[0] if how != "colon" else bed.shards[0].replace("/", ":")
    with shim.connect(**({"database": target} if how == "login" else {})) as connection, connection.cursor() as cursor:
        if how == "init_db":
            connection.select_db(target)
        elif how != "login":
            cursor.execute(f"USE `{target}`")
        cursor.execute(f"ALTER TABLE {table} ADD COLUMN here_only int")
        columns = bed.columns(table)
        assert "here_only" in columns[bed.shards[0]] and "here_only" not in columns[bed.shards[1]]
        assert shim.wait_event("ddl_passed")["reason"] == "targeted"
        cursor.execute(f"ALTER TABLE {table} DROP COLUMN here_only")
        cursor.execute(f"USE {bed.keyspace}")
        cursor.execute(f"ALTER TABLE {table} ADD COLUMN on_all int")
        assert_everywhere(bed, table, "on_all")
    assert len(shim.events("ddl_passed")) == 2
    assert shim.metric("vtshim_ddl_completed_total") == 1
