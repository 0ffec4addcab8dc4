"""The measuring part of bench/run, which prepares the programs and calls this with its options."""

from __future__ import annotations

import argparse
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import measure
import report
import servers
import sessions
from drive import fill_table
from process import LOOPBACK, Failure
from targets import Bench


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", choices=("mysql", "vtgate"), required=True)
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--seconds", type=int, required=True)
    parser.add_argument("--idle", required=True, help="counts of connections, with commas; none: 0")
    parser.add_argument("--sessions", type=int, required=True, help="0: none")
    parser.add_argument("--only", default="", help="keys of workloads, idle, sessions, with commas")
    parser.add_argument("--built", type=Path, required=True)
    parser.add_argument("--shim", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    return parser.parse_args()


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def make_certificate(folder: Path) -> Path:
    """Certificate and key in one file."""
    path = folder / "tls.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-days", "30", "-subj", "/CN=localhost", "-keyout", str(path), "-out", str(folder / "cert.pem")],
                   check=True, capture_output=True, timeout=60)
    with path.open("a") as out:
        out.write((folder / "cert.pem").read_text())
    return path


def machine() -> dict:
    model = [line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
             if line.startswith("model name")]
    return {"cpus": os.cpu_count(), "model": model[0] if model else platform.machine(), "kernel": platform.release()}


def version(command: list[str]) -> str:
    """The first number with dots that a program says of itself."""
    if not command[0]:
        return ""
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    found = re.search(r"\d+\.\d+[\w.+-]*", done.stdout)
    return found[0] if found else "?"


def programs(options: argparse.Namespace) -> dict:
    env = os.environ.get
    result = {
        "vtshim": version([str(options.shim), "--version"]), "haproxy": version([env("BENCH_HAPROXY", ""), "-v"]),
        "router": version([env("BENCH_ROUTER", ""), "--version"]),
        "sysbench": version([os.environ["BENCH_SYSBENCH"], "--version"]),
        options.server: version([env("BENCH_MYSQLD", ""), "--no-defaults", "--version"]) if options.server == "mysql"
        else servers.sql("SELECT VERSION()", "-h", LOOPBACK, "-P", os.environ["BED_VTGATE1"].rsplit(":", 1)[1]).strip(),
    }
    return {name: number for name, number in result.items() if number}


def wanted(options: argparse.Namespace) -> set[str]:
    """The keys of what is to be measured; all without --only."""
    known = [*measure.KEYS, "idle", "sessions"]
    keys = set(options.only.split(",")) if options.only else set(known)
    if keys - set(known):
        raise Failure(f"no such workload: {', '.join(sorted(keys - set(known)))}; there are {', '.join(known)}")
    return keys


def run(options: argparse.Namespace, folder: Path) -> dict:
    keys = wanted(options)
    crowd = sessions.allowed(options.sessions, say) if options.sessions and "sessions" in keys else 0
    say(f"- starting {options.server}")
    connections = max(8000, crowd + 200)
    server = servers.start_mysql(folder, connections) if options.server == "mysql" else servers.use_vtgate()
    try:
        bench = Bench(server, folder, options.built, options.shim, make_certificate(folder))
        chosen = [w for w in measure.workloads(server) if w.key in keys]
        if chosen:
            say(f"- filling a table with {servers.TABLE_ROWS:,} rows")
            fill_table(bench)
        load_before = os.getloadavg()[0]
        results = measure.run(bench, chosen, options.rounds, options.seconds, say)
        counts = [int(n) for n in options.idle.split(",") if int(n)] if "idle" in keys else []
        idle = measure.run_idle(bench, counts, counts, say) if counts else []
        checked = sessions.check_sessions(bench, crowd, say) if crowd else None
        return {"server": options.server, "rounds": options.rounds, "seconds": options.seconds, "machine": machine(),
                "programs": programs(options), "load": [load_before, os.getloadavg()[0]], "workloads": results,
                "idle": idle, "sessions": checked}
    finally:
        server.stop()


def main() -> int:
    options = parse()
    # TERM unwinds as Ctrl-C does: everything that was started is ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGHUP, lambda *_: sys.exit(129))
    folder = Path(tempfile.mkdtemp(prefix="vtshim-bench-"))
    folder.chmod(0o755)  # mysqld may run as another user
    try:
        result = run(options, folder)
    except Failure as failure:
        say(f"bench: {failure}")
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        shutil.rmtree(folder, ignore_errors=True)
    report.save(result, options.output)
    print(report.text(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
