"""Runs the drivers' programs: straight on vtgate, through the shim, through the shim with TLS."""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Iterator

import pymysql

from drivers.kits import DRIVERS, Driver, Ready, prepare
from lib.bed import Bed
from lib.certificates import Certificates
from lib.poll import until
from lib.shim import Shim

STRAIGHT, PLAIN, TLS = "straight", "plain", "tls"
MODES = (STRAIGHT, PLAIN, TLS)
CHECKS = ("login", "wrong_password", "ping", "create", "text", "big", "prepared", "prepared_big", "rows",
          "prepared_rows", "multi", "multi_error", "transaction", "error", "reset", "change_user", "ddl_text",
          "ddl_prepared", "drop")
ROW_COUNT = 10_000
STRATEGY = "vitess --allow-concurrent --prefer-instant-ddl"
AT_ONCE = 6
SECONDS = 400


@dataclass(frozen=True)
class Answer:
    """What a program has printed for one check. ok: None if the driver has no such thing."""

    ok: bool | None
    detail: str

    @property
    def code(self) -> str:
        """What must be the same straight and through the shim: the error's number, where there is one."""
        number = re.search(r"\b[1-3]\d{3}\b", self.detail)
        return number[0] if number and not self.ok else self.detail


@dataclass
class Result:
    """One driver's answers in each mode."""

    driver: Driver
    missing: str = ""
    version: str = ""
    answers: dict[str, dict[str, Answer]] = field(default_factory=dict)

    def verdict(self, mode: str, check: str) -> tuple[str, str]:
        """What it was like through the shim compared with straight, and what there is to say about it:
        "works", "better" (straight it does not), "none" (the driver has no such thing), "refused" (vtgate
        refuses the same), "needs TLS", or "fails"."""
        straight, through = (self.answers.get(way, {}).get(check) for way in (STRAIGHT, mode))
        if through is None:
            # Its login failed: what straight works must not be lost.
            login = self.verdict(mode, "login") if check != "login" else ("fails", "it said nothing")
            return login
        if through.ok is None:
            return "none", through.detail
        if through.ok:
            if straight and straight.ok and straight.detail != through.detail:
                return "fails", f"straight: {straight.detail}; through the shim: {through.detail}"
            return ("works", "") if straight and straight.ok else ("better", straight.detail if straight else "")
        if straight and not straight.ok and straight.code == through.code:
            return "refused", through.detail
        if check == "login" and mode == PLAIN and through.code == "1251" and straight and not straight.ok:
            return "needs TLS", through.detail
        return "fails", f"{through.detail} (straight: {straight.detail or 'works' if straight else 'cannot log in'})"

    def failures(self, mode: str) -> list[str]:
        found = ((check, *self.verdict(mode, check)) for check in CHECKS)
        return [f"{check}: {detail}" for check, verdict, detail in found if verdict == "fails"]


class Matrix:
    """A bed with what the programs need, shims without TLS, and shims that demand it.

    intercepts(mode, driver): whether its DDL becomes online schema changes there. These take seconds each and run
    one after the other, whoever started them."""

    def __init__(self, bed: Bed, program: Path, folder: Path,
                 intercepts: Callable[[str, str], bool] = lambda mode, driver: True):
        self.bed, self.folder, self.intercepts = bed, folder, intercepts
        self.run_id = secrets.token_hex(3)
        self.rows_table = f"drv_rows_{self.run_id}"
        self.certificates = Certificates(folder / "certificates")
        server = {"cert": str(self.certificates.path("server.pem")),
                  "key": str(self.certificates.path("server-key.pem")), "required": True}
        self.shims: dict[tuple[str, bool], Shim] = {}
        for mode, tls in ((PLAIN, {}), (TLS, {"tls": server})):
            for intercept in sorted({intercepts(mode, driver.name) for driver in DRIVERS}):
                ddl = {"ddl": {"strategy": STRATEGY, "intercept": intercept}}
                self.shims[mode, intercept] = Shim(program, folder, bed, ddl | tls)
        self._vschema = threading.Lock()

    def __enter__(self) -> "Matrix":
        for shim in self.shims.values():
            shim.start()
        self._add_to_vschema(self.rows_table)
        self.bed.run(f"CREATE TABLE `{self.rows_table}` (id bigint NOT NULL PRIMARY KEY, s varchar(64), n int)")
        for first in range(1, ROW_COUNT + 1, 1000):
            values = ", ".join(f"({i}, 'row {i}', {i if i % 2 else 'NULL'})" for i in range(first, first + 1000))
            self.bed.run(f"INSERT INTO `{self.rows_table}` (id, s, n) VALUES {values}")
        return self

    def __exit__(self, kind: type | None, *_: object) -> None:
        self._forget(self.rows_table)
        failures = []
        for shim in self.shims.values():
            try:
                shim.finish()
            except AssertionError as failure:
                failures.append(str(failure))
        if kind is None and failures:
            raise AssertionError("\n".join(failures))

    def run(self, ready: list[Ready]) -> list[Result]:
        """All of them in all modes, several at a time: most of it is waiting for schema changes."""
        results = [Result(one.driver, one.missing) for one in ready]
        jobs = [(one, result, mode) for one, result in zip(ready, results) if not one.missing for mode in MODES]
        # Those through the shim take longest.
        jobs.sort(key=lambda job: job[2] == STRAIGHT)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda job: self._run_one(*job), jobs))
        return results

    def _run_one(self, ready: Ready, result: Result, mode: str) -> None:
        table = f"drv_{ready.driver.name.replace('-', '_')}_{mode}_{self.run_id}"
        if mode == STRAIGHT:
            host, port = self.bed.gates[0]
        else:
            host, port = self.shims[mode, self.intercepts(mode, ready.driver.name)].listen
        settings = {"HOST": host, "PORT": str(port), "USER": self.bed.user, "PASSWORD": self.bed.password,
                    "DATABASE": self.bed.keyspace, "TABLE": table, "ROWS": self.rows_table,
                    "SHARDS": ",".join(self.bed.shards),
                    "CA": str(self.certificates.path("ca.pem")) if mode == TLS else ""}
        environment = {**os.environ, **ready.environment, **{f"DRIVER_{key}": value for key, value in settings.items()}}
        with self._table(table):
            try:
                done = subprocess.run(ready.command, env=environment, capture_output=True, text=True, errors="replace",
                                      timeout=SECONDS, stdin=subprocess.DEVNULL, check=False)
                out, err = done.stdout, done.stderr
            except subprocess.TimeoutExpired as timeout:
                out, err = (timeout.stdout or b"").decode(), f"still not done after {SECONDS} s"
        (self.folder / f"{ready.driver.name}-{mode}.log").write_text(out + err)
        self._read(result, mode, out, err)

    @staticmethod
    def _read(result: Result, mode: str, out: str, err: str) -> None:
        lines = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
        answers = {line["check"]: Answer(line["ok"], line["detail"]) for line in lines}
        version = answers.pop("version", None)
        if version:
            result.version = version.detail
        if answers.get("login", Answer(True, "")).ok:
            # It ended early, or hangs.
            for check in CHECKS:
                answers.setdefault(check, Answer(False, f"the program did not get so far: {err[-200:].strip()}"))
        result.answers[mode] = answers

    @contextmanager
    def _table(self, table: str) -> Iterator[None]:
        """A name in the vschema, without a table."""
        self._add_to_vschema(table)
        try:
            yield
        finally:
            self._forget(table)

    def _add_to_vschema(self, table: str) -> None:
        with self._vschema:
            alter_vschema(self.bed, f"ON `{table}` ADD VINDEX hash(id) USING hash")
        for gate in range(len(self.bed.gates)):
            until(lambda gate=gate: self._is_known(gate, table), f"vtgate {gate} knows the vindex of {table}", 30, 0.1)

    def _is_known(self, gate: int, table: str) -> bool:
        with self.bed.connect(gate) as connection, connection.cursor() as cursor:
            cursor.execute("SHOW VSCHEMA TABLES")
            return table in {row[0] for row in cursor.fetchall()}

    def _forget(self, table: str) -> None:
        self.bed.forget(table)
        with self._vschema:
            alter_vschema(self.bed, f"DROP TABLE `{table}`")


def alter_vschema(bed: Bed, change: str) -> None:
    """Tried again where somebody else has just changed it."""
    def attempt() -> bool:
        try:
            bed.run(f"ALTER VSCHEMA {change}")
        except pymysql.Error as error:
            if "version" not in str(error):
                raise
            return False
        return True
    until(attempt, f"ALTER VSCHEMA {change}", 30, 0.2)


def prepare_all(names: list[str] | None = None, quick: bool = False) -> list[Ready]:
    """Makes the named drivers' programs, or all, ready; kits beside each other. In the order of DRIVERS."""
    wanted = [driver for driver in DRIVERS if not names or driver.name in names]
    kits = {driver.kit for driver in wanted}
    with ThreadPoolExecutor(2 if quick else 1) as pool:
        jobs = {kit: pool.submit(prepare, kit, [driver for driver in wanted if driver.kit == kit], quick)
                for kit in kits}
        ready = {one.driver: one for job in jobs.values() for one in job.result()}
    return [ready[driver] for driver in wanted]
