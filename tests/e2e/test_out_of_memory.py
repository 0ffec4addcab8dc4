"""Each allocation fails in its turn, over a start with a filter of system calls, logins, statements, a DDL's planning, console commands, a reload and the
end. What proxy/memory.h promises has to hold: the process ends at once and says why. It never goes on with a null
pointer, and never hangs.

VTSHIM_LONG=1 takes every one of the first thousands; without it a sample, spread evenly.
"""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pymysql
import pytest

from lib.bed import REPOSITORY
from lib.plain import compile_c
from lib.shim import Shim

LONG = os.environ.get("VTSHIM_LONG") == "1"
SAMPLE = 12  # of each part
PARTS = 8 if LONG else 2
# How it may end: as it should, or by abort(3) with a word why. 1 and 2: it did not even begin, and said so.
ENDS = {0, 1, 2, -signal.SIGABRT}


@pytest.fixture(scope="module")
def library(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("preload")
    return compile_c(REPOSITORY / "tests/e2e/preload/memory.c", folder / "memory.so", "-shared", "-fPIC")


def scenario(shim: Shim) -> None:
    """What a shim does, in a few moments. It may end in the middle of it."""
    try:
        with shim.connect(connect_timeout=10, read_timeout=20) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT 1, 'some text'")
            cursor.execute("SELECT id FROM demo LIMIT 1")
            cursor.execute("PREPARE allocated FROM 'SELECT ? + 1'")
            cursor.execute("EXPLAIN ALTER TABLE demo ADD COLUMN never INT, ADD KEY nor (status)")
            cursor.execute("BEGIN")
            cursor.execute("ROLLBACK")
        shim.admin("SHOW SESSIONS")
        shim.admin("SHOW MEMORY")
        number = shim.hold(f"TABLE {shim.bed.keyspace}.demo FOR 5")
        shim.admin(f"RELEASE {number}")
        shim.admin("RELOAD")
        shim.http("/metrics")
        shim.http("/api/v1/sessions")
    except (pymysql.Error, OSError, AssertionError):
        pass


def run(program: Path, folder: Path, bed, library: Path, **environment: str) -> tuple[int, str]:
    """One life; how it ended, and its log."""
    shim = Shim(program, folder, bed, {"control": {"user": bed.user, "password": bed.password, "check_interval_ms": 100},
                                       "run": {"seccomp": "enforce"}},
                environment={"LD_PRELOAD": str(library), **environment})
    with open(shim.stderr_file, "wb") as stderr:
        shim.process = subprocess.Popen(shim.command, stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr,
                                        env=shim.environment)
    for _ in range(400):
        if shim.process.poll() is not None or "event=ready" in shim.log:
            break
        try:
            shim.process.wait(0.05)
        except subprocess.TimeoutExpired:
            pass
    if shim.process.poll() is None:
        scenario(shim)
    if shim.process.poll() is None:
        shim.terminate()
    return shim.wait(20), shim.log


@pytest.fixture(scope="module")
def total(plain_program, library, bed, tmp_path_factory) -> int:
    """How many allocations a whole life makes."""
    folder = tmp_path_factory.mktemp("count")
    status, log = run(plain_program, folder, bed, library, ALLOCATION_COUNT=str(folder / "count"))
    assert status == 0, log
    return int((folder / "count").read_text())


@pytest.mark.parametrize("part", range(PARTS))
def test_allocations_fail_in_turn(plain_program, library, bed, tmp_path, total, part):
    count = 400 if LONG else SAMPLE
    aborted = 0
    for i in range(count):
        at = 1 + (total - 1) * (i * PARTS + part) // (count * PARTS)
        status, log = run(plain_program, tmp_path, bed, library, ALLOCATION_FAILS=str(at))
        assert status in ENDS, f"allocation {at} of {total}: status {status}\n{log[-2000:]}"
        if status == -signal.SIGABRT:
            aborted += 1
            assert "out of memory" in log.replace("_", " "), f"allocation {at}: no word why\n{log[-2000:]}"
    assert aborted > count / 4, f"only {aborted} of {count} made a difference"


def test_all_of_it_fails(plain_program, library, bed, tmp_path, total):
    """From some point on there is none at all: the way to the end needs none either."""
    for share in (0.2, 0.5, 0.8):
        status, log = run(plain_program, tmp_path, bed, library, ALLOCATION_FAILS=str(int(total * share)),
                          ALLOCATION_FAILS_FOR=str(10 ** 9))
        assert status == -signal.SIGABRT and "out of memory" in log.replace("_", " "), f"{status}\n{log[-2000:]}"
