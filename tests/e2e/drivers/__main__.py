"""The driver matrix. Started by ./run."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time

from drivers.kits import BUILD, DRIVERS, REPOSITORY
from drivers.matrix import PLAIN, TLS, Matrix, prepare_all
from drivers.table import render
from lib import bed as bed_module
from lib.bed import Bed
from lib.document import write_section
from lib.shim import find_program
from lib.versions import versions_of

OUR_BED, OUR_PORT = "drivers", "17600"


def main() -> int:
    parser = argparse.ArgumentParser(prog="run", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[[], *(driver.name for driver in DRIVERS)],
                        help="these drivers only, and no document: " + ", ".join(driver.name for driver in DRIVERS))
    arguments = parser.parse_args()
    program = find_program()
    began = time.monotonic()
    ready = prepare_all(arguments.names)
    say(f"prepared in {time.monotonic() - began:.0f} s")
    for one in ready:
        if one.missing:
            say(f"{one.driver.name}: left out: {one.missing}")
    environment, ours = find_bed()
    try:
        bed = Bed(environment)
        folder = BUILD / "run"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        began = time.monotonic()
        with Matrix(bed, program, folder) as matrix:
            results = matrix.run(ready)
        say(f"ran in {time.monotonic() - began:.0f} s; what each driver said is in {folder.relative_to(REPOSITORY)}")
        versions = versions_of(bed, program)
    finally:
        if ours:
            subprocess.run([str(bed_module.COMMAND), "down", "--name", OUR_BED], check=False)
    failures = [f"{result.driver.name}, {mode}: {failure}" for result in results if not result.missing
                for mode in (PLAIN, TLS) for failure in result.failures(mode)]
    document = render(results, versions)
    if arguments.names:
        print(document)
    else:
        write_section("drivers", document)
        say("wrote the drivers' section of docs/COMPATIBILITY.md")
    for failure in failures:
        say(f"FAILS: {failure}")
    return 1 if failures else 0


def find_bed() -> tuple[dict[str, str], bool]:
    """The bed that is up, or one of our own."""
    if os.environ.get("BED_VTGATES"):
        return dict(os.environ), False
    environment = bed_module.read_environment()
    if environment:
        return environment, False
    subprocess.run([str(bed_module.COMMAND), "up", "--name", OUR_BED, "--base-port", OUR_PORT, "--auth", "static"],
                   check=True)
    return bed_module.read_environment(OUR_BED) or {}, True


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


sys.exit(main())
