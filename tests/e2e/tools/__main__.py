"""The migration tools. Started by ./run."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time

from drivers.kits import REPOSITORY
from lib import bed as bed_module
from lib.bed import Bed
from lib.document import write_section
from lib.shim import find_program
from lib.versions import versions_of
from tools.kits import BUILD, TOOLS, prepare_all
from tools.matrix import LONG_SECONDS, RESULTS, SHIM, STRAIGHT, Matrix, Result
from tools.table import render

OUR_BED = "tools-matrix"


def main() -> int:
    names = [tool.name for tool in TOOLS]
    parser = argparse.ArgumentParser(prog="run", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[[], *names],
                        help="these tools only, and no document: " + ", ".join(names))
    parser.add_argument("--bed", help="the name of a bed that is up, with one unsharded keyspace")
    parser.add_argument("--seconds", type=float, default=LONG_SECONDS, help="how long the ALTER takes")
    parser.add_argument("--only", choices=(STRAIGHT, SHIM), help="one of the two ways")
    parser.add_argument("--document", action="store_true",
                        help="write the document although not all tools are run now: the others as they did last")
    arguments = parser.parse_args()
    program = find_program()
    began = time.monotonic()
    ready = prepare_all(arguments.names)
    say(f"prepared in {time.monotonic() - began:.0f} s")
    for one in ready:
        if one.missing:
            say(f"{one.tool.name}: left out: {one.missing}")
    name = arguments.bed or OUR_BED
    if not arguments.bed:
        subprocess.run([str(bed_module.COMMAND), "up", "--name", name, "--base-port", "auto", "--auth", "static",
                        "--unsharded", "--gates", "1"], check=True)
    try:
        bed = Bed(bed_module.read_environment(name) or {})
        folder = BUILD / f"run-{name}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        began = time.monotonic()
        with Matrix(bed, program, folder, arguments.seconds) as matrix:
            results = matrix.run(ready, (arguments.only,) if arguments.only else (STRAIGHT, SHIM))
        say(f"ran in {time.monotonic() - began:.0f} s; what each tool said is in {folder.relative_to(REPOSITORY)}")
        versions = versions_of(bed, program)
    finally:
        if not arguments.bed:
            subprocess.run([str(bed_module.COMMAND), "down", "--name", name], check=False)
    for result in results:
        for mode, answers in result.answers.items():
            for step, answer in answers.items():
                say(f"{result.tool.name} {mode} {step}: {answer.ok} {answer.detail}")
    if arguments.document:
        results = [Result.load(tool, RESULTS) for tool in TOOLS]
    section = render(results, versions)
    if (arguments.names or arguments.only) and not arguments.document:
        print(section)
    else:
        write_section("tools", section)
        say("wrote the tools' section of docs/COMPATIBILITY.md")
    failures = [f"{result.tool.name}, {failure}" for result in results if not result.missing
                for failure in result.failures()]
    for failure in failures:
        say(f"FAILS: {failure}")
    return 1 if failures else 0


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


sys.exit(main())
