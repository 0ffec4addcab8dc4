"""One measurement: a client drives one target for some seconds, and the proxy's processor time is read."""

from __future__ import annotations

import os
import re
import subprocess
import threading
from dataclasses import dataclass, field
from typing import Iterator, Sequence

from process import WITH_US, Failure
from servers import USER, TABLE_ROWS, login_arguments
from targets import Bench, Target

RANGE_ONLY = ("--point_selects=0", "--simple_ranges=1", "--sum_ranges=0", "--order_ranges=0", "--distinct_ranges=0",
              "--skip_trx=on")
HISTOGRAM = re.compile(r"^\s*([\d.]+) \|[* ]*\s(\d+)$")


@dataclass
class Sample:
    queries: int
    seconds: float
    cpu_us: float | None = None  # of the proxy, for each query; None: there is no proxy
    p50_us: float | None = None
    p99_us: float | None = None

    @property
    def rate(self) -> float:
        return self.queries / self.seconds


@dataclass
class Load:
    """What a client does."""

    threads: int
    range_rows: int = 0  # 0: point selects
    prepared: bool = False
    tls: str = ""  # with our own client instead of sysbench: none, mysql or plain
    connects: bool = False  # logs in and out instead
    title: str = field(default="", compare=False)

    def statement(self) -> str:
        """What our own client sends; about what sysbench does."""
        if self.range_rows:
            return f"SELECT c FROM sbtest1 WHERE id BETWEEN %1$d AND %1$d + {self.range_rows - 1}"
        return "SELECT c FROM sbtest1 WHERE id=%1$d"

    def highest_id(self) -> int:
        return max(1, TABLE_ROWS - self.range_rows)


def sysbench_command(bench: Bench, script: str, port: int, *options: str) -> list[str]:
    scripts = os.environ.get("BENCH_SCRIPTS")
    name = f"{scripts}/{script}.lua" if scripts else script
    return [os.environ["BENCH_SYSBENCH"], name, *login_arguments(bench.server, port), *options]


def fill_table(bench: Bench) -> None:
    # vtgate has no AUTO_INCREMENT over shards; with ids of its own sysbench needs none.
    command = sysbench_command(bench, "oltp_point_select", bench.server.port, "--auto_inc=off", "prepare")
    done = subprocess.run([*WITH_US, *command], cwd=bench.folder, capture_output=True, text=True, timeout=600)
    if done.returncode:
        raise Failure(f"sysbench prepare: {done.stdout}{done.stderr}")


def drive(bench: Bench, target: Target, load: Load, seconds: int) -> Sample:
    if load.connects:
        return run_client(bench, target, load, seconds, "connect")
    if load.tls:
        return run_client(bench, target, load, seconds, "query")
    return run_sysbench(bench, target, load, seconds)


def run_sysbench(bench: Bench, target: Target, load: Load, seconds: int) -> Sample:
    options = [f"--threads={load.threads}", f"--time={seconds}", "--histogram=on", "--events=0",
               f"--db-ps-mode={'auto' if load.prepared else 'disable'}"]
    if load.range_rows:
        options += [*RANGE_ONLY, f"--range_size={load.range_rows}"]
    script = "oltp_read_only" if load.range_rows else "oltp_point_select"
    command = sysbench_command(bench, script, target.port, *options, "run")
    # The clock starts when all are logged in.
    lines, cpu_ns = watched(bench, target, command, seconds, "Threads started!")
    histogram = [(float(m[1]) * 1000, int(m[2])) for m in map(HISTOGRAM.match, lines) if m]
    queries = int(find(r"queries:\s+(\d+)", lines))
    took = float(find(r"total time:\s+([\d.]+)s", lines))
    return Sample(queries, took, share(cpu_ns, queries), percentile(histogram, 0.5), percentile(histogram, 0.99))


def client_command(bench: Bench, mode: str, port: int, tls: str = "none", *options: str) -> list[str]:
    return [str(bench.built / "client"), mode, "--port", str(port), "--user", USER,
            "--database", bench.server.database, "--tls", tls, *options]


def run_client(bench: Bench, target: Target, load: Load, seconds: int, mode: str) -> Sample:
    command = client_command(bench, mode, target.port, load.tls or "none", "--threads", str(load.threads),
                             "--seconds", str(seconds), "--sql", load.statement(), "--rows", str(load.highest_id()))
    lines, cpu_ns = watched(bench, target, command, seconds, "started" if mode == "query" else "")
    if mode == "connect":
        connections = int(find(r"connections (\d+)", lines))
        return Sample(connections, seconds, share(cpu_ns, connections))
    queries = int(find(r"queries (\d+)", lines))
    return Sample(queries, seconds, share(cpu_ns, queries),
                  float(find(r"p50 ([\d.]+)", lines)), float(find(r"p99 ([\d.]+)", lines)))


def answer_bytes(bench: Bench, load: Load) -> float:
    """Bytes of one answer to the text statement, straight from the server."""
    command = client_command(bench, "query", bench.server.port, "none", "--seconds", "1", "--sql", load.statement(),
                             "--rows", str(load.highest_id()))
    lines, _ = watched(bench, Target("direct", bench.server.port, None), command, 1, "started")
    return int(find(r"bytes (\d+)", lines)) / int(find(r"queries (\d+)", lines))


def watched(bench: Bench, target: Target, command: Sequence[str], seconds: int, mark: str) -> tuple[list[str], int]:
    """Runs a client; returns its output, and the proxy's nanoseconds from the line `mark` on."""
    program = target.program
    if program:
        program.check()
    before = program.cpu_ns() if program else 0
    lines = []
    with subprocess.Popen([*WITH_US, *command], cwd=bench.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, start_new_session=True) as process:
        # Bounded in time whatever happens.
        killer = threading.Timer(seconds + 60, process.kill)
        killer.start()
        try:
            for line in process.stdout or ():
                line = line.rstrip("\n")
                if program and mark and line == mark:
                    before = program.cpu_ns()
                lines.append(line)
            status = process.wait()
        finally:
            killer.cancel()
            process.kill()
    if status:
        raise Failure(f"{target.name}: {' '.join(command)}\n" + "\n".join(lines[-12:]))
    if not program:
        return lines, -1
    program.check()
    return lines, program.cpu_ns() - before


def share(cpu_ns: int, n: int) -> float | None:
    if n == 0:
        raise Failure("nothing was done in the time given: the machine is too busy")
    return None if cpu_ns < 0 else cpu_ns / 1000 / n


def find(pattern: str, lines: Sequence[str]) -> str:
    for line in lines:
        found = re.search(pattern, line)
        if found:
            return found[1]
    raise Failure(f"no {pattern!r} in:\n" + "\n".join(lines[-12:]))


def percentile(histogram: Sequence[tuple[float, int]], part: float) -> float | None:
    total = sum(n for _, n in histogram)
    for value, seen in running(histogram):
        if seen >= part * total:
            return value
    return None


def running(histogram: Sequence[tuple[float, int]]) -> Iterator[tuple[float, int]]:
    seen = 0
    for value, n in histogram:
        seen += n
        yield value, seen
