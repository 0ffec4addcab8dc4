"""The program without sanitizers, for what these stand in the way of: filters of system calls, memory as it really is,
processes that nobody may look into, allocations that fail."""

from __future__ import annotations

import fcntl
import os
import subprocess
from pathlib import Path

from lib.bed import REPOSITORY


def build_preset(preset: str) -> Path:
    """VTSHIM_PLAIN, or that preset's program, which is built if it has to be: by one process, and the others wait."""
    if os.environ.get("VTSHIM_PLAIN"):
        return Path(os.environ["VTSHIM_PLAIN"]).resolve()
    folder = REPOSITORY / "build"
    folder.mkdir(exist_ok=True)
    with open(folder / f"{preset}.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        run("cmake", "--preset", preset)
        run("cmake", "--build", "--preset", preset, "--target", "vtshim")
    return folder / preset / "proxy" / "vtshim"


def compile_c(source: Path, into: Path, *flags: str) -> Path:
    """A tool or a library of the tests."""
    run("cc", "-std=c17", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-o", str(into), str(source), *flags)
    return into


def mysql_flags() -> list[str]:
    for library in ("mysqlclient", "libmariadb", "mariadb"):
        done = subprocess.run(["pkg-config", "--cflags", "--libs", library], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return done.stdout.split()
    raise AssertionError("no MySQL client library")


def run(*command: str) -> None:
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
