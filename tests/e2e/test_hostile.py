"""Clients that mean harm: thousands of half-open logins, one byte at a time, garbage, connections that vanish. One that
behaves goes on within bounds, and afterwards nothing is left of them.

VTSHIM_LONG=1 makes 10,000 of them, else 1,200.
"""

from __future__ import annotations

import os
import random
import resource
import socket
import threading
import time
from collections import deque
from contextlib import ExitStack

import pymysql
import pytest

from fake_vtgate import FakeVtgate, Rows, numbers
from lib import wire
from lib.poll import until
from lib.shim import Shim
from lib.wire import Wire

LONG = os.environ.get("VTSHIM_LONG") == "1"
TOTAL = 10_000 if LONG else 1_200
AT_ONCE = 2_000 if LONG else 300
# Another address than everybody else's, so that a limit by address can tell them apart.
SOURCE = "127.66.6.6"
SLOWEST = 5.0  # seconds, on a busy machine and with a sanitizer
# Operators who read nothing: how many, how many answers each asks for, and one who reads slowly; all far more than buffers take.
SILENT, MUCH, SLOWLY = 8, 2000, 300
SHOW_CONFIG = b"\x0c\0\0\0\x03SHOW CONFIG"
PIECE = 16384


class Hostile(threading.Thread):
    """A kind of them, each of which stays until the shim or the next one makes it leave."""

    def __init__(self, shim: Shim, kind: str, count: int, at_once: int):
        super().__init__()
        self.shim, self.kind, self.count, self.at_once = shim, kind, count, at_once
        self.made = 0

    def run(self) -> None:
        held: deque[socket.socket] = deque()
        for _ in range(self.count):
            try:
                held.append(socket.create_connection(self.shim.listen, 10, (SOURCE, 0)))
                self.made += 1
                self.act(held)
                time.sleep(0.005)
            except OSError:
                pass  # refused, reset: that is what it is about
            while len(held) > (0 if self.kind == "vanish" else self.at_once):
                held.popleft().close()
        time.sleep(2.5)  # longer than a login may take
        for connection in held:
            connection.close()

    def act(self, held: deque[socket.socket]) -> None:
        if self.kind == "garbage":
            held[-1].sendall(random.randbytes(random.randrange(1, 2000)))
        elif self.kind == "slow":
            # A login's header, and then a byte now and then of each of those that are open.
            held[-1].sendall(b"\x50\x00\x00\x01")
            held[random.randrange(len(held))].sendall(b"\x85")


class Good(threading.Thread):
    """Connects, asks, leaves."""

    def __init__(self, shim: Shim):
        super().__init__()
        self.shim, self.ended = shim, threading.Event()
        self.times: list[float] = []
        self.failures: list[str] = []

    def run(self) -> None:
        kept = self.shim.connect()
        while not self.ended.wait(0.02):
            began = time.monotonic()
            try:
                with kept.cursor() as cursor:
                    cursor.execute("SELECT 1")
                assert self.shim.run("SELECT 2 AS two") == [{"two": 2}]
            except (pymysql.Error, OSError, AssertionError) as failure:
                self.failures.append(repr(failure))
            self.times.append(time.monotonic() - began)
        kept.close()


def test_hostile_connections(start_shim):
    """A limit by address keeps them from the places of others, the login's time limit from staying."""
    shim = start_shim({"limits": {"max_connections": AT_ONCE * 2, "max_connections_per_address": AT_ONCE},
                       "timeouts": {"login_ms": 1500}})
    kinds = ("half-open", "slow", "garbage", "vanish")
    good = Good(shim)
    hostiles = [Hostile(shim, kind, TOTAL // len(kinds), AT_ONCE // len(kinds)) for kind in kinds]
    for thread in (good, *hostiles):
        thread.start()
    for thread in hostiles:
        thread.join()
    good.ended.set()
    good.join()
    made = sum(thread.made for thread in hostiles)
    times = sorted(good.times)
    print(f"{made} hostile connections; {len(times)} good rounds, the slowest {times[-1]:.2f} s, "
          f"p50 {times[len(times) // 2]:.3f} s")
    assert made > TOTAL * 0.9, f"only {made} came as far as being accepted"
    assert not good.failures, good.failures[:5]
    assert len(times) > 3 and times[-1] < SLOWEST, times[-5:]
    until(lambda: shim.metric("vtshim_sessions") == 0, "nothing is left of them", 20)
    closed = {reason: shim.metric("vtshim_sessions_closed_total", reason=reason)
              for reason in ("login_timeout", "client_protocol_error", "client_closed")}
    assert closed["login_timeout"] > 0 and closed["client_protocol_error"] > 0, closed


def test_half_open_operators(shim):
    """The console and the HTTP port wait for ten seconds, for a login that does not come and for the rest of a request."""
    opened = {name: socket.create_connection(address, 20) for name, address in (
        ("console", shim.admin_address), ("silent", shim.http_address), ("half", shim.http_address))}
    opened["half"].sendall(b"POST /api/v1/holds HTTP/1.1\r\nContent-Length: 100\r\n")
    began = time.monotonic()
    for name, connection in opened.items():
        with connection:
            while connection.recv(1000):
                pass
        assert 5 < time.monotonic() - began < 15, name
    assert shim.admin("SHOW VERSION") and shim.http("/healthz")[0] == 200


class SlowReader(threading.Thread):
    """Takes so long to read so many bytes; `got` is how many came before the end, if there was one."""

    def __init__(self, client: Wire, wanted: int, seconds: float):
        super().__init__()
        self.client, self.wanted, self.pause, self.got = client, wanted, seconds * PIECE / wanted, 0

    def run(self) -> None:
        while self.got < self.wanted:
            piece = self.client.socket.recv(PIECE)
            if not piece:
                return
            self.got += len(piece)
            time.sleep(self.pause * len(piece) / PIECE)


@pytest.mark.parametrize("way", ["tcp", "unix"])
def test_clients_who_read_nothing(start_shim, tmp_path, way):
    """timeouts.write_s: who takes none of a result is closed, and who takes it slowly gets all of it."""
    limit = 1
    rows = 80 if way == "unix" else 400  # its buffer is small
    with FakeVtgate({"big": [Rows(list(numbers(rows, 50_000)))]}) as gate, ExitStack() as stack:
        path = str(tmp_path / "s")
        unix = {"listen": f"unix:{path}"} if way == "unix" else {}
        shim = start_shim({"vtgate": gate.endpoint, "timeouts": {"write_s": limit}} | unix)

        def client() -> Wire:
            made = stack.enter_context(Wire(path if unix else shim.listen, receive_buffer=16384))
            made.login("fake", "")
            return made

        slow = client()
        size = len(slow.query("big").raw)
        slow.send(wire.COM_QUERY, "big")
        reader = SlowReader(slow, size, 8 * limit)
        reader.start()
        began = time.monotonic()
        client().send(wire.COM_QUERY, "big")
        until(lambda: shim.metric("vtshim_sessions_closed_total", reason="write_timeout") >= 1, "it is closed", limit + 5)
        assert time.monotonic() - began > limit, "that was early"
        reader.join(60)
        assert reader.got == size, "every byte"
        assert slow.query("SELECT 1").error is None
    assert shim.metric("vtshim_sessions_closed_total", reason="write_timeout") == 1


@pytest.mark.parametrize("limit, write_s", [(3, 3), pytest.param(60, 0, marks=pytest.mark.long),
                                            pytest.param(60, 600, marks=pytest.mark.long)])
def test_operators_who_read_nothing(start_shim, certificates, limit, write_s):
    """Who asks the console for much and takes none of it, with TLS or without, is not answered on and on, and is closed after
    timeouts.write_s, or a minute; one who reads slowly gets everything, and others are served meanwhile."""
    of = certificates.path
    shim = start_shim({"timeouts": {"write_s": write_s}, "tls": {"cert": str(of("server.pem")), "key": str(of("server-key.pem"))}},
                      # What was freed is not to be counted.
                      ASAN_OPTIONS="detect_leaks=1:abort_on_error=0:quarantine_size_mb=1")
    with ExitStack() as stack:
        def operator(tls: bool) -> Wire:
            client = stack.enter_context(Wire(shim.admin_address, receive_buffer=16384))
            if tls:
                client.start_tls(wire.BASIC, certificates.context(), "localhost")
            client.login("sre", "")
            return client

        good = stack.enter_context(shim.admin_connect())
        slow = operator(tls=False)
        size = len(slow.query("SHOW CONFIG").raw)
        others = len(os.listdir(f"/proc/{shim.process.pid}/fd"))
        before, began = shim.resident_kib(), time.monotonic()
        reader = SlowReader(slow, SLOWLY * size, 4 * limit)
        slow.socket.sendall(SLOWLY * SHOW_CONFIG)
        reader.start()
        for number in range(SILENT):
            operator(tls=number % 2 == 0).socket.sendall(MUCH * SHOW_CONFIG)
        asked = time.monotonic()
        most, slowest = 0, 0.0
        while len(os.listdir(f"/proc/{shim.process.pid}/fd")) > others:
            assert time.monotonic() - asked < limit + 10, "they are still there"
            asks_at = time.monotonic()
            with good.cursor() as cursor:
                cursor.execute("SHOW VERSION")
            slowest = max(slowest, time.monotonic() - asks_at)
            most = max(most, shim.resident_kib() - before)
            time.sleep(0.1)
        assert len(shim.events("admin_write_timeout", user="sre")) == SILENT
        print(f"gone after {time.monotonic() - asked:.1f} s; {most} KiB more; the slowest answer {slowest:.2f} s; an answer has {size}")
        assert time.monotonic() - began > limit, "that was early"
        assert most < SILENT * 3 * 1024 + 16 * 1024, f"memory has grown by {most} KiB"
        assert slowest < SLOWEST
        reader.join(10 * limit)
        assert reader.got == SLOWLY * size, "every byte that it asked for"
        assert slow.query("SHOW VERSION").error is None
    assert len(shim.events("admin_write_timeout")) == SILENT


def test_out_of_descriptors(start_shim):
    """accept(2) fails: the port pauses, it is said once a second at most, those that are there go on, and so do the others as
    soon as there is room."""
    shim = start_shim({"workers": 1})
    first = shim.connect()
    used = len(os.listdir(f"/proc/{shim.process.pid}/fd"))
    resource.prlimit(shim.process.pid, resource.RLIMIT_NOFILE, (used + 8, used + 8))
    began = time.monotonic()
    waiting = [socket.create_connection(shim.listen, 5) for _ in range(20)]
    shim.wait_event("accept_failed")
    with first.cursor() as cursor:
        while time.monotonic() - began < 3:
            cursor.execute("SELECT 1")
            assert cursor.fetchall() == ((1,),)
            time.sleep(0.01)
    assert 1 <= len(shim.events("accept_failed")) <= 5, "told once a second"
    for connection in waiting:
        connection.close()
    until(lambda: asks(shim), "there is room again", 20)
    # Without the pause each turn of the loop would try again: thousands of times.
    assert 10 < shim.metric("vtshim_accept_failures_total") < 10 * (time.monotonic() - began) + 10, "it pauses for 100 ms"
    first.close()


@pytest.mark.parametrize("spare", [0, 1])
def test_no_descriptor_for_vtgate(start_shim, bed, spare):
    """A session, or a health check, that cannot connect for want of one says nothing about the vtgate."""
    shim = start_shim({"workers": 1, "control": {"check_interval_ms": 100}})
    with shim.admin_connect() as admin, admin.cursor() as cursor:
        used = set(map(int, os.listdir(f"/proc/{shim.process.pid}/fd")))
        free = next(number for number in range(len(used) + 1) if number not in used)
        before = resource.prlimit(shim.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(shim.process.pid, resource.RLIMIT_NOFILE, (free + spare, before[1]))
        for _ in range(10 if spare else 0):
            with socket.create_connection(shim.listen, 5) as refused:
                assert int.from_bytes(refused.recv(1000)[5:7], "little") == 1429
        time.sleep(0.5)
        cursor.execute("SHOW VTGATES")
        assert [row[1] for row in cursor.fetchall()] == ["up"] * len(bed.endpoints)
        resource.prlimit(shim.process.pid, resource.RLIMIT_NOFILE, before)
    assert not shim.events("vtgate_down")
    until(lambda: asks(shim), "there is room again", 20)


def asks(shim: Shim) -> bool:
    try:
        return shim.run("SELECT 1 AS one") == [{"one": 1}]
    except pymysql.Error:
        return False
