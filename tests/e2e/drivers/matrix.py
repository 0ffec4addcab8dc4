"""Runs the drivers' programs: straight on vtgate, through the shim, through the shim with TLS."""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

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
MIGRATIONS = {"create": ["create"], "ddl_text": ["alter", "alter"], "ddl_prepared": ["alter", "alter"],
              "drop": ["drop"]}
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


@dataclass
class Job:
    """One driver in one mode."""

    ready: Ready
    result: Result
    mode: str
    table: str


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
        self.shards = ",".join(bed.shards)

    def __enter__(self) -> "Matrix":
        for shim in self.shims.values():
            shim.start()
        self._add_to_vschema([self.rows_table])
        self.bed.run(f"CREATE TABLE `{self.rows_table}` (id bigint NOT NULL PRIMARY KEY, s varchar(64), n int)")
        for first in range(1, ROW_COUNT + 1, 1000):
            values = ", ".join(f"({i}, 'row {i}', {i if i % 2 else 'NULL'})" for i in range(first, first + 1000))
            self.bed.run(f"INSERT INTO `{self.rows_table}` (id, s, n) VALUES {values}")
        return self

    def __exit__(self, kind: type | None, *_: object) -> None:
        self.bed.forget(self.rows_table)
        self._drop_from_vschema([self.rows_table])
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
        jobs = [Job(one, result, mode, f"drv_{one.driver.name.replace('-', '_')}_{mode}_{self.run_id}")
                for one, result in zip(ready, results) if not one.missing for mode in MODES]
        # Those that wait for schema changes take longest.
        jobs.sort(key=lambda job: job.mode == STRAIGHT or not self.intercepts(job.mode, job.ready.driver.name))
        self._add_to_vschema([job.table for job in jobs])
        try:
            with ThreadPoolExecutor(AT_ONCE) as pool:
                list(pool.map(self._run_one, jobs))
        finally:
            self._drop_from_vschema([job.table for job in jobs])
        return results

    def _run_one(self, job: Job) -> None:
        name = job.ready.driver.name
        if job.mode == STRAIGHT:
            host, port = self.bed.gates[0]
        else:
            host, port = self.shims[job.mode, self.intercepts(job.mode, name)].listen
        settings = {"HOST": host, "PORT": str(port), "USER": self.bed.user, "PASSWORD": self.bed.password,
                    "DATABASE": self.bed.keyspace, "TABLE": job.table, "ROWS": self.rows_table, "SHARDS": self.shards,
                    "CA": str(self.certificates.path("ca.pem")) if job.mode == TLS else ""}
        environment = {**os.environ, **job.ready.environment,
                       **{f"DRIVER_{key}": value for key, value in settings.items()}}
        try:
            done = subprocess.run(job.ready.command, env=environment, capture_output=True, text=True, errors="replace",
                                  timeout=SECONDS, stdin=subprocess.DEVNULL, check=False)
            out, err = done.stdout, done.stderr
        except subprocess.TimeoutExpired as timeout:
            out, err = (timeout.stdout or b"").decode(), f"still not done after {SECONDS} s"
        (self.folder / f"{name}-{job.mode}.log").write_text(out + err)
        self._read(job.result, job.mode, out, err)
        if job.mode != STRAIGHT and self.intercepts(job.mode, name):
            self._check_migrations(job)
        dropped = job.result.answers[job.mode].get("drop")
        if not dropped or not dropped.ok:
            self.bed.forget(job.table)

    def _check_migrations(self, job: Job) -> None:
        """What worked must have been online schema changes: DDL that merely passes works as well."""
        answers = job.result.answers[job.mode]
        worked = [check for check in MIGRATIONS if check in answers and answers[check].ok]
        expected = [verb for check in worked for verb in MIGRATIONS[check]]
        found = [event["verb"] for event in self.shims[job.mode, True].events("ddl_completed", table=job.table)]
        if found != expected:
            for check in worked:
                answers[check] = Answer(False, f"online schema changes: {found}, expected: {expected}")

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

    def _add_to_vschema(self, tables: list[str]) -> None:
        """Tables that do not exist yet."""
        for table in tables:
            alter_vschema(self.bed, f"ON `{table}` ADD VINDEX hash(id) USING hash")
        for gate in range(len(self.bed.gates)):
            until(lambda gate=gate: self._knows(gate, tables), f"vtgate {gate} knows the vindexes of {tables}", 60, 0.5)

    def _knows(self, gate: int, tables: list[str]) -> bool:
        with self.bed.connect(gate) as connection, connection.cursor() as cursor:
            cursor.execute("SHOW VSCHEMA TABLES")
            return {row[0] for row in cursor.fetchall()}.issuperset(tables)

    def _drop_from_vschema(self, tables: list[str]) -> None:
        for table in tables:
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
