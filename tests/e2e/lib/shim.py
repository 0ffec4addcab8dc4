"""A running vtshim: started with a configuration, watched, and judged when it has ended."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Iterable, Sequence

import pymysql
from pymysql.constants import CLIENT
from pymysql.cursors import DictCursor

from lib.adopted import Adopted, adopt_orphans
from lib.bed import REPOSITORY, Bed, tls_wish
from lib.poll import until
from lib.ports import free_port
from lib.wire import Wire

# `run-tests tsan` has more of them, so that there is more to collide.
WORKERS = int(os.environ.get("VTSHIM_WORKERS") or 2)
SANITIZER = re.compile(r"AddressSanitizer|LeakSanitizer|ThreadSanitizer|MemorySanitizer|runtime error:")
FIELD = re.compile(r'([\w.]+)=("(?:[^"\\]|\\.)*"|\S*)')
LITERAL = re.compile(r"'((?:[^'\\]|\\.|'')*)'")
# Shorter literals turn up by chance, and these words are values of settings.
SHORTEST_LITERAL = 6
ORDINARY_WORDS = {"direct", "vitess", "online", "utf8mb4"}


def find_program() -> Path:
    """VTSHIM, or the newest of build/*/proxy/vtshim."""
    if os.environ.get("VTSHIM"):
        return Path(os.environ["VTSHIM"]).resolve()
    built = sorted(REPOSITORY.glob("build/*/proxy/vtshim"), key=lambda path: path.stat().st_mtime)
    assert built, "no vtshim: build it, or name it in VTSHIM"
    return built[-1]


def merge(base: dict, change: dict) -> dict:
    """`base` with what `change` says; objects are merged, other values replaced."""
    result = dict(base)
    for key, value in change.items():
        old = result.get(key)
        result[key] = merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return result


class Watched(pymysql.Connection):
    """A PyMySQL connection that remembers the literals it sent: none may turn up in the shim's log."""

    secrets: set[str] = set()

    def query(self, sql: str | bytes, unbuffered: bool = False) -> int:
        note_literals(self.secrets, sql)
        return super().query(sql, unbuffered)


def note_literals(secrets: set[str], sql: str | bytes) -> None:
    if isinstance(sql, bytes):
        sql = sql.decode("utf-8", "replace")
    if len(sql) > 1 << 16:
        return
    for literal in LITERAL.findall(sql):
        if len(literal) >= SHORTEST_LITERAL and literal.split()[0].rstrip(",") not in ORDINARY_WORDS:
            secrets.add(literal)


class Shim:
    """One process. Use the `start_shim` fixture, which also looks at how it ended."""

    def __init__(self, program: Path, folder: Path, bed: Bed, config: dict | None = None,
                 options: Sequence[str] = (), environment: dict[str, str] | None = None):
        self.program, self.bed = program, bed
        self.listen, self.admin_address, self.http_address = (("127.0.0.1", free_port()) for _ in range(3))
        self.secrets: set[str] = {bed.password} if bed.password else set()
        self.expected_status = 0
        base = {"listen": "%s:%d" % self.listen, "admin": "%s:%d" % self.admin_address,
                "http": "%s:%d" % self.http_address, "vtgate": bed.endpoints, "workers": WORKERS,
                "timeouts": {"shutdown_s": 3},
                # So that no test passes with a call that the filter of system calls does not let through.
                "run": {"seccomp": "kill"}}
        # What all shims of a run are to have, such as {"run": {"seccomp": "off"}}.
        base = merge(base, json.loads(os.environ.get("VTSHIM_TEST_CONFIG") or "{}"))
        self.config = merge(base, config or {})
        self.config_file = folder / f"vtshim-{self.listen[1]}.json"
        self.config_file.write_text(json.dumps(self.config, indent=1))
        self.stderr_file = folder / f"vtshim-{self.listen[1]}.log"
        self.command = [str(program), "--config", str(self.config_file), *options]
        self.environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0",
                            "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
                            "TSAN_OPTIONS": "halt_on_error=0:exitcode=66", **(environment or {})}
        self.process: subprocess.Popen | Adopted | None = None
        self._read = 0

    def write_config(self, change: dict) -> None:
        """The file with what `change` says; used at the next reload."""
        self.config = merge(self.config, change)
        fresh = self.config_file.with_suffix(".new")
        fresh.write_text(json.dumps(self.config, indent=1))
        fresh.rename(self.config_file)

    # Its life.

    def start(self) -> "Shim":
        with open(self.stderr_file, "wb") as stderr:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr,
                                            env=self.environment)
        until(self._is_ready, "vtshim is ready", 20)
        return self

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, f"vtshim ended at once, status {self.process.returncode}:\n{self.log}"
        return bool(self.events("ready"))

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def wait(self, seconds: float = 20) -> int:
        """Waits for its end; one that hangs is killed, which fails the test."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)
            self.process.wait(20)
            raise AssertionError(f"vtshim did not end within {seconds} s of SIGTERM:\n{self.log[-3000:]}") from None

    def restart(self) -> int:
        """SIGUSR2: another process goes on, and is this shim from now on. Waits for the end of the old one."""
        adopt_orphans()
        before, done = self.process, len(self.events("restarted"))
        before.send_signal(signal.SIGUSR2)
        until(lambda: len(self.events("restarted")) > done, "event=restarted", 30)
        self.process = Adopted(int(self.events("restarted")[-1]["pid"]))
        assert before.wait(20) == 0, f"the old process did not end well:\n{self.log[-3000:]}"
        return self.process.pid

    def finish(self) -> None:
        """SIGTERM, and then everything that must be true of every run."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.terminate()
        status = self.wait()
        log = self.log
        found = SANITIZER.search(log)
        assert not found, f"a sanitizer has found something:\n{log[max(0, found.start() - 200):][:6000]}"
        assert status == self.expected_status, f"vtshim ended with {status}:\n{log[-3000:]}"
        leaked = sorted(secret for secret in self.secrets if secret in log)
        assert not leaked, f"the log contains literals or passwords: {leaked}"

    def secret(self, *texts: str) -> None:
        """These must not turn up in the log."""
        self.secrets.update(text for text in texts if text)

    def resident_kib(self) -> int:
        """The memory that it takes now."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * resource.getpagesize() // 1024

    # Its log.

    @property
    def log(self) -> str:
        return self.stderr_file.read_text(errors="replace")

    def events(self, event: str, **fields: object) -> list[dict[str, str]]:
        """The log lines of that event which have these fields."""
        found = []
        for line in self.log.splitlines():
            if f"event={event}" not in line:
                continue
            values = {key: json.loads(value) if value.startswith('"') else value for key, value in FIELD.findall(line)}
            if values.get("event") == event and all(values.get(key) == str(value) for key, value in fields.items()):
                found.append(values)
        return found

    def wait_event(self, event: str, seconds: float = 15, **fields: object) -> dict[str, str]:
        return until(lambda: self.events(event, **fields), f"event={event} {fields} in the log", seconds)[-1]

    # Ways in.

    def connect(self, **options: object) -> pymysql.Connection:
        """A PyMySQL connection of the bed's user through the shim."""
        settings: dict = {"user": self.bed.user, "password": self.bed.password, "database": self.bed.keyspace,
                          "autocommit": True, "client_flag": CLIENT.MULTI_STATEMENTS, "read_timeout": 180,
                          "host": self.listen[0], "port": self.listen[1]}
        settings |= tls_wish(options) | options
        self.secret(settings["password"])
        watched = type("WatchedHere", (Watched,), {"secrets": self.secrets})
        return watched(**settings)

    def wire(self, capabilities: int | None = None, login: bool = True, **options: object) -> Wire:
        """A hand-made client, logged in."""
        client = Wire(self.listen, **options)
        if login:
            extra = {} if capabilities is None else {"capabilities": capabilities}
            client.login(self.bed.user, self.bed.password, self.bed.keyspace, **extra)
        return client

    def run(self, *statements: str) -> list[dict]:
        """Runs statements in a connection of their own; returns the last one's rows."""
        with self.connect(cursorclass=DictCursor) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall())

    def dsn(self, **parameters: object) -> str:
        """For go-sql-driver."""
        tail = "&".join(f"{key}={value}" for key, value in parameters.items())
        return (f"{self.bed.user}:{self.bed.password}@tcp({self.listen[0]}:{self.listen[1]})/{self.bed.keyspace}"
                + (f"?{tail}" if tail else ""))

    # The admin port.

    def admin_connect(self, **options: object) -> pymysql.Connection:
        settings: dict = {"host": self.admin_address[0], "port": self.admin_address[1], "user": "sre",
                          "password": "", "autocommit": None, "read_timeout": 30}
        return pymysql.connect(**(tls_wish(options) | settings | options))

    def admin(self, sql: str, **options: object) -> list[dict]:
        """Runs an admin command and returns its rows; names of columns in lower case. Options are the connection's."""
        with self.admin_connect(cursorclass=DictCursor, **options) as connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return [{key.lower(): value for key, value in row.items()} for row in cursor.fetchall()]

    def hold(self, what: str) -> int:
        """Sets a hold, such as "TABLE commerce.demo FOR 5", that outlives its connection, and returns its id."""
        rows = self.admin(f"HOLD {what} STICKY")
        assert len(rows) == 1, rows
        return int(next(value for key, value in rows[0].items() if "id" in key or "hold" in key))

    def parked(self) -> int:
        return int(self.metric("vtshim_parked_sessions"))

    # HTTP.

    def http(self, path: str) -> tuple[int, str]:
        """Status and body."""
        url = f"http://{self.http_address[0]}:{self.http_address[1]}{path}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metric(self, name: str, **labels: str) -> float:
        """A metric's value, summed over its labels where these are not given."""
        status, text = self.http("/metrics")
        assert status == 200, text
        return sum_metric(text.splitlines(), name, labels)


def sum_metric(lines: Iterable[str], name: str, labels: dict[str, str]) -> float:
    values = []
    for line in lines:
        match = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line)
        if match and match[1] == name:
            found = dict(re.findall(r'(\w+)="([^"]*)"', match[2] or ""))
            if all(found.get(key) == value for key, value in labels.items()):
                values.append(float(match[3]))
    assert values, f"no metric {name} {labels}"
    return sum(values)
