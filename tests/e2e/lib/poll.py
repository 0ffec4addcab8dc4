"""Waiting for something to become true, instead of sleeping and hoping."""

from __future__ import annotations

import select
import time
from typing import Callable, Sequence, TypeVar

T = TypeVar("T")


FIRST_PAUSE, LONGEST_PAUSE = 0.02, 0.1


def until(condition: Callable[[], T], what: str, seconds: float = 60, pause: float | None = None) -> T:
    """Asks `condition` again and again until it answers something true, and returns that. Without `pause` less and less
    often: whoever waits for a schema change must not keep the machine that makes it busy with asking."""
    deadline = time.monotonic() + seconds
    wait = pause or FIRST_PAUSE
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"after {seconds} s still not: {what} (last answer: {value!r})"
        time.sleep(wait)
        if pause is None:
            wait = min(wait * 1.4, LONGEST_PAUSE)


def stays(condition: Callable[[], object], what: str, seconds: float, pause: float = 0.05) -> None:
    """Checks that `condition` is true all the time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert condition(), f"no longer: {what}"
        time.sleep(pause)


def readable_of(files: Sequence, seconds: float | None = None) -> list:
    """Which of the descriptors or sockets can be read from, at the latest after so long. select() takes none above 1,023, of
    which a test process may have more."""
    numbers = {file if isinstance(file, int) else file.fileno(): file for file in files}
    asked = select.poll()
    for number in numbers:
        asked.register(number, select.POLLIN)
    return [numbers[number] for number, _ in asked.poll(None if seconds is None else seconds * 1000)]
