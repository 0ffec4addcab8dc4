"""Every driver that this machine has a toolchain for works through the shim as it does straight on vtgate.

What they do is in drivers/README.md; `drivers/run` does all of it and makes docs/COMPATIBILITY.md. Here online schema
changes are left to the three whose like no other test uses, since they run one after the other.

A suite of its own, for it installs the drivers of seven languages: VTSHIM_DRIVERS=1 turns it on.
"""

from __future__ import annotations

import os
from typing import Iterator

import pytest

from drivers.kits import DRIVERS
from drivers.matrix import PLAIN, TLS, Matrix, Result, prepare_all

pytestmark = pytest.mark.skipif(
    os.environ.get("VTSHIM_DRIVERS") != "1", reason="the driver matrix: VTSHIM_DRIVERS=1"
)

MIGRATE = ("mysql2", "connector-j", "libmariadb")


@pytest.fixture(scope="module")
def results(bed, program, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Result]]:
    """All drivers, in all ways, beside each other."""
    ready = prepare_all(quick=True)
    folder = tmp_path_factory.mktemp("drivers")
    with Matrix(bed, program, folder, lambda mode, driver: mode == PLAIN and driver in MIGRATE) as matrix:
        found = matrix.run(ready)
        yield {result.driver.name: result for result in found}


@pytest.mark.parametrize("mode", (PLAIN, TLS))
@pytest.mark.parametrize("driver", [driver.name for driver in DRIVERS])
def test_driver(results, driver: str, mode: str):
    result = results[driver]
    if result.missing:
        pytest.skip(result.missing)
    failures = result.failures(mode)
    assert not failures, "\n".join(failures)
