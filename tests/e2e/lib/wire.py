"""A MySQL client made by hand, for tests that care about bytes.

Drivers hide what a proxy may get wrong: which packets came, how they were framed, what an old client
sees. This one keeps every byte of every answer, speaks both generations of the protocol (EOF packets
and CLIENT_DEPRECATE_EOF), and can send commands without waiting for the answers.
"""

from __future__ import annotations

import hashlib
import socket
import ssl
import struct
from collections import deque
from dataclasses import dataclass, field

LONG_PASSWORD = 1 << 0
FOUND_ROWS = 1 << 1
LONG_FLAG = 1 << 2
CONNECT_WITH_DB = 1 << 3
COMPRESS = 1 << 5
PROTOCOL_41 = 1 << 9
SSL = 1 << 11
TRANSACTIONS = 1 << 13
SECURE_CONNECTION = 1 << 15
MULTI_STATEMENTS = 1 << 16
MULTI_RESULTS = 1 << 17
PS_MULTI_RESULTS = 1 << 18
PLUGIN_AUTH = 1 << 19
CONNECT_ATTRS = 1 << 20
PLUGIN_AUTH_LENENC = 1 << 21
DEPRECATE_EOF = 1 << 24
OPTIONAL_METADATA = 1 << 25
ZSTD = 1 << 26
QUERY_ATTRIBUTES = 1 << 27

# What a client of today asks for, without multi-statements and without CLIENT_DEPRECATE_EOF.
BASIC = (LONG_PASSWORD | LONG_FLAG | PROTOCOL_41 | TRANSACTIONS | SECURE_CONNECTION | MULTI_RESULTS
         | PS_MULTI_RESULTS | PLUGIN_AUTH)

COM_QUIT, COM_INIT_DB, COM_QUERY, COM_FIELD_LIST = 0x01, 0x02, 0x03, 0x04
COM_STATISTICS, COM_PROCESS_INFO, COM_DEBUG, COM_PING, COM_CHANGE_USER = 0x09, 0x0a, 0x0d, 0x0e, 0x11
COM_STMT_PREPARE, COM_STMT_EXECUTE, COM_STMT_SEND_LONG_DATA = 0x16, 0x17, 0x18
COM_STMT_CLOSE, COM_STMT_RESET, COM_SET_OPTION, COM_STMT_FETCH = 0x19, 0x1a, 0x1b, 0x1c
COM_RESET_CONNECTION = 0x1f
UNANSWERED = (COM_STMT_CLOSE, COM_STMT_SEND_LONG_DATA, COM_QUIT)

SERVER_STATUS_IN_TRANS = 0x0001
SERVER_STATUS_AUTOCOMMIT = 0x0002
SERVER_MORE_RESULTS = 0x0008

MAX_PACKET = 0xFFFFFF


class WireError(Exception):
    """An ERR packet."""

    def __init__(self, payload: bytes):
        self.code = struct.unpack_from("<H", payload, 1)[0]
        has_state = payload[3:4] == b"#"
        self.state = payload[4:9].decode() if has_state else ""
        self.text = payload[9 if has_state else 3:].decode("utf-8", "replace")
        super().__init__(f"{self.code} ({self.state}): {self.text}")


class ConnectionEnded(Exception):
    """The other side closed the connection."""


@dataclass
class Greeting:
    """The first packet of a server, taken apart."""

    payload: bytes
    version: str
    connection_id: int
    salt: bytes
    capabilities: int
    charset: int
    status: int
    salt_length: int
    reserved: bytes
    plugin: str

    @classmethod
    def parse(cls, payload: bytes) -> "Greeting":
        if payload[:1] == b"\xff":
            raise WireError(payload)
        assert payload[0] == 10, payload[:20]
        end = payload.index(0, 1)
        at = end + 1
        connection_id, salt1 = struct.unpack_from("<I8s", payload, at)
        assert payload[at + 12] == 0
        low, charset, status, high, salt_length = struct.unpack_from("<HBHHB", payload, at + 13)
        reserved = payload[at + 21:at + 31]
        rest = payload[at + 31:]
        length = max(13, salt_length - 8)
        return cls(payload, payload[1:end].decode(), connection_id, salt1 + rest[:length - 1], low | high << 16,
                   charset, status, salt_length, reserved, rest[length:].rstrip(b"\0").decode())


@dataclass
class Response:
    """Everything that answered one command."""

    raw: bytes = b""
    packets: list[bytes] = field(default_factory=list)
    results: list[dict] = field(default_factory=list)

    @property
    def error(self) -> WireError | None:
        last = self.packets[-1] if self.packets else b""
        return WireError(last) if last[:1] == b"\xff" else None

    @property
    def rows(self) -> list[bytes]:
        """The rows of the only result, not decoded."""
        assert len(self.results) == 1, self.results
        return self.results[0].get("rows", [])

    @property
    def status(self) -> int:
        return self.results[-1]["status"]


def native_password(password: str, salt: bytes) -> bytes:
    """The answer of mysql_native_password: SHA1(p) XOR SHA1(salt + SHA1(SHA1(p)))."""
    if not password:
        return b""
    one = hashlib.sha1(password.encode()).digest()
    two = hashlib.sha1(salt[:20] + hashlib.sha1(one).digest()).digest()
    return bytes(a ^ b for a, b in zip(one, two))


def sha2_password(password: str, salt: bytes) -> bytes:
    """The answer of caching_sha2_password: SHA256(p) XOR SHA256(SHA256(SHA256(p)) + salt)."""
    one = hashlib.sha256(password.encode()).digest()
    two = hashlib.sha256(hashlib.sha256(one).digest() + salt[:20]).digest()
    return bytes(a ^ b for a, b in zip(one, two))


def lenenc(payload: bytes, at: int) -> tuple[int, int]:
    """A length-encoded integer at `at`, and the position behind it."""
    first = payload[at]
    if first < 0xFB:
        return first, at + 1
    size = {0xFC: 2, 0xFD: 3, 0xFE: 8}[first]
    return int.from_bytes(payload[at + 1:at + 1 + size], "little"), at + 1 + size


def text_row(payload: bytes) -> list[bytes | None]:
    """The values of a row of the text protocol."""
    at, values = 0, []
    while at < len(payload):
        if payload[at] == 0xFB:
            values.append(None)
            at += 1
        else:
            length, at = lenenc(payload, at)
            values.append(payload[at:at + length])
            at += length
    return values


class Wire:
    """A connection. Nothing is sent before login(), so that the greeting can be looked at."""

    def __init__(self, address: tuple[str, int] | str, timeout: float = 90, receive_buffer: int | None = None):
        """A unix socket is named by its path."""
        self.socket: socket.socket = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout)
        self.socket.connect(address)
        if self.socket.family != socket.AF_UNIX:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.capabilities = 0
        self.sequence = 0
        self.transcript = bytearray()
        self._pending = b""
        self._answers: deque[int] = deque()
        self.greeting: Greeting | None = None

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the socket without a COM_QUIT, as a client that vanishes does."""
        self.socket.close()

    # Bytes and packets.

    def read(self, n: int) -> bytes:
        """Exactly n bytes."""
        parts, missing = [], n
        while missing:
            if not self._pending:
                self._pending = self.socket.recv(min(max(missing, 1 << 16), 1 << 20))
                if not self._pending:
                    raise ConnectionEnded(f"{n - missing} of {n} bytes had come")
            part, self._pending = self._pending[:missing], self._pending[missing:]
            parts.append(part)
            missing -= len(part)
        data = b"".join(parts)
        self.transcript += data
        return data

    def read_packet(self) -> bytes:
        """One packet's payload; those of 16 MiB and more are put together."""
        payload = b""
        while True:
            header = self.read(4)
            length = int.from_bytes(header[:3], "little")
            assert header[3] == self.sequence & 0xFF, f"sequence {header[3]}, expected {self.sequence & 0xFF}"
            self.sequence += 1
            part = self.read(length)
            payload = payload + part if payload else part
            if length < MAX_PACKET:
                return payload

    def send_packet(self, payload: bytes, sequence: int | None = None) -> None:
        """One packet; cut in several where it is 16 MiB or more."""
        if sequence is not None:
            self.sequence = sequence
        at = 0
        while True:
            part = payload[at:at + MAX_PACKET]
            self.socket.sendall(len(part).to_bytes(3, "little") + bytes([self.sequence & 0xFF]) + part)
            self.sequence += 1
            at += MAX_PACKET
            if len(part) < MAX_PACKET:
                return

    # Login.

    def read_greeting(self) -> Greeting:
        if self.greeting is None:
            self.greeting = Greeting.parse(self.read_packet())
        return self.greeting

    def start_tls(self, capabilities: int, context: ssl.SSLContext, server_name: str | None = None) -> None:
        """Sends the SSLRequest and does the handshake. To be called before login()."""
        self.read_greeting()
        self.send_packet(struct.pack("<IIB23x", capabilities | SSL, 1 << 24, 45))
        self.socket = context.wrap_socket(self.socket, server_hostname=server_name)

    def login(self, user: str, password: str, database: str | None = None, capabilities: int = BASIC,
              plugin: str = "mysql_native_password", auth: bytes | None = None, unasked: int = 0,
              attributes: bytes = b"") -> bytes:
        """Logs in and returns the OK packet. `auth`: sent instead of the native answer, to see what
        the server makes of another plugin's. `unasked`: flags that are set though the server does not
        offer them. `attributes`: with CONNECT_ATTRS, as they go over the wire."""
        greeting = self.read_greeting()
        if database is not None:
            capabilities |= CONNECT_WITH_DB
        if isinstance(self.socket, ssl.SSLSocket):
            capabilities |= SSL
        self.capabilities = capabilities & greeting.capabilities | capabilities & SSL
        if auth is None:
            auth = native_password(password, greeting.salt)
        payload = struct.pack("<IIB23x", self.capabilities | unasked, 1 << 24, 45) + user.encode() + b"\0"
        payload += bytes([len(auth)]) + auth
        if database is not None:
            payload += database.encode() + b"\0"
        if self.capabilities & PLUGIN_AUTH:
            payload += plugin.encode() + b"\0"
        if self.capabilities & CONNECT_ATTRS:
            payload += attributes
        self.send_packet(payload)
        return self._authenticate(password)

    def change_user(self, user: str, password: str, database: str) -> bytes:
        """COM_CHANGE_USER, with the answer to the greeting's salt, as libraries send it."""
        auth = native_password(password, self.greeting.salt)
        self.send_packet(bytes([COM_CHANGE_USER]) + user.encode() + b"\0" + bytes([len(auth)]) + auth + database.encode() + b"\0"
                         + struct.pack("<H", 45) + b"mysql_native_password\0", 0)
        return self._authenticate(password)

    def _authenticate(self, password: str) -> bytes:
        """Answers whatever the server asks for, up to its OK."""
        answer = self.read_packet()
        if answer[:1] == b"\xfe":
            end = answer.index(0, 1)
            asked, salt = answer[1:end].decode(), answer[end + 1:].rstrip(b"\0")
            if asked == "mysql_clear_password":
                self.send_packet(password.encode() + b"\0")
            elif asked == "caching_sha2_password":
                self.send_packet(sha2_password(password, salt))
            else:
                assert asked == "mysql_native_password", asked
                self.send_packet(native_password(password, salt))
            answer = self.read_packet()
        if answer == b"\x01\x04":  # full authentication: over TLS as it is
            assert isinstance(self.socket, ssl.SSLSocket), "a password in the clear"
            self.send_packet(password.encode() + b"\0")
            answer = self.read_packet()
        elif answer == b"\x01\x03":
            answer = self.read_packet()
        if answer[:1] == b"\xff":
            raise WireError(answer)
        assert answer[:1] == b"\0", answer[:20]
        return answer

    # Commands.

    def send(self, command: int, body: bytes | str = b"") -> None:
        """Sends a command without reading an answer."""
        self.send_packet(bytes([command]) + (body.encode() if isinstance(body, str) else body), 0)
        if command not in UNANSWERED:
            self._answers.append(self.sequence)

    def command(self, command: int, body: bytes | str = b"") -> Response:
        self.send(command, body)
        return self.read_response(command)

    def query(self, sql: str) -> Response:
        return self.command(COM_QUERY, sql)

    def value(self, sql: str) -> str | None:
        """The first value of the first row."""
        response = self.query(sql)
        if response.error:
            raise response.error
        first = text_row(response.rows[0])[0]
        return None if first is None else first.decode()

    def read_response(self, command: int = COM_QUERY) -> Response:
        """The whole answer of a command that was sent. Its sequence goes on from the command's."""
        began, response = len(self.transcript), Response()
        if command in UNANSWERED:
            return response
        self.sequence = self._answers.popleft()
        if command == COM_STMT_PREPARE:
            self._read_prepared(response)
        else:
            while self._read_result(response):
                pass
        response.raw = bytes(self.transcript[began:])
        return response

    def _next(self, response: Response) -> bytes:
        packet = self.read_packet()
        response.packets.append(packet)
        return packet

    def _read_result(self, response: Response) -> bool:
        """One result. Returns whether another one follows."""
        first = self._next(response)
        if first[0] == 0xFF:
            return False
        result: dict = {}
        response.results.append(result)
        if first[0] == 0x00 or (first[0] == 0xFE and len(first) < 9):
            result["status"] = self._status(first)
            return bool(result["status"] & SERVER_MORE_RESULTS)
        columns, _ = lenenc(first, 0)
        result["columns"] = [self._next(response) for _ in range(columns)]
        if not self.capabilities & DEPRECATE_EOF:
            assert self._next(response)[0] == 0xFE
        rows = result["rows"] = []
        while True:
            packet = self._next(response)
            if packet[0] == 0xFF:
                result["status"] = 0
                return False
            if packet[0] == 0xFE and len(packet) < MAX_PACKET:
                result["status"] = self._status(packet)
                return bool(result["status"] & SERVER_MORE_RESULTS)
            rows.append(packet)

    def _status(self, packet: bytes) -> int:
        """The status flags of an OK or EOF packet."""
        if packet[0] == 0xFE and len(packet) == 5:
            return struct.unpack_from("<H", packet, 3)[0]
        _, at = lenenc(packet, 1)
        _, at = lenenc(packet, at)
        return struct.unpack_from("<H", packet, at)[0]

    def _read_prepared(self, response: Response) -> None:
        first = self._next(response)
        if first[0] == 0xFF:
            return
        columns, parameters = struct.unpack_from("<HH", first, 5)
        for n in (parameters, columns):
            for _ in range(n):
                self._next(response)
            if n and not self.capabilities & DEPRECATE_EOF:
                assert self._next(response)[0] == 0xFE

    # Prepared statements.

    def prepare(self, sql: str) -> int:
        """Prepares a statement and returns its id."""
        response = self.command(COM_STMT_PREPARE, sql)
        if response.error:
            raise response.error
        return struct.unpack_from("<I", response.packets[0], 1)[0]

    def execute(self, statement: int, *values: bytes | int | None, long_data: tuple[int, ...] = ()) -> Response:
        """COM_STMT_EXECUTE with integers and strings; those at the places in `long_data` were sent before."""
        return self.command(COM_STMT_EXECUTE, execute_body(statement, values, long_data))


def execute_body(statement: int, values: tuple[bytes | int | None, ...] = (), long_data: tuple[int, ...] = ()) -> bytes:
    """The body of a COM_STMT_EXECUTE."""
    body = struct.pack("<IBI", statement, 0, 1)
    if not values:
        return body
    nulls, types, data = bytearray((len(values) + 7) // 8), b"", b""
    for i, value in enumerate(values):
        if value is None:
            nulls[i // 8] |= 1 << i % 8
            types += b"\x06\0"
        elif isinstance(value, int):
            types += b"\x08\0"
            data += struct.pack("<q", value)
        else:
            types += b"\xfd\0"
            if i not in long_data:
                data += encode_length(len(value)) + value
    return body + bytes(nulls) + b"\x01" + types + data


def encode_length(n: int) -> bytes:
    if n < 0xFB:
        return bytes([n])
    if n < 1 << 16:
        return b"\xfc" + n.to_bytes(2, "little")
    if n < 1 << 24:
        return b"\xfd" + n.to_bytes(3, "little")
    return b"\xfe" + n.to_bytes(8, "little")
