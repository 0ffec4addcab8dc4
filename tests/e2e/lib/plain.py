"""The program without sanitizers, for what these stand in the way of: filters of system calls, memory as it really is,
processes that nobody may look into, allocations that fail."""

from __future__ import annotations

import fcntl
import os
import subprocess
from pathlib import Path

from lib.bed import REPOSITORY

PRESET = "dev"


def build_plain() -> Path:
    """VTSHIM_PLAIN, or the preset `dev`, which is built if it has to be: by one process, and the others wait."""
    if os.environ.get("VTSHIM_PLAIN"):
        return Path(os.environ["VTSHIM_PLAIN"]).resolve()
    folder = REPOSITORY / "build"
    folder.mkdir(exist_ok=True)
    with open(folder / f"{PRESET}.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for command in (["cmake", "--preset", PRESET], ["cmake", "--build", "--preset", PRESET, "--target", "vtshim"]):
            done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return folder / PRESET / "proxy" / "vtshim"
