"""limits.memory_bytes: in stages, and what goes first is what harms least."""

from __future__ import annotations

import os
import resource
import socket
import time
from pathlib import Path
from typing import Callable, Iterator

import pytest

from lib.poll import until
from lib.shim import Shim
from lib.wire import COM_QUERY, ConnectionEnded, Wire

MB = 1 << 20
LIMIT = 96 * MB
# A statement whose end does not come: the shim keeps it until it knows what it is.
UPLOAD = 15 * MB


@pytest.fixture
def start_plain(plain_program: Path, tmp_path: Path, bed) -> Iterator[Callable[..., Shim]]:
    """A sanitizer keeps what is freed."""
    shims: list[Shim] = []

    def start(config: dict) -> Shim:
        shims.append(Shim(plain_program, tmp_path, bed, config))
        return shims[-1].start()

    yield start
    for shim in shims:
        shim.finish()


def upload(client: Wire) -> None:
    """Most of a long comment."""
    size = UPLOAD + 1000
    client.socket.sendall(size.to_bytes(3, "little") + b"\0\x03/*" + b"c" * (UPLOAD - 10))


def resident(shim: Shim) -> int:
    return int(Path(f"/proc/{shim.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def fill(shim: Shim, clients: list[Wire]) -> None:
    """One after the other, so that each is looked at."""
    for client in clients:
        before = resident(shim)
        upload(client)
        until(lambda: resident(shim) > before + UPLOAD * 0.9 or shim.events("memory_session_ended"), "it has come", pause=0.02)


def stage(shim: Shim) -> int:
    return int(shim.metric("vtshim_memory_stage"))


def was_ended(client: Wire) -> bool:
    client.socket.settimeout(0.1)
    try:
        client.read(1)
    except socket.timeout:
        return False
    except (ConnectionEnded, ConnectionError):
        pass
    return True


def test_stages(start_plain):
    """Tight: new connections get 1041, nobody else notices. Full: they wait. Then there is room again, and all is well."""
    shim = start_plain({"limits": {"memory_bytes": LIMIT}})
    bystander, transaction = shim.wire(), shim.wire()
    assert transaction.query("BEGIN").error is None
    uploads = [shim.wire() for _ in range(5)]
    fill(shim, uploads[:5])
    until(lambda: stage(shim) == 1, f"it is tight, with {resident(shim)} of {LIMIT} bytes")
    assert "tight" in shim.admin("SHOW MEMORY WHERE name = 'limit'")[0]["help"]
    with socket.create_connection(shim.listen, 10) as refused:
        answer = refused.recv(1000)
    assert answer[4] == 0xFF and int.from_bytes(answer[5:7], "little") == 1041 and b"limits.memory_bytes" in answer, answer
    assert bystander.value("SELECT 1") == "1" and transaction.query("COMMIT").error is None

    shim.admin(f"SET limits.memory_bytes = {int(resident(shim) / 0.95)}")
    until(lambda: stage(shim) == 2, "it is full")
    assert any(row["state"].startswith("paused") for row in shim.admin("SHOW LISTENERS WHERE setting = 'listen'"))
    waiting = socket.create_connection(shim.listen, 10)
    waiting.settimeout(0.5)
    with pytest.raises(socket.timeout):
        waiting.recv(5)
    assert not shim.events("memory_session_ended") and bystander.value("SELECT 2") == "2"

    for client in uploads:
        client.close()
    until(lambda: stage(shim) == 0, "there is room again")
    waiting.settimeout(10)
    assert waiting.recv(5)[4] == 10, "the one that waited is served"
    waiting.close()
    assert shim.run("SELECT 1 AS one") == [{"one": 1}]
    assert shim.metric("vtshim_memory_refused_total") == 1 and shim.metric("vtshim_memory_sessions_ended_total") == 0


def test_what_harms_least_is_ended(start_plain):
    """Of many that are large the ones outside of transactions go, with a word; idle and small ones stay."""
    # One worker, which looks at the keeper first.
    shim = start_plain({"limits": {"memory_bytes": LIMIT}, "workers": 1})
    bystander, keeper = shim.wire(), shim.wire()
    assert keeper.query("BEGIN").error is None
    uploads = [shim.wire() for _ in range(7)]
    fill(shim, [keeper, *uploads])
    until(lambda: shim.events("memory_session_ended"), "somebody had to go")
    until(lambda: resident(shim) < LIMIT, "it is below the limit again")
    ended = shim.events("memory_session_ended")
    assert all(line["in_transaction"] == "0" and int(line["bytes"]) > 10 * MB for line in ended), ended
    assert 1 <= sum(map(was_ended, uploads)) < len(uploads), "as many as it takes"
    assert not was_ended(keeper) and bystander.value("SELECT 3") == "3"
    assert shim.metric("vtshim_sessions_closed_total", reason="memory") == len(shim.events("memory_session_ended"))
    assert shim.events("memory", stage="over")
    for client in (*uploads, keeper):
        client.close()


def test_without_descriptors_too(start_plain):
    """What the process occupies is seen when it can open nothing any more."""
    shim = start_plain({"limits": {"memory_bytes": LIMIT}})
    uploads = [shim.wire() for _ in range(8)]
    with shim.admin_connect() as admin, admin.cursor() as cursor:
        used = set(map(int, os.listdir(f"/proc/{shim.process.pid}/fd")))
        free = next(number for number in range(len(used) + 1) if number not in used)
        resource.prlimit(shim.process.pid, resource.RLIMIT_NOFILE, (free, free))
        fill(shim, uploads)
        until(lambda: shim.events("memory_session_ended"), "somebody had to go")
        cursor.execute("SHOW MEMORY WHERE name = 'resident'")
        assert int(cursor.fetchone()[1]) > LIMIT / 2
    for client in uploads:
        client.close()


def test_the_one_that_is_ended_is_told(start_plain):
    """Error 1041, if it stands where an error can be understood."""
    shim = start_plain({})
    client = shim.wire()
    fill(shim, [client])
    shim.admin(f"SET limits.memory_bytes = {resident(shim) - 8 * MB}")
    assert error_of(client) == 1041
    until(lambda: shim.metric("vtshim_sessions") == 0, "it is gone")


def test_a_direct_ddl_is_not_ended_between_its_shards(start_plain, bed, table):
    """Its shards would differ. An open transaction on the table has it wait at the first one."""
    shim = start_plain({})
    with bed.connect() as connection, connection.cursor() as blocker, shim.wire() as ddl, shim.wire() as other:
        blocker.execute("BEGIN")
        blocker.execute(f"SELECT * FROM {table}")
        ddl.send(COM_QUERY, f"ALTER /*vtshim strategy=direct allow=all */ TABLE {table} ADD COLUMN direct int")
        until(lambda: "asking" in str(shim.admin("SHOW SESSIONS")), "it has begun")
        time.sleep(1)  # past the questions before it
        shim.admin(f"SET limits.memory_bytes = {max(8 * MB, resident(shim) // 2)}")
        until(lambda: was_ended(other), "others had to go")
        time.sleep(1)
        assert not was_ended(ddl)
        blocker.execute("ROLLBACK")
        until(lambda: shim.events("ddl_direct", shards="2"), "both shards are changed")
    assert all("direct" in columns for columns in bed.columns(table).values())


def error_of(client: Wire) -> int:
    head = client.read(4)
    packet = client.read(int.from_bytes(head[:3], "little"))
    assert head[3] == 1 and packet[0] == 0xFF
    return int.from_bytes(packet[1:3], "little")
