"""One server with its shims, and the tests run against them one after the other."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

from lib.shim import Shim
from mysqltest.client import Client, Output, Target
from mysqltest.judge import difference
from mysqltest.modes import Mode
from mysqltest.server import Server
from mysqltest.suite import Suite

# A test that takes longer straight is left out. Through the shim it may take this long, and some times its straight
# time: the machine may be doing something else.
SECONDS = 30
PATIENCE = 4
# How often a straight run has to give the same before a difference is blamed on the shim.
REPEATS = 3

SAME, DIFFERENT, UNUSABLE = "same", "different", "unusable"


@dataclass(frozen=True)
class Verdict:
    """Of one test in one mode. whole: it ran to its end, not just to the first thing that is not so here; lines: how
    much there was to compare."""

    test: str
    mode: str
    verdict: str
    why: str = ""
    diff: str = ""
    whole: bool = False
    lines: int = 0


class Lane:
    """Use as a context. tests: whose files are run; program: whose client runs them."""

    def __init__(self, number: int, folder: Path, program: Path, server_suite: Suite, client_suite: Suite,
                 modes: tuple[Mode, ...]):
        self.folder = folder / f"lane{number}"
        self.folder.mkdir(mode=0o755)
        self.server = Server(server_suite, self.folder)
        self.client = Client(client_suite, self.server)
        self.modes, self.program, self.suite = modes, program, server_suite
        self.shims: dict[bool, Shim] = {}
        self.targets: dict[bool, Target] = {}
        self.straight: Target | None = None

    def __enter__(self) -> "Lane":
        self.server.start()
        self.straight = Target("straight", self.server.socket, self.server.port)
        try:
            for tls in sorted({mode.server_tls for mode in self.modes}):
                self._start_shim(tls)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.failures: list[str] = []
        for shim in self.shims.values():
            try:
                shim.finish()
            except AssertionError as failure:
                self.failures.append(str(failure))
        self.server.stop()

    def _start_shim(self, tls: bool) -> None:
        """MySQL knows who is local by the socket, so the shim comes by it, too."""
        certificates = self.suite.home / "std_data"
        socket = self.folder / f"shim-{'tls' if tls else 'plain'}.sock"
        mysql = SimpleNamespace(user="root", password="", keyspace="test", endpoints=[f"unix:{self.server.socket}"])
        config: dict = {
            "ddl": {"intercept": False},
            "tls": {"cert": str(certificates / "server-cert.pem"), "key": str(certificates / "server-key.pem")},
            "vtgate_tls": {"mode": "required" if tls else "off"},
            # Health checks are sessions that a test may count. One that happens while the server is made new does no
            # harm: a sole server is tried even if it is down.
            "control": {"check_interval_ms": 600_000},
        }
        shim = Shim(self.program, self.folder, mysql, config)
        shim.config["listen"] = ["%s:%d" % shim.listen, f"unix:{socket}"]
        shim.config_file.write_text(json.dumps(shim.config))
        self.shims[tls] = shim
        shim.start()
        # The clients are nobody's when root runs this.
        socket.chmod(0o777)
        self.targets[tls] = Target(f"shim-{'tls' if tls else 'plain'}", socket, shim.listen[1])

    def run(self, test: str) -> list[Verdict]:
        """All modes of one test; or of several with commas between them, which are looked at one by one where they are
        not the same to the end."""
        straight = self._output(test, self.straight, ())
        unusable = _unusable(straight)
        if unusable:
            found = [Verdict(test, mode.name, UNUSABLE, unusable) for mode in self.modes]
        else:
            found = [self._judge(test, mode, straight) for mode in self.modes]
        names = test.split(",")
        if len(names) == 1 or all(verdict.verdict == SAME and verdict.whole for verdict in found):
            return found
        return [verdict for name in names for verdict in self.run(name)]

    def _judge(self, test: str, mode: Mode, straight: Output) -> Verdict:
        """Straight runs are repeated only when there is a difference: the same answer through the shim says all that
        a second straight one would, and a difference says nothing before the straight answers agree."""
        target = self.targets[mode.server_tls]
        limit = SECONDS + PATIENCE * straight.seconds
        through = self._output(test, target, mode.options, limit)
        if through.same(straight):
            return Verdict(test, mode.name, SAME, whole=through.whole, lines=through.text.count("\n"))
        straights = [self._output(test, self.straight, mode.options) for _ in range(REPEATS - 1)]
        throughs = [through]
        for output in straights:
            if through.same(output):
                return Verdict(test, mode.name, SAME, whole=through.whole, lines=through.text.count("\n"))
        if not straights[0].same(straights[1]):
            return Verdict(test, mode.name, UNUSABLE, "differs straight from straight")
        unusable = _unusable(straights[0])
        if unusable:
            return Verdict(test, mode.name, UNUSABLE, unusable)
        # Does the difference last?
        throughs.append(self._output(test, target, mode.options, limit))
        third = self._output(test, self.straight, mode.options)
        if any(output.same(other) for output in throughs for other in (*straights, third)):
            return Verdict(test, mode.name, UNUSABLE, "differs from time to time",
                           difference(straights[0], throughs[0]))
        if not third.same(straights[0]):
            return Verdict(test, mode.name, UNUSABLE, "differs straight from straight")
        return Verdict(test, mode.name, DIFFERENT, _headline(straights[0], throughs[-1]),
                       difference(straights[0], throughs[-1]))

    def _output(self, test: str, target: Target, options: tuple[str, ...], seconds: float = SECONDS) -> Output:
        output = None
        try:
            output = self.client.run(test, target, options, seconds)
        finally:
            # A test that has run to its end has tidied up itself: mysql-test-run.pl insists on it.
            self.server.tidy(quickly=bool(output and output.whole))
        return output


def _unusable(straight: Output) -> str:
    if straight.status is None:
        return f"takes longer than {SECONDS} s straight"
    if straight.skipped:
        return "skips itself here"
    return ""


def _headline(straight: Output, through: Output) -> str:
    if through.status is None:
        return "hangs through the shim"
    if through.status != straight.status:
        return f"exit status {through.status} through the shim, {straight.status} straight"
    return "another output"
