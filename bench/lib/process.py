"""Programs of the benchmark: started, measured through /proc, and ended for certain."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Callable, Sequence

LOOPBACK = "127.0.0.1"
# A program that outlives us would disturb the next run: the kernel ends it when we are killed.
WITH_US = ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []


class Failure(Exception):
    """The benchmark cannot go on; the text says why."""


def free_ports(n: int) -> list[int]:
    sockets = [socket.socket() for _ in range(n)]
    for s in sockets:
        s.bind((LOOPBACK, 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def until(what: str, condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise Failure(f"gave up after {seconds:g} s waiting until {what}")
        time.sleep(0.05)


def answers(port: int) -> bool:
    with socket.socket() as s:
        s.settimeout(1)
        return s.connect_ex((LOOPBACK, port)) == 0


class Program:
    """One running server. Its output goes to a file, its input is empty."""

    def __init__(self, name: str, command: Sequence[str], folder: Path, prefix: Sequence[str] = ()):
        self.name = name
        self.log = folder / f"{name}.log"
        with self.log.open("ab") as log:
            # A session of its own: Ctrl-C reaches only us, and we end the programs in their order.
            self.process = subprocess.Popen([*(prefix or WITH_US), *command], cwd=folder, stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, start_new_session=True)

    @property
    def pid(self) -> int:
        return self.process.pid

    def check(self) -> None:
        if self.process.poll() is not None:
            tail = self.log.read_text(errors="replace").splitlines()[-8:]
            raise Failure(f"{self.name} ended with status {self.process.returncode}:\n" + "\n".join(tail))

    def wait_for(self, port: int, seconds: float = 30) -> None:
        def ready() -> bool:
            self.check()
            return answers(port)

        until(f"{self.name} answers", ready, seconds)

    def stop(self, patience: float = 20) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(patience)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def cpu_ns(self) -> int:
        """User and system time of all its threads: what utime and stime count, in nanoseconds."""
        return cpu_ns(self.pid)

    def memory(self) -> dict[str, int]:
        """Bytes: resident (rss), and its share of what it shares with others (pss)."""
        sums = {}
        for line in Path(f"/proc/{self.pid}/smaps_rollup").read_text().splitlines():
            words = line.split()
            if words[0] in ("Rss:", "Pss:"):
                sums[words[0][:-1].lower()] = int(words[1]) * 1024
        return sums


def cpu_ns(pid: int) -> int:
    try:
        return sum(int((task / "schedstat").read_text().split()[0]) for task in Path(f"/proc/{pid}/task").iterdir())
    except (OSError, ValueError, IndexError):
        # A kernel without schedstat: the same clock, in steps of a tick.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * 1_000_000_000 // os.sysconf("SC_CLK_TCK")
