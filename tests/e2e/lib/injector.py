"""A relay in front of a real vtgate that spoils what it is told to, and counts what vtgate was given.

    with Injector(bed.gates[0]) as gate:
        gate.arm(Refuse(NOT_SERVING), Refuse(NOT_SERVING))  # the next two commands of a client

Each connection has a thread. Commands are taken apart, answers are passed on as they come.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections import deque
from dataclasses import dataclass
from typing import Callable

from lib import wire
from lib.poll import readable_of

COUNTED = (wire.COM_QUERY, wire.COM_STMT_EXECUTE, wire.COM_STMT_PREPARE)


def tablet(text: str, target: str = "commerce.-80.primary") -> str:
    """An error as vtgate words it when it comes from a tablet."""
    return f"target: {target}: vttablet: rpc error: code = X desc = {text}"


# (errno, SQLSTATE, text): refused before execution; and some of which nobody knows what they leave behind.
Error = tuple[int, str, str]
NOT_SERVING: Error = (1105, "HY000", tablet("operation not allowed in state NOT_SERVING"))
DENIED: Error = (1105, "HY000", tablet("disallowed due to rule: enforce denied tables (CallerID: app)"))
NO_VINDEX: Error = (1173, "42000", "table 'demo' does not have a primary vindex")
NO_TABLE: Error = (1105, "HY000", "table demo not found")
NO_TABLET: Error = (1105, "HY000", "target: commerce.-80.primary: no healthy tablet available for 'keyspace:\"commerce\"'")
LOST: Error = (1105, "HY000", tablet("error reading from server: EOF"))
AT_COMMIT: Error = (1105, "HY000", f"VT15001: transaction error, issue ROLLBACK and retry the transaction: {NOT_SERVING[2]}")


class Ended(Exception):
    pass


@dataclass
class Refuse:
    """vtgate is not asked; the answer is an error. `pieces`: sent byte by byte."""

    error: Error
    pieces: bool = False

    def act(self, link: "Link", packet: bytes) -> None:
        link.send_error(self.error, self.pieces)


@dataclass
class Spoil:
    """vtgate executes the command; then the answer is replaced by an error, or, with `bytes`, cut off and the
    connection closed."""

    error: Error | None = None
    bytes: int = 0

    def act(self, link: "Link", packet: bytes) -> None:
        link.forward(packet)
        answer = link.server.recv(1 << 16)
        if self.error:
            link.send_error(self.error)
        else:
            link.client.sendall(answer[:self.bytes])
            raise Ended


class Hang:
    """The connection is closed before vtgate gets the command."""

    def act(self, link: "Link", packet: bytes) -> None:
        raise Ended


@dataclass
class Trickle:
    """vtgate's own answer comes in two parts, cut behind so many bytes."""

    bytes: int

    def act(self, link: "Link", packet: bytes) -> None:
        link.forward(packet)
        answer = link.server.recv(1 << 16)
        link.client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link.client.sendall(answer[:self.bytes])
        threading.Event().wait(0.05)
        link.client.sendall(answer[self.bytes:])


class Link:
    """One connection of the shim, and its own to vtgate."""

    def __init__(self, injector: "Injector", client: socket.socket):
        self.injector, self.client = injector, client
        self.server = socket.create_connection(injector.gate)
        self.pending = b""

    def run(self) -> None:
        try:
            with self.client, self.server:
                self._login()
                while True:
                    self._turn()
        except (Ended, OSError):
            pass

    def _packet(self, source: socket.socket) -> bytes:
        data = b""
        while len(data) < 4 or len(data) < 4 + int.from_bytes(data[:3], "little"):
            want = 4 - len(data) if len(data) < 4 else 4 + int.from_bytes(data[:3], "little") - len(data)
            part = source.recv(want)
            if not part:
                raise Ended
            data += part
        return data

    def _login(self) -> None:
        self.client.sendall(self._packet(self.server))
        while True:
            self.server.sendall(self._packet(self.client))
            answer = self._packet(self.server)
            self.client.sendall(answer)
            if answer[4] in (0x00, 0xFF):
                return

    def _turn(self) -> None:
        readable = readable_of([self.client, self.server])
        if self.server in readable:
            data = self.server.recv(1 << 16)
            if not data:
                raise Ended
            self.client.sendall(data)
        elif self.client in readable:
            packet = self._packet(self.client)
            action = self.injector.next_action(packet)
            if action:
                action.act(self, packet)
            else:
                self.forward(packet)

    def forward(self, packet: bytes) -> None:
        self.injector.note(packet)
        self.server.sendall(packet)

    def send_error(self, error: Error, pieces: bool = False) -> None:
        number, state, text = error
        payload = b"\xff" + struct.pack("<H", number) + b"#" + state.encode() + text.encode()
        packet = len(payload).to_bytes(3, "little") + b"\x01" + payload
        self.client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for part in [packet[i:i + 1] for i in range(len(packet))] if pieces else [packet]:
            self.client.sendall(part)
            if pieces:
                threading.Event().wait(0.0005)


class Injector:
    def __init__(self, gate: tuple[str, int]):
        self.gate = gate
        self.actions: deque = deque()
        self.always: Callable[[bytes], object | None] | None = None
        self.seen, self.executed = 0, 0
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.endpoint = "%s:%d" % self._listener.getsockname()

    def arm(self, *actions: object) -> None:
        """The next commands (queries, executions, preparations) meet these, one each."""
        with self._lock:
            self.actions = deque(actions)
            self.seen = self.executed = 0

    def next_action(self, packet: bytes) -> object | None:
        with self._lock:
            if packet[4] not in COUNTED:
                return None
            self.seen += 1
            if self.always:
                return self.always(packet)
            return self.actions.popleft() if self.actions else None

    def note(self, packet: bytes) -> None:
        with self._lock:
            self.executed += packet[4] in COUNTED

    def __enter__(self) -> "Injector":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=Link(self, client).run, daemon=True).start()
