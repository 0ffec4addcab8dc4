"""A TCP relay between the shim and a server. What it does to the bytes is for classes of its own."""

from __future__ import annotations

import socket
import threading

from lib.ports import free_port


def end(*sockets: socket.socket) -> None:
    for one in sockets:
        try:
            one.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def copy(source: socket.socket, sink: socket.socket) -> None:
    """Bytes from one to the other, until either ends; then both do."""
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass
    end(source, sink)


class Relay:
    """Listens from the beginning on; the port stays the same when it is opened again."""

    def __init__(self, target: str | tuple[str, int]):
        host, port = target.rsplit(":", 1) if isinstance(target, str) else target
        self._target = (host, int(port))
        self.port = free_port()
        self._open: list[socket.socket] = []
        self.open()

    @property
    def endpoint(self) -> str:
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> "Relay":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=64)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def close(self) -> None:
        """Connections end, and nobody gets through any more."""
        end(self._listener)
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """Connections end; new ones are let through."""
        end(*self._open)
        self._open.clear()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
                server = socket.create_connection(self._target, 10)
            except OSError:
                return
            server.settimeout(None)
            self._open += [client, server]
            for one in (client, server):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.carry, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self.carry, args=(server, client, False), daemon=True).start()

    def carry(self, source: socket.socket, sink: socket.socket, from_client: bool) -> None:
        """One direction of one connection."""
        copy(source, sink)
