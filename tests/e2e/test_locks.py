"""User-level locks (GET_LOCK): which sessions are touched because they hold some, and which are left alone. That a lock
outlasts a DDL: test_locks_ddl.py."""

from __future__ import annotations

import secrets
import time

import pymysql
import pytest

from lib import wire
from lib.shim import Shim


def value(cursor, sql: str):
    cursor.execute(sql)
    return cursor.fetchone()[0]


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
