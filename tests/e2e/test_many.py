"""Many sessions at a time. bench/run does the same with 10,000, and weighs them."""

from __future__ import annotations

from lib.crowd import Crowd
from lib.poll import until

SESSIONS = 400


def test_many_sessions(shim):
    """Answers reach the session that asked, on the connection that it has, also after half have left and
    as many have come."""
    crowd = Crowd(shim.wire)
    crowd.grow(SESSIONS)
    for at_a_time in (SESSIONS, 7):
        crowd.ask_all(at_a_time)
    crowd.ask_all(50, size=20000)
    crowd.halve()
    until(lambda: shim.metric("vtshim_sessions") == SESSIONS // 2, "half have left")
    crowd.ask_all(SESSIONS)
    crowd.grow(SESSIONS // 2)
    crowd.ask_all(SESSIONS)
    assert shim.metric("vtshim_sessions") == SESSIONS
    assert crowd.answers == 4 * SESSIONS + SESSIONS // 2
    crowd.close()
    until(lambda: shim.metric("vtshim_sessions") == 0, "all have left")
