"""Sockets that cut what passes through them, and the compressed protocol on top of one."""

from __future__ import annotations

import random
import socket
import time
import zlib

from lib.relay import Relay, end
from lib.wire import MAX_PACKET

# Long enough for the other side to take the byte before the next one comes, as a rule.
PAUSE = 0.0002


class Bytewise:
    """A socket that sends one byte at a time."""

    def __init__(self, inner: socket.socket):
        self._inner = inner
        inner.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def sendall(self, data: bytes) -> None:
        for i in range(len(data)):
            self._inner.sendall(data[i:i + 1])
            time.sleep(PAUSE)

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)


class Cutting:
    """A socket that sends the first `at` bytes by themselves, or keeps all until flush()."""

    def __init__(self, inner: socket.socket, at: int = 0):
        self._inner, self.at, self.corked, self._kept = inner, at, False, b""

    def sendall(self, data: bytes) -> None:
        if self.corked:
            self._kept += data
            return
        if 0 < self.at < len(data):
            self._inner.sendall(data[:self.at])
            time.sleep(10 * PAUSE)
            data = data[self.at:]
        self._inner.sendall(data)

    def flush(self) -> None:
        self._inner.sendall(self._kept)
        self.corked, self._kept = False, b""

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)


class Compressed:
    """A socket that speaks MySQL's compressed protocol (zlib): each sendall is one frame, or several."""

    def __init__(self, inner: socket.socket | Bytewise, corked: bool = False):
        self._inner = inner
        self.corked = corked  # frames wait for flush()
        self._waiting = b""
        self._received = b""

    def sendall(self, data: bytes) -> None:
        for at in range(0, len(data), MAX_PACKET):
            part = data[at:at + MAX_PACKET]
            packed = zlib.compress(part) if len(part) >= 50 else part
            plain = len(part) if len(part) >= 50 else 0
            # The sequence number is nobody's business: the shim, like vtgate's clients, does not look at it.
            self._waiting += len(packed).to_bytes(3, "little") + b"\0" + plain.to_bytes(3, "little") + packed
        if not self.corked:
            self.flush()

    def flush(self) -> None:
        waiting, self._waiting = self._waiting, b""
        self._inner.sendall(waiting)

    def recv(self, size: int) -> bytes:
        """The contents of one frame; it may be more than was asked for."""
        header = self._read(7)
        if not header:
            return b""
        packed, plain = self._read(int.from_bytes(header[:3], "little")), int.from_bytes(header[4:], "little")
        contents = zlib.decompress(packed) if plain else packed
        assert not plain or len(contents) == plain
        return contents or self.recv(size)

    def _read(self, n: int) -> bytes:
        data = bytearray()
        while len(data) < n:
            part = self._inner.recv(n - len(data))
            if not part:
                assert not data, "the connection ended in the middle of a frame"
                return b""
            data += part
        return bytes(data)

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)


class CuttingRelay(Relay):
    """A relay that cuts what passes: each read's first bytes one by one, then small pieces."""

    HEAD, PIECE = 40, 11

    def carry(self, source: socket.socket, sink: socket.socket, from_client: bool) -> None:
        try:
            while data := source.recv(65536):
                at = 0
                while at < len(data):
                    n = 1 if at < self.HEAD else random.randint(1, self.PIECE)
                    sink.sendall(data[at:at + n])
                    at += n
                    time.sleep(PAUSE)
        except OSError:
            pass
        end(source, sink)
