"""Locks that vtctld takes in the topology before it changes who serves: what would get an error waits from then on."""

from __future__ import annotations

import base64
import json
import secrets
import threading
import urllib.request
from contextlib import contextmanager
from typing import Callable, Iterator

import pytest

from lib.bed import Bed
from lib.clients import Load
from lib.etcd import PASSWORD, Etcd
from lib.poll import until
from lib.shim import Shim
from lib.topology import primary
from lib.vschema import settings

DENIES_DEMO = b"\x32\x08\x08\x01\x22\x04demo"  # a Shard (topodata.proto): tablet_controls (6) with denied_tables (4)


class Topology:
    """Keys below a root that no vtgate and no tablet reads; `call` asks their etcd's gateway."""

    def __init__(self, call: Callable[..., dict], root: str):
        self.call, self.root = call, root

    def _ask(self, what: str, **request: bytes) -> dict:
        return self.call(f"kv/{what}", **{name: base64.b64encode(value).decode() for name, value in request.items()})

    def put(self, key: str, value: bytes) -> None:
        self._ask("put", key=f"{self.root}/{key}".encode(), value=value)

    def keys(self, below: str) -> dict[str, dict]:
        found = self._ask("range", key=f"{self.root}/{below}/".encode(), range_end=f"{self.root}/{below}0".encode()).get("kvs", [])
        return {base64.b64decode(each["key"]).decode().removeprefix(self.root + "/"): each for each in found}

    def delete(self, key: str) -> None:
        self._ask("deleterange", key=f"{self.root}/{key}".encode())

    def lock(self, place: str, action: str) -> str:
        key = f"keyspaces/{place}/locks/{secrets.randbits(62)}"
        self.put(key, json.dumps({"Action": action, "HostName": "h", "UserName": "u", "Status": "Running"}, indent=2).encode())
        return key

    def lock_workflow(self, name: str, action: str = "WorkflowSwitchTraffic") -> str:
        key = f"internal/named_locks/{name}/locks/{secrets.randbits(62)}"
        self.put(key, json.dumps({"Action": action, "Status": "Running"}).encode())
        return key

    def lock_at_once(self, workflow: str, place: str) -> list[str]:
        """Both locks of a switch, in one revision."""
        puts = {f"internal/named_locks/{workflow}/locks/1": "WorkflowSwitchTraffic", f"keyspaces/{place}/locks/1": "SwitchWrites"}
        self.call("kv/txn", success=[{"request_put": {"key": base64.b64encode(f"{self.root}/{key}".encode()).decode(),
                                                      "value": base64.b64encode(json.dumps({"Action": action}).encode()).decode()}}
                                     for key, action in puts.items()])
        return list(puts)

    def clear(self) -> None:
        self._ask("deleterange", key=f"{self.root}/".encode(), range_end=f"{self.root}0".encode())


@pytest.fixture
def topology(bed):
    def call(path: str, **body: object) -> dict:
        url = f"http://{bed.environment['BED_ETCD']}/v3/{path}"
        with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode()), timeout=10) as answer:
            return json.loads(answer.read())

    topology = Topology(call, f"/test-{secrets.token_hex(4)}")
    yield topology
    topology.clear()


def start(start_shim, bed, topology: Topology, **topo: object) -> Shim:
    shim = start_shim({"topo": {"addresses": [bed.environment["BED_ETCD"]], "roots": [topology.root], **topo}})
    shim.wait_event("topo_watched", root=topology.root)
    return shim


def holds(shim: Shim) -> set[tuple[str, str]]:
    return {(row["scope"], row["kinds"]) for row in shim.admin("SHOW HOLDS") if row["state"] == "held"}


def parked(shim: Shim) -> int:
    return sum(int(row["parked"]) for row in shim.admin("SHOW HOLDS"))


def transaction(shim: Shim, table: str) -> threading.Thread:
    """One that begins now, in a thread of its own."""
    def run() -> None:
        with shim.connect(autocommit=False) as connection, connection.cursor() as cursor:
            cursor.execute(f"SELECT count(*) FROM {table} WHERE id = -1")
            connection.commit()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_transactions_wait_for_a_switch_of_writes(start_shim, bed, topology):
    """Those that begin; what stands alone goes on, and so does a transaction that is open."""
    shim = start(start_shim, bed, topology)
    with shim.connect(autocommit=False) as open_one, open_one.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM demo WHERE id = -1")
        key = topology.lock(bed.keyspace, "SwitchWrites")
        until(lambda: holds(shim) == {(f"keyspace {bed.keyspace}", "transactions")}, "the lock is seen", 5)
        cursor.execute("SELECT count(*) FROM demo WHERE id = -2")
        open_one.commit()
    shim.run("DELETE FROM demo WHERE id = -1")
    late = transaction(shim, "demo")
    until(lambda: parked(shim) == 1, "it waits", 5)
    [row] = shim.admin("SHOW HOLDS")
    assert (row["owner"], row["reason"]) == (f"lock of {bed.keyspace}", "SwitchWrites")
    topology.delete(key)
    late.join(5)
    assert not late.is_alive() and not holds(shim)
    assert shim.wait_event("hold_released", owner=f"lock of {bed.keyspace}")["parked"] == "1"


def test_only_the_tables_that_move(start_shim, bed, topology):
    """The shard's record names them a moment later; both keyspaces of the MoveTables are locked."""
    shim = start(start_shim, bed, topology)
    keys = [topology.lock(place, "SwitchWrites") for place in (bed.keyspace, "elsewhere")]
    until(lambda: len(holds(shim)) == 2, "the locks are seen", 5)
    topology.put(f"keyspaces/{bed.keyspace}/shards/-80/Shard", DENIES_DEMO)
    until(lambda: holds(shim) == {(f"table {bed.keyspace}.demo", "transactions"), ("table elsewhere.demo", "transactions")},
          "the tables are known", 5)
    other = transaction(shim, "customer")
    other.join(10)
    assert not other.is_alive()
    moving = transaction(shim, "demo")
    until(lambda: parked(shim) == 1, "it waits", 5)
    for key in keys:
        topology.delete(key)
    moving.join(5)
    assert not moving.is_alive()
    until(lambda: not holds(shim), "the other keyspace's hold ends, too", 5)


@pytest.mark.parametrize("action", ["PlannedReparentShard(<nil>, AvoidPrimary = <nil>)", "EmergencyReparentShard",
                                    "VTOrc Recovery for DeadPrimary on zone1-0000000100"])
def test_writes_wait_for_a_primary(start_shim, bed, topology, action):
    """Reads do not; and a lock that is never given back holds for topo.lock_hold_ms."""
    shim = start(start_shim, bed, topology, lock_hold_ms=2000)
    topology.lock(f"{bed.keyspace}/shards/-80", action)
    until(lambda: holds(shim) == {(f"keyspace {bed.keyspace}", "writes, transactions")}, "the lock is seen", 5)
    shim.run("SELECT count(*) FROM demo WHERE id = -1")
    shim.run("DELETE FROM demo WHERE id = -1")
    assert 1000 < int(shim.wait_event("hold_expired", owner=f"lock of {bed.keyspace}/-80")["age_ms"]) < 10000
    assert not holds(shim)


def test_two_locks_share_a_hold(start_shim, bed, topology):
    """Who waits for a shard's lock has its key there, too: the end of the first leaves what the second is taken for."""
    shim = start(start_shim, bed, topology)
    keys = [topology.lock(f"{bed.keyspace}/shards/-80", "PlannedReparentShard") for _ in range(2)]
    until(lambda: len(shim.events("hold_set")) == 2, "both locks are seen", 5)
    topology.delete(keys.pop(0))
    topology.lock("the_last_one", "SwitchWrites")
    until(lambda: ("keyspace the_last_one", "transactions") in holds(shim), "all of it was read", 5)
    assert (f"keyspace {bed.keyspace}", "writes, transactions") in holds(shim)
    topology.delete(keys.pop(0))
    until(lambda: holds(shim) == {("keyspace the_last_one", "transactions")}, "the second has ended", 5)


@contextmanager
def on_its_way(bed: Bed, table: str, keyspace: str) -> Iterator[None]:
    """The rule that MoveTables leaves for a table that is copied to a keyspace; every vtgate has it."""
    before = bed.vtctl("GetRoutingRules")
    rules = json.loads(before).get("rules", []) + [{"from_table": f"{keyspace}.{table}", "to_tables": [f"{bed.keyspace}.{table}"]}]
    bed.vtctl("ApplyRoutingRules", "--rules", json.dumps({"rules": rules}))
    try:
        yield
    finally:
        bed.vtctl("ApplyRoutingRules", "--rules", before)


def start_with_rule(start_shim, bed, topology, etcd: Etcd | None = None, **topo: object) -> Shim:
    login = etcd.login_settings() if etcd else {}
    address = etcd.address if etcd else bed.environment["BED_ETCD"]
    shim = start_shim(settings(bed) | login | {"topo": {"addresses": [address], "roots": [topology.root], **topo}})
    shim.wait_event("topo_watched", root=topology.root)
    until(lambda: all(row["vschema"] for row in shim.admin("SHOW VTGATES")), "the rules are read", 10)
    return shim


@pytest.mark.alone
def test_vtctld_waits_for_transactions(start_shim, bed, topology):
    """The lock that it takes next is taken until those on the table have ended, and for topo.lock_wait_ms at most."""
    locks = lambda: topology.keys(f"keyspaces/{bed.keyspace}/locks")  # noqa: E731
    shim = start_with_rule(start_shim, bed, topology, lock_wait_ms=1500)
    with shim.connect(autocommit=False) as open_one, open_one.cursor() as cursor, on_its_way(bed, "demo", "elsewhere"):
        until(lambda: len(shim.events("vtgate_vschema")) >= len(bed.gates), "the new rule is read", 10)
        cursor.execute("SELECT count(*) FROM demo WHERE id = -1")
        workflow = topology.lock_workflow("elsewhere/wf")
        until(locks, "the lock is taken", 5)
        [(key, kept)] = locks().items()
        assert json.loads(base64.b64decode(kept["value"]))["Action"] == "WaitForTransactions"
        assert key.rsplit("/", 1)[1] == kept["lease"]  # it ends with its lease should the shim end
        open_one.commit()
        until(lambda: not locks(), "the transaction has ended", 1)
        topology.delete(workflow)
        assert shim.wait_event("topo_lock_given_back")["in_the_way"] == "0"
        cursor.execute("SELECT count(*) FROM demo WHERE id = -1")
        workflow = topology.lock_workflow("elsewhere/wf")
        until(lambda: len(shim.events("topo_lock_given_back")) == 2, "it takes too long", 5)
        last = shim.events("topo_lock_given_back")[1]
        assert last["in_the_way"] == "1" and 1500 <= int(last["waited_ms"]) < 4000, last
        until(lambda: not locks(), "vtctld goes on", 1)
        topology.delete(workflow)
        workflow = topology.lock_workflow("elsewhere/wf")
        until(locks, "the next one", 5)
        topology.delete(workflow)
        until(lambda: not locks(), "vtctld has given up", 1)
        open_one.commit()
    assert not shim.events("topo_lock_failed")


@pytest.mark.alone
def test_who_came_first_to_the_lock_is_told(start_shim, bed, topology):
    """vtctld waits for the shim's lock if that is the older one; the log says if it is not."""
    shim = start_with_rule(start_shim, bed, topology, lock_wait_ms=500)
    with shim.connect(autocommit=False) as open_one, open_one.cursor() as cursor, on_its_way(bed, "demo", "elsewhere"):
        until(lambda: len(shim.events("vtgate_vschema")) >= len(bed.gates), "the new rule is read", 10)
        cursor.execute("SELECT count(*) FROM demo WHERE id = -1")
        workflow = topology.lock_workflow("elsewhere/wf")
        until(lambda: topology.keys(f"keyspaces/{bed.keyspace}/locks"), "the lock is taken", 5)
        keyspace = topology.lock(bed.keyspace, "SwitchWrites")
        assert shim.wait_event("topo_lock_given_back")["late"] == "no"
        topology.delete(keyspace)
        topology.delete(workflow)
        until(lambda: not holds(shim), "vtctld is through", 5)
        keys = topology.lock_at_once("elsewhere/wf", bed.keyspace)
        until(lambda: len(shim.events("topo_lock_given_back")) == 2, "it is given back", 5)
        assert shim.events("topo_lock_given_back")[1]["late"] == "yes"
        for key in keys:
            topology.delete(key)
        open_one.commit()


@pytest.mark.alone
def test_vtctld_waits_where_etcd_has_users(start_shim, bed, secure):
    """Where etcd.user may not write there, that is said, nothing is left behind, and the holds are as they are; where it may, the lock
    is taken and given back with a login, too."""
    topology = Topology(secure.call, "/vitess/global")
    locks = lambda: topology.keys(f"keyspaces/{bed.keyspace}/locks")  # noqa: E731
    leases = lambda: secure.call("lease/leases").get("leases", [])  # noqa: E731
    shim = start_with_rule(start_shim, bed, topology, secure, lock_wait_ms=5000)
    shim.secret(PASSWORD)
    tables = {(f"table {bed.keyspace}.demo", "transactions"), ("table elsewhere.demo", "transactions")}
    with shim.connect(autocommit=False) as open_one, open_one.cursor() as cursor, on_its_way(bed, "demo", "elsewhere"):
        until(lambda: len(shim.events("vtgate_vschema")) >= len(bed.gates), "the new rule is read", 10)
        cursor.execute("SELECT count(*) FROM demo WHERE id = -1")
        workflow = topology.lock_workflow("elsewhere/wf")
        assert shim.wait_event("topo_lock_failed", keyspace=bed.keyspace)["error"] == "HTTP status 403"
        until(lambda: holds(shim) == tables, "they are held all the same", 5)
        late = transaction(shim, "demo")
        until(lambda: parked(shim) == 1, "it waits", 5)
        cursor.execute("SELECT count(*) FROM demo WHERE id = -2")
        assert not locks()
        until(lambda: not leases(), "the lease is given back", 5)
        topology.delete(workflow)
        late.join(5)
        assert not late.is_alive() and not holds(shim)
        assert len(shim.events("topo_lock_failed")) == 1
        secure.grant("/vitess/global/keyspaces/", "READWRITE")
        workflow = topology.lock_workflow("elsewhere/wf")
        until(locks, "the lock is taken", 5)
        [(key, kept)] = locks().items()
        assert json.loads(base64.b64decode(kept["value"]))["Action"] == "WaitForTransactions"
        assert key.rsplit("/", 1)[1] == kept["lease"]
        open_one.commit()
        until(lambda: not locks() and not leases(), "the transaction has ended", 3)
        assert shim.wait_event("topo_lock_given_back")["in_the_way"] == "0"
        topology.delete(workflow)
    assert len(shim.events("topo_lock_failed")) == 1


@pytest.mark.alone  # routing rules are everybody's
def test_a_workflow_s_tables(start_shim, bed, topology):
    """Its lock comes before the keyspaces'; the rules tell the tables, and nothing else waits. One whose lock is not given back is
    held for topo.lock_hold_ms, whatever transaction is open."""
    shim = start_with_rule(start_shim, bed, topology, lock_hold_ms=2000, lock_wait_ms=0)
    with on_its_way(bed, "demo", "elsewhere"):
        until(lambda: len(shim.events("vtgate_vschema")) >= len(bed.gates), "the new rule is read", 10)
        tables = {(f"table {bed.keyspace}.demo", "transactions"), ("table elsewhere.demo", "transactions")}
        with shim.connect(autocommit=False) as open_one, open_one.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM demo WHERE id = -1")
            topology.lock_workflow("nowhere/wf")  # no table goes there
            topology.lock_workflow("elsewhere/wf", "MoveTablesCreate")
            key = topology.lock_workflow("elsewhere/wf")
            until(lambda: holds(shim) == tables, "the lock is seen", 5)
            for place in (bed.keyspace, "elsewhere"):  # these are of the same switch
                topology.lock(place, "SwitchWrites")
            topology.lock("the_last_one", "SwitchWrites")
            until(lambda: holds(shim) == tables | {("keyspace the_last_one", "transactions")}, "all of it was read", 5)
            transaction(shim, "customer").join(10)
            late = transaction(shim, "demo")
            until(lambda: parked(shim) == 1, "it waits", 5)
            cursor.execute("SELECT count(*) FROM demo WHERE id = -2")
            topology.delete(key)
            late.join(5)
            assert not late.is_alive() and not tables & holds(shim)
            topology.lock_workflow("elsewhere/wf")
            until(lambda: tables <= holds(shim), "the next one is seen", 5)
            late = transaction(shim, "demo")
            late.join(10)
            assert not late.is_alive()
            assert 1000 < int(shim.wait_event("hold_expired", owner="lock of elsewhere/wf")["age_ms"]) < 10000
            assert not shim.events("topo_lock_given_back")
            cursor.execute("SELECT count(*) FROM demo WHERE id = -3")
            open_one.commit()


@pytest.mark.alone
def test_a_reshard_beside_a_workflow_s_tables(start_shim, bed, topology):
    """Its workflow's lock finds tables that others move into its keyspace. That keyspace is then locked, and no other before: all of
    it waits. Of a MoveTables the one that serves is locked first."""
    shim = start_with_rule(start_shim, bed, topology, lock_wait_ms=0)
    with on_its_way(bed, "demo", "elsewhere"):
        until(lambda: len(shim.events("vtgate_vschema")) >= len(bed.gates), "the new rule is read", 10)
        tables = {(f"table {bed.keyspace}.demo", "transactions"), ("table elsewhere.demo", "transactions")}
        topology.lock_workflow("elsewhere/reshard")
        reshard = topology.lock("elsewhere", "SwitchWrites")
        until(lambda: holds(shim) == tables | {("keyspace elsewhere", "transactions")}, "all of the keyspace is held", 5)
        topology.delete(reshard)
        until(lambda: holds(shim) == tables, "it is over", 5)
        for place in (bed.keyspace, "elsewhere"):
            topology.lock(place, "SwitchWrites")
        topology.lock("the_last_one", "SwitchWrites")
        until(lambda: holds(shim) == tables | {("keyspace the_last_one", "transactions")}, "those are a MoveTables'", 5)
        topology.lock("elsewhere", "SwitchWrites")
        until(lambda: ("keyspace elsewhere", "transactions") in holds(shim), "the Reshard's waits behind it", 5)


def test_other_locks_hold_nothing(start_shim, bed, topology):
    shim = start(start_shim, bed, topology)
    for action in ("ApplySchemaKeyspace", "SwitchReads", "VTOrc Recovery for ReplicationStopped on zone1-0000000100", ""):
        topology.lock(bed.keyspace, action)
        topology.lock(f"{bed.keyspace}/shards/-80", action)
    topology.put(f"keyspaces/{bed.keyspace}/shards/-80/Shard", DENIES_DEMO)
    topology.lock("the_last_one", "SwitchWrites")
    until(lambda: holds(shim) == {("keyspace the_last_one", "transactions")}, "all of it was read", 5)


def test_it_can_be_turned_off(start_shim, bed, topology):
    shim = start(start_shim, bed, topology, lock_hold_ms=0)
    topology.lock(bed.keyspace, "SwitchWrites")
    topology.put(f"keyspaces/{bed.keyspace}/shards/-80/Shard", DENIES_DEMO)
    until(lambda: any(row["source"] == "etcd" for row in shim.admin("SHOW CHANGES")), "what came later was read", 5)
    assert not shim.events("hold_set")


def test_a_reparent_behind_its_back(start_shim, bed):
    """vtctldclient hands a shard over, to the primary that it has: its lock is seen, and nobody notices."""
    shim = start_shim({"topo": {"addresses": [bed.environment["BED_ETCD"]], "roots": ["/vitess/global", "/vitess/zone1"]}})
    shim.wait_event("topo_watched", root="/vitess/global")
    alias = primary(bed, "-80")
    with Load(shim.dsn(), 5) as load:
        bed.vtctl("PlannedReparentShard", f"{bed.keyspace}/-80", "--new-primary", alias)
        outcome = load.report()
    assert shim.wait_event("hold_released", owner=f"lock of {bed.keyspace}/-80")
    seen = {text: n for text, n in outcome["errors"].items() if "Error 1213 (40001)" not in text}  # the load's own deadlocks
    assert not seen and outcome["operations"] > 50, outcome["errors"]
