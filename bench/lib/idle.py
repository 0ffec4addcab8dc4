"""What an idle, logged-in connection costs the proxy in memory. Not the kernel's socket buffers."""

from __future__ import annotations

import subprocess
from typing import Sequence

from drive import client_command
from process import WITH_US, Failure
from targets import Bench, Target, max_connections, start


def measure_idle(bench: Bench, name: str, counts: Sequence[int], tls: str) -> dict | None:
    """A fresh proxy, so that no earlier load counts. Bytes before and at each count of connections."""
    target = start(bench, name, tls not in ("", "none"))
    if not target:
        return None
    clients: list[subprocess.Popen] = []
    assert target.program
    try:
        points = [{"connections": 0, **target.program.memory()}]
        for count in counts:
            if count > max_connections():
                break
            clients.append(hold(bench, target, count - points[-1]["connections"], tls))
            points.append({"connections": count, **target.program.memory()})
        return {"points": points, "per_connection": per_connection(points)}
    finally:
        for process in clients:
            end(process)
        target.stop()


def hold(bench: Bench, target: Target, count: int, tls: str) -> subprocess.Popen:
    command = client_command(bench, "idle", target.port, tls or "none", "--count", str(count))
    process = subprocess.Popen([*WITH_US, *command], cwd=bench.folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, start_new_session=True)
    assert process.stdout
    line = process.stdout.readline()
    if not line.startswith("ready"):
        end(process)
        raise Failure(f"{target.name}: {count} idle connections: {line.strip()}")
    return process


def end(process: subprocess.Popen) -> None:
    assert process.stdin and process.stdout
    process.stdin.close()  # which lets it log out
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()


def per_connection(points: Sequence[dict]) -> dict[str, float]:
    """Between the first and the last count above none: what is paid once does not count."""
    first, last = (points[1], points[-1]) if len(points) > 2 else (points[0], points[-1])
    n = last["connections"] - first["connections"]
    return {kind: (last[kind] - first[kind]) / n for kind in ("rss", "pss")} if n else {}
