"""Many sessions at a time, each of which can tell its answers from everybody else's."""

from __future__ import annotations

import secrets
from typing import Callable, Iterator, Sequence

from lib import wire
from lib.wire import Wire, text_row


class Crowd:
    """Sessions that are all open at once. `log_in` makes one, logged in.

    What each asks for is its own text and the server's id of its connection. The text must come
    back to the one that sent it, and the id must be the same whenever it is asked for, and nobody
    else's: a session keeps the server's connection that it began with.
    """

    def __init__(self, log_in: Callable[[], Wire]):
        self.log_in = log_in
        self.sessions: list[Wire] = []
        self.ids: dict[Wire, bytes] = {}
        self.answers = 0

    def grow(self, count: int) -> None:
        for _ in range(count):
            self.sessions.append(self.log_in())

    def shrink(self, leave: Sequence[Wire]) -> None:
        """Some leave as a client does that says so, and some as one that vanishes."""
        for i, session in enumerate(leave):
            if i % 2:
                session.send(wire.COM_QUIT)
            session.close()
            self.ids.pop(session, None)
        gone = set(leave)
        self.sessions = [session for session in self.sessions if session not in gone]

    def halve(self) -> None:
        """Every other one: the ones that stay lie between those that leave."""
        self.shrink(self.sessions[::2])

    def close(self) -> None:
        self.shrink(list(self.sessions))

    def ask_all(self, at_a_time: int, size: int = 16) -> None:
        """Everybody asks once; `at_a_time` questions are on their way before any answer is read."""
        for group in groups(self.sessions, at_a_time):
            texts = [secrets.token_hex(size) for _ in group]
            for session, text in zip(group, texts):
                session.send(wire.COM_QUERY, f"SELECT '{text}', CONNECTION_ID()")
            for session, text in zip(group, texts):
                self.check(session, text)
        assert len(set(self.ids.values())) == len(self.ids), "two sessions on one connection of the server"

    def check(self, session: Wire, text: str) -> None:
        response = session.read_response()
        assert response.error is None, response.error
        assert len(response.rows) == 1, response.rows
        echo, number = text_row(response.rows[0])
        assert echo == text.encode(), f"{echo} instead of {text}"
        assert number is not None and self.ids.setdefault(session, number) == number, "another connection of the server"
        session.transcript.clear()
        self.answers += 1


def groups(sessions: Sequence[Wire], size: int) -> Iterator[Sequence[Wire]]:
    for at in range(0, len(sessions), size):
        yield sessions[at:at + size]
