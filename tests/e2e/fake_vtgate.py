"""A scripted stand-in for vtgate, for the faults that a real one cannot be made to show.

It speaks just enough of MySQL's protocol: a greeting, a login in a chosen manner, then for each
statement a script of actions. The main paths are never tested against it.

    with FakeVtgate({"select 1": [Rows([["1"]])], "die": [Bytes(HALF_A_RESULT), Die()]}) as gate: ...
"""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
from dataclasses import dataclass
from typing import Callable, Iterable, Sequence

from lib import wire

VERSION = b"8.4.6-Fake"
CAPABILITIES = (wire.LONG_PASSWORD | wire.FOUND_ROWS | wire.LONG_FLAG | wire.CONNECT_WITH_DB | wire.PROTOCOL_41
                | wire.TRANSACTIONS | wire.SECURE_CONNECTION | wire.MULTI_STATEMENTS | wire.MULTI_RESULTS
                | wire.PLUGIN_AUTH | wire.PLUGIN_AUTH_LENENC | wire.DEPRECATE_EOF | wire.CONNECT_ATTRS)


class Closed(Exception):
    """The client left, or an action ended the connection."""


class Client:
    """One connection, seen from the fake server."""

    def __init__(self, connection: socket.socket):
        self.socket = connection
        self.sequence = 0
        self.capabilities = 0
        self.status = wire.SERVER_STATUS_AUTOCOMMIT

    def read_packet(self) -> bytes:
        header = self._read(4)
        length = int.from_bytes(header[:3], "little")
        self.sequence = header[3] + 1
        payload = self._read(length)
        return payload + self.read_packet() if length == wire.MAX_PACKET else payload

    def _read(self, n: int) -> bytes:
        data = bytearray()
        while len(data) < n:
            part = self.socket.recv(min(n - len(data), 1 << 20))
            if not part:
                raise Closed
            data += part
        return bytes(data)

    def send_packet(self, payload: bytes) -> None:
        self.socket.sendall(self.frame(payload))

    def frame(self, payload: bytes) -> bytes:
        packet = len(payload).to_bytes(3, "little") + bytes([self.sequence & 0xFF]) + payload
        self.sequence += 1
        return packet

    def end_of_rows(self) -> bytes:
        if self.capabilities & wire.DEPRECATE_EOF:
            return b"\xfe\0\0" + struct.pack("<HH", self.status, 0)
        return b"\xfe\0\0" + struct.pack("<H", self.status)


# What a script is made of.

class Action:
    def run(self, client: Client) -> None:
        raise NotImplementedError


@dataclass
class Ok(Action):
    info: str = ""
    affected: int = 0

    def run(self, client: Client) -> None:
        info = wire.encode_length(len(self.info)) + self.info.encode() if self.info else b""
        client.send_packet(b"\0" + bytes([self.affected, 0]) + struct.pack("<HH", client.status, 0) + info)


@dataclass
class Err(Action):
    code: int
    text: str
    state: str = "HY000"

    def run(self, client: Client) -> None:
        client.send_packet(b"\xff" + struct.pack("<H", self.code) + b"#" + self.state.encode() + self.text.encode())


def column(name: str) -> bytes:
    """A column definition: VARCHAR, utf8mb4."""
    text = b"\x03def" + b"\0" * 3 + bytes([len(name)]) + name.encode() + b"\0"
    return text + b"\x0c" + struct.pack("<HIBHB", 45, 1024, 0xFD, 0, 0) + b"\0\0"


@dataclass
class Rows(Action):
    """A whole result of strings."""

    rows: Iterable[Sequence[str | None]]
    names: Sequence[str] = ("value",)
    cut: bool = False  # leave out what ends it

    def run(self, client: Client) -> None:
        packets = [client.frame(bytes([len(self.names)]))] + [client.frame(column(name)) for name in self.names]
        if not client.capabilities & wire.DEPRECATE_EOF:
            packets.append(client.frame(b"\xfe\0\0" + struct.pack("<H", client.status)))
        for row in self.rows:
            packets.append(client.frame(b"".join(
                b"\xfb" if value is None else wire.encode_length(len(value.encode())) + value.encode()
                for value in row)))
            if len(packets) > 20:
                client.socket.sendall(b"".join(packets))
                packets = []
        if not self.cut:
            packets.append(client.frame(client.end_of_rows()))
        client.socket.sendall(b"".join(packets))


@dataclass
class Bytes(Action):
    """Bytes as they are, without a packet around them."""

    data: bytes

    def run(self, client: Client) -> None:
        client.socket.sendall(self.data)


@dataclass
class Delay(Action):
    seconds: float

    def run(self, client: Client) -> None:
        time.sleep(self.seconds)


@dataclass
class Wait(Action):
    """Goes on when the test says so."""

    event: threading.Event
    seconds: float = 30

    def run(self, client: Client) -> None:
        self.event.wait(self.seconds)


class Die(Action):
    """The connection is reset, as when the process is killed."""

    def run(self, client: Client) -> None:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.socket.close()
        raise Closed


class Leave(Action):
    """The connection is closed in good order, but too early."""

    def run(self, client: Client) -> None:
        raise Closed


# Ways to log in. Each gets the client's first answer and returns when the login is accepted.

def accept(client: Client, response: bytes) -> None:
    """Everybody may come in."""
    Ok().run(client)


def refuse(code: int = 1045, text: str = "Access denied for user 'fake'", state: str = "28000") -> Callable:
    def login(client: Client, response: bytes) -> None:
        Err(code, text, state).run(client)
        raise Closed
    return login


def switch_to_native(password: str, salt: bytes = b"0123456789abcdefghij") -> Callable:
    """Whatever the client said, it is asked again, with another salt."""
    def login(client: Client, response: bytes) -> None:
        client.send_packet(b"\xfemysql_native_password\0" + salt + b"\0")
        if client.read_packet() == wire.native_password(password, salt):
            Ok().run(client)
        else:
            refuse()(client, response)
    return login


def cleartext(password: str) -> Callable:
    """Asks for the password in the clear, as a vtgate with LDAP does."""
    def login(client: Client, response: bytes) -> None:
        client.send_packet(b"\xfemysql_clear_password\0")
        if client.read_packet() == password.encode() + b"\0":
            Ok().run(client)
        else:
            refuse()(client, response)
    return login


def then(*actions: Action) -> Callable:
    """A login that is answered with these actions and then closed."""
    def login(client: Client, response: bytes) -> None:
        for action in actions:
            action.run(client)
        raise Closed
    return login


Script = Sequence[Action]


class FakeVtgate:
    """The server: a thread for each connection. `queries` has what was asked, in order."""

    def __init__(self, scripts: dict[str, Script] | Callable[[str], Script | None] | None = None, *,
                 login: Callable = accept, greeting: Script | None = None, version: bytes = VERSION,
                 plugin: str = "mysql_native_password", capabilities: int = CAPABILITIES,
                 wrap: Callable[[socket.socket], socket.socket] | None = None, port: int = 0):
        self.scripts = scripts or {}
        self.login = login
        self.greeting = greeting
        self.version = version
        self.wrap = wrap  # around each connection's socket
        self.plugin, self.capabilities = plugin, capabilities
        self.queries: list[str] = []
        self.connections = 0
        self.failure: BaseException | None = None
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", port), backlog=128)
        self.address: tuple[str, int] = self._listener.getsockname()

    @property
    def endpoint(self) -> str:
        return f"{self.address[0]}:{self.address[1]}"

    def __enter__(self) -> "FakeVtgate":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, kind: type | None, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        if self.failure and kind is None:
            raise self.failure

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            threading.Thread(target=self._serve, args=(connection, self.connections), daemon=True).start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        try:
            with connection:
                self._talk(Client(self.wrap(connection) if self.wrap else connection), number)
        except (Closed, OSError):
            pass
        except BaseException as failure:  # a mistake in this file must not look like the shim's
            self.failure = failure

    def _talk(self, client: Client, number: int) -> None:
        for action in self.greeting or ():
            action.run(client)
        if self.greeting is not None:
            return
        salt = os.urandom(20).replace(b"\0", b"x")
        client.send_packet(b"\x0a" + self.version + b"\0" + struct.pack("<I", number) + salt[:8] + b"\0"
                           + struct.pack("<HBHHB", self.capabilities & 0xFFFF, 45, client.status, self.capabilities >> 16, 21)
                           + bytes(10) + salt[8:] + b"\0" + self.plugin.encode() + b"\0")
        response = client.read_packet()
        client.capabilities = struct.unpack_from("<I", response)[0] & self.capabilities
        self.login(client, response)
        while True:
            self._command(client, client.read_packet())

    def _command(self, client: Client, payload: bytes) -> None:
        command, body = payload[0], payload[1:]
        if command == wire.COM_QUIT:
            raise Closed
        if command in wire.UNANSWERED:
            return
        if command != wire.COM_QUERY:
            return Ok().run(client)
        sql = body.decode("utf-8", "replace")
        self.queries.append(sql)
        script = self.scripts(sql) if callable(self.scripts) else self.scripts.get(sql)
        for action in script if script is not None else [Ok()]:
            action.run(client)


def numbers(n: int, width: int = 10) -> Iterable[list[str]]:
    """n rows for a big result."""
    return ([str(i).rjust(width, "0")] for i in range(n))
