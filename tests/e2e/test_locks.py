"""User-level locks (GET_LOCK): migration tools hold one for as long as they work, on the connection that waits for the
DDL or on another. vttablet ends a lock's connection after 30 seconds without a statement on it."""

from __future__ import annotations

import secrets
import threading
import time

import pymysql
import pytest

from lib import wire
from lib.clients import connector
from lib.poll import stays, until
from lib.shim import Shim

# Longer than vttablet's transaction timeout, and what its timer may add.
LONG = 42


def free(bed, *names: str) -> list[bool]:
    """Whether the locks are free, asked straight."""
    with bed.connect() as connection, connection.cursor() as cursor:
        answers = []
        for name in names:
            cursor.execute(f"SELECT IS_FREE_LOCK('{name}')")
            answers.append(cursor.fetchone() == (1,))
        return answers


def value(cursor, sql: str):
    cursor.execute(sql)
    return cursor.fetchone()[0]


def test_straight_and_kept(start_shim, bed, table):
    """Straight on vtgate an idle session's lock ends by itself; through the shim it lasts, however it was taken: by
    text, prepared, in a session that waits for a migration, is parked, or never autocommits."""
    shim = start_shim({"ddl": {"strategy": "vitess --postpone-completion", "poll_interval_ms": 60000},
                       "locks": {"keep_alive_s": 5}, "hold": {"max_wait_ms": 90000}})
    names = {way: f"{way}-{secrets.token_hex(4)}" for way in ("straight", "idle", "prepared", "ddl", "parked", "open")}
    with bed.connect() as straight, shim.connect() as idle, shim.connect(autocommit=False) as opened, \
            connector(shim) as prepared, shim.connect(read_timeout=120) as migrating, shim.wire() as parked:
        assert value(straight.cursor(), f"SELECT GET_LOCK('{names['straight']}', 0)") == 1
        assert value(idle.cursor(), f"/* a tool */ SELECT get_lock('{names['idle']}', 0) AS locked") == 1
        with opened.cursor() as cursor:
            cursor.execute("SELECT GET_LOCK(%s, 0)", (names["open"],))
        opened.rollback()
        with prepared.cursor(prepared=True) as cursor:
            cursor.execute("SELECT GET_LOCK(?, ?)", (names["prepared"], 0))
            assert cursor.fetchone() == (1,)
        assert value(migrating.cursor(), f"SELECT GET_LOCK('{names['ddl']}', 0)") == 1
        assert parked.query(f"SELECT GET_LOCK('{names['parked']}', 0)").error is None
        alter = threading.Thread(target=migrating.cursor().execute, args=(f"ALTER TABLE {table} ADD COLUMN c int",))
        alter.start()
        held = shim.hold("TABLE commerce.customer FOR 120")
        parked.send(wire.COM_QUERY, "SELECT count(*) FROM customer WHERE id = -1")
        until(lambda: shim.parked() == 1, "it is parked")

        ours = [name for way, name in names.items() if way != "straight"]
        stays(lambda: not any(free(bed, *ours)), "the shim's locks are held", LONG, 1)
        assert free(bed, names["straight"]) == [True], "vtgate keeps idle locks itself by now: locks.c is not needed"

        shim.admin(f"RELEASE {held}")
        assert parked.read_response().error is None
        uuid = until(lambda: [row["migration_uuid"] for row in bed.migrations(table)], "it was submitted")[0]
        bed.run(f"ALTER VITESS_MIGRATION '{uuid}' COMPLETE")
        alter.join(60)
        assert not alter.is_alive()
        for connection, way in ((idle, "idle"), (migrating, "ddl"), (opened, "open")):
            assert value(connection.cursor(), f"SELECT RELEASE_LOCK('{names[way]}')") == 1, way
    assert shim.metric("vtshim_lock_keep_alives_total") >= 5 * 4
    assert shim.metric("vtshim_locks_lost_total") == 0


QUICK = {"locks": {"keep_alive_s": 1}}


def kept(shim: Shim, seconds: float = 3.5) -> float:
    """How often a session's locks are touched now."""
    before = shim.metric("vtshim_lock_keep_alives_total")
    time.sleep(seconds)
    return shim.metric("vtshim_lock_keep_alives_total") - before


@pytest.mark.parametrize("end", ["SELECT RELEASE_LOCK('{}')", "select release_all_locks()", None])
def test_released_is_left_alone(start_shim, end):
    """A session is asked about its locks only while it has some."""
    shim, name = start_shim(QUICK), f"quick-{secrets.token_hex(4)}"
    with shim.connect() as connection, connection.cursor() as cursor, shim.connect() as other:
        assert kept(shim, 2.5) == 0
        assert value(cursor, f"SELECT GET_LOCK('{name}', 0)") == 1
        with other.cursor() as rival:
            # Who did not get it has nothing to keep.
            assert value(rival, f"SELECT GET_LOCK('{name}', 0)") == 0
        assert 1 <= kept(shim) <= 4
        assert value(cursor, "SELECT 1") == 1
        if end:
            cursor.execute(end.format(name))
        else:
            connection._execute_command(wire.COM_RESET_CONNECTION, b"")
            connection._read_ok_packet()
        assert kept(shim) == 0


def test_taken_twice(start_shim):
    """MySQL counts; in several statements at once, too."""
    shim, name = start_shim(QUICK), f"twice-{secrets.token_hex(4)}"
    with shim.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT GET_LOCK('{name}', 0); SELECT GET_LOCK('{name}', 0)")
        while cursor.nextset():
            pass
        assert value(cursor, f"SELECT RELEASE_LOCK('{name}')") == 1
        assert kept(shim) >= 1
        assert value(cursor, f"SELECT RELEASE_LOCK('{name}')") == 1
        assert kept(shim) == 0


def test_keeping_changes_nothing(start_shim):
    """An idle session that never autocommits is not put into a transaction, and a client's statements get their own
    answers while its locks are touched."""
    shim, name = start_shim(QUICK), f"calm-{secrets.token_hex(4)}"
    with shim.connect(autocommit=False) as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT GET_LOCK('{name}', 0)")
        connection.rollback()
        assert kept(shim) >= 1
        connection.ping(reconnect=False)
        assert not connection.server_status & pymysql.constants.SERVER_STATUS.SERVER_STATUS_IN_TRANS
        deadline = time.monotonic() + 5
        n = 0
        while time.monotonic() < deadline:
            n += 1
            assert value(cursor, f"SELECT {n}") == n


def test_lost_is_told(start_shim, bed):
    """A lock that vtgate has let go of is counted and logged; the session goes on."""
    shim, name = start_shim(QUICK), f"lost-{secrets.token_hex(4)}"
    with shim.connect() as connection, connection.cursor() as cursor:
        assert value(cursor, f"SELECT GET_LOCK('{name}', 0)") == 1
        end_locks(bed, name)
        shim.wait_event("locks_lost", locks=1)
        assert value(cursor, "SELECT 1") == 1
        assert kept(shim) == 0
    assert shim.metric("vtshim_locks_lost_total") == 1


def end_locks(bed, name: str) -> None:
    """Ends the lock's connection in MySQL itself."""
    for socket in bed.folder.glob("vt_*/mysql.sock"):
        with pymysql.connect(unix_socket=str(socket), user="vt_dba", autocommit=True) as mysql, mysql.cursor() as cursor:
            cursor.execute(f"SELECT IS_USED_LOCK('{name}')")
            thread, = cursor.fetchone()
            if thread:
                cursor.execute(f"KILL {thread}")
                return
    raise AssertionError(f"nobody holds {name}")
