"""A gRPC server made of single HTTP/2 frames, which says what a test tells it to: for answers that no real one gives.

RFC 9113 has the frames, RFC 7541 the headers (here all written out, none compressed).
"""

from __future__ import annotations

import socket
import struct
import threading
from typing import Callable

from lib.ports import free_port

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
END_STREAM, END_HEADERS, ACK = 1, 4, 1
NO_ERROR, CANCEL, REFUSED_STREAM = 0, 8, 7
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def headers(stream: int, *pairs: tuple[str, str], end: bool = False) -> bytes:
    block = b"".join(b"\0" + bytes([len(name)]) + name.encode() + length(len(value)) + value.encode()
                     for name, value in pairs)
    return frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), stream, block)


def length(n: int) -> bytes:
    """An integer of HPACK with 7 bits in its first byte."""
    if n < 127:
        return bytes([n])
    n -= 127
    rest = b""
    while n >= 128:
        rest += bytes([n % 128 + 128])
        n //= 128
    return b"\x7f" + rest + bytes([n])


def begin(stream: int, status: str = "200", kind: str = "application/grpc") -> bytes:
    return headers(stream, (":status", status), ("content-type", kind))


def trailers(stream: int, status: str = "0", message: str = "") -> bytes:
    return headers(stream, ("grpc-status", status), ("grpc-message", message), end=True)


def message(stream: int, body: bytes = b"", compressed: int = 0, claimed: int | None = None) -> bytes:
    size = len(body) if claimed is None else claimed
    return frame(DATA, 0, stream, bytes([compressed]) + struct.pack(">I", size) + body)


def good(stream: int) -> bytes:
    return begin(stream) + message(stream) + trailers(stream)


def field(number: int, value: int | str | bytes) -> bytes:
    """One field of a protobuf message."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def varint(n: int) -> bytes:
    text = b""
    while n >= 128:
        text += bytes([n % 128 + 128])
        n //= 128
    return text + bytes([n])


def good_with(body: bytes) -> Callable[[int], bytes]:
    return lambda stream: begin(stream) + message(stream, body) + trailers(stream)


class FakeGrpc:
    """answers: for one call after the other, bytes or a function of the stream's number that gives them; the last
    one for all further calls. None: the connection is closed. The bytes b"" are no answer at all."""

    def __init__(self, *answers: bytes | Callable[[int], bytes] | None, greeting: bytes = frame(SETTINGS, 0, 0)):
        self.answers, self.greeting = list(answers), greeting
        self.port = free_port()
        self.calls = self.connections = self.pings = 0
        self.requests: list[bytes] = []  # what came in one frame: the message and five bytes before it
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> "FakeGrpc":
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        for connection in self._open:
            connection.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection, connection.makefile("rb") as incoming:
                connection.sendall(self.greeting)
                incoming.read(len(PREFACE))
                while head := incoming.read(9):
                    payload = incoming.read(int.from_bytes(head[:3], "big"))
                    if not self._frame(connection, head[3], head[4], int.from_bytes(head[5:9], "big"), payload):
                        return
        except (OSError, ValueError):
            pass

    def _frame(self, connection: socket.socket, kind: int, flags: int, stream: int, payload: bytes) -> bool:
        if kind == SETTINGS and not flags & ACK and self.greeting:
            connection.sendall(frame(SETTINGS, ACK, 0))
        elif kind == PING:
            self.pings += 1
        elif kind == DATA and flags & END_STREAM:
            answer = self.answers[min(self.calls, len(self.answers) - 1)]
            self.calls += 1
            self.requests.append(payload)
            if answer is None:
                return False
            connection.sendall(answer(stream) if callable(answer) else answer)
        return True
