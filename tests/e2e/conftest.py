"""What every end-to-end test stands on: the cluster, the program, and a shim that is looked at when it has ended."""

from __future__ import annotations

import fcntl
import os
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Callable, Iterator

import pytest
from xdist.remote import Producer

from lib import bed as bed_module
from lib import vschema
from lib.bed import Bed
from lib.certificates import Certificates
from lib.etcd import Etcd
from lib.lanes import Lanes
from lib.plain import build_preset
from lib.poll import until
from lib.shim import Shim, find_program, merge

BED_NAME = "e2e"
BED_BASE_PORT = "17300"


def pytest_configure(config: pytest.Config) -> None:
    """Sees to it that there is a cluster, once and before the test processes start."""
    if hasattr(config, "workerinput"):
        choose_bed(int(config.workerinput["workerid"].removeprefix("gw")))
        return
    if config.option.collectonly:
        return
    find_program()
    if os.environ.get("BED_VTGATES"):
        return
    environment = bed_module.read_environment() or bed_module.read_environment(BED_NAME)
    if environment is None:
        subprocess.run([str(bed_module.COMMAND), "up", "--name", BED_NAME, "--base-port", BED_BASE_PORT,
                        "--auth", "static"], check=True)
        config.stash[OUR_BED] = True
        environment = bed_module.read_environment(BED_NAME)
        assert environment, "`bed up` succeeded but `bed env` does not know the bed"
    os.environ.update(environment)


def choose_bed(process: int) -> None:
    """Shares the test processes out among the clusters that run-tests has brought up."""
    names = os.environ.get("VTSHIM_TEST_BEDS", "").split()
    if len(names) > 1:
        environment = bed_module.read_environment(names[process % len(names)])
        assert environment, f"there is no bed {names[process % len(names)]}"
        os.environ.update(environment)


# Files whose tests run schema changes all the time, those that take longest first. Vitess fails a migration whose stream
# meets a table of another one that is just being dropped, and the more of them run at once the likelier that is: so one at a
# time does, on each cluster.
# The first needs the first cluster (lib/bed.py, spare_bed).
SCHEMA_CHANGES = ("test_keyspaces", "test_ddl", "test_ddl_managed", "test_ddl_session", "test_kills", "test_control",
                  "test_vtctld", "test_progress", "test_ddl_text", "test_queue", "test_windows", "test_transitions", "test_plans",
                  "test_transitions_resume",
                  "test_locks_ddl", "test_preflight", "test_hints", "test_resume", "test_api_deploy", "test_examples",
                  "test_vtgate_watch", "test_changes", "test_warm", "test_dashboard_plans", "test_dashboard_work", "test_ddl_vtctld")
AT_ONCE = 1


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Suites of their own are left out: VTSHIM_LONG=1, or -m long, runs them."""
    if os.environ.get("VTSHIM_LONG") == "1" or "long" in config.option.markexpr:
        return
    for item in items:
        if item.get_closest_marker("long"):
            item.add_marker(pytest.mark.skip(reason="long: VTSHIM_LONG=1 runs it"))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Lanes:
    """For each cluster one process that runs the files which change schemas."""
    return Lanes(config, log, max(1, len(os.environ.get("VTSHIM_TEST_BEDS", "").split())), SCHEMA_CHANGES)


OUR_BED = pytest.StashKey[bool]()
FAILED: list[str] = []


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Names what failed, a test a line, for run-tests."""
    if "VTSHIM_TEST_FAILED" in os.environ and not hasattr(session.config, "workerinput"):
        Path(os.environ["VTSHIM_TEST_FAILED"]).write_text("".join(f"{test}\n" for test in FAILED))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    test = report.nodeid if report.nodeid.startswith("tests/e2e/") else f"tests/e2e/{report.nodeid}"
    if report.failed and test not in FAILED:
        FAILED.append(test)


def pytest_unconfigure(config: pytest.Config) -> None:
    if config.stash.get(OUR_BED, False):
        subprocess.run([str(bed_module.COMMAND), "down", "--name", BED_NAME], check=False)


@pytest.fixture(autouse=True)
def whole_cluster(request: pytest.FixtureRequest, bed: Bed) -> Iterator[None]:
    """Keeps the tests that take a part of the cluster away from all others, over all test processes: these use it side
    by side, and whoever wants it alone holds the turnstile that they pass."""
    alone = request.node.get_closest_marker("alone") is not None
    with open(bed.folder / "turnstile", "w") as turnstile, open(bed.folder / "users", "w") as users:
        fcntl.flock(turnstile, fcntl.LOCK_EX)
        fcntl.flock(users, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        if not alone:
            fcntl.flock(turnstile, fcntl.LOCK_UN)
        yield


@pytest.fixture
def vschema_alone(bed: Bed) -> Iterator[None]:
    """For tests that change the VSchema otherwise than by vschema.kept."""
    with vschema.changing(bed):
        yield


@pytest.fixture(autouse=True)
def schema_change_slot(request: pytest.FixtureRequest, bed: Bed, whole_cluster: None,
                       record_property: Callable[[str, object], None]) -> Iterator[None]:
    """One of the few places for tests that change schemas, over all test processes."""
    if request.path.stem not in SCHEMA_CHANGES:
        yield
        return
    with ExitStack() as stack:
        slots = [stack.enter_context(open(bed.folder / f"slot-{i}", "w")) for i in range(AT_ONCE)]
        began = time.monotonic()
        until(lambda: any(map(take_slot, slots)), "a place for a test that changes schemas", 2400, 0.1)
        record_property("waited_for_its_turn_s", round(time.monotonic() - began, 1))
        yield


def take_slot(slot: IO[str]) -> bool:
    try:
        fcntl.flock(slot, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@pytest.fixture(scope="session")
def bed() -> Bed:
    """The real cluster, straight. Files whose tests need one of `bed up --spare` have a fixture of their own."""
    return Bed(os.environ)


@pytest.fixture(scope="session")
def program() -> Path:
    """The vtshim under test."""
    return find_program()


@pytest.fixture(scope="session")
def plain_program() -> Path:
    """The same without sanitizers."""
    return build_preset("dev")


@pytest.fixture
def executor() -> dict:
    """Settings that choose the DDL executor; files that test the other one have a fixture of their own."""
    return {}


@pytest.fixture
def start_shim(program: Path, bed: Bed, tmp_path: Path, executor: dict) -> Iterator[Callable[..., Shim]]:
    """Starts shims; at the end each must leave with status 0, no sanitizer report and a clean log."""
    shims: list[Shim] = []

    def start(config: dict | None = None, options: tuple[str, ...] = (), **environment: str) -> Shim:
        shims.append(Shim(program, tmp_path, bed, merge(executor, config or {}), options, environment))
        return shims[-1].start()

    yield start
    failures = []
    for shim in shims:
        try:
            shim.finish()
        except AssertionError as failure:
            failures.append(str(failure))
    assert not failures, "\n".join(failures)


@pytest.fixture
def shim(start_shim: Callable[..., Shim]) -> Shim:
    """A shim with the defaults."""
    return start_shim()


@pytest.fixture
def table(bed: Bed) -> Iterator[str]:
    """An empty table on both shards, for this test alone."""
    with bed.scratch_table() as name:
        yield name


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def secure(bed: Bed, tmp_path: Path) -> Iterator[Etcd]:
    """An etcd with TLS and users, for this test alone."""
    etcd = Etcd(bed, tmp_path, Certificates(tmp_path / "etcd-tls"))
    try:
        yield etcd.start().with_user()
    finally:
        etcd.stop()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo) -> Iterator[None]:
    """A failed test shows the end of the log of its shims."""
    outcome = yield
    report = outcome.get_result()
    if report.failed and "tmp_path" in getattr(item, "funcargs", {}):
        for log in sorted(item.funcargs["tmp_path"].glob("vtshim-*.log")):
            report.sections.append((f"vtshim ({log.name})", log.read_text(errors="replace")[-4000:]))
