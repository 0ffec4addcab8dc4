"""Transitions under load: errors, wrong rows and the longest wait, straight on vtgate, through a shim and through two."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from cutover import Way, change, sql, start_shim
from process import LOOPBACK

TABLE, OTHER, ASIDE = "demo", "customer", "aside"
BEFORE, BETWEEN = 2.0, 2.0  # seconds of load before the first transition, and after each
LIMIT = 3600.0              # of the load, should nobody end it
WORKFLOW = "bench_transition"
STATE_READS = "primary"     # what MoveTables switches: the beds have no replicas that serve reads


@dataclass
class Load:
    """The load over some ports, until it is stopped."""

    process: subprocess.Popen
    began: float

    @classmethod
    def start(cls, args: argparse.Namespace, ports: list[int]) -> "Load":
        dsns = " ".join(f"{os.environ['BED_USER']}:{os.environ['BED_PASSWORD']}@tcp({LOOPBACK}:{port})/{os.environ['BED_KEYSPACE']}"
                        for port in ports)
        process = subprocess.Popen([args.load, "-dsn", dsns, "-connections", str(args.connections), "-seconds", str(LIMIT),
                                    "-transactions", "20", "-timeline", "-mixed", "-verify", "-pace", args.pace],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = process.stderr.readline()
        if line.strip() != "connected":
            raise RuntimeError(f"the load does not run: {line}{process.stderr.read()}")
        return cls(process, time.monotonic())

    def stop(self) -> dict:
        self.process.send_signal(signal.SIGINT)
        out, err = self.process.communicate(timeout=120)
        if self.process.returncode:
            raise RuntimeError(f"the load failed: {err}")
        return json.loads(out)


def vtctl(*arguments: str, timeout: float = 120) -> str:
    done = subprocess.run([os.environ["BED_VTCTLDCLIENT"], "--server", os.environ["BED_VTCTLD"], "--action-timeout", f"{timeout:.0f}s",
                           *arguments], capture_output=True, text=True, timeout=timeout + 30, check=False)
    if done.returncode:
        raise RuntimeError(f"vtctldclient {' '.join(arguments)}: {done.stderr.strip()[-1500:]}")
    return done.stdout


# The kinds. Each gets the way's port for SQL and makes one round: there and back.

def vschema(port: int) -> None:
    sql(port, f"ALTER VSCHEMA DROP TABLE {TABLE}; ALTER VSCHEMA ON {TABLE} ADD VINDEX hash(id)")


def begin_vindex(port: int) -> None:
    if not any("hash_other" in row for row in sql(port, "SHOW VSCHEMA VINDEXES")):
        sql(port, "ALTER VSCHEMA CREATE VINDEX hash_other USING hash")


def vindex(port: int) -> None:
    """The primary vindex becomes another of the same type, and the first again."""
    for old, new in (("hash", "hash_other"), ("hash_other", "hash")):
        sql(port, f"ALTER VSCHEMA ON {TABLE} DROP VINDEX {old}; ALTER VSCHEMA ON {TABLE} ADD VINDEX {new}(id)")


def rules(port: int) -> None:
    keyspace = os.environ["BED_KEYSPACE"]
    before = vtctl("GetRoutingRules")
    kept = json.loads(before).get("rules", [])
    names = (TABLE, f"{keyspace}.{TABLE}")
    ours = [{"from_table": name, "to_tables": [f"{keyspace}.{TABLE}"]} for name in names]
    vtctl("ApplyRoutingRules", "--rules", json.dumps({"rules": [r for r in kept if r["from_table"] not in names] + ours}))
    vtctl("ApplyRoutingRules", "--rules", before)


def move_tables(port: int) -> None:
    move = ("MoveTables", "--target-keyspace", ASIDE, "--workflow", WORKFLOW)
    vtctl(*move, "SwitchTraffic", "--tablet-types", STATE_READS, "--timeout", "20s")
    time.sleep(BETWEEN)
    vtctl(*move, "ReverseTraffic", "--tablet-types", STATE_READS, "--timeout", "20s")


def reparent(port: int) -> None:
    """Each shard's primary hands over to its replica."""
    for shard in shards():
        vtctl("PlannedReparentShard", shard)
        time.sleep(BETWEEN)


def shards() -> list[str]:
    keyspace = os.environ["BED_KEYSPACE"]
    return [f"{keyspace}/{name}" for name in json.loads(vtctl("FindAllShardsInKeyspace", keyspace))["shards"]]


def begin_move(port: int) -> None:
    """Copies the table aside; the copy follows from then on."""
    move = ("MoveTables", "--target-keyspace", ASIDE, "--workflow", WORKFLOW)
    vtctl(*move, "create", "--source-keyspace", os.environ["BED_KEYSPACE"], "--tables", TABLE)
    deadline = time.monotonic() + 120
    while "Running" not in (status := vtctl(*move, "status", "--format", "json")):
        if time.monotonic() > deadline:
            raise RuntimeError(f"MoveTables does not run: {status}")
        time.sleep(0.5)


def end_move(port: int) -> None:
    vtctl("MoveTables", "--target-keyspace", ASIDE, "--workflow", WORKFLOW, "cancel")


@dataclass
class Kind:
    title: str
    run: Callable[[int], None]
    rounds: int  # of `run` in twenty transitions
    before: Callable[[int], None] | None = None
    after: Callable[[int], None] | None = None


KINDS = {
    "vschema": Kind("VSchema: table dropped and added", vschema, 20),
    "vindex": Kind("primary vindex exchanged", vindex, 10, begin_vindex),
    "rules": Kind("routing rules", rules, 10),
    "move": Kind("MoveTables SwitchTraffic", move_tables, 10, begin_move, end_move),
    "reparent": Kind("planned reparent", reparent, 10),
    "ddl": Kind("online DDL", lambda port: None, 10),
}


def run_ddl(way: Way, gate: int) -> None:
    for statement in (f"ALTER TABLE {TABLE} ADD COLUMN bench_transition int", f"ALTER TABLE {TABLE} DROP COLUMN bench_transition"):
        change(way, gate, statement)


def measure(way: Way, ports: list[int], gate: int, key: str, args: argparse.Namespace) -> dict:
    kind = KINDS[key]
    rounds = max(1, kind.rounds * args.transitions // 20)
    if kind.before:
        kind.before(way.port)
    load = Load.start(args, ports)
    moments, failure = [], None
    try:
        time.sleep(BEFORE)
        for _ in range(rounds):
            moments.append(time.monotonic() - load.began)
            if key == "ddl":
                run_ddl(way, gate)
            else:
                kind.run(way.port)
            time.sleep(BETWEEN)
    except RuntimeError as problem:  # told, not hidden: the transition itself failed
        failure = str(problem)
    finally:
        report = load.stop()
        if kind.after:
            kind.after(way.port)
    waits = {table: max((of["max_ms"] for of in report["tables"][table]["kinds"].values()), default=0) for table in (TABLE, OTHER)}
    timeline = report["tables"][TABLE]["timeline"]
    longest = [max(values) for values in zip(*timeline.values())]
    return {"kind": key, "rounds": rounds, "transitions": rounds * 20 // kind.rounds, "operations": report["operations"],
            "errors": report["error_count"], "error_texts": report["errors"], "wrong": sum(report["wrong"].values()),
            "wrong_texts": report["wrong"], "longest_ms": waits[TABLE], "other_longest_ms": waits[OTHER], "moments": moments,
            "timeline": longest, "failure": failure}


def table_of(results: dict[str, list[dict]], titles: dict[str, str]) -> str:
    lines = ["| transition | " + " | ".join(f"{title}: errors | wrong rows | longest wait, s" for title in titles.values()) + " |",
             "|---|" + "--:|" * 3 * len(titles)]
    for key, kind in KINDS.items():
        cells = []
        for way in titles:
            one = next((r for r in results.get(way, []) if r["kind"] == key), None)
            cells += [str(one["errors"]) + (" (failed)" if one["failure"] else ""), str(one["wrong"]),
                      f"{max(one['longest_ms'], one['other_longest_ms']) / 1000:.2f}"] if one else [""] * 3
        if any(cells):
            times = next(r["transitions"] for rs in results.values() for r in rs if r["kind"] == key)
            lines.append(f"| {kind.title} ({times}) | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n\nIn brackets: how many transitions. Wrong rows: writes that were lost or done twice.\n"


TITLES = {"straight": "straight", "one": "one shim", "two": "two shims"}


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("--load", "--shim", "--output", "--only", "--kinds", "--pace"):
        parser.add_argument(name, required=True)
    parser.add_argument("--transitions", type=int, required=True)
    parser.add_argument("--connections", type=int, required=True)
    args = parser.parse_args()
    gates = os.environ["BED_VTGATES"].split(",")
    gate_ports = [int(gate.rsplit(":", 1)[1]) for gate in gates]
    results: dict[str, list[dict]] = {}
    with tempfile.TemporaryDirectory(prefix="vtshim-transition-") as name:
        ways: dict[str, tuple[Way, list[int]]] = {}
        shims: list[Way] = []
        for number in (1, 2) if args.only != "straight" else ():
            folder = Path(name) / f"shim{number}"
            folder.mkdir()
            shims.append(start_shim(args, gates, folder))
        if args.only in ("", "straight"):
            ways["straight"] = (Way("straight", gate_ports[0]), gate_ports)
        if args.only in ("", "one"):
            ways["one"] = (shims[0], [shims[0].port])
        if args.only in ("", "two"):
            ways["two"] = (shims[0], [shim.port for shim in shims])
        try:
            for key in args.kinds.split(",") if args.kinds else KINDS:
                for way, (where, ports) in ways.items():
                    one = measure(where, ports, gate_ports[0], key, args)
                    results.setdefault(way, []).append(one)
                    print(f"- {KINDS[key].title}, {TITLES[way]}: {one['transitions']} transitions, {one['operations']} operations, "
                          f"{one['errors']} errors, {one['wrong']} wrong rows, longest {one['longest_ms']:.0f} ms"
                          + (f"; FAILED: {one['failure']}" if one["failure"] else ""), file=sys.stderr)
                    for text, n in sorted({**one["error_texts"], **one["wrong_texts"]}.items(), key=lambda item: -item[1])[:5]:
                        print(f"    {n} x {text[:300]}", file=sys.stderr)
        finally:
            for shim in shims:
                shim.shim.stop()
    output = Path(args.output)
    (output / "transition.json").write_text(json.dumps(results, indent=1))
    titles = {way: title for way, title in TITLES.items() if way in results}
    (output / "transition.md").write_text(table_of(results, titles))
    print(table_of(results, titles))


if __name__ == "__main__":
    main()
