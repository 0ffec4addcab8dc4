"""TLS on either side, alone and together; and passwords in the clear only where nobody can read along."""

from __future__ import annotations

import ssl
import struct
from typing import Iterator

import pymysql
import pytest

import fake_vtgate
from fake_vtgate import FakeVtgate
from lib import wire
from lib.certificates import Certificates
from lib.clients import connector, go_ddl, mariadb
from lib.poll import until
from lib.vtgate import Vtgate
from lib.wire import BASIC, ConnectionEnded, Wire, WireError


@pytest.fixture
def server_tls(certificates: Certificates) -> dict:
    """The shim's configuration for TLS towards clients."""
    return {"cert": str(certificates.path("server.pem")), "key": str(certificates.path("server-key.pem"))}


@pytest.fixture(scope="module")
def tls_vtgate(bed, certificates: Certificates) -> Iterator[Vtgate]:
    """A real vtgate that offers TLS."""
    with Vtgate(bed, tls=certificates) as vtgate:
        yield vtgate


@pytest.fixture(scope="module")
def clientcert_vtgate(bed, certificates: Certificates) -> Iterator[Vtgate]:
    """A real vtgate that demands a certificate and asks for a password in the clear."""
    with Vtgate(bed, auth="clientcert", tls=certificates) as vtgate:
        yield vtgate


def client_options(certificates: Certificates) -> dict:
    return {"ssl": {"ca": str(certificates.path("ca.pem")), "check_hostname": False}}


def cipher(connection: pymysql.Connection) -> str:
    """The TLS version in use between client and shim, or "off"."""
    return connection._sock.version() if isinstance(connection._sock, ssl.SSLSocket) else "off"


# Towards clients.

def test_clients_may_use_tls(start_shim, certificates, server_tls):
    """With tls.cert the shim offers TLS although vtgate does not; without it clients still get in."""
    shim = start_shim({"tls": server_tls})
    with shim.connect(**client_options(certificates)) as connection, connection.cursor() as cursor:
        assert cipher(connection).startswith("TLSv1.")
        cursor.execute("SELECT repeat('t', 3000000)")
        assert cursor.fetchone() == ("t" * 3_000_000,)
        session, = shim.admin("SHOW SESSIONS")
        assert session["tls"] == cipher(connection)
    with shim.connect(ssl_disabled=True) as connection:
        assert cipher(connection) == "off"


def test_every_client_over_tls(start_shim, certificates, server_tls):
    """mariadb, the connector and Go check the certificate and get in."""
    shim = start_shim({"tls": server_tls})
    ca = str(certificates.path("ca.pem"))
    done = mariadb(shim.listen, shim.bed.user, shim.bed.password, "SELECT 5;", f"--ssl-ca={ca}",
                   "--ssl-verify-server-cert", "-N", "-B")
    assert done.out == "5\n", done.err
    with connector(shim, ssl_disabled=False, ssl_ca=ca, ssl_verify_cert=True) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT 5")
        assert cursor.fetchall() == [(5,)]
    answer, = go_ddl(shim.dsn(tls="skip-verify"), "SELECT 5")
    assert answer["rows"] == [["5"]]
    assert shim.metric("vtshim_logins_total") == 3


def test_without_a_certificate_tls_is_not_offered(shim, certificates):
    with shim.wire(login=False) as client:
        assert not client.read_greeting().capabilities & wire.SSL
    with pytest.raises(pymysql.Error):
        shim.connect(**client_options(certificates))


def test_required(start_shim, certificates, server_tls):
    """tls.required: without TLS 3159 and no way in; with it all is well."""
    shim = start_shim({"tls": {**server_tls, "required": True}})
    with pytest.raises(pymysql.Error) as refused:
        shim.connect(ssl_disabled=True)
    assert refused.value.args[0] == 3159, refused.value
    with shim.connect(**client_options(certificates)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def test_client_certificates(start_shim, certificates, server_tls):
    """tls.ca: only clients with a certificate of that authority get in."""
    shim = start_shim({"tls": {**server_tls, "ca": str(certificates.path("ca.pem"))}})
    with shim.wire(login=False) as client:
        client.start_tls(BASIC, certificates.context(certificate="client"), "localhost")
        client.login(shim.bed.user, shim.bed.password, shim.bed.keyspace)
        assert client.value("SELECT 1") == "1"
    with shim.wire(login=False) as client, pytest.raises((ssl.SSLError, ConnectionEnded, ConnectionError)):
        client.start_tls(BASIC, certificates.context(), "localhost")
        client.login(shim.bed.user, shim.bed.password, shim.bed.keyspace)
    until(lambda: shim.metric("vtshim_sessions") == 0, "no session is left")


def test_tls_by_hand(start_shim, certificates, server_tls):
    """The same bytes inside TLS as outside: large both ways, and pipelined behind the SSLRequest."""
    shim = start_shim({"tls": server_tls})
    with shim.wire(login=False, timeout=60) as client:
        client.start_tls(BASIC, certificates.context(), "localhost")
        client.login(shim.bed.user, shim.bed.password, shim.bed.keyspace)
        text = "s" * (17 << 20)
        assert wire.text_row(client.query(f"SELECT '{text}'").rows[0]) == [text.encode()]
        for n in range(50):
            client.send(wire.COM_QUERY, f"SELECT {n}")
        for n in range(50):
            assert client.read_response().rows == [bytes([len(str(n))]) + str(n).encode()]


def test_nonsense_instead_of_tls(start_shim, server_tls):
    """A client that asks for TLS and then does not speak it is sent away, and nobody else notices."""
    shim = start_shim({"tls": server_tls})
    with shim.wire() as bystander, shim.wire(login=False) as client:
        client.read_greeting()
        client.send_packet(struct.pack("<IIB23x", BASIC | wire.SSL, 1 << 24, 45))
        client.socket.sendall(b"this is no ClientHello at all" * 10)
        with pytest.raises((ConnectionEnded, ConnectionError)):
            while True:
                client.read(1)
        assert bystander.value("SELECT 1") == "1"
    until(lambda: shim.metric("vtshim_sessions") == 0, "no session is left")


# Towards vtgate.

def assert_works(shim) -> None:
    """A client gets in and large answers come through."""
    with shim.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT repeat('v', 2000000)")
        assert cursor.fetchone() == ("v" * 2_000_000,)


@pytest.mark.parametrize("mode", ["preferred", "required", "verify-ca", "verify-identity"])
def test_vtgate_over_tls(start_shim, bed, certificates, mode):
    """Each mode reaches a vtgate that refuses everything but TLS, which a shim without TLS does not."""
    with Vtgate(bed, tls=certificates, arguments=("--mysql-server-require-secure-transport",)) as vtgate:
        shim = start_shim({"vtgate": vtgate.endpoint.replace("127.0.0.1", "localhost"),
                           "vtgate_tls": {"mode": mode, "ca": str(certificates.path("ca.pem"))}})
        assert_works(shim)
        plain = start_shim({"vtgate": vtgate.endpoint})
        with pytest.raises(pymysql.Error):
            plain.connect()


def test_required_but_not_offered(start_shim, bed):
    """vtgate_tls.mode=required and a vtgate without TLS: an error, no login in the clear."""
    shim = start_shim({"vtgate_tls": {"mode": "required"}})
    with pytest.raises(pymysql.Error) as refused:
        shim.connect()
    assert refused.value.args[0] in (1429, 1105), refused.value
    preferred = start_shim({"vtgate_tls": {"mode": "preferred"}})
    assert preferred.run("SELECT 1 AS one") == [{"one": 1}]


@pytest.mark.parametrize("mode, trusted, name, accepted", [
    ("required", "other-ca.pem", "", True),
    ("verify-ca", "other-ca.pem", "", False),
    ("verify-ca", "ca.pem", "elsewhere.invalid", True),
    ("verify-identity", "ca.pem", "elsewhere.invalid", False),
    ("verify-identity", "ca.pem", "localhost", True),
    ("verify-identity", "ca.pem", "", True),
], ids=["unchecked", "other-ca", "name-not-checked", "other-name", "name", "address"])
def test_vtgates_certificate_is_checked(start_shim, tls_vtgate, certificates, mode, trusted, name, accepted):
    shim = start_shim({"vtgate": tls_vtgate.endpoint,
                       "vtgate_tls": {"mode": mode, "ca": str(certificates.path(trusted)), "server_name": name}})
    if accepted:
        assert_works(shim)
    else:
        with pytest.raises(pymysql.Error) as refused:
            shim.connect()
        assert refused.value.args[0] in (1429, 1105), refused.value
        assert shim.wait_event("vtgate_tls_failed")


def test_both_sides(start_shim, tls_vtgate, certificates, server_tls):
    """Client and vtgate each speak TLS with the shim: statements, prepared statements, a big result."""
    shim = start_shim({"vtgate": tls_vtgate.endpoint, "tls": {**server_tls, "required": True},
                       "vtgate_tls": {"mode": "verify-ca", "ca": str(certificates.path("ca.pem"))}})
    with shim.connect(**client_options(certificates)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT repeat('b', 20000000)")
        assert cursor.fetchone() == ("b" * 20_000_000,)
    with connector(shim, ssl_disabled=False, ssl_ca=str(certificates.path("ca.pem"))) as connection:
        cursor = connection.cursor(prepared=True)
        cursor.execute("SELECT ?", ("prepared",))
        assert cursor.fetchall() == [("prepared",)]


# Passwords in the clear.

def clear_password_client(shim, certificates: Certificates | None, password: str) -> Wire:
    """A hand-made client that sends its password when it is asked for it."""
    client = shim.wire(login=False)
    if certificates:
        client.start_tls(BASIC, certificates.context(), "localhost")
    client.login("app", password, shim.bed.keyspace)
    return client


def test_cleartext_over_tls(start_shim, clientcert_vtgate, certificates, server_tls):
    """vtgate asks for the password in the clear: over TLS on both sides it is relayed."""
    shim = start_shim({"vtgate": clientcert_vtgate.endpoint, "tls": server_tls,
                       "vtgate_tls": {"mode": "verify-ca", "ca": str(certificates.path("ca.pem")),
                                      "cert": str(certificates.path("client.pem")),
                                      "key": str(certificates.path("client-key.pem"))}})
    shim.secret("a-cleartext-password")
    with clear_password_client(shim, certificates, "a-cleartext-password") as client:
        assert client.value("SELECT database()") == shim.bed.keyspace
    with connector(shim, ssl_disabled=False, ssl_ca=str(certificates.path("ca.pem")), user="app",
                   password="a-cleartext-password", auth_plugin="mysql_clear_password") as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT 1")
        assert cursor.fetchall() == [(1,)]


def test_cleartext_refused_without_tls_of_the_client(start_shim, clientcert_vtgate, certificates, server_tls):
    """The client would send it over an unencrypted link: 1045, and the password is never asked for."""
    shim = start_shim({"vtgate": clientcert_vtgate.endpoint, "tls": server_tls,
                       "vtgate_tls": {"mode": "required", "cert": str(certificates.path("client.pem")),
                                      "key": str(certificates.path("client-key.pem"))}})
    with shim.wire(login=False) as client, pytest.raises(WireError) as refused:
        client.login("app", "never-sent-password", shim.bed.keyspace)
    assert refused.value.code == 1045 and "cleartext" in refused.value.text
    assert b"mysql_clear_password" not in bytes(client.transcript)


@pytest.mark.parametrize("allowed", [False, True], ids=["refused", "allowed"])
def test_cleartext_to_a_vtgate_without_tls(start_shim, certificates, server_tls, allowed):
    """The link to vtgate is unencrypted: refused, but for vtgate_tls.allow_cleartext_password."""
    with FakeVtgate(login=fake_vtgate.cleartext("through-the-clear")) as gate:
        shim = start_shim({"vtgate": gate.endpoint, "tls": server_tls,
                           "vtgate_tls": {"allow_cleartext_password": allowed}})
        shim.secret("through-the-clear")
        if allowed:
            with clear_password_client(shim, certificates, "through-the-clear") as client:
                assert client.query("SELECT 1").error is None
        else:
            with pytest.raises(WireError) as refused:
                clear_password_client(shim, certificates, "through-the-clear")
            assert refused.value.code == 1045 and "cleartext" in refused.value.text


# Ways to start.

@pytest.mark.parametrize("broken", ["missing", "garbage", "mismatch"])
def test_broken_certificates(program, tmp_path, bed, certificates, broken):
    """The shim does not start with certificates that do not work, and says which."""
    from test_program import run_program
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("no certificate")
    cert = {"missing": tmp_path / "missing.pem", "garbage": garbage,
            "mismatch": certificates.path("server.pem")}[broken]
    key = certificates.path("client-key.pem" if broken == "mismatch" else "server-key.pem")
    done = run_program(program, tmp_path, {"vtgate": bed.endpoints, "tls": {"cert": str(cert), "key": str(key)}})
    assert done.returncode not in (0, None) and done.returncode > 0
    assert str(cert) in done.stderr or str(key) in done.stderr, done.stderr
