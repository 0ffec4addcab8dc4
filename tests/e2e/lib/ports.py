"""Free TCP ports below the range from which the kernel takes those of outgoing connections."""

from __future__ import annotations

import os
import socket

_FIRST, _LAST = 20000, 32000
# Processes that run at the same time begin at different places.
_next = _FIRST + os.getpid() * 61 % (_LAST - _FIRST)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on, never the same twice in one process."""
    global _next
    while True:
        _next = _next + 1 if _next < _LAST else _FIRST
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", _next))
            except OSError:
                continue
            return _next
