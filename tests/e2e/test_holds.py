"""Holds: an operator stops statements at the door for a while, nobody gets an error, and all goes on in order."""

from __future__ import annotations

import threading
import time
from typing import Iterator

import pymysql
import pytest

from fake_vtgate import FakeVtgate, Rows, Wait
from lib import wire
from lib.clients import connector
from lib.poll import stays, until
from lib.shim import Shim
from lib.wire import BASIC, DEPRECATE_EOF, Wire

SELECT = "SELECT count(*) FROM demo WHERE id = -1"
OTHER = "SELECT count(*) FROM customer WHERE id = -1"


class Waiting:
    """A statement that was sent and is parked: its answer is still to come."""

    def __init__(self, shim: Shim, client: Wire, sql: str = SELECT):
        parked = shim.parked()
        self.client = client
        self.began = time.monotonic()
        client.send(wire.COM_QUERY, sql)
        until(lambda: shim.parked() == parked + 1, f"parked: {sql}")

    def answered(self) -> bool:
        """Whether bytes of an answer have come."""
        self.client.socket.settimeout(0)
        try:
            self.client._pending = self.client._pending or self.client.socket.recv(65536)
            return True
        except BlockingIOError:
            return False
        finally:
            self.client.socket.settimeout(30)

    def answer(self) -> float:
        """Takes the answer, which must be a result; returns the seconds since it was sent."""
        response = self.client.read_response()
        assert response.error is None, response.error
        return time.monotonic() - self.began


def passes(client: Wire, *statements: str) -> None:
    """These are answered at once."""
    for sql in statements:
        client.socket.settimeout(5)
        response = client.query(sql)
        assert response.error is None, (sql, response.error)


@pytest.fixture
def client(shim: Shim) -> Iterator[Wire]:
    with shim.wire() as client:
        yield client


@pytest.fixture
def second(shim: Shim) -> Iterator[Wire]:
    with shim.wire() as client:
        yield client


# What is held.

def test_hold_all(shim, client, second):
    """HOLD ALL holds reads, writes and SHOW in every session until it is released."""
    assert client.query("SELECT 1").error is None
    hold = shim.hold("ALL")
    one, two = Waiting(shim, client, "SELECT 1"), Waiting(shim, second, "SHOW TABLES")
    stays(lambda: not one.answered() and not two.answered(), "both wait", 0.3)
    shim.admin(f"RELEASE {hold}")
    assert one.answer() >= 0.3 and two.answer() >= 0.3
    passes(client, "SELECT 1")


@pytest.mark.parametrize("hold, held, free", [
    ("TABLE commerce.demo", [SELECT, "INSERT INTO demo (id) VALUES (-620000)", "DELETE FROM `demo` WHERE id = -620000",
                             "UPDATE commerce.demo SET status = 'x' WHERE id = -1", "(SELECT 1 FROM demo LIMIT 0)",
                             "SELECT 1 FROM customer c JOIN demo d ON c.id = d.id WHERE c.id = -1",
                             "WITH x AS (SELECT id FROM demo WHERE id = -1) SELECT * FROM x",
                             "SELECT d.id FROM `commerce`.`demo` AS d WHERE d.id = -1",
                             "PREPARE p FROM 'SELECT 1 FROM demo WHERE id = -1'",
                             "SELECT 1 FROM customer WHERE id = (SELECT max(id) FROM DEMO WHERE id = -1) AND id = -1"],
     [OTHER, "INSERT INTO customer (id) VALUES (-620001)", "DELETE FROM customer WHERE id = -620001", "SELECT 1",
      "SELECT 'demo' FROM customer WHERE id = -1", "SET @a = 1", "USE commerce", "SHOW TABLES", "KILL 1234567"]),
    ("KEYSPACE commerce", [SELECT, OTHER, "SELECT 1 FROM commerce.customer WHERE id = -1"],
     ["SET @a = 1", "USE commerce", "SHOW TABLES"]),
], ids=["table", "keyspace"])
def test_scope(shim, client, second, hold, held, free):
    """A hold stops the statements on what it names, and no others."""
    number = shim.hold(hold)
    for sql in free:
        second.socket.settimeout(5)
        response = second.query(sql)
        assert response.error is None or "KILL" in sql, (sql, response.error)
    for sql in held:
        waiting = Waiting(shim, client, sql)
        stays(lambda: not waiting.answered(), f"held: {sql}", 0.05)
        shim.admin(f"RELEASE {number}")
        client.read_response()
        number = shim.hold(hold)
    shim.admin("RELEASE ALL")
    assert shim.metric("vtshim_parks_total") == len(held)


def test_other_keyspace_is_not_held(shim, client):
    shim.hold("KEYSPACE somewhere_else")
    shim.hold("TABLE somewhere_else.demo")
    passes(client, SELECT, OTHER)


@pytest.mark.parametrize("enter", ["use", "init_db", "login", "shard", "unknown"])
def test_session_in_the_keyspace(shim, enter):
    """A hold knows a session's keyspace however it got there; one without any is held to be safe."""
    database = {"login": "commerce", "shard": "commerce/-80"}.get(enter)
    with Wire(shim.listen) as client:
        client.login(shim.bed.user, shim.bed.password, database)
        if enter == "use":
            passes(client, "USE `commerce`")
        if enter == "init_db":
            assert client.command(wire.COM_INIT_DB, "commerce").error is None
        shim.hold("TABLE commerce.demo")
        waiting = Waiting(shim, client)
        shim.admin("RELEASE ALL")
        client.read_response()
        assert waiting


def test_hold_from_before_the_connection(shim):
    """A client that comes while a hold is on gets in, and its statement waits."""
    shim.hold("TABLE commerce.demo")
    with shim.wire() as client:
        passes(client, OTHER)
        waiting = Waiting(shim, client)
        stays(lambda: not waiting.answered(), "it waits", 0.2)
        shim.admin("RELEASE ALL")
        waiting.answer()


def test_drivers_connect_during_hold_all(shim):
    """What drivers ask at the start waits under HOLD ALL, and the connection comes about afterwards."""
    shim.hold("ALL FOR 1")
    began = time.monotonic()
    with connector(shim) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT 1")
        assert cursor.fetchall() == [(1,)]
    assert time.monotonic() - began > 0.7


def test_transactions_are_not_held(shim, client):
    """A transaction that is open can do its work and end; the next one waits at its first statement."""
    passes(client, "BEGIN", "DELETE FROM demo WHERE id = -620002")
    shim.hold("TABLE commerce.demo")
    passes(client, SELECT, "INSERT INTO demo (id) VALUES (-620002)", "SAVEPOINT s", "ROLLBACK TO s", "ROLLBACK")
    waiting = Waiting(shim, client)
    shim.admin("RELEASE ALL")
    waiting.answer()


def test_transactions_without_autocommit(shim, client):
    """Also one that began with a statement, under autocommit=0."""
    passes(client, "SET autocommit = 0", SELECT)
    shim.hold("TABLE commerce.demo")
    passes(client, SELECT, "COMMIT")
    waiting = Waiting(shim, client)
    shim.admin("RELEASE ALL")
    waiting.answer()
    passes(client, "ROLLBACK")


def test_transaction_under_hold_all(shim, client, second):
    """HOLD ALL lets what is open end, too, but nothing new begin."""
    passes(client, "BEGIN", OTHER)
    shim.hold("ALL")
    passes(client, SELECT, "COMMIT")
    waiting = Waiting(shim, second, "BEGIN")
    shim.admin("RELEASE ALL")
    waiting.answer()
    passes(second, "ROLLBACK")


def test_new_transactions_wait_at_the_table(shim, client, second):
    """One that began after the hold is stopped at its first statement on the table, and goes on in the same
    transaction; one that has touched the table before is not."""
    passes(second, "BEGIN", SELECT)
    shim.hold("TABLE commerce.demo")
    passes(client, "BEGIN", OTHER, "INSERT INTO customer (id) VALUES (-620020)")
    waiting = Waiting(shim, client, "DELETE FROM demo WHERE id = -620020")
    passes(second, SELECT, "COMMIT")
    shim.admin("RELEASE ALL")
    waiting.answer()
    passes(client, "ROLLBACK")
    assert client.value("SELECT count(*) FROM customer WHERE id = -620020") == "0"


def test_new_transactions_of_another_keyspace(shim):
    """HOLD KEYSPACE stops a transaction of a session elsewhere when it comes to that keyspace."""
    with Wire(shim.listen) as client:
        client.login(shim.bed.user, shim.bed.password, None)
        shim.hold("KEYSPACE commerce")
        waiting = Waiting(shim, client, "BEGIN")  # without a target any keyspace is possible
        shim.admin("RELEASE ALL")
        waiting.answer()
        passes(client, "ROLLBACK")


def test_max_wait_in_a_transaction(shim, client):
    """The statement gets 1205, the transaction is kept: its client may go on, or roll back."""
    shim.hold("TABLE commerce.demo MAX_WAIT 0.3")
    passes(client, "DELETE FROM customer WHERE id = -620021", "BEGIN", "INSERT INTO customer (id) VALUES (-620021)")
    assert client.query(SELECT).error.code == 1205
    passes(client, OTHER, "COMMIT")
    assert client.value("SELECT count(*) FROM customer WHERE id = -620021") == "1"
    passes(client, "DELETE FROM customer WHERE id = -620021")


WRITE = "DELETE FROM demo WHERE id = -620022"
DDL = "ALTER TABLE demo_that_is_not_there ADD COLUMN x int"


@pytest.mark.parametrize("hold, held, free", [
    ("TABLE commerce.demo ONLY WRITES", [WRITE], [SELECT, OTHER, "SHOW TABLES"]),
    ("TABLE commerce.demo ONLY READS", [SELECT], [WRITE, OTHER]),
    ("TABLE commerce.demo ONLY TRANSACTIONS", [], [SELECT, WRITE]),
    ("ALL ONLY TRANSACTIONS", ["BEGIN", "START TRANSACTION"], [SELECT, WRITE, "SET @a = 1"]),
    ("ALL ONLY READS, WRITES", [SELECT, WRITE, "BEGIN"], ["SET @a = 1", "SHOW TABLES", "USE commerce"]),
    ("KEYSPACE commerce ONLY DDL", [DDL], [SELECT, WRITE, "BEGIN", "ROLLBACK"]),
], ids=["writes", "reads", "transactions-of-a-table", "transactions", "reads-writes", "ddl"])
def test_kinds(shim, client, second, hold, held, free):
    """ONLY limits a hold to kinds of statement."""
    number = shim.hold(hold)
    passes(second, *free)
    for sql in held:
        waiting = Waiting(shim, client, sql)
        stays(lambda: not waiting.answered(), f"held: {sql}", 0.05)
        shim.admin(f"RELEASE {number}")
        error = client.read_response().error
        assert error is None or sql == DDL and error.code == 1146, error
        passes(client, "ROLLBACK")
        number = shim.hold(hold)


def test_transactions_under_a_hold_of_writes(shim, client):
    """Nobody knows what a transaction will do: one that is new waits, whatever it begins with."""
    shim.hold("TABLE commerce.demo ONLY WRITES")
    passes(client, "BEGIN", OTHER)
    waiting = Waiting(shim, client, SELECT)
    shim.admin("RELEASE ALL")
    waiting.answer()
    passes(client, "ROLLBACK")


def test_vtgate_scope(shim, bed, client):
    """HOLD VTGATE stops the sessions of one vtgate, and no others."""
    passes(client, SELECT)
    ours = shim.admin("SHOW SESSIONS")[0]["vtgate"]
    other, = (name for name in bed.endpoints if name != ours)
    shim.hold(f"VTGATE '{other}'")
    passes(client, SELECT, "BEGIN", "COMMIT")
    number = shim.hold(f"VTGATE '{ours}'")
    waiting = Waiting(shim, client, "SHOW TABLES")
    assert {row["scope"] for row in shim.admin("SHOW HOLDS")} == {f"vtgate {name}" for name in bed.endpoints}
    shim.admin(f"RELEASE {number}")
    waiting.answer()
    with pytest.raises(pymysql.Error) as unknown:
        shim.hold("VTGATE 'nowhere:1'")
    assert unknown.value.args[0] == 1105 and "nowhere:1" in unknown.value.args[1]


@pytest.mark.parametrize("capabilities", [BASIC, BASIC | DEPRECATE_EOF], ids=["eof", "deprecate-eof"])
def test_prepared_statements(shim, capabilities):
    """COM_STMT_EXECUTE is held by what was prepared, with its parameters and long data kept."""
    with shim.wire(capabilities) as client:
        held = client.prepare("SELECT count(*), ? FROM demo WHERE id = -1")
        free = client.prepare("SELECT ? FROM customer WHERE id = -1")
        number = shim.hold("TABLE commerce.demo")
        assert client.execute(free, b"x").error is None
        client.send(wire.COM_STMT_SEND_LONG_DATA, held.to_bytes(4, "little") + b"\0\0" + b"in pieces ")
        client.send(wire.COM_STMT_SEND_LONG_DATA, held.to_bytes(4, "little") + b"\0\0" + b"before the hold")
        client.send(wire.COM_STMT_EXECUTE, wire.execute_body(held, (b"",), (0,)))
        until(lambda: shim.parked() == 1, "the execution is parked")
        shim.admin(f"RELEASE {number}")
        response = client.read_response()
        assert response.error is None and response.rows[0].endswith(b"in pieces before the hold")
        # And one that is prepared during a hold, and in SQL.
        shim.hold("TABLE commerce.demo")
        passes(client, "PREPARE p FROM 'SELECT 1'", "EXECUTE p", "DEALLOCATE PREPARE p")
        shim.admin("RELEASE ALL")
        passes(client, f"PREPARE p FROM '{SELECT}'")
        shim.hold("TABLE commerce.demo")
        waiting = Waiting(shim, client, "EXECUTE p")
        shim.admin("RELEASE ALL")
        waiting.answer()


def test_several_statements(shim):
    """One text with a held statement in it is held, and gives all its results afterwards."""
    with shim.wire(BASIC | wire.MULTI_STATEMENTS) as client:
        shim.hold("TABLE commerce.demo")
        client.send(wire.COM_QUERY, f"SELECT 1; {SELECT}; SELECT 3")
        until(lambda: shim.parked() == 1, "it is parked")
        shim.admin("RELEASE ALL")
        response = client.read_response()
        assert response.error is None and len(response.results) == 3


def test_large_statement(shim, client):
    """A statement of 17 MiB is held like any other, and whole afterwards."""
    shim.hold("ALL")
    client.send(wire.COM_QUERY, "SELECT length('" + "x" * (17 << 20) + "')")
    until(lambda: shim.parked() == 1, "it is parked")
    shim.admin("RELEASE ALL")
    response = client.read_response()
    assert response.error is None and wire.text_row(response.rows[0]) == [str(17 << 20).encode()]


def test_pipelined_behind_a_held_statement(shim, client):
    """The order of a connection's commands is kept."""
    shim.hold("TABLE commerce.demo")
    client.send(wire.COM_QUERY, SELECT)
    client.send(wire.COM_QUERY, "SELECT 'second'")
    client.send(wire.COM_PING)
    until(lambda: shim.parked() == 1, "the first is parked")
    shim.admin("RELEASE ALL")
    assert client.read_response().error is None
    assert client.read_response().rows == [b"\x06second"]
    assert client.read_response(wire.COM_PING).error is None


def test_ping_of_another_connection_passes(shim, client):
    """Health checks of pools go on, but for HOLD ALL, which says all."""
    shim.hold("TABLE commerce.demo")
    assert client.command(wire.COM_PING).error is None
    assert client.command(wire.COM_INIT_DB, "commerce").error is None


def test_the_variable_of_a_prepare_that_was_refused(start_shim):
    """What it held counts for that one statement: the next PREPARE FROM asks for its own."""
    told = threading.Event()
    with FakeVtgate({"SELECT @v": [Wait(told), Rows([["SELECT 1"]])], "SELECT @w": [Rows([["SELECT 2"]])]}) as gate:
        shim = start_shim({"vtgate": gate.endpoint, "hold": {"max_wait_ms": 300}})
        with Wire(shim.listen, timeout=15) as client:
            client.login("somebody", "")
            client.send(wire.COM_QUERY, "PREPARE p FROM @v")
            until(lambda: "SELECT @v" in gate.queries, "the shim asks")
            shim.hold("ALL")
            told.set()
            assert client.read_response().error.code == 1205
            shim.admin("RELEASE ALL")
            assert client.query("PREPARE p FROM @w").error is None
        assert "SELECT @w" in gate.queries
