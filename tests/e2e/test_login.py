"""Whoever may log in to vtgate may log in through the shim, which knows no password; and whoever may
not gets vtgate's own words."""

from __future__ import annotations

import socket
import struct
import time
from contextlib import suppress

import pymysql
import pytest

import fake_vtgate
from fake_vtgate import FakeVtgate
from lib import wire
from lib.clients import connector, go_ddl, mariadb, mariadb_through
from lib.poll import until
from lib.ports import free_port
from lib.wire import BASIC, DEPRECATE_EOF, ConnectionEnded, Greeting, Wire, WireError


def test_pymysql(shim):
    with shim.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT database(), 1 + 1")
        assert cursor.fetchall() == ((shim.bed.keyspace, 2),)


def test_connector(shim):
    with connector(shim) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT database()")
        assert cursor.fetchall() == [(shim.bed.keyspace,)]


def test_mariadb(shim):
    done = mariadb_through(shim, "SELECT database() AS d", "-B", "-N")
    assert (done.status, done.out.strip(), done.err) == (0, shim.bed.keyspace, "")


def test_go(shim):
    assert go_ddl(shim.dsn(), "SELECT database()")[0]["rows"] == [[shim.bed.keyspace]]


@pytest.mark.parametrize("login", [
    {"password": "not-the-password"},
    {"password": ""},
    {"user": "nobody-of-that-name"},
    {"user": "", "password": ""},
    {"database": "nosuchkeyspace"},
], ids=["wrong", "empty", "unknown-user", "no-user", "unknown-database"])
def test_refused_as_by_vtgate(shim, bed, login):
    """The same code and the same text as straight on vtgate: 1045, or 1049 for the database."""
    with pytest.raises(pymysql.Error) as straight:
        bed.connect(**login)
    with pytest.raises(pymysql.Error) as through:
        shim.connect(**login)
    assert through.value.args == straight.value.args
    assert through.value.args[0] == (1049 if "database" in login else 1045)
    assert shim.metric("vtshim_logins_failed_total") == 1
    assert shim.run("SELECT 1 AS one") == [{"one": 1}]


@pytest.mark.parametrize("compression", [True, False])
def test_greeting_is_vtgates(start_shim, bed, compression):
    """The greeting is vtgate's own but for the salt, the connection id, and the transport, which the shim does."""
    shim = start_shim({"compression": compression})
    with Wire(bed.gates[0]) as straight, shim.wire(login=False) as through:
        theirs, ours = straight.read_greeting(), through.read_greeting()
    for field in ("version", "charset", "status", "salt_length", "reserved", "plugin"):
        assert getattr(ours, field) == getattr(theirs, field), field
    assert len(ours.payload) == len(theirs.payload)
    transport = wire.SSL | ((wire.COMPRESS | wire.ZSTD) if compression else 0)
    assert ours.capabilities & ~transport == theirs.capabilities & ~transport


def test_connection_ids(shim):
    """They are unique although two vtgates count for themselves, and are the ids that SHOW SESSIONS has."""
    clients = [shim.wire() for _ in range(8)]
    ids = [client.greeting.connection_id for client in clients]
    assert len(set(ids)) == 8
    assert sorted(int(row["id"]) for row in shim.admin("SHOW SESSIONS")) == sorted(ids)
    for client in clients:
        client.close()


def test_each_login_has_its_own_salt(shim):
    salts = set()
    for _ in range(5):
        with shim.wire(login=False) as client:
            salts.add(client.read_greeting().salt)
    assert len(salts) == 5


@pytest.mark.parametrize("answer", [b"", bytes(32), b"\x01"], ids=["nothing", "sha2", "short"])
def test_auth_switch(shim, bed, answer):
    """A client with another default plugin is asked to switch, as by vtgate, and gets in."""
    for address in (bed.gates[0], shim.listen):
        with Wire(address) as client:
            client.login(bed.user, bed.password, bed.keyspace, plugin="caching_sha2_password", auth=answer)
            assert client.value("SELECT database()") == bed.keyspace


def test_auth_switch_with_the_wrong_password(shim, bed):
    texts = []
    for address in (bed.gates[0], shim.listen):
        with Wire(address) as client, pytest.raises(WireError) as refused:
            client.login(bed.user, "mistaken", bed.keyspace, plugin="caching_sha2_password", auth=bytes(32))
        texts.append((refused.value.code, refused.value.state, refused.value.text))
    assert texts[0] == texts[1]


def test_connector_with_another_default_plugin(shim):
    with connector(shim, auth_plugin="caching_sha2_password") as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT 7")
        assert cursor.fetchall() == [(7,)]


@pytest.mark.parametrize("capabilities", [
    wire.PROTOCOL_41 | wire.SECURE_CONNECTION,
    wire.PROTOCOL_41 | wire.SECURE_CONNECTION | wire.CONNECT_WITH_DB | wire.LONG_PASSWORD,
    BASIC, BASIC | DEPRECATE_EOF, BASIC | wire.MULTI_STATEMENTS | wire.FOUND_ROWS | DEPRECATE_EOF,
], ids=["oldest", "old-with-db", "basic", "deprecate-eof", "all"])
def test_any_capabilities(shim, bed, capabilities):
    """Clients of all ages: the OK packet of the login and a first answer are vtgate's, byte by byte."""
    answers = []
    for address in (bed.gates[0], shim.listen):
        with Wire(address) as client:
            ok = client.login(bed.user, bed.password, bed.keyspace, capabilities=capabilities)
            answers.append((ok, client.query("SELECT 1 FROM customer WHERE id = -1").raw))
    assert answers[0] == answers[1]


def test_connect_attributes(shim):
    """The connector and Go send attributes; a long list of them, by hand, is no obstacle either."""
    with connector(shim, conn_attrs={"program_name": "reports", "team": "údržba"}) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT 1")
        assert cursor.fetchall() == [(1,)]
    attributes = b"".join(bytes([5]) + b"key%02d" % n + bytes([200]) + b"v" * 200 for n in range(30))
    with shim.wire(login=False) as client:
        auth = wire.native_password(shim.bed.password, client.read_greeting().salt)
        client.capabilities = BASIC | wire.CONNECT_ATTRS
        client.send_packet(struct.pack("<IIB23x", client.capabilities, 1 << 24, 45) + shim.bed.user.encode() + b"\0"
                           + bytes([len(auth)]) + auth + b"mysql_native_password\0"
                           + wire.encode_length(len(attributes)) + attributes)
        assert client.read_packet()[0] == 0
        assert client.value("SELECT 1") == "1"


def test_fake_vtgate_switches_with_another_salt(start_shim):
    """The salt of an AuthSwitchRequest is the one that counts."""
    with FakeVtgate(login=fake_vtgate.switch_to_native("second-password")) as gate:
        shim = start_shim({"vtgate": gate.endpoint})
        shim.secret("second-password")
        with Wire(shim.listen) as client:
            client.login("somebody", "second-password")
            assert client.query("SELECT 1").error is None
        with Wire(shim.listen) as client, pytest.raises(WireError) as refused:
            client.login("somebody", "another-password")
        assert refused.value.code == 1045


def test_mysql_9_client_where_its_own_plugin_is_spoken(start_shim):
    """A server whose greeting names caching_sha2_password gets the client's scramble as it is: there is nothing to
    bridge, and no password is asked for. Nor does it see the flags that the shim has not offered, which
    libmysqlclient sets all the same: MySQL would look for query attributes in each statement."""
    seen: list[bytes] = []

    def login(client: fake_vtgate.Client, response: bytes) -> None:
        seen.append(response)
        fake_vtgate.accept(client, response)

    unwanted = wire.QUERY_ATTRIBUTES | wire.OPTIONAL_METADATA
    attributes = b"".join(bytes([len(text)]) + text for text in (b"_client_name", b"libmysql", b"_client_version", b"9.7.4"))
    scramble = bytes(range(1, 33))
    with FakeVtgate(login=login, plugin="caching_sha2_password",
                    capabilities=fake_vtgate.CAPABILITIES | unwanted) as gate:
        shim = start_shim({"vtgate": gate.endpoint})
        with Wire(shim.listen) as client:
            assert not client.read_greeting().capabilities & unwanted
            client.capabilities = BASIC | wire.CONNECT_ATTRS
            client.send_packet(struct.pack("<IIB23x", client.capabilities | unwanted, 1 << 24, 45) + b"somebody\0"
                               + bytes([32]) + scramble + b"caching_sha2_password\0"
                               + bytes([len(attributes)]) + attributes)
            assert client.read_packet()[0] == 0
            assert client.query("SELECT 1").error is None
    assert scramble in seen[-1]  # before it, perhaps, a health check
    assert not struct.unpack_from("<I", seen[-1])[0] & unwanted


def test_vtgate_refuses_with_its_greeting(start_shim):
    """A vtgate whose first packet is an ERR (too many connections there) is quoted."""
    with FakeVtgate(greeting=[_first_error(1040, "Too many connections", "08004")]) as gate:
        shim = start_shim({"vtgate": gate.endpoint})
        with Wire(shim.listen) as client, pytest.raises(WireError) as refused:
            client.read_greeting()
        assert refused.value.code in (1040, 1429), refused.value


def _first_error(code: int, text: str, state: str) -> fake_vtgate.Action:
    payload = b"\xff" + struct.pack("<H", code) + text.encode()
    return fake_vtgate.Bytes(len(payload).to_bytes(3, "little") + b"\0" + payload)


@pytest.mark.parametrize("how", ["leave", "die"])
def test_vtgate_leaves_during_the_login(start_shim, how):
    """No hang and no silence: an error, or the end of the connection, at once."""
    action = fake_vtgate.Leave() if how == "leave" else fake_vtgate.Die()
    with FakeVtgate(login=fake_vtgate.then(action)) as gate:
        shim = start_shim({"vtgate": gate.endpoint})
        began = time.monotonic()
        with Wire(shim.listen) as client, pytest.raises((WireError, ConnectionEnded, ConnectionResetError)) as ended:
            client.login("somebody", "pass")
        assert time.monotonic() - began < 3
        assert isinstance(ended.value, WireError) and ended.value.code == 1105, ended.value


def test_no_vtgate(start_shim):
    """Nobody listens: 1429 (08S01) at once, not a hang."""
    shim = start_shim({"vtgate": f"127.0.0.1:{free_port()}"})
    began = time.monotonic()
    with pytest.raises(pymysql.Error) as refused:
        shim.connect()
    assert refused.value.args[0] == 1429
    assert "Can't connect to MySQL server on" in refused.value.args[1], "the shim's own answer, not the driver's"
    assert f"127.0.0.1:{shim.listen[1]}" not in refused.value.args[1], "the text names the vtgate"
    assert time.monotonic() - began < 3
    assert shim.metric("vtshim_no_vtgate_total") == 1


def test_vtgate_that_does_not_greet(start_shim):
    """A vtgate that accepts and says nothing counts as down after timeouts.connect_ms."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        shim = start_shim({"vtgate": "127.0.0.1:%d" % silent.getsockname()[1], "timeouts": {"connect_ms": 400}})
        began = time.monotonic()
        with Wire(shim.listen) as client, pytest.raises(WireError) as refused:
            client.read_greeting()
        assert refused.value.code == 1429
        assert 0.3 < time.monotonic() - began < 3


@pytest.mark.parametrize("down", ["refuses", "silent", "garbage"])
def test_first_vtgate_down_second_used(start_shim, bed, down):
    """Whichever the shim tries first, every client gets in."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent, \
            FakeVtgate(greeting=[fake_vtgate.Bytes(b"SSH-2.0-this is no MySQL\r\n"), fake_vtgate.Leave()]) as garbage:
        first = {"refuses": f"127.0.0.1:{free_port()}", "silent": "127.0.0.1:%d" % silent.getsockname()[1],
                 "garbage": garbage.endpoint}[down]
        shim = start_shim({"vtgate": [first, bed.endpoints[0]], "timeouts": {"connect_ms": 500}})
        for _ in range(4):
            assert shim.run("SELECT 1 AS one") == [{"one": 1}]


@pytest.mark.threads
def test_sessions_are_spread(shim):
    """Two healthy vtgates share the connections."""
    clients = [shim.connect() for _ in range(8)]
    shown = shim.admin("SHOW SESSIONS")
    gates = [next(str(value) for value in row.values() if str(value) in shim.bed.endpoints) for row in shown]
    for client in clients:
        client.close()
    assert sorted(gates) == sorted(shim.bed.endpoints * 4), gates


@pytest.mark.threads
def test_max_connections(start_shim):
    """One more than limits.max_connections: 1040, and room again as soon as one leaves."""
    shim = start_shim({"limits": {"max_connections": 3}})
    clients = [shim.connect() for _ in range(3)]
    with pytest.raises(pymysql.Error) as refused:
        shim.connect()
    assert refused.value.args == (1040, "Too many connections")
    assert shim.metric("vtshim_connections_refused_total") == 1
    clients.pop().close()
    until(lambda: shim.metric("vtshim_sessions") == 2, "one session less")
    clients.append(shim.connect())
    for client in clients:
        client.close()


def test_login_timeout(start_shim):
    """A client that never answers the greeting does not keep its place."""
    shim = start_shim({"timeouts": {"login_ms": 300}})
    with shim.wire(login=False) as client:
        client.read_greeting()
        began = time.monotonic()
        with pytest.raises((WireError, ConnectionEnded)) as ended:
            raise WireError(client.read_packet())
        assert time.monotonic() - began < 3
    if isinstance(ended.value, WireError):
        assert ended.value.code == 1159
    until(lambda: shim.metric("vtshim_sessions") == 0, "the session is gone")


def test_login_timeout_in_a_tls_handshake(start_shim, certificates):
    """Nothing can be said there; but the log and the counters say what it was."""
    shim = start_shim({"timeouts": {"login_ms": 300}, "tls": {
        "cert": str(certificates.path("server.pem")), "key": str(certificates.path("server-key.pem"))}})
    with shim.wire(login=False) as client:
        client.read_greeting()
        client.send_packet(struct.pack("<IIB23x", BASIC | wire.SSL, 1 << 24, 45), 1)
        assert client.socket.recv(1000) == b"", "no plain text between the handshake's records"
    until(lambda: shim.metric("vtshim_sessions_closed_total", reason="login_timeout") == 1, "the session is gone")
    assert shim.events("session_closed", reason="login_timeout")


@pytest.mark.parametrize("header", [b"", b"PROXY TCP4 1.2.3.4"])
def test_login_timeout_before_a_proxy_header(start_shim, header):
    """Nor does a balancer's connection whose header never comes, or never ends."""
    shim = start_shim({"timeouts": {"login_ms": 300}, "proxy_protocol": {"from": ["127.0.0.0/8"]}})
    with socket.create_connection(shim.listen, 10) as client:
        client.sendall(header)
        began = time.monotonic()
        with suppress(ConnectionResetError):
            while client.recv(1000):
                pass
        assert time.monotonic() - began < 3
    until(lambda: shim.metric("vtshim_sessions_closed_total", reason="login_timeout") == 1, "the session is gone")


@pytest.mark.parametrize("nonsense", [
    b"GET / HTTP/1.0\r\n\r\n",
    b"\x00\x00\x00\x01",
    b"\x05\x00\x00\x01hello",
    b"\x20\x00\x00\x07" + bytes(32),
    b"\xff\xff\xff\x01" + b"A" * 100000,
    b"\x16\x03\x01\x00\xa5\x01" + bytes(160),
], ids=["http", "empty", "short", "sequence", "huge", "tls"])
def test_nonsense_instead_of_a_login(start_shim, nonsense):
    """The connection ends, soon, and nobody else notices."""
    shim = start_shim({"timeouts": {"login_ms": 1500}})
    with shim.connect() as bystander, shim.wire(login=False) as client:
        client.read_greeting()
        client.socket.sendall(nonsense)
        with pytest.raises((ConnectionEnded, ConnectionResetError)):
            while True:
                client.read(1)
        with bystander.cursor() as cursor:
            cursor.execute("SELECT 5")
            assert cursor.fetchone() == (5,)
    until(lambda: shim.metric("vtshim_sessions") == 0, "no session is left")


def test_client_leaves_after_the_greeting(shim):
    """Port checks and load balancers do that all day."""
    for _ in range(20):
        with shim.wire(login=False) as client:
            client.read_greeting()
    for _ in range(20):
        socket.create_connection(shim.listen).close()
    until(lambda: shim.metric("vtshim_sessions") == 0, "no session is left")
    assert shim.run("SELECT 1 AS one") == [{"one": 1}]


def test_login_in_small_pieces(shim, bed):
    """A login that arrives byte by byte."""
    with shim.wire(login=False) as client:
        greeting: Greeting = client.read_greeting()
        auth = wire.native_password(bed.password, greeting.salt)
        payload = (struct.pack("<IIB23x", BASIC, 1 << 24, 45) + bed.user.encode() + b"\0" + bytes([len(auth)]) + auth
                   + b"mysql_native_password\0")
        for byte in len(payload).to_bytes(3, "little") + b"\x01" + payload:
            client.socket.sendall(bytes([byte]))
        client.sequence = 2
        assert client.read_packet()[0] == 0
        client.capabilities = BASIC
        assert client.value("SELECT 11") == "11"


def test_mariadb_reports_vtgates_refusal(shim):
    done = mariadb(shim.listen, shim.bed.user, "surely-wrong", "SELECT 1")
    assert done.status != 0 and "1045" in done.err and "Access denied for user" in done.err
    shim.secret("surely-wrong")
