"""User-level locks (GET_LOCK): migration tools hold one for as long as they work, on the connection that waits for the
DDL or on another. vttablet ends a lock's connection after 30 seconds without a statement on it."""

from __future__ import annotations

import secrets
import threading

from lib import wire
from lib.clients import connector
from lib.poll import stays, until
from test_locks import value

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
