"""When something breaks: clients get an error or the end of the connection, never a hang, and nobody else
notices. The faults a real vtgate cannot be made to show come from the fake one."""

from __future__ import annotations

import socket
import threading
import time

import pymysql
import pytest

import fake_vtgate
from fake_vtgate import Bytes, Die, FakeVtgate, Leave, Rows, Wait, numbers
from lib import wire
from lib.poll import stays, until
from lib.vtgate import Vtgate
from lib.wire import BASIC, DEPRECATE_EOF, ConnectionEnded, Wire
from test_passthrough import BIG_RESULT

ENDED = (ConnectionEnded, ConnectionResetError, BrokenPipeError)


def fake_client(shim, **options) -> Wire:
    client = Wire(shim.listen, **options)
    client.login("somebody", "anything")
    return client


@pytest.mark.parametrize("death", [Die, Leave])
def test_vtgate_dies_in_the_middle_of_a_result(start_shim, death):
    """The client sees the connection end after what had come, as straight on vtgate."""
    with FakeVtgate({"broken": [Rows(numbers(5000), cut=True), death()]}) as gate:
        shim = start_shim({"vtgate": gate.endpoint})
        with fake_client(shim) as client:
            began = time.monotonic()
            with pytest.raises(ENDED):
                client.query("broken")
            assert time.monotonic() - began < 5
        with fake_client(shim) as client:
            assert client.query("SELECT 1").error is None
    until(lambda: shim.metric("vtshim_sessions") == 0, "no session is left")


def test_vtgate_dies_between_commands(start_shim):
    """An idle client is told by the end of its connection, at once."""
    with FakeVtgate() as gate:
        shim = start_shim({"vtgate": gate.endpoint})
        client = fake_client(shim)
        assert client.query("SELECT 1").error is None
    with pytest.raises(ENDED):
        client.read(1)
    client.close()


def test_real_vtgate_killed(start_shim, bed):
    """A real vtgate is killed under a running statement; its clients' connections end, and new ones go to
    the vtgate that is left."""
    with Vtgate(bed) as victim:
        shim = start_shim({"vtgate": [victim.endpoint, bed.endpoints[0]], "control": {"check_interval_ms": 200}})
        clients = [shim.wire() for _ in range(4)]
        for number, client in enumerate(clients):
            # Equal statements at the same time are one for a tablet.
            client.send(wire.COM_QUERY, f"SELECT sleep(2), {number}")
        until(lambda: sum("response" in str(row) for row in shim.admin("SHOW SESSIONS")) == 4,
              "four statements are under way")
        victim.stop(kill=True)
        ended = 0
        for client in clients:
            try:
                assert client.read_response().error is None
            except ENDED:
                ended += 1
            client.close()
        assert ended == 2, "half of the clients were on the killed vtgate"
        for _ in range(6):
            assert shim.run("SELECT 1 AS one") == [{"one": 1}]


def test_vtgate_speaks_out_of_turn(start_shim):
    """A server that breaks the protocol does not break the shim."""
    with FakeVtgate({"nonsense": [Bytes(b"\x01\x00\x00\x55\x00" * 3), Leave()],
                     "empty": [Bytes(b"\x00\x00\x00\x01"), Leave()],
                     "half": [Bytes(b"\xff\xff\xff\x01" + b"x" * 1000), Leave()]}) as gate:
        shim = start_shim({"vtgate": gate.endpoint})
        for text in gate.scripts:
            with fake_client(shim, timeout=5) as client, pytest.raises(ENDED):
                client.send(wire.COM_QUERY, text)
                while True:
                    client.read(1)
        with fake_client(shim) as client:
            assert client.query("SELECT 1").error is None


def test_client_vanishes_in_the_middle_of_a_result(shim):
    """Its vtgate connection is closed too; memory and descriptors come back."""
    for _ in range(5):
        client = shim.wire()
        client.query("SET workload = 'olap'")
        client.send(wire.COM_QUERY, BIG_RESULT)
        client.read(1000)
        client.close()
    until(lambda: shim.metric("vtshim_sessions") == 0, "the sessions are gone")
    assert shim.run("SELECT 1 AS one") == [{"one": 1}]


def test_client_vanishes_while_vtgate_works(shim, bed):
    """A client that leaves during a long statement takes its vtgate connection with it."""
    client = shim.wire()
    client.send(wire.COM_QUERY, "SELECT sleep(20)")
    until(lambda: shim.metric("vtshim_commands_total") == 1, "the statement is under way")
    client.close()
    until(lambda: shim.metric("vtshim_sessions") == 0, "the session is gone", 5)


def test_client_vanishes_in_the_middle_of_a_command(shim):
    """Half a packet, then nothing."""
    client = shim.wire()
    client.socket.sendall(b"\xff\xff\x00\x00\x03SELECT 'half of")
    client.close()
    until(lambda: shim.metric("vtshim_sessions") == 0, "the session is gone", 5)


def test_half_closed_client(shim):
    """A client that shuts down its sending side after a command: no session is left behind."""
    with shim.wire() as client:
        client.send(wire.COM_QUERY, "SELECT 1")
        client.socket.shutdown(socket.SHUT_WR)
        with pytest.raises(ENDED):
            while True:
                client.read(1)
    until(lambda: shim.metric("vtshim_sessions") == 0, "the session is gone", 5)


def test_slow_reader_gets_everything(start_shim):
    """A client that reads nothing for a while, of a 100 MB result: reading from vtgate stops (memory stays
    small), other clients are served, and in the end every byte is there."""
    rows, width = 2_000, 50_000
    with FakeVtgate({"big": [Rows(numbers(rows, width))]}) as gate:
        shim = start_shim({"vtgate": gate.endpoint, "workers": 1})
        slow = fake_client(shim, receive_buffer=65536)
        before = shim.resident_kib()
        slow.send(wire.COM_QUERY, "big")
        until(lambda: shim.metric("vtshim_bytes_from_vtgate_total") > 300_000, "the result has begun")

        relayed = settled(lambda: shim.metric("vtshim_bytes_from_vtgate_total"))
        assert relayed < 30_000_000, "reading from vtgate goes on although nobody takes the result"
        grown = shim.resident_kib() - before
        assert grown < 16 * 1024, f"memory has grown by {grown} KiB"
        with fake_client(shim) as other:
            assert other.query("SELECT 1").error is None

        response = slow.read_response()
        assert len(response.rows) == rows and response.rows[-1].endswith(str(rows - 1).rjust(width, "0").encode())
        assert slow.query("SELECT 1").error is None
        slow.close()


@pytest.mark.parametrize("script, commands, size", [("answers late", 60, 1_000_000), ("reads late", 1, 60_000_000)])
def test_eager_sender_waits(start_shim, script, commands, size):
    """60 MB of commands sent at once behind one that takes its time, or in one that vtgate does not read: reading from
    the client stops, memory stays small, others are served, and in the end each is answered."""
    go_on, done = threading.Event(), Rows([["done"]])
    with FakeVtgate({"answers late": [Wait(go_on), done], "reads late": [done, Wait(go_on)]}) as gate:
        shim = start_shim({"vtgate": gate.endpoint, "workers": 1, "limits": {"max_inspect_bytes": 65536}})
        with fake_client(shim) as client, fake_client(shim) as other:
            before = shim.resident_kib()
            client.send(wire.COM_QUERY, script)
            if script == "reads late":
                assert client.read_response().rows == [b"\x04done"]
            command = framed(b"\x03/*" + b"c" * size + b"*/ SELECT 1")
            sender = threading.Thread(target=client.socket.sendall, args=(commands * command,), daemon=True)
            sender.start()
            taken = settled(lambda: shim.metric("vtshim_bytes_from_clients_total"))
            assert taken < 10_000_000, "the client is read although nobody takes what it sends"
            assert shim.resident_kib() - before < 8 * 1024
            assert other.query("SELECT 1").error is None
            go_on.set()
            if script == "answers late":
                assert client.read_response().rows == [b"\x04done"]
            for _ in range(commands):
                client._answers.append(1 + size // 0xFFFFFF)
                assert client.read_response().error is None
            sender.join()


def framed(payload: bytes) -> bytes:
    """In as many packets as it takes."""
    most, packets = 0xFFFFFF, b""
    for number, at in enumerate(range(0, len(payload) + 1, most)):
        piece = payload[at:at + most]
        packets += len(piece).to_bytes(3, "little") + bytes([number]) + piece
    return packets


def settled(ask) -> float:
    """A counter's value once it has stopped changing for half a second."""
    last, since = ask(), time.monotonic()
    while time.monotonic() - since < 0.5:
        now = ask()
        if now != last:
            last, since = now, time.monotonic()
        time.sleep(0.05)
    return last


def test_slow_sender(shim):
    """vtgate waits for a statement that takes its time; others do not."""
    with shim.wire() as slow, shim.wire() as other:
        text = b"\x03SELECT '" + b"s" * 300_000 + b"'"
        packet = len(text).to_bytes(3, "little") + b"\0" + text
        for at in range(0, len(packet), 50_000):
            slow.socket.sendall(packet[at:at + 50_000])
            assert other.value("SELECT 2") == "2"
        slow._answers.append(1)
        assert len(slow.read_response().rows[0]) > 300_000


def test_statement_larger_than_looked_into(start_shim):
    """Past limits.max_inspect_bytes a statement streams through, and the counter tells."""
    shim = start_shim({"limits": {"max_inspect_bytes": 65536}})
    with shim.wire() as client:
        assert client.value("/*" + "c" * 200_000 + "*/ SELECT 'commented'") == "commented"
    assert shim.metric("vtshim_uninspected_statements_total") >= 1


def test_more_is_looked_into_from_now_on(start_shim):
    """limits.max_inspect_bytes, raised: a session that is older than that gets room for it."""
    shim = start_shim({"limits": {"max_inspect_bytes": 65536}})
    with shim.wire(BASIC | DEPRECATE_EOF | wire.MULTI_STATEMENTS) as client:
        assert client.value("SELECT 1") == "1"
        shim.admin("SET limits.max_inspect_bytes = 16777216")
        assert client.value(f"SELECT length('{'x' * 3_000_000}')") == "3000000"


def test_delayed_answer(start_shim):
    """The shim has no time limit of its own for a statement."""
    go_on = threading.Event()
    with FakeVtgate({"slow": [Wait(go_on), Rows([["done"]])]}) as gate:
        shim = start_shim({"vtgate": gate.endpoint, "timeouts": {"connect_ms": 200, "login_ms": 300}})
        with fake_client(shim) as client:
            client.send(wire.COM_QUERY, "slow")
            stays(lambda: shim.metric("vtshim_sessions") == 1, "the session waits", 1.0)
            go_on.set()
            assert client.read_response().rows == [b"\x04done"]


def test_idle_timeout(start_shim):
    """timeouts.idle_s closes sessions that do nothing, and no others."""
    shim = start_shim({"timeouts": {"idle_s": 1}})
    with shim.wire() as idle, shim.wire() as busy:
        busy.send(wire.COM_QUERY, "SELECT sleep(2.5)")
        began = time.monotonic()
        with pytest.raises(ENDED):
            # vtgate's way of saying so is an ERR packet; the end has to come in any case.
            while True:
                idle.read(1)
        assert 0.5 < time.monotonic() - began < 5
        assert busy.read_response().error is None


@pytest.mark.parametrize("capabilities", [BASIC, BASIC | DEPRECATE_EOF])
def test_error_in_the_middle_of_a_result(start_shim, capabilities):
    """An ERR packet among the rows ends the result, and the connection lives on."""
    with FakeVtgate({"rows then error": [Rows(numbers(100), cut=True), fake_vtgate.Err(1317, "interrupted", "70100")]}
                    ) as gate:
        shim = start_shim({"vtgate": gate.endpoint})
        with Wire(shim.listen) as client:
            client.login("somebody", "anything", capabilities=capabilities)
            response = client.query("rows then error")
            assert response.error.code == 1317 and len(response.rows) == 100
            assert client.query("SELECT 1").error is None


def test_a_look_up_that_ends_with_the_shim(start_shim):
    """COMPLETE MIGRATION whose look-up is answered when the shim is on its way out: nothing more is asked, and it ends as it should."""
    go_on = threading.Event()
    found = Rows([["f00d", "running", "-80"]], ("migration_uuid", "migration_status", "shard"))

    def answer(sql: str) -> list | None:
        return [Wait(go_on), found] if sql.startswith("SHOW VITESS_MIGRATIONS FROM `commerce` LIKE 'f00d'") else None

    with FakeVtgate(answer) as gate:
        shim = start_shim({"vtgate": gate.endpoint, "control": {"user": "control"}})
        ended = []

        def complete() -> None:
            with pytest.raises(pymysql.Error) as error:
                shim.admin("COMPLETE MIGRATION 'f00d' IN commerce")
            ended.append(error.value.args)

        thread = threading.Thread(target=complete)
        thread.start()
        until(lambda: any("f00d" in sql for sql in gate.queries), "it is looked for")
        shim.terminate()
        shim.wait_event("shutdown")
        stays(lambda: shim.process.poll() is None, "it waits for the answer", 0.5)
        go_on.set()
        thread.join(10)
        assert shim.wait() == 0 and len(ended) == 1
        assert not any("COMPLETE" in sql for sql in gate.queries)


def test_a_client_leaves_while_its_keyspace_is_looked_for(start_shim):
    """ddl.on_disconnect=cancel, a session without a keyspace, three of them: the search goes on, and the one that has it is told."""
    go_on = threading.Event()
    uuid = "a0a0a0a0_0000_11f0_8000_000000000001"
    scripts = {"SELECT @@ddl_strategy, @@migration_context": [Rows([["direct", ""]], ("a", "b"))],
               "ALTER TABLE moved ADD COLUMN c int": [Rows([[uuid]])],
               "SHOW KEYSPACES": [Rows([["one"], ["two"], ["three"]])]}

    def answer(sql: str) -> list | None:
        if sql.startswith("SHOW VITESS_MIGRATIONS FROM `one`"):
            return [Wait(go_on), Rows([])]
        if sql.startswith("SHOW VITESS_MIGRATIONS FROM `t"):
            return [Rows([[uuid]] if "`three`" in sql else [])]
        return scripts.get(sql)

    with FakeVtgate(answer) as gate:
        shim = start_shim({"vtgate": gate.endpoint, "ddl": {"on_disconnect": "cancel"}})
        client = fake_client(shim)
        client.send(wire.COM_QUERY, "ALTER TABLE moved ADD COLUMN c int")
        until(lambda: any("FROM `one`" in sql for sql in gate.queries), "it is looked for", 10)
        client.close()
        time.sleep(0.3)
        go_on.set()
        shim.wait_event("ddl_cancelled")
        at = gate.queries.index(f"ALTER VITESS_MIGRATION '{uuid}' CANCEL")
        assert gate.queries[at - 1].lower() == "use `three`"
