"""One run of one test with the peer's own program, and what came out of it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from mysqltest.judge import normalise
from mysqltest.server import Server, as_nobody
from mysqltest.suite import Suite

# Exit status with which mysqltest says that it skipped the test.
SKIPPED = 62


@dataclass(frozen=True)
class Target:
    """Where a client connects: MySQL itself, or a shim in front of it."""

    name: str
    socket: Path
    port: int


@dataclass(frozen=True)
class Output:
    """status: None after a time-out. text: normalised, what is compared."""

    status: int | None
    text: str
    seconds: float

    @property
    def skipped(self) -> bool:
        return self.status == SKIPPED

    @property
    def whole(self) -> bool:
        """It ran to its end."""
        return self.status == 0

    def same(self, other: "Output") -> bool:
        return self.status == other.status and self.text == other.text


class Client:
    """Runs tests of `suite`; the server they run against is `server`, whichever way they reach it."""

    def __init__(self, suite: Suite, server: Server):
        self.suite, self.server = suite, server
        self.folder = server.folder
        self._process: subprocess.Popen | None = None

    def run(self, test: str, target: Target, options: tuple[str, ...], seconds: float) -> Output:
        cnf = self._cnf(target)
        command = [*as_nobody(), self.suite.command(self.suite.program), f"--defaults-file={cnf}",
                   *self._arguments(test), *options]
        out = self.folder / "output"
        began = time.monotonic()
        with out.open("wb") as stdout, (self.folder / "errors").open("wb") as stderr:
            process = subprocess.Popen(command, cwd=self.suite.home, stdin=subprocess.DEVNULL, stdout=stdout,
                                       stderr=stderr, env=self._environment(target, cnf), start_new_session=True)
            self._process = process
            try:
                status: int | None = process.wait(seconds)
            except subprocess.TimeoutExpired:
                status = None
            finally:
                _end_group(process)
        text = b"errors: " + (self.folder / "errors").read_bytes() + b"\n" + out.read_bytes()
        return Output(status, normalise(text.decode("latin-1"), target), time.monotonic() - began)

    def interrupt(self) -> None:
        """Ends a run that is under way in another thread."""
        if self._process and self._process.poll() is None:
            self._process.kill()

    def _arguments(self, test: str) -> list[str]:
        var, root = self.server.var, self.suite.folder / "root"
        plugins = "usr/lib/mysql/plugin" if self.suite.peer == "mysql" else "usr/lib/x86_64-linux-gnu/libmariadb3/plugin"
        arguments = [f"--plugin-dir={root / plugins}"]
        if not self.suite.main:
            return [*arguments, f"--vardir={var}", f"--basedir={self.suite.home}", *test.split(",")]
        if self.suite.peer == "mysql":
            arguments.append(f"--character-sets-dir={root / 'usr/share/mysql/charsets'}")
        else:
            # These tests use statements that MySQL does not know; it goes on behind them.
            arguments += [f"--basedir={self.suite.home}/", "--continue-on-error"]
        return [*arguments, "--silent", f"--tmpdir={var / 'tmp'}", f"--logdir={var / 'log'}", "--database=test",
                "--tail-lines=0", f"--test-file={self.suite.test_file(test)}"]

    def _cnf(self, target: Target) -> Path:
        """Where to connect, for the program and for the clients that tests start. Its name is in what they print."""
        of_mysql = self.suite.peer == "mysql"
        lines = ["[client]", "user=root", "host=localhost", f"socket={target.socket}", f"port={target.port}"]
        if not of_mysql:
            lines.append("skip-ssl")
        for name in ("mysql", "mysqlshow", "mysqlimport", "mysqlcheck"):
            lines += [f"[{name}]", "default-character-set=utf8mb4"]
        # What the other programs, and MariaDB's of these, would refuse.
        lines.append("[mysqltest]")
        if not of_mysql:
            lines.append("protocol=socket")
        else:
            lines += ["default-character-set=utf8mb4", "ssl-mode=DISABLED",
                      f"server-public-key-path={self.suite.home / 'std_data/rsa_public_key.pem'}"]
        cnf = self.folder / "client.cnf"
        cnf.write_text("\n".join(lines) + "\n")
        return cnf

    def _environment(self, target: Target, cnf: Path) -> dict[str, str]:
        """What mysql-test-run.pl tells the tests of their surroundings, by the names that they know."""
        var, home, root = self.server.var, self.suite.home, self.suite.folder / "root"
        client = f"{{}} --defaults-file={cnf}"
        values = {
            "PATH": os.environ["PATH"], "LC_ALL": "C", "LANG": "C", "HOME": str(var / "tmp"),
            "MASTER_MYPORT": str(target.port), "MASTER_MYSOCK": str(target.socket), "MASTER_MYPORT1": "1",
            "MYSQL_TEST_DIR": str(home), "MYSQL_TEST_DIR_ABS": str(home), "MYSQLTEST_VARDIR": str(var),
            "MYSQLTEST_VARDIR_ABS": str(var), "MYSQL_TMP_DIR": str(var / "tmp"),
            "SECURE_LOAD_PATH": str(var / "std_data"), "USE_RUNNING_SERVER": "0", "MTR_RECORD": "0",
            "MYSQL_BINDIR": str(self.suite.folder / "sbin"), "MYSQL_BIN_PATH": str(self.suite.folder / "sbin"),
            "MYSQL_CHARSETSDIR": str(root / "usr/share/mysql/charsets"), "MYSQL_SHAREDIR": str(root / "usr/share/mysql"),
            "CHARSETSDIR": str(root / "usr/share/mysql/charsets"), "DEFAULT_MASTER_PORT": "3306",
            "PATH_CONFIG_FILE": str(cnf), "MYSQL_TEST_LOGIN_FILE": str(var / "tmp/.mylogin.cnf"),
            "VALGRIND_TEST": "0", "BIG_TEST": "1", "MTR_MAX_PARALLEL": "1", "MYSQLD_DATADIR": str(self.server.data),
            "SERVER_MYPORT_1": str(target.port),
        }
        for name, (mysql, mariadb) in PROGRAMS.items():
            program = mysql if self.suite.peer == "mysql" else mariadb
            values[name] = client.format(self.suite.command(program))
        values["EXE_MYSQL"] = self.suite.command(PROGRAMS["MYSQL"][0 if self.suite.peer == "mysql" else 1])
        values["MYSQLADMIN"] = self.suite.command("mysqladmin" if self.suite.peer == "mysql" else "mariadb-admin")
        values["MY_PERROR"] = self.suite.command("perror")
        values["MYSQL_MY_PRINT_DEFAULTS"] = self.suite.command("my_print_defaults")
        values["MYSQL_TEST"] = client.format(self.suite.command(self.suite.program)) + " --silent"
        values["MYSQL_CLIENT_TEST"] = client.format(self.suite.command("mysql_client_test")) + " --testcase --silent"
        return values


PROGRAMS = {
    "MYSQL": ("mysql", "mariadb"), "MYSQL_DUMP": ("mysqldump", "mariadb-dump"),
    "MYSQL_BINLOG": ("mysqlbinlog", "mariadb-binlog"), "MYSQL_CHECK": ("mysqlcheck", "mariadb-check"),
    "MYSQL_IMPORT": ("mysqlimport", "mariadb-import"), "MYSQL_SHOW": ("mysqlshow", "mariadb-show"),
    "MYSQL_SLAP": ("mysqlslap", "mariadb-slap"),
}


def _end_group(process: subprocess.Popen) -> None:
    """The program and whatever it has started itself."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait(10)
