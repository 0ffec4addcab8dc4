"""What vtgate refuses and the shim does itself: KILL, COM_CHANGE_USER, COM_STATISTICS, compression."""

from __future__ import annotations

import socket
import struct
import time

import pymysql
import pytest

import fake_vtgate
from fake_vtgate import FakeVtgate
from lib import wire
from lib.clients import connector, go_ddl, mariadb, mariadb_through
from lib.poll import until
from lib.wire import Wire


@pytest.mark.threads
def test_kill_an_idle_session(shim):
    """KILL with the id from the victim's greeting, of a session that may be on the other vtgate."""
    with shim.connect() as killer, killer.cursor() as cursor:
        for _ in range(4):
            with shim.wire() as victim:
                assert cursor.execute(f"KILL {victim.greeting.connection_id}") == 0
                with pytest.raises((wire.ConnectionEnded, ConnectionError)):
                    while True:
                        victim.read(1)
        until(lambda: shim.metric("vtshim_sessions") == 1, "the victims are gone")
        cursor.execute("SELECT 1")


def test_kill_nobody(shim):
    with shim.connect() as killer, killer.cursor() as cursor:
        with pytest.raises(pymysql.Error) as unknown:
            cursor.execute("KILL 4000000000")
        assert unknown.value.args[0] == 1094
        cursor.execute("SELECT 1")


@pytest.mark.threads
def test_kill_query_of_a_parked_statement(shim):
    """KILL QUERY ends the wait behind a hold: 1317, the statement is not run, the connection is kept."""
    shim.hold("TABLE commerce.demo")
    with shim.wire() as victim, shim.connect() as killer, killer.cursor() as cursor:
        victim.send(wire.COM_QUERY, "INSERT INTO demo (id) VALUES (-626000)")
        until(lambda: shim.parked() == 1, "it is parked")
        cursor.execute(f"KILL QUERY {victim.greeting.connection_id}")
        assert victim.read_response().error.code == 1317
        shim.admin("RELEASE ALL")
        assert victim.value("SELECT count(*) FROM demo WHERE id = -626000") == "0"


@pytest.mark.threads
def test_kill_a_session_at_work(shim):
    """KILL ends a connection whose statement runs."""
    with shim.wire() as victim, shim.connect() as killer, killer.cursor() as cursor:
        victim.send(wire.COM_QUERY, "SELECT sleep(30)")
        until(lambda: any(row["state"] == "response" for row in shim.admin("SHOW SESSIONS")), "the statement is under way")
        began = time.monotonic()
        cursor.execute(f"KILL CONNECTION {victim.greeting.connection_id}")
        with pytest.raises((wire.ConnectionEnded, ConnectionError)):
            while True:
                victim.read(1)
        assert time.monotonic() - began < 5


def test_change_user(shim, bed):
    """COM_CHANGE_USER: a fresh login behind the same connection; a wrong password ends it as in MySQL."""
    with connector(shim) as connection:
        cursor = connection.cursor()
        cursor.execute("SET @before = 1")
        connection.cmd_change_user(bed.user, bed.password, bed.keyspace)
        cursor = connection.cursor()
        cursor.execute("SELECT database(), @before")
        assert cursor.fetchall() == [(bed.keyspace, None)]
    with connector(shim) as connection, pytest.raises(Exception) as refused:
        connection.cmd_change_user(bed.user, "quite-another-one")
    assert "1045" in str(refused.value) or "Access denied" in str(refused.value)
    shim.secret("quite-another-one")


def change_user_packet(client: Wire, bed) -> bytes:
    auth = wire.native_password(bed.password, client.greeting.salt)
    payload = (bytes([wire.COM_CHANGE_USER]) + bed.user.encode() + b"\0" + bytes([len(auth)]) + auth + bed.keyspace.encode()
               + b"\0" + struct.pack("<H", 45) + b"mysql_native_password\0")
    return len(payload).to_bytes(3, "little") + b"\0" + payload


def test_pipelined_behind_change_user(start_shim):
    """It is no part of the login: it waits for its end, and is looked at like any other command."""
    shim = start_shim({"ddl": {"control_users": ["nobody"]}})
    with shim.wire(timeout=10) as client:
        control = b"\x03ALTER VITESS_MIGRATION '9748c3b7_7fdb_11eb_ac2c_f875a4d24e90' CANCEL"
        client.socket.sendall(change_user_packet(client, shim.bed) + len(control).to_bytes(3, "little") + b"\0" + control)
        client.sequence = 1
        client._authenticate(shim.bed.password)
        client._answers.append(1)
        assert client.read_response().error.code == 1227
        assert client.value("SELECT 1") == "1"


def test_change_user_in_two_pieces(shim):
    with shim.wire(timeout=10) as client:
        packet = change_user_packet(client, shim.bed)
        client.socket.sendall(packet[:12])
        time.sleep(0.3)
        client.socket.sendall(packet[12:])
        client.sequence = 1
        client._authenticate(shim.bed.password)
        assert client.value("SELECT 1") == "1"


class NoChangeUser(FakeVtgate):
    """Refuses COM_CHANGE_USER as vtgate does, and keeps the first line of each connection if it is a PROXY header."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.headers: list[bytes] = []

    def note_header(self, connection: socket.socket) -> socket.socket:
        header = b""
        while not header.endswith(b"\n"):
            header += connection.recv(1)
        self.headers.append(header)
        return connection

    def _command(self, client: fake_vtgate.Client, payload: bytes) -> None:
        if payload[0] == wire.COM_CHANGE_USER:
            return fake_vtgate.Err(1047, "command handling not implemented yet: 17", "08S01").run(client)
        return super()._command(client, payload)


CHANGE_USER = b"\x11other\0\0\x21\0mysql_native_password\0"


def test_the_old_login_is_forgotten(start_shim):
    """What was open there is rolled back: while the client is at its challenge the session is in nobody's way."""
    def begin(sql: str) -> list | None:
        return [Begin()] if sql == "BEGIN" else None

    with NoChangeUser(begin) as gate:
        shim = start_shim({"vtgate": gate.endpoint})
        with Wire(shim.listen, timeout=15) as client:
            client.login("somebody", "")
            assert client.query("BEGIN").status & wire.SERVER_STATUS_IN_TRANS
            assert shim.admin("SHOW SESSIONS")[0]["in_transaction"] == "yes"
            client.send_packet(CHANGE_USER, 0)
            assert client.read_packet()[0] == 0xFE
            row = shim.admin("SHOW SESSIONS")[0]
            assert row["state"] == "login" and row["in_transaction"] == "no", row
            client.send_packet(b"")
            assert client.read_packet()[0] == 0


class Begin(fake_vtgate.Action):
    def run(self, client: fake_vtgate.Client) -> None:
        client.status |= wire.SERVER_STATUS_IN_TRANS
        fake_vtgate.Ok().run(client)


def test_the_address_of_the_new_login(start_shim):
    """vtgate is told the address from the balancer's header again, not the balancer's own."""
    with NoChangeUser() as gate:
        gate.wrap = gate.note_header
        shim = start_shim({"vtgate": gate.endpoint, "proxy_protocol": {"from": ["127.0.0.1"], "to_vtgate": "v1"}})
        with Wire(shim.listen, timeout=15) as client:
            client.socket.sendall(b"PROXY TCP4 192.0.2.7 192.0.2.8 1111 2222\r\n")
            client.login("somebody", "")
            client.send_packet(CHANGE_USER, 0)
            client._authenticate("")
            assert client.query("SELECT 1").error is None
    assert [header for header in gate.headers if b"192.0.2.7" in header] == gate.headers[-2:], gate.headers


@pytest.mark.parametrize("autocommit", ["0", "1"])
def test_status_after_a_reset(shim, autocommit):
    """vtgate answers COM_RESET_CONNECTION without flags; its session's autocommit stays as it was, which is what the
    shim's own answers say, too."""
    with shim.wire() as client, shim.wire() as other:
        assert client.query(f"SET autocommit = {autocommit}").error is None
        assert client.command(wire.COM_RESET_CONNECTION).error is None
        own = client.query(f"KILL QUERY {other.greeting.connection_id}")
        assert own.status == (wire.SERVER_STATUS_AUTOCOMMIT if autocommit == "1" else 0)
        assert client.value("SELECT @@autocommit") == autocommit


def test_statistics(shim):
    with shim.wire() as client:
        client.send(wire.COM_STATISTICS)
        client.sequence = client._answers.popleft()
        assert b"Uptime" in client.read_packet()
        assert client.value("SELECT 1") == "1"


def test_compression(shim):
    """Clients that ask for the compressed protocol get it: large and small, both ways."""
    text = "compress me " * 4_000
    with connector(shim, compress=True) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT %s, length(%s)", (text, text))
        assert cursor.fetchall() == [(text, len(text))]
    done = mariadb_through(shim, f"SELECT length('{'u' * 1_000_000}'), repeat('z', 20000000);", "--compress", "-N", "-B",
                           "--max-allowed-packet=100M")
    assert done.out == "1000000\t" + "z" * 20_000_000 + "\n", done.err[-300:]
    answer, = go_ddl(shim.dsn(compress="true"), "SELECT repeat('g', 20000000)")
    assert answer["rows"] == [["g" * 20_000_000]]


def test_compressed_large_packets(shim):
    """A statement of more than one packet, which MariaDB's library numbers 0 and 0; and results of which
    connector/python reads two frames a packet at most."""
    done = mariadb_through(shim, f"SELECT length('{'v' * 17_000_000}');", "--compress", "-N", "-B",
                           "--max-allowed-packet=100M")
    # vtgate's limit for one statement is 16 MiB; it is vtgate that says so, and the connection lives.
    straight = mariadb(shim.bed.gates[0], shim.bed.user, shim.bed.password, f"SELECT length('{'v' * 17_000_000}');",
                       "-N", "-B", "--max-allowed-packet=100M", database=shim.bed.keyspace)
    assert (done.out, done.err) == (straight.out, straight.err)
    with connector(shim, compress=True) as connection:
        cursor = connection.cursor()
        for size in (300_000, 1_000_000, 16_777_000):
            cursor.execute(f"SELECT repeat('p', {size})")
            assert cursor.fetchall() == [("p" * size,)]


def test_no_compression_unless_asked_for(shim):
    """A client that does not ask for it is not compressed."""
    with Wire(shim.listen) as client:
        client.login(shim.bed.user, shim.bed.password)
        assert b"plainplainplain" in client.query("SELECT repeat('plain', 1000)").raw
