"""The ways to the server: straight, and through each proxy. All but one have one data thread."""

from __future__ import annotations

import os
import resource
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from process import LOOPBACK, Program, free_ports
from servers import Server

# What the benchmark calls them, in the order of each round.
RELAY, HAPROXY, ROUTER, VTSHIM, DIRECT = "relay", "haproxy", "router", "vtshim", "direct"
# The shim with a worker for each core.
VTSHIM_CORES = "vtshim-cores"
# With TLS: HAProxy cannot answer MySQL's STARTTLS, so it either passes TLS on to the server or ends
# TLS that begins with the first byte, as our own client can speak it.
HAPROXY_TLS = "haproxy-tls"


@dataclass
class Target:
    name: str
    port: int
    program: Program | None  # None: straight to the server

    def stop(self) -> None:
        if self.program:
            self.program.stop()


@dataclass
class Bench:
    """Where everything is."""

    server: Server
    folder: Path   # of this run, removed at its end
    built: Path    # relay and client
    shim: Path
    cert: Path     # chain and key in one file, as HAProxy wants it


def max_connections(spare_files: int = 500) -> int:
    """Every proxied connection takes two descriptors."""
    return min(12_000, (resource.getrlimit(resource.RLIMIT_NOFILE)[1] - spare_files) // 2)


def start(bench: Bench, name: str, tls: bool = False) -> Target | None:
    """None: cannot be had here."""
    if name == DIRECT:
        return Target(name, bench.server.port, None)
    port = free_ports(1)[0]
    command = COMMANDS[name](bench, port, tls)
    if not command:
        return None
    program = Program(f"{name}-{port}", command, bench.folder)
    try:
        program.wait_for(port)
    except BaseException:
        program.stop()
        raise
    return Target(name, port, program)


def relay_command(bench: Bench, port: int, tls: bool) -> list[str]:
    return [str(bench.built / "relay"), str(port), str(bench.server.port)]


def haproxy_command(bench: Bench, port: int, tls: bool) -> list[str]:
    return haproxy(bench, port, "")


def haproxy_tls_command(bench: Bench, port: int, tls: bool) -> list[str]:
    return haproxy(bench, port, f" ssl crt {bench.cert}")


def haproxy(bench: Bench, port: int, bind: str) -> list[str]:
    if not os.environ.get("BENCH_HAPROXY"):
        return []
    config = bench.folder / f"haproxy-{port}.cfg"
    config.write_text(f"""\
global
    nbthread 1
    maxconn {max_connections()}
defaults
    mode tcp
    timeout connect 5s
    timeout client 1h
    timeout server 1h
listen mysql
    bind {LOOPBACK}:{port}{bind}
    server server1 {LOOPBACK}:{bench.server.port}
""")
    return [os.environ["BENCH_HAPROXY"], "-db", "-f", str(config)]


def router_command(bench: Bench, port: int, tls: bool) -> list[str]:
    if not os.environ.get("BENCH_ROUTER"):
        return []
    config = bench.folder / f"router-{port}.conf"
    client_tls = f"client_ssl_mode = REQUIRED\nclient_ssl_cert = {bench.cert}\nclient_ssl_key = {bench.cert}" \
        if tls else "client_ssl_mode = DISABLED"
    plugins = os.environ.get("BENCH_ROUTER_PLUGINS")
    config.write_text(f"""\
[DEFAULT]
logging_folder =
runtime_folder = {bench.folder}
data_folder = {bench.folder}
max_total_connections = {max_connections()}
{f'plugin_folder = {plugins}' if plugins else ''}
[logger]
level = warning
[io]
threads = 1
[routing:mysql]
bind_address = {LOOPBACK}
bind_port = {port}
destinations = {LOOPBACK}:{bench.server.port}
routing_strategy = first-available
{client_tls}
server_ssl_mode = DISABLED
""")
    return [os.environ["BENCH_ROUTER"], "-c", str(config)]


def vtshim_command(bench: Bench, port: int, tls: bool, workers: int = 1) -> list[str]:
    config = bench.folder / f"vtshim-{port}.json"
    lines = [f'"limits.max_connections": {max_connections(40)}', '"log.level": "warn"', '"admin": ""', '"http": ""']
    if tls:
        lines += [f'"tls.cert": "{bench.cert}"', f'"tls.key": "{bench.cert}"']
    config.write_text("{" + ",\n ".join(lines) + "}\n")
    # DDL interception is on: it is the default, and what the shim is for.
    return [str(bench.shim), "--config", str(config), "--workers", str(workers), "--listen", f"{LOOPBACK}:{port}",
            "--vtgate", f"{LOOPBACK}:{bench.server.port}"]


def vtshim_cores_command(bench: Bench, port: int, tls: bool) -> list[str]:
    return vtshim_command(bench, port, tls, os.cpu_count() or 1)


COMMANDS: dict[str, Callable[[Bench, int, bool], list[str]]] = {
    RELAY: relay_command,
    HAPROXY: haproxy_command,
    HAPROXY_TLS: haproxy_tls_command,
    ROUTER: router_command,
    VTSHIM: vtshim_command,
    VTSHIM_CORES: vtshim_cores_command,
}
