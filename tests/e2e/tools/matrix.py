"""Runs the tools straight on vtgate and through the shim, step by step, and judges what came of it."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Iterator

import pymysql

from lib.bed import Bed
from lib.poll import until
from lib.shim import Shim
from tools.kits import BUILD, Books, Ready, Tool, write_project

STRAIGHT, SHIM = "straight", "shim"
STEPS = {
    "first": "from an empty database: a table with rows",
    "long": "an ALTER that takes long",
    "lock": "its lock is held all the while",
    "rerun": "a re-run finds nothing to do",
    "undo": "one migration back",
    "killed": "killed in the middle of the ALTER, run again",
    "fails": "a migration that fails: the error is shown, the books are right",
}
# What every tool did last.
RESULTS = BUILD / "results"
# Longer than vttablet's timeouts for transactions and queries, which end user-level locks and direct DDL.
LONG_SECONDS, TOOL_SECONDS = 37, 240
# The migration waits until it is told to complete: by the Operator, who thus says how long it takes.
STRATEGY = "vitess --postpone-completion"
ENDED = ("complete", "failed", "cancelled")


@dataclass
class Answer:
    ok: bool | None
    detail: str = ""


@dataclass
class Result:
    """What one tool did: per mode, per step."""

    tool: Tool
    missing: str
    version: str
    answers: dict[str, dict[str, Answer]] = field(default_factory=lambda: {STRAIGHT: {}, SHIM: {}})

    def verdict(self, step: str) -> tuple[str, str]:
        """"works", "better" than straight, "refused" straight as well, "none" or "fails"; and a remark."""
        straight, ours = (self.answers[mode].get(step, Answer(None)) for mode in (STRAIGHT, SHIM))
        if ours.ok is None:
            return "none", ours.detail
        if ours.ok:
            return ("works", "") if straight.ok is not False else ("better", straight.detail)
        if straight.ok is False:
            return "refused", f"{ours.detail} (straight: {straight.detail})"
        return "fails", ours.detail

    def failures(self) -> list[str]:
        return [f"{step}: {detail}" for step in STEPS for verdict, detail in [self.verdict(step)] if verdict == "fails"]


    def save(self, folder: Path) -> None:
        """One way that was not run now stays as it was last."""
        last = Result.load(self.tool, folder)
        answers = {mode: answers or last.answers[mode] for mode, answers in self.answers.items()}
        kept = {"missing": self.missing, "version": self.version,
                "answers": {mode: {step: [answer.ok, answer.detail] for step, answer in answers.items()}
                            for mode, answers in answers.items()}}
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{self.tool.name}.json").write_text(json.dumps(kept, indent=1))

    @staticmethod
    def load(tool: Tool, folder: Path) -> "Result":
        file = folder / f"{tool.name}.json"
        if not file.exists():
            return Result(tool, "not run", "")
        kept = json.loads(file.read_text())
        answers = {mode: {step: Answer(*answer) for step, answer in answers.items()}
                   for mode, answers in kept["answers"].items()}
        return Result(tool, kept["missing"], kept["version"], answers)


class Operator(threading.Thread):
    """Completes the shim's migrations, unless told to wait."""

    def __init__(self, bed: Bed):
        super().__init__(daemon=True)
        self.bed, self.waits, self.ended = bed, threading.Event(), threading.Event()

    def run(self) -> None:
        with self.bed.connect() as connection, connection.cursor() as cursor:
            while not self.ended.wait(0.3):
                if not self.waits.is_set():
                    cursor.execute("ALTER VITESS_MIGRATION COMPLETE ALL")

    def end(self) -> None:
        self.ended.set()
        self.join()


class Matrix:
    """A bed with one unsharded keyspace, and a shim. The tools run one after the other."""

    def __init__(self, bed: Bed, program: Path, folder: Path, long_seconds: float = LONG_SECONDS):
        self.bed, self.folder, self.long_seconds = bed, folder, long_seconds
        self.operator = Operator(bed)
        self.shim = Shim(program, folder, bed, {"ddl": {"strategy": STRATEGY, "poll_interval_ms": 200}})

    def __enter__(self) -> "Matrix":
        self.shim.start()
        self.operator.start()
        return self

    def __exit__(self, kind: type | None, *_: object) -> None:
        self.operator.end()
        try:
            self.shim.finish()
        except AssertionError:
            if kind is None:
                raise

    def run(self, ready: list[Ready], modes: tuple[str, ...] = (STRAIGHT, SHIM),
            keep: bool = True) -> list[Result]:
        results = []
        for one in ready:
            result = Result(one.tool, one.missing, one.version)
            for mode in modes if not one.missing else ():
                run = Run(self, one, mode)
                try:
                    run.steps(result.answers[mode])
                finally:
                    run.clean()
            results.append(result)
            if keep:
                result.save(RESULTS)
        return results


class Failed(Exception):
    """A step went wrong; the text says how."""


class Run:
    """One tool in one mode."""

    def __init__(self, matrix: Matrix, ready: Ready, mode: str):
        self.matrix, self.bed, self.mode = matrix, matrix.bed, mode
        self.tool, self.kit = ready.tool, ready.kit
        self.table = f"tool_{secrets.token_hex(4)}"
        self.folder = matrix.folder / f"{self.tool.name}-{mode}"
        self.log = matrix.folder / f"{self.tool.name}-{mode}.log"
        host, port = self.bed.gates[0] if mode == STRAIGHT else matrix.shim.listen
        self.environment = {**os.environ, "TOOL_HOST": host, "TOOL_PORT": str(port), "TOOL_USER": self.bed.user,
                            "TOOL_PASSWORD": self.bed.password, "TOOL_DATABASE": self.bed.keyspace,
                            "TOOL_TABLE": self.table}
        self.running: list[subprocess.Popen] = []

    # The steps.

    def steps(self, answers: dict[str, Answer]) -> None:
        def note(step: str, ok: bool | None, detail: str = "") -> None:
            answers[step] = Answer(ok, detail)

        for step in STEPS:
            if step in answers:
                continue
            try:
                getattr(self, f"step_{step}")(note)
                answers.setdefault(step, Answer(True))
            except (Failed, AssertionError, pymysql.Error) as failure:
                note(step, False, str(failure))
                if step == "first":
                    return

    def step_first(self, note) -> None:
        self.finish(self.begin(1, "up"))
        with self.bed.connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"SELECT count(*) FROM `{self.table}`")
            self.expect("rows", cursor.fetchone()[0], 3)
        self.expect_books(1)

    def step_long(self, note) -> None:
        if not self.tool.get_lock:
            note("lock", None, self.tool.lock)
        with self.alter_waits() as go_on:
            process = self.begin(2, "up")
            self.wait_for_alter(process)
            locks = self.user_locks()
            lost_after = self.watch_locks(process, locks)
            if self.tool.books:
                self.expect_books(1)
            go_on()
            if self.tool.get_lock and not locks:
                note("lock", False, "it took none")
            elif self.tool.get_lock:
                note("lock", lost_after is None, f"lost after {lost_after} s" if lost_after else "")
            self.finish(process)
        self.expect("the column is there", self.has_note(), True)
        self.expect_books(2)

    def watch_locks(self, process: subprocess.Popen, locks: set[str]) -> int | None:
        """For as long as the ALTER is to take; returns when a lock was seen to be lost."""
        began, lost = time.monotonic(), None
        while time.monotonic() - began < self.matrix.long_seconds and process.poll() is None:
            time.sleep(0.5)
            if lost is None and not locks <= self.user_locks() and process.poll() is None:
                lost = round(time.monotonic() - began)
        return lost

    def step_lock(self, note) -> None:
        note("lock", None, "not seen")

    def bring_to_second(self) -> None:
        """Where a step before has failed: what the next one begins with."""
        if self.has_note():
            return
        until(lambda: not self.user_locks(), "the failed run's locks are free", 60, 0.2)
        if self.tool.repair:
            self.finish(self.begin(2, *self.tool.repair))
        self.finish(self.begin(2, "up"))

    def step_rerun(self, note) -> None:
        self.bring_to_second()
        before = self.started()
        self.finish(self.begin(2, "up"))
        self.expect("schema changes", self.started() - before, 0)
        self.expect_books(2)

    def step_undo(self, note) -> None:
        if not self.tool.can_undo:
            note("undo", None, "not in this edition")
            self.bring_to_second()
            self.bed.run(f"ALTER TABLE `{self.table}` DROP COLUMN note", *self.forget_version(2))
            return
        self.bring_to_second()
        self.finish(self.begin(2, "down"))
        self.expect("the column is there", self.has_note(), False)
        self.expect_books(1)

    def step_killed(self, note) -> None:
        with self.alter_waits() as go_on:
            first = self.begin(2, "up")
            self.wait_for_alter(first)
            os.killpg(first.pid, signal.SIGKILL)
            first.wait()
            until(lambda: not self.user_locks(), "the killed tool's locks are free", 40, 0.2)
            if self.tool.repair:
                self.finish(self.begin(2, *self.tool.repair))
            before = self.started()
            second = self.begin(2, "up")
            self.meets_the_first(second, before)
            go_on()
            self.finish(second)
        self.expect("the column is there", self.has_note(), True)
        self.expect_books(2)

    def meets_the_first(self, second: subprocess.Popen, before: float) -> None:
        """Waits until the tool's second run has come to the ALTER."""
        if self.mode == SHIM:
            until(lambda: self.started() > before or second.poll() is not None, "it has come to the ALTER", 90, 0.2)
            time.sleep(1)
        else:
            time.sleep(8)

    def step_fails(self, note) -> None:
        self.bring_to_second()
        process = self.begin(3, "up")
        status = self.wait(process)
        if status == 0:
            raise Failed("the tool says that all is well")
        if "duplicate column" not in self.said.lower():
            raise Failed(f"the error is not told: {self.error()}")
        if self.tool.books:
            wrong = [version for version, is_done in self.books() if is_done and version > 2]
            self.expect("migrations done that are not", wrong, [])

    # Running the tool.

    def begin(self, version: int, *action: str) -> subprocess.Popen:
        project = write_project(self.tool, self.folder, self.table, version)
        command = self.kit.command(self.tool.name, project, version, *action)
        with open(self.log, "ab") as log:
            log.write(f"\n=== {' '.join(action)}, version {version}\n".encode())
            log.flush()
            self.said_from = log.tell()
            process = subprocess.Popen(command, cwd=project, env=self.environment, stdin=subprocess.DEVNULL, stdout=log,
                                       stderr=subprocess.STDOUT, start_new_session=True)
        self.running.append(process)
        return process

    @property
    def said(self) -> str:
        """What the tool that began last has printed."""
        text = self.log.read_bytes()[self.said_from:].decode(errors="replace")
        return re.sub(r"\x1b\[[0-9;]*m", "", text)

    def wait(self, process: subprocess.Popen) -> int:
        try:
            return process.wait(TOOL_SECONDS)
        except subprocess.TimeoutExpired:
            raise Failed(f"still not done after {TOOL_SECONDS} s: {self.said[-300:]}") from None

    def finish(self, process: subprocess.Popen) -> None:
        if self.wait(process) != 0:
            raise Failed(self.error())

    def error(self) -> str:
        """The line of what it said that tells most."""
        lines = [line.strip() for line in self.said.splitlines() if line.strip()]
        for telling in (r"\(\d{4}, |[Ee]rror:? \d{4}|errno \d", r"[Ee]rror:|ERROR|Exception:|failed|Dirty|locked", ""):
            found = [line for line in lines if re.search(telling, line)]
            if found:
                return found[0][:400] if telling else " ".join(found[-2:])[:400]
        return "it said nothing"

    # How long an ALTER takes.

    @contextmanager
    def alter_waits(self) -> Iterator:
        """Schema changes do not get done until the block calls what it is given."""
        if self.mode == SHIM:
            waits = self.matrix.operator.waits
            waits.set()
            try:
                yield waits.clear
            finally:
                waits.clear()
        else:
            # In MySQL itself: vttablet would end the transaction.
            with self.mysql(autocommit=False) as mysql, mysql.cursor() as cursor:
                cursor.execute(f"SELECT count(*) FROM `{self.table}`")
                yield mysql.rollback

    def wait_for_alter(self, process: subprocess.Popen) -> None:
        def waits() -> bool:
            if process.poll() is not None:
                raise Failed(self.error())
            if self.mode == SHIM:
                return any(row["migration_status"] not in ENDED for row in self.bed.migrations(self.table))
            with self.mysql() as mysql, mysql.cursor() as cursor:
                return cursor.execute("SELECT 1 FROM information_schema.processlist "
                                      "WHERE state LIKE '%metadata lock%'") > 0
        until(waits, "the ALTER waits", 90, 0.2)

    # What is in the database.

    def mysql(self, **options: object) -> pymysql.Connection:
        """MySQL itself, behind vttablet."""
        socket = next(self.bed.folder.glob("vt_*/mysql.sock"))
        return pymysql.connect(unix_socket=str(socket), user="vt_dba", database=f"vt_{self.bed.keyspace}",
                               **({"autocommit": True} | options))

    def user_locks(self) -> set[str]:
        with self.mysql() as mysql, mysql.cursor() as cursor:
            cursor.execute("SELECT object_name FROM performance_schema.metadata_locks "
                           "WHERE object_type = 'USER LEVEL LOCK' AND lock_status = 'GRANTED'")
            return {name for name, in cursor.fetchall()}

    def has_note(self) -> bool:
        with self.mysql() as mysql, mysql.cursor() as cursor:
            return cursor.execute(f"SHOW COLUMNS FROM `{self.table}` LIKE 'note'") > 0

    def books(self) -> Books:
        with self.mysql() as mysql, mysql.cursor() as cursor:
            cursor.execute(self.tool.books)
            return [entry for row in cursor.fetchall() for entry in self.tool.read(row)]

    def forget_version(self, version: int) -> list[str]:
        """By hand, for a tool that cannot go back."""
        return [f"DELETE FROM flyway_schema_history WHERE version = '{version}'"]

    def started(self) -> float:
        return self.matrix.shim.metric("vtshim_ddl_started_total")

    @staticmethod
    def expect(what: str, found: object, wanted: object) -> None:
        if found != wanted:
            raise Failed(f"{what}: {found}, expected: {wanted}")

    def expect_books(self, last: int) -> None:
        """All up to `last` are done, and nothing else is."""
        if self.tool.books:
            done = [version for version, is_done in self.books() if is_done]
            self.expect("migrations done", done, list(range(1, last + 1)))

    def clean(self) -> None:
        for process in self.running:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        self.bed.forget(self.table)
        for name in self.tool.tables:
            self.bed.run(f"DROP TABLE IF EXISTS `{name}`")
        shutil.rmtree(self.folder, ignore_errors=True)
