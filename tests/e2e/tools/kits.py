"""The migration tools: how each is made ready, what it is run with, and how its books are read.

What is downloaded goes into the project's cache, what is built into build/tools-matrix.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

from drivers import kits as drivers
from drivers.kits import REPOSITORY, Missing, cache, digest, locked, tool

HERE = Path(__file__).resolve().parent
BUILD = REPOSITORY / "build" / "tools-matrix"

# A row of the books as (version, done).
Books = list[tuple[int, bool]]


def number(text: object) -> int:
    """ "0002_note", "2_note.js", "V2__note.sql", "2": 2"""
    return int(re.match(r"V?0*(\d+)", str(text))[1])


def up_to(text: object, done: bool = True) -> Books:
    """For tools that only keep the last version."""
    last = int(str(text))
    return [(version, done or version < last) for version in range(1, last + 1)]


@dataclass(frozen=True)
class Tool:
    """name: also the folder of its project.

    books: a statement for its bookkeeping, and what makes Books of a row. tables: what it creates besides the
    table that it migrates. lock: how it keeps others away, for the document. cannot: the steps that fail straight
    on vtgate, too, because it does not find its tables (in information_schema vtgate shows MySQL's names of
    databases). repair: what a run that was killed, or has failed, needs before the next one, as its documentation
    has it."""

    name: str
    title: str
    kit: str
    books: str
    read: Callable[[tuple], Books]
    tables: tuple[str, ...]
    lock: str
    get_lock: bool = False
    repair: tuple[str, ...] = ()
    can_undo: bool = True
    cannot: tuple[str, ...] = ()


TOOLS = (
    Tool("django", "Django", "python", "SELECT name FROM django_migrations WHERE app = 'items' ORDER BY id",
         lambda row: [(number(row[0]), True)], ("django_migrations",), "none"),
    Tool("alembic", "Alembic", "python", "SELECT version_num FROM alembic_version", lambda row: up_to(row[0]),
         ("alembic_version",), "none"),
    Tool("golang-migrate", "golang-migrate", "go", "SELECT version, dirty FROM schema_migrations",
         lambda row: up_to(row[0], not row[1]), ("schema_migrations",), "GET_LOCK on the connection of the DDL",
         get_lock=True, repair=("force", "1")),
    Tool("gorm", "GORM", "go", "", lambda row: [], (), "none; keeps no books",
         cannot=("rerun",)),
    Tool("flyway", "Flyway", "java", "SELECT version, success FROM flyway_schema_history WHERE version > '0' "
         "ORDER BY installed_rank", lambda row: [(number(row[0]), bool(row[1]))], ("flyway_schema_history",),
         "GET_LOCK on the connection of the DDL", get_lock=True, repair=("repair",), can_undo=False),
    Tool("liquibase", "Liquibase", "java", "SELECT ID FROM DATABASECHANGELOG ORDER BY ORDEREXECUTED",
         lambda row: [(number(row[0]), True)], ("DATABASECHANGELOG", "DATABASECHANGELOGLOCK"),
         "a row in a table", repair=("unlock",)),
    Tool("rails", "Rails (Active Record)", "ruby", "SELECT version FROM schema_migrations ORDER BY version",
         lambda row: [(number(row[0]), True)], ("schema_migrations", "ar_internal_metadata"),
         "GET_LOCK on a second connection", get_lock=True),
    Tool("knex", "knex", "node", "SELECT name FROM knex_migrations ORDER BY id", lambda row: [(number(row[0]), True)],
         ("knex_migrations", "knex_migrations_lock"), "a row in a table", repair=("unlock",)),
)


class Kit:
    """The tools of one language. A command is given the folder of the tool's project, in which it is also run, and
    an action: up (all migrations that are there), down (one back), and the words of Tool.repair."""

    def prepare(self) -> None:
        """Installs and builds what they share."""

    def version(self, name: str) -> str:
        raise NotImplementedError

    def command(self, name: str, project: Path, version: int, *action: str) -> list[str]:
        raise NotImplementedError


def run(log: str, *command: str | Path, cwd: Path = HERE, **environment: str) -> str:
    return drivers.run(f"tools-{log}", *command, cwd=cwd, **environment)


class Python(Kit):
    def __init__(self) -> None:
        requirements = HERE / "requirements.txt"
        self.requirements = requirements
        self.venv = cache() / "drivers" / f"tools-venv-{'%d.%d' % sys.version_info[:2]}-{digest(requirements)}"

    def prepare(self) -> None:
        if not (self.venv / "complete").exists():
            run("python", sys.executable, "-m", "venv", "--clear", self.venv)
            run("python", self._program("python"), "-m", "pip", "install", "-q", "--disable-pip-version-check",
                "-r", self.requirements)
            (self.venv / "complete").touch()

    def _program(self, name: str) -> str:
        return str(self.venv / "bin" / name)

    def version(self, name: str) -> str:
        pins = dict(line.lower().split("==") for line in self.requirements.read_text().split())
        if name == "django":
            return f"{pins['django']}, PyMySQL {pins['pymysql']}"
        return f"{pins['alembic']}, SQLAlchemy {pins['sqlalchemy']}"

    def command(self, name: str, project: Path, version: int, *action: str) -> list[str]:
        if name == "django":
            target = [] if action[0] == "up" else [f"{version - 1:04}"]
            return [self._program("python"), str(project / "manage.py"), "migrate", "items", *target, "--noinput"]
        return [self._program("alembic"), "-c", str(project / "alembic.ini"),
                *(["upgrade", "head"] if action[0] == "up" else ["downgrade", "-1"])]


class Go(Kit):
    SOURCES = HERE / "go"

    def prepare(self) -> None:
        self.go = tool("go", "1.24", "version")
        run("go", self.go, "build", "-trimpath", "-o", str(BUILD / "go") + "/", "./...", cwd=self.SOURCES)

    def version(self, name: str) -> str:
        module = {"golang-migrate": "golang-migrate/migrate/v4", "gorm": "gorm.io/gorm"}[name]
        return re.search(re.escape(module) + r" v(\S+)", (self.SOURCES / "go.mod").read_text())[1]

    def command(self, name: str, project: Path, version: int, *action: str) -> list[str]:
        if name == "gorm":
            return [str(BUILD / "go" / "gorm"), action[0], str(version)]
        return [str(BUILD / "go" / "migrate"), action[0], str(project), *action[1:]]


class Java(Kit):
    SOURCES = HERE / "java"
    CLASSES = BUILD / "java"
    MAIN = {"flyway": "FlywayTool", "liquibase": "LiquibaseTool"}

    def prepare(self) -> None:
        self.java, javac, maven = tool("java"), tool("javac", "17", "-version"), tool("mvn")
        pom = self.SOURCES / "pom.xml"
        self.jars = cache() / "drivers" / f"tools-java-{digest(pom)}"
        if not (self.jars / "complete").exists():
            run("java", maven, "-q", "-B", "-f", pom, "dependency:copy-dependencies", f"-DoutputDirectory={self.jars}")
            (self.jars / "complete").touch()
        run("java", javac, "-d", self.CLASSES, "-cp", f"{self.jars}/*", *sorted(self.SOURCES.glob("*.java")))

    def version(self, name: str) -> str:
        pins = dict(re.findall(r"<artifactId>(\S+)</artifactId>\s*<version>(\S+)</version>",
                               (self.SOURCES / "pom.xml").read_text()))
        return f"{pins[name + '-core']}, Connector/J {pins['mysql-connector-j']}"

    def command(self, name: str, project: Path, version: int, *action: str) -> list[str]:
        return [self.java, "-cp", f"{self.CLASSES}:{self.jars}/*", self.MAIN[name], *action, str(project)]


class Ruby(Kit):
    """From the distribution: the gem of mysql2 has to be compiled."""

    def prepare(self) -> None:
        self.ruby = tool("ruby")
        if subprocess.run([self.ruby, "-e", "require 'active_record'; require 'mysql2'"], capture_output=True,
                          check=False).returncode != 0:
            raise Missing("no Active Record or mysql2 (Debian: ruby-activerecord, ruby-mysql2)")

    def version(self, name: str) -> str:
        return run("ruby", self.ruby, "-e", "require 'active_record'; require 'mysql2'; "
                   "print ActiveRecord::VERSION::STRING, ', mysql2 ', Mysql2::VERSION").splitlines()[-1]

    def command(self, name: str, project: Path, version: int, *action: str) -> list[str]:
        return [self.ruby, str(project / "migrate.rb"), *action, str(project)]


class Node(Kit):
    SOURCES = HERE / "knex"

    def prepare(self) -> None:
        self.node, npm = tool("node", "18", "--version"), tool("npm")
        self.modules = cache() / "drivers" / f"tools-node-{digest(self.SOURCES / 'package-lock.json')}"
        if not (self.modules / "complete").exists():
            self.modules.mkdir(parents=True, exist_ok=True)
            for name in ("package.json", "package-lock.json"):
                shutil.copy(self.SOURCES / name, self.modules)
            run("node", npm, "ci", "--no-audit", "--no-fund", cwd=self.modules)
            (self.modules / "complete").touch()

    def version(self, name: str) -> str:
        pins = dict(re.findall(r'"(\S+)": "(\d\S+)"', (self.SOURCES / "package.json").read_text()))
        return f"{pins['knex']}, mysql2 {pins['mysql2']}"

    def command(self, name: str, project: Path, version: int, *action: str) -> list[str]:
        modules = project / "node_modules"
        if not modules.exists():
            modules.symlink_to(self.modules / "node_modules")
        word = {"up": "latest"}.get(action[0], action[0])
        return [self.node, str(modules / "knex" / "bin" / "cli.js"), "--knexfile", str(project / "knexfile.js"),
                f"migrate:{word}"]


KITS: dict[str, Callable[[], Kit]] = {"python": Python, "go": Go, "java": Java, "ruby": Ruby, "node": Node}


@dataclass
class Ready:
    """A tool that can be run, or why it cannot."""

    tool: Tool
    kit: Kit = field(default_factory=Kit)
    version: str = ""
    missing: str = ""


def prepare_all(names: list[str] | None = None) -> list[Ready]:
    """Makes the named tools, or all, ready, in the order of TOOLS."""
    chosen = [one for one in TOOLS if not names or one.name in names]
    BUILD.mkdir(parents=True, exist_ok=True)
    kits: dict[str, Kit | str] = {}
    for kind in dict.fromkeys(one.kit for one in chosen):
        kit = KITS[kind]()
        try:
            with locked(f"tools-{kind}"):
                kit.prepare()
            kits[kind] = kit
        except Missing as missing:
            kits[kind] = str(missing)
    return [Ready(one, missing=kit) if isinstance(kit := kits[one.kit], str)
            else Ready(one, kit, kit.version(one.name)) for one in chosen]


def write_project(one: Tool, folder: Path, table: str, version: int) -> Path:
    """The tool's project as it is when `version` is the last migration; for tools with files of their own."""
    source = HERE / one.name
    for file in sorted(path for path in source.rglob("*") if path.is_file()) if source.is_dir() else []:
        if file.name == "package-lock.json" or (re.match(r"V?\d", file.name) and number(file.name) > version):
            continue
        target = folder / file.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(file.read_text().replace("@TABLE@", table))
    folder.mkdir(parents=True, exist_ok=True)
    return folder
