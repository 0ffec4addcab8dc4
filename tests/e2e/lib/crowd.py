"""Many sessions at a time, each of which can tell its answers from everybody else's."""

from __future__ import annotations

import secrets
from typing import Callable, Iterator, Sequence

from lib import wire
from lib.wire import Response, Wire, text_row


class Crowd:
    """Sessions that are all open at once. `log_in` makes one, logged in.

    Each gives itself a name, which the server keeps with its connection, and then asks for a text
    that is new every time and for its name. Both must come back to the one that asked: its answers
    are its own, and it keeps the server's connection that it began with.
    """

    def __init__(self, log_in: Callable[[], Wire]):
        self.log_in = log_in
        self.sessions: list[Wire] = []
        self.names: dict[Wire, str] = {}
        self.answers = 0

    def grow(self, count: int) -> None:
        for _ in range(count):
            session = self.log_in()
            self.sessions.append(session)
            self.names[session] = secrets.token_hex(12)
            assert session.query(f"SET @me = '{self.names[session]}'").error is None
            session.transcript.clear()

    def shrink(self, leave: Sequence[Wire]) -> None:
        """Some leave as a client does that says so, and some as one that vanishes."""
        for i, session in enumerate(leave):
            if i % 2:
                session.send(wire.COM_QUIT)
            session.close()
            del self.names[session]
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
                session.send(wire.COM_QUERY, f"SELECT '{text}', @me")
            for session, text in zip(group, texts):
                self.check(session.read_response(), text, self.names[session])
                session.transcript.clear()

    def check(self, response: Response, text: str, name: str) -> None:
        assert response.error is None, response.error
        assert len(response.rows) == 1, response.rows
        assert text_row(response.rows[0]) == [text.encode(), name.encode()], f"{response.rows[0]!r} to {name}"
        self.answers += 1


def groups(sessions: Sequence[Wire], size: int) -> Iterator[Sequence[Wire]]:
    for at in range(0, len(sessions), size):
        yield sessions[at:at + size]
