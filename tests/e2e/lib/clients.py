"""Other people's clients: the mariadb command line, mysql-connector-python, go-sql-driver."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

import mysql.connector

from lib.bed import REPOSITORY
from lib.shim import Shim, note_literals

GO_SOURCES = REPOSITORY / "tests" / "e2e" / "go"
GO_PROGRAMS = REPOSITORY / "build" / "e2e-go"


@dataclass
class Done:
    status: int
    out: str
    err: str


def mariadb(address: tuple[str, int], user: str, password: str, sql: str, *options: str,
            database: str | None = None, seconds: float = 180) -> Done:
    """The `mariadb` command line client in batch mode; sql comes from standard input."""
    program = shutil.which("mariadb")
    assert program, "the mariadb client is needed (Debian: mariadb-client)"
    tls = [] if any(option.startswith("--ssl") for option in options) else ["--skip-ssl"]
    command = [program, "--no-defaults", "--protocol=TCP", "-h", address[0], "-P", str(address[1]), "-u", user, *tls,
               "--default-character-set=utf8mb4", *options, *([database] if database else [])]
    done = subprocess.run(command, input=sql, capture_output=True, text=True, timeout=seconds, check=False,
                          env={**os.environ, "MYSQL_PWD": password})
    return Done(done.returncode, done.stdout, done.stderr)


def mariadb_through(shim: Shim, sql: str, *options: str) -> Done:
    """The same, through the shim, in the bed's keyspace."""
    note_literals(shim.secrets, sql)
    return mariadb(shim.listen, shim.bed.user, shim.bed.password, sql, *options, database=shim.bed.keyspace)


class Statement:
    """One that takes its time, under way in a session of its own."""

    def __init__(self, shim: Shim, sql: str, **options: object):
        self.connection = shim.connect(read_timeout=180, **options)
        self.socket = self.connection._sock
        self.answer: Exception | str | None = None
        self.thread = threading.Thread(target=self._run, args=(sql,), daemon=True)
        self.thread.start()

    def _run(self, sql: str) -> None:
        try:
            with self.connection.cursor() as cursor:
                cursor.execute(sql)
            self.answer = "ok"
        except Exception as error:  # what the test looks at
            self.answer = error

    def leave(self) -> None:
        """As if the program were killed."""
        self.socket.shutdown(2)
        self.thread.join(20)

    def wait(self, seconds: float = 150) -> Exception | str | None:
        """Its end: "ok", or the error."""
        self.thread.join(seconds)
        assert not self.thread.is_alive(), "no answer"
        if self.connection.open:
            self.connection.close()
        return self.answer


def add_column(shim: Shim, table: str, column: str) -> Statement:
    """ALTER TABLE, which waits for its migration."""
    return Statement(shim, f"ALTER TABLE {table} ADD COLUMN {column} int")


def connector(shim: Shim, **options: object) -> mysql.connector.MySQLConnection:
    """mysql-connector-python (its own protocol code, not libmysqlclient) through the shim."""
    settings: dict = {"host": shim.listen[0], "port": shim.listen[1], "user": shim.bed.user,
                      "password": shim.bed.password, "database": shim.bed.keyspace, "use_pure": True,
                      "autocommit": True, "ssl_disabled": True}
    return mysql.connector.connect(**(settings | options))


def go_program(name: str) -> Path:
    """Builds the Go programs if need be; several test processes may ask at once."""
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin:/usr/lib/go/bin")
    go = os.environ.get("VTSHIM_GO") or go
    assert go, "a Go toolchain is needed (in PATH, or named in VTSHIM_GO)"
    GO_PROGRAMS.mkdir(parents=True, exist_ok=True)
    with open(GO_PROGRAMS / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        built = subprocess.run([go, "build", "-o", str(GO_PROGRAMS) + "/", "./..."], cwd=GO_SOURCES,
                               capture_output=True, text=True, check=False)
        assert built.returncode == 0, built.stderr
    return GO_PROGRAMS / name


def go_ddl(dsn: str, *statements: str, prepared: bool = False, seconds: float = 180) -> list[dict]:
    """Statements through go-sql-driver, one connection for all."""
    done = subprocess.run([str(go_program("ddl")), "-dsn", dsn, *(["-prepared"] if prepared else []), *statements],
                          capture_output=True, text=True, timeout=seconds, check=False)
    assert done.returncode in (0, 1), done.stderr
    return json.loads(done.stdout)


class Load:
    """The `load` program while it runs."""

    def __init__(self, dsn: str, seconds: float, connections: int = 16, transactions: int = 20,
                 tables: str = "demo,customer", pace: str = "5ms", first: int | None = None):
        if first is None:  # two loads on one cluster at once, of two test processes, must not meet on a row
            first = 700_000_000 + 10_000_000 * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
        self._seconds = seconds
        self._process = subprocess.Popen(
            [str(go_program("load")), "-dsn", dsn, "-seconds", str(seconds), "-connections", str(connections),
             "-transactions", str(transactions), "-tables", tables, "-pace", pace, "-first", str(first)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = self._process.stderr.readline()
        assert line == "connected\n", line + self._process.stderr.read()

    def __enter__(self) -> "Load":
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """It ends now, as if its time were over."""
        self._process.send_signal(signal.SIGINT)

    def report(self) -> dict:
        """Waits for its end."""
        out, err = self._process.communicate(timeout=self._seconds + 60)
        assert self._process.returncode == 0, err
        return json.loads(out)
