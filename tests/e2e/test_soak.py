"""A long load of everything that a shim meets, and memory that stays where it is.

    VTSHIM_SOAK_STATEMENTS=7200000 ./run-tests e2e -- -m long -k soak

is four hours at 500 statements a second, as fast as the machine runs them (VTSHIM_SOAK_SECONDS at most). Without the
variable it takes a minute, or VTSHIM_SOAK_SECONDS.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import pymysql
import pytest

from lib.bed import REPOSITORY
from lib.plain import build_preset, compile_c, mysql_flags
from lib.poll import until
from lib.shim import Shim

STATEMENTS = int(os.environ.get("VTSHIM_SOAK_STATEMENTS") or 0)
SECONDS = int(os.environ.get("VTSHIM_SOAK_SECONDS") or (14400 if STATEMENTS else 60))
THREADS = 12
EVERY_S = 2.0
WARM_UP = 0.25  # the part of the time in which tables fill
# A minute is too short to tell a slope from one step of the allocator, which is 1 MB.
MOST_GROWTH = 0.02 if STATEMENTS or SECONDS >= 900 else 0.25
# What is allocated may grow by what tables with a bound still take up: records of migrations (100 of up to 2.5 KB), changes (64
# of 680 bytes), lines of the audit (100), notes of sessions, shapes of statements. Not by a byte for each ten statements.
MOST_ALLOCATED = 400_000

pytestmark = pytest.mark.long


# Each thread's cache of freed pieces counts as allocated, and takes minutes to fill up: it looks like a leak.
EXACT = {"GLIBC_TUNABLES": "glibc.malloc.tcache_count=0"}


class Trouble(threading.Thread):
    """What operators and ill-behaved clients do meanwhile, one thing after the other."""

    def __init__(self, shim: Shim, table: str):
        super().__init__()
        self.shim, self.table, self.ended = shim, table, threading.Event()
        self.done: dict[str, int] = {}
        self.failures: list[str] = []

    def run(self) -> None:
        actions = [self.hold, self.reload, self.kill, self.rotate, self.look, self.garbage, self.vanish, self.look]
        while not self.ended.wait(0.5):
            turn = sum(self.done.values())
            action = self.change if turn % 40 == 39 else actions[turn % len(actions)]
            try:
                action()
            except (pymysql.Error, OSError, AssertionError) as failure:
                self.failures.append(f"{action.__name__}: {failure!r}")
            self.done[action.__name__] = self.done.get(action.__name__, 0) + 1

    def hold(self) -> None:
        number = self.shim.hold(f"TABLE {self.shim.bed.keyspace}.demo FOR 5")
        time.sleep(0.2)
        try:
            self.shim.admin(f"RELEASE {number}")
        except pymysql.Error as error:
            assert error.args[0] == 1094, error  # its time was over, on a machine that is busy with others

    def reload(self) -> None:
        self.shim.write_config({"log": {"level": random.choice(["info", "warn"])}})
        self.shim.admin("RELOAD")

    def kill(self) -> None:
        sessions = self.shim.admin("SHOW SESSIONS")
        if sessions:
            try:
                self.shim.admin(f"KILL SESSION {random.choice(sessions)['id']}")
            except pymysql.Error as error:
                assert error.args[0] == 1094, error  # it has gone by itself

    def rotate(self) -> None:
        self.shim.process.send_signal(signal.SIGUSR1)

    def look(self) -> None:
        for what in ("MEMORY", "STATS", "DIGESTS", "SHAPES", "TRANSACTIONS", "ERRORS", "WORKERS", "MIGRATIONS"):
            self.shim.admin(f"SHOW {what}")
        assert self.shim.http("/metrics")[0] == 200 and self.shim.http("/api/v1/sessions")[0] == 200

    def garbage(self) -> None:
        for _ in range(20):
            with socket.create_connection(self.shim.listen, 5) as client:
                client.sendall(random.randbytes(random.randrange(1, 200)))

    def vanish(self) -> None:
        for _ in range(50):
            socket.create_connection(self.shim.listen, 5).close()

    def change(self) -> None:
        strategy = "direct" if self.done.get("change", 0) % 4 else "vitess"
        for what in ("ADD COLUMN soaked INT", "DROP COLUMN soaked"):
            self.shim.run(f"ALTER /*vtshim strategy={strategy}*/ TABLE {self.table} {what}")


def resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def heap_used(shim: Shim) -> int:
    """What the program has allocated, without what the allocator keeps (EXACT)."""
    return next(int(row["bytes"]) for row in shim.admin("SHOW MEMORY") if row["name"] == "heap_used")


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def slope(points: list[tuple[float, float]]) -> float:
    """By least squares."""
    n = len(points)
    mean_x, mean_y = sum(x for x, _ in points) / n, sum(y for _, y in points) / n
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) ** 2 for x, _ in points)


def growth(points: list[tuple[float, float]]) -> float:
    """From the first point to the last, as a part of the mean."""
    return slope(points) * (points[-1][0] - points[0][0]) / (sum(y for _, y in points) / len(points))


def test_soak(bed, tmp_path, table):
    program = build_preset("release")
    load = compile_c(REPOSITORY / "bench/client/load.c", tmp_path / "load", *mysql_flags(), "-lpthread")
    log = tmp_path / "soak.log"
    shim = Shim(program, tmp_path, bed, {
        "log": {"file": str(log)}, "audit": {"file": str(tmp_path / "audit.log")},
        "control": {"user": bed.user, "password": bed.password}, "ddl": {"poll_interval_ms": 200}}, environment=EXACT)
    with open(shim.stderr_file, "wb") as stderr:
        shim.process = subprocess.Popen(shim.command, stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr,
                                        env=shim.environment)
    until(lambda: log.exists() and "event=ready" in log.read_text(), "the shim is ready")
    pid, before = shim.process.pid, None
    shim.run("SELECT 1")
    before = descriptors(pid)
    trouble = Trouble(shim, table)
    memory: list[tuple[float, float]] = []
    files: list[tuple[float, float]] = []
    heap: list[tuple[float, float]] = []
    counts: list[str] = []
    began = time.monotonic()
    process = subprocess.Popen(
        [str(load), "--port", str(shim.listen[1]), "--user", bed.user, "--database", bed.keyspace,
         "--threads", str(THREADS), "--statements", str(STATEMENTS or 10 ** 9), "--seconds", str(SECONDS)],
        stdout=subprocess.PIPE, stderr=open(tmp_path / "load.err", "w"), text=True, env={**os.environ, "MYSQL_PWD": bed.password})
    reader = threading.Thread(target=lambda: counts.extend(process.stdout))
    trouble.start()
    reader.start()
    try:
        while process.poll() is None:
            at = time.monotonic() - began
            memory.append((at, resident(pid)))
            files.append((at, descriptors(pid)))
            heap.append((at, heap_used(shim)))
            (tmp_path / "samples").open("a").write(
                f"{at:.0f} {memory[-1][1]} {heap[-1][1]} {files[-1][1]} {counts[-1] if counts else '-'}\n")
            assert shim.process.poll() is None, "the shim has ended"
            time.sleep(EVERY_S)
    finally:
        trouble.ended.set()
        trouble.join()
        process.terminate()
        reader.join()
    took = time.monotonic() - began
    words = counts[-1].split()
    found = dict(zip(words[::2], map(int, words[1::2])))
    steady, used = ([point for point in points if point[0] > took * WARM_UP] for points in (memory, heap))
    report = (f"{found} in {took:.0f} s ({found['statements'] / took:.0f}/s), meanwhile {trouble.done}; "
              f"resident {steady[0][1] / 1e6:.1f} to {steady[-1][1] / 1e6:.1f} MB, growth {growth(steady) * 100:+.2f} % "
              f"(allocated {used[0][1] / 1e6:.2f} to {used[-1][1] / 1e6:.2f} MB, {growth(used) * 100:+.2f} %); "
              f"descriptors {min(y for _, y in files[2:]):.0f} to {max(y for _, y in files):.0f}")
    print(report)
    (REPOSITORY / "build" / "soak.txt").write_text(report + "\n")
    until(lambda: shim.metric("vtshim_sessions") == 0, "no session is left", 30)
    until(lambda: descriptors(pid) <= before + 4, "the descriptors are back", 30)
    shim.finish()
    assert not trouble.failures, trouble.failures[:5]
    assert found["other"] == 0, (tmp_path / "load.err").read_text()
    killed = trouble.done.get("kill", 0)
    assert found["lost"] <= killed * 2, f"{found['lost']} sessions were lost, {killed} were killed"
    assert growth(steady) < MOST_GROWTH, report
    assert slope(used) * (used[-1][0] - used[0][0]) < MOST_ALLOCATED, report
    assert not STATEMENTS or found["statements"] >= STATEMENTS, report
