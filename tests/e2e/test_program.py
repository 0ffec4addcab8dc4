"""The program itself: its options, its configuration, its beginning and its end."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from lib import wire
from lib.poll import until
from lib.ports import free_port
from lib.shim import SANITIZER, Shim
from lib.wire import ConnectionEnded, Wire


def run_program(program: Path, folder: Path, config: dict | str | None = None, *options: str,
                seconds: float = 20) -> subprocess.CompletedProcess:
    """Runs it to its end, with free ports where the configuration names none."""
    command = [str(program)]
    if config is not None:
        if isinstance(config, dict):
            ports = {key: f"127.0.0.1:{free_port()}" for key in ("listen", "admin", "http")}
            config = json.dumps({**ports, **config}, indent=1)
        (folder / "shim.json").write_text(config)
        command += ["--config", str(folder / "shim.json")]
    done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=seconds, check=False)
    assert not SANITIZER.search(done.stderr), done.stderr
    return done


def test_help(program, tmp_path):
    """All options are in it, on standard output, status 0."""
    done = run_program(program, tmp_path, None, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    for option in ("--config", "--listen", "--vtgate", "--admin", "--http", "--workers", "--check",
                   "--hash-password", "--version", "--help"):
        assert option in done.stdout
    assert all(len(line) <= 100 for line in done.stdout.splitlines())


def test_version(program, tmp_path):
    done = run_program(program, tmp_path, None, "--version")
    assert done.returncode == 0 and re.fullmatch(r"vtshim \d+\.\d+\.\d+\S*\n", done.stdout), done


def test_hash_password(program):
    """What it prints is what admin_users takes; the password is read from standard input, and never shown."""
    done = subprocess.run([str(program), "--hash-password"], input="an-operators-password\n", capture_output=True,
                          text=True, timeout=20, check=False)
    expected = hashlib.sha256(hashlib.sha256(b"an-operators-password").digest()).hexdigest()
    assert (done.returncode, done.stdout, done.stderr) == (0, f"$sha2${expected}\n", "")
    done = subprocess.run([str(program), "--hash-password"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=20, check=False)
    assert done.returncode == 2 and "password" in done.stderr and done.stdout == ""


@pytest.mark.parametrize("options, said", [
    (["--nosuch"], "nosuch"),
    (["--workers"], "workers"),
    (["--workers", "many", "--vtgate", "127.0.0.1:1"], "workers"),
    (["--workers", "65", "--vtgate", "127.0.0.1:1"], "workers"),
    (["--listen", "nowhere", "--vtgate", "127.0.0.1:1"], "listen"),
    (["--vtgate", "127.0.0.1:99999"], "vtgate"),
    (["--vtgate", ""], "vtgate"),
    ([], "vtgate"),
    (["--vtgate", "127.0.0.1:1", "surplus"], "arguments"),
    (["--config", "/nonexistent/vtshim.json"], "/nonexistent/vtshim.json"),
], ids=["unknown", "no-value", "type", "bounds", "endpoint", "port", "empty", "missing", "surplus", "no-file"])
def test_bad_options(program, tmp_path, options, said):
    """Refused at once with what is wrong on standard error, and a status of its own."""
    done = run_program(program, tmp_path, None, *options)
    assert done.returncode == 2, done
    assert said in done.stderr and done.stdout == ""


@pytest.mark.parametrize("text, line, key", [
    ('{"vtgate": "a:1",\n "nosuch": 1}', 2, "nosuch"),
    ('{"vtgate": "a:1",\n "ddl": {\n  "poll_interval_ms": 5}}', 3, "ddl.poll_interval_ms"),
    ('{"vtgate": "a:1",\n "workers": "two"}', 2, "workers"),
    ('{"vtgate": "a:1",\n "hold": {"max_wait_ms": 1.5}}', 2, "hold.max_wait_ms"),
    ('{"vtgate": "a:1",\n\n "ddl": {"on_disconnect": "perhaps"}}', 3, "ddl.on_disconnect"),
    ('{"vtgate": "a:1",\n "tls.required": "yes"}', 2, "tls.required"),
    ('{"vtgate": "a:1",\n "ddl.strategy": "a",\n "ddl": {"strategy": "b"}}', None, "ddl.strategy"),
    ('{"vtgate": ["a:1",\n "a:1"]}', 0, "vtgate"),
    ('{"vtgate": "a:1",\n "workers": 2', 2, ""),
    ('{"vtgate": "a:1"}\n{}', 2, ""),
    ('[1]', None, ""),
    ('', None, ""),
], ids=["unknown-key", "bounds", "type", "fraction", "word", "not-boolean", "twice", "same-endpoint", "unfinished",
        "trailing", "no-object", "empty-file"])
def test_bad_configuration(program, tmp_path, text, line, key):
    """File, line and key are named, and the program does not start; --check says the same."""
    for options in ((), ("--check",)):
        done = run_program(program, tmp_path, text, *options)
        assert done.returncode == 2, done
        # What does not fit together may come from the file or from options: no place is named.
        place = {None: "shim.json", 0: ""}.get(line, f"shim.json:{line}:")
        assert place in done.stderr and key in done.stderr, done.stderr
        assert done.stdout == ""


def test_error_texts_hide_passwords(program, tmp_path):
    """A mistake beside a password does not bring it to light."""
    text = '{"vtgate": "a:1", "control": {"user": "u", "password": "in-the-config-file", "nosuch": 1}}'
    assert "in-the-config-file" not in run_program(program, tmp_path, text, "--check").stderr
    text = '{"vtgate": "a:1", "control": {"password": "in-the-config-file" "user": "u"}}'
    assert "in-the-config-file" not in run_program(program, tmp_path, text, "--check").stderr


def test_check(program, tmp_path, bed):
    """--check: status 0, nothing is opened, no port is needed."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = "127.0.0.1:%d" % taken.getsockname()[1]
        done = run_program(program, tmp_path, {"vtgate": bed.endpoints, "listen": listen}, "--check")
    assert done.returncode == 0 and done.stderr == "", done


def test_options_go_over_the_file(start_shim, bed):
    """The command line wins."""
    other = free_port()
    shim = start_shim({"vtgate": f"127.0.0.1:{free_port()}"},
                      ("--vtgate", ",".join(bed.endpoints), "--listen", f"127.0.0.1:{other}", "--workers", "3"))
    shim.listen = ("127.0.0.1", other)
    assert shim.run("SELECT 1 AS one") == [{"one": 1}]
    settings = {row["name"]: row["value"] for row in shim.admin("SHOW CONFIG")}
    assert settings["workers"] == "3" and settings["vtgate"] == ",".join(bed.endpoints)
    assert shim.metric("vtshim_workers") == 3


def test_without_a_file(program, tmp_path, bed):
    """Options alone are enough to run."""
    listen, admin, http = (f"127.0.0.1:{free_port()}" for _ in range(3))
    process = subprocess.Popen([str(program), "--vtgate", bed.endpoints[0], "--listen", listen, "--admin", admin,
                                "--http", http, "--workers", "1"], stderr=subprocess.PIPE, text=True)
    try:
        lines = []
        while not any("event=ready" in line for line in lines):
            lines.append(process.stderr.readline())
            assert lines[-1], lines
        host, port = listen.split(":")
        with Wire((host, int(port))) as client:
            client.login(bed.user, bed.password, bed.keyspace)
            assert client.value("SELECT 1") == "1"
    finally:
        process.terminate()
        rest = process.communicate(timeout=20)[1]
    assert process.returncode == 0 and not SANITIZER.search(rest), rest


def test_several_listeners(start_shim, bed):
    """More than one address, a unix socket among them."""
    ports = [free_port(), free_port()]
    path = f"/tmp/e2e-{os.getpid()}-{ports[0]}.sock"
    shim = start_shim({"listen": [f"127.0.0.1:{ports[0]}", f"127.0.0.1:{ports[1]}", f"unix:{path}"]})
    try:
        for port in ports:
            with shim.connect(port=port) as connection, connection.cursor() as cursor:
                cursor.execute("SELECT 1")
        with shim.connect(unix_socket=path, host=None) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT database()")
            assert cursor.fetchone() == (bed.keyspace,)
    finally:
        shim.finish()
        Path(path).unlink(missing_ok=True)


@pytest.mark.parametrize("which", ["listen", "admin", "http"])
def test_port_in_use(program, tmp_path, bed, which):
    """It says which address is taken, and ends with an error instead of running without it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = "127.0.0.1:%d" % taken.getsockname()[1]
        done = run_program(program, tmp_path, {"vtgate": bed.endpoints, which: address})
    assert done.returncode == 1, done
    assert address in done.stderr and "in use" in done.stderr, done.stderr


@pytest.mark.threads
def test_sigterm_at_rest(shim):
    """Sessions between commands are closed at once, and the program ends with status 0."""
    clients = [shim.wire() for _ in range(5)]
    for client in clients:
        client.query("SELECT 1")
    began = time.monotonic()
    shim.terminate()
    assert shim.wait() == 0
    assert time.monotonic() - began < 3, "the three seconds of timeouts.shutdown_s are for those at work"
    for client in clients:
        with pytest.raises((ConnectionEnded, ConnectionResetError)):
            while True:
                client.read(1)
        client.close()
    assert shim.events("shutdown") and shim.events("stopped")


@pytest.mark.threads
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_sigterm_lets_work_finish(start_shim, number):
    """A statement and a transaction under way come to their end; new clients are not let in meanwhile."""
    shim = start_shim({"timeouts": {"shutdown_s": 10}})
    busy, transaction = shim.wire(), shim.wire()
    assert transaction.query("BEGIN").error is None
    assert transaction.query("DELETE FROM customer WHERE id = -625000").error is None
    busy.send(wire.COM_QUERY, "SELECT sleep(1.5)")
    until(lambda: shim.metric("vtshim_commands_total") == 3, "the statement is under way")
    shim.process.send_signal(number)
    shim.wait_event("shutdown")
    with pytest.raises(ConnectionRefusedError):
        Wire(shim.listen)
    assert busy.read_response().error is None
    assert transaction.query("INSERT INTO customer (id) VALUES (-625000)").error is None
    assert transaction.query("DELETE FROM customer WHERE id = -625000").error is None
    assert transaction.query("COMMIT").error is None
    began = time.monotonic()
    assert shim.wait() == 0
    assert time.monotonic() - began < 5
    busy.close()
    transaction.close()


@pytest.mark.threads
def test_sigterm_does_not_wait_for_ever(start_shim):
    """After timeouts.shutdown_s what is still at work is closed."""
    shim = start_shim({"timeouts": {"shutdown_s": 1}})
    with shim.wire() as client:
        client.send(wire.COM_QUERY, "SELECT sleep(20)")
        until(lambda: shim.metric("vtshim_commands_total") == 1, "the statement is under way")
        began = time.monotonic()
        shim.terminate()
        assert shim.wait() == 0
        assert 0.5 < time.monotonic() - began < 8


@pytest.mark.threads
def test_second_sigterm_is_final(start_shim):
    """Whoever insists gets it."""
    shim = start_shim({"timeouts": {"shutdown_s": 60}})
    with shim.wire() as client:
        client.send(wire.COM_QUERY, "SELECT sleep(20)")
        until(lambda: shim.metric("vtshim_commands_total") == 1, "the statement is under way")
        shim.terminate()
        shim.wait_event("shutdown")
        shim.terminate()
        assert shim.wait(8) == 0


@pytest.mark.threads
def test_sigterm_during_a_migration(start_shim, bed, table):
    """A client that waits for its migration does not keep the shim from ending; the migration goes on."""
    shim = start_shim({"timeouts": {"shutdown_s": 1},
                       "ddl": {"strategy": "vitess --postpone-completion --allow-concurrent"}})
    with shim.wire() as client:
        client.send(wire.COM_QUERY, f"ALTER TABLE {table} ADD COLUMN later int")
        until(lambda: len(bed.migrations(table)) == 2, "it is submitted")
        shim.terminate()
        assert shim.wait(10) == 0
    assert {row["migration_status"] for row in bed.migrations(table)} <= {"queued", "ready", "running"}


def test_log_lines(shim: Shim):
    """Every line is time, level, event and key=value pairs."""
    shim.run("SELECT 1")
    shim.hold("ALL FOR 1 REASON 'a \"quoted\" reason with blanks'")
    shim.finish()
    for line in shim.log.splitlines():
        assert re.match(r'time=\S+ level=(debug|info|warn|error) event=\w+( [\w.]+=("([^"\\]|\\.)*"|\S*))*$', line), line
    assert {"ready", "hold_set", "shutdown", "stopped"} <= set(re.findall(r"event=(\w+)", shim.log))


def test_log_level(start_shim):
    """log.level=debug: each login is there; info, the default, does not say so."""
    ordinary = start_shim()
    ordinary.run("SELECT 1")
    assert not ordinary.events("login")
    shim = start_shim({"log": {"level": "debug"}})
    shim.run("SELECT 1")
    assert shim.wait_event("login", user=shim.bed.user)
