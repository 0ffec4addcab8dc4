"""What a table of results was made with."""

from __future__ import annotations

import subprocess
from pathlib import Path

from lib.bed import Bed


def versions_of(bed: Bed, program: Path) -> str:
    server, = bed.run("SELECT @@version AS v")
    shim = subprocess.run([str(program), "--version"], capture_output=True, text=True, check=True).stdout.split("\n")[0]
    vtgate = subprocess.run([str(bed.programs / "vtgate"), "--version"], capture_output=True, text=True, check=False)
    vitess = next((word for word in vtgate.stdout.split() if word[:1].isdigit()), "")
    return f"{shim}; Vitess {vitess}, {server['v']}".replace("Vitess ,", "vtgate")
