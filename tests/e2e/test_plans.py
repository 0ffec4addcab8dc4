"""DEPLOY PLAN: schema and VSchema in their order, one after the other; a failure pauses; a restart goes on."""

from __future__ import annotations

import json
import re
import signal
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Callable

import pymysql
import pytest

from fake_grpc import FakeGrpc, field, good, good_with
from lib import vschema
from lib.bed import scratch_name
from lib.ddl import INSTANT, UUID
from lib.poll import until
from lib.shim import merge

DEPLOY_S = 120


@pytest.fixture
def before(bed):
    with vschema.kept(bed) as kept:
        yield kept


@pytest.fixture
def config(bed) -> dict:
    return merge(vschema.settings(bed), INSTANT)


@pytest.fixture
def name(bed):
    name = scratch_name()
    yield name
    bed.forget(name)


def plan(bed, *steps: dict, **more: object) -> str:
    text = json.dumps({"keyspace": bed.keyspace, "steps": list(steps), **more})
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def deploying(shim, steps: str) -> Future:
    """DEPLOY PLAN under way: its rows, or its error, come when it ends, after two migrations on a busy machine."""
    pool = ThreadPoolExecutor(1)
    deploy = pool.submit(shim.admin, f"DEPLOY PLAN {steps}", read_timeout=DEPLOY_S)
    pool.shutdown(wait=False)
    return deploy


def refused(shim, command: str) -> str:
    with pytest.raises(pymysql.Error) as error:
        shim.admin(command)
    return error.value.args[1]


def create(name: str) -> dict:
    return {"ddl": f"CREATE TABLE {name} (id bigint NOT NULL PRIMARY KEY, v int)"}


def test_order_and_form(start_shim, bed, before, config, name):
    """What is in the wrong order, or malformed, is refused before anything begins."""
    shim = start_shim(config)
    add = {"alter_vschema": [f"ALTER VSCHEMA ON {name} ADD VINDEX hash(id)"]}
    assert "step 1: it names table" in refused(shim, f"DEPLOY PLAN {plan(bed, add, create(name))}")
    assert "step 1: it drops table 'demo'" in refused(shim, f"DEPLOY PLAN {plan(bed, {'ddl': 'DROP TABLE demo'})}")
    assert "steps[0].sql: unknown key" in refused(shim, f"DEPLOY PLAN {plan(bed, {'sql': 'x'})}")
    assert "must have one of" in refused(shim, f"DEPLOY PLAN {plan(bed, {**create(name), **add})}")
    assert "step 1: " in refused(shim, f"DEPLOY PLAN {plan(bed, {'alter_vschema': ['ALTER VSCHEMA DROP TABLE none']})}")
    rows = shim.admin(f"DEPLOY PLAN {plan(bed, create(name), add)} DRY RUN")
    assert [(row["kind"], row["state"]) for row in rows] == [("ddl", "waiting"), ("vschema", "waiting")]
    assert vschema.current(bed) == before and all(name not in tables for tables in bed.tables().values())


def test_a_table_with_its_vschema(start_shim, bed, before, config, name, tmp_path):
    """CREATE, then the VSchema; a step that fails pauses the plan, which goes on when it is resumed."""
    shim = start_shim(config | {"transition": {"dir": str(tmp_path), "drain_ms": 200}})
    steps = (create(name), {"alter_vschema": [f"ALTER VSCHEMA ON {name} ADD VINDEX hash(id)"]},
             {"alter_vschema": [f"ALTER VSCHEMA DROP TABLE {name}"]})
    rows = shim.admin(f"DEPLOY PLAN {plan(bed, *steps[:2], probes=[{'sql': f'SELECT 1 FROM {name}'}])}")
    assert [row["state"] for row in rows] == ["done", "done"] and rows[0]["uuid"] and rows[1]["transition"] == "1"
    assert name in vschema.tables(bed) and all(name in tables for tables in bed.tables().values())
    with shim.connect(autocommit=False) as blocker, blocker.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {name}")
        text = refused(shim, f"DEPLOY PLAN {plan(bed, steps[2], {'ddl': f'DROP TABLE {name}'})}")
        assert "step 1: transition 2: drain:" in text and text.endswith("paused"), text
    assert [row["state"] for row in shim.admin("SHOW PLANS")] == ["done", "paused"]
    rows = shim.admin("RESUME PLAN 2")
    assert [row["state"] for row in rows] == ["done", "done"]
    assert vschema.current(bed) == before and all(name not in tables for tables in bed.tables().values())


def test_restart_in_the_middle(start_shim, bed, before, config, name, tmp_path):
    """The process dies while a DDL of the plan runs: the next one goes on with the same migration."""
    config = config | {"transition": {"dir": str(tmp_path)}}
    slow = merge(config, {"ddl": {"strategy": "vitess --postpone-completion"}})
    shim = start_shim(slow)
    steps = plan(bed, create(name), {"alter_vschema": [f"ALTER VSCHEMA ON {name} ADD VINDEX hash(id)"]})
    deploy = deploying(shim, steps)
    until(lambda: bed.migrations(name), "the migration is submitted", 30)
    shim.process.send_signal(signal.SIGKILL)
    shim.expected_status = -signal.SIGKILL
    shim.wait()
    assert isinstance(deploy.exception(30), pymysql.Error)
    uuid = bed.migrations(name)[0]["migration_uuid"]
    again = start_shim(config)
    assert [row["state"] for row in again.admin("SHOW PLANS")] == ["running"]
    bed.run(f"ALTER VITESS_MIGRATION '{uuid}' COMPLETE")
    until(lambda: [row["state"] for row in again.admin("SHOW PLANS")] == ["done"], "the plan is done", 60)
    assert {row["migration_uuid"] for row in bed.migrations(name)} == {uuid}
    assert name in vschema.tables(bed)


def test_a_name_in_another_character_set(start_shim, bed, before, config, name, tmp_path):
    """What is no UTF-8 does not keep a plan from its file, nor its transition: both are there after a restart."""
    config = config | {"transition": {"dir": str(tmp_path)}}
    shim = start_shim(config)
    steps = plan(bed, create(name), {"alter_vschema": [f"ALTER VSCHEMA ON {name} ADD VINDEX hash(id)"]})
    shim.admin(f"DEPLOY PLAN {steps}", user="ren\xe9", charset="latin1", read_timeout=DEPLOY_S)
    shim.finish()
    again = start_shim(config)
    assert [row["state"] for row in again.admin("SHOW PLANS")] == ["done"]
    assert [row["user"] for row in again.admin("SHOW PLANS") + again.admin("SHOW TRANSITIONS")] == ["ren?@127.0.0.1"] * 2


def test_a_lost_submission(start_shim, bed, tmp_path):
    """vtctld dies in the middle of submitting: one shard of two has the migration, and completes it. It is submitted again before the
    step is done."""
    complete = 6

    def migrations(*shards: str) -> Callable[[int], bytes]:
        rows = [field(1, "a_uuid") + field(2, bed.keyspace) + field(3, shard) + field(16, complete) for shard in shards]
        return good_with(b"".join(field(1, row) for row in rows))

    both = good_with(b"".join(field(1, field(1, shard)) for shard in ("-80", "80-")))
    with FakeGrpc(good, None, migrations("-80"), both, migrations("-80"), good, migrations("-80", "80-")) as server:
        shim = start_shim({"vtctld": {"addresses": server.address}})
        rows = shim.admin(f"DEPLOY PLAN {plan(bed, create('twice'))}", read_timeout=DEPLOY_S)
        assert [row["state"] for row in rows] == ["done"]
        assert ["CREATE TABLE twice" in str(request) for request in server.requests] == [False, True, False, False, False, True, False]
        assert len({uuid for request in server.requests for uuid in UUID.findall(str(request))}) == 1


def test_an_alter_is_cut_over_by_the_shim(start_shim, bed, table):
    """As an application's would be: it waits for the drain, and SHOW MIGRATIONS has it."""
    shim = start_shim(merge(vschema.settings(bed), {"ddl": {"poll_interval_ms": 100}}))
    steps = plan(bed, {"ddl": f"ALTER TABLE {table} ADD COLUMN w int"}, {"ddl": f"ALTER TABLE {table} DROP COLUMN w"})
    with shim.connect(autocommit=False) as blocker, blocker.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {table}")
        deploy = deploying(shim, steps)
        hold = shim.wait_event("hold_set", 60, scope=f"table {bed.keyspace}.{table}")
        assert hold["owner"].startswith("migration ") and hold["kinds"] == "transactions"
        assert not shim.events("ddl_cut_over")
    assert [row["state"] for row in deploy.result(DEPLOY_S)] == ["done", "done"] and len(shim.events("ddl_cut_over")) == 2
    uuids = {row["uuid"] for row in shim.admin("SHOW PLAN 1")}
    assert [row["state"] for row in shim.admin("SHOW PLAN 1")] == ["done", "done"]
    assert {row["uuid"] for row in shim.admin("SHOW MIGRATIONS") if row["status"] == "complete"} == uuids
    assert all("#vtshim:" in row["options"] for uuid in uuids for row in bed.run(f"SHOW VITESS_MIGRATIONS LIKE '{uuid}'"))


def test_one_plan_at_a_time(start_shim, bed, config, name):
    """On a keyspace, here and on the other shims of a fleet: who comes second is told who is at it."""
    fleet = {"fleet": {"etcd": [bed.environment["BED_ETCD"]], "name": f"plans-{name}", "lease_s": 2, "poll_ms": 50}}
    one, two = (start_shim(merge(config | fleet, {"ddl": {"strategy": "vitess --postpone-completion"}})) for _ in range(2))
    until(lambda: len(one.admin("SHOW FLEET")) == 2, "they know of each other", 10)
    deploy = deploying(one, plan(bed, create(name)))
    until(lambda: bed.migrations(name), "the migration is submitted", 30)
    other = plan(bed, create(f"{name}_2"))
    assert f"plan 1 of {bed.keyspace} is under way" in refused(one, f"DEPLOY PLAN {other}")
    error = refused(two, f"DEPLOY PLAN {other}")
    assert f"a plan of {bed.keyspace} is under way on another shim: DEPLOY PLAN by sre@127.0.0.1, on " in error, error
    assert [row["state"] for row in two.admin("SHOW PLANS")] == ["refused"]
    bed.run(f"ALTER VITESS_MIGRATION '{bed.migrations(name)[0]['migration_uuid']}' COMPLETE")
    assert [row["state"] for row in deploy.result(DEPLOY_S)] == ["done"]
    assert [row["state"] for row in one.admin("SHOW PLANS")] == ["done"]
    assert not bed.migrations(f"{name}_2")
    rows = two.admin(f"DEPLOY PLAN {other} DRY RUN")
    assert [row["state"] for row in rows] == ["waiting"]
