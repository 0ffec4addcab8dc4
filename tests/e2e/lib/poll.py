"""Waiting for something to become true, instead of sleeping and hoping."""

from __future__ import annotations

import time
from typing import Callable, TypeVar

T = TypeVar("T")


def until(condition: Callable[[], T], what: str, seconds: float = 60, pause: float = 0.02) -> T:
    """Asks `condition` again and again until it answers something true, and returns that."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"after {seconds} s still not: {what} (last answer: {value!r})"
        time.sleep(pause)


def stays(condition: Callable[[], object], what: str, seconds: float, pause: float = 0.02) -> None:
    """Checks that `condition` is true all the time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert condition(), f"no longer: {what}"
        time.sleep(pause)
