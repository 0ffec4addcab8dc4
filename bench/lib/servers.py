"""What the proxies stand in front of: MySQL of our own, or the vtgate of a bed that is up."""

from __future__ import annotations

import os
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Sequence

from process import LOOPBACK, WITH_US, Failure, Program, free_ports, until

USER = "bench"
TABLE_ROWS = 100_000


@dataclass
class Server:
    name: str
    port: int
    database: str
    bulk_rows: int  # of one bulk result; vttablet's default is to refuse more than 10,000
    program: Program | None = None

    def stop(self) -> None:
        if self.program:
            self.program.stop()


def as_user() -> list[str]:
    """How to run a server that refuses to be root."""
    return shlex.split(os.environ.get("BENCH_AS_USER", ""))


def client(*arguments: str) -> list[str]:
    return [*shlex.split(os.environ["BENCH_MYSQL"]), *arguments]


def sql(text: str, *arguments: str) -> str:
    done = subprocess.run(client(*arguments, "-N", "-B", "-e", text), capture_output=True, text=True, timeout=120)
    if done.returncode:
        raise Failure(f"{text}: {done.stderr.strip()}")
    return done.stdout


def start_mysql(folder: Path, connections: int) -> Server:
    port = free_ports(1)[0]
    data = folder / "mysql"
    data.mkdir()
    user = as_user()
    if user:
        os.chown(data, int(os.environ["BENCH_UID"]), int(os.environ["BENCH_GID"]))
    cnf = folder / "my.cnf"
    cnf.write_text(mysql_cnf(data, port, connections))
    command = [*user, os.environ["BENCH_MYSQLD"], f"--defaults-file={cnf}"]
    with (folder / "mysql-init.log").open("wb") as log:
        done = subprocess.run([*command, "--initialize-insecure"], stdout=log, stderr=log, timeout=300)
    if done.returncode:
        raise Failure(f"mysqld --initialize failed:\n{(folder / 'mysql-init.log').read_text()[-1500:]}")
    prefix = [*WITH_US, *user[1:]] if WITH_US and user else user
    program = Program("mysqld", command[len(user):], folder, prefix)
    server = Server("mysql", port, "sbtest", 50_000, program)
    try:
        program.wait_for(port, 60)
        root = ("-u", "root", f"--socket={data / 'sock'}")
        sql(f"CREATE USER {USER}@'{LOOPBACK}'; GRANT ALL ON *.* TO {USER}@'{LOOPBACK}'; CREATE DATABASE sbtest", *root)
    except BaseException:
        program.stop()
        raise
    return server


def mysql_cnf(data: Path, port: int, connections: int) -> str:
    lines = [
        "[mysqld]", f"datadir = {data / 'data'}", f"socket = {data / 'sock'}", f"port = {port}",
        f"bind-address = {LOOPBACK}", "mysqlx = 0", "skip-log-bin", "skip-name-resolve", "secure-file-priv = NULL",
        # The server is not what is measured: it should cost little, and hold many connections.
        "innodb_buffer_pool_size = 256M", "innodb_flush_log_at_trx_commit = 0", "performance_schema = OFF",
        f"max_connections = {connections}", f"open_files_limit = {connections + 2000}", "back_log = 4096", "thread_cache_size = 256", os.environ["BENCH_MYSQL_CNF"],
    ]
    return "\n".join(lines) + "\n"


def use_vtgate() -> Server:
    host, port = os.environ["BED_VTGATE1"].rsplit(":", 1)
    assert host == LOOPBACK
    server = Server("vtgate", int(port), os.environ["BED_KEYSPACE"], 9_000)
    login = ("-h", LOOPBACK, "-P", port, "-u", USER, server.database)
    # The table's rows are spread over both shards by a hash of the id.
    sql(f"ALTER VSCHEMA ON {server.database}.sbtest1 ADD VINDEX hash(id) USING hash", *login)
    until("vtgate knows the table", lambda: "sbtest1" in sql("SHOW VSCHEMA TABLES", *login))
    return server


def login_arguments(server: Server, port: int) -> Sequence[str]:
    return (f"--mysql-host={LOOPBACK}", f"--mysql-port={port}", f"--mysql-user={USER}",
            f"--mysql-db={server.database}", "--tables=1", f"--table-size={TABLE_ROWS}")
