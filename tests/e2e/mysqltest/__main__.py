"""usage: run [--quick] [--suite SUITE] [--modes MODE,...] [--lanes N] [TEST...]

Runs the peers' own tests straight against MySQL and through the shim, and compares what comes out."""

from __future__ import annotations

import argparse
import os
import queue
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

from lib.bed import REPOSITORY
from lib.shim import find_program
from mysqltest.known import QUICK
from mysqltest.lane import SAME, Lane, Verdict
from mysqltest.modes import MODES
from mysqltest.report import report
from mysqltest.suite import Missing, Suite, find

OUT = REPOSITORY / "build" / "mysqltest"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="run", description=__doc__.split("\n\n", 1)[1])
    parser.add_argument("--quick", action="store_true", help="the selection that the end-to-end tests run")
    parser.add_argument("--suite", choices=sorted(MODES), default="mysql",
                        help="whose tests, run by whose client; the server is MySQL's in any case")
    parser.add_argument("--modes", help="only these, with commas between them")
    parser.add_argument("--lanes", type=int, default=os.cpu_count() or 2, help="servers at a time")
    parser.add_argument("--out", type=Path, help="where the differences go; build/mysqltest/SUITE")
    parser.add_argument("--start-at", default="", help="leave out the tests before this one")
    parser.add_argument("tests", nargs="*", metavar="TEST", help="NAME of the main suite, or SUITE.NAME")
    return parser.parse_args()


class Run:
    """All tests over all lanes."""

    def __init__(self, suite: Suite, server_suite: Suite, modes: tuple, out: Path):
        self.suite, self.server_suite, self.modes, self.out = suite, server_suite, modes, out
        self.verdicts: list[Verdict] = []
        self.failures: list[str] = []
        self._lock = threading.Lock()
        self._todo: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._total = self._done = 0
        self._lanes: list[Lane] = []
        self._stopping = False

    def stop(self, number: int, _: object) -> None:
        """A signal: the lanes end what they have started."""
        self._stopping = True
        self.failures.append(f"ended by signal {number}")
        for lane in self._lanes:
            lane.client.interrupt()

    def all(self, tests: list[str], lanes: int) -> None:
        for test in tests:
            self._todo.put(test)
        self._total = len(tests)
        shutil.rmtree(self.out, ignore_errors=True)
        self.out.mkdir(parents=True)
        # In memory where that is possible: the server is what takes the time.
        where = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        with tempfile.TemporaryDirectory(prefix="vtshim-mysqltest-", dir=where) as name:
            folder = Path(name)
            folder.chmod(0o755)
            threads = [threading.Thread(target=self._lane, args=(number, folder))
                       for number in range(min(lanes, len(tests)))]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

    def _lane(self, number: int, folder: Path) -> None:
        lane = None
        try:
            with Lane(number, folder, find_program(), self.server_suite, self.suite, self.modes) as lane:
                self._lanes.append(lane)
                while not self._stopping:
                    self._one(lane)
        except queue.Empty:
            pass
        except BaseException as error:
            self.failures.append(f"lane {number}: {type(error).__name__}: {error}")
        if lane:
            self.failures += lane.failures

    def _one(self, lane: Lane) -> None:
        test = self._todo.get_nowait()
        began = time.monotonic()
        found = lane.run(test)
        if self._stopping:
            return
        with self._lock:
            self.verdicts += found
            for verdict in found:
                if verdict.diff:
                    (self.out / f"{verdict.test}.{verdict.mode}.diff").write_text(verdict.diff + "\n", encoding="latin-1")
            self._done += 1
            words = " ".join(dict.fromkeys(f"{v.mode}:{v.verdict}" if v.verdict != SAME else v.mode for v in found))
            why = "; ".join(sorted({v.why for v in found if v.why}))
            print(f"[{self._done}/{self._total}] {test} ({time.monotonic() - began:.1f} s) {words}"
                  + (f" -- {why}" if why else ""), flush=True)


def main() -> int:
    asked = arguments()
    try:
        server_suite = find("mysql")
        suite = find(asked.suite)
    except Missing as missing:
        print(missing)
        return 2
    modes = MODES[suite.name]
    if asked.modes:
        modes = tuple(mode for mode in modes if mode.name in asked.modes.split(","))
    left_out: Counter[str] = Counter()
    tests = asked.tests or (list(QUICK[suite.name]) if asked.quick else [])
    if not tests:
        for test in suite.all_tests:
            reason = suite.unfit(test)
            if reason:
                left_out[reason] += 1
            elif test >= asked.start_at:
                tests.append(test)
    run = Run(suite, server_suite, modes, asked.out or OUT / suite.name)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, run.stop)
    run.all(tests, max(1, asked.lanes))
    return 1 if report(suite.name, modes, run.verdicts, run.failures, left_out) else 0


if __name__ == "__main__":
    sys.exit(main())
