"""After logins of every kind no password and no token is left in the process's memory: not in a buffer that is free again, not
in a library's, not on a stack. (What logs have to keep quiet about is looked at after every test: lib/shim.py.)"""

from __future__ import annotations

import os
import re
import secrets
import socket
import time
from pathlib import Path
from typing import Iterator

import mysql.connector
import pymysql
import pytest

import fake_vtgate
from fake_vtgate import FakeVtgate
from lib.api import Api, token_hash
from lib.certificates import Certificates
from lib.poll import until
from lib.shim import Shim
from lib.wire import BASIC, CONNECT_ATTRS, Wire, WireError, encode_length, sha2_password

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="another process's memory is root's to read")

# The child gets nothing from this environment, where the cluster's password is.
CLEAN = {"PATH": os.environ["PATH"]}
PIECE = 8 << 20


def unguessable(about: str) -> str:
    return f"{about}-{secrets.token_hex(8)}"


def in_memory(pid: int, wanted: set[str]) -> dict[str, list[str]]:
    """Where each of them stands: the mapping and some bytes around it."""
    pattern = re.compile(b"|".join(re.escape(text.encode()) for text in wanted))
    longest = max(map(len, wanted))
    found: dict[str, list[str]] = {}
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            begin, end = (int(part, 16) for part in line.split()[0].split("-"))
            if "r" not in line.split()[1] or line.endswith(("[vvar]", "[vsyscall]", "[vvar_vclock]")):
                continue
            for at in range(begin, end, PIECE):
                memory.seek(at)
                piece = memory.read(min(PIECE + longest, end - at)) or b""
                for hit in pattern.finditer(piece):
                    around = piece[max(0, hit.start() - 24):hit.end() + 24]
                    found.setdefault(hit[0].decode(), []).append(f"{line.split()[-1]} {at + hit.start():#x}: {around!r}")
    return found


@pytest.fixture
def start(plain_program: Path, bed, tmp_path: Path) -> Iterator:
    """A plain shim with an environment of its own, and a mark in its settings that the search has to find."""
    shims: list[Shim] = []

    def begin(config: dict) -> Shim:
        shim = Shim(plain_program, tmp_path, bed, {"instance": unguessable("mark")} | config)
        shim.environment = CLEAN
        shims.append(shim)
        return shim.start()

    yield begin
    for shim in shims:
        shim.finish()


def assert_forgotten(shim: Shim, *passwords: str) -> None:
    """At once: what is only overwritten by chance later would be found."""
    mark = shim.config["instance"]
    assert mark in in_memory(shim.process.pid, {mark}), "the search finds what is there"
    left = in_memory(shim.process.pid, set(passwords))
    assert not left, left


def server_tls(certificates: Certificates) -> dict:
    return {"cert": str(certificates.path("server.pem")), "key": str(certificates.path("server-key.pem"))}


def mysql_9(shim: Shim, certificates: Certificates, password: str) -> Wire:
    """As libmysqlclient 9 logs in: it has no mysql_native_password."""
    pairs = (b"_client_name", b"libmysql", b"_client_version", b"9.7.0")
    attributes = b"".join(bytes([len(text)]) + text for text in pairs)
    client = shim.wire(login=False)
    client.start_tls(BASIC | CONNECT_ATTRS, certificates.context(), "localhost")
    client.login(shim.bed.user, password, shim.bed.keyspace, capabilities=BASIC | CONNECT_ATTRS, plugin="caching_sha2_password",
                 auth=sha2_password(password, client.greeting.salt), attributes=encode_length(len(attributes)) + attributes)
    return client


def test_passwords_of_applications(start, bed, certificates):
    """Native, MySQL 9 over TLS (the shim learns the password), COM_CHANGE_USER of two kinds, wrong passwords."""
    wrong = unguessable("wrong")
    shim = start({"tls": server_tls(certificates)})
    tls = {"ssl": {"ca": str(certificates.path("ca.pem")), "check_hostname": False}}
    kept = [shim.connect(), shim.connect(**tls), mysql_9(shim, certificates, bed.password)]
    for _ in range(3):
        shim.connect().close()
        with mysql_9(shim, certificates, bed.password) as client:
            assert client.value("SELECT 1") == "1"
            client.change_user(bed.user, bed.password, bed.keyspace)
            assert client.value("SELECT 1") == "1"
        with mysql.connector.connect(host=shim.listen[0], port=shim.listen[1], user=bed.user, password=bed.password, use_pure=True,
                                     ssl_ca=str(certificates.path("ca.pem"))) as connection:
            connection.cmd_change_user(bed.user, bed.password, bed.keyspace)
    with pytest.raises(pymysql.Error):
        shim.connect(password=wrong, **tls)
    with pytest.raises(WireError):
        mysql_9(shim, certificates, wrong)
    assert_forgotten(shim, bed.password, wrong)
    for connection in kept:
        connection.close()
    until(lambda: shim.metric("vtshim_sessions") == 0, "all have left")
    assert_forgotten(shim, bed.password, wrong)


def test_passwords_in_the_clear(start, certificates):
    """vtgate asks for it: it is relayed, from TLS and from a client whose scheme is bridged."""
    password = unguessable("through-the-clear")
    with FakeVtgate(login=fake_vtgate.cleartext(password)) as gate:
        shim = start({"vtgate": gate.endpoint, "tls": server_tls(certificates), "vtgate_tls": {"allow_cleartext_password": True}})
        shim.secret(password)
        for _ in range(3):
            with shim.wire(login=False) as client:
                client.start_tls(BASIC, certificates.context(), "localhost")
                client.login("app", password)
                assert client.query("SELECT 1").error is None
            with mysql_9(shim, certificates, password) as client:
                assert client.query("SELECT 1").error is None
        assert_forgotten(shim, password)


def test_passwords_and_tokens_of_operators(start, certificates):
    """The console's, in TLS and out of it, right and wrong; the API's tokens."""
    password, wrong, token, no_token = (unguessable(about) for about in ("console", "guess", "token", "no-token"))
    shim = start({"admin_users": {"sre": {"password": token_hash(password), "role": "admin"}}, "tls": server_tls(certificates),
                  "http_tokens": {"deploy": {"password": token_hash(token), "role": "operator"}}})
    shim.secret(password, wrong, token, no_token)
    host, port = shim.admin_address
    ways = ({"ssl_ca": str(certificates.path("ca.pem"))}, {"ssl_disabled": True})
    kept = mysql.connector.connect(host=host, port=port, user="sre", password=password, use_pure=True, **ways[0])
    for options in ways:
        with mysql.connector.connect(host=host, port=port, user="sre", password=password, use_pure=True, **options) as connection:
            cursor = connection.cursor()
            cursor.execute("SHOW VERSION")
            assert cursor.fetchall()
        with pytest.raises(mysql.connector.Error):
            mysql.connector.connect(host=host, port=port, user="sre", password=wrong, use_pure=True, **options)
    for _ in range(3):
        assert Api(shim, token).get("version") and Api(shim, no_token)("GET", "version").status == 401
    with socket.create_connection(shim.http_address) as client:  # one that leaves in the middle of its request
        client.sendall(f"GET /api/v1/version HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n".encode())
        time.sleep(0.2)
    assert_forgotten(shim, password, wrong, token, no_token)
    kept.close()
