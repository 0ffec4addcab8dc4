"""kill -9 of each program of the cluster, and of the shim, under a load of transactions: everything recovers, nobody hangs, no
acknowledged change is lost and none is made twice.

Each thread of the load adds one to a row of its own, in a transaction, and counts what was acknowledged, and what it cannot
know: whose COMMIT ended with an error. The row must be between the two afterwards.
"""

from __future__ import annotations

import os
import random
import subprocess
import threading
import time

import pymysql
import pytest

from lib.poll import until

PROGRAMS = ["vttablet100", "vtgate1", "mysqld100", "etcd", "vtctld"]
SHORT = {"vttablet100", "vtgate1"}  # the others with VTSHIM_LONG=1
THREADS = 6
LONGEST = 45.0  # seconds that a statement may take until it ends, with or without an error
pytestmark = [pytest.mark.alone]


class Adder(threading.Thread):
    """One row's."""

    def __init__(self, shim, row: int):
        super().__init__()
        self.shim, self.row, self.ended = shim, row, threading.Event()
        self.sure = self.unsure = self.failed = 0
        self.longest, self.strange = 0.0, []

    def run(self) -> None:
        connection = None
        while not self.ended.is_set():
            began, committing = time.monotonic(), False
            try:
                connection = connection or self.shim.connect(connect_timeout=10, autocommit=None)
                with connection.cursor() as cursor:
                    cursor.execute("BEGIN")
                    cursor.execute(f"UPDATE demo SET status = status + 1 WHERE id = {self.row}")
                    committing = True
                    cursor.execute("COMMIT")
                self.sure += 1
            except (pymysql.Error, OSError) as failure:
                if not isinstance(failure, pymysql.MySQLError) or not failure.args or not isinstance(failure.args[0], int):
                    self.strange.append(repr(failure))
                self.failed += 1
                self.unsure += committing
                self.leave(connection)
                connection = None
                time.sleep(0.05)
            self.longest = max(self.longest, time.monotonic() - began)
        self.leave(connection)

    def leave(self, connection) -> None:
        try:
            if connection:
                connection.close()
        except (pymysql.Error, OSError):
            pass


@pytest.fixture
def rows(bed):
    """A row for each thread, which nobody else has."""
    first = random.randrange(10 ** 9, 2 * 10 ** 9)
    numbers = list(range(first, first + THREADS))
    bed.run(*(f"INSERT INTO demo (id, status) VALUES ({number}, '0')" for number in numbers))
    yield numbers
    bed.run(f"DELETE FROM demo WHERE id BETWEEN {numbers[0]} AND {numbers[-1]}")


def value(bed, row: int) -> int:
    with bed.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT status FROM demo WHERE id = {row}")
        return int(float(cursor.fetchone()[0]))


def under_load(shim, bed, rows, disturb) -> None:
    adders = [Adder(shim, row) for row in rows]
    for adder in adders:
        adder.start()
    try:
        until(lambda: all(adder.sure > 3 for adder in adders), "the load runs")
        disturb()
        before = [adder.sure for adder in adders]
        until(lambda: all(adder.sure > done + 3 for adder, done in zip(adders, before)), "everybody goes on", 60)
    finally:
        for adder in adders:
            adder.ended.set()
        for adder in adders:
            adder.join(LONGEST + 30)
    assert not any(adder.is_alive() for adder in adders), "a session hangs"
    print(f"{sum(a.sure for a in adders)} acknowledged, {sum(a.failed for a in adders)} failed, of which "
          f"{sum(a.unsure for a in adders)} at COMMIT; the longest took {max(a.longest for a in adders):.1f} s")
    for adder in adders:
        found = value(bed, adder.row)
        assert adder.sure <= found <= adder.sure + adder.unsure, \
            f"row {adder.row}: {found}, of {adder.sure} sure and {adder.unsure} unsure ones"
        assert not adder.strange, adder.strange[:3]
        assert adder.longest < LONGEST
    until(lambda: shim.metric("vtshim_sessions") == 0, "no session is left", 30)


@pytest.mark.parametrize("name", [pytest.param(name, marks=[] if name in SHORT else [pytest.mark.long]) for name in PROGRAMS])
def test_a_program_of_the_cluster_is_killed(start_shim, bed, rows, name):
    shim = start_shim({"control": {"user": bed.user, "password": bed.password, "check_interval_ms": 300}})

    def disturb() -> None:
        with bed.killed(name):
            time.sleep(2)

    under_load(shim, bed, rows, disturb)


def test_the_shim_is_killed(start_shim, bed, rows):
    """Another process on its ports a moment later."""
    shim = start_shim()

    def disturb() -> None:
        shim.process.kill()
        shim.process.wait(10)
        time.sleep(0.5)
        with open(shim.stderr_file, "wb") as stderr:
            shim.process = subprocess.Popen(shim.command, stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr,
                                            env={**os.environ, **shim.environment})
        until(lambda: shim.events("ready"), "it is back", 30)

    under_load(shim, bed, rows, disturb)
