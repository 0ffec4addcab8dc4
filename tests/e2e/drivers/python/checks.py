"""The driver checks (see ../README.md) for Python's drivers: pymysql, mysqlclient, connector-pure, connector-c."""

from __future__ import annotations

# First, before `ssl`: the wheel brings an OpenSSL of its own, newer than many a machine's.
try:
    import _mysql_connector
except ImportError:
    _mysql_connector = None

import datetime
import decimal
import importlib.metadata
import json
import os
import ssl
import sys
from contextlib import closing
from typing import Any, Callable, Iterator

HOST, PORT = os.environ["DRIVER_HOST"], int(os.environ["DRIVER_PORT"])
USER, PASSWORD = os.environ["DRIVER_USER"], os.environ["DRIVER_PASSWORD"]
DATABASE, CA = os.environ["DRIVER_DATABASE"], os.environ.get("DRIVER_CA", "")
TABLE, ROWS = os.environ["DRIVER_TABLE"], os.environ["DRIVER_ROWS"]
SHARDS = os.environ["DRIVER_SHARDS"].split(",")

COLUMNS = ("id bigint NOT NULL PRIMARY KEY, i int, d decimal(20,4), f double, t datetime(6), "
           "s varchar(255) CHARACTER SET utf8mb4, b longblob, x longtext CHARACTER SET utf8mb4")
UNICODE = "zażółć 日本語 🐬"
BIG_TEXT = "0123456789 é日🐬" * 50_000
BIG_BLOB = bytes(range(256)) * 4096


class Unsupported(Exception):
    """The driver has no such thing."""


class Driver:
    """What is common to them; as the DB-API has it."""

    module: Any
    distribution = ""

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        return (self.module.Error,)

    def connect(self, password: str = PASSWORD) -> Any:
        raise NotImplementedError

    def version(self) -> str:
        return importlib.metadata.version(self.distribution)

    def code(self, error: Exception) -> str:
        return str(error.args[0])

    def ping(self, connection: Any) -> None:
        connection.ping()

    def prepared(self, connection: Any) -> Any:
        """A cursor that prepares."""
        raise Unsupported("no prepared statements")

    def results(self, connection: Any, sql: str) -> Iterator[list[tuple]]:
        """Runs several statements; yields each one's rows."""
        with closing(connection.cursor()) as cursor:
            cursor.execute(sql)
            while True:
                yield list(cursor.fetchall()) if cursor.description else []
                if not cursor.nextset():
                    return

    def reset(self, connection: Any) -> None:
        raise Unsupported("no reset")

    def change_user(self, connection: Any) -> None:
        raise Unsupported("no change of user")


class PyMySQL(Driver):
    distribution = "PyMySQL"

    def __init__(self) -> None:
        import pymysql
        self.module = pymysql

    def connect(self, password: str = PASSWORD) -> Any:
        from pymysql.constants import CLIENT
        tls = {"ssl": ssl.create_default_context(cafile=CA)} if CA else {"ssl_disabled": True}
        return self.module.connect(host=HOST, port=PORT, user=USER, password=password, database=DATABASE,
                                   autocommit=True, client_flag=CLIENT.MULTI_STATEMENTS, **tls)


class MySQLClient(Driver):
    distribution = "mysqlclient"

    def __init__(self) -> None:
        import MySQLdb
        self.module = MySQLdb

    def version(self) -> str:
        return f"{super().version()} (client library {self.module.get_client_info()})"

    def connect(self, password: str = PASSWORD) -> Any:
        from MySQLdb.constants import CLIENT
        tls = {"ssl": {"ca": CA}, "ssl_mode": "VERIFY_IDENTITY"} if CA else {"ssl_mode": "DISABLED"}
        return self.module.connect(host=HOST, port=PORT, user=USER, password=password, database=DATABASE,
                                   charset="utf8mb4", autocommit=True, client_flag=CLIENT.MULTI_STATEMENTS, **tls)

    def change_user(self, connection: Any) -> None:
        connection.change_user(USER, PASSWORD, DATABASE)


class Connector(Driver):
    distribution = "mysql-connector-python"

    def __init__(self, pure: bool) -> None:
        import mysql.connector
        self.module, self.pure = mysql.connector, pure
        if not pure and not _mysql_connector:
            raise SystemExit("the wheel has no C extension that runs here")

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        # The C extension's own escapes from nextset().
        return super().errors + (() if self.pure else (_mysql_connector.MySQLInterfaceError,))

    def connect(self, password: str = PASSWORD) -> Any:
        tls = {"ssl_ca": CA, "ssl_verify_cert": True, "ssl_verify_identity": True} if CA else {"ssl_disabled": True}
        return self.module.connect(host=HOST, port=PORT, user=USER, password=password, database=DATABASE,
                                   autocommit=True, use_pure=self.pure, **tls)

    def code(self, error: Exception) -> str:
        return f"{error.errno}/{error.sqlstate}"

    def prepared(self, connection: Any) -> Any:
        return connection.cursor(prepared=True)

    def results(self, connection: Any, sql: str) -> Iterator[list[tuple]]:
        with closing(connection.cursor()) as cursor:
            cursor.execute(sql)
            yield cursor.fetchall() if cursor.description else []
            while cursor.nextset():
                yield cursor.fetchall() if cursor.description else []

    def reset(self, connection: Any) -> None:
        connection.cmd_reset_connection()

    def change_user(self, connection: Any) -> None:
        connection.cmd_change_user(USER, PASSWORD, DATABASE)


DRIVERS: dict[str, Callable[[], Driver]] = {
    "pymysql": PyMySQL,
    "mysqlclient": MySQLClient,
    "connector-pure": lambda: Connector(pure=True),
    "connector-c": lambda: Connector(pure=False),
}


class Checks:
    def __init__(self, driver: Driver):
        self.driver = driver

    def run(self) -> None:
        report("version", True, self.driver.version())
        names = ["login", "wrong_password", "ping", "create", "text", "big", "prepared", "prepared_big", "rows",
                 "prepared_rows", "multi", "multi_error", "transaction", "error", "reset", "change_user", "ddl_text",
                 "ddl_prepared", "drop"]
        for name in names:
            try:
                with closing(self.driver.connect()) as connection:
                    detail = getattr(self, name)(connection)
            except Unsupported as why:
                report(name, None, str(why))
            except Exception as error:  # whatever it is, it is what this check has found
                report(name, False, f"{type(error).__name__}: {error}")
                if name == "login":
                    return
            else:
                report(name, True, detail or "")

    # Helpers.

    def query(self, connection: Any, sql: str, parameters: tuple = ()) -> list[tuple]:
        with closing(connection.cursor()) as cursor:
            cursor.execute(sql, parameters) if parameters else cursor.execute(sql)
            return [tuple(row) for row in cursor.fetchall()] if cursor.description else []

    def execute(self, connection: Any, sql: str, parameters: tuple = ()) -> list[tuple]:
        """By a prepared statement."""
        with closing(self.driver.prepared(connection)) as cursor:
            cursor.execute(sql, parameters)
            return [tuple(row) for row in cursor.fetchall()] if cursor.description else []

    def refused(self, attempt: Callable[[], Any]) -> str:
        """The code of the error that it must give."""
        try:
            attempt()
        except self.driver.errors as error:
            return self.driver.code(error)
        raise AssertionError("it was not refused")

    def on_shards(self, connection: Any, sql: str) -> list[list]:
        """The first column of the answer of each shard."""
        answers = []
        for shard in SHARDS:
            self.query(connection, f"USE `{shard}`")
            answers.append([row[0] for row in self.query(connection, sql)])
        self.query(connection, f"USE `{DATABASE}`")
        return answers

    def column_is_there(self, connection: Any, column: str, expected: bool) -> None:
        found = self.on_shards(connection, f"SHOW COLUMNS FROM `{TABLE}`")
        assert all((column in columns) == expected for columns in found), f"{column}: shards have {found}"

    # The checks.

    def login(self, connection: Any) -> None:
        same(self.query(connection, "SELECT DATABASE()"), [(DATABASE,)])

    def wrong_password(self, _: Any) -> str:
        code = self.refused(lambda: self.driver.connect(PASSWORD + "x"))
        assert code.startswith("1045"), code
        return code

    def ping(self, connection: Any) -> None:
        self.driver.ping(connection)

    def create(self, connection: Any) -> None:
        self.query(connection, f"CREATE TABLE `{TABLE}` ({COLUMNS})")
        self.column_is_there(connection, "x", True)

    def text(self, connection: Any) -> None:
        rows = self.query(connection, f"SELECT NULL, '', '{UNICODE}', -9223372036854775808, NULL, 1.50")
        same(rows, [(None, "", UNICODE, -2 ** 63, None, decimal.Decimal("1.50"))])

    def big(self, connection: Any) -> None:
        self.query(connection, f"INSERT INTO `{TABLE}` (id, x) VALUES (1, '{BIG_TEXT}')")
        (value,), = self.query(connection, f"SELECT x FROM `{TABLE}` WHERE id = 1")
        assert value == BIG_TEXT, f"{len(value)} characters came back, or others"

    def prepared(self, connection: Any) -> None:
        values = (-7, decimal.Decimal("1234567890.1234"), 2.5, datetime.datetime(2024, 2, 29, 23, 59, 58, 123456),
                  UNICODE, b"\x00\xff'\\", "")
        for key, row in ((2, values), (3, (None,) * len(values))):
            self.execute(connection, f"INSERT INTO `{TABLE}` (id, i, d, f, t, s, b, x) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                         (key, *row))
            same(self.execute(connection, f"SELECT id, i, d, f, t, s, b, x FROM `{TABLE}` WHERE id = ?", (key,)),
                 [(key, *row)])

    def prepared_big(self, connection: Any) -> None:
        self.execute(connection, f"INSERT INTO `{TABLE}` (id, b) VALUES (?, ?)", (4, BIG_BLOB))
        (value,), = self.execute(connection, f"SELECT b FROM `{TABLE}` WHERE id = ?", (4,))
        assert bytes(value) == BIG_BLOB, f"{len(value)} bytes came back, or others"

    def rows(self, connection: Any) -> None:
        all_rows(self.query(connection, f"SELECT id, s, n FROM `{ROWS}` ORDER BY id"))

    def prepared_rows(self, connection: Any) -> None:
        all_rows(self.execute(connection, f"SELECT id, s, n FROM `{ROWS}` WHERE id > ? ORDER BY id", (0,)))

    def multi(self, connection: Any) -> None:
        found = [list(map(tuple, rows)) for rows in self.driver.results(
            connection, f"SELECT 1; SELECT 'two', NULL; DELETE FROM `{TABLE}` WHERE id = -1; SELECT 4")]
        same(found, [[(1,)], [("two", None)], [], [(4,)]])

    def multi_error(self, connection: Any) -> str:
        results = self.driver.results(connection, "SELECT 1; SELECT 2 FROM no_such_table_at_all; SELECT 3")
        same(list(map(tuple, next(results))), [(1,)])
        code = self.refused(lambda: next(results))
        same(self.query(connection, "SELECT 5"), [(5,)])
        return code

    def transaction(self, connection: Any) -> None:
        with closing(self.driver.connect()) as other:
            for key, end, seen in ((10, connection.rollback, 0), (11, connection.commit, 1)):
                self.query(connection, "BEGIN")
                self.query(connection, f"INSERT INTO `{TABLE}` (id, i) VALUES ({key}, 1)")
                same(self.query(other, f"SELECT count(*) FROM `{TABLE}` WHERE id = {key}"), [(0,)])
                end()
                same(self.query(other, f"SELECT count(*) FROM `{TABLE}` WHERE id = {key}"), [(seen,)])

    def error(self, connection: Any) -> str:
        codes = []
        self.query(connection, f"INSERT INTO `{TABLE}` (id) VALUES (20)")
        for sql in ("SELEKT 1", f"INSERT INTO `{TABLE}` (id) VALUES (20)", "SELECT 1 FROM no_such_table_at_all"):
            codes.append(self.refused(lambda: self.query(connection, sql)))
            same(self.query(connection, "SELECT 1"), [(1,)])
        return " ".join(codes)

    def reset(self, connection: Any) -> str:
        self.query(connection, "SET @mine = 5")
        self.query(connection, "BEGIN")
        self.query(connection, f"INSERT INTO `{TABLE}` (id) VALUES (30)")
        self.driver.reset(connection)
        same(self.query(connection, f"SELECT count(*) FROM `{TABLE}` WHERE id = 30"), [(0,)])
        (mine,), = self.query(connection, "SELECT @mine")
        return "user variables end" if mine is None else "user variables stay"

    def change_user(self, connection: Any) -> None:
        self.query(connection, "SET @mine = 5")
        self.driver.change_user(connection)
        same(self.query(connection, "SELECT @mine, DATABASE()"), [(None, DATABASE)])

    def ddl_text(self, connection: Any) -> None:
        self.query(connection, f"ALTER TABLE `{TABLE}` ADD COLUMN by_text int")
        self.column_is_there(connection, "by_text", True)
        self.query(connection, f"ALTER TABLE `{TABLE}` DROP COLUMN by_text")
        self.column_is_there(connection, "by_text", False)

    def ddl_prepared(self, connection: Any) -> None:
        self.execute(connection, f"ALTER TABLE `{TABLE}` ADD COLUMN by_prepared int")
        self.column_is_there(connection, "by_prepared", True)
        self.execute(connection, f"ALTER TABLE `{TABLE}` DROP COLUMN by_prepared")
        self.column_is_there(connection, "by_prepared", False)

    def drop(self, connection: Any) -> None:
        self.query(connection, f"DROP TABLE `{TABLE}`")
        found = self.on_shards(connection, f"SHOW TABLES LIKE '{TABLE}'")
        assert not any(found), found


def same(found: object, expected: object) -> None:
    assert found == expected, f"{found!r} instead of {expected!r}"


def all_rows(found: list[tuple]) -> None:
    expected = [(i, f"row {i}", i if i % 2 else None) for i in range(1, 10_001)]
    assert found == expected, f"{len(found)} rows came, or others"


def report(check: str, ok: bool | None, detail: str) -> None:
    print(json.dumps({"check": check, "ok": ok, "detail": detail[:300]}), flush=True)


Checks(DRIVERS[sys.argv[1]]()).run()
