"""Transitions under load: errors, wrong rows and the longest wait, straight on vtgate, through a shim and through two."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from cutover import Way, change, sql
from process import LOOPBACK, Program, free_ports

TABLE, OTHER, ASIDE = "demo", "customer", "aside"
BEFORE, BETWEEN = 35.0, 2.0  # seconds of load before the first transition (what transactions took counts for that long), and after each
LIMIT = 3600.0              # of the load, should nobody end it
WORKFLOW = "bench_transition"
CELL = "zone1"              # the beds'
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


@dataclass
class Shim(Way):
    admin: int = 0

    def command(self, text: str) -> None:
        """Runs it on the admin port."""
        done = subprocess.run([*shlex.split(os.environ["BENCH_MYSQL"]), "-h", LOOPBACK, "-P", str(self.admin), "-u", "sre", "-N", "-B",
                               "-e", text], capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            raise RuntimeError(f"{text[:80]}: {done.stderr.strip()}")


def start_shim(args: argparse.Namespace, gates: list[str], folder: Path) -> Shim:
    """As docs/GUIDE.md says: it knows vtctld, the vtgates' web pages, etcd, and the other shim."""
    port, admin = free_ports(2)
    etcd = os.environ["BED_ETCD"]
    config = folder / "vtshim.json"
    config.write_text(json.dumps({
        "listen": f"{LOOPBACK}:{port}", "vtgate": gates, "admin": f"{LOOPBACK}:{admin}", "http": "", "log": {"level": "info"},
        "control": {"user": os.environ["BED_USER"], "password": os.environ["BED_PASSWORD"]}, "ddl": {"poll_interval_ms": 200},
        "vtctld": {"addresses": [os.environ["BED_VTCTLD"]]},
        "vtgate_web": {"addresses": [os.environ[f"BED_VTGATE{n + 1}_HTTP"] for n in range(len(gates))], "interval_ms": 200},
        "topo": {"addresses": [etcd], "roots": ["/vitess/global", f"/vitess/{CELL}"]}, "fleet": {"etcd": [etcd], "name": f"bench-{os.getpid()}"}}))
    config.chmod(0o600)
    program = Program("vtshim", [args.shim, "--config", str(config)], folder)
    program.wait_for(port)
    return Shim("vtshim", port, program, admin)


# The kinds. Each gets the way and makes one round: there and back.

def vschema(way: Way) -> None:
    port = way.port
    sql(port, f"ALTER VSCHEMA DROP TABLE {TABLE}; ALTER VSCHEMA ON {TABLE} ADD VINDEX hash(id)")


def begin_vindex(way: Way) -> None:
    if not any("hash_other" in row for row in sql(way.port, "SHOW VSCHEMA VINDEXES")):
        sql(way.port, "ALTER VSCHEMA CREATE VINDEX hash_other USING hash")


def vindex(way: Way) -> None:
    """The primary vindex becomes another of the same type, and the first again."""
    for old, new in (("hash", "hash_other"), ("hash_other", "hash")):
        sql(way.port, f"ALTER VSCHEMA ON {TABLE} DROP VINDEX {old}; ALTER VSCHEMA ON {TABLE} ADD VINDEX {new}(id)")


def rules_of_table() -> tuple[str, str]:
    """The rules now, and with some for the table, which lead to itself."""
    keyspace = os.environ["BED_KEYSPACE"]
    before = vtctl("GetRoutingRules")
    kept = json.loads(before).get("rules", [])
    names = (TABLE, f"{keyspace}.{TABLE}")
    ours = [{"from_table": name, "to_tables": [f"{keyspace}.{TABLE}"]} for name in names]
    return before, json.dumps({"rules": [r for r in kept if r["from_table"] not in names] + ours})


def rules(way: Way) -> None:
    before, after = rules_of_table()
    vtctl("ApplyRoutingRules", "--rules", after)
    vtctl("ApplyRoutingRules", "--rules", before)


def rules_deployed(way: Shim) -> None:
    for text in reversed(rules_of_table()):
        way.command(f"DEPLOY ROUTING RULES FROM '{text}'")


def move_tables(way: Way) -> None:
    move = ("MoveTables", "--target-keyspace", ASIDE, "--workflow", WORKFLOW)
    vtctl(*move, "SwitchTraffic", "--tablet-types", STATE_READS, "--timeout", "20s")
    time.sleep(BETWEEN)
    vtctl(*move, "ReverseTraffic", "--tablet-types", STATE_READS, "--timeout", "20s")


def move_held(way: Shim) -> None:
    way.command(f"SWITCH TRAFFIC '{ASIDE}.{WORKFLOW}' ONLY '{STATE_READS}'")
    time.sleep(BETWEEN)
    way.command(f"SWITCH TRAFFIC '{ASIDE}.{WORKFLOW}' REVERSE ONLY '{STATE_READS}'")


def reparent(way: Way) -> None:
    """Each shard's primary hands over to its replica."""
    for shard in shards():
        vtctl("PlannedReparentShard", shard)
        time.sleep(BETWEEN)


def reparent_held(way: Shim) -> None:
    for shard in shards():
        way.command(f"REPARENT '{shard}'")
        time.sleep(BETWEEN)


def shards() -> list[str]:
    keyspace = os.environ["BED_KEYSPACE"]
    return [f"{keyspace}/{name}" for name in json.loads(vtctl("FindAllShardsInKeyspace", keyspace))["shards"]]


def begin_move(way: Way) -> None:
    """Copies the table aside; the copy follows from then on."""
    move = ("MoveTables", "--target-keyspace", ASIDE, "--workflow", WORKFLOW)
    vtctl(*move, "create", "--source-keyspace", os.environ["BED_KEYSPACE"], "--tables", TABLE)
    deadline = time.monotonic() + 120
    while "Running" not in (status := vtctl(*move, "status", "--format", "json")):
        if time.monotonic() > deadline:
            raise RuntimeError(f"MoveTables does not run: {status}")
        time.sleep(0.5)


def end_move(way: Way) -> None:
    vtctl("MoveTables", "--target-keyspace", ASIDE, "--workflow", WORKFLOW, "cancel")


@dataclass
class Kind:
    title: str
    run: Callable[[Way], None]
    rounds: int  # of `run` in twenty transitions
    before: Callable[[Way], None] | None = None
    after: Callable[[Way], None] | None = None
    through_shim: bool = False  # there is no straight way to do it


KINDS = {
    "vschema": Kind("VSchema: table dropped and added", vschema, 20),
    "vindex": Kind("primary vindex exchanged", vindex, 10, begin_vindex),
    "rules": Kind("routing rules, by vtctldclient", rules, 10),
    "rules_deployed": Kind("routing rules, by DEPLOY ROUTING RULES", rules_deployed, 10, through_shim=True),
    "move": Kind("MoveTables SwitchTraffic, by vtctldclient", move_tables, 10, begin_move, end_move),
    "move_held": Kind("MoveTables, by SWITCH TRAFFIC", move_held, 10, begin_move, end_move, through_shim=True),
    "reparent": Kind("planned reparent, by vtctldclient", reparent, 10),
    "reparent_held": Kind("planned reparent, by REPARENT", reparent_held, 10, through_shim=True),
    "ddl": Kind("online DDL", lambda way: None, 10),
}


def run_ddl(way: Way, gate: int) -> None:
    for statement in (f"ALTER TABLE {TABLE} ADD COLUMN bench_transition int", f"ALTER TABLE {TABLE} DROP COLUMN bench_transition"):
        change(way, gate, statement)


def measure(way: Way, ports: list[int], gate: int, key: str, args: argparse.Namespace) -> dict:
    kind = KINDS[key]
    rounds = max(1, kind.rounds * args.transitions // 20)
    if kind.before:
        kind.before(way)
    load = Load.start(args, ports)
    moments, failure = [], None
    try:
        time.sleep(BEFORE)
        for _ in range(rounds):
            moments.append(time.monotonic() - load.began)
            if key == "ddl":
                run_ddl(way, gate)
            else:
                kind.run(way)
            time.sleep(BETWEEN)
    except RuntimeError as problem:  # told, not hidden: the transition itself failed
        failure = str(problem)
    finally:
        report = load.stop()
        if kind.after:
            kind.after(way)
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
    output = Path(args.output)
    ways: dict[str, tuple[Way, list[int]]] = {}
    shims: list[Shim] = []
    for number in (1, 2) if args.only != "straight" else ():
        folder = output / f"transition-shim{number}"  # stays: its log explains a long wait
        shutil.rmtree(folder, ignore_errors=True)
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
                if way == "straight" and KINDS[key].through_shim:
                    continue
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
    (output / "transition.json").write_text(json.dumps(results, indent=1))
    titles = {way: title for way, title in TITLES.items() if way in results}
    (output / "transition.md").write_text(table_of(results, titles))
    print(table_of(results, titles))


if __name__ == "__main__":
    main()
