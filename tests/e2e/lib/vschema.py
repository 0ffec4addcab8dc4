"""VSchemas for tests: settings of a shim that deploys them, the bed's own, and putting it back."""

from __future__ import annotations

import fcntl
import json
from contextlib import contextmanager
from typing import Iterator

import pymysql

from lib.bed import Bed
from lib.poll import until


def settings(bed: Bed) -> dict:
    """A shim that knows vtctld and the vtgates' web pages, and has a user of its own."""
    web = [bed.environment[f"BED_VTGATE{number + 1}_HTTP"] for number in range(len(bed.gates))]
    return {"vtctld": {"addresses": bed.vtctld},
            "vtgate_web": {"addresses": web, "interval_ms": 200},
            "control": {"user": bed.user, "password": bed.password, "check_interval_ms": 300}}


def current(bed: Bed, keyspace: str | None = None) -> dict:
    """What vtctld has."""
    return json.loads(bed.vtctl("GetVSchema", keyspace or bed.keyspace))


def tables(bed: Bed) -> dict:
    return current(bed)["tables"]


def apply(bed: Bed, vschema: dict, keyspace: str | None = None) -> None:
    """Straight through vtctldclient, and waits until every vtgate knows of the tables' vindexes."""
    bed.vtctl("ApplyVSchema", "--vschema", json.dumps(vschema), keyspace or bed.keyspace)
    wanted = {name for name, table in vschema["tables"].items() if table.get("column_vindexes")}

    def known() -> bool:
        for gate in range(len(bed.gates)):
            with bed.connect(gate) as connection, connection.cursor() as cursor:
                for name in wanted:
                    try:
                        cursor.execute(f"SHOW VSCHEMA VINDEXES ON `{name}`")
                    except pymysql.ProgrammingError:
                        return False  # 1146: it does not know the table
                    if not cursor.fetchall():
                        return False
        return True
    until(known, "every vtgate has the VSchema", 20)


@contextmanager
def changing(bed: Bed) -> Iterator[None]:
    """The VSchema is this test's for the time, over all test processes: who applies a whole one would take back what
    another test has changed in between."""
    with open(bed.folder / "vschema", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def kept(bed: Bed) -> Iterator[dict]:
    """The bed's VSchema, which is put back if the test leaves another."""
    with changing(bed):
        before = current(bed)
        try:
            yield json.loads(json.dumps(before))
        finally:
            if current(bed) != before:
                apply(bed, before)


def with_table(vschema: dict, table: str, vindex: str = "hash", column: str = "id") -> dict:
    """The same with one more table."""
    changed = json.loads(json.dumps(vschema))
    changed["tables"][table] = {"column_vindexes": [{"column": column, "name": vindex}]}
    return changed
