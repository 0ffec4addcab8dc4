"""Changes of who serves, behind a hold: SWITCH TRAFFIC and REPARENT."""

from __future__ import annotations

import json

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
        with Load(switcher.dsn(), 60) as load:
            for _ in range(2):
                assert "done in" in str(switcher.admin(f"SWITCH TRAFFIC '{bed.aside}.test_switch' ONLY 'primary'"))
                assert routed(bed) == f"{bed.aside}.demo"
                assert "done in" in str(switcher.admin(f"SWITCH TRAFFIC '{bed.aside}.test_switch' REVERSE ONLY 'primary'"))
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
    assert not switcher.events("transition_mark_refused")


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
