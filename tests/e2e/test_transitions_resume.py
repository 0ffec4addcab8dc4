"""Transitions and plans of an earlier life of the shim, as their files in transition.dir have them."""

from __future__ import annotations

import json
import os
import signal
import threading
from pathlib import Path
from typing import Callable, Iterator

import pymysql
import pytest

from lib import vschema
from lib.adopted import Adopted, adopt_orphans
from lib.poll import stays, until
from lib.relay import Relay
from lib.shim import Shim, merge


@pytest.fixture
def before(bed) -> Iterator[dict]:
    with vschema.kept(bed) as kept:
        yield kept


@pytest.fixture
def config(bed, tmp_path) -> dict:
    folder = tmp_path / "transitions"
    folder.mkdir()
    return vschema.settings(bed) | {"transition": {"dir": str(folder)}}


def keep(config: dict, kind: str, value: dict) -> Path:
    """The file of number 1, as a process left it that has ended; written as a whole, as the shim does."""
    file = Path(config["transition"]["dir"]) / f"{kind}-1.json"
    fresh = file.with_suffix(".new")
    fresh.write_text(json.dumps({"id": 1, "pid": 2 ** 22 + 1, "user": "sre", "peer": "127.0.0.1",
                                 "started": "2026-01-31T12:00:00.000Z", "text": ""} | value))
    fresh.rename(file)
    return file


@pytest.fixture
def left(bed, before, table, config) -> Callable[..., Path]:
    """Keeps a transition that adds a table, which has been applied."""
    after = vschema.with_table(before, table)

    def write(**more: object) -> Path:
        return keep(config, "transition", {
            "verb": "DEPLOY VSCHEMA", "what": "vschema", "keyspace": bed.keyspace, "step": "see", "outcome": "running",
            "state": "", "code": 0, "took_ms": 1000, "held_ms": 5, "changes": 1, "applied": True, "undoing": False,
            "probes": [], "before": before, "after": after, "lines": []} | more)

    vschema.apply(bed, after)
    return write


def outcomes(shim: Shim) -> list[str]:
    return [row["outcome"] for row in shim.admin("SHOW TRANSITIONS")]


@pytest.mark.parametrize("step", ["undo hold", "undo"])
@pytest.mark.parametrize("saved", [False, True], ids=["not saved back", "saved back"])
def test_on_its_way_back(start_shim, bed, before, config, left, step, saved):
    """The process died while it took a change back: the next one goes on with that, and does not say that it is stuck."""
    file = left(step=step, undoing=True, code=1105, state="HY000", text="probe: SELECT 1: it failed")
    if saved:
        vschema.apply(bed, before)
    shim = start_shim(config)
    until(lambda: outcomes(shim) != ["running"], "it has ended", 30)
    assert outcomes(shim) == ["rolled back"], shim.admin("SHOW TRANSITION 1")
    assert vschema.current(bed) == before
    kept = json.loads(file.read_text())
    assert kept["outcome"] == "rolled back" and kept["code"] == 1105
    assert kept["text"].startswith("probe: SELECT 1: it failed; rolled back: "), kept["text"]
    assert shim.admin("SHOW HOLDS") == []


def test_vtctld_comes_up_later(start_shim, bed, table, config, left):
    """After a start of the whole machine: what is in force is asked until it is known; nothing is given up for it."""
    left()
    with Relay(bed.vtctld) as vtctld:
        vtctld.close()
        shim = start_shim(merge(config, {"vtctld": {"addresses": vtctld.endpoint}}))
        assert shim.wait_event("transition_resume_waits", 20)["transition"] == "1"
        stays(lambda: outcomes(shim) == ["running"] and shim.admin("SHOW HOLDS") == [], "it waits and holds nothing", 3)
        vtctld.open()
        until(lambda: outcomes(shim) != ["running"], "it has ended", 30)
        assert outcomes(shim) == ["done"], shim.admin("SHOW TRANSITION 1")
        assert len(shim.events("transition_resume_waits")) == 1 and table in vschema.tables(bed)
        said = [row["value"] for row in shim.admin("SHOW TRANSITION 1") if row["section"] == "resume"]
        assert said[-1] == "after a restart: what is in force is what was to be", said


def test_behind_one_of_the_process_before(start_shim, bed, table, config, left):
    """After a restart without a gap: an ALTER VSCHEMA waits for the transition that the old process still runs, keeps its
    place behind it, and begins when it has ended."""
    shim = start_shim(merge(config, {"timeouts": {"shutdown_s": 30}}))
    adopt_orphans()
    old, errors = shim.process, []

    def alter() -> None:
        with shim.connect(read_timeout=30) as connection, connection.cursor() as cursor:
            try:
                cursor.execute(f"ALTER VSCHEMA DROP TABLE {table}")
            except pymysql.Error as error:
                errors.append(error)

    with shim.wire() as client:
        assert client.query("BEGIN").error is None  # the old process stays for it
        left(step="watch", pid=old.pid)
        old.send_signal(signal.SIGUSR2)
        shim.process = Adopted(int(shim.wait_event("restarted")["pid"]))
        thread = threading.Thread(target=alter)
        thread.start()
        until(lambda: len(outcomes(shim)) == 2, "it is queued", 10)
        stays(lambda: [int(row["id"]) for row in shim.admin("SHOW TRANSITIONS")] == [1, 2], "in its place", 2.5)
        assert outcomes(shim) == ["running"] * 2
        left(step="done", outcome="done", pid=old.pid)
        until(lambda: outcomes(shim) == ["done"] * 2, "it has begun, and is done", 15)
        thread.join()
        assert client.query("COMMIT").error is None
    assert old.wait(20) == 0 and not errors
    assert table not in vschema.tables(bed)


def test_number_of_another_process(start_shim, bed, table, config, left):
    """After a crash any process may have the number of the one that wrote the file: it is gone on with all the same."""
    left(pid=os.getpid())
    shim = start_shim(config)
    until(lambda: outcomes(shim) == ["done"], "it is seen through", 20)
    assert table in vschema.tables(bed)


def test_plan_with_the_number_of_another_process(start_shim, bed, before, table, config):
    keep(config, "plan", {"pid": os.getpid(), "state": "running", "at": 0,
                          "steps": [{"state": "waiting", "uuid": "", "transition": 0}],
                          "plan": {"keyspace": bed.keyspace, "steps": [
                              {"alter_vschema": [f"ALTER VSCHEMA ON {table} ADD VINDEX hash(id)"]}]}})
    shim = start_shim(config)
    until(lambda: [row["state"] for row in shim.admin("SHOW PLANS")] == ["done"], "the plan is done", 30)
    assert table in vschema.tables(bed)
