"""Every driver that this machine has a toolchain for works through the shim as it does straight on vtgate.

What they do is in drivers/README.md; `drivers/run` does all of it and makes docs/COMPATIBILITY.md. Here online schema
changes are left to the three whose like no other test uses, since they run one after the other.

Ordinarily those of the languages that the other tests need anyway; VTSHIM_DRIVERS=1 installs all seven languages'.
"""

from __future__ import annotations

import os
from typing import Iterator

import pytest

from drivers.kits import DRIVERS
from drivers.matrix import PLAIN, TLS, Matrix, Result, prepare_all

# The kits of tests/e2e/drivers whose tools are there in any case.
SHORT = ("python", "go", "c")
MIGRATE = ("mysql2", "connector-j", "libmariadb")
CHOSEN = [driver.name for driver in DRIVERS if os.environ.get("VTSHIM_DRIVERS") == "1" or driver.kit in SHORT]


@pytest.fixture(scope="module")
def results(bed, program, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Result]]:
    """All chosen drivers, in all ways, beside each other."""
    ready = prepare_all(CHOSEN, quick=True)
    folder = tmp_path_factory.mktemp("drivers")
    with Matrix(bed, program, folder, lambda mode, driver: mode == PLAIN and driver in MIGRATE) as matrix:
        found = matrix.run(ready)
        yield {result.driver.name: result for result in found}


@pytest.mark.parametrize("mode", (PLAIN, TLS))
@pytest.mark.parametrize("driver", CHOSEN)
def test_driver(results, driver: str, mode: str):
    result = results[driver]
    if result.missing:
        pytest.skip(result.missing)
    failures = result.failures(mode)
    assert not failures, "\n".join(failures)
