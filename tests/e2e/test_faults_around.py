"""What goes wrong around the shim: a disk that is full, a clock that jumps, a network that loses and delays packets."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from pathlib import Path
from typing import Iterator

import pymysql
import pytest

from lib.bed import REPOSITORY
from lib.lossy import LossyNetwork
from lib.plain import compile_c
from lib.poll import stays, until
from lib.shim import Shim

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts and network namespaces are root's")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@needs_root
def test_full_disk(start_shim, small_disk):
    """log.file and audit.file have no room: it is said once for each, lines are counted, sessions notice nothing; as soon as there
    is room again lines are written again, whole ones."""
    log, audit = small_disk / "vtshim.log", small_disk / "audit.log"
    shim = start_shim({"log": {"level": "debug"}, "audit": {"file": str(audit)}})
    shim.write_config({"log": {"file": str(log)}})
    shim.admin("RELOAD")
    until(lambda: log.exists() and audit.exists() and audit.read_text(), "they are written")
    filler = small_disk / "filler"
    file = os.open(filler, os.O_WRONLY | os.O_CREAT)
    with pytest.raises(OSError, match="No space left"):
        while True:
            os.write(file, b"x" * 4096)
    os.close(file)
    for _ in range(60):
        assert shim.run("SELECT 1 AS one") == [{"one": 1}]
        shim.admin("SHOW VERSION")
        shim.admin("RELOAD")
    until(lambda: shim.metric("vtshim_log_lines_dropped_total") > 0 and shim.metric("vtshim_audit_dropped_total") > 0,
          "lines are dropped and counted")
    assert len(shim.events("log_file_failed")) == 1, "told once, on stderr"
    assert "No space left" in shim.events("log_file_failed")[0]["error"]
    filler.unlink()
    before = log.stat().st_size, audit.stat().st_size
    until(lambda: shim.admin("RELOAD") is not None and log.stat().st_size > before[0] and audit.stat().st_size > before[1],
          "they are written again")
    time.sleep(0.2)
    assert all(line.startswith("time=") for line in log.read_text().splitlines()[-3:])
    assert audit.read_text().splitlines()[-1].endswith("}")


@pytest.fixture
def clock(tmp_path: Path) -> dict[str, str]:
    library = compile_c(REPOSITORY / "tests/e2e/preload/clock.c", tmp_path / "clock.so", "-shared", "-fPIC")
    (tmp_path / "offset").write_text("0")
    return {"LD_PRELOAD": str(library), "CLOCK_FILE": str(tmp_path / "offset")}


@pytest.fixture
def plain_shim(plain_program: Path, bed, tmp_path: Path, clock) -> Iterator[Shim]:
    shim = Shim(plain_program, tmp_path, bed, {"hold": {"max_wait_ms": 20000}, "timeouts": {"idle_s": 60}}, environment=clock)
    yield shim.start()
    shim.finish()


def test_clock_jumps(plain_shim, clock, bed):
    """A day ahead, then two back: no hold ends early or late, no session is idle for too long, no duration is absurd."""
    shim, offset = plain_shim, Path(clock["CLOCK_FILE"])
    idle = shim.connect()
    hold = shim.hold(f"TABLE {bed.keyspace}.demo FOR 6")
    began, outcome = time.monotonic(), []
    parked = threading.Thread(target=lambda: outcome.append(shim.run("SELECT COUNT(*) FROM demo")))
    parked.start()
    until(lambda: shim.parked() == 1, "a statement is parked")
    offset.write_text("86400")
    shim.admin("LOG LEVEL debug")
    stays(lambda: shim.parked() == 1 and str(hold) in str(shim.admin("SHOW HOLDS")), "the hold stays", 1.5)
    offset.write_text("-86400")
    parked.join(30)
    took = time.monotonic() - began
    assert outcome and 5.5 < took < 12, f"the hold ended after {took:.1f} s"
    with idle.cursor() as cursor:
        cursor.execute("SELECT 1")
    idle.close()
    assert shim.metric("vtshim_park_wait_seconds_total") < 15
    assert 0 <= shim.metric("vtshim_uptime_seconds") < 120
    days = {line.split("time=")[1][:10] for line in shim.log.splitlines() if line.startswith("time=")}
    assert len(days) >= 2, f"the log's clock did jump: {days}"


@needs_root
@pytest.mark.parametrize("loss, delay_ms", [(0.05, 10)])
def test_packets_are_lost_and_late(program, bed, tmp_path, loss, delay_ms):
    """Clients and vtgate beyond a network that loses one packet in twenty and delays all: each answer is right, and no
    session hangs."""
    with LossyNetwork(loss, delay_ms) as network:
        gate = network.expose(bed.gates[0])
        # Two SYNs in a row are lost for one connection in a hundred, and there is no other vtgate: the third goes after 3 s.
        shim = Shim(program, tmp_path, bed, {"vtgate": gate, "listen": f"{network.inside}:13306", "timeouts": {"connect_ms": 20000}})
        shim.command = network.command(shim.command)
        shim.start()
        shim.listen = (network.inside, 13306)
        try:
            counts, failures = [], []
            threads = [threading.Thread(target=ask, args=(shim, network, number, counts, failures)) for number in range(6)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(90)
            assert not any(thread.is_alive() for thread in threads), "a session hangs"
            print(f"{sum(counts)} answers; {network.dropped} of {network.packets} packets lost")
            assert not failures, failures
            assert sum(counts) > 100 and network.dropped > 10
        finally:
            shim.finish()


def ask(shim: Shim, network: LossyNetwork, number: int, counts: list[int], failures: list[str]) -> None:
    done, until_then = 0, time.monotonic() + 8
    try:
        while time.monotonic() < until_then:
            with network.outside():
                connection = shim.connect(connect_timeout=30, read_timeout=60)
            with connection, connection.cursor() as cursor:
                for _ in range(20):
                    cursor.execute(f"SELECT {number}, REPEAT('{number}', 20000)")
                    assert cursor.fetchall() == ((number, str(number) * 20000),)
                    done += 1
    except (pymysql.Error, OSError, AssertionError) as failure:
        failures.append(repr(failure)[:300])
    counts.append(done)
