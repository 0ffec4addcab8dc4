"""Restarts that nobody notices, systemd's side of the service, and where log lines go."""

from __future__ import annotations

import ctypes
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Iterator

import pytest

from lib.adopted import Adopted, adopt_orphans
from lib.certificates import Certificates
from lib.poll import until
from lib.ports import free_port
from lib.shim import Shim
from lib.wire import Wire


class Load(threading.Thread):
    """Connects again and again, to a TCP address or a socket's path, perhaps with TLS: every other time it logs in and asks
    something, too."""

    def __init__(self, shim, address, tls=None):
        super().__init__()
        self.shim, self.address, self.tls = shim, address, tls
        self.ended, self.connects, self.failures = threading.Event(), 0, []

    def run(self) -> None:
        while not self.ended.is_set():
            try:
                self.attempt(self.connects % 2 == 1)
            except Exception as failure:  # whatever it is, the test has to tell
                self.failures.append(repr(failure))
            self.connects += 1

    def attempt(self, whole: bool) -> None:
        if whole or self.tls:
            where = {"unix_socket": self.address} if isinstance(self.address, str) else {}
            with self.shim.connect(**where, ssl=self.tls, connect_timeout=20, autocommit=None) as connection, connection.cursor() as cursor:
                cursor.execute("SELECT 1")
                assert cursor.fetchall() == ((1,),)
        else:
            kind = socket.AF_UNIX if isinstance(self.address, str) else socket.AF_INET
            with socket.socket(kind) as client:
                client.settimeout(20)
                client.connect(self.address)
                assert client.recv(5)[4] == 10, "no greeting"


@contextmanager
def under_load(*loads: Load) -> Iterator[Callable[[], int]]:
    """Gives how many connects there have been. At the end: none of them has failed."""
    for load in loads:
        load.start()
    try:
        yield lambda: sum(load.connects for load in loads)
    finally:
        for load in loads:
            load.ended.set()
        for load in loads:
            load.join()
    failures = [failure for load in loads for failure in load.failures]
    print(f"{sum(load.connects for load in loads)} connects, {len(failures)} failed")
    assert not failures, failures[:5]


@pytest.mark.threads
def test_no_connect_fails(start_shim, bed):
    """Three restarts under a load of connects, over TCP and a unix socket, of which none fails."""
    path = f"/tmp/e2e-restart-{os.getpid()}.sock"
    shim = start_shim({"listen": [f"127.0.0.1:{free_port()}", f"unix:{path}"], "timeouts": {"shutdown_s": 10}})
    host, port = shim.config["listen"][0].split(":")
    shim.listen = (host, int(port))
    pids, between = {shim.process.pid}, []
    with under_load(*(Load(shim, address) for address in (shim.listen, shim.listen, shim.listen, path))) as connects:
        for _ in range(3):
            before = connects()
            until(lambda: connects() > before + 50, "the load goes on")
            pids.add(shim.restart())
            between.append(connects() - before)
            until(lambda: len(shim.events("predecessor_ended")) == len(between), "the new one knows")
    assert len(pids) == 4 and Path(path).is_socket()
    assert shim.metric("vtshim_connections_accepted_total") > 0 and shim.admin("SHOW VERSION")
    assert not shim.events("inherited_socket_unused")
    shim.finish()
    assert not Path(path).exists(), "the last one removes the file"


@pytest.mark.threads
def test_no_connect_fails_with_tls(start_shim, tmp_path):
    """Reloads and restarts under a load over TLS and a unix socket: none fails a connect."""
    path, n = f"/tmp/e2e-tls-{os.getpid()}.sock", 0
    (tmp_path / "ca").mkdir()
    certificates = Certificates(tmp_path / "ca")
    for name in ("server.pem", "server-key.pem"):
        shutil.copy(certificates.path(name), tmp_path / name)
    shim = start_shim({"listen": [f"127.0.0.1:{free_port()}", f"unix:{path}"], "timeouts": {"shutdown_s": 10},
                       "tls": {"cert": str(tmp_path / "server.pem"), "key": str(tmp_path / "server-key.pem")}})
    host, port = shim.config["listen"][0].split(":")
    shim.listen = (host, int(port))
    tls = {"ca": str(certificates.path("ca.pem")), "check_hostname": False}
    with under_load(Load(shim, shim.listen, tls), Load(shim, shim.listen, tls), Load(shim, path)) as connects:
        for n in range(1, 7):
            before = connects()
            until(lambda: connects() > before + 20, "the load goes on", 30)
            if n % 3:
                shim.write_config({"hold": {"max_wait_ms": 10000 + n}})
                shim.process.send_signal(signal.SIGHUP)
                shim.wait_event("reloaded", changed=1)
                until(lambda: shim.admin("SHOW CONFIG LIKE 'hold.max_wait_ms'")[0]["value"] == str(10000 + n), "it is taken over")
            else:
                shim.restart()
                until(lambda: len(shim.events("predecessor_ended")) == n // 3, "the new one knows", 20)
    assert len(shim.events("restarted")) == 2 and len(shim.events("reloaded")) == 4
    assert len(shim.events("certificate")) == 7, "read at each start and at each reload"


@pytest.mark.threads
def test_transactions_end_on_the_old_one(start_shim):
    """What is at work stays where it is until it is done; the new process answers the rest."""
    shim = start_shim({"timeouts": {"shutdown_s": 10}})
    adopt_orphans()
    old = shim.process
    with shim.wire() as client:
        assert client.query("BEGIN").error is None
        old.send_signal(signal.SIGUSR2)
        pid = int(shim.wait_event("restarted")["pid"])
        shim.process = Adopted(pid)  # ended with the test, also where it fails; the old one ends by itself
        assert shim.http("/readyz")[0] == 200 and shim.run("SELECT 1 AS one") == [{"one": 1}]
        until(lambda: shim.metric("vtshim_sessions") == 0, "the new process has none, the old one its own", 5)
        os.kill(pid, signal.SIGUSR2)
        assert "has not ended yet" in shim.wait_event("restart_refused")["error"]
        assert client.query("SELECT 1").error is None
        assert client.query("COMMIT").error is None
    assert old.wait(10) == 0
    shim.wait_event("predecessor_ended")


def test_a_successor_that_fails_changes_nothing(shim):
    """A file that does not load any more: the new process ends, the old one goes on."""
    shim.write_config({"workers": 3})
    good = shim.config_file.read_text()
    shim.config_file.write_text('{"nosuch": 1}')
    shim.process.send_signal(signal.SIGUSR2)
    failed = shim.wait_event("restart_failed")
    assert failed["status"] == "2", failed
    assert shim.run("SELECT 1 AS one") == [{"one": 1}] and shim.metric("vtshim_workers") == 2
    shim.config_file.write_text(good)
    shim.restart()
    assert shim.metric("vtshim_workers") == 3, "the settings of the file as it is now"


def test_no_restart_while_holds_are_in_force(shim):
    shim.hold("ALL FOR 30")
    shim.process.send_signal(signal.SIGUSR2)
    assert "holds" in shim.wait_event("restart_refused")["error"]
    assert len(shim.admin("SHOW HOLDS")) == 1


def test_a_hold_that_comes_while_the_new_process_starts(program, bed, tmp_path):
    """It would be lost: the old process goes on, and the new one is ended before it takes anything over."""
    own, real = tmp_path / "vtshim", tmp_path / "real"
    shutil.copy(program, own)
    shim = Shim(own, tmp_path, bed).start()
    try:
        own.rename(real)
        own.write_text(f'#!/bin/sh\ntouch {tmp_path}/begun\nsleep 2\nexec {real} "$@"\n')
        own.chmod(0o755)
        shim.process.send_signal(signal.SIGUSR2)
        until((tmp_path / "begun").exists, "the new process begins")
        shim.hold("ALL FOR 60")
        assert "holds" in shim.wait_event("restart_failed", 60)["error"]
        assert len(shim.admin("SHOW HOLDS")) == 1 and shim.process.poll() is None
    finally:
        shim.finish()


# systemd.


class Manager:
    """The socket that systemd would listen on."""

    def __init__(self, folder: Path):
        self.path = folder / "notify.sock"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))
        self.socket.settimeout(20)

    def next(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in self.socket.recv(4096).decode().splitlines())

    def next_with(self, key: str) -> dict[str, str]:
        return next(message for message in iter(self.next, None) if key in message)


def test_what_systemd_hears(start_shim, tmp_path):
    """READY, WATCHDOG, RELOADING and READY again, MAINPID at a restart, STOPPING with the time that it may take."""
    manager = Manager(tmp_path)
    shim = start_shim(NOTIFY_SOCKET=str(manager.path), WATCHDOG_USEC="600000")
    assert manager.next_with("READY")
    for _ in range(2):
        assert manager.next_with("WATCHDOG") == {"WATCHDOG": "1"}
    shim.process.send_signal(signal.SIGHUP)
    assert int(manager.next_with("RELOADING")["MONOTONIC_USEC"]) > 0
    assert manager.next_with("READY")
    pid = shim.restart()
    assert int(manager.next_with("MAINPID")["MAINPID"]) == pid
    assert manager.next_with("READY") and manager.next_with("WATCHDOG")
    shim.terminate()
    assert int(manager.next_with("STOPPING")["EXTEND_TIMEOUT_USEC"]) >= 3_000_000


def test_shutdown_wait_asks_systemd_for_time(start_shim, tmp_path):
    """As long as the last session takes, and not only for what is usual."""
    manager = Manager(tmp_path)
    shim = start_shim(NOTIFY_SOCKET=str(manager.path))
    with shim.wire() as client:
        assert client.query("BEGIN").error is None
        shim.admin("SHUTDOWN WAIT")
        assert manager.next_with("STOPPING")
        for _ in range(2):
            assert int(manager.next_with("EXTEND_TIMEOUT_USEC")["EXTEND_TIMEOUT_USEC"]) >= 10_000_000
        assert client.query("COMMIT").error is None
    assert shim.wait() == 0 and shim.events("shutdown", limit_s="none")


PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT, WALL = 17, 0x4206, 0x4207, 0x40000000


@contextmanager
def stopped_threads(pid: int) -> Iterator[None]:
    """All threads of a process but its first stand still."""
    trace = ctypes.CDLL(None, use_errno=True).ptrace
    trace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    threads = [int(name) for name in os.listdir(f"/proc/{pid}/task") if int(name) != pid]
    for thread in threads:
        assert trace(PTRACE_SEIZE, thread, None, None) == 0, os.strerror(ctypes.get_errno())
        assert trace(PTRACE_INTERRUPT, thread, None, None) == 0
        os.waitpid(thread, WALL)
    try:
        yield
    finally:
        for thread in threads:
            trace(PTRACE_DETACH, thread, None, None)


def test_a_worker_that_hangs_is_noticed(start_shim, tmp_path):
    """The watchdog's word needs every worker, not only the loop that the timer belongs to."""
    manager = Manager(tmp_path)
    shim = start_shim(NOTIFY_SOCKET=str(manager.path), WATCHDOG_USEC="300000")
    assert manager.next_with("WATCHDOG")
    with stopped_threads(shim.process.pid):
        assert shim.http("/healthz")[0] == 200, "the first thread is well"
        manager.socket.settimeout(0.5)
        with pytest.raises(TimeoutError):
            for _ in range(5):
                manager.next()
    manager.socket.settimeout(20)
    assert manager.next_with("WATCHDOG")


def test_socket_activation(program, bed, tmp_path):
    """Sockets that systemd has opened are taken by their address; one that no setting names is closed and said."""
    ports = [free_port() for _ in range(3)]
    sockets = [socket.create_server(("127.0.0.1", port)) for port in ports]
    config = {"listen": f"127.0.0.1:{ports[0]}", "admin": f"127.0.0.1:{ports[1]}", "http": "", "vtgate": bed.endpoints,
              "workers": 1}
    (tmp_path / "shim.json").write_text(json.dumps(config))
    early = socket.create_connection(("127.0.0.1", ports[0]))  # before there is a process: it waits in the queue
    script = "import os,sys\nfor i,fd in enumerate(map(int,sys.argv[1].split(','))): os.dup2(fd,5000+i)\n" \
             "for i in range(3): os.dup2(5000+i,3+i)\nos.closerange(6,6000)\n" \
             "os.environ.update(LISTEN_PID=str(os.getpid()),LISTEN_FDS='3')\nos.execv(sys.argv[2],sys.argv[2:])\n"
    process = subprocess.Popen(
        ["python3", "-c", script, ",".join(str(s.fileno()) for s in sockets), str(program), "--config",
         str(tmp_path / "shim.json")], stderr=subprocess.PIPE, text=True, pass_fds=[s.fileno() for s in sockets])
    for one in sockets:
        one.close()
    try:
        early.settimeout(20)
        assert early.recv(5)[4] == 10
        early.close()
        with Wire(("127.0.0.1", ports[0])) as client:
            client.login(bed.user, bed.password, bed.keyspace)
            assert client.value("SELECT 1") == "1"
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", ports[2]))
    finally:
        process.terminate()
        log = process.communicate(timeout=20)[1]
    assert process.returncode == 0 and log.count("event=inherited_socket_unused") == 1, log


# Log lines.


def test_json_log_in_a_file(start_shim, tmp_path):
    """log.format json and log.file; SIGUSR1 opens the file anew after a rotation; nothing goes to stderr."""
    path, rotated = tmp_path / "vtshim.json.log", tmp_path / "vtshim.json.log.1"
    audit, audit_rotated = tmp_path / "audit.log", tmp_path / "audit.log.1"
    shim = start_shim()
    shim.write_config({"log": {"format": "json", "file": str(path)}, "audit": {"file": str(audit)}})
    shim.admin("RELOAD")
    shim.hold("ALL FOR 1 REASON 'a \"quoted\" reason'")
    until(lambda: path.exists() and "hold_set" in path.read_text(), "the line is in the file")
    assert shim.events("hold_set") == []
    path.rename(rotated)
    until(audit.exists, "the audit log")
    audit.rename(audit_rotated)
    shim.process.send_signal(signal.SIGUSR1)
    until(lambda: path.exists() and "files_reopened" in path.read_text(), "the file is there again")
    shim.admin("RELEASE ALL")
    until(lambda: audit.exists() and "RELEASE" in audit.read_text(), "the audit log, too")
    shim.write_config({"log": {"format": "text", "file": ""}})
    shim.admin("RELOAD")
    shim.wait_event("reloaded", changed=2)
    lines = [json.loads(line) for file in (rotated, path) for line in file.read_text().splitlines()]
    assert {"reloaded", "hold_set", "files_reopened"} <= {line["event"] for line in lines}
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"]) for line in lines)


def test_rotation_under_load(start_shim, tmp_path):
    """Five rotations by SIGUSR1 while lines are written: each login's line is there once and whole, in one of the files."""
    log, audit = tmp_path / "busy.log", tmp_path / "audit.log"
    shim = start_shim()
    shim.write_config({"log": {"format": "json", "file": str(log), "level": "debug"}, "audit": {"file": str(audit)}})
    shim.admin("RELOAD")
    until(log.exists, "the log")
    commands = 0
    with under_load(Load(shim, shim.listen), Load(shim, shim.listen)) as connects:
        for n in range(5):
            before = connects()
            until(lambda: connects() > before + 10, "the load goes on", 30)
            shim.admin(f"SET hold.max_wait_ms = {5000 + n}")
            commands += 1
            for file in (log, audit):
                file.rename(file.with_suffix(f".{n}"))
            shim.process.send_signal(signal.SIGUSR1)
            until(lambda: log.exists() and audit.exists(), "both are opened anew")
    until(lambda: shim.metric("vtshim_sessions") == 0, "all have left")
    logins = shim.metric("vtshim_logins_total")
    files = [*tmp_path.glob("busy.*")]
    assert len(files) == 6

    def lines(kept: list[Path]) -> list[dict]:
        return [json.loads(line) for file in kept for line in file.read_text().splitlines()]
    until(lambda: sum(line["event"] == "login" for line in lines(files)) == logins > 20, "a line for each login")
    until(lambda: sum("max_wait_ms" in line["statement"] for line in lines([*tmp_path.glob("audit.*")])) == commands, "and for each command")
    assert shim.metric("vtshim_log_lines_dropped_total") == 0 == shim.metric("vtshim_audit_dropped_total")
    shim.write_config({"log": {"format": "text", "file": "", "level": "info"}})
    shim.admin("RELOAD")
    shim.wait_event("reloaded", changed=4)


def test_a_log_file_that_cannot_be_written(shim):
    """It is said on stderr, and nothing else suffers; lines are counted as dropped."""
    shim.write_config({"log": {"file": "/dev/full"}})
    shim.admin("RELOAD")
    shim.wait_event("log_file_failed", file="/dev/full")
    assert shim.run("SELECT 1 AS one") == [{"one": 1}]
    until(lambda: shim.metric("vtshim_log_lines_dropped_total") >= 1, "it is counted")
    shim.write_config({"log": {"file": ""}})
    shim.admin("RELOAD")
    shim.wait_event("reloaded", changed=1)
