"""Changes of who serves, behind a hold: SWITCH TRAFFIC and REPARENT."""

from __future__ import annotations

import json
import socket
import threading
import time
from contextlib import contextmanager
from datetime import datetime
from typing import Iterator

import pymysql
import pytest

from lib import vschema
from lib.bed import Bed, spare_bed
from lib.clients import Load
from lib.poll import until
from lib.shim import Shim
from lib.topology import primary


@pytest.fixture(scope="session")
def bed() -> Bed:
    return spare_bed()


@pytest.fixture
def switcher(start_shim, bed) -> Shim:
    shim = start_shim(vschema.settings(bed) | {
        "transition": {"drain_ms": 300}, "topo": {"addresses": [bed.environment["BED_ETCD"]], "roots": ["/vitess/global"]}})
    shim.wait_event("topo_watched", root="/vitess/global")
    return shim


def refused(shim: Shim, command: str) -> str:
    with pytest.raises(pymysql.Error) as error:
        shim.admin(command)
    return error.value.args[1]


def test_a_reparent_under_load(switcher, bed):
    """The primary is told anew: vtctld does it, every vtgate is asked, and nobody notices."""
    alias = primary(bed, "-80")
    with Load(switcher.dsn(), 5) as load:
        report = {row["item"]: row["value"] for row in switcher.admin(f"REPARENT '{bed.keyspace}/-80' TO '{alias}'")}
        outcome = load.report()
    assert report["-80"] == alias and "done in" in report["1"]
    assert [item for item in report if item in ("park", "let end", "switch", "all see", "go on")] == [
        "park", "let end", "switch", "all see", "go on"]
    seen = {text: n for text, n in outcome["errors"].items() if "Error 1213 (40001)" not in text}  # the load's own deadlocks
    assert not seen and outcome["operations"] > 50, outcome["errors"]
    assert primary(bed, "-80") == alias
    [row] = switcher.admin("SHOW TRANSITIONS")
    assert (row["what"], row["keyspace"], row["outcome"]) == ("REPARENT", bed.keyspace, "done")
    assert not [event for event in switcher.events("hold_set") if event["owner"].startswith("lock of")]
    assert switcher.admin("SHOW HOLDS") == []
    assert "REPARENT again" in refused(switcher, "ROLLBACK TRANSITION 1")


@pytest.mark.alone  # what others do straight on this cluster would meet it
def test_traffic_and_primaries_for_real(switcher, bed, table):
    """A table moves to another keyspace and back, a shard's primary hands over and takes over again; nobody notices."""
    move = ("MoveTables", "--target-keyspace", bed.aside, "--workflow", "test_switch")
    bed.vtctl(*move, "create", "--source-keyspace", bed.keyspace, "--tables", "demo")
    try:
        until(lambda: "Running" in bed.vtctl(*move, "status", "--format", "json"), "the copy follows", 60)
        reports: list[str] = []
        with Load(switcher.dsn(), 60) as load:
            for _ in range(2):
                reports.append(str(switcher.admin(f"SWITCH TRAFFIC '{bed.aside}.test_switch' ONLY 'primary'")))
                assert routed(bed) == f"{bed.aside}.demo"
                reports.append(str(switcher.admin(f"SWITCH TRAFFIC '{bed.aside}.test_switch' REVERSE ONLY 'primary'")))
                assert routed(bed) == f"{bed.keyspace}.demo"
            before = primary(bed, "-80")
            assert "done in" in str(switcher.admin(f"REPARENT '{bed.keyspace}/-80'"))
            assert primary(bed, "-80") != before
            assert "done in" in str(switcher.admin(f"REPARENT '{bed.keyspace}/-80' TO '{before}'"))
            load.stop()
            outcome = load.report()
    finally:
        bed.vtctl(*move, "cancel")
    seen = {text: n for text, n in outcome["errors"].items() if "Error 1213 (40001)" not in text}
    assert not seen and outcome["operations"] > 100, outcome["errors"]
    assert primary(bed, "-80") == before and switcher.admin("SHOW HOLDS") == []
    held = [int(event["held_ms"]) for event in switcher.events("transition_ended", verb="SWITCH TRAFFIC")]
    assert len(held) == 4 and max(held) < 15000, held
    assert all("done in" in report for report in reports)
    assert not switcher.events("transition_mark_refused")


class Line:
    """A line to vtctld, plain HTTP/2, on which from some time on a call that others overtake has no answer. It can be cut."""

    HEAD, HEADERS, DATA = 9, 1, 0  # RFC 9113, 4.1 and 6

    def __init__(self, target: str):
        host, port = target.rsplit(":", 1)
        self._target = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._ends: list[socket.socket] = []
        self._newest = 0  # stream
        self.withholds = False
        self.address = "127.0.0.1:%d" % self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(self._target)
            self._ends += [near, far]
            threading.Thread(target=self._carry, args=(near, far, len(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")), daemon=True).start()
            threading.Thread(target=self._carry, args=(far, near, 0), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket, preface: int) -> None:
        try:
            with source.makefile("rb") as reader:
                sink.sendall(reader.read(preface))
                while len(head := reader.read(self.HEAD)) == self.HEAD:
                    payload = reader.read(int.from_bytes(head[:3]))
                    kind, stream = head[3], int.from_bytes(head[5:]) & 0x7fffffff
                    if preface:
                        self._newest = max(self._newest, stream if kind == self.HEADERS else 0)
                    elif self.withholds and 0 < stream < self._newest and kind in (self.HEADERS, self.DATA):
                        continue
                    sink.sendall(head + payload)
        except OSError:
            pass

    def cut(self) -> None:
        self._listener.close()
        for end in self._ends:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


@pytest.mark.alone
def test_an_error_after_the_rules_have_changed(start_shim, bed, table):
    """Statements go on while vtctld is not through; when it is not heard to the end the error is told, and that traffic is
    switched all the same."""
    move = ("MoveTables", "--target-keyspace", bed.aside, "--workflow", "test_cut")
    bed.vtctl(*move, "create", "--source-keyspace", bed.keyspace, "--tables", "demo")
    line = Line(bed.environment["BED_VTCTLD"])
    error = []

    def switch() -> None:
        try:
            shim.admin(f"SWITCH TRAFFIC '{bed.aside}.test_cut' ONLY 'primary'")
        except pymysql.Error as problem:
            error.append(problem.args[1])

    try:
        until(lambda: "Running" in bed.vtctl(*move, "status", "--format", "json"), "the copy follows", 60)
        shim = start_shim(vschema.settings(bed) | {"vtctld": {"addresses": [line.address]}})
        thread = threading.Thread(target=switch)
        thread.start()
        shim.wait_event("hold_set", 30)
        line.withholds = True  # from now on vtctld is asked for the switch, and meanwhile for the rules
        shim.wait_event("hold_released", 30)
        assert thread.is_alive(), error
        until(lambda: routed(bed) == f"{bed.aside}.demo", "it is switched")
        line.cut()
        thread.join(30)
        assert error and error[0].startswith("transition 1: switch: vtctld: ") and "but traffic is switched" in error[0], error
        assert [row["outcome"] for row in shim.admin("SHOW TRANSITIONS")] == ["failed"] and "nothing is changed" not in error[0]
    finally:
        if routed(bed) == f"{bed.aside}.demo":
            bed.vtctl(*move, "ReverseTraffic", "--tablet-types", "primary")
        bed.vtctl(*move, "cancel")


@contextmanager
def slow_transactions(shim: Shim) -> Iterator[dict]:
    """One after the other, of a third of a second each, that write to demo at their beginning and at their end."""
    seen: dict = {"done": 0, "errors": []}
    ended = threading.Event()

    def run() -> None:
        with shim.connect(autocommit=False) as connection, connection.cursor() as cursor:
            while not ended.is_set():
                try:
                    cursor.execute("DELETE FROM demo WHERE id = -7")
                    time.sleep(0.3)
                    cursor.execute("DELETE FROM demo WHERE id = -8")
                    connection.commit()
                    seen["done"] += 1
                except pymysql.Error as error:
                    seen["errors"].append((time.time(), str(error.args)))
                    connection.rollback()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join(30)


def vschemas(shim: Shim) -> set[str]:
    """What the vtgates' pages showed last."""
    return set({event["vtgate"]: event["digest"] for event in shim.events("vtgate_vschema")}.values())


TOLD_LATE_S = 0.5  # by etcd's watch, at most


def late_switches(shim: Shim) -> list[tuple[float, float]]:
    """When the shim's lock came after vtctld's own, which on a busy machine may follow the workflow's within some milliseconds, or be
    told late: from when to when whoever is in the middle of a transaction then may meet a tablet that denies it the table."""
    late = []
    for event in shim.events("topo_lock_given_back", late="yes"):
        back = datetime.fromisoformat(event["time"]).timestamp()
        late.append((back - int(event["waited_ms"]) / 1000 - TOLD_LATE_S, back + 1))
    return late


@pytest.mark.alone
def test_a_switch_behind_its_back(start_shim, bed, table):
    """vtctldclient switches traffic there and back: the workflow's lock is seen, and vtctld waits for the transactions. Errors has only a
    switch whose vtctld was the first at the lock."""
    patience = {"lock_wait_ms": 2000, "lock_hold_ms": 20000}  # a busy machine switches for longer than the holds last by default
    shim = start_shim(vschema.settings(bed) | {
        "topo": {"addresses": [bed.environment["BED_ETCD"]], "roots": ["/vitess/global", "/vitess/zone1"]} | patience})
    shim.wait_event("topo_watched", root="/vitess/global")
    move = ("MoveTables", "--target-keyspace", bed.aside, "--workflow", "test_behind")
    bed.vtctl(*move, "create", "--source-keyspace", bed.keyspace, "--tables", "demo")
    try:
        until(lambda: "Running" in bed.vtctl(*move, "status", "--format", "json"), "the copy follows", 60)
        with Load(shim.dsn(), 60) as load, slow_transactions(shim) as slow:
            for way in 2 * ("SwitchTraffic", "ReverseTraffic"):
                before = vschemas(shim)
                bed.vtctl(*move, way, "--tablet-types", "primary")
                until(lambda: not before & vschemas(shim), "the new rules, which tell the next one's tables, are read", 10)
            load.stop()
            outcome = load.report()
    finally:
        bed.vtctl(*move, "cancel")
    late = late_switches(shim)
    seen = {text: n for text, n in outcome["errors"].items() if "Error 1213 (40001)" not in text
            and not (late and "enforce denied tables" in text)}
    assert not seen and outcome["operations"] > 100, (outcome["errors"], late)
    unexplained = [(when, text) for when, text in slow["errors"]
                   if "enforce denied tables" not in text or not any(begin <= when <= end for begin, end in late)]
    assert slow["done"] > 5 and not unexplained, (slow, late)
    back = shim.events("topo_lock_given_back")
    assert sorted(event["keyspace"] for event in back) == 2 * [bed.aside] + 2 * [bed.keyspace] and not shim.events("topo_lock_failed")
    assert {event["in_the_way"] for event in back if event["late"] == "no"} <= {"0"}, back
    held = {(event["hold"], event["scope"], event["owner"]) for event in shim.events("hold_set")}  # some renewed
    there, back_again = f"lock of {bed.aside}/test_behind", f"lock of {bed.keyspace}/test_behind_reverse"
    tables = [f"table {keyspace}.demo" for keyspace in (bed.keyspace, bed.aside)]
    assert sorted(each[1:] for each in held) == sorted(2 * [(table, owner) for table in tables for owner in (there, back_again)])
    assert not shim.events("hold_expired") and shim.admin("SHOW HOLDS") == []


def routed(bed) -> str:
    """Where statements on commerce.demo go."""
    rules = {rule["from_table"]: rule["to_tables"] for rule in json.loads(bed.vtctl("GetRoutingRules")).get("rules", [])}
    return rules.get(f"{bed.keyspace}.demo", [f"{bed.keyspace}.demo"])[0]


def test_a_transaction_in_the_way(switcher, bed):
    """It is named, and nothing was done."""
    with switcher.connect(autocommit=False) as blocker, blocker.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM demo WHERE id = -1")
        text = refused(switcher, f"REPARENT '{bed.keyspace}/-80'")
    assert "let end: transactions on the tables did not end" in text and text.endswith("nothing is changed"), text
    assert switcher.admin("SHOW HOLDS") == []


def test_refusals(switcher, bed):
    assert "has no workflow 'none'" in refused(switcher, f"SWITCH TRAFFIC '{bed.keyspace}.none'")
    text = refused(switcher, f"REPARENT '{bed.keyspace}/c0-d0'")
    assert text.startswith("transition 2: switch: vtctld: ") and text.endswith("nothing is changed"), text
    for command, expected in (("SWITCH TRAFFIC 'none'", "'keyspace.workflow'"), ("SWITCH TRAFFIC 'a.b' ONLY 'spare'", "rdonly"),
                              ("REPARENT 'a/-' TO 'zone1'", "zone1-101"), ("REPARENT 'a/-' TIMEOUT 0", "1 to 600"),
                              ("REPARENT 'a/-' REVERSE", "TO or TIMEOUT")):
        assert expected in refused(switcher, command), command
    assert switcher.admin("SHOW HOLDS") == []
