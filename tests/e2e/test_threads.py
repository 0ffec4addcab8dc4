"""Everything at once on several workers: what the threads share is used from all sides.

The results prove little here; `run-tests tsan` runs this with the thread sanitizer, which proves more.
"""

from __future__ import annotations

import random
import socket
import threading
import time
from typing import Callable

import pymysql
import pytest

from lib.poll import until
from lib.shim import Shim

pytestmark = pytest.mark.threads
SECONDS = 8
# Lost to KILL (2013, 2006, 1317) or to a hold (1205), or refused by a limit (1203).
EXPECTED = {0, 1205, 1317, 1203, 2006, 2013}


class Crowd:
    """Threads that each do one thing over and over until they are told to stop."""

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self.done: dict[str, int] = {}
        self.failures: list[str] = []
        self._threads: list[threading.Thread] = []

    def add(self, name: str, what: Callable[[], None], times: int = 1) -> None:
        self.done[name] = 0
        for _ in range(times):
            self._threads.append(threading.Thread(target=self._run, args=(name, what), daemon=True))

    def _run(self, name: str, what: Callable[[], None]) -> None:
        while not self.stopping.is_set():
            try:
                what()
                self.done[name] += 1
            except (pymysql.Error, OSError) as error:
                code = error.args[0] if error.args else 0
                if not self.stopping.is_set() and isinstance(error, pymysql.Error) and code not in EXPECTED:
                    self.failures.append(f"{name}: {error!r}")
                time.sleep(0.05)

    def start(self) -> "Crowd":
        for thread in self._threads:
            thread.start()
        return self

    def stop(self) -> None:
        self.stopping.set()
        for thread in self._threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in self._threads), "a thread hangs"
        assert not self.failures, self.failures[:5]


def applications(shim: Shim) -> Callable[[], None]:
    """A connection with a statement and a transaction."""
    def run() -> None:
        connection = shim.connect(read_timeout=30)
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT email FROM customer WHERE id = -1")
                cursor.execute("BEGIN")
                cursor.execute("SELECT count(*) FROM customer WHERE id = -2; SELECT 2")
                cursor.execute("COMMIT")
                connection.ping(reconnect=False)
        finally:
            connection._force_close()  # as an application that ends without a COM_QUIT
    return run


def holder(shim: Shim, what: str) -> Callable[[], None]:
    def run() -> None:
        hold = shim.hold(f"{what} FOR 60 REASON 'threads'")
        time.sleep(random.uniform(0, 0.1))
        shim.admin(f"RELEASE {hold}")
        time.sleep(0.1)
    return run


def watcher(shim: Shim) -> None:
    for what in ("SESSIONS", "HOLDS", "STATS", "MIGRATIONS", "VTGATES", "CONFIG"):
        shim.admin(f"SHOW {what}")
    assert shim.http("/metrics")[0] == 200
    shim.http("/readyz")


def killer(shim: Shim) -> None:
    with shim.connect(read_timeout=30) as connection, connection.cursor() as cursor:
        sessions = [row["id"] for row in shim.admin("SHOW SESSIONS")]
        for victim in random.sample(sessions, min(2, len(sessions))):
            if int(victim) != connection.thread_id():
                try:
                    cursor.execute(f"KILL {random.choice(['', 'QUERY '])}{victim}")
                except pymysql.Error as error:
                    if error.args[0] not in (1094, 1095):  # it has gone, or nothing could be interrupted
                        raise
    time.sleep(0.05)


def drainer(shim: Shim) -> None:
    gate = shim.bed.endpoints[0]
    shim.admin(f"DRAIN VTGATE '{gate}'")
    time.sleep(0.1)
    shim.admin(f"RESUME VTGATE '{gate}'")


def passer_by(shim: Shim) -> None:
    """Comes, perhaps listens to the greeting, says half a word and goes."""
    with socket.create_connection(shim.listen, 10) as client:
        if random.random() < 0.5:
            client.recv(100)
        client.sendall(b"\x30\0\0\1half"[:random.randrange(9)])
    time.sleep(0.05)


def crowd_of(shim: Shim) -> Crowd:
    crowd = Crowd()
    crowd.add("application", applications(shim), 5)
    crowd.add("hold all", holder(shim, "ALL"))
    crowd.add("hold table", holder(shim, "TABLE commerce.customer"))
    crowd.add("watch", lambda: watcher(shim))
    crowd.add("kill", lambda: killer(shim))
    crowd.add("drain", lambda: drainer(shim))
    crowd.add("pass by", lambda: passer_by(shim), 2)
    return crowd


CONFIG = {"workers": 4, "limits": {"max_connections_per_user": 9}, "hold": {"max_wait_ms": 2000, "release_rate": 200}}


def test_everything_at_once(start_shim):
    """Statements, holds, kills, drains, logins cut short, and somebody who watches it all."""
    shim = start_shim(CONFIG)
    crowd = crowd_of(shim).start()
    time.sleep(SECONDS)
    until(lambda: all(crowd.done.values()) or crowd.failures, "everybody has had a turn", 120)
    crowd.stop()
    shim.admin("RELEASE ALL")
    until(lambda: shim.metric("vtshim_sessions") == 0, "no session is left")
    assert shim.parked() == 0


def test_sigterm_in_the_middle(start_shim):
    """The end comes while everything goes on: in good order, as the fixture checks."""
    shim = start_shim({**CONFIG, "timeouts": {"shutdown_s": 1}})
    crowd = crowd_of(shim).start()
    time.sleep(SECONDS / 4)
    crowd.stopping.set()
    shim.terminate()
    assert shim.wait(20) == 0
    crowd.stop()
