"""A network that loses and delays packets: two network namespaces, a TUN device in each, and between them this process, which
carries IP packets, or does not. It needs no module of the kernel but tun (tc's netem is not everywhere), and what TCP makes of
it is the kernel's own TCP.

    shim and its sockets: namespace `inside`, 10.231.0.1       clients, vtgate's stand-in: `outside`, 10.231.0.2
"""

from __future__ import annotations

import ctypes
import fcntl
import heapq
import os
import random
import socket
import struct
import subprocess
import threading
import time
from contextlib import contextmanager
from typing import Iterator, Sequence

from lib.poll import readable_of
from lib.relay import copy

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)


def enter(descriptor: int) -> None:
    """This thread's network namespace from now on."""
    if LIBC.setns(descriptor, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


class LossyNetwork:
    inside, outside_address = "10.231.0.1", "10.231.0.2"

    def __init__(self, loss: float, delay_ms: float):
        self.loss, self.delay = loss, delay_ms / 1000
        self.packets = self.dropped = 0
        self.names = [f"vtshim-{os.getpid()}-{side}" for side in ("in", "out")]
        self.ended = threading.Event()
        self.threads: list[threading.Thread] = []
        self.sockets: list[socket.socket] = []

    def __enter__(self) -> "LossyNetwork":
        self.home = os.open("/proc/self/ns/net", os.O_RDONLY)
        for name in self.names:
            subprocess.run(["ip", "netns", "add", name], check=True)
        self.spaces = [os.open(f"/run/netns/{name}", os.O_RDONLY) for name in self.names]
        addresses = (self.inside, self.outside_address)
        self.tuns = [self._in(space, self._make_tun, address, name)
                     for space, address, name in zip(self.spaces, addresses, self.names)]
        self._start(self._carry)
        return self

    def __exit__(self, *exception: object) -> None:
        self.ended.set()
        for listening in self.sockets:
            listening.close()
        for thread in self.threads:
            thread.join(5)
        for descriptor in (*self.tuns, *self.spaces, self.home):
            os.close(descriptor)
        for name in self.names:
            subprocess.run(["ip", "netns", "del", name], check=True)

    def command(self, command: Sequence[str]) -> list[str]:
        """Runs it inside. Its console and HTTP ports are on that side's loopback: `ip netns exec` reaches them."""
        return ["ip", "netns", "exec", self.names[0], *command]

    @contextmanager
    def outside(self) -> Iterator[None]:
        """This thread's sockets are on the other side of the network."""
        enter(self.spaces[1])
        try:
            yield
        finally:
            enter(self.home)

    def expose(self, target: tuple[str, int]) -> str:
        """An address on the other side that leads to target, here."""
        with self.outside():
            listening = socket.create_server((self.outside_address, 0), backlog=200)
        self.sockets.append(listening)
        self._start(self._accept, listening, target)
        return "%s:%d" % listening.getsockname()

    # What goes on in threads.

    def _start(self, function, *arguments) -> None:
        self.threads.append(threading.Thread(target=function, args=arguments, daemon=True))
        self.threads[-1].start()

    def _in(self, space: int, function, *arguments):
        enter(space)
        try:
            return function(*arguments)
        finally:
            enter(self.home)

    def _make_tun(self, address: str, name: str) -> int:
        tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH", b"tun0", IFF_TUN | IFF_NO_PI))
        for command in (["addr", "add", f"{address}/24", "dev", "tun0"], ["link", "set", "tun0", "up"],
                        ["link", "set", "lo", "up"]):
            subprocess.run(["ip", "-n", name, *command], check=True)
        return tun

    def _carry(self) -> None:
        waiting: list[tuple[float, int, int, bytes]] = []
        while not self.ended.is_set():
            pause = max(0.0, waiting[0][0] - time.monotonic()) if waiting else 0.05
            readable = readable_of(self.tuns, min(pause, 0.05))
            for tun in readable:
                packet = os.read(tun, 65536)
                self.packets += 1
                if random.random() < self.loss:
                    self.dropped += 1
                    continue
                other = self.tuns[1 - self.tuns.index(tun)]
                heapq.heappush(waiting, (time.monotonic() + self.delay, self.packets, other, packet))
            while waiting and waiting[0][0] <= time.monotonic():
                _, _, other, packet = heapq.heappop(waiting)
                try:
                    os.write(other, packet)
                except OSError:
                    self.dropped += 1

    def _accept(self, listening: socket.socket, target: tuple[str, int]) -> None:
        while not self.ended.is_set():
            try:
                near, _ = listening.accept()
            except OSError:
                return
            far = socket.create_connection(target)
            self._start(copy, near, far)
            self._start(copy, far, near)
