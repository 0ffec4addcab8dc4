"""The peers' test suites as unpacked by install.sh: their programs, their files, and which tests can run here."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

# Tests that are functions take milliseconds each: so many are one run.
BATCH = 8

HERE = Path(__file__).resolve().parent


class Missing(Exception):
    """The suite cannot be had on this machine; the text says why."""


@dataclass(frozen=True)
class Suite:
    """One peer's tests and the program that runs them.

    peer: "mysql" or "mariadb". main: where the .test files are, below `tests`; empty: the tests are C functions in the
    program itself, which knows their names."""

    name: str
    peer: str
    folder: Path
    tests: str  # the tests' folder, below root/
    program: str  # of sbin/
    main: str = ""

    @cached_property
    def home(self) -> Path:
        """Where the program has to be started: tests name their includes from here."""
        return self.folder / "root" / self.tests

    def command(self, name: str) -> str:
        return str(self.folder / "sbin" / name)

    def test_file(self, test: str) -> Path:
        """t/NAME.test, or suite/SUITE/t/NAME.test for SUITE.NAME."""
        if "." in test:
            suite, name = test.split(".", 1)
            nested = self.home / "suite" / suite / "t" / f"{name}.test"
            return nested if nested.exists() else self.home / "suite" / suite / f"{name}.test"
        return self.home / self.main / f"{test}.test"

    @cached_property
    def all_tests(self) -> list[str]:
        if self.main:
            return sorted(path.stem for path in (self.home / self.main).glob("*.test"))
        shown = subprocess.run([self.command(self.program), "--no-defaults", "--show-tests"], stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
        names = [line for line in shown.stdout.splitlines() if re.fullmatch(r"\w+", line)]
        return [",".join(names[at:at + BATCH]) for at in range(0, len(names), BATCH)]

    @cached_property
    def _includes(self) -> dict[str, str | None]:
        return {}

    def unfit(self, test: str) -> str | None:
        """Why a test cannot run against a server that is already up, or None.

        It is the text that is looked at, with all that it includes. A test that would merely skip itself, because
        it wants another platform or a plug-in, needs no reason: it does so straight and through the shim."""
        if not self.main:
            return None
        path = self.test_file(test)
        for ending, reason in BESIDE:
            if path.with_name(path.stem + ending).exists():
                return reason
        return SLOW.get(test) or self._unfit_file(path)

    def _unfit_file(self, path: Path) -> str | None:
        key = str(path)
        if key not in self._includes:
            self._includes[key] = None  # an include that includes itself ends here
            self._includes[key] = self._unfit_text(path)
        return self._includes[key]

    def _unfit_text(self, path: Path) -> str | None:
        try:
            text = path.read_bytes().decode("latin-1").lower()
        except OSError:
            return None
        # What stands behind a # is never run.
        text = re.sub(r"(?m)^[ \t]*#.*$", "", text)
        for pattern, reason in WORDS:
            if pattern.search(text):
                return reason
        for name in re.findall(r"(?m)^[ \t]*(?:--[ \t]*)?source[ \t]+([^\s;$]+)", text):
            reason = self._unfit_file(self.home / name)
            if reason:
                return reason
        return None


# Files beside a test that the suites' own driver reads before it starts a server for it.
BESIDE = (
    ("-master.opt", "wants a server with options of its own"),
    (".opt", "wants a server with options of its own"),
    (".cnf", "wants servers with a configuration of its own"),
    ("-master.sh", "wants a script run before the server starts"),
    ("-client.opt", "wants a client with options of its own"),
    (".combinations", "wants several servers one after the other"),
    ("-slave.opt", "wants a replica"),
)

WORDS = tuple((re.compile(pattern, re.M), reason) for pattern, reason in (
    (r"include/(restart_mysqld|shutdown_mysqld|kill_mysqld|start_mysqld|kill_and_restart|expect_crash|force_restart)"
     r"|^[ \t]*(--[ \t]*)?(shutdown_server|send_shutdown)|\.expect\b|^[ \t]*(shutdown|restart)[ \t]*;",
     "restarts the server"),
    (r"include/(big_test|have_debug|have_debug_sync|have_valgrind|have_innodb_[a-z]*debug)\.inc",
     "wants a debug build or hours of time"),
    (r"include/(not_embedded_)?(master-slave|have_ndb|have_group_replication|rpl/(init_|connection_|deinit))",
     "wants several servers"),
    # These stop the whole server or machine from answering others in time.
    (r"include/(have_perfschema_threadpool|have_windows|windows)\.inc", "wants another platform"),
))

# Found by running them: they pass, but take longer than SECONDS in every mode.
SLOW: dict[str, str] = {}


SUITES = {
    "mysql": ("mysql", "usr/lib/mysql-test", "mysqltest", "t"),
    "mysql-client": ("mysql", "usr/lib/mysql-test", "mysql_client_test"),
    "mariadb": ("mariadb", "usr/share/mariadb/mariadb-test", "mariadb-test", "main"),
    "mariadb-client": ("mariadb", "usr/share/mariadb/mariadb-test", "mariadb-client-test"),
}


def find(name: str) -> Suite:
    """A suite of SUITES, unpacked if it was not yet."""
    peer = SUITES[name][0]
    done = subprocess.run([str(HERE / "install.sh"), peer], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=1800, check=False)
    if done.returncode != 0:
        raise Missing(f"the test suite of {peer} cannot be had: {done.stderr.strip()[-300:]}")
    return Suite(name, peer, Path(done.stdout.strip()), *SUITES[name][1:])
