"""Thousands of sessions at once through vtshim: that every answer is right, and what they weigh."""

from __future__ import annotations

import gc
import resource
import sys
import time
from pathlib import Path
from typing import Callable

from process import LOOPBACK, Failure, until
from servers import USER
from targets import VTSHIM, Bench, start

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "e2e"))
from lib.crowd import Crowd  # noqa: E402
from lib.wire import Wire, WireError  # noqa: E402

AT_A_TIME = 1000    # questions under way before the first answer is read
KIB_EACH = 3        # what an idle session may cost the shim
LEFT_OVER = 0.25    # how much of their memory may still be the shim's when 99 in 100 have left,
WORTH = 4 << 20     # if it was as much as this: the allocator keeps a little in any case
MOST_LEFT = "99 in 100 have left"
SPARE_FILES = 60    # of a program that has no session
LOOK_S = 3          # the shim looks twice a second whether there is memory to be given back


def allowed(sessions: int, say: Callable[[str], None]) -> int:
    """How many of them the limit on open files allows: the shim needs two for each session."""
    want = 2 * sessions + SPARE_FILES
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard < want:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (want, want))
            hard = want
        except (ValueError, OSError):  # not even root may, in a container
            sessions = (hard - SPARE_FILES) // 2
            say(f"- {hard:,} open files are allowed here: {sessions:,} sessions instead of {(want - SPARE_FILES) // 2:,}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return sessions


def check_sessions(bench: Bench, sessions: int, say: Callable[[str], None]) -> dict:
    """Fails unless every answer is right and the memory is as promised. Bytes at each point."""
    say(f"- {sessions:,} sessions at once")
    target = start(bench, VTSHIM)
    assert target and target.program
    program = target.program
    crowd = Crowd(lambda: log_in(bench, target.port))
    points = {}

    def weigh(name: str) -> None:
        points[name] = program.memory()["pss"]
        say(f"  {name}: {len(crowd.sessions):,} sessions, {crowd.answers:,} right answers, {points[name] / 1024:,.0f} KiB")

    try:
        warm_up(crowd)
        weigh("before")
        crowd.grow(sessions)
        weigh("logged in")
        crowd.ask_all(AT_A_TIME)
        crowd.ask_all(AT_A_TIME)
        weigh("all have asked twice")
        crowd.halve()
        crowd.ask_all(AT_A_TIME)
        weigh("half have left")
        crowd.grow(sessions - len(crowd.sessions))
        crowd.ask_all(AT_A_TIME)
        weigh("as many have come")
        # Those that stay lie all over the memory of those that leave.
        crowd.shrink([session for i, session in enumerate(crowd.sessions) if i % 100])
        until("the shim is rid of them", lambda: open_files(program.pid) < 2 * len(crowd.sessions) + SPARE_FILES)
        time.sleep(LOOK_S)
        crowd.ask_all(AT_A_TIME)
        weigh(MOST_LEFT)
        crowd.close()
        until("the shim is rid of them", lambda: open_files(program.pid) < SPARE_FILES)
    except (AssertionError, OSError, WireError) as error:
        program.check()
        raise Failure(f"{len(crowd.sessions):,} sessions open: {type(error).__name__}: {error}") from error
    finally:
        for session in crowd.sessions:
            session.close()
        target.stop()
        gc.collect()
    return judged(points, sessions, crowd.answers)


def log_in(bench: Bench, port: int) -> Wire:
    client = Wire((LOOPBACK, port))
    # The user has no password: with MySQL's own plugin the empty answer is the right one.
    client.login(USER, "", bench.server.database, plugin="caching_sha2_password", auth=b"")
    return client


def warm_up(crowd: Crowd) -> None:
    """What is paid once, by the first of all, is not the sessions' cost."""
    crowd.grow(20)
    crowd.ask_all(20)
    crowd.close()
    crowd.answers = 0


def open_files(pid: int) -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def judged(points: dict[str, int], sessions: int, answers: int) -> dict:
    grown = max(points.values()) - points["before"]
    left = (points[MOST_LEFT] - points["before"]) / grown
    each = (points["all have asked twice"] - points["before"]) / sessions
    if each > KIB_EACH * 1024:
        raise Failure(f"an idle session costs {each:,.0f} bytes, more than {KIB_EACH} KiB")
    if left > LEFT_OVER and grown > WORTH:
        raise Failure(f"{left:.0%} of the sessions' memory is still there when {MOST_LEFT}")
    return {"sessions": sessions, "answers": answers, "points": points, "bytes_each": each, "left_over": left}
