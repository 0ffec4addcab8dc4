"""The drivers, by language, and how each language's program is made ready to run.

What is downloaded goes into the project's cache, what is built into build/drivers.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[2]
BUILD = REPOSITORY / "build" / "drivers"


@dataclass(frozen=True)
class Driver:
    name: str
    title: str
    kit: str


DRIVERS = (
    Driver("mariadb", "mariadb (command line)", "cli"),
    Driver("mysql", "mysql (command line)", "cli"),
    Driver("mysql-native", "mysql (command line) with its mysql_native_password plug-in", "cli"),
    Driver("pymysql", "PyMySQL", "python"),
    Driver("mysqlclient", "mysqlclient", "python"),
    Driver("connector-pure", "mysql-connector-python, pure", "python"),
    Driver("connector-c", "mysql-connector-python, C extension", "python"),
    Driver("go-sql-driver", "go-sql-driver", "go"),
    Driver("mysql2", "mysql2 (node)", "node"),
    Driver("mariadb-node", "mariadb (node)", "node"),
    Driver("connector-j", "Connector/J", "java"),
    Driver("mariadb-connector-j", "MariaDB Connector/J", "java"),
    Driver("sqlx", "sqlx (Rust)", "rust"),
    Driver("libmariadb", "MariaDB Connector/C", "c"),
    Driver("libmysqlclient", "libmysqlclient", "c"),
    Driver("libmysqlclient-native", "libmysqlclient with its mysql_native_password plug-in", "c"),
)


class Missing(Exception):
    """A driver cannot be run on this machine; the text says why."""


def cache() -> Path:
    """The same folder as tests/cluster/lib/common.sh's vtshim_cache."""
    if os.environ.get("VTSHIM_CACHE"):
        return Path(os.environ["VTSHIM_CACHE"])
    return Path("/var/cache/vtshim") if os.geteuid() == 0 else Path.home() / ".cache" / "vtshim"


@contextmanager
def locked(name: str) -> Iterator[None]:
    """One process at a time installs or builds."""
    folder = cache() / "drivers"
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def run(log: str, *command: str | Path, cwd: Path = HERE, **environment: str) -> str:
    """Runs a build step; its output is in build/drivers/LOG.log, and returned."""
    BUILD.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["nice", *map(str, command)], cwd=cwd, env={**os.environ, **environment}, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, check=False)
    with open(BUILD / f"{log}.log", "a") as file:
        file.write(done.stdout)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} failed ({done.returncode}):\n{done.stdout[-1500:]}")
    return done.stdout


def tool(name: str, least: str = "", *version_command: str) -> str:
    """A program, of a version that is recent enough."""
    found = shutil.which(name)
    if not found:
        raise Missing(f"no {name}")
    if least:
        done = subprocess.run([found, *version_command], capture_output=True, text=True, check=False)
        version = re.search(r"\d+(\.\d+)*", done.stdout + done.stderr)
        if not version or numbers(version[0]) < numbers(least):
            raise Missing(f"{name} is older than {least}")
    return found


def numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]


def digest(*files: Path) -> str:
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()[:12]


def mysql_client() -> Path:
    """The folder of MySQL's own client and client library."""
    if not list(cache().glob("mysql-client-*-1")) and not shutil.which("apt-get"):
        raise Missing("no apt to get MySQL's client with")
    return Path(run("mysql-client", HERE / "install-mysql-client.sh").splitlines()[-1])


def plugins(client: Path) -> str:
    return str(next(client.glob("root/usr/lib/**/mysql_native_password.so")).parent)


class Kit:
    """The drivers of one language."""

    def prepare(self) -> None:
        """Installs and builds what they share."""

    def command(self, driver: str) -> list[str]:
        raise NotImplementedError

    def environment(self, driver: str) -> dict[str, str]:
        return {}

    def quick(self) -> bool:
        """Whether prepare() does not take minutes."""
        return True


class Cli(Kit):
    def command(self, driver: str) -> list[str]:
        if driver == "mariadb":
            program = shutil.which("mariadb")
            if not program:
                raise Missing("no mariadb")
        else:
            program = str(mysql_client() / "sbin" / "mysql")
        return [sys.executable, str(HERE / "cli" / "checks.py"), driver, program]

    def environment(self, driver: str) -> dict[str, str]:
        return {"DRIVER_PLUGINS": plugins(mysql_client())} if driver == "mysql-native" else {}


class Python(Kit):
    MYSQLCLIENT = "mysqlclient"

    def __init__(self) -> None:
        requirements = HERE / "python" / "requirements.txt"
        self.requirements = requirements.read_text().split()
        version = "%d.%d" % sys.version_info[:2]
        self.venv = cache() / "drivers" / f"venv-{version}-{digest(requirements)}"

    def prepare(self) -> None:
        if not (self.venv / "complete").exists():
            run("python", sys.executable, "-m", "venv", "--clear", self.venv)
            self._install(*(line for line in self.requirements if not line.startswith(self.MYSQLCLIENT)))
            (self.venv / "complete").touch()

    def _install(self, *requirements: str) -> None:
        run("python", self.venv / "bin" / "python", "-m", "pip", "install", "-q", "--disable-pip-version-check",
            *requirements)

    def command(self, driver: str) -> list[str]:
        if driver == self.MYSQLCLIENT:
            self._mysqlclient()
        return [str(self.venv / "bin" / "python"), str(HERE / "python" / "checks.py"), driver]

    def _mysqlclient(self) -> None:
        """It is compiled against the client library that the machine has."""
        if list(self.venv.glob("lib/python*/site-packages/MySQLdb")):
            return
        if not any(library(name) for name in ("mysqlclient", "libmariadb", "mariadb")):
            raise Missing("no client library to build mysqlclient with")
        self._install(*(line for line in self.requirements if line.startswith(self.MYSQLCLIENT)))


class Go(Kit):
    PROGRAM = BUILD / "go-checks"

    def prepare(self) -> None:
        go = os.environ.get("VTSHIM_GO") or shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
        if not go:
            raise Missing("no go")
        run("go", go, "build", "-o", self.PROGRAM, ".", cwd=HERE / "go")

    def command(self, driver: str) -> list[str]:
        return [str(self.PROGRAM), driver]


class Node(Kit):
    FOLDER = BUILD / "node"

    def prepare(self) -> None:
        tool("node", "20", "--version")
        tool("npm")
        manifests = [HERE / "node" / name for name in ("package.json", "package-lock.json")]
        modules = cache() / "drivers" / f"node-{digest(*manifests)}"
        if not (modules / "complete").exists():
            modules.mkdir(exist_ok=True)
            for manifest in manifests:
                shutil.copy(manifest, modules)
            run("node", "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", cwd=modules)
            (modules / "complete").touch()
        self.FOLDER.mkdir(parents=True, exist_ok=True)
        shutil.copy(HERE / "node" / "checks.mjs", self.FOLDER)
        link = self.FOLDER / "node_modules"
        link.unlink(missing_ok=True)
        link.symlink_to(modules / "node_modules")

    def command(self, driver: str) -> list[str]:
        return ["node", str(self.FOLDER / "checks.mjs"), driver.removesuffix("-node")]


class Java(Kit):
    CLASSES = BUILD / "java"

    def __init__(self) -> None:
        self.jars = cache() / "drivers" / f"java-{digest(HERE / 'java' / 'pom.xml')}"

    def prepare(self) -> None:
        tool("javac", "17", "-version")
        if not (self.jars / "complete").exists():
            tool("mvn")
            run("java", "mvn", "-q", "-B", "-f", HERE / "java" / "pom.xml", "dependency:copy-dependencies",
                "-DincludeScope=runtime", f"-DoutputDirectory={self.jars}")
            (self.jars / "complete").touch()
        self.CLASSES.mkdir(parents=True, exist_ok=True)
        run("java", "javac", "-Xlint:all", "-encoding", "UTF-8", "-cp", f"{self.jars}/*", "-d", self.CLASSES,
            HERE / "java" / "Checks.java")

    def command(self, driver: str) -> list[str]:
        return ["java", "-XX:TieredStopAtLevel=1", "-Dfile.encoding=UTF-8", "-cp", f"{self.jars}/*:{self.CLASSES}",
                "Checks", driver]


class Rust(Kit):
    PROGRAM = BUILD / "rust-checks"

    def __init__(self) -> None:
        self.target = cache() / "drivers" / "rust"

    def quick(self) -> bool:
        """Only where its dependencies have been compiled before."""
        return any(self.target.glob("debug/deps/libsqlx_mysql-*.rlib"))

    def prepare(self) -> None:
        tool("cargo", "1.94", "--version")
        run("rust", "cargo", "build", "--locked", cwd=HERE / "rust", CARGO_TARGET_DIR=str(self.target))
        shutil.copy(self.target / "debug" / "driver-sqlx", self.PROGRAM)

    def command(self, driver: str) -> list[str]:
        return [str(self.PROGRAM), driver]


class C(Kit):
    FLAGS = ("-std=gnu17", "-O1", "-g", "-Wall", "-Wextra", "-Werror")

    def prepare(self) -> None:
        tool("cc")

    def command(self, driver: str) -> list[str]:
        program = BUILD / f"c-{driver.removesuffix('-native')}"
        source = HERE / "c" / "checks.c"
        if driver == "libmariadb":
            flags = library("libmariadb")
            if not flags:
                raise Missing("no libmariadb to build with")
            run("c", "cc", *self.FLAGS, "-o", program, source, *flags)
            return [str(program)]
        client = mysql_client()
        include = client / "root" / "usr" / "include"
        run("c", "cc", *self.FLAGS, f"-I{include}/mysql", "-idirafter", include, "-o", program, source,
            next(client.glob("root/usr/lib/**/libmysqlclient.so.*")), "-Wl,--allow-shlib-undefined")
        return [str(client / "sbin" / "run-with-libraries"), str(program)]

    def environment(self, driver: str) -> dict[str, str]:
        return {"DRIVER_PLUGINS": plugins(mysql_client())} if driver.endswith("-native") else {}


def library(name: str) -> list[str]:
    """pkg-config's flags; none if it does not know the library."""
    if not shutil.which("pkg-config"):
        return []
    done = subprocess.run(["pkg-config", "--cflags", "--libs", name], capture_output=True, text=True, check=False)
    return done.stdout.split()


KITS: dict[str, type[Kit]] = {"cli": Cli, "python": Python, "go": Go, "node": Node, "java": Java, "rust": Rust, "c": C}


@dataclass
class Ready:
    """A driver's program, or why there is none."""

    driver: Driver
    command: list[str]
    environment: dict[str, str]
    missing: str = ""


def prepare(kit_name: str, drivers: list[Driver], quick: bool = False) -> list[Ready]:
    """Makes the drivers of one kit ready. quick: leaves out what takes minutes."""
    kit = KITS[kit_name]()
    try:
        if quick and not kit.quick():
            raise Missing("takes minutes to build: only in tests/e2e/drivers/run")
        with locked(kit_name):
            kit.prepare()
    except Missing as why:
        return [Ready(driver, [], {}, str(why)) for driver in drivers]
    ready = []
    for driver in drivers:
        try:
            with locked(kit_name):
                ready.append(Ready(driver, kit.command(driver.name), kit.environment(driver.name)))
        except Missing as why:
            ready.append(Ready(driver, [], {}, str(why)))
    return ready
