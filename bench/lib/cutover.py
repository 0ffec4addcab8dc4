"""Schema changes under load: how long applications wait, straight on vtgate and through the shim."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from process import LOOPBACK, Program, free_ports

TABLE, OTHER = "demo", "customer"
BEFORE, AFTER = 3.0, 3.0  # seconds of load around a change
LIMIT = 240.0             # for one change
STRAIGHT_LIMIT = 60.0     # of load during one straight on vtgate: a cut-over that failed is repeated after a minute, and
                          # under this load fails again; without load it then ends


@dataclass
class Way:
    name: str
    port: int
    shim: Program | None = None


def sql(port: int, statement: str, timeout: float = LIMIT) -> list[list[str]]:
    """Runs it with the command line client; the rows."""
    command = [*shlex.split(os.environ["BENCH_MYSQL"]), "-h", LOOPBACK, "-P", str(port), "-u", os.environ["BED_USER"],
               "-N", "-B", os.environ["BED_KEYSPACE"], "-e", statement]
    done = subprocess.run(command, env={**os.environ, "MYSQL_PWD": os.environ["BED_PASSWORD"]}, timeout=timeout,
                          capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{statement}: {done.stderr.strip()}")
    return [line.split("\t") for line in done.stdout.splitlines()]


def migrations(port: int, condition: str) -> list[dict[str, str]]:
    """The rows of SHOW VITESS_MIGRATIONS, one for each shard."""
    command = [*shlex.split(os.environ["BENCH_MYSQL"]), "-h", LOOPBACK, "-P", str(port), "-u", os.environ["BED_USER"],
               "-B", os.environ["BED_KEYSPACE"], "-e", f"SHOW VITESS_MIGRATIONS {condition}"]
    done = subprocess.run(command, env={**os.environ, "MYSQL_PWD": os.environ["BED_PASSWORD"]}, timeout=30,
                          capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    return [dict(zip(lines[0].split("\t"), line.split("\t"))) for line in lines[1:]] if lines else []


def newest(port: int) -> str:
    """The uuid of the table's last migration."""
    rows = migrations(port, f"WHERE mysql_table = '{TABLE}'")
    return max(rows, key=lambda row: row["added_timestamp"])["migration_uuid"]


def change(way: Way, gate: int, statement: str) -> tuple[str, float]:
    """Runs it, and waits until it is complete on all shards, LIMIT at most. Its uuid, and the seconds it took."""
    began = time.monotonic()
    if way.shim:
        sql(way.port, statement)
        return newest(gate), time.monotonic() - began
    uuid = sql(way.port, f"SET @@ddl_strategy = 'vitess'; {statement}")[-1][0]
    wait_complete(gate, uuid, STRAIGHT_LIMIT)
    return uuid, time.monotonic() - began


def wait_complete(gate: int, uuid: str, limit: float) -> bool:
    """False: after so many seconds it still runs, as it may for long straight on vtgate under load."""
    began = time.monotonic()
    while time.monotonic() - began < limit:
        statuses = {row["migration_status"] for row in migrations(gate, f"LIKE '{uuid}'")}
        if statuses == {"complete"}:
            return True
        if statuses & {"failed", "cancelled"}:
            raise RuntimeError(f"migration {uuid}: {statuses}")
        time.sleep(0.1)
    return False


def seconds_of(timestamp: str) -> float:
    day, clock = timestamp.split(" ")
    hours, minutes, seconds = clock.split(":")
    return int(day[-2:]) * 86400 + int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def measure(way: Way, gate: int, statement: str, args: argparse.Namespace) -> dict:
    dsn = f"{os.environ['BED_USER']}:{os.environ['BED_PASSWORD']}@tcp({LOOPBACK}:{way.port})/{os.environ['BED_KEYSPACE']}"
    load = subprocess.Popen([args.load, "-dsn", dsn, "-connections", str(args.connections), "-seconds", str(LIMIT),
                             "-transactions", "20", "-timeline"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        time.sleep(BEFORE)
        uuid, took = change(way, gate, statement)
        time.sleep(AFTER)
    finally:
        load.send_signal(signal.SIGINT)
        out, _ = load.communicate(timeout=60)
    report = json.loads(out)
    if not wait_complete(gate, uuid, 2 * LIMIT):
        raise RuntimeError(f"{statement}: not complete, even without load")
    done = sorted(seconds_of(row["completed_timestamp"]) for row in migrations(gate, f"LIKE '{uuid}'"))
    table, other = report["tables"][TABLE], report["tables"][OTHER]
    longest = lambda of, *kinds: max((of["kinds"][kind]["max_ms"] for kind in kinds if kind in of["kinds"]), default=0)
    return {"statement": statement, "seconds": took, "errors": report["error_count"], "error_texts": report["errors"],
            "operations": report["operations"], "autocommit_ms": longest(table, "statement"),
            "first_in_transaction_ms": longest(table, "first_in_transaction"),
            "in_transaction_ms": longest(table, "in_transaction", "commit"), "stall_ms": table["longest_stall_ms"],
            "other_table_ms": longest(other, *other["kinds"]), "apart_s": done[-1] - done[0] if done else None,
            "timeline": table["timeline"], "other_timeline": other["timeline"]}


def start_shim(args: argparse.Namespace, gates: list[str], folder: Path) -> Way:
    port, admin = free_ports(2)
    config = folder / "vtshim.json"
    ddl, more = {"poll_interval_ms": 200}, {}
    if args.executor == "vtctld":
        ddl |= {"executor": "vtctld", "vtctld_users": [os.environ["BED_USER"]]}
        more = {"vtctld": {"addresses": os.environ["BED_VTCTLD"]}}
    config.write_text(json.dumps({
        "listen": f"{LOOPBACK}:{port}", "vtgate": gates, "admin": f"{LOOPBACK}:{admin}", "http": "", "log": {"level": "info"},
        "control": {"user": os.environ["BED_USER"], "password": os.environ["BED_PASSWORD"]}, "ddl": ddl, **more}))
    config.chmod(0o600)
    program = Program("vtshim", [args.shim, "--config", str(config)], folder)
    program.wait_for(port)
    return Way("vtshim", port, program)


COLUMNS = (("errors", "errors"), ("autocommit_ms", "autocommit statement"), ("first_in_transaction_ms", "first of a transaction"),
           ("in_transaction_ms", "later in a transaction"), ("other_table_ms", "other table"), ("apart_s", "shards apart, s"),
           ("seconds", "change, s"))


def table_of(results: dict[str, list[dict]]) -> str:
    lines = ["| way | changes | " + " | ".join(title for _, title in COLUMNS) + " |", "|---|--:|" + "--:|" * len(COLUMNS)]
    for way, changes in results.items():
        cells = []
        for key, _ in COLUMNS:
            values = sorted(c[key] for c in changes if c[key] is not None)
            if key == "errors":
                cells.append(str(sum(values)))
            elif not values:
                cells.append("")
            else:
                scale = 1000 if key.endswith("_ms") else 1
                cells.append(f"{values[len(values) // 2] / scale:.2f} ({values[-1] / scale:.2f})")
        lines.append(f"| {way} | {len(changes)} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n\nLongest wait in each change, in seconds: the median of all changes (and the worst).\n"


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("--load", "--shim", "--output", "--only", "--executor"):
        parser.add_argument(name, required=True)
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--straight-rounds", type=int, required=True)
    parser.add_argument("--connections", type=int, required=True)
    args = parser.parse_args()
    gates = os.environ["BED_VTGATES"].split(",")
    gate = int(gates[0].rsplit(":", 1)[1])
    results: dict[str, list[dict]] = {}
    with tempfile.TemporaryDirectory(prefix="vtshim-cutover-") as name:
        folder = Path(name)
        ways = [Way("straight", gate)] if args.only != "vtshim" else []
        if args.only != "straight":
            ways.append(start_shim(args, gates, folder))
        try:
            for number in range(max(args.rounds, args.straight_rounds)):
                for way in ways:
                    if number >= (args.straight_rounds if way.shim is None else args.rounds):
                        continue
                    for statement in (f"ALTER TABLE {TABLE} ADD COLUMN bench_cutover int",
                                      f"ALTER TABLE {TABLE} DROP COLUMN bench_cutover"):
                        one = measure(way, gate, statement, args)
                        results.setdefault(way.name, []).append(one)
                        print(f"- round {number + 1}, {way.name}: {one['errors']} errors, longest autocommit "
                              f"{one['autocommit_ms']:.0f} ms, first of a transaction {one['first_in_transaction_ms']:.0f} ms, "
                              f"other table {one['other_table_ms']:.0f} ms, change {one['seconds']:.1f} s, "
                              f"shards {one['apart_s']:.1f} s apart", file=sys.stderr)
        finally:
            for way in ways:
                if way.shim:
                    way.shim.stop()
    output = Path(args.output)
    (output / "cutover.json").write_text(json.dumps(results, indent=1))
    (output / "cutover.md").write_text(table_of(results))
    print(table_of(results))


if __name__ == "__main__":
    main()
