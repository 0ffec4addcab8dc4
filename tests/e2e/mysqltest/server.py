"""A private mysqld, set up as the test suites expect one, that can be looked over and made new."""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import signal
import subprocess
from pathlib import Path

import pymysql
from pymysql.constants import CLIENT

from lib.poll import until
from lib.ports import free_port
from mysqltest.suite import Suite

START_SECONDS = 60
# A database that everybody may use, and no nameless users: what the tests take for granted.
SETUP = b"""
DELETE FROM mysql.user WHERE user = '';
CREATE DATABASE test;
CREATE DATABASE mtr;
INSERT INTO mysql.db VALUES ('%', 'test', '', 'Y', 'Y', 'Y', 'Y', 'Y', 'Y', 'N', 'Y', 'Y', 'Y', 'Y', 'Y', 'Y', 'Y', 'Y', 'N', 'N', 'Y', 'Y');
"""


def as_nobody() -> tuple[str, ...]:
    """What to put before a command: mysqld refuses to be root, and the tests write what it reads. It ends when the
    thread that has started it does."""
    if os.geteuid() != 0:
        return ("setpriv", "--pdeathsig=KILL")
    nobody = pwd.getpwnam("nobody")
    return ("setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups", "--pdeathsig=KILL")


class Server:
    """One mysqld below `folder`. Its socket is `socket`; root has no password, as the tests want it."""

    def __init__(self, suite: Suite, folder: Path):
        self.suite, self.folder = suite, folder
        self.var = folder / "var"
        self.data, self.template = self.var / "mysqld.1" / "data", folder / "template"
        self.socket = self.var / "mysqld.sock"
        self.port = free_port()
        self.cnf = folder / "mysqld.cnf"
        self.process: subprocess.Popen | None = None
        self.log = folder / "mysqld.log"
        self.restarts = -1
        self._clean = ""

    def start(self) -> "Server":
        """Initialises the data folder, keeps a copy of it, and starts."""
        share = self.suite.folder / "root/usr/share/mysql"
        for path in (self.var / "tmp", self.var / "log", self.data.parent):
            path.mkdir(parents=True)
        # The server writes here, and so do the tests, which are another user's when root runs them.
        subprocess.run(["chmod", "-R", "a+rwX", str(self.folder)], check=True)
        (self.var / "std_data").symlink_to(self.suite.home / "std_data")
        setup = self.folder / "setup.sql"
        setup.write_bytes(self._setup())
        self.cnf.write_text("\n".join(self._settings(share)) + "\n")
        self._run(["--initialize-insecure", f"--init-file={setup}"])
        subprocess.run(["cp", "-a", str(self.data), str(self.template)], check=True)
        self.renew()
        return self

    def _setup(self) -> bytes:
        """The time zones, the databases test and mtr, and mtr's procedures, which many tests call."""
        include = self.suite.home / "include"
        return (b"use mysql;\n" + (include / "mtr_test_data_timezone.sql").read_bytes() + SETUP
                + (include / "mtr_warnings.sql").read_bytes() + (include / "mtr_check.sql").read_bytes())

    def _settings(self, share: Path) -> list[str]:
        certificates = self.suite.home / "std_data"
        return [
            "[mysqld]", "log-bin-trust-function-creators=1", "innodb-buffer-pool-size=64M",
            "innodb-redo-log-capacity=32M", "performance-schema-session-connect-attrs-size=2048",
            f"datadir={self.data}", f"tmpdir={self.var / 'tmp'}", f"socket={self.socket}", f"port={self.port}",
            f"pid-file={self.var / 'mysqld.pid'}", "bind-address=127.0.0.1", "mysqlx=OFF", "server-id=1",
            "log-output=FILE", "general-log=0", "slow-query-log=0", f"secure-file-priv={self.var}",
            f"lc-messages-dir={share}", f"character-sets-dir={share / 'charsets'}",
            f"plugin-dir={self.suite.folder / 'root/usr/lib/mysql/plugin'}",
            f"ssl-ca={certificates / 'cacert.pem'}", f"ssl-cert={certificates / 'server-cert.pem'}",
            f"ssl-key={certificates / 'server-key.pem'}",
            f"caching-sha2-password-private-key-path={certificates / 'rsa_private_key.pem'}",
            f"caching-sha2-password-public-key-path={certificates / 'rsa_public_key.pem'}",
            "explain-format=TRADITIONAL_STRICT", "innodb-flush-log-at-trx-commit=0", "sync-binlog=0",
            "innodb-doublewrite=OFF",
        ]

    def _run(self, arguments: list[str]) -> None:
        with self.log.open("ab") as log:
            done = subprocess.run([*as_nobody(), self.suite.command("mysqld"), f"--defaults-file={self.cnf}", *arguments],
                                  stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=300, check=False)
        assert done.returncode == 0, f"mysqld {arguments[0]} failed:\n{self.tail()}"

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]

    def renew(self) -> None:
        """A server as after initialising it."""
        self.stop()
        for path in (self.data, self.var / "tmp"):
            shutil.rmtree(path, ignore_errors=True)
        (self.var / "tmp").mkdir()
        (self.var / "tmp").chmod(0o777)
        subprocess.run(["cp", "-a", str(self.template), str(self.data)], check=True)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([*as_nobody(), self.suite.command("mysqld"), f"--defaults-file={self.cnf}"],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        until(self._answers, "mysqld answers", START_SECONDS)
        self.restarts += 1
        self._clean = self._fingerprint()

    def _answers(self) -> bool:
        assert self.process and self.process.poll() is None, f"mysqld has ended:\n{self.tail()}"
        try:
            self.connect().close()
            return True
        except pymysql.MySQLError:
            return False

    def connect(self) -> pymysql.Connection:
        return pymysql.connect(unix_socket=str(self.socket), user="root", password="", connect_timeout=10,
                               read_timeout=60, client_flag=CLIENT.MULTI_STATEMENTS)

    def tidy(self, quickly: bool = False) -> None:
        """After a test: what it left behind goes; a server that is then not as it was before is made new. Quickly: it
        is only made sure that there is one, without files of the test."""
        for path in (self.var / "tmp").iterdir():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        if self.process is None or self.process.poll() is not None:
            self.renew()
        elif not quickly and self._fingerprint() != self._clean:
            self._drop_leftovers()
            if self._fingerprint() != self._clean:
                self.renew()

    def _drop_leftovers(self) -> None:
        """Ends sessions, drops databases and users: quicker than a new server, and mostly enough after a test that
        has broken off."""
        try:
            with self.connect() as connection, connection.cursor() as cursor:
                cursor.execute("SELECT processlist_id FROM performance_schema.threads"
                               " WHERE name = 'thread/sql/one_connection' AND processlist_id <> connection_id()")
                self._try(cursor, [f"KILL {row[0]}" for row in cursor.fetchall()])
                cursor.execute("SELECT schema_name FROM information_schema.schemata WHERE schema_name NOT IN"
                               " ('mysql', 'sys', 'mtr', 'information_schema', 'performance_schema')")
                names = [row[0].replace("`", "``") for row in cursor.fetchall()]
                self._try(cursor, [f"DROP DATABASE `{name}`" for name in names] + ["CREATE DATABASE test"])
                cursor.execute("SELECT quote(user), quote(host) FROM mysql.user WHERE user NOT LIKE 'mysql.%'"
                               " AND user <> 'root'")
                self._try(cursor, [f"DROP USER {user}@{host}" for user, host in cursor.fetchall()])
        except pymysql.MySQLError:
            pass  # then it is made new

    @staticmethod
    def _try(cursor: pymysql.cursors.Cursor, statements: list[str]) -> None:
        for statement in statements:
            try:
                cursor.execute(statement)
            except pymysql.MySQLError:
                pass

    def _fingerprint(self) -> str:
        """A hash of what a test may leave behind; it waits a moment for its sessions to end."""
        digest = hashlib.sha256()
        try:
            with self.connect() as connection, connection.cursor() as cursor:
                until(lambda: cursor.execute("SELECT 1 FROM performance_schema.threads WHERE"
                                             " name = 'thread/sql/one_connection'"
                                             " AND processlist_id <> connection_id()") == 0, "alone", 3)
                # All at once: on a busy machine it is the waiting for answers that takes the time.
                cursor.execute(";".join(LOOKED_AT))
                while True:
                    digest.update(repr(sorted(map(repr, cursor.fetchall()))).encode())
                    if not cursor.nextset():
                        break
        except (pymysql.MySQLError, AssertionError) as error:
            return f"unknown: {error}"
        return digest.hexdigest()

    def stop(self) -> None:
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait(30)
        self.process = None


# What a test may change for those that come after it. The tables of grants are few rows each.
LOOKED_AT = (
    "SET group_concat_max_len = 1000000",
    # A test may have written to the tables of grants by hand.
    "FLUSH PRIVILEGES",
    "SELECT sha2(group_concat(variable_name, variable_value ORDER BY variable_name), 256)"
    " FROM performance_schema.global_variables WHERE variable_name NOT IN"
    " ('timestamp', 'server_uuid', 'gtid_executed', 'gtid_purged')",
    "SELECT * FROM performance_schema.persisted_variables",
    "SELECT schema_name, default_collation_name FROM information_schema.schemata",
    "SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema NOT IN"
    " ('sys', 'information_schema', 'performance_schema')",
    "SELECT routine_schema, routine_name FROM information_schema.routines WHERE routine_schema <> 'sys'",
    "SELECT trigger_schema, trigger_name FROM information_schema.triggers WHERE trigger_schema <> 'sys'",
    "SELECT * FROM information_schema.events",
    "SELECT name, enabled, timed FROM performance_schema.setup_instruments WHERE enabled = 'NO' OR timed = 'NO'",
    "SELECT * FROM performance_schema.setup_consumers",
    "SELECT * FROM performance_schema.setup_actors",
    "SELECT udf_name FROM performance_schema.user_defined_functions",
    "SELECT plugin_name, plugin_status FROM information_schema.plugins",
    "SELECT host, user, plugin, authentication_string, super_priv, account_locked FROM mysql.user",
    *(f"SELECT * FROM mysql.{table}" for table in (
        "db", "tables_priv", "columns_priv", "procs_priv", "global_grants", "role_edges", "default_roles", "func",
        "component", "servers", "password_history", "server_cost", "engine_cost")),
)
