"""The HTTP port: metrics that Prometheus takes, and probes that tell the truth."""

from __future__ import annotations

import shutil
import socket
import subprocess

import pymysql
import pytest

from lib import wire
from lib.poll import until
from lib.ports import free_port
from lib.vtgate import Vtgate


def test_metrics_are_valid(shim):
    """promtool has nothing to say about them, before and after there was something to count."""
    program = shutil.which("promtool")
    assert program, "promtool is needed (Debian: prometheus)"
    for _ in range(2):
        status, text = shim.http("/metrics")
        assert status == 200
        done = subprocess.run([program, "check", "metrics"], input=text, capture_output=True, text=True, check=False)
        assert done.returncode == 0 and not (done.stdout + done.stderr).strip(), done.stdout + done.stderr
        assert text.endswith("\n") and len(set(text.splitlines())) == len(text.splitlines())
        shim.run("SELECT 1")


def test_content_type(shim):
    with socket.create_connection(shim.http_address) as client:
        client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        head = b""
        while b"\r\n\r\n" not in head:
            head += client.recv(65536)
    assert b"200" in head.split(b"\r\n")[0]
    assert b"text/plain; version=0.0.4" in head


def test_counters_move(shim, bed):
    """Each by what was done, no more and no less."""
    def values() -> dict[str, float]:
        return {name: shim.metric(f"vtshim_{name}") for name in
                ("connections_accepted_total", "logins_total", "logins_failed_total", "commands_total", "sessions",
                 "errors_relayed_total", "bytes_from_clients_total", "bytes_from_vtgate_total")}
    before = values()
    assert before["connections_accepted_total"] == before["sessions"] == before["commands_total"] == 0
    with shim.wire() as client:
        for _ in range(10):
            client.query("SELECT 1")
        client.query("selec")
        client.command(wire.COM_PING)
        client.query("SELECT repeat('m', 100000)")
        during = values()
        assert during["sessions"] == 1 and during["commands_total"] == 13
        assert during["errors_relayed_total"] == 1
        assert shim.metric("vtshim_commands_by_kind_total", command="ping") == 1
        assert shim.metric("vtshim_commands_by_kind_total", command="query") == 12
        assert during["bytes_from_vtgate_total"] > 100_000 > during["bytes_from_clients_total"] > 150
        client.send(wire.COM_QUIT)
    with pytest.raises(pymysql.Error):
        shim.connect(password="mistaken-password")
    until(lambda: shim.metric("vtshim_sessions") == 0, "the sessions are gone")
    after = values()
    assert after["connections_accepted_total"] == 2 and after["logins_total"] == 1 and after["logins_failed_total"] == 1
    assert shim.metric("vtshim_sessions_closed_total", reason="client_quit") == 1
    assert shim.metric("vtshim_sessions_closed_total", reason="login_refused") == 1
    assert sum(shim.metric("vtshim_vtgate_up", vtgate=text) for text in bed.endpoints) == 2


def test_build_info(shim):
    version = shim.admin("SHOW VERSION")[0]["version"]
    assert shim.metric("vtshim_build_info", version=version) == 1


def test_probes_when_all_is_well(shim):
    assert shim.http("/healthz")[0] == 200
    until(lambda: shim.http("/readyz")[0] == 200, "/readyz says yes")


def test_readyz_without_a_vtgate(start_shim):
    """No vtgate: alive but not ready."""
    shim = start_shim({"vtgate": f"127.0.0.1:{free_port()}", "control": {"check_interval_ms": 100}})
    until(lambda: shim.http("/readyz")[0] == 503, "/readyz says no")
    assert shim.http("/healthz")[0] == 200


@pytest.mark.parametrize("control", [False, True], ids=["greeting", "login"])
def test_readyz_follows_a_real_vtgate(start_shim, bed, control):
    """A vtgate that is stopped and started again: 200, 503, 200; with control.user the check is a login."""
    with Vtgate(bed) as vtgate:
        settings: dict = {"check_interval_ms": 200}
        if control:
            settings |= {"user": vtgate.user, "password": vtgate.password}
        shim = start_shim({"vtgate": vtgate.endpoint, "control": settings})
        until(lambda: shim.http("/readyz")[0] == 200, "ready")
        vtgate.stop(kill=True)
        until(lambda: shim.http("/readyz")[0] == 503, "not ready")
        assert shim.metric("vtshim_vtgate_up") == 0 and shim.wait_event("vtgate_down", vtgate=vtgate.endpoint)
        assert shim.http("/healthz")[0] == 200
        vtgate.start()
        until(lambda: shim.http("/readyz")[0] == 200, "ready again")
        assert shim.run("SELECT 1 AS one") == [{"one": 1}]
        assert shim.wait_event("vtgate_up", vtgate=vtgate.endpoint)


def test_checks_with_a_wrong_password(start_shim, bed):
    """control.user that vtgate refuses: the vtgate answers, so it counts as up, or the log says why not; but
    applications are served in any case."""
    shim = start_shim({"control": {"user": bed.user, "password": "not-the-right-one", "check_interval_ms": 100}})
    shim.secret("not-the-right-one")
    assert shim.run("SELECT 1 AS one") == [{"one": 1}]


def test_readyz_while_one_of_two_is_down(start_shim, bed):
    """One vtgate is enough to be ready; the other is named in the metrics."""
    dead = f"127.0.0.1:{free_port()}"
    shim = start_shim({"vtgate": [dead, bed.endpoints[0]], "control": {"check_interval_ms": 100}})
    until(lambda: shim.metric("vtshim_vtgate_up", vtgate=dead) == 0, "the dead one is found out")
    assert shim.metric("vtshim_vtgate_up", vtgate=bed.endpoints[0]) == 1
    assert shim.http("/readyz")[0] == 200


@pytest.mark.parametrize("request_bytes, status", [
    (b"GET /nosuch HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"404"),
    (b"DELETE /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"405 501"),
    (b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc", b"405 413 501"),
    (b"nonsense\r\n\r\n", b"400"),
    (b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n", None),
    (b"\x16\x03\x01\x02\x00\x01", None),
], ids=["unknown", "delete", "post", "nonsense", "long", "tls"])
def test_bad_requests(shim, request_bytes, status):
    """Told so, or cut off; the port lives on."""
    with socket.create_connection(shim.http_address, timeout=5) as client:
        answer = b""
        try:
            client.sendall(request_bytes)
            client.shutdown(socket.SHUT_WR)
            while part := client.recv(65536):
                answer += part
        except OSError as error:
            assert not isinstance(error, TimeoutError), "neither an answer nor an end"
    if status:
        assert answer.split(b" ")[1] in status.split(), answer[:200]
    else:
        assert b" 200 " not in answer.split(b"\r\n")[0]
    assert shim.http("/healthz")[0] == 200


def test_http_can_be_off(start_shim):
    shim = start_shim({"http": ""})
    assert shim.run("SELECT 1 AS one") == [{"one": 1}]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(shim.http_address)
