"""The real cluster under test: how to reach it straight, without the shim.

Its coordinates are the BED_* variables that `tests/cluster/bed env` prints.
"""

from __future__ import annotations

import os
import secrets
import shlex
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, Sequence

import pymysql
import pytest
from pymysql.constants import CLIENT
from pymysql.cursors import DictCursor

from lib.poll import until

REPOSITORY = Path(__file__).resolve().parents[3]
COMMAND = REPOSITORY / "tests" / "cluster" / "bed"


def read_environment(name: str | None = None) -> dict[str, str] | None:
    """What `bed env` says, or None when that bed is not up."""
    command = [str(COMMAND), "env"] + (["--name", name] if name else [])
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return None
    return dict(line.split("=", 1) for line in shlex.split(done.stdout) if "=" in line)


def endpoint(text: str) -> tuple[str, int]:
    host, port = text.rsplit(":", 1)
    return host, int(port)


def tls_wish(options: dict) -> dict:
    """No TLS, unless the options speak of it. By itself PyMySQL offers it, for which it reads all of the system's
    certificates each time: a hundred times what the rest of the login takes, and more than half of what all the tests took."""
    return {} if any(key.startswith("ssl") for key in options) else {"ssl_disabled": True}


def spare_bed() -> Bed:
    """The cluster of this run that has a replica of each shard and a second keyspace, whichever the process has."""
    for name in os.environ.get("VTSHIM_TEST_BEDS", "").split():
        environment = read_environment(name)
        if environment and environment["BED_ASIDE"]:
            return Bed(environment)
    if not os.environ.get("BED_ASIDE"):
        pytest.skip("a cluster of `bed up --spare` is needed")
    return Bed(os.environ)


class Bed:
    """A running cluster."""

    def __init__(self, environment: dict[str, str] | os._Environ[str]):
        self.environment = environment
        self.endpoints = environment["BED_VTGATES"].split(",")
        self.gates = [endpoint(text) for text in self.endpoints]
        self.vtctld = environment["BED_VTCTLD"]
        self.keyspace = environment["BED_KEYSPACE"]
        self.aside = environment.get("BED_ASIDE") or None
        self.user = environment["BED_USER"]
        self.password = environment["BED_PASSWORD"]
        self.programs = Path(environment["BED_VTCTLDCLIENT"]).parent
        self.folder = Path(environment["BED_DIR"])

    def connect(self, gate: int = 0, **options: object) -> pymysql.Connection:
        """A connection straight to a vtgate."""
        settings: dict = {"user": self.user, "password": self.password, "database": self.keyspace,
                          "autocommit": True, "client_flag": CLIENT.MULTI_STATEMENTS, "read_timeout": 60}
        host, port = self.gates[gate]
        return pymysql.connect(host=host, port=port, **(tls_wish(options) | settings | options))

    def run(self, *statements: str) -> list[dict]:
        """Runs statements straight on vtgate, directly and at once; returns the last one's rows."""
        with self.connect(cursorclass=DictCursor) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall())

    @property
    def shards(self) -> list[str]:
        """The targets of all shards: "commerce/-80" ..."""
        shards = [row["Shards"] for row in self.run("SHOW VITESS_SHARDS")]
        assert len(shards) >= 2, "the tests need a sharded keyspace"
        return [shard for shard in shards if shard.startswith(self.keyspace + "/")]

    def on_shards(self, sql: str) -> dict[str, list[dict]]:
        """Asks each shard's own MySQL, one by one."""
        answers = {}
        with self.connect(cursorclass=DictCursor) as connection, connection.cursor() as cursor:
            for shard in self.shards:
                cursor.execute(f"USE `{shard}`")
                cursor.execute(sql)
                answers[shard] = list(cursor.fetchall())
        return answers

    def columns(self, table: str) -> dict[str, list[str]]:
        """The columns that the table has on each shard."""
        answers = self.on_shards(f"SHOW COLUMNS FROM `{table}`")
        return {shard: [row["Field"] for row in rows] for shard, rows in answers.items()}

    def tables(self) -> dict[str, set[str]]:
        """The tables and views on each shard."""
        answers = self.on_shards("SHOW TABLES")
        return {shard: {next(iter(row.values())) for row in rows} for shard, rows in answers.items()}

    def indexes(self, table: str) -> dict[str, set[str]]:
        answers = self.on_shards(f"SHOW INDEX FROM `{table}`")
        return {shard: {row["Key_name"] for row in rows} for shard, rows in answers.items()}

    def vtctl(self, *arguments: str) -> str:
        """Runs vtctldclient and returns what it prints."""
        done = subprocess.run([self.environment["BED_VTCTLDCLIENT"], "--server", self.vtctld, *arguments],
                              capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def migrations(self, table: str) -> list[dict]:
        """All online schema changes that the table ever had, a row for each shard."""
        return self.run(f"SHOW VITESS_MIGRATIONS FROM `{self.keyspace}` WHERE mysql_table = '{table}'")

    @contextmanager
    def scratch_table(self, columns: str = "id bigint NOT NULL PRIMARY KEY, v int") -> Iterator[str]:
        """A table for one test, on all shards. Without a vindex: DDL needs none."""
        name = scratch_name()
        self.run(f"CREATE TABLE `{name}` ({columns})")
        try:
            until(lambda: all(name in tables for tables in self.tables().values()), f"table {name} is there")
            until(lambda: all(self.knows(gate, name) for gate in range(len(self.gates))), f"all vtgates know {name}", 60)
            yield name
        finally:
            self.forget(name)

    def knows(self, gate: int, table: str) -> bool:
        """Whether that vtgate has heard of the table and its columns, which takes it a moment."""
        with self.connect(gate) as connection, connection.cursor() as cursor:
            try:
                cursor.execute(f"SELECT * FROM `{table}` LIMIT 0")
            except pymysql.Error as unknown:
                assert unknown.args[0] in (1105, 1146), unknown
                return False
            return True

    def forget(self, table: str) -> None:
        """Ends whatever still runs for the table, and drops it."""
        for migration in {row["migration_uuid"] for row in self.migrations(table)
                          if row["migration_status"] in ("requested", "queued", "ready", "running")}:
            self.run(f"ALTER VITESS_MIGRATION '{migration}' CANCEL")
        until(lambda: all(row["migration_status"] in ("complete", "failed", "cancelled")
                          for row in self.migrations(table)), f"migrations of {table} have ended", 30)
        self.run(f"DROP TABLE IF EXISTS `{table}`")

    @contextmanager
    def killed(self, program: str) -> Iterator[None]:
        """One of its programs gets SIGKILL. Afterwards it runs again, and the cluster is whole."""
        self.control("stop", program, "--kill")
        try:
            yield
        finally:
            self.control("start", program)
            until(self.is_whole, f"the cluster is whole again, after {program} was killed", 60, pause=0.2)

    def control(self, *arguments: str) -> None:
        done = subprocess.run([str(COMMAND), *arguments, "--name", self.environment["BED_NAME"]], capture_output=True,
                              text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr

    def is_whole(self) -> bool:
        """Every vtgate reads from every shard, and writes there could be."""
        try:
            for gate in range(len(self.gates)):
                with self.connect(gate) as connection, connection.cursor() as cursor:
                    for shard in self.shards:
                        cursor.execute(f"USE `{shard}`")
                        cursor.execute("SELECT 1 FROM demo LIMIT 1")
                        cursor.execute("UPDATE demo SET id = id WHERE 1 = 0")
        except pymysql.Error:
            return False
        return True

    def vtgate_command(self, replace: dict[str, str | None], add: Sequence[str] = ()) -> list[str]:
        """The command line of the bed's first vtgate with other values for some of its flags."""
        return self.command("vtgate1", replace, add)

    def command(self, program: str, replace: dict[str, str | None], add: Sequence[str] = ()) -> list[str]:
        """The same for any of the bed's programs."""
        words = shlex.split((self.folder / "programs" / f"{program}.cmd").read_text())
        result, i = [], 0
        while i < len(words):
            if words[i] in replace:
                value = replace[words[i]]
                if value is not None:
                    result += [words[i], value]
                i += 2
            else:
                result.append(words[i])
                i += 1
        return result + list(add)


def scratch_name() -> str:
    return f"e2e_{secrets.token_hex(5)}"
