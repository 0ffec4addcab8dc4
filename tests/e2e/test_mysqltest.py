"""MySQL's and MariaDB's own tests give the same through the shim as straight on MySQL: a short selection.

`mysqltest/run` runs all of them; docs/MYSQLTEST.md says what they are and what is known to differ.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest

from mysqltest.known import QUICK
from mysqltest.lane import DIFFERENT, SAME, Lane
from mysqltest.modes import MODES
from mysqltest.report import explained
from mysqltest.suite import Missing, find

pytestmark = pytest.mark.long
# The shortest of the selection has more.
MIN_LINES = 20


@pytest.fixture(scope="module", params=sorted(QUICK))
def verdicts(request: pytest.FixtureRequest, program: Path, tmp_path_factory: pytest.TempPathFactory):
    """All of a suite's short selection, in all modes. The suites have to be unpacked already, or be unpacked here."""
    if not shutil.which("apt-get") or not shutil.which("setpriv"):
        pytest.skip("no apt-get to get the test suites with, or no setpriv")
    try:
        server, suite = find("mysql"), find(request.param)
    except Missing as missing:
        pytest.skip(str(missing))
    # Not tmp_path: the tests run as nobody where root runs this, and a socket's name has to be short.
    with tempfile.TemporaryDirectory(prefix="vtshim-mysqltest-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with Lane(0, folder, program, server, suite, MODES[suite.name]) as lane:
            found = [verdict for test in QUICK[suite.name] for verdict in lane.run(test)]
    return suite.name, found, lane.failures


def test_same_as_straight(verdicts):
    suite, found, failures = verdicts
    assert not failures, "\n".join(failures)
    wrong = [f"{v.test}, {v.mode}: {v.why}\n{v.diff}" for v in found if v.verdict == DIFFERENT and not explained(suite, v)]
    assert not wrong, "\n".join(wrong)
    # Otherwise nothing has been compared: a test that breaks off early says little. MariaDB's go on behind what MySQL does
    # not know, and then never end with status 0.
    compared = [v for v in found if v.verdict == SAME and (v.whole or suite == "mariadb") and v.lines > MIN_LINES]
    assert len(compared) > len(found) / 2, [(v.test, v.mode, v.verdict, v.lines, v.why) for v in found]
