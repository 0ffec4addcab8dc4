"""Several shims on one etcd: what one holds all hold, and one that dies, sleeps or is cut off does no harm."""

from __future__ import annotations

import json
import os
import secrets
import signal
import threading
import time
from pathlib import Path
from typing import Callable, Iterator

import pymysql
import pytest

from lib import vschema, wire
from lib.poll import stays, until
from lib.ports import free_port
from lib.relay import Relay
from lib.shim import Shim
from lib.wire import Wire

SELECT = "SELECT count(*) FROM demo WHERE id = -1"
LEASE = 2


@pytest.fixture
def etcd(bed) -> str:
    return bed.environment["BED_ETCD"]


@pytest.fixture
def fleet(start_shim, etcd) -> Iterator[Callable[..., list[Shim]]]:
    """Starts so many shims of one fleet, which know of each other."""
    name = f"test-{secrets.token_hex(4)}"
    stopped: list[Shim] = []

    def start(n: int = 3, config: dict | None = None, join: bool = True, more: dict | None = None) -> list[Shim]:
        settings = {"etcd": [etcd], "name": name, "lease_s": LEASE, "poll_ms": 50}
        shims = [start_shim({"fleet": settings | (config or {})} | (more or {})) for _ in range(n)]
        stopped.extend(shims)
        if join:
            for shim in shims:
                until(lambda: len(shim.admin("SHOW FLEET")) >= n, "they know of each other", 10)
        return shims

    yield start
    for shim in stopped:
        if shim.process.poll() is None:
            shim.process.send_signal(signal.SIGCONT)


def sends(client: Wire, shim: Shim, sql: str = SELECT) -> None:
    """Sends a statement that is going to be parked."""
    parked = shim.parked()
    client.send(wire.COM_QUERY, sql)
    until(lambda: shim.parked() == parked + 1, f"parked: {sql}", 5)


def kill(shim: Shim) -> None:
    shim.expected_status = -signal.SIGKILL
    shim.process.kill()
    shim.process.wait(10)


def put_to_sleep(shim: Shim) -> None:
    """SIGSTOP, which takes its time until all threads have stopped."""
    shim.process.send_signal(signal.SIGSTOP)
    tasks = Path(f"/proc/{shim.process.pid}/task")
    until(lambda: all((task / "stat").read_text().rpartition(") ")[2][0] == "T" for task in tasks.iterdir()),
          "all threads have stopped", 10)


def members(shim: Shim) -> int:
    return len(shim.admin("SHOW FLEET"))


def test_a_hold_is_everywhere(fleet):
    """HOLD answers when all three hold; RELEASE on any of them ends it on all."""
    one, two, three = fleet()
    row, = one.admin("HOLD TABLE commerce.demo REASON 'shared' STICKY")
    assert int(row["shims"]) == 3
    with two.wire() as second, three.wire() as third:
        for client, shim in ((second, two), (third, three)):
            sends(client, shim)
            hold, = shim.admin("SHOW HOLDS")
            assert (hold["scope"], hold["reason"], hold["shared"]) == ("table commerce.demo", "shared", "yes")
            assert hold["owner"].startswith("sre@127.0.0.1 via ")
        three.admin(f"RELEASE {three.admin('SHOW HOLDS')[0]['id']}")
        assert second.read_response().error is None and third.read_response().error is None
    until(lambda: not any(shim.admin("SHOW HOLDS") for shim in (one, two, three)), "it is gone everywhere", 5)
    # One for a single shim.
    row, = one.admin("HOLD TABLE commerce.demo LOCAL STICKY")
    assert int(row["shims"]) == 1
    stays(lambda: two.admin("SHOW HOLDS") == [], "the others do not hold", 0.4)


def test_hold_and_renewal(fleet):
    """The same hold again has the new limits everywhere; it ends with its connection everywhere."""
    one, two = fleet(2)
    owner = one.admin_connect()
    with owner.cursor() as cursor:
        cursor.execute("HOLD TABLE commerce.demo FOR 20 REASON 'first'")
        cursor.execute("HOLD TABLE commerce.demo FOR 40 MAX_WAIT 7 REASON 'second'")
    hold, = two.admin("SHOW HOLDS")
    assert hold["reason"] == "second" and float(hold["max_wait_s"]) == 7 and float(hold["expires_in_s"]) > 30
    owner._force_close()
    until(lambda: one.admin("SHOW HOLDS") == two.admin("SHOW HOLDS") == [], "both have forgotten it", 5)


def test_released_and_set_again_at_once(fleet):
    """Both keys are there for a moment, and are one hold to the others, which must not end it with the key that goes first."""
    one, two = fleet(2)
    with one.admin_connect() as owner, owner.cursor() as cursor:
        for _ in range(12):
            cursor.execute("HOLD TABLE commerce.demo FOR 20")
            stays(lambda: len(two.admin("SHOW HOLDS")) == 1 and len(one.admin("SHOW HOLDS")) == 1, "both hold", 0.25)
            cursor.execute("RELEASE ALL")
    until(lambda: one.admin("SHOW HOLDS") == two.admin("SHOW HOLDS") == [], "both have forgotten it", 5)


def test_drain(fleet):
    """WAIT HOLD waits for transactions on the other shims, too."""
    one, two = fleet(2)
    with two.wire() as client:
        assert client.query("BEGIN").error is None and client.query(SELECT).error is None
        number = one.hold("TABLE commerce.demo FOR 60")
        with pytest.raises(pymysql.Error) as late:
            one.admin(f"WAIT HOLD {number} 0.5")
        assert late.value.args[0] == 1205 and "1 on other shims" in late.value.args[1]
        assert client.query("COMMIT").error is None
        one.admin(f"WAIT HOLD {number} 10")


@pytest.mark.parametrize("sticky", [False, True], ids=["bound", "sticky"])
def test_a_shim_is_killed(fleet, sticky):
    """Its holds end when its lease does; a sticky one lasts for its time. The others are not held up by it."""
    one, two, three = fleet()
    owner = one.admin_connect()
    with owner.cursor() as cursor:
        cursor.execute(f"HOLD TABLE commerce.demo FOR 6 {'STICKY' if sticky else ''}")
    began = time.monotonic()
    kill(one)
    with two.wire() as client:
        sends(client, two)
        assert client.read_response().error is None
        waited = time.monotonic() - began
        assert 4 < waited < 12 if sticky else 0.3 < waited < 5, waited
    until(lambda: members(two) == 2, "it is no member any more", 10)
    row, = two.admin("HOLD TABLE commerce.demo FOR 5")
    assert int(row["shims"]) == 2


def test_hold_while_a_shim_dies(fleet):
    """A hold is set when the lease of one that does not answer is over, not before."""
    one, two = fleet(2)
    kill(two)
    began = time.monotonic()
    row, = one.admin("HOLD TABLE commerce.demo FOR 20 STICKY")
    assert int(row["shims"]) == 1 and 0.2 < time.monotonic() - began < 6


def test_a_shim_sleeps(fleet):
    """A hold that was set while it slept holds what it was sent meanwhile: not a statement slips through."""
    one, two = fleet(2)
    with two.wire() as client, two.wire() as second:
        assert client.query("DELETE FROM demo WHERE id = -630000").error is None
        assert second.query(SELECT).error is None
        put_to_sleep(two)
        client.send(wire.COM_QUERY, "INSERT INTO demo (id) VALUES (-630000)")
        row, = one.admin("HOLD TABLE commerce.demo FOR 30 STICKY")
        assert int(row["shims"]) == 1
        second.send(wire.COM_QUERY, SELECT)
        two.process.send_signal(signal.SIGCONT)
        until(lambda: two.parked() == 2, "both wait", 10)
        until(lambda: len(two.admin("SHOW HOLDS")) == 1, "it knows the hold", 10)
        with one.wire() as other:
            assert one.bed.run("SELECT count(*) AS n FROM demo WHERE id = -630000")[0]["n"] == 0
            one.admin("RELEASE ALL")
            assert client.read_response().error is None and second.read_response().error is None
            assert other.query("DELETE FROM demo WHERE id = -630000").error is None
    assert two.events("fleet_lease_lost") and members(one) == 2


def test_the_owner_sleeps(fleet):
    """A bound hold whose shim slept is gone, and that shim knows it when it wakes."""
    one, two = fleet(2)
    owner = one.admin_connect()
    with owner.cursor() as cursor:
        cursor.execute("HOLD TABLE commerce.demo FOR 60")
        number = cursor.fetchone()[0]
        put_to_sleep(one)
        until(lambda: two.admin("SHOW HOLDS") == [], "the other does not hold any more", 10)
        one.process.send_signal(signal.SIGCONT)
        until(lambda: one.admin("SHOW HOLDS") == [], "nor does its own", 10)
        with pytest.raises(pymysql.Error) as gone:
            cursor.execute(f"RELEASE {number}")
        assert gone.value.args[0] == 1094


def test_cut_off_from_etcd(fleet, start_shim, etcd):
    """It goes on holding what it should, for its time; holds what begins for a while, then goes on by itself; and
    comes back."""
    cable = Relay(etcd)
    one, = fleet(1)
    settings = one.config["fleet"] | {"etcd": [f"127.0.0.1:{cable.port}"], "isolation_ms": 1000}
    two = start_shim({"fleet": settings})
    until(lambda: members(one) == 2, "they know of each other", 10)
    one.hold("TABLE commerce.demo FOR 12")
    with two.wire() as client, two.wire() as second:
        assert second.query("SELECT 1").error is None
        sends(client, two)
        cable.close()
        two.wait_event("fleet_isolated", 15)
        assert client.socket and two.parked() >= 1, "what is held stays held"
        assert second.query("SELECT 1").error is None, "and other things go on"
        one.admin("RELEASE ALL")
        row, = one.admin("HOLD TABLE commerce.customer FOR 20 STICKY")
        assert int(row["shims"]) == 1, "the other is no member any more"
        assert client.read_response().error is None, "for its time, and not for ever"
        cable.open()
        until(lambda: [hold["scope"] for hold in two.admin("SHOW HOLDS")] == ["table commerce.customer"], "it is back", 15)
        until(lambda: members(one) == 2, "the other sees it, too", 5)
    cable.close()


@pytest.fixture
def deploying(fleet, bed, table) -> Iterator[tuple[list[Shim], str, Callable[[Shim, str, str], "Command"]]]:
    """Three shims that deploy VSchemas, a table that is in none, and what sends a deploy that adds it."""
    with vschema.kept(bed) as before:
        wanted = json.dumps(vschema.with_table(before, table)).replace("'", "''")
        shims = fleet(3, more=vschema.settings(bed))
        yield shims, table, lambda shim, options="": Command(
            shim, f"DEPLOY VSCHEMA {bed.keyspace} FROM '{wanted}' {options}")


class Command(threading.Thread):
    """A command of the admin port, under way."""

    def __init__(self, shim: Shim, text: str):
        super().__init__(daemon=True)
        self.shim, self.text, self.error, self.rows = shim, text, "", []
        self.start()

    def run(self) -> None:
        try:
            self.rows = self.shim.admin(self.text)
        except pymysql.Error as error:
            self.error = str(error.args[-1])

    def end(self, seconds: float = 30) -> str:
        """The error, or "" for none."""
        self.join(seconds)
        assert not self.is_alive(), self.text
        return self.error


def step(shim: Shim) -> str:
    rows = shim.admin("SHOW TRANSITIONS")
    return rows[-1]["step"] if rows else ""


SLOW = "PROBE 'SELECT sleep(2) FROM dual'"  # on each of two vtgates


def test_a_deploy_parks_everywhere(deploying):
    """Statements on the table wait on the other shims, too; a second deploy is refused, and says who is at it."""
    (one, two, three), table, deploy = deploying
    running = deploy(one, SLOW)
    until(lambda: step(one) == "probe", "it is applied", 15)
    with two.wire() as client:
        sends(client, two, f"INSERT INTO {table} (id) VALUES (1)")
        assert two.admin("SHOW HOLDS")[0]["owner"].startswith("transition 1 via ")
        error = deploy(three).end()
        assert "lock: one is under way on another shim: DEPLOY VSCHEMA by sre@127.0.0.1, on " in error, error
        assert error.endswith("nothing is changed")
        assert running.end() == "" and client.read_response().error is None
        assert client.query(f"DELETE FROM {table}").error is None
    until(lambda: not any(shim.admin("SHOW HOLDS") for shim in (one, two, three)), "nothing is held any more", 5)
    again = deploy(three)
    assert again.end() == "" and "nothing differs" in str(again.rows)


def test_a_deploy_names_no_session_of_another_shim(deploying):
    """What is in its way is on two others, whose sessions the deployer does not know: it says how many there are."""
    (one, two, three), table, deploy = deploying
    with two.connect(autocommit=False) as first, three.connect(autocommit=False) as second:
        for blocker in (first, second):
            blocker.cursor().execute(f"SELECT count(*) FROM demo AS {table} WHERE id = -1")  # known by the names it used
        error = deploy(one).end()
    assert "transactions on the tables did not end" in error and "3 times: 2 on other shims; nothing is changed" in error, error
    said = [row["value"] for row in one.admin("SHOW TRANSITION 1") if row["item"] == "put off"]
    assert said == ["sessions in the way: 2 on other shims"] * 3
    assert [(event["in_the_way"], event.get("session")) for event in one.events("transition_put_off")] == [("2", None)] * 3


def test_the_deployer_is_killed(deploying):
    """What waits for its deploy goes on when its lease is over, and another shim may deploy."""
    (one, two, three), table, deploy = deploying
    running = deploy(one, SLOW)
    until(lambda: step(one) == "probe", "it is applied", 15)
    with two.wire() as client:
        sends(client, two, f"SELECT count(*) FROM {table}")
        kill(one)
        began = time.monotonic()
        assert client.read_response().error is None
        assert 0.2 < time.monotonic() - began < LEASE + 3
    assert running.end() != ""
    until(lambda: members(three) == 2, "it is no member any more", 10)
    assert deploy(three).end() == ""


def test_the_deployer_sleeps(deploying, bed):
    """One that slept while it waited for transactions applies nothing when it wakes: the others have gone on."""
    (one, two, three), table, deploy = deploying
    with two.connect(autocommit=False) as blocker, blocker.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM demo AS {table} WHERE id = -1")  # it is known by the names that it used
        running = deploy(one)
        until(lambda: step(one) == "drain", "it waits for the transaction", 15)
        put_to_sleep(one)
        until(lambda: two.admin("SHOW HOLDS") == [], "its hold is over", 10)
        until(lambda: members(three) == 2, "it is no member any more", 10)
    assert deploy(three).end() == ""
    one.process.send_signal(signal.SIGCONT)
    error = running.end()
    assert "nothing is changed" in error, error
    assert any(why in error for why in ("released its hold", "lease", "ended", "changed by somebody else")), error
    assert table in vschema.tables(bed)
    assert one.admin("SHOW HOLDS") == two.admin("SHOW HOLDS") == []


def test_a_cut_over_on_three_shims(fleet, bed, table):
    """At a managed cut-over all hold, and transactions of all are waited for; a shim that sleeps in the middle and one that
    is killed are waited for until their leases end, and the one that wakes lets go on what it had parked."""
    one, two, three = fleet(3, more=vschema.settings(bed) | {"ddl": {"poll_interval_ms": 100, "drain_ms": 20000}})
    blocker = two.connect(autocommit=False)
    with blocker.cursor() as cursor, three.wire() as parked:
        cursor.execute(f"SELECT count(*) FROM {table}")
        running = threading.Thread(target=one.run, args=(f"ALTER TABLE {table} ADD COLUMN w int",))
        running.start()
        scope = f"table {bed.keyspace}.{table}"
        until(lambda: all([hold["scope"] for hold in shim.admin("SHOW HOLDS")] == [scope] for shim in (one, two, three)), "all hold", 60)
        assert parked.query("BEGIN").error is None
        sends(parked, three, f"SELECT count(*) FROM {table}")
        stays(lambda: not one.events("ddl_cut_over"), "the transaction of another shim is waited for", 1)
        put_to_sleep(three)
        kill(two)
        one.wait_event("ddl_cut_over", 20)
        running.join(60)
        assert not running.is_alive() and "w" in {row["Field"] for row in bed.run(f"SHOW COLUMNS FROM {table}")}
        assert one.admin("SHOW HOLDS") == []
        three.process.send_signal(signal.SIGCONT)
        assert parked.read_response().error is None
    until(lambda: three.admin("SHOW HOLDS") == [], "nothing is held any more", 10)
    assert len(one.events("ddl_completed")) == 1


def test_no_gap_that_the_others_hear_of_late(fleet, bed, table):
    """A cut-over's hold that ends in its middle might not be back on shims that look for it so seldom; it stays."""
    one, _ = fleet(2, config={"poll_ms": 500}, more=vschema.settings(bed) | {"ddl": {"poll_interval_ms": 100}})
    one.run(f"ALTER TABLE {table} ADD COLUMN w int")
    assert one.events("ddl_cut_over") and not one.events("ddl_gap")


def test_a_cut_over_that_is_cut_off(fleet, start_shim, bed, etcd, table):
    """A shim whose lease ends while its cut-over waits for a transaction cuts nothing over when that ends, for the others
    hold nothing any more; it does when it is back."""
    with Relay(etcd) as cable:
        two, = fleet(1)
        settings = vschema.settings(bed) | {"ddl": {"poll_interval_ms": 100, "drain_ms": 30000}}
        one = start_shim(settings | {"fleet": two.config["fleet"] | {"etcd": [cable.endpoint]}})
        until(lambda: members(two) == 2, "they know of each other", 10)
        with one.connect(autocommit=False) as blocker:
            blocker.cursor().execute(f"SELECT count(*) FROM {table}")
            running = threading.Thread(target=one.run, args=(f"ALTER TABLE {table} ADD COLUMN w int",))
            running.start()
            until(lambda: two.admin("SHOW HOLDS"), "both hold", 60)
            stays(lambda: not one.events("ddl_cut_over"), "nothing but the transaction here is in the way", 1)
            cable.close()
            until(lambda: members(two) == 1 and not two.admin("SHOW HOLDS"), "the other goes on", 15)
            blocker.commit()
        one.wait_event("ddl_drain_put_off", 10)
        assert not one.events("ddl_cut_over")
        cable.open()
        running.join(90)
        assert not running.is_alive() and len(one.events("ddl_completed")) == 1


def test_restart(fleet, start_shim):
    """A shim that starts knows what is held before it lets anything begin."""
    one, two = fleet(2)
    one.hold("TABLE commerce.demo FOR 60")
    three = start_shim({"fleet": one.config["fleet"]})
    with three.wire() as client:
        sends(client, three)
        two.admin("RELEASE ALL")
        assert client.read_response().error is None


def test_without_etcd(start_shim):
    """Nobody there: a shim that starts serves after isolation_ms, and a hold for the fleet is refused, one for
    itself is not."""
    shim = start_shim({"fleet": {"etcd": [f"127.0.0.1:{free_port()}"], "lease_s": 2, "isolation_ms": 500}})
    with shim.wire() as client:
        assert client.query("SELECT 1").error is None
        assert shim.metric("vtshim_fleet_fenced") == 0 and shim.metric("vtshim_fleet_members") == 0
        with pytest.raises(pymysql.Error) as refused:
            shim.hold("TABLE commerce.demo")
        assert refused.value.args[0] == 1105 and "nothing is held" in refused.value.args[1]
        assert shim.admin("SHOW HOLDS") == []
        shim.hold("TABLE commerce.demo LOCAL")
        sends(client, shim)
        shim.admin("RELEASE ALL")
        assert client.read_response().error is None


def test_one_of_several_etcds(fleet, start_shim, etcd):
    """An address that does not answer is left for the next."""
    one, = fleet(1)
    two = start_shim({"fleet": one.config["fleet"] | {"etcd": [f"127.0.0.1:{free_port()}", etcd]}})
    until(lambda: members(two) == 2, "it found the other", 10)
    assert os.path.exists(two.stderr_file)
