"""Migration tools through the shim, as tools/README.md has it: those whose languages the other tests need anyway.

VTSHIM_TOOLS=1 takes all of them; `tools/run` compares with vtgate and makes the document. An ALTER takes long only with
tools that hold a lock meanwhile."""

from __future__ import annotations

import os
import subprocess
from typing import Iterator

import pytest

from lib import bed as bed_module
from lib.bed import Bed
from tools.kits import TOOLS, prepare_all
from tools.matrix import LONG_SECONDS, SHIM, STEPS, Matrix, Result

pytestmark = pytest.mark.long
ALL = os.environ.get("VTSHIM_TOOLS") == "1"
CHOSEN = [tool for tool in TOOLS if ALL or tool.kit in ("python", "go")]
BED = f"e2e-tools-{os.getpid()}"


@pytest.fixture(scope="module")
def unsharded() -> Iterator[Bed]:
    """A cluster of its own: the tools' books need a keyspace of one shard."""
    subprocess.run([str(bed_module.COMMAND), "up", "--name", BED, "--base-port", "auto", "--auth", "static",
                    "--unsharded", "--gates", "1"], check=True)
    try:
        yield Bed(bed_module.read_environment(BED) or {})
    finally:
        subprocess.run([str(bed_module.COMMAND), "down", "--name", BED], check=False)


@pytest.mark.parametrize("tool", CHOSEN, ids=lambda tool: tool.name)
def test_tool(unsharded, program, tmp_path, tool):
    ready, = prepare_all([tool.name])
    if ready.missing:
        pytest.skip(ready.missing)
    with Matrix(unsharded, program, tmp_path, LONG_SECONDS if tool.get_lock else 1) as matrix:
        result: Result
        result, = matrix.run([ready], (SHIM,), keep=False)
    answers = result.answers[SHIM]
    assert set(answers) == set(STEPS)
    wrong = [f"{step}: {answer.detail}" for step, answer in answers.items()
             if answer.ok is False and step not in tool.cannot]
    assert not wrong, "\n".join(wrong)
