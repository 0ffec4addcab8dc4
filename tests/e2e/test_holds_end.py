"""Holds: how they end, whose they are, what is in their way, and what the operator sees."""

from __future__ import annotations

import threading
import time

import pymysql
import pytest

from lib import wire
from lib.clients import Load
from lib.poll import stays, until
from lib.wire import Wire
from test_holds import OTHER, SELECT, Waiting, client, passes, second


# How it ends.

def test_expiry(shim, client):
    """FOR: the hold ends by itself, and the parked go on."""
    shim.hold("TABLE commerce.demo FOR 1 REASON 'a short one'")
    waiting = Waiting(shim, client)
    assert 0.5 < waiting.answer() < 4
    assert shim.admin("SHOW HOLDS") == []
    assert shim.wait_event("hold_expired")["reason"] == "a short one"


def test_default_expiry(start_shim):
    """Without FOR it is hold.default_ttl_s; more than hold.max_ttl_s is refused."""
    shim = start_shim({"hold": {"default_ttl_s": 2, "max_ttl_s": 5}})
    with shim.wire() as client:
        shim.hold("TABLE commerce.demo")
        assert Waiting(shim, client).answer() < 4
    with pytest.raises(pymysql.Error) as refused:
        shim.hold("ALL FOR 6")
    assert refused.value.args[0] == 1064 and "max_ttl_s" in refused.value.args[1]


def test_release_by_id(shim, client, second):
    """Only the hold with that id ends; a statement that another one concerns goes on waiting."""
    demo = shim.hold("TABLE commerce.demo REASON 'first'")
    customer = shim.hold("TABLE commerce.customer")
    assert demo != customer
    one, two = Waiting(shim, client, SELECT), Waiting(shim, second, OTHER)
    shim.admin(f"RELEASE {demo}")
    one.answer()
    stays(lambda: not two.answered(), "the other still waits", 0.2)
    with pytest.raises(pymysql.Error) as unknown:
        shim.admin(f"RELEASE {demo}")
    assert unknown.value.args[0] == 1094
    shim.admin("RELEASE ALL")
    two.answer()


def test_two_holds_on_one_statement(shim, client):
    """It goes on when the last of them has ended."""
    one, two = shim.hold("TABLE commerce.demo"), shim.hold("ALL")
    waiting = Waiting(shim, client)
    shim.admin(f"RELEASE {one}")
    stays(lambda: not waiting.answered(), "the second hold holds", 0.2)
    shim.admin(f"RELEASE {two}")
    waiting.answer()


def test_max_wait(start_shim):
    """After hold.max_wait_ms: 1205, which applications try again, and the connection works."""
    shim = start_shim({"hold": {"max_wait_ms": 400}})
    with shim.wire() as client:
        number = shim.hold("TABLE commerce.demo REASON 'moving house'")
        for _ in range(2):
            began = time.monotonic()
            error = client.query(SELECT).error
            assert 0.3 < time.monotonic() - began < 3
            assert (error.code, error.state) == (1205, "HY000")
            assert error.text.startswith("Lock wait timeout exceeded") and "moving house" in error.text
            assert str(number) in error.text
        passes(client, OTHER)
        shim.admin("RELEASE ALL")
        passes(client, SELECT)
    assert shim.metric("vtshim_park_timeouts_total") == 2


def test_limits_of_one_hold(shim, client, second):
    """MAX_WAIT and MAX_PARKED of a hold, where those of the configuration are larger."""
    shim.hold("TABLE commerce.demo MAX_WAIT 2.5 MAX_PARKED 1 REASON 'narrow'")
    client.send(wire.COM_QUERY, SELECT)
    until(lambda: shim.parked() == 1, "one is parked")
    row, = shim.admin("SHOW HOLDS")
    assert (float(row["max_wait_s"]), int(row["max_parked"])) == (2.5, 1)
    error = second.query(SELECT).error
    assert (error.code, error.state) == (1205, "HY000") and "narrow" in error.text and "max_parked" in error.text
    error = client.read_response().error
    assert (error.code, error.state) == (1205, "HY000") and "2500 ms" in error.text
    passes(client, OTHER)


def test_max_wait_of_a_prepared_statement(start_shim):
    """The error answers the execution, and the statement lives on."""
    shim = start_shim({"hold": {"max_wait_ms": 300}})
    with shim.wire() as client:
        statement = client.prepare("SELECT count(*), ? FROM demo WHERE id = -1")
        shim.hold("TABLE commerce.demo")
        assert client.execute(statement, 5).error.code == 1205
        shim.admin("RELEASE ALL")
        assert client.execute(statement, 5).error is None


@pytest.mark.threads
def test_max_parked(start_shim):
    """One more than hold.max_parked gets 1205 at once; those who wait are not touched."""
    shim = start_shim({"hold": {"max_parked": 3}})
    clients = [shim.wire() for _ in range(4)]
    shim.hold("TABLE commerce.demo")
    waiting = [Waiting(shim, client) for client in clients[:3]]
    began = time.monotonic()
    error = clients[3].query(SELECT).error
    assert error.code == 1205 and "max_parked" in error.text
    assert time.monotonic() - began < 2
    shim.admin("RELEASE ALL")
    for one in waiting:
        one.answer()
    passes(clients[3], SELECT)
    for client in clients:
        client.close()


@pytest.mark.threads
def test_order(start_shim):
    """First come, first served, on each worker, and paced by hold.release_rate."""
    shim = start_shim({"workers": 1, "hold": {"release_rate": 100}})
    clients = [shim.wire() for _ in range(20)]
    shim.hold("TABLE commerce.demo")
    waiting = [Waiting(shim, client) for client in clients]
    ends: dict[int, float] = {}

    def finish(number: int) -> None:
        waiting[number].answer()
        ends[number] = time.monotonic()

    threads = [threading.Thread(target=finish, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    released = time.monotonic()
    shim.admin("RELEASE ALL")
    for thread in threads:
        thread.join()
    # Vtgate's own time may turn neighbours round; a whole pile that is turned over it cannot explain.
    assert max(ends[n] for n in range(5)) < min(ends[n] for n in range(15, 20)), ends
    assert ends[19] - released > 0.12, "20 sessions at 100 a second"
    for client in clients:
        client.close()


@pytest.mark.threads
def test_newcomers_queue_up(start_shim):
    """While the queue of a released hold is being let through, whoever comes waits behind it, but only once."""
    shim = start_shim({"workers": 1})
    clients = [shim.wire() for _ in range(8)]
    shim.hold("TABLE commerce.demo RATE 10 RAMP 0.01")
    waiting = [Waiting(shim, client) for client in clients[:-1]]
    late = clients[-1]
    shim.admin("RELEASE ALL")
    began = time.monotonic()
    late.send(wire.COM_QUERY, SELECT)
    waiting[0].answer()
    passes(clients[0], SELECT)
    assert time.monotonic() - began < 0.4, "who has waited passes"
    assert not waiting[-1].answered()
    waiting[-1].answer()
    assert late.read_response().error is None
    assert time.monotonic() - began > 0.45, "8 sessions at 10 a second"
    until(lambda: shim.admin("SHOW HOLDS") == [], "the hold is forgotten")
    passes(late, SELECT)
    for client in clients:
        client.close()


def test_client_leaves_while_parked(shim, client, second):
    """It is forgotten, its statement is not run, and the others are served."""
    passes(client, "DELETE FROM demo WHERE id = -620010")
    shim.hold("TABLE commerce.demo")
    Waiting(shim, client, "INSERT INTO demo (id) VALUES (-620010)")
    other = Waiting(shim, second)
    client.close()
    until(lambda: shim.parked() == 1, "one is left")
    until(lambda: shim.metric("vtshim_sessions") == 1, "its session is gone")
    shim.admin("RELEASE ALL")
    other.answer()
    assert second.value("SELECT count(*) FROM demo WHERE id = -620010") == "0"


@pytest.mark.threads
def test_shutdown_while_parked(start_shim):
    """SIGTERM does not wait for a hold to end: the parked are told, and the shim leaves in time."""
    shim = start_shim({"timeouts": {"shutdown_s": 2}})
    with shim.wire() as client:
        shim.hold("ALL")
        Waiting(shim, client, "SELECT 1")
        began = time.monotonic()
        shim.terminate()
        shim.wait(15)
        assert time.monotonic() - began < 8


# Whose it is.

def test_owner_leaves(shim, client):
    """The hold of somebody who takes leave properly stays, for its time."""
    owner = shim.admin_connect()
    with owner.cursor() as cursor:
        cursor.execute("HOLD TABLE commerce.demo FOR 30")
        number = cursor.fetchone()[0]
    owner.close()
    waiting = Waiting(shim, client)
    stays(lambda: not waiting.answered(), "it is held", 0.5)
    shim.admin(f"RELEASE {number}")
    waiting.answer()


def test_owner_gone(shim, client):
    """A hold ends when the connection that set it breaks, unless it is STICKY."""
    owner = shim.admin_connect()
    with owner.cursor() as cursor:
        cursor.execute("HOLD TABLE commerce.customer STICKY")
        cursor.execute("HOLD TABLE commerce.demo REASON 'mine'")
        number = cursor.fetchone()[0]
    waiting = Waiting(shim, client)
    stays(lambda: not waiting.answered(), "it is held", 0.2)
    owner._force_close()
    waiting.answer()
    assert shim.wait_event("hold_owner_gone", hold=number)["reason"] == "mine"
    row, = shim.admin("SHOW HOLDS")
    assert (row["scope"], row["sticky"]) == ("table commerce.customer", "yes")


def test_the_same_hold_again(shim, client):
    """It is renewed: the same id, the new limits, and it belongs to the newest connection. Another user's is another."""
    first, second, other = shim.admin_connect(), shim.admin_connect(), shim.admin_connect(user="another")

    def hold(connection: pymysql.Connection, text: str) -> int:
        with connection.cursor() as cursor:
            cursor.execute(text)
            return int(cursor.fetchone()[0])

    number = hold(first, "HOLD TABLE commerce.demo FOR 5 REASON 'one'")
    assert hold(second, "HOLD TABLE commerce.demo FOR 50 REASON 'two'") == number
    assert hold(second, "HOLD TABLE commerce.demo ONLY READS") != number
    theirs = hold(other, "HOLD TABLE commerce.demo")
    assert theirs != number
    row = next(row for row in shim.admin("SHOW HOLDS") if int(row["id"]) == number)
    assert row["reason"] == "two" and float(row["expires_in_s"]) > 40
    first._force_close()
    waiting = Waiting(shim, client)
    stays(lambda: not waiting.answered(), "the second connection's", 0.2)
    second._force_close()
    until(lambda: len(shim.admin("SHOW HOLDS")) == 1, "only the other user's is left")
    assert not waiting.answered()
    other._force_close()
    waiting.answer()


# Draining.

def test_wait_hold(shim, client, second):
    """WAIT HOLD answers when what is in the way has ended; SHOW HOLD says what that is."""
    passes(client, "BEGIN", SELECT)
    number = shim.hold("TABLE commerce.demo")
    with shim.wire() as third:
        Waiting(shim, second)
        passes(third, "BEGIN", OTHER)  # began after the hold and has not touched the table
        with pytest.raises(pymysql.Error) as late:
            shim.admin(f"WAIT HOLD {number} 0.3")
        assert late.value.args[0] == 1205 and "1 sessions are in the way" in late.value.args[1]
        rows = shim.admin(f"SHOW HOLD {number}")
        assert [(int(row["session"]), row["role"], row["in_transaction"]) for row in rows] == [
            (client.greeting.connection_id, "in the way", "yes"),
            (second.greeting.connection_id, "parked", "no")] or len(rows) == 2 and rows[0]["role"] == "parked", rows
        assert "transaction" in next(row["why"] for row in rows if row["role"] == "in the way")
        threading.Timer(0.4, passes, (client, "COMMIT")).start()
        began = time.monotonic()
        done, = shim.admin(f"WAIT HOLD {number} 20")
        assert 0.3 < time.monotonic() - began < 5 and int(done["parked"]) == 1
        assert [row["role"] for row in shim.admin(f"SHOW HOLD {number}")] == ["parked"]
        passes(third, "ROLLBACK")
    shim.admin("RELEASE ALL")
    second.read_response()
    until(lambda: not shim.admin("SHOW HOLDS"), "the hold has ended, whom it had parked having left")
    for command in (f"WAIT HOLD {number}", f"SHOW HOLD {number}"):
        with pytest.raises(pymysql.Error) as unknown:
            shim.admin(command)
        assert unknown.value.args[0] == 1094


def test_wait_hold_for_a_statement(shim, client):
    """A statement that runs since before the hold is in the way, too."""
    client.send(wire.COM_QUERY, "SELECT sleep(3)")
    until(lambda: shim.admin("SHOW SESSIONS")[0]["state"] == "response", "it runs")
    number = shim.hold("TABLE commerce.demo")
    row, = shim.admin(f"SHOW HOLD {number}")
    assert row["why"] == "statement under way"
    began = time.monotonic()
    shim.admin(f"WAIT HOLD {number}")
    assert time.monotonic() - began > 0.2
    assert client.read_response().error is None


def test_wait_hold_on_a_busy_table(shim, client, second):
    """A hold of transactions lets other statements go on: those that come later are not waited for."""
    stop = threading.Event()

    def keep_busy(one: Wire, delay: float) -> None:
        time.sleep(delay)
        while not stop.is_set():
            passes(one, "SELECT sleep(0.4) AS demo")

    busy = [threading.Thread(target=keep_busy, args=each) for each in ((client, 0), (second, 0.2))]
    for thread in busy:
        thread.start()
    try:
        time.sleep(0.5)
        number = shim.hold("TABLE commerce.demo ONLY TRANSACTIONS")
        began = time.monotonic()
        shim.admin(f"WAIT HOLD {number} 10")
        assert time.monotonic() - began < 5
    finally:
        stop.set()
        for thread in busy:
            thread.join()


@pytest.mark.threads
def test_wait_hold_is_interrupted(shim, client):
    """By KILL QUERY, by the end of the hold, and by its own client's leaving."""
    passes(client, "BEGIN", SELECT)
    number = shim.hold("TABLE commerce.demo FOR 30")
    waiter = shim.admin_connect()
    errors: list[int] = []

    def wait() -> None:
        with waiter.cursor() as cursor:
            for _ in range(2):
                try:
                    cursor.execute(f"WAIT HOLD {number}")
                except pymysql.Error as error:
                    errors.append(error.args[0])

    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(0.3)
    shim.admin(f"KILL QUERY {waiter.thread_id()}")
    until(lambda: errors == [1317], "the first was killed")
    time.sleep(0.3)
    shim.admin(f"RELEASE {number}")
    thread.join()
    assert errors == [1317, 1094]
    waiter.close()
    number = shim.hold("TABLE commerce.demo FOR 30")
    with Wire(shim.admin_address) as leaver:
        leaver.login("sre", "")
        leaver.send(wire.COM_QUERY, f"WAIT HOLD {number}")
        time.sleep(0.2)
    passes(client, "ROLLBACK")
    shim.admin(f"WAIT HOLD {number} 5")


def test_explain_hold(shim, client, second):
    """The preview counts sessions and holds nothing."""
    passes(client, "BEGIN")
    second.prepare("SELECT count(*), ? FROM demo WHERE id = -1")
    with Wire(shim.listen) as elsewhere:
        elsewhere.login(shim.bed.user, shim.bed.password, "commerce/-80")
        preview, = shim.admin("EXPLAIN HOLD TABLE commerce.demo FOR 7 MAX_WAIT 2")
        counts = [int(preview[name]) for name in ("sessions", "matching", "in_transaction", "prepared", "expires_in_s")]
        assert counts == [3, 3, 1, 1, 7] and float(preview["max_wait_s"]) == 2 and preview["renews"] is None
        preview, = shim.admin("EXPLAIN HOLD TABLE somewhere_else.demo")
        assert (int(preview["sessions"]), int(preview["matching"]), int(preview["prepared"])) == (3, 0, 0)
        preview, = shim.admin("EXPLAIN HOLD KEYSPACE commerce ONLY WRITES, DDL")
        assert (int(preview["matching"]), int(preview["prepared"]), preview["kinds"]) == (3, 0, "writes, ddl")
    passes(second, SELECT)
    assert shim.admin("SHOW HOLDS") == [] and shim.metric("vtshim_parks_total") == 0
    number = shim.hold("ALL FOR 5")
    assert int(shim.admin("EXPLAIN HOLD ALL")[0]["renews"]) == number
    passes(client, "ROLLBACK")


# What the operator sees.

def test_show_holds(shim, client):
    """Scope, reason, owner, who is parked behind it; and the log."""
    number = shim.hold("TABLE commerce.demo FOR 30 REASON 'it''s \"quoted\"'")
    Waiting(shim, client)
    hold, = shim.admin("SHOW HOLDS")
    assert int(hold["id"]) == number and hold["scope"] == "table commerce.demo"
    assert hold["reason"] == "it's \"quoted\"" and hold["owner"].startswith("sre@")
    assert int(hold["parked"]) == 1 and 0 < float(hold["expires_in_s"]) <= 30
    session, = shim.admin("SHOW SESSIONS")
    assert session["state"] == "parked" and str(number) in session["waits_for"]
    assert shim.events("hold_set", hold=number) and shim.metric("vtshim_holds") == 1
    shim.admin("RELEASE ALL")
    client.read_response()
    assert shim.admin("SHOW HOLDS") == [] and shim.wait_event("hold_released", hold=number)
    assert shim.metric("vtshim_park_wait_seconds_total") > 0


def test_load_during_a_hold(start_shim):
    """The promise to the operators: under steady load of 2 x 16 connections, a fifth of it transactions, HOLD
    TABLE for 3 s makes statements on that table wait; no error anywhere, and the other table's do not wait."""
    shim = start_shim()
    with Load(shim.dsn(), 6) as running:
        until(lambda: shim.metric("vtshim_commands_total") > 300, "the load runs")
        number = shim.hold("TABLE commerce.demo FOR 20")
        held_since = time.monotonic()
        until(lambda: shim.parked() == 16, "all 16 connections of the table are parked", 3)
        while time.monotonic() - held_since < 3:
            time.sleep(0.02)
        shim.admin(f"RELEASE {number}")
        report = running.report()
    assert report["error_count"] == 0, report["errors"]
    demo, customer = report["tables"]["demo"], report["tables"]["customer"]
    first_of_all = max(demo["kinds"]["statement"]["max_ms"], demo["kinds"]["begin"]["max_ms"],
                       demo["kinds"]["in_transaction"]["max_ms"])
    assert first_of_all > 2500, "nothing waited for the hold"
    assert demo["longest_stall_ms"] > 1500, demo["longest_stall_ms"]
    assert max(kind["max_ms"] for kind in customer["kinds"].values()) < 1500, customer["slow"][:5]
    assert customer["longest_stall_ms"] < 1000
    assert customer["operations"] > 500
    assert shim.metric("vtshim_parks_total") >= 16 and shim.metric("vtshim_park_timeouts_total") == 0
