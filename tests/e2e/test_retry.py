"""Statements that vtgate refused during a transition are sent again, and no statement is executed twice.

The faults come from a relay in front of a real vtgate (lib/injector.py); how often a statement was executed is
read from its row, to which it appends a letter each time."""

from __future__ import annotations

import itertools
import threading
import time
from typing import Callable, Iterator

import pytest

from lib import wire
from lib.bed import Bed
from lib.injector import (AT_COMMIT, DENIED, LOST, NO_TABLE, NO_TABLET, NO_VINDEX, NOT_SERVING, Hang, Injector, Refuse,
                          Spoil, Trickle)
from lib.poll import until
from lib.shim import Shim
from lib.wire import ConnectionEnded, Wire

ENDED = (ConnectionEnded, ConnectionResetError, BrokenPipeError)
IDS = itertools.count(int(time.time() * 1000))


@pytest.fixture
def injector(bed: Bed) -> Iterator[Injector]:
    with Injector(bed.gates[0]) as gate:
        yield gate


class Row:
    """A row that tells how often it was changed."""

    def __init__(self, bed: Bed):
        self.bed, self.id = bed, next(IDS)
        bed.run(f"INSERT INTO demo (id, status) VALUES ({self.id}, '')")

    @property
    def sql(self) -> str:
        return f"UPDATE demo SET status = CONCAT(status, 'x') WHERE id = {self.id}"

    @property
    def executions(self) -> int:
        return len(self.bed.run(f"SELECT status FROM demo WHERE id = {self.id}")[0]["status"])


@pytest.fixture
def row(bed: Bed) -> Iterator[Row]:
    made = Row(bed)
    yield made
    bed.run(f"DELETE FROM demo WHERE id = {made.id}")


def by_text(client: Wire, row: Row) -> Callable:
    return lambda: client.query(row.sql)


def by_execute(client: Wire, row: Row) -> Callable:
    statement = client.prepare("UPDATE demo SET status = CONCAT(status, 'x') WHERE id = ?")
    return lambda: client.execute(statement, row.id)


def start(start_shim: Callable, injector: Injector, **retry: object) -> Shim:
    return start_shim({"vtgate": injector.endpoint, "retry": retry})


def outcomes(shim: Shim, error: str) -> dict[str, float]:
    """What became of statements with that error."""
    found = {}
    for line in shim.http("/metrics")[1].splitlines():
        if line.startswith(f'vtshim_retries_total{{error="{error}"'):
            found[line.split('outcome="')[1].split('"')[0]] = float(line.rsplit(" ", 1)[1])
    return found


@pytest.mark.parametrize("way", [by_text, by_execute])
def test_each_point_of_failure(start_shim, injector, row, way):
    """Whatever goes wrong wherever: a statement is executed once, or the client is told and it was not twice."""
    shim = start(start_shim, injector)
    executed = 0
    with shim.wire() as client:
        run = way(client, row)
        for faults in ([], [Refuse(NOT_SERVING)], [Refuse(NOT_SERVING)] * 5, [Refuse(NO_VINDEX), Refuse(DENIED)],
                       [Refuse(NOT_SERVING, pieces=True)], [Trickle(3)], [Trickle(5)], [Refuse(DENIED), Trickle(4)]):
            injector.arm(*faults)
            assert run().error is None, faults
            executed += 1
            assert injector.executed == 1
            assert row.executions == executed, faults
        # Not known to be unexecuted, or known to have been: the client gets what vtgate said.
        for fault, happened in ((Spoil(LOST), 1), (Spoil(NO_TABLET), 1), (Spoil(AT_COMMIT), 1),
                                (Refuse(LOST), 0), (Refuse(AT_COMMIT), 0)):
            injector.arm(fault)
            error = run().error
            assert error and error.text == fault.error[2]
            executed += happened
            assert injector.executed == happened and injector.seen == 1, fault
            assert row.executions == executed, fault
    for fault, happened in ((Hang(), 0), (Spoil(bytes=0), 1), (Spoil(bytes=3), 1), (Spoil(bytes=6), 1)):
        with shim.wire() as client:
            run = way(client, row)
            injector.arm(fault)
            with pytest.raises(ENDED):
                run()
        executed += happened
        assert row.executions == executed, fault
    assert outcomes(shim, "not_serving") == {"recovered": 3, "unsafe": 2}
    assert outcomes(shim, "no_healthy_tablet") == {"unsafe": 1}


def test_a_connection_lost_while_waiting(start_shim, injector, row):
    """The client gets the error that it waited with."""
    shim = start(start_shim, injector, first_delay_ms=500, max_delay_ms=500)
    with shim.wire() as client:
        injector.arm(Refuse(NOT_SERVING), Hang())
        with pytest.raises(ENDED):
            client.query(row.sql)
    assert row.executions == 0


def test_in_a_transaction(start_shim, injector, row):
    """What vtgate refuses while it plans leaves the transaction as it was; so does anything that its first statement
    meets. All else is the application's to repeat, for the earlier statements may be gone."""
    shim = start(start_shim, injector)
    with shim.wire() as client:
        client.query("BEGIN")
        injector.arm(Refuse(NOT_SERVING), Refuse(NO_TABLET))
        assert client.query(row.sql).error is None
        injector.arm(Refuse(NO_VINDEX))
        assert client.query(row.sql).error is None
        assert row.executions == 0
        client.query("COMMIT")
        assert row.executions == 2
        # vtgate has lost the transaction with its first statement: another takes its place.
        client.query("START TRANSACTION")
        injector.arm(Refuse(AT_COMMIT), None, None, None)
        assert client.query(row.sql).error is None
        assert injector.seen == 4  # ROLLBACK, BEGIN
        client.query("COMMIT")
        assert row.executions == 3
        client.query("START TRANSACTION READ WRITE")
        injector.arm(Refuse(AT_COMMIT))
        assert client.query(row.sql).error and injector.seen == 1
        client.query("ROLLBACK")
        client.query("BEGIN")
        injector.arm(Refuse(AT_COMMIT), Refuse(LOST))
        assert client.query(row.sql).error.text == AT_COMMIT[2], "it could not be rolled back"
        client.query("ROLLBACK")
        for begin in (["BEGIN", row.sql], ["BEGIN", "SELECT 1 FROM demo LIMIT 1"], ["SET autocommit = 0"]):
            for sql in begin:
                assert client.query(sql).error is None
            injector.arm(Refuse(NOT_SERVING))
            assert client.query(row.sql).error, begin
            assert injector.seen == 1
            client.query("ROLLBACK")
        client.query("SET autocommit = 1")
    with shim.wire(wire.BASIC | wire.MULTI_STATEMENTS) as client:
        assert client.query(f"BEGIN; {row.sql}").error is None
        injector.arm(Refuse(NOT_SERVING))
        assert client.query(row.sql).error
        client.query("ROLLBACK")
        client.query("BEGIN")
        injector.arm(Refuse(LOST), Refuse(NOT_SERVING))
        assert client.query(row.sql).error
        assert client.query(row.sql).error, "what failed may have begun something"
        client.query("ROLLBACK")
    shim = start(start_shim, injector, in_transactions=False)
    with shim.wire() as client:
        client.query("BEGIN")
        injector.arm(Refuse(NO_VINDEX))
        assert client.query(row.sql).error
    assert row.executions == 3


def test_a_write_of_an_unknown_fate(start_shim, injector, row):
    """A tablet is away, comes back, executes a write and dies: that vtgate then finds no tablet does not say that the write
    was not executed, and it is not sent again."""
    shim = start(start_shim, injector)
    with shim.wire() as client, shim.wire() as other:
        injector.arm(Refuse(NOT_SERVING), Spoil(NO_TABLET))
        other.send(wire.COM_QUERY, f"SELECT status FROM demo WHERE id = {row.id}")
        until(lambda: injector.seen == 1, "the read is refused", pause=0.001)
        error = client.query(row.sql).error
        assert error and "no healthy tablet" in error.text
        assert other.read_response().error is None
    assert row.executions == 1 and outcomes(shim, "no_healthy_tablet") == {"unsafe": 1}


def test_a_tablet_that_is_known_to_be_away(start_shim, injector, row):
    """With retry.unsure_writes: away, a write that found no tablet is sent again if that was seen to be away before. A
    read is repeated in any case."""
    shim = start(start_shim, injector, unsure_writes="away")
    with shim.wire() as client, shim.wire() as other:
        injector.arm(Refuse(NO_TABLET), Refuse(NO_TABLET))
        assert client.query(f"SELECT status FROM demo WHERE id = {row.id}").error is None
        assert injector.seen == 3
        time.sleep(1.5)  # it is over, and then for longer than such things are remembered
        injector.arm(Refuse(NO_TABLET))
        assert client.query(row.sql).error
        # Another statement is refused by that tablet, and only afterwards the write is sent.
        injector.arm(Refuse(NOT_SERVING), Refuse(NO_TABLET))
        other.send(wire.COM_QUERY, f"SELECT status FROM demo WHERE id = {row.id}")
        until(lambda: injector.seen == 1, "the read is refused", pause=0.001)
        assert client.query(row.sql).error is None
        assert other.read_response().error is None
    assert row.executions == 1


def test_a_mistake_comes_back_at_once(start_shim, injector):
    """An unknown table is retried only around a transition; here there is none."""
    shim = start(start_shim, injector)
    with shim.wire() as client:
        began = time.monotonic()
        injector.arm()
        assert client.query("SELECT * FROM no_such_table_at_all").error.code == 1105
        assert client.query("SELECT no_such_column FROM demo").error.code == 1054
        assert injector.seen == 2 and time.monotonic() - began < 1
        # A transition was seen: for a while such errors are its doing, too.
        injector.arm(Refuse(NO_VINDEX), None, Refuse(NO_TABLE), Refuse(NO_TABLE))
        assert client.query("SELECT 1").error is None
        assert client.query("SELECT id FROM demo WHERE id = 1").error is None
        assert injector.seen == 5
    assert outcomes(shim, "table_not_found") == {"own": 1, "recovered": 1}


def test_a_prepared_statement_that_worked_is_no_mistake(start_shim, injector):
    shim = start(start_shim, injector)
    with shim.wire() as client:
        statement = client.prepare("SELECT id FROM demo WHERE id = ?")
        injector.arm(Refuse(NO_TABLE))
        assert client.execute(statement, 1).error
        assert client.execute(statement, 1).error is None
        injector.arm(Refuse(NO_TABLE))
        assert client.execute(statement, 1).error is None


def test_budget(start_shim, injector):
    """What does not pass is given up on in time, and from then on comes back at once."""
    shim = start(start_shim, injector, budget_ms=700)
    injector.always = lambda packet: Refuse(NO_VINDEX)
    with shim.wire() as client:
        began = time.monotonic()
        assert client.query("SELECT 1").error.code == 1173
        assert 0.3 < time.monotonic() - began < 1.5
        assert injector.seen > 4
        began, injector.seen = time.monotonic(), 0
        assert client.query("SELECT 1").error.code == 1173
        assert injector.seen == 1 and time.monotonic() - began < 0.3
    assert outcomes(shim, "no_primary_vindex") == {"budget": 1, "lasting": 1}
    assert shim.events("retry_gave_up", error="no_primary_vindex", reason="budget")


def test_switched_off(start_shim, injector, bed):
    """By hint, in both clothes and also when prepared; by user; for longer statements; at all."""
    shim = start(start_shim, injector, max_statement_bytes=200)
    with shim.wire() as client:
        for sql in ("/*vtshim no_retry */ SELECT 1", "SELECT /*!99999 vtshim no_retry */ 1",
                    "UPDATE /*vt+ MULTI_SHARD_AUTOCOMMIT=1 */ demo SET status = status", "SELECT 1" + " " * 300):
            injector.arm(Refuse(NOT_SERVING))
            assert client.query(sql).error, sql
            assert injector.seen == 1
        statement = client.prepare("/*vtshim no_retry */ SELECT 1")
        injector.arm(Refuse(NOT_SERVING))
        assert client.execute(statement).error
    for off in ({"users_off": [bed.user]}, {"enabled": False}):
        shim = start(start_shim, injector, **off)
        with shim.wire() as client:
            injector.arm(Refuse(NOT_SERVING))
            assert client.query("SELECT 1").error
            assert injector.seen == 1


def test_several_statements_prepare_and_long_data(start_shim, injector, row):
    shim = start(start_shim, injector)
    with shim.wire(wire.BASIC | wire.MULTI_STATEMENTS) as client:
        injector.arm(Refuse(NOT_SERVING))
        assert client.query(f"{row.sql}; {row.sql}; SELECT 1").error is None
        assert row.executions == 2
        injector.arm(Refuse(NO_VINDEX), Refuse(NO_VINDEX))
        statement = client.prepare("UPDATE demo SET status = ? WHERE id = ?")
        assert injector.seen == 3
        # Long data are vtgate's for one execution: another try would go without them.
        client.send(wire.COM_STMT_SEND_LONG_DATA, statement.to_bytes(4, "little") + b"\0\0" + b"long")
        injector.arm(Refuse(NOT_SERVING))
        assert client.execute(statement, b"", row.id, long_data=(0,)).error
        assert injector.seen == 1
        injector.arm(Refuse(NOT_SERVING))
        assert client.execute(statement, b"short", row.id).error is None
        assert injector.seen == 2


def test_waiting_sessions_can_be_told(start_shim, injector):
    """KILL QUERY ends the wait; SHOW SESSIONS tells it; a client that leaves takes its statement along; at the
    end of the process they are told."""
    shim = start(start_shim, injector, first_delay_ms=20000, max_delay_ms=20000, budget_ms=60000)
    with shim.wire() as client, shim.wire() as other:
        injector.arm(Refuse(NOT_SERVING))
        client.send(wire.COM_QUERY, "SELECT 1")
        until(lambda: shim.metric("vtshim_retrying_sessions") == 1, "one waits")
        assert "retrying" in str(shim.admin("SHOW SESSIONS"))
        assert other.query(f"KILL QUERY {client.greeting.connection_id}").error is None
        assert client.read_response().error.code == 1317
        assert client.query("SELECT 1").error is None
        injector.arm(Refuse(NOT_SERVING))
        client.send(wire.COM_QUERY, "SELECT 1")
        client.send(wire.COM_QUERY, "SELECT 2")
        until(lambda: shim.metric("vtshim_retrying_sessions") == 1, "one waits")
        client.close()
        until(lambda: shim.metric("vtshim_retrying_sessions") == 0, "nobody waits")
        injector.arm(Refuse(NOT_SERVING))
        other.send(wire.COM_QUERY, "SELECT 1")
        until(lambda: shim.metric("vtshim_retrying_sessions") == 1, "one waits")
        shim.terminate()
        assert other.read_response().error.code == 1053


def test_a_hold_is_waited_for(start_shim, injector):
    """A statement that is refused under a hold waits behind the hold, however long that takes."""
    shim = start(start_shim, injector, budget_ms=3000, first_delay_ms=3000, max_delay_ms=3000)
    with shim.wire() as client:
        injector.arm(*[Refuse(NO_VINDEX)])
        client.send(wire.COM_QUERY, "SELECT id FROM demo WHERE id = 1")
        until(lambda: shim.metric("vtshim_retrying_sessions") == 1, "it waits for its next try", pause=0.001)
        hold = shim.hold("TABLE commerce.demo FOR 20")
        until(lambda: shim.metric("vtshim_parked_sessions") == 1, "it is parked")
        time.sleep(1.5)
        assert injector.seen == 1
        injector.arm(Refuse(NO_VINDEX))
        shim.admin(f"RELEASE {hold}")
        assert client.read_response().error is None
        assert injector.seen == 2


def vindex_goes_and_comes(run: Callable[[str], object], table: str) -> None:
    run(f"ALTER VSCHEMA DROP TABLE {table}")
    run(f"ALTER VSCHEMA ON {table} ADD VINDEX hash(id)")


@pytest.mark.usefixtures("vschema_alone")
@pytest.mark.parametrize("from_outside", [False, True])
def test_vindex_dropped_and_added_under_load(start_shim, bed, from_outside):
    """Straight on vtgate this gives hundreds of errors; through the shim, of which some changes come and some
    do not, none. Each insert is there once."""
    shim = start_shim()
    with bed.scratch_table("id bigint NOT NULL PRIMARY KEY, v int") as table:
        bed.run(f"ALTER VSCHEMA ON {table} ADD VINDEX hash(id)")
        until(lambda: all(works(bed, gate, table) for gate in range(len(bed.gates))), "all vtgates know its vindex")
        stop, done, errors, ids = threading.Event(), [], [], itertools.count()

        def load(prepared: bool) -> None:
            with shim.wire() as client:
                insert = client.prepare(f"INSERT INTO {table} (id, v) VALUES (?, 1)")
                while not stop.is_set():
                    key = next(ids)
                    answer = (client.execute(insert, key) if prepared
                              else client.query(f"INSERT INTO {table} (id, v) VALUES ({key}, 1)"))
                    (errors if answer.error else done).append(answer.error or key)
                    answer = client.query(f"SELECT v FROM {table} WHERE id = {key}")
                    if answer.error:
                        errors.append(answer.error)

        threads = [threading.Thread(target=load, args=(i % 2 == 0,)) for i in range(8)]
        for thread in threads:
            thread.start()
        try:
            until(lambda: len(done) > 50, "the load is under way")
            for _ in range(5):
                vindex_goes_and_comes(bed.run if from_outside else shim.run, table)
                time.sleep(0.3)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert errors == []
        assert bed.run(f"SELECT count(*) AS n FROM {table}") == [{"n": len(done)}]
    assert outcomes(shim, "no_primary_vindex").get("recovered", 0) > 0


def works(bed: Bed, gate: int, table: str) -> bool:
    try:
        with bed.connect(gate) as connection, connection.cursor() as cursor:
            cursor.execute(f"SELECT v FROM {table} WHERE id = 1")
        return True
    except Exception:  # noqa: BLE001: whatever it is, not yet
        return False
