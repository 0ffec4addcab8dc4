"""What the process gives up: root's rights, new ones, core files, system calls that it has no use for."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Callable, Iterator

import pytest

from lib.poll import until
from lib.shim import Shim

NOBODY = pwd.getpwnam("nobody")
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to give up")

# The successor that a restart starts: a namespace of its own, as nothing of ours ever asks for.
FORBIDDEN = "#!/bin/sh\nunshare -n true && echo allowed > {0} || echo refused > {0}\nexit 7\n"


@pytest.fixture
def folder() -> Iterator[Path]:
    """One that everybody may look into and `nobody` may write to, unlike pytest's."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        os.chown(name, NOBODY.pw_uid, NOBODY.pw_gid)
        yield Path(name)


@pytest.fixture
def start_there(plain_program: Path, folder: Path, bed) -> Iterator[Callable[..., Shim]]:
    """Starts plain shims from a copy of the program that everybody may execute."""
    shims: list[Shim] = []
    program = folder / "vtshim"
    shutil.copy(plain_program, program)

    def prepare(config: dict) -> Shim:
        shims.append(Shim(program, folder, bed, config))
        os.chown(shims[-1].config_file, NOBODY.pw_uid, NOBODY.pw_gid)
        return shims[-1]

    yield prepare
    for shim in shims:
        shim.finish()


def low_port() -> int:
    """One that needs root."""
    for port in range(600, 1024):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no free port below 1024")


def statuses(pid: int) -> list[dict[str, list[str]]]:
    """/proc's status of each thread."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        lines = (task / "status").read_text().splitlines()
        found.append({line.split(":")[0]: line.split(":")[1].split() for line in lines})
    return found


def is_nobody(pid: int) -> None:
    """Every thread, with no way back."""
    ids = [str(NOBODY.pw_uid)] * 4, [str(NOBODY.pw_gid)] * 4
    threads = statuses(pid)
    assert len(threads) > 3
    for status in threads:
        assert (status["Uid"], status["Gid"]) == ids
        assert set(status["Groups"]) <= {str(NOBODY.pw_gid)}
        assert all(set(status[name][0]) == {"0"} for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb", "CapInh")), status
        assert status["NoNewPrivs"] == ["1"]


def leaves_no_core(pid: int) -> bool:
    limits = Path(f"/proc/{pid}/limits").read_text()
    core = next(line for line in limits.splitlines() if line.startswith("Max core file size"))
    # Of a process that leaves no core, what /proc shows of its inside is root's.
    return core.split()[4:6] == ["0", "0"] and os.stat(f"/proc/{pid}/environ").st_uid == 0


def test_root_becomes_somebody_else(start_there, folder):
    """A port below 1024 and a unix socket are opened as root; everything else happens as run.user, also after a
    reload, a rotation and a restart."""
    port, path = low_port(), folder / "mysql.sock"
    shim = start_there({"run": {"user": "nobody"}, "listen": [f"127.0.0.1:{port}", f"unix:{path}"],
                        "log": {"file": str(folder / "vtshim.log")}, "audit": {"file": str(folder / "audit.log")}})
    shim.listen = ("127.0.0.1", port)
    Shim.start(as_logging_to(shim, folder / "vtshim.log"))
    is_nobody(shim.process.pid)
    assert leaves_no_core(shim.process.pid)
    for name in ("vtshim.log", "audit.log", "mysql.sock"):
        owner = os.stat(folder / name)
        assert (owner.st_uid, owner.st_gid) == (NOBODY.pw_uid, NOBODY.pw_gid), name
    assert shim.run("SELECT 1 AS one") == [{"one": 1}]
    (folder / "vtshim.log").rename(folder / "vtshim.log.1")
    shim.process.send_signal(signal.SIGUSR1)
    until(lambda: (folder / "vtshim.log").exists(), "a new log after the rotation")
    shim.write_config({"log": {"level": "debug"}})
    os.chown(shim.config_file, NOBODY.pw_uid, NOBODY.pw_gid)
    assert shim.admin("RELOAD")
    shim.restart()
    is_nobody(shim.process.pid)
    assert leaves_no_core(shim.process.pid)
    assert shim.run("SELECT 1 AS one") == [{"one": 1}]
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        assert client.recv(5)[4] == 10


def as_logging_to(shim: Shim, file: Path) -> Shim:
    """Its first lines are on stderr, the others in the file."""
    class Both(Shim):
        @property
        def log(self) -> str:
            return "".join(each.read_text(errors="replace")
                           for each in (self.stderr_file, file.with_suffix(".log.1"), file) if each.exists())

    shim.__class__ = Both
    return shim


def test_cores_where_they_are_wanted(start_there):
    """run.core_dumps leaves the limit alone."""
    shim = start_there({"run": {"user": "nobody", "core_dumps": True}}).start()
    assert os.stat(f"/proc/{shim.process.pid}/environ").st_uid == NOBODY.pw_uid
    assert not leaves_no_core(shim.process.pid)


@pytest.mark.parametrize("run, error", [
    ({"user": "no-such-user"}, "there is no user 'no-such-user'"),
    ({"user": "nobody", "group": "no-such-group"}, "there is no group 'no-such-group'"),
    ({"user": "999999"}, "run.group is needed"),
    ({"user": "root"}, "root's are no less"),
])
def test_users_that_cannot_be(start_there, run, error):
    """--check says so, and so does the start."""
    shim = start_there({"run": run})
    for arguments in (["--check"], []):
        done = subprocess.run([*shim.command, *arguments], capture_output=True, text=True, timeout=20, check=False)
        assert done.returncode == (2 if arguments else 1) and error in done.stderr, done.stderr


def test_what_the_user_cannot_read_is_said_at_once(start_there):
    """Not at the first reload."""
    shim = start_there({"run": {"user": "nobody"}})
    os.chown(shim.config_file, 0, 0)
    shim.config_file.chmod(0o600)
    done = subprocess.run(shim.command, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 1 and "cannot be opened as run.user: Permission denied" in done.stderr, done.stderr
    assert "event=ready" not in done.stderr


def test_only_root_can(start_there):
    shim = start_there({"run": {"user": "nobody"}})
    command = ["setpriv", "--reuid=1", "--regid=1", "--clear-groups", *shim.command]
    shim.config_file.chmod(0o644)
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 1 and "only root can become another user" in done.stderr, done.stderr


def use(shim: Shim, table: str) -> None:
    """A bit of everything: sessions, the console, HTTP, health checks, schema changes, a name to look up."""
    with shim.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT * FROM demo LIMIT 1")
        cursor.execute(f"ALTER /*vtshim strategy=direct*/ TABLE {table} ADD COLUMN note VARCHAR(20)")
        cursor.execute(f"ALTER /*vtshim strategy=direct*/ TABLE {table} DROP COLUMN note")
    assert shim.admin("SHOW MEMORY") and shim.http("/metrics")[0] == 200
    until(lambda: shim.metric("vtshim_vtgate_up") == 1, "the vtgate is checked")
    assert shim.admin("RELOAD") is not None
    shim.process.send_signal(signal.SIGUSR1)
    shim.wait_event("files_reopened")


@pytest.mark.parametrize("mode, outcome", [("enforce", "refused"), ("log", "allowed"), ("kill", "refused")])
def test_filter_of_system_calls(start_there, folder, bed, table, mode, outcome):
    """All that a shim does goes on, after a restart too, which does not pile filters up; what it never does is refused."""
    host, port = bed.endpoints[0].split(":")
    assert host == "127.0.0.1"
    shim = start_there({"run": {"seccomp": mode}, "vtgate": [f"localhost:{port}"],
                        "control": {"user": bed.user, "password": bed.password, "check_interval_ms": 200}}).start()
    use(shim, table)
    shim.restart()
    use(shim, table)
    threads = statuses(shim.process.pid)
    assert all(status["Seccomp"] == ["2"] and status["Seccomp_filters"] == ["1"] for status in threads)
    (folder / "vtshim").unlink()
    (folder / "vtshim").write_text(FORBIDDEN.format(folder / "outcome"))
    (folder / "vtshim").chmod(0o755)
    shim.process.send_signal(signal.SIGUSR2)
    assert shim.wait_event("restart_failed")["status"] == "7"
    assert (folder / "outcome").read_text().strip() == outcome
    assert shim.run("SELECT 1 AS one") == [{"one": 1}]


def test_no_filter_without_the_setting(start_there):
    shim = start_there({})
    del shim.config["run"]
    shim.write_config({})
    os.chown(shim.config_file, NOBODY.pw_uid, NOBODY.pw_gid)
    shim.start()
    assert all(status["Seccomp"] == ["0"] for status in statuses(shim.process.pid))
    assert shim.events("running_as_root")
