"""Free TCP ports below the range from which the kernel takes those of outgoing connections."""

from __future__ import annotations

import os
import socket

_FIRST, _LAST = 20000, 32000
# Processes that run at the same time begin at different places.
_next = _FIRST + os.getpid() * 61 % (_LAST - _FIRST)
# Port -> the claim on it. A server that a test stops and starts again keeps its port meanwhile.
_claims: dict[int, socket.socket] = {}


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on, never the same twice, in this and in other test processes."""
    global _next
    for _ in range(_LAST - _FIRST):
        _next = _next + 1 if _next < _LAST else _FIRST
        if _next not in _claims and _claim(_next):
            return _next
    raise RuntimeError("no free port")


def _claim(port: int) -> bool:
    """Takes the port for as long as this process lives, by the name of a socket that only one process can have."""
    claim = socket.socket(socket.AF_UNIX)
    try:
        claim.bind(f"\0vtshim-test-port-{port}")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
    except OSError:
        claim.close()
        return False
    _claims[port] = claim
    return True
